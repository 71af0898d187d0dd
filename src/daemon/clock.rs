//! The machine's clocks, read here and nowhere else.

use crate::stdx::time::{Instant, Now, Wall};
use rustix::time::{ClockId, clock_gettime};

/// Microseconds since boot, counting suspension.
pub fn mono() -> Instant {
    let time = clock_gettime(ClockId::Boottime);
    Instant::from_micros(time.tv_sec as u64 * 1_000_000 + time.tv_nsec as u64 / 1000)
}

/// The moment on both clocks.
pub fn now() -> Now {
    let time = clock_gettime(ClockId::Realtime);
    Now { mono: mono(), wall: Wall(time.tv_sec as u64 * 1000 + time.tv_nsec as u64 / 1_000_000) }
}
