//! One point in time, written while the data changes, without a fork.
//!
//! The walk goes segment by segment between commands. Before an entry that the walk has not reached is
//! changed, it is written out, and before entries come or go in a segment, all of it is; so what the
//! sink gets is the data set exactly as it was when the snapshot began, each entry once, in no
//! particular order.

use super::entry::Entry;
use super::keyspace::{DbTable, Mark};
use super::table::{SEGMENT_ENTRIES_MAX, Segment};
use super::value::Value;
use std::any::Any;

/// Takes the entries of a running snapshot. Several replicas share one snapshot: who fans it out is
/// the sink's business.
pub trait SnapshotSink: Any + Send {
    fn entry(&mut self, db: usize, key: &[u8], value: &Value, expire_at_ms: Option<u64>);

    /// It holds enough: the walk pauses after the segment that filled it.
    fn is_full(&self) -> bool {
        false
    }
}

/// The walk's place.
pub(super) struct Snapshot {
    pub(super) sink: Box<dyn SnapshotSink>,
    /// Segments that carry it are written.
    pub(super) generation: u32,
    pub(super) db: usize,
    pub(super) segment: usize,
    /// Databases emptied or replaced meanwhile, with their number at the begin: still to be written.
    pub(super) detached: Vec<(usize, DbTable)>,
}

/// Entries of one segment by their places, which none leaves while this stands.
#[derive(Clone)]
pub(super) struct Early {
    /// The snapshot that has them; those of an earlier one mean nothing.
    generation: u32,
    places: [u64; SEGMENT_ENTRIES_MAX.div_ceil(64)],
}

impl Early {
    fn holds(&self, place: usize) -> bool {
        self.places.get(place / 64).is_some_and(|bits| bits >> (place % 64) & 1 == 1)
    }
}

impl Snapshot {
    /// Writes a segment unless it was; how many entries.
    pub(super) fn write_segment(&mut self, db: usize, table: &mut DbTable, segment: usize) -> usize {
        self.write(db, table.segment_mut(segment))
    }

    fn write(&mut self, db: usize, segment: &mut Segment<Entry, Mark>) -> usize {
        if segment.mark.generation == self.generation {
            return 0;
        }
        segment.mark.generation = self.generation;
        let early = segment.mark.early.take().filter(|early| early.generation == self.generation);
        for (place, entry) in segment.iter().enumerate() {
            if !early.as_ref().is_some_and(|early| early.holds(place)) {
                self.sink.entry(db, entry.key(), &entry.value, entry.expire_at_ms());
            }
        }
        segment.len()
    }

    /// Writes one entry unless it or its segment was.
    pub(super) fn write_early(&mut self, db: usize, table: &mut DbTable, segment: usize, place: usize) {
        let segment = table.segment_mut(segment);
        if segment.mark.generation == self.generation {
            return;
        }
        if place >= SEGMENT_ENTRIES_MAX {
            // Of hashes that would not part.
            self.write(db, segment);
            return;
        }
        let fresh = || Box::new(Early { generation: self.generation, places: Default::default() });
        let mut early = segment.mark.early.take().filter(|early| early.generation == self.generation);
        let seen = early.get_or_insert_with(fresh);
        if let Some(entry) = segment.get(place).filter(|_| !seen.holds(place)) {
            seen.places[place / 64] |= 1 << (place % 64);
            self.sink.entry(db, entry.key(), &entry.value, entry.expire_at_ms());
        }
        segment.mark.early = early;
    }

    /// Writes what was detached; whether all of it is written.
    pub(super) fn write_detached(&mut self, budget: &mut usize) -> bool {
        while let Some((db, table)) = self.detached.last_mut() {
            let Some(mut segment) = table.pop_segment() else {
                self.detached.pop();
                continue;
            };
            let db = *db;
            self.write(db, &mut segment);
            *budget = budget.saturating_sub(segment.len().max(1));
            if *budget == 0 || self.sink.is_full() {
                return self.detached.is_empty();
            }
        }
        true
    }
}
