//! SUBSCRIBE and its family. Each channel named gets a confirmation of its own.

use super::SessionError;
use super::{Class, Handler, Hub, Session, SessionCommand};
use crate::resp::Writer;
use crate::resp::spec::{Arity, CommandSpec, FAST, Flags, LOADING, NO_KEYS, PUBSUB, STALE};
use crate::stdx::time::Now;

type Done = Result<(), SessionError>;

fn subscribe(hub: &mut Hub, session: &mut Session, _: Now, argv: &[&[u8]], out: &mut Writer<'_>) -> Done {
    for channel in &argv[1..] {
        hub.pubsub.subscribe(session, channel);
        confirm(session, "subscribe", Some(channel), out);
    }
    Ok(())
}

fn psubscribe(hub: &mut Hub, session: &mut Session, _: Now, argv: &[&[u8]], out: &mut Writer<'_>) -> Done {
    for pattern in &argv[1..] {
        hub.pubsub.subscribe_pattern(session, pattern);
        confirm(session, "psubscribe", Some(pattern), out);
    }
    Ok(())
}

fn unsubscribe(hub: &mut Hub, session: &mut Session, _: Now, argv: &[&[u8]], out: &mut Writer<'_>) -> Done {
    let names = named_or_all(argv, &session.channels);
    for channel in &names {
        hub.pubsub.unsubscribe(session, channel);
        confirm(session, "unsubscribe", Some(channel), out);
    }
    if names.is_empty() {
        confirm(session, "unsubscribe", None, out);
    }
    Ok(())
}

fn punsubscribe(hub: &mut Hub, session: &mut Session, _: Now, argv: &[&[u8]], out: &mut Writer<'_>) -> Done {
    let names = named_or_all(argv, &session.patterns);
    for pattern in &names {
        hub.pubsub.unsubscribe_pattern(session, pattern);
        confirm(session, "punsubscribe", Some(pattern), out);
    }
    if names.is_empty() {
        confirm(session, "punsubscribe", None, out);
    }
    Ok(())
}

fn ssubscribe(hub: &mut Hub, session: &mut Session, _: Now, argv: &[&[u8]], out: &mut Writer<'_>) -> Done {
    for channel in &argv[1..] {
        hub.pubsub.subscribe_shard(session, channel);
        confirm(session, "ssubscribe", Some(channel), out);
    }
    Ok(())
}

fn sunsubscribe(hub: &mut Hub, session: &mut Session, _: Now, argv: &[&[u8]], out: &mut Writer<'_>) -> Done {
    let names = named_or_all(argv, &session.shard_channels);
    for channel in &names {
        hub.pubsub.unsubscribe_shard(session, channel);
        confirm(session, "sunsubscribe", Some(channel), out);
    }
    if names.is_empty() {
        confirm(session, "sunsubscribe", None, out);
    }
    Ok(())
}

fn spublish(hub: &mut Hub, _: &mut Session, _: Now, argv: &[&[u8]], out: &mut Writer<'_>) -> Done {
    let bytes_max = hub.settings.output_bytes_max(Class::PubSub);
    out.integer(hub.pubsub.publish_shard(argv[1], argv[2], bytes_max) as i64);
    Ok(())
}

fn named_or_all(argv: &[&[u8]], all: &std::collections::BTreeSet<Box<[u8]>>) -> Vec<Box<[u8]>> {
    if argv.len() > 1 {
        argv[1..].iter().map(|&name| name.into()).collect()
    } else {
        all.iter().cloned().collect()
    }
}

fn confirm(session: &mut Session, kind: &str, name: Option<&[u8]>, out: &mut Writer<'_>) {
    session.class = match session.class {
        Class::Replica => Class::Replica,
        _ if session.is_subscribed() => Class::PubSub,
        _ => Class::Normal,
    };
    out.push(3);
    out.bulk(kind.as_bytes());
    match name {
        Some(name) => out.bulk(name),
        None => out.null(),
    }
    // Channels of shards are counted by themselves.
    let count = match kind {
        "ssubscribe" | "sunsubscribe" => session.shard_channels.len(),
        _ => session.channels.len() + session.patterns.len(),
    };
    out.integer(count as i64);
}

fn publish(hub: &mut Hub, _: &mut Session, _: Now, argv: &[&[u8]], out: &mut Writer<'_>) -> Done {
    let bytes_max = hub.settings.output_bytes_max(Class::PubSub);
    out.integer(hub.pubsub.publish(argv[1], argv[2], bytes_max) as i64);
    Ok(())
}

fn pubsub(hub: &mut Hub, _: &mut Session, _: Now, argv: &[&[u8]], out: &mut Writer<'_>) -> Done {
    match argv[1].to_ascii_lowercase().as_slice() {
        b"channels" if argv.len() <= 3 => {
            let names: Vec<_> = hub.pubsub.channels(argv.get(2).copied()).collect();
            out.array(names.len());
            names.iter().for_each(|name| out.bulk(name));
        }
        b"numsub" => {
            out.array((argv.len() - 2) * 2);
            for channel in &argv[2..] {
                out.bulk(channel);
                out.integer(hub.pubsub.listeners(channel) as i64);
            }
        }
        b"numpat" if argv.len() == 2 => out.integer(hub.pubsub.pattern_count() as i64),
        b"shardchannels" if argv.len() <= 3 => {
            let names: Vec<_> = hub.pubsub.shard_channels(argv.get(2).copied()).collect();
            out.array(names.len());
            names.iter().for_each(|name| out.bulk(name));
        }
        b"shardnumsub" => {
            out.array((argv.len() - 2) * 2);
            for channel in &argv[2..] {
                out.bulk(channel);
                out.integer(hub.pubsub.shard_listeners(channel) as i64);
            }
        }
        b"help" => super::client::help(out, super::help::PUBSUB),
        _ => return Err(super::client::unknown_subcommand("pubsub", argv)),
    }
    Ok(())
}

const fn row(
    name: &'static str,
    arity: Arity,
    flags: Flags,
    handler: Handler,
    summary: &'static str,
) -> SessionCommand {
    let flags = PUBSUB | LOADING | STALE | flags;
    SessionCommand {
        spec: CommandSpec { name, arity, flags, keys: NO_KEYS, category: "@pubsub", summary },
        handler,
    }
}

use Arity::{AtLeast, Exactly};
pub const COMMANDS: &[SessionCommand] = &[
    row("subscribe", AtLeast(2), 0, subscribe, "Listens for messages published to channels."),
    row("unsubscribe", AtLeast(1), 0, unsubscribe, "Stops listening to channels."),
    row("psubscribe", AtLeast(2), 0, psubscribe, "Listens to channels that match patterns."),
    row("punsubscribe", AtLeast(1), 0, punsubscribe, "Stops listening to patterns."),
    row("publish", Exactly(3), FAST, publish, "Posts a message to a channel."),
    row("pubsub", AtLeast(2), 0, pubsub, "Tells which channels have listeners."),
];

/// Where there may be shards: at a data server, and at no sentinel.
pub const SHARDED: &[SessionCommand] = &[
    row("ssubscribe", AtLeast(2), 0, ssubscribe, "Listens for messages published to channels of a shard."),
    row("sunsubscribe", AtLeast(1), 0, sunsubscribe, "Stops listening to channels of a shard."),
    row("spublish", Exactly(3), FAST, spublish, "Posts a message to a channel of a shard."),
];
