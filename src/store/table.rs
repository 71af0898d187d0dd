//! The one hash table of the house: many small tables by hash prefix (extendible hashing), split
//! one at a time.
//!
//! Promises: no insert moves more than one segment of [`SEGMENT_ENTRIES_MAX`] entries; a scan
//! returns everything that was there from its begin to its end, at least once, whatever was
//! inserted or removed meanwhile. Has never heard of values, times or snapshots: what a user of
//! the table must remember of a segment it keeps in the segment's mark `M`.

use super::seed::HashSeed;
use crate::stdx::Rng;
use hashbrown::HashTable;

/// A full table of 512 buckets.
pub const SEGMENT_ENTRIES_MAX: usize = 448;

/// The bits of a hash that order segments and scans. The top 7 are hashbrown's tag, and would tell
/// nothing inside a segment chosen by them.
const PREFIX_BITS: u32 = 57;
const PREFIX_MASK: u64 = (1 << PREFIX_BITS) - 1;
const DEPTH_MAX: u32 = 40;

pub trait Keyed {
    fn key(&self) -> &[u8];
}

/// Where an entry is, or would be. Good until the table next changes shape.
#[derive(Clone, Copy, Debug)]
pub struct Spot {
    pub hash: u64,
    pub segment: usize,
    /// `None`: not there.
    pub bucket: Option<usize>,
}

#[derive(Clone)]
pub struct Segment<T, M> {
    entries: HashTable<T>,
    depth: u32,
    pub mark: M,
}

impl<T, M> Segment<T, M> {
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.entries.iter()
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

#[derive(Clone)]
pub struct Table<T, M = ()> {
    seed: HashSeed,
    /// The first `depth` prefix bits of a hash to a segment.
    directory: Vec<u32>,
    depth: u32,
    segments: Vec<Segment<T, M>>,
    len: usize,
}

impl<T: Keyed, M: Clone + Default> Table<T, M> {
    pub fn new(seed: HashSeed) -> Self {
        let first = Segment { entries: HashTable::new(), depth: 0, mark: M::default() };
        Table { seed, directory: vec![0], depth: 0, segments: vec![first], len: 0 }
    }

