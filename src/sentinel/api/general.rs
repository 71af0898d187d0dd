//! The commands beside SENTINEL that live on this port, their table at the foot.

use super::facts::Facts;
use super::{Outcome, commands, info, quoted};
use crate::resp::Writer;
use crate::resp::spec::{ADMIN, Arity, CommandSpec, FAST, Flags, LOADING, NO_AUTH, NO_KEYS, PUBSUB, STALE};

pub const HELLO_CHANNEL: &[u8] = b"__sentinel__:hello";

type Run = fn(&Facts, &[&[u8]], &mut Writer<'_>) -> Outcome;

pub fn execute(facts: &Facts, argv: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let name = argv[0];
    let Some((spec, run)) = TABLE.iter().find(|(spec, _)| name.eq_ignore_ascii_case(spec.name.as_bytes()))
    else {
        // Each word is followed by a space, the last one too: so it stands in clients' tests.
        let words: String = argv[1..].iter().take(8).map(|word| format!("'{}' ", quoted(word))).collect();
        reply.error(&format!("ERR unknown command '{}', with args beginning with: {}", quoted(name), words));
        return Outcome::Replied;
    };
    if !spec.arity.accepts(argv.len()) {
        reply.error(&format!("ERR wrong number of arguments for '{}' command", spec.name));
        return Outcome::Replied;
    }
    run(facts, argv, reply)
}

/// Whether there is a command of this name here.
pub fn knows(name: &str) -> bool {
    TABLE.iter().any(|(spec, _)| spec.name.eq_ignore_ascii_case(name))
}

fn ping(_: &Facts, argv: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    match argv {
        [_] => reply.simple("PONG"),
        [_, text] => reply.bulk(text),
        _ => reply.error("ERR wrong number of arguments for 'ping' command"),
    }
    Outcome::Replied
}

fn info_text(facts: &Facts, argv: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    // Plain in RESP3 too: a sentinel of Redis answers so.
    reply.bulk(info::text(facts, &argv[1..]).as_bytes());
    Outcome::Replied
}

fn role(facts: &Facts, _: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    reply.array(2);
    reply.bulk(b"sentinel");
    reply.array(facts.groups.len());
    for group in &facts.groups {
        reply.bulk(group.name.as_bytes());
    }
    Outcome::Replied
}

fn publish(_: &Facts, argv: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    if argv[1] != HELLO_CHANNEL {
        reply.error("ERR Only HELLO messages are accepted by Sentinel instances.");
        return Outcome::Replied;
    }
    reply.integer(1);
    Outcome::Publish
}

fn shutdown(_: &Facts, argv: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let known = [&b"NOSAVE"[..], b"SAVE", b"NOW", b"FORCE"];
    if argv[1..].iter().any(|word| !known.iter().any(|known| word.eq_ignore_ascii_case(known))) {
        reply.error("ERR syntax error");
        return Outcome::Replied;
    }
    Outcome::Shutdown
}

fn echo(_: &Facts, argv: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    reply.bulk(argv[1]);
    Outcome::Replied
}

/// A sentinel holds no data; clients that were given a database number ask for it all the same.
fn select(_: &Facts, argv: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    match argv[1] {
        b"0" => reply.ok(),
        _ => reply.error("ERR DB index is out of range"),
    }
    Outcome::Replied
}

fn quit(_: &Facts, _: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    reply.ok();
    Outcome::Close
}

/// What COMMAND knows of these rows.
pub(super) fn specs() -> impl Iterator<Item = &'static CommandSpec> {
    TABLE.iter().map(|(spec, _)| spec)
}

const fn spec(
    name: &'static str,
    arity: Arity,
    flags: Flags,
    category: &'static str,
    summary: &'static str,
) -> CommandSpec {
    CommandSpec { name, arity, flags: flags | LOADING | STALE, keys: NO_KEYS, category, summary }
}

/// SENTINEL stands here so that COMMAND names it; it has its own table.
fn sentinel(facts: &Facts, argv: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    super::family::execute(facts, argv, reply)
}

const TABLE: &[(CommandSpec, Run)] = &[
    (
        spec("command", Arity::AtLeast(1), 0, "@connection", "What this server can be asked."),
        commands::command,
    ),
    (spec("echo", Arity::Exactly(2), FAST, "@connection", "Returns the given text."), echo),
    (spec("info", Arity::AtLeast(1), 0, "@dangerous", "Facts about this sentinel."), info_text),
    (spec("ping", Arity::AtLeast(1), FAST, "@connection", "Returns PONG."), ping),
    (spec("publish", Arity::Exactly(3), PUBSUB | FAST, "@pubsub", "Takes hello messages only."), publish),
    (spec("quit", Arity::AtLeast(1), FAST | NO_AUTH, "@connection", "Closes the connection."), quit),
    (spec("role", Arity::Exactly(1), FAST, "@admin", "Names this a sentinel, and its groups."), role),
    (spec("select", Arity::Exactly(2), FAST, "@connection", "Only database 0."), select),
    (spec("sentinel", Arity::AtLeast(2), ADMIN, "@admin", "Asks or tells the sentinels."), sentinel),
    (spec("shutdown", Arity::AtLeast(1), ADMIN, "@admin", "Ends this sentinel."), shutdown),
];
