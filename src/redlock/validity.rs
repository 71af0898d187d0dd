//! How long a token that was asked for at one moment may be relied on, clocks that drift accounted.

use crate::stdx::time::Instant;
use std::time::Duration;

/// For the whole milliseconds in which servers count.
const GRAIN: Duration = Duration::from_millis(2);

/// What is taken off a ttl: one part in a hundred, which is the difference in pace allowed between our
/// clock and a server's, and two milliseconds.
pub fn drift(ttl: Duration) -> Duration {
    ttl / 100 + GRAIN
}

/// Until when a key that was asked for at `asked_at` is certainly there. Counted from the question, not
/// from the answer: the server began to count somewhere between.
pub fn valid_until(asked_at: Instant, ttl: Duration) -> Instant {
    asked_at + ttl.saturating_sub(drift(ttl))
}

/// Whether a server that is up for so long can no longer have forgotten a key of `guard`. Servers count
/// whole seconds, from a start that they round down.
pub fn old_enough(uptime: Duration, guard: Duration) -> bool {
    guard.is_zero() || uptime >= counts_from(guard)
}

/// From which uptime on a server counts.
pub fn counts_from(guard: Duration) -> Duration {
    let whole = (guard + drift(guard)).as_millis().div_ceil(1000);
    Duration::from_secs(u64::try_from(whole).unwrap_or(u64::MAX).saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_percent_and_two_milliseconds_are_taken_off() {
        assert_eq!(drift(Duration::from_secs(10)), Duration::from_millis(102));
        let asked = Instant::from_millis(5000);
        assert_eq!(valid_until(asked, Duration::from_secs(10)), Instant::from_millis(14_898));
        // Too short to be held at all: over before it began.
        assert_eq!(valid_until(asked, Duration::from_millis(1)), asked);
    }

    /// A server's clock that runs fast beside ours that runs slow, together one percent.
    #[test]
    fn a_server_within_the_drift_never_forgets_first() {
        for ttl_ms in [10_u64, 100, 1000, 30_000, 3_600_000] {
            let ttl = Duration::from_millis(ttl_ms);
            let ours = valid_until(Instant::ZERO, ttl).as_micros() as f64 / 0.995;
            // It may have begun up to a millisecond ago by its own count.
            let theirs = (ttl.as_micros() as f64 - 1000.0) / 1.005;
            assert!(ours <= theirs, "{ttl_ms}: {ours} > {theirs}");
        }
    }

    #[test]
    fn a_young_server_counts_a_whole_second_later() {
        let guard = Duration::from_secs(10);
        assert_eq!(counts_from(guard), Duration::from_secs(12));
        assert!(!old_enough(Duration::from_secs(11), guard) && old_enough(Duration::from_secs(12), guard));
        assert!(old_enough(Duration::ZERO, Duration::ZERO));
    }
}
