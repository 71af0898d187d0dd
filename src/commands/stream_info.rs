//! XINFO: a stream, its groups and their consumers, looked at from outside.

use super::args::{int, is};
use super::stream_ids::{check_subcommand, limit, reply_entries, reply_entry, reply_id, subcommand_syntax};
use super::{CommandError, DataCommand, Done, Unit, row};
use crate::resp::Writer;
use crate::resp::spec::{Arity, Keys, READONLY};
use crate::store::stream_group::{Consumer, Group};
use crate::store::{Stream, StreamId};

const HELP: &[&str] = &[
    "XINFO <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "CONSUMERS <key> <groupname>",
    "    Show consumers of <groupname>.",
    "GROUPS <key>",
    "    Show the stream consumer groups.",
    "STREAM <key> [FULL [COUNT <count>]",
    "    Show information about the stream.",
    "HELP",
    "    Prints this help.",
];

const SUBCOMMANDS: &[(&str, Arity)] = &[
    ("consumers", Arity::Exactly(4)),
    ("groups", Arity::Exactly(3)),
    ("stream", Arity::AtLeast(3)),
    ("help", Arity::Exactly(2)),
];

fn number(reply: &mut Writer<'_>, name: &str, value: i64) {
    reply.bulk(name.as_bytes());
    reply.integer(value);
}

fn optional(reply: &mut Writer<'_>, name: &str, value: Option<i64>) {
    reply.bulk(name.as_bytes());
    match value {
        Some(value) => reply.integer(value),
        None => reply.null(),
    }
}

fn id(reply: &mut Writer<'_>, name: &str, id: StreamId) {
    reply.bulk(name.as_bytes());
    reply_id(reply, id);
}

/// How many nodes Redis' radix tree has for these keys: one for each end, one where keys part, one
/// for each run of bytes between. All from `depth` on, the keys sorted and agreeing up to there.
fn radix_nodes(keys: &[[u8; 16]], depth: usize) -> i64 {
    let (Some(first), Some(last)) = (keys.first(), keys.last()) else { return 1 };
    if keys.len() == 1 {
        return 1 + i64::from(depth < 16);
    }
    let fork = (depth..16).find(|&at| first[at] != last[at]).unwrap_or(16);
    let branches = keys.chunk_by(|a, b| a.get(fork) == b.get(fork));
    let below: i64 = branches.map(|branch| radix_nodes(branch, (fork + 1).min(16))).sum();
    below + 1 + i64::from(fork > depth)
}

fn head(stream: &Stream, reply: &mut Writer<'_>) {
    let keys: Vec<[u8; 16]> = stream.nodes().map(|(id, _)| id.to_bytes()).collect();
    number(reply, "length", stream.len() as i64);
    number(reply, "radix-tree-keys", keys.len() as i64);
    number(reply, "radix-tree-nodes", radix_nodes(&keys, 0));
    id(reply, "last-generated-id", stream.last_id());
    id(reply, "max-deleted-entry-id", stream.max_deleted_id());
    number(reply, "entries-added", stream.entries_added() as i64);
    id(reply, "recorded-first-entry-id", stream.first_id());
}

fn short(stream: &Stream, reply: &mut Writer<'_>) {
    reply.map(10);
    head(stream, reply);
    number(reply, "groups", stream.groups().len() as i64);
    let first = stream.range(StreamId::ZERO, StreamId::MAX).next();
    for (name, entry) in [("first-entry", first), ("last-entry", stream.newest())] {
        reply.bulk(name.as_bytes());
        match entry {
            Some(entry) => reply_entry(reply, &entry),
            None => reply.null(),
        }
    }
}

