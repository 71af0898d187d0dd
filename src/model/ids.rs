//! Identities and positions. One word, one meaning: *epoch* counts failovers, *term* elections,
//! *offset* stream bytes, *index* log entries.

use serde::{Deserialize, Serialize};

/// Counts failovers of one group; assigned by the Raft log and only grows. 0: never supervised.
pub type Epoch = u64;
/// Bytes ever produced in a replication stream.
pub type Offset = u64;
/// A voter of the fleet; unique, never 0.
pub type NodeId = u64;

macro_rules! hex_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(String);

        impl $name {
            /// Forty hex digits drawn from the given chance.
            pub fn random(rng: &mut fastrand::Rng) -> Self {
                Self((0..40).map(|_| char::from_digit(rng.u32(0..16), 16).unwrap_or('0')).collect())
            }

            /// Any non-empty text of at most 64 printable characters: servers of other kinds make
            /// their own.
            pub fn parse(text: &str) -> Option<Self> {
                let fits = !text.is_empty() && text.len() <= 64;
                (fits && text.bytes().all(|b| b.is_ascii_graphic())).then(|| Self(text.to_owned()))
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

hex_id! {
    /// Names one life of one process; a restarted server has another.
    RunId
}
hex_id! {
    /// Names one history of writes; a promoted replica starts another and remembers the last.
    ReplId
}
