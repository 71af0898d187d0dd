//! For how long a word vouches for a master: what both sides of a lease have to reckon alike. Has never
//! heard of who gives it.

use crate::stdx::time::Duration;

/// Three of the periods in which a master asks its replicas: one answer may be lost or late.
const REPLICAS_LEAST: Duration = Duration::from_millis(300);

/// For how long an acknowledgement vouches, counted from when its bytes were produced, in a reign with
/// leases of this length. Shorter than a lease: a promotion waits until the last one has run out, and
/// counts it from the last byte that a replica heard, which with a busy master is the moment of its death.
pub fn of_replicas(lease: Duration) -> Duration {
    (lease * 3 / 4).max(lease.min(REPLICAS_LEAST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_never_longer_than_the_lease_and_grows_with_it() {
        let of = |ms| of_replicas(Duration::from_millis(ms)).as_millis();
        assert_eq!([0, 100, 300, 400, 500, 6000].map(of), [0, 100, 300, 300, 375, 4500]);
        assert!((0..2000).all(|ms| of(ms) <= u128::from(ms) && of(ms) <= of(ms + 1)));
    }
}
