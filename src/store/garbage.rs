//! What is deleted but not freed yet. Freeing a million items takes longer than any client should
//! wait, so the engine only takes such a value out of sight; whoever holds the garbage drops it where
//! nobody waits. Counts itself, so that what is still to be freed is known. Has never heard of a
//! thread.

use super::keyspace::{DbTable, Keyspace};
use super::value::Value;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Values of so many parts are freed out of the way; as Redis' lazy freeing has it.
pub const HEAVY_PARTS: usize = 64;

#[derive(Debug, Default)]
pub struct Counters {
    pending: AtomicU64,
    freed: AtomicU64,
}

impl Counters {
    pub fn pending(&self) -> u64 {
        self.pending.load(Relaxed)
    }

    pub fn freed(&self) -> u64 {
        self.freed.load(Relaxed)
    }

    /// CONFIG RESETSTAT.
    pub fn reset_freed(&self) {
        self.freed.store(0, Relaxed);
    }
}

/// Held for nothing but its end.
#[expect(dead_code, reason = "what is in it is dropped and never looked at")]
pub(super) enum Content {
    Value(Value),
    Table(DbTable),
}

/// To be dropped where it takes nobody's time.
pub struct Garbage {
    content: Option<Content>,
    objects: u64,
    counters: Arc<Counters>,
}

impl Garbage {
    pub(super) fn new(content: Content, counters: &Arc<Counters>) -> Self {
        let objects = match &content {
            Content::Value(_) => 1,
            Content::Table(table) => table.len() as u64,
        };
        counters.pending.fetch_add(objects, Relaxed);
        Garbage { content: Some(content), objects, counters: counters.clone() }
    }
}

impl Drop for Garbage {
    fn drop(&mut self) {
        drop(self.content.take());
        self.counters.pending.fetch_sub(self.objects, Relaxed);
        self.counters.freed.fetch_add(self.objects, Relaxed);
    }
}

impl fmt::Debug for Garbage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Garbage({} objects)", self.objects)
    }
}

/// Which heavy values are freed out of the way, besides those that UNLINK deletes.
#[derive(Clone, Copy, Debug)]
pub struct Lazy {
    pub deleted: bool,
    pub replaced: bool,
    pub expired: bool,
    /// FLUSHALL and FLUSHDB that do not say how.
    pub flushed: bool,
    /// What a full sync replaces.
    pub resynced: bool,
}

impl Default for Lazy {
    fn default() -> Self {
        Lazy { deleted: true, replaced: true, expired: true, flushed: true, resynced: true }
    }
}

impl Keyspace {
    /// A value that left the keyspace: into the garbage if it is heavy, else freed here.
    pub fn discard_value(&mut self, value: Value) {
        if value.parts() > HEAVY_PARTS {
            self.garbage.push(Garbage::new(Content::Value(value), &self.counters));
        }
    }

    /// A value that a command deleted.
    pub fn deleted(&mut self, value: Value) {
        if self.lazy.deleted {
            self.discard_value(value);
        }
    }

    /// A value that another took the place of.
    #[inline]
    pub fn replaced(&mut self, value: Value) {
        if self.lazy.replaced && !matches!(value, Value::Str(_)) {
            self.discard_value(value);
        }
    }

    #[inline]
    pub fn has_garbage(&self) -> bool {
        !self.garbage.is_empty()
    }

    /// What is to be freed, for whoever has the time.
    pub fn take_garbage(&mut self) -> Vec<Garbage> {
        std::mem::take(&mut self.garbage)
    }

    /// How much is and was freed out of the way.
    pub fn garbage_counters(&self) -> &Counters {
        &self.counters
    }
}