    pub fn seed(&self) -> &HashSeed {
        &self.seed
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    #[inline]
    fn slot_of(&self, hash: u64) -> usize {
        ((hash & PREFIX_MASK) >> (PREFIX_BITS - self.depth)) as usize
    }

    #[inline]
    pub fn locate(&self, key: &[u8]) -> Spot {
        let hash = self.seed.hash(key);
        let segment = self.directory[self.slot_of(hash)] as usize;
        let bucket = self.segments[segment].entries.find_bucket_index(hash, |entry| entry.key() == key);
        Spot { hash, segment, bucket }
    }

    #[inline]
    pub fn at(&self, spot: Spot) -> Option<&T> {
        self.segments[spot.segment].entries.get_bucket(spot.bucket?)
    }

    /// The key must not be changed.
    #[inline]
    pub fn at_mut(&mut self, spot: Spot) -> Option<&mut T> {
        self.segments[spot.segment].entries.get_bucket_mut(spot.bucket?)
    }

    pub fn get(&self, key: &[u8]) -> Option<&T> {
        self.at(self.locate(key))
    }

    pub fn get_mut(&mut self, key: &[u8]) -> Option<&mut T> {
        self.at_mut(self.locate(key))
    }

    /// Puts an entry where [`Table::locate`] found none; where it is now.
    #[inline]
    pub fn insert_at(&mut self, spot: Spot, entry: T) -> Spot {
        debug_assert!(spot.bucket.is_none());
        let mut segment = spot.segment;
        while self.segments[segment].len() >= SEGMENT_ENTRIES_MAX && self.split(spot.hash, segment) {
            segment = self.directory[self.slot_of(spot.hash)] as usize;
        }
        let seed = &self.seed;
        let occupied = self.segments[segment].entries.insert_unique(spot.hash, entry, |e| seed.hash(e.key()));
        let bucket = Some(occupied.bucket_index());
        self.len += 1;
        Spot { hash: spot.hash, segment, bucket }
    }

    /// Inserts or replaces; what was there before.
    pub fn insert(&mut self, entry: T) -> Option<T> {
        let spot = self.locate(entry.key());
        if let Some(old) = self.at_mut(spot) {
            return Some(std::mem::replace(old, entry));
        }
        self.insert_at(spot, entry);
        None
    }

    pub fn remove_at(&mut self, spot: Spot) -> Option<T> {
        let bucket = spot.bucket?;
        let entry = self.segments[spot.segment].entries.get_bucket_entry(bucket).ok()?;
        let (entry, _) = entry.remove();
        self.len -= 1;
        Some(entry)
    }

    pub fn remove(&mut self, key: &[u8]) -> Option<T> {
        self.remove_at(self.locate(key))
    }

    /// Parts one segment in two by its next prefix bit; false when it must not be parted further.
    fn split(&mut self, hash: u64, segment: usize) -> bool {
        let depth = self.segments[segment].depth;
        if depth == self.depth {
            // A directory much longer than its segments means hashes that will not part.
            if depth >= DEPTH_MAX || self.directory.len() > 64 * self.segments.len() {
                return false;
            }
            self.directory = self.directory.iter().flat_map(|&slot| [slot, slot]).collect();
            self.depth += 1;
        }
        let bit = PREFIX_BITS - depth - 1;
        let half = self.segments[segment].len() / 2 + 16;
        let old = std::mem::replace(&mut self.segments[segment].entries, HashTable::with_capacity(half));
        let mut upper = HashTable::with_capacity(half);
        let seed = &self.seed;
        let lower = &mut self.segments[segment].entries;
        for entry in old {
            let hash = seed.hash(entry.key());
            let target = if hash >> bit & 1 == 1 { &mut upper } else { &mut *lower };
            target.insert_unique(hash, entry, |e| seed.hash(e.key()));
        }
        self.segments[segment].depth = depth + 1;
        let mark = self.segments[segment].mark.clone();
        let new = self.segments.len() as u32;
        self.segments.push(Segment { entries: upper, depth: depth + 1, mark });
        // The slots that shared the old segment, and of them the upper half.
        let width = 1usize << (self.depth - depth);
        let start = self.slot_of(hash) & !(width - 1);
        for slot in &mut self.directory[start + width / 2..start + width] {
            *slot = new;
        }
        true
    }

    pub fn segment(&self, index: usize) -> &Segment<T, M> {
        &self.segments[index]
    }

    pub fn segment_mut(&mut self, index: usize) -> &mut Segment<T, M> {
        &mut self.segments[index]
    }

    pub fn segment_count(&self) -> usize {
        self.segments.len()
    }

    /// Takes out what lies in one segment.
    pub fn pop_segment(&mut self) -> Option<Segment<T, M>> {
        let segment = self.segments.pop()?;
        self.len -= segment.len();
        Some(segment)
    }

    /// Everything, in an order that only the seed and the insertions decide.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.segments.iter().flat_map(|segment| segment.entries.iter())
    }

    /// Visits about `count` entries in hash order from `cursor` on. Zero begins; zero returned ends.
    /// The cursor is a place in hash order, so entries that move between segments keep their place.
    pub fn scan(&self, cursor: u64, count: usize, mut visit: impl FnMut(&T)) -> u64 {
        let mut from = cursor & PREFIX_MASK;
        let mut left = count.max(1);
        let mut found: Vec<(u64, &T)> = Vec::new();
        loop {
            let slot = (from >> (PREFIX_BITS - self.depth)) as usize;
            let segment = &self.segments[self.directory[slot] as usize];
            found.clear();
            found.extend(
                segment
                    .entries
                    .iter()
                    .map(|entry| (self.seed.hash(entry.key()) & PREFIX_MASK, entry))
                    .filter(|&(place, _)| place >= from),
            );
            if found.len() > left {
                found.sort_unstable_by_key(|&(place, _)| place);
            }
            let mut last = None;
            for &(place, entry) in &found {
                if left == 0 && last != Some(place) {
                    return place;
                }
                visit(entry);
                left = left.saturating_sub(1);
                last = Some(place);
            }
            let width = 1u64 << (PREFIX_BITS - segment.depth);
            from = (from & !(width - 1)) + width;
            if from > PREFIX_MASK {
                return 0;
            }
            if left == 0 {
                return from;
            }
        }
    }

