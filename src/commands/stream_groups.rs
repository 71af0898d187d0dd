//! XGROUP: consumer groups and their consumers.

use super::args::{int, is};
use super::stream_ids::{check_subcommand, strict, subcommand_syntax};
use super::{CommandError, DataCommand, Done, Unit, row};
use crate::resp::Writer;
use crate::resp::spec::{Arity, DENYOOM, Keys, WRITE};
use crate::store::stream_group::Group;
use crate::store::{Stream, StreamId};

const HELP: &[&str] = &[
    "XGROUP <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "CREATE <key> <groupname> <id|$> [option]",
    "    Create a new consumer group. Options are:",
    "    * MKSTREAM",
    "      Create the empty stream if it does not exist.",
    "    * ENTRIESREAD entries_read",
    "      Set the group's entries_read counter (internal use).",
    "CREATECONSUMER <key> <groupname> <consumer>",
    "    Create a new consumer in the specified group.",
    "DELCONSUMER <key> <groupname> <consumer>",
    "    Remove the specified consumer.",
    "DESTROY <key> <groupname>",
    "    Remove the specified group.",
    "SETID <key> <groupname> <id|$> [ENTRIESREAD entries_read]",
    "    Set the current group ID and entries_read counter.",
    "HELP",
    "    Prints this help.",
];

const NO_KEY: &str = "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use \
    the MKSTREAM option to create an empty stream automatically.";

const SUBCOMMANDS: &[(&str, Arity)] = &[
    ("create", Arity::AtLeast(5)),
    ("setid", Arity::AtLeast(5)),
    ("destroy", Arity::Exactly(4)),
    ("createconsumer", Arity::Exactly(5)),
    ("delconsumer", Arity::Exactly(5)),
    ("help", Arity::Exactly(2)),
];

/// What a replica is told of how far a group has read.
pub fn setid_words(key: &[u8], name: &[u8], group: &Group) -> Vec<Vec<u8>> {
    let read = group.entries_read.map_or("-1".to_owned(), |read| read.to_string());
    let id = group.last_id.to_string();
    super::args::owned(&[b"XGROUP", b"SETID", key, name, id.as_bytes(), b"ENTRIESREAD", read.as_bytes()])
}

/// The words behind the id: whether the stream may be made, and the group's counter.
fn options(argv: &[&[u8]]) -> Result<(bool, Option<u64>), CommandError> {
    let (creates, sets) = (is(argv[1], "create"), is(argv[1], "setid"));
    let (mut make, mut read) = (false, None);
    let mut at = 5;
    while at < argv.len() {
        if creates && is(argv[at], "mkstream") {
            make = true;
            at += 1;
        } else if (creates || sets) && is(argv[at], "entriesread") && at + 1 < argv.len() {
            read = match int(argv[at + 1])? {
                -1 => None,
                count => Some(
                    u64::try_from(count).map_err(|_| "ERR value for ENTRIESREAD must be positive or -1")?,
                ),
            };
            at += 2;
        } else {
            return Err(subcommand_syntax(argv));
        }
    }
    Ok((make, read))
}

/// `$` or an id.
fn id(word: &[u8], stream: Option<&Stream>) -> Result<StreamId, CommandError> {
    if word == b"$" { Ok(stream.map_or(StreamId::ZERO, Stream::last_id)) } else { strict(word) }
}

fn xgroup(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    check_subcommand(argv, SUBCOMMANDS)?;
    if argv.len() == 2 {
        reply.array(HELP.len());
        HELP.iter().for_each(|line| reply.simple(line));
        return Ok(());
    }
    let (make, read) = options(argv)?;
    let (key, name) = (argv[2], argv[3]);
    let now_ms = unit.now_ms();
    let place = unit.place(key);
    let stream = unit.stream_at(place)?;
    if stream.is_none() && !make {
        return Err(NO_KEY.into());
    }
    let has_group = stream.is_some_and(|stream| stream.group(name).is_some());
    let needs_group = ["setid", "createconsumer", "delconsumer"].iter().any(|known| is(argv[1], known));
    if needs_group && !has_group {
        let (name, key) = (String::from_utf8_lossy(name), String::from_utf8_lossy(key));
        return Err(CommandError::Text(format!(
            "NOGROUP No such consumer group '{name}' for key name '{key}'"
        )));
    }
    if is(argv[1], "create") && argv.len() <= 8 {
        let id = id(argv[4], stream)?;
        if has_group {
            return Err("BUSYGROUP Consumer Group name already exists".into());
        }
        let (stream, _) = unit.make_stream(key)?;
        stream.add_group(name, Group::new(id, read));
        unit.effects.dirty += 1;
        reply.ok();
        return Ok(());
    }
    if is(argv[1], "setid") && (argv.len() == 5 || argv.len() == 7) {
        let id = match argv[4] {
            b"-" | b"+" => super::stream_ids::any(argv[4], 0)?,
            word => id(word, stream)?,
        };
        if let Some(group) = unit.change_stream(place)?.and_then(|stream| stream.group_mut(name)) {
            (group.last_id, group.entries_read) = (id, read);
        }
        unit.effects.dirty += 1;
        reply.ok();
        return Ok(());
    }
    if argv.len() > 5 || needs_group != (argv.len() == 5) {
        return Err(subcommand_syntax(argv));
    }
    let Some(stream) = unit.change_stream(place)? else { return Err(NO_KEY.into()) };
    let (answer, changed) = if is(argv[1], "destroy") {
        let gone = stream.remove_group(name);
        (usize::from(gone), gone)
    } else {
        let Some(group) = stream.group_mut(name) else { return Err(subcommand_syntax(argv)) };
        if is(argv[1], "delconsumer") {
            let pending = group.remove_consumer(argv[4]);
            (pending.unwrap_or(0), pending.is_some())
        } else {
            let made = group.consumer_id(argv[4]).is_none() && group.meet(argv[4], now_ms).1;
            (usize::from(made), made)
        }
    };
    unit.effects.dirty += u64::from(changed);
    reply.integer(answer as i64);
    Ok(())
}

const KEY_2: Keys = Keys { first: 2, last: 2, step: 1 };

pub(super) const COMMANDS: &[DataCommand] = &[row(
    "xgroup",
    Arity::AtLeast(2),
    WRITE | DENYOOM,
    KEY_2,
    "@stream",
    "Makes and changes consumer groups",
    xgroup,
)];
