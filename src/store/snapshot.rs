//! One point in time, written while the data changes, without a fork.
//!
//! The walk goes segment by segment between commands. Before a segment that the walk has not
//! reached is changed, all of it is written out; so what the sink gets is the data set exactly as
//! it was when the snapshot began, each entry once, in no particular order.

use super::keyspace::DbTable;
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

impl Snapshot {
    /// Writes a segment unless it was; how many entries.
    pub(super) fn write_segment(&mut self, db: usize, table: &mut DbTable, segment: usize) -> usize {
        let segment = table.segment_mut(segment);
        if segment.mark.generation == self.generation {
            return 0;
        }
        segment.mark.generation = self.generation;
        for entry in segment.iter() {
            self.sink.entry(db, entry.key(), &entry.value, entry.expire_at_ms());
        }
        segment.len()
    }

    /// Writes what was detached; whether all of it is written.
    pub(super) fn write_detached(&mut self, budget: &mut usize) -> bool {
        while let Some((db, table)) = self.detached.last_mut() {
            let Some(segment) = table.pop_segment() else {
                self.detached.pop();
                continue;
            };
            if segment.mark.generation != self.generation {
                for entry in segment.iter() {
                    self.sink.entry(*db, entry.key(), &entry.value, entry.expire_at_ms());
                }
            }
            *budget = budget.saturating_sub(segment.len().max(1));
            if *budget == 0 || self.sink.is_full() {
                return self.detached.is_empty();
            }
        }
        true
    }
}
