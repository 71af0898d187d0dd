//! Replication and supervision, met at the ports of real processes: the bundled server beside
//! Debian's redis-server, in both directions.

mod failover;
mod migrate;
mod older_masters;
mod restart;
mod supervised;
mod sync;

use super::support::{Process, Wire, eventually};
use vedette::resp::Reply;

pub const ALL_TYPES: &[&str] = &[
    "SET text value",
    "SET number 12345",
    "SET passing x PX 100000000",
    "RPUSH list a b 3 -70000",
    "SADD ints 1 2 3 70000",
    "SADD words x y z",
    "HSET hash f v g 12",
    "ZADD zset 1.5 a -inf b 3 c",
    "XADD stream 1-1 field value number 12",
    "XADD stream 1-2 field other number -70000",
    "XADD stream 2-0 another field",
    "XADD stream 3-0 field 4",
    "XGROUP CREATE stream group 0",
    "XREADGROUP GROUP group first COUNT 2 STREAMS stream >",
    "XREADGROUP GROUP group second COUNT 1 STREAMS stream >",
    "XACK stream group 1-1",
    "XDEL stream 1-2",
];

/// A field of INFO.
pub fn info(wire: &mut Wire, field: &str) -> Option<String> {
    let reply = wire.line("INFO replication");
    let vedette = wire.line("INFO vedette");
    let text = format!("{}{}", reply.as_str().unwrap_or(""), vedette.as_str().unwrap_or(""));
    text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':').map(|v| v.trim().to_owned()))
}

pub fn follows(process: &Process) -> bool {
    info(&mut process.connect(), "master_link_status").as_deref() == Some("up")
}

pub fn offset(process: &Process) -> u64 {
    info(&mut process.connect(), "master_repl_offset").and_then(|text| text.parse().ok()).unwrap_or(0)
}

pub fn follow(replica: &Process, master: &Process) {
    let reply = replica.connect().line(&format!("REPLICAOF 127.0.0.1 {}", master.port));
    assert!(reply.is_ok(), "{reply:?}");
    eventually("the link comes up", || follows(replica));
}

/// Everything in a server, comparable between kinds.
pub fn content(process: &Process) -> Vec<String> {
    let mut wire = process.connect();
    let keys = wire.line("KEYS *");
    let mut keys: Vec<String> =
        keys.as_array().unwrap_or(&[]).iter().filter_map(|key| key.as_str().map(str::to_owned)).collect();
    keys.sort();
    let mut all = Vec::new();
    for key in keys {
        let kind = wire.ask(&["TYPE", &key]);
        let mut value = match kind.as_str() {
            Some("string") => vec![wire.ask(&["GET", &key])],
            Some("list") => items(wire.ask(&["LRANGE", &key, "0", "-1"])),
            Some("set") => items(wire.ask(&["SMEMBERS", &key])),
            Some("hash") => items(wire.ask(&["HGETALL", &key])),
            // Pending by consumer: Redis keeps counters of deliveries and reads to the master.
            Some("stream") => {
                [&["XRANGE", &key, "-", "+"][..], &["XINFO", "STREAM", &key], &["XPENDING", &key, "group"]]
                    .map(|words| wire.ask(words))
                    .to_vec()
            }
            _ => items(wire.ask(&["ZRANGE", &key, "0", "-1", "WITHSCORES"])),
        };
        if matches!(kind.as_str(), Some("set" | "hash")) {
            value.sort_by_key(|item| item.as_bytes().map(<[u8]>::to_vec));
        }
        let time = wire.ask(&["PEXPIRETIME", &key]);
        all.push(format!("{key} {kind:?} {value:?} {time:?}"));
    }
    all
}

fn items(reply: Reply) -> Vec<Reply> {
    reply.as_array().map(<[Reply]>::to_vec).unwrap_or_default()
}

pub fn same_content(a: &Process, b: &Process) {
    eventually("both hold the same", || offset(a) == offset(b) && content(a) == content(b));
}
