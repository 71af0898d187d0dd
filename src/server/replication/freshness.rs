//! When bytes of the stream were produced: pairs of an offset and a moment, so that an
//! acknowledgement says not only *how much* a replica has but *until when* it certainly followed.

use crate::model::Offset;
use crate::stdx::time::{Duration, Instant};
use std::collections::VecDeque;

/// Older stamps say nothing that a lease would still believe.
const KEPT: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
pub struct Freshness(VecDeque<(Offset, Instant)>);

impl Freshness {
    /// The byte at `offset`, the last of the stream, was produced at this very moment. To stamp an
    /// older byte would make acknowledgements look fresher than they are.
    pub fn stamp(&mut self, now: Instant, offset: Offset) {
        if self.0.back().is_some_and(|&(last, _)| last >= offset) {
            return;
        }
        self.0.push_back((offset, now));
        while self.0.front().is_some_and(|&(_, at)| now - at > KEPT) {
            self.0.pop_front();
        }
    }

    /// The latest moment by which who acknowledged `acked` certainly still followed: the newest
    /// stamped byte among those acknowledged did not exist before.
    pub fn of(&self, acked: Offset) -> Option<Instant> {
        let covered = self.0.partition_point(|&(offset, _)| offset <= acked);
        covered.checked_sub(1).map(|index| self.0[index].1)
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_acknowledgement_is_as_old_as_the_byte_and_not_as_its_arrival() {
        let mut freshness = Freshness::default();
        freshness.stamp(Instant::from_millis(100), 10);
        freshness.stamp(Instant::from_millis(200), 10);
        freshness.stamp(Instant::from_millis(300), 20);
        assert_eq!(freshness.of(9), None);
        assert_eq!(freshness.of(10), Some(Instant::from_millis(100)));
        assert_eq!(freshness.of(19), Some(Instant::from_millis(100)));
        assert_eq!(freshness.of(1000), Some(Instant::from_millis(300)));
    }
}