    /// Some entry, each about as likely; `None` only when empty.
    pub fn random(&self, rng: &mut Rng) -> Option<&T> {
        if self.len == 0 {
            return None;
        }
        for _ in 0..256 {
            let segment = &self.segments[self.directory[rng.usize(..self.directory.len())] as usize];
            let buckets = segment.entries.num_buckets();
            if buckets == 0 {
                continue;
            }
            for _ in 0..8 {
                if let Some(entry) = segment.entries.get_bucket(rng.usize(..buckets)) {
                    return Some(entry);
                }
            }
        }
        // Nearly everything was removed: look at all of it, from a random one on.
        self.iter().nth(rng.usize(..self.len))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::SmallBytes;
    use std::collections::BTreeSet;

    fn key(n: u32) -> SmallBytes {
        SmallBytes::new(format!("key:{n}").as_bytes())
    }

    #[test]
    fn holds_what_a_set_would_hold() {
        let mut table: Table<SmallBytes> = Table::new(HashSeed::new(7));
        let mut model = BTreeSet::new();
        let mut rng = Rng::with_seed(3);
        for _ in 0..60_000 {
            let key = key(rng.u32(..20_000));
            if rng.u32(..3) == 0 {
                assert_eq!(table.remove(&key).is_some(), model.remove(&key));
            } else {
                assert_eq!(table.insert(key.clone()).is_none(), model.insert(key));
            }
        }
        assert_eq!(table.len(), model.len());
        assert_eq!(table.iter().cloned().collect::<BTreeSet<_>>(), model);
        assert!(table.segment_count() > 30);
        assert!((0..table.segment_count()).all(|i| table.segment(i).len() <= SEGMENT_ENTRIES_MAX));
        for key in &model {
            assert!(table.get(key).is_some());
        }
    }

    #[test]
    fn a_scan_returns_all_that_stayed_however_the_table_grew_and_shrank() {
        for seed in 0..20 {
            let mut table: Table<SmallBytes> = Table::new(HashSeed::new(seed));
            let mut rng = Rng::with_seed(seed);
            let stay: BTreeSet<_> = (0..800).map(key).collect();
            for key in &stay {
                table.insert(key.clone());
            }
            let (mut seen, mut cursor, mut calls) = (BTreeSet::new(), 0, 0);
            loop {
                let mut visited = 0;
                cursor = table.scan(cursor, 10, |key| {
                    seen.insert(key.clone());
                    visited += 1;
                });
                assert!(visited <= 11, "{visited}");
                for _ in 0..100 {
                    let other = key(1000 + rng.u32(..10_000));
                    if rng.bool() {
                        table.insert(other);
                    } else {
                        table.remove(&other);
                    }
                }
                calls += 1;
                if cursor == 0 {
                    break;
                }
                assert!(calls < 10_000);
            }
            assert!(stay.is_subset(&seen), "seed {seed}");
        }
    }

    #[test]
    fn random_finds_the_last_one() {
        let mut table: Table<SmallBytes> = Table::new(HashSeed::new(1));
        let mut rng = Rng::with_seed(1);
        assert!(table.random(&mut rng).is_none());
        for n in 0..5000 {
            table.insert(key(n));
        }
        for n in 1..5000 {
            table.remove(&key(n));
        }
        assert_eq!(table.random(&mut rng), Some(&key(0)));
    }
}
