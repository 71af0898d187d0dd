//! How recently or how often a key was used, in the 24 bits that every entry has for it: seconds
//! of wall time, or sixteen bits of minutes and a counter that grows with the logarithm of the uses
//! and falls with time. As Redis counts both. Knows no policy.

use crate::stdx::Rng;

/// What new keys begin with, so that they are not the first to go.
pub const FRESH: u8 = 5;

/// `lfu-log-factor` and `lfu-decay-time`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lfu {
    pub log_factor: u32,
    /// The counter falls by one each so many minutes; 0: never.
    pub decay_minutes: u32,
}

impl Default for Lfu {
    fn default() -> Self {
        Lfu { log_factor: 10, decay_minutes: 1 }
    }
}

/// What an entry's 24 bits mean.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tracking {
    #[default]
    Recency,
    Frequency(Lfu),
}

/// What a use is noted by is 24 bits long: 194 days, as in Redis.
const SECONDS_MASK: u32 = (1 << 24) - 1;
/// The longest idle time that is told; a stamp that seems older is of a clock that was set back.
pub const IDLE_MAX_S: u32 = SECONDS_MASK - 86_400;

/// What an entry used now holds.
#[inline]
pub fn recent(now_s: u32) -> u32 {
    (now_s & SECONDS_MASK).max(1)
}

/// Seconds since a use.
pub fn idle_s(access: u32, now_s: u32) -> u32 {
    let idle_s = now_s.wrapping_sub(access) & SECONDS_MASK;
    if idle_s > IDLE_MAX_S { 0 } else { idle_s }
}

fn minutes(now_s: u32) -> u16 {
    (now_s / 60) as u16
}

/// What an entry with a counter as of now holds.
pub fn stamp(now_s: u32, count: u8) -> u32 {
    u32::from(minutes(now_s)) << 8 | u32::from(count)
}

/// The counter less what time has taken of it.
pub fn count(access: u32, now_s: u32, lfu: Lfu) -> u8 {
    let idle = minutes(now_s).wrapping_sub((access >> 8) as u16);
    let periods = u32::from(idle).checked_div(lfu.decay_minutes).unwrap_or(0);
    (access as u8).saturating_sub(periods.min(255) as u8)
}

/// One more use: the higher the counter, the less likely it grows.
pub fn bump(access: u32, now_s: u32, lfu: Lfu, rng: &mut Rng) -> u32 {
    let count = count(access, now_s, lfu);
    let grown = count < u8::MAX && {
        let above = f64::from(count.saturating_sub(FRESH));
        rng.f64() < 1.0 / (above * f64::from(lfu.log_factor) + 1.0)
    };
    stamp(now_s, count + u8::from(grown))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counter_follows_the_logarithm_of_the_uses_and_falls_with_time() {
        let mut rng = Rng::with_seed(1);
        let lfu = Lfu::default();
        let mut reached = Vec::new();
        for uses in [100, 1000, 100_000] {
            let mut access = stamp(600, FRESH);
            for _ in 0..uses {
                access = bump(access, 600, lfu, &mut rng);
            }
            reached.push(count(access, 600, lfu));
            assert_eq!(count(access, 600 + 60 * 4, lfu), reached[reached.len() - 1] - 4);
            assert_eq!(count(access, 600 + 60 * 300, lfu), 0);
            assert_eq!(
                count(access, 600 + 60 * 300, Lfu { decay_minutes: 0, ..lfu }),
                reached[reached.len() - 1]
            );
        }
        // Redis' documentation: about 10, 18 and 142 with the factor 10.
        assert!((7..14).contains(&reached[0]), "{reached:?}");
        assert!((13..25).contains(&reached[1]), "{reached:?}");
        assert!((110..180).contains(&reached[2]), "{reached:?}");
    }

    #[test]
    fn idle_times_are_told_over_the_edge_and_not_of_a_clock_that_was_set_back() {
        let edge = SECONDS_MASK + 1;
        for (used_s, now_s, idle) in [(5, 9, 4), (edge - 2, edge + 3, 5), (edge, edge + 2, 1), (900, 500, 0)]
        {
            assert_eq!(idle_s(recent(used_s), now_s), idle, "{used_s}");
        }
        assert_eq!(idle_s(recent(7), 7 + IDLE_MAX_S), IDLE_MAX_S);
    }

    #[test]
    fn the_minutes_run_over() {
        let access = stamp(65_535 * 60, 9);
        assert_eq!(count(access, 65_536 * 60 + 60, Lfu::default()), 7);
    }
}
