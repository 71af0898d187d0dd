//! The commands beside SENTINEL that live on this port, their table at the foot.

use super::facts::Facts;
use super::{Outcome, info, quoted};
use crate::resp::Writer;
use crate::resp::spec::{ADMIN, Arity, CommandSpec, FAST, Flags, LOADING, NO_AUTH, NO_KEYS, PUBSUB, STALE};

pub const HELLO_CHANNEL: &[u8] = b"__sentinel__:hello";

type Run = fn(&Facts, &[&[u8]], &mut Writer<'_>) -> Outcome;

pub fn execute(facts: &Facts, argv: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let name = argv[0];
    let Some((spec, run)) = TABLE.iter().find(|(spec, _)| name.eq_ignore_ascii_case(spec.name.as_bytes()))
    else {
        let words: Vec<String> = argv[1..].iter().take(8).map(|word| format!("'{}'", quoted(word))).collect();
        reply.error(&format!(
            "ERR unknown command '{}', with args beginning with: {}",
            quoted(name),
            words.join(" ")
        ));
        return Outcome::Replied;
    };
    if !spec.arity.accepts(argv.len()) {
        reply.error(&format!("ERR wrong number of arguments for '{}' command", spec.name));
        return Outcome::Replied;
    }
    run(facts, argv, reply)
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
    reply.verbatim("txt", &info::text(facts, &argv[1..]));
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

fn command(_: &Facts, argv: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let says = |text: &str| argv.get(1).is_some_and(|word| word.eq_ignore_ascii_case(text.as_bytes()));
    let specs = || TABLE.iter().map(|(spec, _)| spec);
    if argv.len() == 1 {
        reply.array(TABLE.len());
        specs().for_each(|spec| describe(spec, reply));
    } else if says("COUNT") && argv.len() == 2 {
        reply.integer(TABLE.len() as i64);
    } else if says("LIST") && argv.len() == 2 {
        reply.array(TABLE.len());
        specs().for_each(|spec| reply.bulk(spec.name.as_bytes()));
    } else if says("INFO") {
        reply.array(argv.len() - 2);
        for name in &argv[2..] {
            match specs().find(|spec| name.eq_ignore_ascii_case(spec.name.as_bytes())) {
                Some(spec) => describe(spec, reply),
                None => reply.null_array(),
            }
        }
    } else if says("DOCS") {
        let wanted: Vec<&CommandSpec> = specs()
            .filter(|spec| {
                let named = |name: &&[u8]| name.eq_ignore_ascii_case(spec.name.as_bytes());
                argv.len() == 2 || argv[2..].iter().any(named)
            })
            .collect();
        reply.map(wanted.len());
        for spec in wanted {
            reply.bulk(spec.name.as_bytes());
            reply.map(1);
            reply.bulk(b"summary");
            reply.bulk(spec.summary.as_bytes());
        }
    } else {
        reply.error("ERR unknown subcommand or wrong number of arguments. Try COMMAND, COMMAND COUNT, COMMAND LIST, COMMAND INFO or COMMAND DOCS.");
    }
    Outcome::Replied
}

fn describe(spec: &CommandSpec, reply: &mut Writer<'_>) {
    let flags: Vec<&str> = crate::resp::spec::FLAG_NAMES
        .iter()
        .filter(|(flag, _)| spec.has(*flag))
        .map(|(_, name)| *name)
        .collect();
    reply.array(10);
    reply.bulk(spec.name.as_bytes());
    reply.integer(spec.arity.as_redis());
    reply.set(flags.len());
    flags.iter().for_each(|flag| reply.simple(flag));
    (0..3).for_each(|_| reply.integer(0));
    reply.set(1);
    reply.simple(spec.category);
    (0..3).for_each(|_| reply.array(0));
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
    (spec("command", Arity::AtLeast(1), 0, "@connection", "What this server can be asked."), command),
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
