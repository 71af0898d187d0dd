//! What a write did. Nothing dirty means nothing propagated. What is propagated carries absolute
//! times and chosen members, never relative ones: a replica throws no dice and reads no clock.

/// What the replication stream and the AOF get in place of the request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Propagate {
    /// The request as it came, if anything is dirty.
    #[default]
    AsGiven,
    /// Nothing, even if dirty.
    Nothing,
    /// These commands in its place (`SET k v EX 5` becomes `SET k v PXAT ...`, `SPOP` becomes `SREM`).
    Rewritten(Vec<Vec<Vec<u8>>>),
}

/// What cannot be told from a request and what it left: written down only while somebody listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// A key was made.
    New(usize, Box<[u8]>),
    /// A reader looked for a key that is not there.
    Missed(usize, Box<[u8]>),
    /// A key was deleted by a command that may delete several, or one in place of a result.
    Deleted(usize, Box<[u8]>),
    /// A stream was cut besides being added to.
    Trimmed(Box<[u8]>),
}

#[derive(Debug, Default)]
#[must_use]
pub struct Effects {
    /// Changes to data, as Redis counts them for `save` points.
    pub dirty: u64,
    pub propagate: Propagate,
    /// Keys found past their time and deleted on the way, with their database: `DEL` goes out before the command.
    pub expired: Vec<(usize, Box<[u8]>)>,
    /// The whole keyspace was changed (FLUSHALL, FLUSHDB): every watcher is touched.
    pub all_touched: bool,
    pub keyspace_hits: u64,
    pub keyspace_misses: u64,
    /// Somebody wants to know which keys change: notes are taken.
    pub noting: bool,
    pub notes: Vec<Note>,
}

impl Effects {
    /// Ready for the next unit, keeping allocations.
    pub fn clear(&mut self) {
        self.dirty = 0;
        self.propagate = Propagate::AsGiven;
        self.expired.clear();
        self.all_touched = false;
        self.keyspace_hits = 0;
        self.keyspace_misses = 0;
        self.notes.clear();
    }

    /// Replaces the request by one other command.
    pub fn rewrite(&mut self, argv: Vec<Vec<u8>>) {
        self.propagate = Propagate::Rewritten(vec![argv]);
    }
}
