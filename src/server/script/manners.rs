//! What commands are when scripts are concerned, by name: which cannot be called from one, and which
//! are answered while one stands in the way. As Redis 7.0 has it, and our own.

use crate::resp::spec::{ALLOW_BUSY, Flags, MAY_REPLICATE, NO_SCRIPT};

const NOT_FROM_SCRIPTS: &[&str] = &[
    "acl",
    "auth",
    "bgrewriteaof",
    "bgsave",
    "blmove",
    "blmpop",
    "blpop",
    "brpop",
    "brpoplpush",
    "bzmpop",
    "bzpopmax",
    "bzpopmin",
    "client",
    "config",
    "debug",
    "discard",
    "eval",
    "eval_ro",
    "evalsha",
    "evalsha_ro",
    "exec",
    "failover",
    "fcall",
    "fcall_ro",
    "function",
    "hello",
    "latency",
    "monitor",
    "multi",
    "psubscribe",
    "psync",
    "punsubscribe",
    "quit",
    "replconf",
    "replicaof",
    "reset",
    "role",
    "save",
    "script",
    "shutdown",
    "slaveof",
    "ssubscribe",
    "subscribe",
    "sunsubscribe",
    "sync",
    "unsubscribe",
    "unwatch",
    "vedette",
    "wait",
    "waitaof",
    "watch",
];

/// SCRIPT and FUNCTION let in only what Redis lets in: KILL, and STATS of functions.
const WHILE_BUSY: &[&str] = &[
    "auth", "discard", "function", "hello", "multi", "quit", "replconf", "reset", "script", "shutdown",
    "unwatch", "watch",
];

pub fn flags_of(name: &str) -> Flags {
    let mut flags = 0;
    if NOT_FROM_SCRIPTS.contains(&name) {
        flags |= NO_SCRIPT;
    }
    if WHILE_BUSY.contains(&name) {
        flags |= ALLOW_BUSY;
    }
    if matches!(name, "publish" | "spublish") {
        flags |= MAY_REPLICATE;
    }
    flags
}

/// Whether a request is answered although a script stands in the way.
pub fn is_answered_while_busy(name: &str, flags: Flags, argv: &[&[u8]]) -> bool {
    let word = |words: &[&str]| {
        argv.get(1).is_some_and(|given| words.iter().any(|word| given.eq_ignore_ascii_case(word.as_bytes())))
    };
    match name {
        "script" => word(&["kill"]),
        "function" => word(&["kill", "stats"]),
        // Half of what a script does is in no snapshot.
        "shutdown" => argv.iter().skip(1).any(|given| given.eq_ignore_ascii_case(b"nosave")),
        _ => flags & ALLOW_BUSY != 0,
    }
}
