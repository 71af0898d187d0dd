//! Moments to ticks, and election timeouts from a seed.
//!
//! The raft crate counts ticks. A quarter of a heartbeat is one: fine enough that two nodes seldom
//! draw the same timeout; ticks that would do nothing are made up for later, so that an idle node need
//! not wake for each.

use super::Settings;
use crate::stdx::Rng;
use crate::stdx::time::{Duration, Instant};

/// Ticks of one heartbeat.
pub(super) const HEARTBEAT_TICKS: usize = 4;

/// After a pause of the process no more than this many ticks are made up for. A resumed follower
/// must first read what its leader sent meanwhile instead of calling an election on it.
const MAX_TICKS_AT_ONCE: u64 = FOLLOWER_TICKS as u64;

/// A follower that hears its leader need not wake by itself: the next heartbeat comes before this.
pub(super) const FOLLOWER_TICKS: usize = HEARTBEAT_TICKS * 3 / 2;

pub(super) struct Pace {
    tick: Duration,
    next: Instant,
    rng: Rng,
    min_ticks: usize,
    max_ticks: usize,
}

impl Pace {
    /// Of settings that passed `start::check`.
    pub(super) fn new(settings: &Settings, seed: u64, now: Instant) -> Self {
        let tick_us = (settings.heartbeat_ms * 1000 / HEARTBEAT_TICKS as u64).max(1);
        let ticks = |ms: u64| usize::try_from((ms * 1000).div_ceil(tick_us)).unwrap_or(usize::MAX);
        let tick = Duration::from_micros(tick_us);
        Pace {
            tick,
            next: now + tick,
            rng: Rng::with_seed(seed),
            min_ticks: ticks(settings.election_ms_min).max(HEARTBEAT_TICKS + 1),
            max_ticks: ticks(settings.election_ms_max).max(HEARTBEAT_TICKS + 1),
        }
    }

    pub(super) fn min_ticks(&self) -> usize {
        self.min_ticks
    }

    pub(super) fn max_ticks(&self) -> usize {
        self.max_ticks
    }

    /// When that many ticks from now will have passed; at least one.
    pub(super) fn after(&self, ticks: usize) -> Instant {
        self.next + self.tick * u32::try_from(ticks.saturating_sub(1)).unwrap_or(u32::MAX)
    }

    /// How many ticks `now` is worth since the last call.
    pub(super) fn due(&mut self, now: Instant) -> u64 {
        if now < self.next {
            return 0;
        }
        let tick_us = self.tick.as_micros() as u64;
        let late = (now - self.next).as_micros() as u64;
        let ticks = 1 + late / tick_us;
        if ticks > MAX_TICKS_AT_ONCE {
            self.next = now + self.tick;
            return MAX_TICKS_AT_ONCE;
        }
        self.next = self.next + Duration::from_micros(ticks * tick_us);
        ticks
    }

    /// A fresh election timeout in ticks, both ends included.
    pub(super) fn draw(&mut self) -> usize {
        self.rng.usize(self.min_ticks..=self.max_ticks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace(now: u64) -> Pace {
        let settings = Settings {
            id: 1,
            voters: vec![1],
            heartbeat_ms: 40,
            election_ms_min: 300,
            election_ms_max: 600,
            compact_after_entries: 10,
        };
        Pace::new(&settings, 7, Instant::from_millis(now))
    }

    #[test]
    fn ticks_follow_the_clock_and_keep_its_phase() {
        let mut pace = pace(1000);
        assert_eq!(pace.due(Instant::from_millis(1009)), 0);
        assert_eq!(pace.due(Instant::from_millis(1025)), 2);
        assert_eq!(pace.after(1), Instant::from_millis(1030));
        assert_eq!(pace.after(3), Instant::from_millis(1050));
    }

    #[test]
    fn a_long_pause_counts_as_little_more_than_one_heartbeat() {
        let mut pace = pace(0);
        assert_eq!(pace.due(Instant::from_millis(3_600_000)), 6);
        assert_eq!(pace.due(Instant::from_millis(3_600_000)), 0);
    }

    #[test]
    fn draws_depend_on_the_seed_alone_and_stay_in_range() {
        let (mut one, mut two) = (pace(0), pace(500));
        for _ in 0..1000 {
            let ticks = one.draw();
            assert_eq!(ticks, two.draw());
            assert!((30..=60).contains(&ticks));
        }
    }
}
