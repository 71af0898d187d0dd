//! What std could have had. Knows no domain word, reads no clock, throws no dice.

pub mod bits;
pub mod c_number;
pub mod calendar;
pub mod cursor;
pub mod geohash;
pub mod glob;
pub mod number;
pub mod sha1;
pub mod tally;
pub mod time;
pub mod words;

/// Chance that is owned and seeded by whoever needs it; cores never ask the machine for any.
pub use fastrand::Rng;
