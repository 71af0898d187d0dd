//! A set value: sorted integers while all members are such, then a table.

use super::bytes::SmallBytes;
use super::footprint::estimate;
use super::ints::Ints;
use super::seed::HashSeed;
use super::table::{Keyed, Table};
use crate::stdx::Rng;
use crate::stdx::number::parse_i64;

impl Keyed for SmallBytes {
    fn key(&self) -> &[u8] {
        self
    }
}

/// Sixteen bytes; what making it a table takes is handed in.
#[derive(Clone, Default)]
pub struct Set(Repr);

#[derive(Clone)]
enum Repr {
    Ints(Ints),
    Table(Box<Table<SmallBytes>>),
}

fn int_bytes(value: i64) -> SmallBytes {
    SmallBytes::new(itoa::Buffer::new().format(value).as_bytes())
}

impl Default for Repr {
    fn default() -> Self {
        Repr::Ints(Ints::default())
    }
}

impl Set {
    pub fn len(&self) -> usize {
        match &self.0 {
            Repr::Ints(ints) => ints.len(),
            Repr::Table(table) => table.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn contains(&self, member: &[u8]) -> bool {
        match &self.0 {
            Repr::Ints(ints) => parse_i64(member).is_some_and(|value| ints.contains(value)),
            Repr::Table(table) => table.get(member).is_some(),
        }
    }

    /// Its table of members, if that is large.
    pub(super) fn far_table(&self) -> Option<&Table<SmallBytes>> {
        match &self.0 {
            Repr::Table(table) if table.is_far() => Some(table),
            _ => None,
        }
    }

    /// Whether the member is new.
    pub fn insert(&mut self, seed: &HashSeed, member: &[u8]) -> bool {
        if let Repr::Ints(ints) = &mut self.0 {
            match parse_i64(member) {
                Some(value) => {
                    let is_new = ints.insert(value);
                    if is_new && ints.len() > seed.limits().get().set_ints as usize {
                        self.grow(seed);
                    }
                    return is_new;
                }
                None => self.grow(seed),
            }
        }
        let Repr::Table(table) = &mut self.0 else { unreachable!("ints were handled above") };
        let spot = table.locate(member);
        if spot.bucket.is_some() {
            return false;
        }
        table.insert_at(spot, SmallBytes::new(member));
        true
    }

    pub fn remove(&mut self, member: &[u8]) -> bool {
        match &mut self.0 {
            Repr::Ints(ints) => parse_i64(member).is_some_and(|value| ints.remove(value)),
            Repr::Table(table) => table.remove(member).is_some(),
        }
    }

    fn grow(&mut self, seed: &HashSeed) {
        if let Repr::Ints(ints) = &self.0 {
            let mut table = Table::new(seed.clone());
            for value in ints.iter() {
                table.insert(int_bytes(value));
            }
            self.0 = Repr::Table(Box::new(table));
        }
    }

    /// Members, ints in their order.
    pub fn iter(&self) -> Box<dyn Iterator<Item = SmallBytes> + '_> {
        match &self.0 {
            Repr::Ints(ints) => Box::new(ints.iter().map(int_bytes)),
            Repr::Table(table) => Box::new(table.iter().cloned()),
        }
    }

    pub fn scan(&self, cursor: u64, count: usize, mut visit: impl FnMut(&[u8])) -> u64 {
        match &self.0 {
            Repr::Ints(ints) => {
                ints.iter().for_each(|value| visit(&int_bytes(value)));
                0
            }
            Repr::Table(table) => table.scan(cursor, count, |member| visit(member)),
        }
    }

    pub fn random(&self, rng: &mut Rng) -> Option<SmallBytes> {
        match &self.0 {
            Repr::Ints(ints) if ints.is_empty() => None,
            Repr::Ints(ints) => ints.get(rng.usize(..ints.len())).map(int_bytes),
            Repr::Table(table) => table.random(rng).cloned(),
        }
    }

    /// About how many pieces of memory it is made of.
    pub fn parts(&self) -> usize {
        match &self.0 {
            Repr::Ints(_) => 1,
            Repr::Table(table) => table.len(),
        }
    }

    /// Told from the first `samples` members.
    pub fn heap_bytes(&self, samples: usize) -> usize {
        match &self.0 {
            Repr::Ints(ints) => ints.heap_bytes(),
            Repr::Table(table) => {
                let members = table.iter().map(SmallBytes::heap_bytes);
                size_of_val(&**table) + table.heap_bytes() + estimate(table.len(), samples, members)
            }
        }
    }

    pub fn encoding(&self) -> &'static str {
        match self.0 {
            Repr::Ints(_) => "intset",
            Repr::Table(_) => "hashtable",
        }
    }

    /// For the writer of RDB files: the integers, when that is all it holds.
    pub fn as_ints(&self) -> Option<&Ints> {
        match &self.0 {
            Repr::Ints(ints) => Some(ints),
            Repr::Table(_) => None,
        }
    }
}

impl std::fmt::Debug for Set {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

const _: () = assert!(size_of::<Set>() == 16);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ints_become_a_table_and_stay_one() {
        let (mut set, seed) = (Set::default(), HashSeed::new(1));
        for n in 0..512 {
            assert!(set.insert(&seed, format!("{n}").as_bytes()));
        }
        assert!(!set.insert(&seed, b"7"));
        assert!(!set.contains(b"007"));
        assert_eq!(set.encoding(), "intset");
        assert!(set.insert(&seed, b"007"));
        assert_eq!((set.encoding(), set.len()), ("hashtable", 513));
        assert!(set.remove(b"007") && set.contains(b"511"));
        assert_eq!(set.encoding(), "hashtable");
    }
}
