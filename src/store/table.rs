//! The one hash table of the house: many small tables by hash prefix (extendible hashing), split
//! one at a time.
//!
//! Promises: no insert moves more than one segment of [`SEGMENT_ENTRIES_MAX`] entries; a scan
//! returns everything that was there from its begin to its end, at least once, whatever was
//! inserted or removed meanwhile. Has never heard of values, times or snapshots: what a user of
//! the table must remember of a segment it keeps in the segment's mark `M`.

mod ahead;

use super::index::{Index, PLACES_MAX};
use super::rows::Rows;
use super::seed::HashSeed;
use crate::stdx::Rng;

pub use ahead::AHEAD_MAX;

/// What an index can tell apart.
pub const SEGMENT_ENTRIES_MAX: usize = PLACES_MAX;

/// The bits of a hash that order segments and scans. The top 7 are the index's, and would tell
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

/// Up to here a segment is searched from its begin: one or two cache lines, and no index to keep.
const UNINDEXED_MAX: usize = 8;

/// Entries stand beside each other in no order, with little room to spare; an index finds them. A hash
/// table of the entries themselves would be half empty most of the time.
#[derive(Clone)]
pub struct Segment<T, M> {
    entries: Rows<T>,
    /// Absent until there are more than [`UNINDEXED_MAX`]; then of the first [`SEGMENT_ENTRIES_MAX`].
    index: Index,
    depth: u32,
    pub mark: M,
}

impl<T, M> Segment<T, M> {
    fn new(index: Index, depth: u32, mark: M) -> Self {
        Segment { entries: Rows::default(), index, depth, mark }
    }

    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.entries.iter()
    }

    #[inline]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub fn get(&self, at: usize) -> Option<&T> {
        self.entries.get(at)
    }

    /// Memory set aside for it beside its own.
    pub fn heap_bytes(&self) -> usize {
        self.entries.heap_bytes() + self.index.heap_bytes()
    }
}

impl<T: Keyed, M> Segment<T, M> {
    /// For half as many again as there are.
    fn build_index(&mut self, seed: &HashSeed) {
        self.index = Index::with_room(self.len());
        for (at, entry) in self.entries.iter().take(SEGMENT_ENTRIES_MAX).enumerate() {
            self.index.insert(seed.hash(entry.key()), at);
        }
    }

    #[inline]
    fn find(&self, hash: u64, key: &[u8]) -> Option<usize> {
        if self.index.is_absent() {
            return self.entries.iter().position(|entry| entry.key() == key);
        }
        let is_it = |at| self.entries.get(at).is_some_and(|entry| entry.key() == key);
        let found = self.index.find(hash, is_it);
        if found.is_some() || self.len() <= SEGMENT_ENTRIES_MAX {
            return found;
        }
        // Hashes that would not part: never with a secret seed.
        (SEGMENT_ENTRIES_MAX..self.len()).find(|&at| is_it(at))
    }

    fn push(&mut self, hash: u64, entry: T, seed: &HashSeed) -> usize {
        let at = self.entries.push(entry);
        if self.index.is_absent() {
            if at >= UNINDEXED_MAX {
                self.build_index(seed);
            }
        } else if !self.index.has_room() {
            self.build_index(seed);
        } else if at < SEGMENT_ENTRIES_MAX {
            self.index.insert(hash, at);
        }
        at
    }

    fn remove(&mut self, hash: u64, at: usize, seed: &HashSeed) -> Option<T> {
        let last = self.entries.len().checked_sub(1)?;
        if !self.index.is_absent() {
            let is_indexed = at < SEGMENT_ENTRIES_MAX;
            if is_indexed && !self.index.remove(hash, at) {
                // A stale spot: the entry's own key says where it is indexed.
                self.index.remove(seed.hash(self.entries.get(at)?.key()), at);
            }
            if at < last {
                let moved = seed.hash(self.entries.get(last)?.key());
                if last < SEGMENT_ENTRIES_MAX {
                    self.index.change_place(moved, last, at);
                } else if is_indexed {
                    self.index.insert(moved, at);
                }
            }
        }
        self.entries.swap_remove(at)
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
        let first = Segment::new(Index::default(), 0, M::default());
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
        let bucket = self.segments[segment].find(hash, key);
        Spot { hash, segment, bucket }
    }

    #[inline]
    pub fn at(&self, spot: Spot) -> Option<&T> {
        self.segments[spot.segment].entries.get(spot.bucket?)
    }

    /// The key must not be changed.
    #[inline]
    pub fn at_mut(&mut self, spot: Spot) -> Option<&mut T> {
        self.segments[spot.segment].entries.get_mut(spot.bucket?)
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
        let bucket = Some(self.segments[segment].push(spot.hash, entry, &self.seed));
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
        let entry = self.segments[spot.segment].remove(spot.hash, bucket, &self.seed)?;
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
        let half = self.segments[segment].len() / 2;
        let mark = self.segments[segment].mark.clone();
        let mut upper = Segment::new(Index::with_room(half), depth + 1, mark.clone());
        let lower = Segment::new(Index::with_room(half), depth + 1, mark);
        let old = std::mem::replace(&mut self.segments[segment], lower);
        let lower = &mut self.segments[segment];
        old.entries.take_apart(|entry| {
            let hash = self.seed.hash(entry.key());
            let side = if hash >> bit & 1 == 1 { &mut upper } else { &mut *lower };
            side.push(hash, entry, &self.seed);
        });
        let new = self.segments.len() as u32;
        if self.segments.len() == self.segments.capacity() {
            self.segments.reserve_exact(self.segments.len() / 8 + 1);
        }
        self.segments.push(upper);
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

    /// Memory set aside for it beside its own, without what entries point to.
    pub fn heap_bytes(&self) -> usize {
        self.directory.capacity() * size_of::<u32>()
            + self.segments.capacity() * size_of::<Segment<T, M>>()
            + self.segments.iter().map(Segment::heap_bytes).sum::<usize>()
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

    /// Where some entry is, each as likely as any other; `None` only when empty.
    pub fn random_spot(&self, rng: &mut Rng) -> Option<Spot> {
        if self.len == 0 {
            return None;
        }
        let spot = |segment, at| Some(Spot { hash: 0, segment, bucket: Some(at) });
        for _ in 0..256 {
            let segment = rng.usize(..self.segments.len());
            let len = self.segments[segment].len();
            // However full its segment is.
            let width = if self.segments.len() == 1 { len } else { SEGMENT_ENTRIES_MAX.max(len) };
            let at = rng.usize(..width);
            if at < len {
                return spot(segment, at);
            }
        }
        // Nearly everything was removed: look at all of it, from a random one on.
        let mut left = rng.usize(..self.len);
        for (number, segment) in self.segments.iter().enumerate() {
            if left < segment.len() {
                return spot(number, left);
            }
            left -= segment.len();
        }
        None
    }

    pub fn random(&self, rng: &mut Rng) -> Option<&T> {
        self.at(self.random_spot(rng)?)
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
