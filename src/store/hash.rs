//! A hash value: a short run of pairs in the order they came, then a table.

use super::bytes::SmallBytes;
use super::footprint::estimate;
use super::packed::{PAIRS_MAX, Packed, Word, encode};
use super::seed::HashSeed;
use super::table::{Keyed, Table};
use crate::stdx::Rng;

#[derive(Clone, Debug)]
pub struct Field {
    name: SmallBytes,
    pub value: SmallBytes,
}

impl Keyed for Field {
    fn key(&self) -> &[u8] {
        &self.name
    }
}

/// Sixteen bytes; what making it large takes is handed in.
#[derive(Clone, Default)]
pub struct Hash(Repr);

#[derive(Clone)]
enum Repr {
    Small(Packed),
    Large(Box<Table<Field>>),
}

impl Default for Repr {
    fn default() -> Self {
        Repr::Small(Packed::default())
    }
}

impl Hash {
    pub fn len(&self) -> usize {
        match &self.0 {
            Repr::Small(pairs) => pairs.len() / 2,
            Repr::Large(table) => table.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn get(&self, name: &[u8]) -> Option<Word<'_>> {
        match &self.0 {
            Repr::Small(pairs) => {
                let (at, _) = pairs.find_pair(&encode(name))?;
                pairs.get(pairs.skip(at, 1)?).map(|(value, _)| value)
            }
            Repr::Large(table) => table.get(name).map(|field| Word::from(&field.value)),
        }
    }

    /// Its table of fields, if that is large.
    pub(super) fn far_table(&self) -> Option<&Table<Field>> {
        match &self.0 {
            Repr::Large(table) if table.is_far() => Some(table),
            _ => None,
        }
    }

    /// Whether the field is new.
    pub fn set(&mut self, seed: &HashSeed, name: &[u8], value: &[u8]) -> bool {
        self.grow_for(seed, name.len().max(value.len()));
        self.set_as_it_is(seed, name, value)
    }

    /// The same, but long words make nothing large: as Redis takes over what was in one piece.
    pub fn set_as_it_is(&mut self, seed: &HashSeed, name: &[u8], value: &[u8]) -> bool {
        match &mut self.0 {
            Repr::Small(pairs) => {
                let (name, value) = (encode(name), encode(value));
                if let Some((at, _)) = pairs.find_pair(&name) {
                    let from = at + name.len();
                    let end = pairs.skip(from, 1).unwrap_or(from);
                    pairs.replace(from, end, &[&value], 0);
                    return false;
                }
                let end = pairs.end();
                pairs.replace(end, end, &[&name, &value], 2);
                if pairs.len() / 2 > (seed.limits().get().hash_entries as usize).min(PAIRS_MAX) {
                    self.grow(seed);
                }
                true
            }
            Repr::Large(table) => {
                let value = SmallBytes::new(value);
                let spot = table.locate(name);
                if let Some(field) = table.at_mut(spot) {
                    field.value = value;
                    return false;
                }
                table.insert_at(spot, Field { name: SmallBytes::new(name), value });
                true
            }
        }
    }

    /// Whether it was there.
    pub fn remove(&mut self, name: &[u8]) -> bool {
        match &mut self.0 {
            Repr::Small(pairs) => {
                let Some((at, _)) = pairs.find_pair(&encode(name)) else { return false };
                let Some(end) = pairs.skip(at, 2) else { return false };
                pairs.replace(at, end, &[], -2);
                true
            }
            Repr::Large(table) => table.remove(name).is_some(),
        }
    }

    /// A command that was handed a long argument makes a small hash large even if nothing is stored.
    pub fn grow_for(&mut self, seed: &HashSeed, bytes: usize) {
        if matches!(self.0, Repr::Small(_)) && bytes > seed.limits().get().hash_bytes as usize {
            self.grow(seed);
        }
    }

    fn grow(&mut self, seed: &HashSeed) {
        if matches!(self.0, Repr::Small(_)) {
            let mut table = Table::new(seed.clone());
            for (name, value) in self.iter() {
                table.insert(Field { name: name.to_small(), value: value.to_small() });
            }
            self.0 = Repr::Large(Box::new(table));
        }
    }

    pub fn iter(&self) -> Box<dyn Iterator<Item = (Word<'_>, Word<'_>)> + '_> {
        match &self.0 {
            Repr::Small(pairs) => {
                let mut words = pairs.words(Packed::FIRST);
                Box::new(std::iter::from_fn(move || Some((words.next()?, words.next()?))))
            }
            Repr::Large(table) => Box::new(table.iter().map(|f| (Word::from(&f.name), Word::from(&f.value)))),
        }
    }

