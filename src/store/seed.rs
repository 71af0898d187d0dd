//! What all collections of a keyspace share: the secret of the hash tables, which is handed in (a
//! stranger who knew it could choose keys that all fall into one small table), and the limits of
//! the small encodings.

use super::limits::SharedLimits;
use foldhash::SharedSeed;
use foldhash::fast::FoldHasher;
use std::hash::Hasher;
use std::sync::Arc;

/// Shared by every table of a keyspace; cloning is cheap, and it takes eight bytes of each.
#[derive(Clone)]
pub struct HashSeed(Arc<Ground>);

struct Ground {
    shared: SharedSeed,
    own: u64,
    limits: SharedLimits,
}

impl HashSeed {
    pub fn new(seed: u64) -> Self {
        // Two values from one, so that neither gives away the other.
        let own = (seed ^ 0x9e37_79b9_7f4a_7c15).wrapping_mul(0xbf58_476d_1ce4_e5b9).rotate_left(29);
        let shared = SharedSeed::from_u64(seed);
        HashSeed(Arc::new(Ground { shared, own, limits: SharedLimits::default() }))
    }

    /// Up to where collections of this keyspace stay small.
    pub fn limits(&self) -> &SharedLimits {
        &self.0.limits
    }

    #[inline]
    pub fn hash(&self, bytes: &[u8]) -> u64 {
        let mut hasher = FoldHasher::with_seed(self.0.own, &self.0.shared);
        hasher.write(bytes);
        // Strings that differ only in trailing zeros must part ways.
        hasher.write_u64(bytes.len() as u64);
        hasher.finish()
    }
}

impl std::fmt::Debug for HashSeed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HashSeed(secret)")
    }
}

#[cfg(test)]
mod tests {
    use super::HashSeed;

    #[test]
    fn seeds_and_lengths_matter() {
        let seed = HashSeed::new(1);
        assert_eq!(seed.hash(b"a"), HashSeed::new(1).hash(b"a"));
        assert_ne!(seed.hash(b"a"), HashSeed::new(2).hash(b"a"));
        assert_ne!(seed.hash(b"\0"), seed.hash(b"\0\0"));
        assert_ne!(seed.hash(b""), seed.hash(b"\0"));
    }
}
