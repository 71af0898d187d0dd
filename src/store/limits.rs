//! Up to where collections are kept in one piece: what `hash-max-listpack-entries` and its like say.
//! They stand beside the seed that is handed in where a collection grows, so that a change counts for
//! the next write of each. Knows no directive's name.

use super::stream_node::NodeLimits;
use std::sync::atomic::{AtomicI32, AtomicU32, AtomicUsize, Ordering::Relaxed};

/// As Redis' defaults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub hash_entries: u32,
    pub hash_bytes: u32,
    pub set_ints: u32,
    pub zset_entries: u32,
    pub zset_bytes: u32,
    /// Of one node of a list: so many items, or negative as Redis has it: -1 to -5 for 4 to 64 KiB.
    pub list_node: i32,
    pub stream_node: NodeLimits,
    pub hll_sparse_bytes: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            hash_entries: 512,
            hash_bytes: 64,
            set_ints: 512,
            zset_entries: 128,
            zset_bytes: 64,
            list_node: -2,
            stream_node: NodeLimits::default(),
            hll_sparse_bytes: 3000,
        }
    }
}

/// [`Limits`] that may change while tables hold them.
#[derive(Debug)]
pub struct SharedLimits {
    hash_entries: AtomicU32,
    hash_bytes: AtomicU32,
    set_ints: AtomicU32,
    zset_entries: AtomicU32,
    zset_bytes: AtomicU32,
    list_node: AtomicI32,
    stream_node_bytes: AtomicUsize,
    stream_node_entries: AtomicUsize,
    hll_sparse_bytes: AtomicU32,
}

impl Default for SharedLimits {
    fn default() -> Self {
        let limits = Limits::default();
        SharedLimits {
            hash_entries: AtomicU32::new(limits.hash_entries),
            hash_bytes: AtomicU32::new(limits.hash_bytes),
            set_ints: AtomicU32::new(limits.set_ints),
            zset_entries: AtomicU32::new(limits.zset_entries),
            zset_bytes: AtomicU32::new(limits.zset_bytes),
            list_node: AtomicI32::new(limits.list_node),
            stream_node_bytes: AtomicUsize::new(limits.stream_node.bytes),
            stream_node_entries: AtomicUsize::new(limits.stream_node.entries),
            hll_sparse_bytes: AtomicU32::new(limits.hll_sparse_bytes),
        }
    }
}

impl SharedLimits {
    pub fn set(&self, limits: Limits) {
        self.hash_entries.store(limits.hash_entries, Relaxed);
        self.hash_bytes.store(limits.hash_bytes, Relaxed);
        self.set_ints.store(limits.set_ints, Relaxed);
        self.zset_entries.store(limits.zset_entries, Relaxed);
        self.zset_bytes.store(limits.zset_bytes, Relaxed);
        self.list_node.store(limits.list_node, Relaxed);
        self.stream_node_bytes.store(limits.stream_node.bytes, Relaxed);
        self.stream_node_entries.store(limits.stream_node.entries, Relaxed);
        self.hll_sparse_bytes.store(limits.hll_sparse_bytes, Relaxed);
    }

    /// Alone, for it is asked for with every push.
    #[inline]
    pub fn list_node(&self) -> i32 {
        self.list_node.load(Relaxed)
    }

    pub fn get(&self) -> Limits {
        Limits {
            hash_entries: self.hash_entries.load(Relaxed),
            hash_bytes: self.hash_bytes.load(Relaxed),
            set_ints: self.set_ints.load(Relaxed),
            zset_entries: self.zset_entries.load(Relaxed),
            zset_bytes: self.zset_bytes.load(Relaxed),
            list_node: self.list_node.load(Relaxed),
            stream_node: NodeLimits {
                bytes: self.stream_node_bytes.load(Relaxed),
                entries: self.stream_node_entries.load(Relaxed),
            },
            hll_sparse_bytes: self.hll_sparse_bytes.load(Relaxed),
        }
    }
}
