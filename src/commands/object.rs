//! OBJECT: how a key is held.

use super::args::is;
use super::{CommandError, DataCommand, Done, Unit, row};
use crate::resp::Writer;
use crate::resp::spec::{Arity, Keys, READONLY};
use crate::store::Value;

const HELP: &[&str] = &[
    "OBJECT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "ENCODING <key>",
    "    Return the kind of internal representation used in order to store the value",
    "    associated with a <key>.",
    "FREQ <key>",
    "    Return the access frequency index of the <key>. The returned integer is",
    "    proportional to the logarithm of the recent access frequency of the key.",
    "IDLETIME <key>",
    "    Return the idle time of the <key>, that is the approximated number of",
    "    seconds elapsed since the last access to the key.",
    "REFCOUNT <key>",
    "    Return the number of references of the value associated with the specified",
    "    <key>.",
    "HELP",
    "    Prints this help.",
];

const NO_FREQUENCIES: &str = "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust.";
const NO_IDLE_TIMES: &str = "ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust.";

/// What Redis says of the small integers that all its keys share.
const SHARED_REFERENCES: i64 = i32::MAX as i64;

fn object(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    let name = String::from_utf8_lossy(argv[1]).into_owned();
    let argc = if is(argv[1], "help") { 2 } else { 3 };
    if !["help", "encoding", "refcount", "idletime", "freq"].iter().any(|known| is(argv[1], known)) {
        return Err(CommandError::Text(format!("ERR unknown subcommand '{name}'. Try OBJECT HELP.")));
    }
    if argv.len() != argc {
        return Err(CommandError::Arity(format!("object|{}", name.to_ascii_lowercase())));
    }
    if argc == 2 {
        reply.array(HELP.len());
        HELP.iter().for_each(|line| reply.simple(line));
        return Ok(());
    }
    let now_s = (unit.now_ms() / 1000) as u32;
    let place = unit.peek(argv[2]);
    let Some((place, entry)) = place.and_then(|place| Some((place, unit.keyspace.at(place)?))) else {
        reply.null();
        return Ok(());
    };
    if is(argv[1], "encoding") {
        reply.bulk(entry.value().encoding().as_bytes());
    } else if is(argv[1], "refcount") {
        let is_shared =
            matches!(entry.value(), Value::Str(s) if s.as_int().is_some_and(|n| (0..10_000).contains(&n)));
        reply.integer(if is_shared { SHARED_REFERENCES } else { 1 });
    } else if is(argv[1], "idletime") {
        let idle_s = unit.keyspace.idle_s(place, now_s).ok_or(NO_IDLE_TIMES)?;
        reply.integer(i64::from(idle_s));
    } else {
        let frequency = unit.keyspace.frequency(place, now_s).ok_or(NO_FREQUENCIES)?;
        reply.integer(i64::from(frequency));
    }
    Ok(())
}

const KEY_2: Keys = Keys { first: 2, last: 2, step: 1 };

pub(super) const COMMANDS: &[DataCommand] =
    &[row("object", Arity::AtLeast(2), READONLY, KEY_2, "@keyspace", "How a key is held", object)];
