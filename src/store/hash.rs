//! A hash value: a short list of pairs in the order they came, then a table.

use super::bytes::SmallBytes;
use super::seed::HashSeed;
use super::table::{Keyed, Table};
use crate::stdx::Rng;

/// Redis' `hash-max-listpack-entries` and `-value`.
const SMALL_FIELDS_MAX: usize = 512;
const SMALL_BYTES_MAX: usize = 64;

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

#[derive(Clone)]
pub struct Hash {
    repr: Repr,
    seed: HashSeed,
}

#[derive(Clone)]
enum Repr {
    Small(Vec<Field>),
    Large(Table<Field>),
}

impl Hash {
    pub fn new(seed: &HashSeed) -> Self {
        Hash { repr: Repr::Small(Vec::new()), seed: seed.clone() }
    }

    pub fn len(&self) -> usize {
        match &self.repr {
            Repr::Small(fields) => fields.len(),
            Repr::Large(table) => table.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn get(&self, name: &[u8]) -> Option<&SmallBytes> {
        match &self.repr {
            Repr::Small(fields) => fields.iter().find(|f| f.key() == name).map(|f| &f.value),
            Repr::Large(table) => table.get(name).map(|f| &f.value),
        }
    }

    /// Whether the field is new.
    pub fn set(&mut self, name: &[u8], value: &[u8]) -> bool {
        self.grow_for(name.len().max(value.len()));
        let value = SmallBytes::new(value);
        match &mut self.repr {
            Repr::Small(fields) => {
                if let Some(field) = fields.iter_mut().find(|f| f.key() == name) {
                    field.value = value;
                    return false;
                }
                fields.push(Field { name: SmallBytes::new(name), value });
                if fields.len() > SMALL_FIELDS_MAX {
                    self.grow();
                }
                true
            }
            Repr::Large(table) => {
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

    pub fn remove(&mut self, name: &[u8]) -> Option<SmallBytes> {
        match &mut self.repr {
            Repr::Small(fields) => {
                let place = fields.iter().position(|f| f.key() == name)?;
                Some(fields.remove(place).value)
            }
            Repr::Large(table) => table.remove(name).map(|f| f.value),
        }
    }

    /// A command that was handed a long argument makes a small hash large even if nothing is stored.
    pub fn grow_for(&mut self, bytes: usize) {
        if bytes > SMALL_BYTES_MAX {
            self.grow();
        }
    }

    fn grow(&mut self) {
        if let Repr::Small(fields) = &mut self.repr {
            let mut table = Table::new(self.seed.clone());
            for field in fields.drain(..) {
                table.insert(field);
            }
            self.repr = Repr::Large(table);
        }
    }

    pub fn iter(&self) -> Box<dyn Iterator<Item = (&SmallBytes, &SmallBytes)> + '_> {
        match &self.repr {
            Repr::Small(fields) => Box::new(fields.iter().map(|f| (&f.name, &f.value))),
            Repr::Large(table) => Box::new(table.iter().map(|f| (&f.name, &f.value))),
        }
    }

    pub fn scan(&self, cursor: u64, count: usize, mut visit: impl FnMut(&[u8], &[u8])) -> u64 {
        match &self.repr {
            Repr::Small(fields) => {
                fields.iter().for_each(|f| visit(&f.name, &f.value));
                0
            }
            Repr::Large(table) => table.scan(cursor, count, |f| visit(&f.name, &f.value)),
        }
    }

    pub fn random(&self, rng: &mut Rng) -> Option<(&SmallBytes, &SmallBytes)> {
        let field = match &self.repr {
            Repr::Small(fields) if fields.is_empty() => None,
            Repr::Small(fields) => fields.get(rng.usize(..fields.len())),
            Repr::Large(table) => table.random(rng),
        };
        field.map(|f| (&f.name, &f.value))
    }

    pub fn encoding(&self) -> &'static str {
        match self.repr {
            Repr::Small(_) => "listpack",
            Repr::Large(_) => "hashtable",
        }
    }
}

impl std::fmt::Debug for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_keeps_its_order_and_large_stays_large() {
        let mut hash = Hash::new(&HashSeed::new(1));
        for n in (0..512).rev() {
            assert!(hash.set(format!("{n}").as_bytes(), b"x"));
        }
        assert_eq!(hash.encoding(), "listpack");
        assert_eq!(hash.iter().next().map(|(n, _)| n.to_vec()), Some(b"511".to_vec()));
        assert!(!hash.set(b"5", b"y"));
        assert!(hash.set(b"one more", b"x"));
        assert_eq!(hash.encoding(), "hashtable");
        assert_eq!(hash.remove(b"5").unwrap().as_slice(), b"y");
        assert_eq!((hash.len(), hash.encoding()), (512, "hashtable"));
    }
}
