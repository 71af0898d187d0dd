//! Directives about memory: how much, what goes when it is short, what is kept in one piece, and what
//! is freed out of the way. Their rows are chained to those of [`super::directives`].

use super::ServerConfig;
use super::directives::{COUNT_MAX, Directive, live, renamed};
use super::values::*;

/// `maxmemory-policy`, as written.
pub const POLICIES: [&str; 8] = [
    "volatile-lru",
    "volatile-lfu",
    "volatile-random",
    "volatile-ttl",
    "allkeys-lru",
    "allkeys-lfu",
    "allkeys-random",
    "noeviction",
];

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryConfig {
    /// 0: no limit.
    pub max_bytes: u64,
    /// One of [`POLICIES`].
    pub policy: &'static str,
    pub samples: u32,
    /// 0 to 100: how much one command may be held up by evictions; 100: until memory is enough.
    pub eviction_tenacity: u32,
    pub lfu_log_factor: u32,
    pub lfu_decay_minutes: u32,
    /// A replica leaves evictions to its master.
    pub replica_ignores_max: bool,
    pub encodings: Encodings,
    pub lazy: LazyFreeing,
}

/// Up to where collections stay in one piece.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encodings {
    pub hash_entries: u64,
    pub hash_bytes: u64,
    pub set_ints: u64,
    pub zset_entries: u64,
    pub zset_bytes: u64,
    pub list_node: i64,
    pub hll_sparse_bytes: u64,
    pub stream_node_bytes: u64,
    pub stream_node_entries: u64,
}

/// What of heavy values is freed out of the way, besides what UNLINK deletes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LazyFreeing {
    pub eviction: bool,
    pub expire: bool,
    pub server_del: bool,
    pub user_del: bool,
    pub user_flush: bool,
    pub replica_flush: bool,
}

impl Default for MemoryConfig {
    fn default() -> Self {
        MemoryConfig {
            max_bytes: 0,
            policy: "noeviction",
            samples: 5,
            eviction_tenacity: 10,
            lfu_log_factor: 10,
            lfu_decay_minutes: 1,
            replica_ignores_max: true,
            encodings: Encodings {
                hash_entries: 512,
                hash_bytes: 64,
                set_ints: 512,
                zset_entries: 128,
                zset_bytes: 64,
                list_node: -2,
                hll_sparse_bytes: 3000,
                stream_node_bytes: 4096,
                stream_node_entries: 100,
            },
            lazy: LazyFreeing {
                eviction: true,
                expire: true,
                server_del: true,
                user_del: true,
                user_flush: true,
                replica_flush: true,
            },
        }
    }
}

fn policy(words: &[String]) -> Result<&'static str, String> {
    let word = choice(words, &POLICIES)?;
    // `choice` lets nothing else pass.
    Ok(POLICIES.into_iter().find(|policy| *policy == word).unwrap_or("noeviction"))
}

/// A limit that Redis calls by an older name too.
macro_rules! limit {
    ($name:literal, $old:literal, $field:ident, $min:literal) => {
        renamed(limit!($name, $field, $min), $old)
    };
    // As a size: `64`, `1kb`.
    ($name:literal, $old:literal, $field:ident) => {
        renamed(limit!($name, $field), $old)
    };
    ($name:literal, $field:ident) => {
        live(
            $name,
            |c| c.memory.encodings.$field.to_string(),
            |c, w| bytes(w).map(|v| c.memory.encodings.$field = v),
        )
    };
    ($name:literal, $field:ident, $min:literal) => {
        live(
            $name,
            |c| c.memory.encodings.$field.to_string(),
            |c, w| number(w, $min, i64::MAX).map(|v| c.memory.encodings.$field = v as u64),
        )
    };
}

macro_rules! lazy {
    ($name:literal, $field:ident) => {
        live($name, |c| yes_no_text(c.memory.lazy.$field), |c, w| yes_no(w).map(|v| c.memory.lazy.$field = v))
    };
}

pub(super) const ROWS: &[Directive] = &[
    live(
        "maxmemory",
        |c: &ServerConfig| c.memory.max_bytes.to_string(),
        |c, w| bytes(w).map(|v| c.memory.max_bytes = v),
    ),
    live("maxmemory-policy", |c| c.memory.policy.to_owned(), |c, w| policy(w).map(|v| c.memory.policy = v)),
    live(
        "maxmemory-samples",
        |c| c.memory.samples.to_string(),
        |c, w| number(w, 1, COUNT_MAX).map(|v| c.memory.samples = v as u32),
    ),
    live(
        "maxmemory-eviction-tenacity",
        |c| c.memory.eviction_tenacity.to_string(),
        |c, w| number(w, 0, 100).map(|v| c.memory.eviction_tenacity = v as u32),
    ),
    live(
        "lfu-log-factor",
        |c| c.memory.lfu_log_factor.to_string(),
        |c, w| number(w, 0, COUNT_MAX).map(|v| c.memory.lfu_log_factor = v as u32),
    ),
    live(
        "lfu-decay-time",
        |c| c.memory.lfu_decay_minutes.to_string(),
        |c, w| number(w, 0, COUNT_MAX).map(|v| c.memory.lfu_decay_minutes = v as u32),
    ),
    renamed(
        live(
            "replica-ignore-maxmemory",
            |c| yes_no_text(c.memory.replica_ignores_max),
            |c, w| yes_no(w).map(|v| c.memory.replica_ignores_max = v),
        ),
        "slave-ignore-maxmemory",
    ),
    limit!("hash-max-listpack-entries", "hash-max-ziplist-entries", hash_entries, 0),
    limit!("hash-max-listpack-value", "hash-max-ziplist-value", hash_bytes),
    limit!("set-max-intset-entries", set_ints, 0),
    limit!("zset-max-listpack-entries", "zset-max-ziplist-entries", zset_entries, 0),
    limit!("zset-max-listpack-value", "zset-max-ziplist-value", zset_bytes),
    renamed(
        live(
            "list-max-listpack-size",
            |c| c.memory.encodings.list_node.to_string(),
            |c, w| number(w, -COUNT_MAX, COUNT_MAX).map(|v| c.memory.encodings.list_node = v),
        ),
        "list-max-ziplist-size",
    ),
    live(
        "list-compress-depth",
        |_| "0".into(),
        |_, w| match number(w, 0, COUNT_MAX)? {
            0 => Ok(()),
            _ => Err("nodes of lists are not compressed here; 0 is the only depth".into()),
        },
    ),
    live(
        "hll-sparse-max-bytes",
        |c| c.memory.encodings.hll_sparse_bytes.to_string(),
        |c, w| bytes(w).map(|v| c.memory.encodings.hll_sparse_bytes = v),
    ),
    live(
        "stream-node-max-bytes",
        |c| c.memory.encodings.stream_node_bytes.to_string(),
        |c, w| bytes(w).map(|v| c.memory.encodings.stream_node_bytes = v),
    ),
    limit!("stream-node-max-entries", stream_node_entries, 0),
    lazy!("lazyfree-lazy-eviction", eviction),
    lazy!("lazyfree-lazy-expire", expire),
    lazy!("lazyfree-lazy-server-del", server_del),
    lazy!("lazyfree-lazy-user-del", user_del),
    lazy!("lazyfree-lazy-user-flush", user_flush),
    renamed(lazy!("replica-lazy-flush", replica_flush), "slave-lazy-flush"),
];
