//! What a lock is to be: how many servers, how long, how patient; and what cannot work.

use std::time::Duration;

const TTL_MIN: Duration = Duration::from_millis(100);
const TTL_MAX: Duration = Duration::from_secs(24 * 3600);
const PATIENCE: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(2));
pub(super) const SERVERS_MAX: usize = 15;

/// How long somebody else's lock is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    No,
    For(Duration),
    Forever,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Independent masters; a majority of them decides.
    pub servers: usize,
    /// How long a holder that fell silent keeps the others out.
    pub ttl: Duration,
    /// A server that is up for less may have forgotten a lock, and does not count: the longest ttl that
    /// anybody uses for this name. Zero trusts the servers to have lost nothing.
    pub restart_guard: Duration,
    /// How long one server may take to answer.
    pub patience: Duration,
    pub wait: Wait,
    /// Between two attempts: somewhere from the first to the second.
    pub retry: (Duration, Duration),
    /// What the lock protects is told to stop so long before the lock ends.
    pub stop_margin: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPlan {
    #[error("a lock needs at least one server, and {SERVERS_MAX} at most; name them with --server")]
    Servers,
    #[error("a ttl stands between 100 milliseconds and 24 hours")]
    Ttl,
    #[error("stopping may take a third of the ttl ({} ms) at most", .0.as_millis())]
    StopMargin(Duration),
    #[error("a server's answer may be waited for a fifth of the ttl ({} ms) at most", .0.as_millis())]
    Patience(Duration),
}

impl Plan {
    /// With everything else as is usual for this ttl.
    pub fn new(servers: usize, ttl: Duration) -> Result<Plan, BadPlan> {
        let plan = Plan {
            servers,
            ttl,
            restart_guard: ttl,
            patience: (ttl / 10).clamp(PATIENCE.0, PATIENCE.1),
            wait: Wait::No,
            retry: (Duration::from_millis(50), Duration::from_millis(250)),
            stop_margin: ttl / 6,
        };
        plan.check()?;
        Ok(plan)
    }

    pub fn check(&self) -> Result<(), BadPlan> {
        if self.servers == 0 || self.servers > SERVERS_MAX {
            return Err(BadPlan::Servers);
        }
        if self.ttl < TTL_MIN || self.ttl > TTL_MAX {
            return Err(BadPlan::Ttl);
        }
        if self.stop_margin > self.ttl / 3 {
            return Err(BadPlan::StopMargin(self.ttl / 3));
        }
        if self.patience > self.ttl / 5 {
            return Err(BadPlan::Patience(self.ttl / 5));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_work_is_refused() {
        let second = Duration::from_secs(1);
        assert_eq!(Plan::new(0, second).unwrap_err(), BadPlan::Servers);
        assert_eq!(Plan::new(3, Duration::from_millis(99)).unwrap_err(), BadPlan::Ttl);
        let plan = Plan::new(3, second).unwrap();
        let slow = Plan { stop_margin: second / 2, ..plan.clone() };
        assert!(slow.check().unwrap_err().to_string().contains("333 ms"));
        let patient = Plan { patience: second / 2, ..plan };
        assert!(patient.check().unwrap_err().to_string().contains("200 ms"));
    }
}