fn full(stream: &Stream, count: i64, reply: &mut Writer<'_>) {
    let count = limit(count);
    reply.map(9);
    head(stream, reply);
    reply.bulk(b"entries");
    reply_entries(reply, stream.range(StreamId::ZERO, StreamId::MAX).take(count));
    reply.bulk(b"groups");
    reply.array(stream.groups().len());
    for (name, group) in stream.groups() {
        reply.map(7);
        reply.bulk(b"name");
        reply.bulk(name);
        id(reply, "last-delivered-id", group.last_id);
        optional(reply, "entries-read", group.entries_read.map(|read| read as i64));
        optional(reply, "lag", stream.lag(group));
        number(reply, "pel-count", group.pending().len() as i64);
        reply.bulk(b"pending");
        reply.array(group.pending().len().min(count));
        for (&id, pending) in group.pending().iter().take(count) {
            reply.array(4);
            reply_id(reply, id);
            reply.bulk(group.name_of(pending.consumer));
            reply.integer(pending.delivered_at_ms as i64);
            reply.integer(pending.deliveries as i64);
        }
        reply.bulk(b"consumers");
        reply.array(group.consumer_count());
        group.consumers().for_each(|consumer| full_consumer(group, consumer, count, reply));
    }
}

fn full_consumer(group: &Group, consumer: &Consumer, count: usize, reply: &mut Writer<'_>) {
    reply.map(4);
    reply.bulk(b"name");
    reply.bulk(&consumer.name);
    number(reply, "seen-time", consumer.seen_at_ms as i64);
    number(reply, "pel-count", consumer.pending.len() as i64);
    reply.bulk(b"pending");
    reply.array(consumer.pending.len().min(count));
    for id in consumer.pending.iter().take(count) {
        let pending = group.pending().get(id);
        reply.array(3);
        reply_id(reply, *id);
        reply.integer(pending.map_or(0, |pending| pending.delivered_at_ms as i64));
        reply.integer(pending.map_or(0, |pending| pending.deliveries as i64));
    }
}

fn groups(stream: &Stream, reply: &mut Writer<'_>) {
    reply.array(stream.groups().len());
    for (name, group) in stream.groups() {
        reply.map(6);
        reply.bulk(b"name");
        reply.bulk(name);
        number(reply, "consumers", group.consumer_count() as i64);
        number(reply, "pending", group.pending().len() as i64);
        id(reply, "last-delivered-id", group.last_id);
        optional(reply, "entries-read", group.entries_read.map(|read| read as i64));
        optional(reply, "lag", stream.lag(group));
    }
}

fn consumers(group: &Group, now_ms: u64, reply: &mut Writer<'_>) {
    reply.array(group.consumer_count());
    for consumer in group.consumers() {
        reply.map(3);
        reply.bulk(b"name");
        reply.bulk(&consumer.name);
        number(reply, "pending", consumer.pending.len() as i64);
        number(reply, "idle", now_ms.saturating_sub(consumer.seen_at_ms) as i64);
    }
}

/// FULL with its COUNT; `None` for the short form.
fn full_count(argv: &[&[u8]]) -> Result<Option<i64>, CommandError> {
    match argv[3..] {
        [] => Ok(None),
        [word] if is(word, "full") => Ok(Some(10)),
        [word, name, count] if is(word, "full") && is(name, "count") => {
            Ok(Some(int(count)?).map(|count| if count < 0 { 10 } else { count }))
        }
        _ => Err(subcommand_syntax(argv)),
    }
}

fn xinfo(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    check_subcommand(argv, SUBCOMMANDS)?;
    if argv.len() == 2 {
        reply.array(HELP.len());
        HELP.iter().for_each(|line| reply.simple(line));
        return Ok(());
    }
    let now_ms = unit.now_ms();
    let stream = unit.read_stream(argv[2])?.ok_or(CommandError::NoSuchKey)?;
    if is(argv[1], "groups") {
        groups(stream, reply);
    } else if is(argv[1], "consumers") {
        let Some(group) = stream.group(argv[3]) else {
            let (name, key) = (String::from_utf8_lossy(argv[3]), String::from_utf8_lossy(argv[2]));
            return Err(CommandError::Text(format!(
                "NOGROUP No such consumer group '{name}' for key name '{key}'"
            )));
        };
        consumers(group, now_ms, reply);
    } else {
        match full_count(argv)? {
            Some(count) => full(stream, count, reply),
            None => short(stream, reply),
        }
    }
    Ok(())
}

const KEY_2: Keys = Keys { first: 2, last: 2, step: 1 };

pub(super) const COMMANDS: &[DataCommand] = &[row(
    "xinfo",
    Arity::AtLeast(2),
    READONLY,
    KEY_2,
    "@stream",
    "A stream, its groups and consumers",
    xinfo,
)];
