//! Passwords are guessed slowly: a source off this machine gets at most [`BURST`] wrong guesses at
//! once and then one a second; while it waits its guesses are not even looked at.
//!
//! This machine itself is never slowed down, so a neighbour with a wrong password cannot lock a
//! sentinel out. Memory is bounded. Has never heard of users or passwords.

use crate::stdx::time::{Duration, Instant};
use std::collections::BTreeMap;
use std::net::IpAddr;

pub const BURST: u32 = 10;
const REFILL: Duration = Duration::from_secs(1);
/// Sources remembered; beyond that the table starts anew.
const SOURCES_MAX: usize = 16_384;

#[derive(Debug, Default)]
pub struct Guesses {
    wrong: BTreeMap<IpAddr, Bucket>,
}

#[derive(Debug)]
struct Bucket {
    left: u32,
    refilled: Instant,
}

impl Guesses {
    /// Whether a guess of this source is to be looked at (`None`: this machine).
    pub fn may_try(&mut self, now: Instant, source: Option<IpAddr>) -> bool {
        match source.and_then(|ip| self.wrong.get_mut(&ip)) {
            None => true,
            Some(bucket) => {
                bucket.refill(now);
                bucket.left > 0
            }
        }
    }

    pub fn was_wrong(&mut self, now: Instant, source: Option<IpAddr>) {
        let Some(ip) = source else { return };
        if self.wrong.len() >= SOURCES_MAX && !self.wrong.contains_key(&ip) {
            self.wrong.clear();
        }
        let bucket = self.wrong.entry(ip).or_insert(Bucket { left: BURST, refilled: now });
        bucket.left = bucket.left.saturating_sub(1);
    }
}

impl Bucket {
    fn refill(&mut self, now: Instant) {
        let earned = (now.since(self.refilled).as_micros() / REFILL.as_micros()) as u32;
        if earned > 0 {
            self.left = self.left.saturating_add(earned).min(BURST);
            self.refilled = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guesser_is_slowed_down_and_others_are_not() {
        let mut guesses = Guesses::default();
        let (thief, other) = ("10.0.0.9".parse().ok(), "10.0.0.8".parse().ok());
        let at = Instant::from_millis;
        for _ in 0..BURST {
            assert!(guesses.may_try(at(0), thief));
            guesses.was_wrong(at(0), thief);
            guesses.was_wrong(at(0), None);
        }
        assert!(!guesses.may_try(at(0), thief), "not even looked at");
        assert!(guesses.may_try(at(0), other) && guesses.may_try(at(0), None));
        assert!(guesses.may_try(at(1000), thief), "one a second");
        guesses.was_wrong(at(1000), thief);
        assert!(!guesses.may_try(at(1000), thief));
    }
}
