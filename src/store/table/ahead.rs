//! Reading ahead. A lookup waits for memory five or six times, one wait after the other, and between two
//! commands lies too much for the processor to begin the next lookup meanwhile. The ways to several keys,
//! walked in step, are waited for together; the commands then find everything near.
//!
//! Nothing is decided here: what is read may be of another key of the same hash bits, and is thrown away.

use super::{Keyed, Table};
use smallvec::SmallVec;
use std::hint::black_box;

/// Ways that are walked together: about as many as a processor can wait for.
pub const AHEAD_MAX: usize = 16;

/// A table with fewer entries is near all the time.
const ENTRIES_MIN: usize = 4096;

impl<T: Keyed, M: Clone + Default> Table<T, M> {
    /// Whether it is large enough for that to be worth its instructions.
    #[inline]
    pub fn is_far(&self) -> bool {
        self.len >= ENTRIES_MIN
    }

    /// Hands to `look` what probably stands under these keys, with the number of the key; of the keys
    /// beyond [`AHEAD_MAX`] none.
    pub fn look_ahead<'t, 'k>(
        &'t self,
        keys: impl Iterator<Item = (usize, &'k [u8])>,
        mut look: impl FnMut(usize, &'t T),
    ) {
        let mut ways: SmallVec<[(usize, u64, usize); AHEAD_MAX]> = SmallVec::new();
        for (number, key) in keys.take(AHEAD_MAX) {
            let hash = self.seed.hash(key);
            ways.push((number, hash, self.directory[self.slot_of(hash)] as usize));
        }
        let mut read = 0;
        for &(_, hash, segment) in &ways {
            let segment = &self.segments[segment];
            read ^= segment.index.first_word(hash) ^ segment.entries.len() as u64;
        }
        black_box(read);
        let mut found: SmallVec<[(usize, &T); AHEAD_MAX]> = SmallVec::new();
        for &(number, hash, segment) in &ways {
            let segment = &self.segments[segment];
            found.extend(
                segment.index.guess(hash).and_then(|at| segment.entries.get(at)).map(|it| (number, it)),
            );
        }
        for (number, entry) in found {
            look(number, entry);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::seed::HashSeed;

    #[derive(Clone)]
    struct Name(Box<[u8]>);

    impl Keyed for Name {
        fn key(&self) -> &[u8] {
            &self.0
        }
    }

    #[test]
    fn nearly_always_guesses_right_and_never_fails() {
        let name = |n: usize| format!("key:{n}").into_bytes();
        let mut table: Table<Name> = Table::new(HashSeed::new(5));
        let empty: Vec<_> = (0..3).map(name).collect();
        table.look_ahead(empty.iter().map(|key| &key[..]).enumerate(), |_, _| panic!("there is nothing"));
        for n in 0..20_000 {
            table.insert(Name(name(n).into()));
        }
        assert!(table.is_far());
        let mut right = 0;
        for from in (0..24_000).step_by(AHEAD_MAX) {
            let keys: Vec<_> = (from..from + AHEAD_MAX).map(name).collect();
            table.look_ahead(keys.iter().map(|key| &key[..]).enumerate(), |n, it| {
                right += usize::from(it.key() == keys[n]);
            });
        }
        assert!((18_000..=20_000).contains(&right), "{right} of 20000");
    }
}
