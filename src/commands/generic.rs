//! Commands about keys whatever they hold: being there, names, copies.

use super::args::{DB_OUT_OF_RANGE, db, int32, is};
use super::{CommandError, DataCommand, Done, Unit, row};
use crate::resp::Writer;
use crate::resp::spec::{Arity, DENYOOM, FAST, KEY_1, KEY_1_2, KEYS_ALL, NO_KEYS, READONLY, WRITE};
use crate::store::{DATABASES, Value};

const SAME_OBJECT: &str = "ERR source and destination objects are the same";

fn del(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    let deleted = argv[1..].iter().filter(|key| unit.delete(key)).count();
    unit.effects.dirty += deleted as u64;
    reply.integer(deleted as i64);
    Ok(())
}

fn unlink(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    let deleted = argv[1..].iter().filter(|key| unit.unlink(key)).count();
    unit.effects.dirty += deleted as u64;
    reply.integer(deleted as i64);
    Ok(())
}

fn exists(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    let found = argv[1..].iter().filter(|key| unit.read(key).is_some()).count();
    reply.integer(found as i64);
    Ok(())
}

fn type_of(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    let place = unit.peek(argv[1]);
    unit.count_read(argv[1], place.is_some());
    let name = match place {
        Some(place) => unit.value_at(place).map_or("none", Value::type_name),
        None => "none",
    };
    reply.simple(name);
    Ok(())
}

fn randomkey(unit: &mut Unit<'_>, _argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    // A data set of expired keys only must not be searched for long; Redis gives up likewise.
    for _ in 0..100 {
        let Some(entry) = unit.keyspace.random(unit.db, unit.rng) else { break };
        let key = entry.key().to_vec();
        if unit.peek(&key).is_some() || unit.keep_expired {
            reply.bulk(&key);
            return Ok(());
        }
    }
    reply.null();
    Ok(())
}

fn rename_to(unit: &mut Unit<'_>, argv: &[&[u8]], only_if_absent: bool) -> Result<bool, CommandError> {
    let (from, to) = (argv[1], argv[2]);
    if !unit.exists(from) {
        return Err(CommandError::NoSuchKey);
    }
    if from == to {
        return Ok(!only_if_absent);
    }
    if only_if_absent && unit.exists(to) {
        return Ok(false);
    }
    let place = unit.place(from);
    if let Some((value, expire_at_ms)) = unit.keyspace.remove_at(place) {
        let replaces = unit.exists(to);
        unit.store(to, value, expire_at_ms);
        // Redis deletes what stood there and makes it anew.
        if replaces {
            unit.note_new(unit.db, to);
        }
        unit.effects.dirty += 1;
    }
    Ok(true)
}

fn rename(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    rename_to(unit, argv, false)?;
    reply.ok();
    Ok(())
}

fn renamenx(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    let renamed = rename_to(unit, argv, true)?;
    reply.integer(i64::from(renamed));
    Ok(())
}

fn copy(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    let (mut to_db, mut replace) = (unit.db, false);
    let mut at = 3;
    while at < argv.len() {
        if is(argv[at], "replace") {
            replace = true;
        } else if is(argv[at], "db") && at + 1 < argv.len() {
            to_db = db(argv[at + 1])?;
            at += 1;
        } else {
            return Err(CommandError::Syntax);
        }
        at += 1;
    }
    if to_db == unit.db && argv[1] == argv[2] {
        return Err(SAME_OBJECT.into());
    }
    let place = unit.peek(argv[1]).or_else(|| unit.keep_expired.then(|| unit.place(argv[1])));
    let Some(source) = place.and_then(|place| unit.keyspace.at(place)) else {
        reply.integer(0);
        return Ok(());
    };
    let (value, expire_at_ms) = (source.value().clone(), source.expire_at_ms());
    let target = unit.place_in(to_db, argv[2]);
    if target.is_found() && !replace {
        reply.integer(0);
        return Ok(());
    }
    unit.note_new(to_db, argv[2]);
    unit.keyspace.insert(to_db, argv[2], value, expire_at_ms);
    unit.effects.dirty += 1;
    reply.integer(1);
    Ok(())
}

fn move_key(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    let to_db = db(argv[2])?;
    if to_db == unit.db {
        return Err(SAME_OBJECT.into());
    }
    let moved = unit.exists(argv[1]) && !unit.place_in(to_db, argv[1]).is_found();
    if moved {
        let place = unit.place(argv[1]);
        if let Some((value, expire_at_ms)) = unit.keyspace.remove_at(place) {
            unit.keyspace.insert(to_db, argv[1], value, expire_at_ms);
            unit.note_new(to_db, argv[1]);
            unit.effects.dirty += 1;
        }
    }
    reply.integer(i64::from(moved));
    Ok(())
}

fn dbsize(unit: &mut Unit<'_>, _argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    reply.integer(unit.keyspace.len(unit.db) as i64);
    Ok(())
}

fn swapdb(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    let first = int32(argv[1]).map_err(|_| CommandError::from("ERR invalid first DB index"))?;
    let second = int32(argv[2]).map_err(|_| CommandError::from("ERR invalid second DB index"))?;
    let index = |value: i64| usize::try_from(value).ok().filter(|&db| db < DATABASES).ok_or(DB_OUT_OF_RANGE);
    unit.keyspace.swap_dbs(index(first)?, index(second)?);
    unit.effects.dirty += 1;
    unit.effects.all_touched = true;
    reply.ok();
    Ok(())
}

const K: &str = "@keyspace";

pub(super) const COMMANDS: &[DataCommand] = &[
    row("del", Arity::AtLeast(2), WRITE, KEYS_ALL, K, "Deletes keys", del),
    row("unlink", Arity::AtLeast(2), WRITE | FAST, KEYS_ALL, K, "Deletes keys", unlink),
    row("exists", Arity::AtLeast(2), READONLY | FAST, KEYS_ALL, K, "How many of the keys are there", exists),
    row("touch", Arity::AtLeast(2), READONLY | FAST, KEYS_ALL, K, "Notes a use of keys", exists),
    row("type", Arity::Exactly(2), READONLY | FAST, KEY_1, K, "What a key holds", type_of),
    row("randomkey", Arity::Exactly(1), READONLY, NO_KEYS, K, "Some key", randomkey),
    row("rename", Arity::Exactly(3), WRITE, KEY_1_2, K, "Gives a key another name", rename),
    row("renamenx", Arity::Exactly(3), WRITE | FAST, KEY_1_2, K, "Renames to a name that is free", renamenx),
    row("copy", Arity::AtLeast(3), WRITE | DENYOOM, KEY_1_2, K, "Copies a key", copy),
    row("move", Arity::Exactly(3), WRITE | FAST, KEY_1, K, "Moves a key to another database", move_key),
    row("dbsize", Arity::Exactly(1), READONLY | FAST, NO_KEYS, K, "How many keys there are", dbsize),
    row("swapdb", Arity::Exactly(3), WRITE | FAST, NO_KEYS, K, "Swaps two databases", swapdb),
];