    pub fn scan(&self, cursor: u64, count: usize, mut visit: impl FnMut(&[u8], &[u8])) -> u64 {
        match &self.0 {
            Repr::Small(_) => {
                self.iter().for_each(|(name, value)| visit(&name, &value));
                0
            }
            Repr::Large(table) => table.scan(cursor, count, |f| visit(&f.name, &f.value)),
        }
    }

    pub fn random(&self, rng: &mut Rng) -> Option<(Word<'_>, Word<'_>)> {
        match &self.0 {
            Repr::Small(pairs) if pairs.is_empty() => None,
            Repr::Small(pairs) => {
                let at = pairs.skip(Packed::FIRST, 2 * rng.usize(..pairs.len() / 2))?;
                let (name, next) = pairs.get(at)?;
                Some((name, pairs.get(next)?.0))
            }
            Repr::Large(table) => table.random(rng).map(|f| (Word::from(&f.name), Word::from(&f.value))),
        }
    }

    /// About how many pieces of memory it is made of.
    pub fn parts(&self) -> usize {
        match &self.0 {
            Repr::Small(_) => 1,
            Repr::Large(table) => table.len(),
        }
    }

    /// Told from the first `samples` fields.
    pub fn heap_bytes(&self, samples: usize) -> usize {
        let fields = |field: &Field| field.name.heap_bytes() + field.value.heap_bytes();
        match &self.0 {
            Repr::Small(pairs) => pairs.heap_bytes(),
            Repr::Large(table) => {
                size_of_val(&**table)
                    + table.heap_bytes()
                    + estimate(table.len(), samples, table.iter().map(fields))
            }
        }
    }

    pub fn encoding(&self) -> &'static str {
        match self.0 {
            Repr::Small(_) => "listpack",
            Repr::Large(_) => "hashtable",
        }
    }
}

impl std::fmt::Debug for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map().entries(self.iter().map(|(name, value)| (name.to_small(), value.to_small()))).finish()
    }
}

const _: () = assert!(size_of::<Hash>() == 16);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Limits;

    #[test]
    fn small_keeps_its_order_and_large_stays_large() {
        let (mut hash, seed) = (Hash::default(), HashSeed::new(1));
        for n in (0..512).rev() {
            assert!(hash.set(&seed, format!("{n}").as_bytes(), b"x"));
        }
        assert_eq!(hash.encoding(), "listpack");
        assert_eq!(hash.iter().next().map(|(n, _)| n.to_vec()), Some(b"511".to_vec()));
        assert!(!hash.set(&seed, b"5", b"y"));
        assert!(hash.set(&seed, b"one more", b"x"));
        assert_eq!(hash.encoding(), "hashtable");
        assert_eq!(hash.get(b"5").unwrap().as_slice(), b"y");
        assert!(hash.remove(b"5") && !hash.remove(b"5"));
        assert_eq!((hash.len(), hash.encoding()), (512, "hashtable"));
    }

    #[test]
    fn limits_count_for_the_next_write() {
        let seed = HashSeed::new(1);
        let mut hash = Hash::default();
        hash.set(&seed, b"a", b"1");
        seed.limits().set(Limits { hash_entries: 2, hash_bytes: 4, ..Limits::default() });
        hash.set(&seed, b"b", b"2");
        assert_eq!(hash.encoding(), "listpack");
        hash.set(&seed, b"b", b"12345");
        assert_eq!(hash.encoding(), "hashtable");
        let mut hash = Hash::default();
        ["a", "b", "c"].iter().for_each(|name| assert!(hash.set(&seed, name.as_bytes(), b"1")));
        assert_eq!(hash.encoding(), "hashtable");
    }
}
