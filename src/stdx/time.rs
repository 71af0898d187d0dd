//! The moment, handed in.
//!
//! Only `daemon::clock` and the simulator make a [`Now`]. `mono` counts suspension
//! (`CLOCK_BOOTTIME`) and never goes back: every timeout and lease uses it. `wall` may jump:
//! key expiry and what people read use it, and no decision does.

use std::ops::{Add, Sub};
pub use std::time::Duration;

/// Microseconds on a monotonic clock that counts suspension. Only differences mean anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

impl Instant {
    pub const ZERO: Instant = Instant(0);

    pub const fn from_micros(us: u64) -> Self {
        Instant(us)
    }

    pub const fn from_millis(ms: u64) -> Self {
        Instant(ms * 1000)
    }

    pub const fn as_micros(self) -> u64 {
        self.0
    }

    pub const fn as_millis(self) -> u64 {
        self.0 / 1000
    }

    /// The last moment of a grid that everybody shares, at or before this one. Work that is put on it
    /// falls due together, and a thousand timers cost one wakeup.
    pub fn down_to(self, grid: Duration) -> Instant {
        let us = u64::try_from(grid.as_micros()).unwrap_or(u64::MAX).max(1);
        Instant(self.0 - self.0 % us)
    }

    /// So long before it; the beginning at the earliest.
    pub fn earlier_by(self, duration: Duration) -> Instant {
        Instant::from_micros(self.as_micros().saturating_sub(duration.as_micros() as u64))
    }

    /// Time since `earlier`; zero when `earlier` is not earlier.
    pub fn since(self, earlier: Instant) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Instant {
    type Output = Instant;
    fn add(self, rhs: Duration) -> Instant {
        let us = u64::try_from(rhs.as_micros()).unwrap_or(u64::MAX);
        Instant(self.0.saturating_add(us))
    }
}

impl Sub<Instant> for Instant {
    type Output = Duration;
    fn sub(self, rhs: Instant) -> Duration {
        self.since(rhs)
    }
}

/// Milliseconds since the Unix epoch on the machine's wall clock. May jump either way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Wall(pub u64);

impl Wall {
    pub const fn as_millis(self) -> u64 {
        self.0
    }
}

/// One moment on both clocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    pub mono: Instant,
    pub wall: Wall,
}

impl Now {
    /// For tests and the simulator: both clocks from one count of milliseconds since its start.
    pub const fn at_millis(ms: u64) -> Self {
        Now { mono: Instant::from_millis(ms), wall: Wall(1_700_000_000_000 + ms) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grid_brings_moments_together() {
        let grid = Duration::from_millis(25);
        let on_grid = |ms| Instant::from_millis(ms).down_to(grid).as_millis();
        assert_eq!([0, 24, 25, 49, 1000].map(on_grid), [0, 0, 25, 25, 1000]);
    }

    #[test]
    fn differences_saturate_instead_of_wrapping() {
        let early = Instant::from_millis(5);
        let late = early + Duration::from_millis(7);
        assert_eq!(late - early, Duration::from_millis(7));
        assert_eq!(early - late, Duration::ZERO);
    }
}
