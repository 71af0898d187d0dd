//! The log since the newest snapshot, in memory, as the raft crate wants to read it.
//!
//! Promises: holds exactly what the [`Persist`]s so far make of what was stored; entries follow the
//! snapshot without a gap. Bounded by compaction: its owner asks `snapshot_due`.

use super::{HardState, LogEntry, Persist, SnapshotRecord};
use raft::eraftpb::{self, ConfState, Entry, EntryType, Snapshot};
use raft::{GetEntriesContext, RaftState, Storage, StorageError};
use std::cell::Cell;
use std::collections::VecDeque;

pub(super) struct Mirror {
    snapshot: SnapshotRecord,
    entries: VecDeque<Entry>,
    hard_state: HardState,
    /// Somebody needs a newer snapshot: one that names it as a member.
    wanted: Cell<bool>,
}

impl Mirror {
    /// Of parts that passed `start::check`.
    pub(super) fn new(snapshot: SnapshotRecord, entries: Vec<LogEntry>, hard_state: HardState) -> Self {
        let entries = entries.into_iter().map(entry_from_record).collect();
        Mirror { snapshot, entries, hard_state, wanted: Cell::new(false) }
    }

    pub(super) fn snapshot_record(&self) -> &SnapshotRecord {
        &self.snapshot
    }

    /// Whether somebody cannot be served before there is a newer snapshot.
    pub(super) fn snapshot_wanted(&self) -> bool {
        self.wanted.get()
    }

    pub(super) fn want_snapshot(&self) {
        self.wanted.set(true);
    }

    /// Holds nothing and knows nobody: it waits to be added.
    pub(super) fn knows_nobody(&self) -> bool {
        self.snapshot.voters.is_empty()
    }

    pub(super) fn entry_count(&self) -> u64 {
        self.entries.len() as u64
    }

    pub(super) fn last(&self) -> u64 {
        self.snapshot.index + self.entries.len() as u64
    }

    /// The term of the entry at `index`, when it is the snapshot's or still here.
    pub(super) fn term_at(&self, index: u64) -> Option<u64> {
        if index == self.snapshot.index {
            return Some(self.snapshot.term);
        }
        let position = usize::try_from(index.checked_sub(self.snapshot.index + 1)?).ok()?;
        self.entries.get(position).map(|entry| entry.term)
    }

    /// The same change that the disk makes, in the same order.
    pub(super) fn apply(&mut self, persist: &Persist) {
        if let Some(snapshot) = &persist.snapshot {
            let covered = snapshot.index.saturating_sub(self.snapshot.index);
            let covered = usize::try_from(covered).unwrap_or(usize::MAX).min(self.entries.len());
            self.entries.drain(..covered);
            self.wanted.set(false);
            self.snapshot = snapshot.clone();
        }
        if let Some(from) = persist.truncate_from {
            let keep = from.saturating_sub(self.snapshot.index + 1);
            self.entries.truncate(usize::try_from(keep).unwrap_or(usize::MAX));
        }
        self.entries.extend(persist.entries.iter().cloned().map(entry_from_record));
        if let Some(hard_state) = persist.hard_state {
            self.hard_state = hard_state;
        }
    }
}

impl Storage for Mirror {
    fn initial_state(&self) -> raft::Result<RaftState> {
        let HardState { term, vote, commit } = self.hard_state;
        let hard_state = eraftpb::HardState { term, vote, commit, ..Default::default() };
        Ok(RaftState::new(hard_state, conf_state(&self.snapshot)))
    }

    fn entries(
        &self,
        low: u64,
        high: u64,
        max_size: impl Into<Option<u64>>,
        _context: GetEntriesContext,
    ) -> raft::Result<Vec<Entry>> {
        let first = self.snapshot.index + 1;
        if low < first {
            return Err(StorageError::Compacted.into());
        }
        if high > self.last() + 1 || high < low {
            return Err(StorageError::Unavailable.into());
        }
        let mut budget = max_size.into().unwrap_or(u64::MAX);
        let mut found: Vec<Entry> = Vec::new();
        // No more than the log's length, which is in memory: the casts cannot cut.
        for entry in self.entries.range((low - first) as usize..(high - first) as usize) {
            let size = raft::util::entry_approximate_size(entry) as u64;
            if size > budget && !found.is_empty() {
                break;
            }
            budget = budget.saturating_sub(size);
            found.push(entry.clone());
        }
        Ok(found)
    }

    fn term(&self, index: u64) -> raft::Result<u64> {
        let missing =
            if index < self.snapshot.index { StorageError::Compacted } else { StorageError::Unavailable };
        self.term_at(index).ok_or_else(|| missing.into())
    }

    fn first_index(&self) -> raft::Result<u64> {
        Ok(self.snapshot.index + 1)
    }

    fn last_index(&self) -> raft::Result<u64> {
        Ok(self.last())
    }

    fn snapshot(&self, request_index: u64, to: u64) -> raft::Result<Snapshot> {
        // Index 0 is no state at all; the crate would panic on it. And a node that a snapshot does not
        // name throws it away without a word: it must get one of after it was added.
        let names = self.snapshot.voters.contains(&to) || self.snapshot.learners.contains(&to);
        if self.snapshot.index == 0 || self.snapshot.index < request_index || !names {
            self.wanted.set(true);
            return Err(StorageError::SnapshotTemporarilyUnavailable.into());
        }
        Ok(snapshot_from_record(&self.snapshot))
    }
}

fn conf_state(record: &SnapshotRecord) -> ConfState {
    let SnapshotRecord { voters, learners, .. } = record.clone();
    ConfState { voters, learners, ..Default::default() }
}

pub(super) fn entry_from_record(record: LogEntry) -> Entry {
    let mut entry = Entry::default();
    entry.set_entry_type(match record.kind {
        1 => EntryType::EntryConfChange,
        2 => EntryType::EntryConfChangeV2,
        _ => EntryType::EntryNormal,
    });
    entry.index = record.index;
    entry.term = record.term;
    // What a change asks for stands in the entry's context, in our codec; its data would be protobuf.
    match record.kind {
        0 => entry.data = record.data.into(),
        _ => entry.context = record.data.into(),
    }
    entry
}

pub(super) fn record_from_entry(entry: &Entry) -> LogEntry {
    let kind = match entry.get_entry_type() {
        EntryType::EntryNormal => 0,
        EntryType::EntryConfChange => 1,
        EntryType::EntryConfChangeV2 => 2,
    };
    let data = if kind == 0 { &entry.data } else { &entry.context };
    LogEntry { index: entry.index, term: entry.term, kind, data: data.to_vec() }
}

pub(super) fn snapshot_from_record(record: &SnapshotRecord) -> Snapshot {
    let mut snapshot = Snapshot { data: record.state.clone().into(), ..Snapshot::default() };
    let metadata = snapshot.mut_metadata();
    metadata.index = record.index;
    metadata.term = record.term;
    metadata.set_conf_state(conf_state(record));
    snapshot
}

pub(super) fn record_from_snapshot(snapshot: &Snapshot) -> SnapshotRecord {
    let metadata = snapshot.get_metadata();
    SnapshotRecord {
        index: metadata.index,
        term: metadata.term,
        voters: metadata.get_conf_state().voters.clone(),
        learners: metadata.get_conf_state().learners.clone(),
        state: snapshot.data.to_vec(),
    }
}
