//! Names of stream entries: milliseconds and a number within them. Knows no clock.

use std::fmt;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId {
    pub ms: u64,
    pub seq: u64,
}

impl StreamId {
    pub const ZERO: StreamId = StreamId { ms: 0, seq: 0 };
    pub const MAX: StreamId = StreamId { ms: u64::MAX, seq: u64::MAX };

    pub fn new(ms: u64, seq: u64) -> Self {
        StreamId { ms, seq }
    }

    fn number(self) -> u128 {
        u128::from(self.ms) << 64 | u128::from(self.seq)
    }

    fn of(number: u128) -> Self {
        StreamId { ms: (number >> 64) as u64, seq: number as u64 }
    }

    pub fn next(self) -> Option<Self> {
        self.number().checked_add(1).map(Self::of)
    }

    pub fn previous(self) -> Option<Self> {
        self.number().checked_sub(1).map(Self::of)
    }

    /// The bytes that sort as the ids do; Redis' files have them.
    pub fn to_bytes(self) -> [u8; 16] {
        self.number().to_be_bytes()
    }

    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self::of(u128::from_be_bytes(bytes))
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.ms, self.seq)
    }
}
