//! String commands that set, get and count; those that cut are in `string_range`.

use super::args::{int, is, owned};
use super::{CommandError, DataCommand, Done, Unit, long_double, row};
use crate::resp::Writer;
use crate::resp::spec::{Arity, DENYOOM, FAST, KEY_1, KEYS_ALL, KEYS_PAIRS, READONLY, WRITE};
use crate::store::{Place, Str, Value};

pub(super) fn reply_str(reply: &mut Writer<'_>, string: &Str) {
    match string.as_int() {
        Some(value) => reply.bulk_integer(value),
        None => reply.bulk(string.bytes(&mut itoa::Buffer::new())),
    }
}

fn get(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    match unit.read_str(argv[1])? {
        Some(string) => reply_str(reply, string),
        None => reply.null(),
    }
    Ok(())
}

/// Writes a string where the key is or would be, in its old memory if that fits. The time goes
/// unless `keep_expire`.
#[inline]
fn put(unit: &mut Unit<'_>, place: Place, key: &[u8], bytes: &[u8], expire: Option<u64>, keep_expire: bool) {
    match unit.keyspace.value_mut(place) {
        Some(Value::Str(string)) => string.assign(bytes),
        Some(other) => *other = Value::Str(Str::new(bytes)),
        None => {
            unit.keyspace.insert_at(place, key, Value::Str(Str::new(bytes)), expire);
            unit.note_new(unit.db, key);
            return;
        }
    }
    if !keep_expire {
        unit.keyspace.set_expire(place, expire);
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Condition {
    Always,
    IfAbsent,
    IfPresent,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct TimeUnit {
    is_seconds: bool,
    is_absolute: bool,
}

impl TimeUnit {
    fn parse(word: &[u8]) -> Option<TimeUnit> {
        let (is_seconds, is_absolute) = match word.to_ascii_lowercase().as_slice() {
            b"ex" => (true, false),
            b"px" => (false, false),
            b"exat" => (true, true),
            b"pxat" => (false, true),
            _ => return None,
        };
        Some(TimeUnit { is_seconds, is_absolute })
    }

    /// The absolute time a word means.
    fn at_ms(self, word: &[u8], now_ms: u64, command: &str) -> Result<u64, CommandError> {
        let invalid = || CommandError::Text(format!("ERR invalid expire time in '{command}' command"));
        let value = int(word)?;
        if value <= 0 {
            return Err(invalid());
        }
        let ms = if self.is_seconds { value.checked_mul(1000).ok_or_else(invalid)? } else { value };
        let base = if self.is_absolute { 0 } else { now_ms as i64 };
        ms.checked_add(base).map(|ms| ms as u64).ok_or_else(invalid)
    }
}

fn set(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    if argv.len() == 3 {
        let place = unit.place(argv[1]);
        put(unit, place, argv[1], argv[2], None, false);
        unit.effects.dirty += 1;
        reply.ok();
        return Ok(());
    }
    let (mut condition, mut keep_expire, mut wants_old) = (Condition::Always, false, false);
    let mut time: Option<(TimeUnit, &[u8])> = None;
    let mut at = 3;
    while at < argv.len() {
        let word = argv[at];
        if is(word, "nx") && condition != Condition::IfPresent {
            condition = Condition::IfAbsent;
        } else if is(word, "xx") && condition != Condition::IfAbsent {
            condition = Condition::IfPresent;
        } else if is(word, "get") {
            wants_old = true;
        } else if is(word, "keepttl") && time.is_none() {
            keep_expire = true;
        } else if let Some(time_unit) = TimeUnit::parse(word)
            && !keep_expire
            && time.is_none_or(|(other, _)| other == time_unit)
            && let Some(&value) = argv.get(at + 1)
        {
            time = Some((time_unit, value));
            at += 1;
        } else {
            return Err(CommandError::Syntax);
        }
        at += 1;
    }
    let now_ms = unit.now_ms();
    let expire = time.map(|(time_unit, word)| time_unit.at_ms(word, now_ms, "set")).transpose()?;
    let place = unit.place(argv[1]);
    if wants_old {
        unit.count_read(argv[1], place.is_found());
        match unit.str_at(place)? {
            Some(string) => reply_str(reply, string),
            None => reply.null(),
        }
    }
    let refused = match condition {
        Condition::Always => false,
        Condition::IfAbsent => place.is_found(),
        Condition::IfPresent => !place.is_found(),
    };
    if refused {
        if !wants_old {
            reply.null();
        }
        return Ok(());
    }
    put(unit, place, argv[1], argv[2], expire, keep_expire);
    unit.effects.dirty += 1;
    if let Some(at_ms) = expire {
        rewrite_with_time(unit, argv[1], argv[2], at_ms);
    } else if wants_old {
        let kept = argv.iter().enumerate().filter(|(at, word)| *at < 3 || !is(word, "get"));
        unit.effects.rewrite(kept.map(|(_, word)| word.to_vec()).collect());
    }
    if !wants_old {
        reply.ok();
    }
    Ok(())
}

fn rewrite_with_time(unit: &mut Unit<'_>, key: &[u8], value: &[u8], at_ms: u64) {
    unit.effects.rewrite(owned(&[b"SET", key, value, b"PXAT", at_ms.to_string().as_bytes()]));
}

fn setnx(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    let place = unit.place(argv[1]);
    if place.is_found() {
        reply.integer(0);
        return Ok(());
    }
    put(unit, place, argv[1], argv[2], None, false);
    unit.effects.dirty += 1;
    reply.integer(1);
    Ok(())
}

fn set_for(
    unit: &mut Unit<'_>,
    argv: &[&[u8]],
    reply: &mut Writer<'_>,
    is_seconds: bool,
    name: &str,
) -> Done {
    let at_ms = TimeUnit { is_seconds, is_absolute: false }.at_ms(argv[2], unit.now_ms(), name)?;
    let place = unit.place(argv[1]);
    put(unit, place, argv[1], argv[3], Some(at_ms), false);
    unit.effects.dirty += 1;
    rewrite_with_time(unit, argv[1], argv[3], at_ms);
    reply.ok();
    Ok(())
}

fn setex(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    set_for(unit, argv, reply, true, "setex")
}

fn psetex(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    set_for(unit, argv, reply, false, "psetex")
}

fn getset(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    let place = unit.place(argv[1]);
    unit.count_read(argv[1], place.is_found());
    match unit.str_at(place)? {
        Some(string) => reply_str(reply, string),
        None => reply.null(),
    }
    put(unit, place, argv[1], argv[2], None, false);
    unit.effects.dirty += 1;
    unit.effects.rewrite(owned(&[b"SET", argv[1], argv[2]]));
    Ok(())
}

fn getdel(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    let place = unit.place(argv[1]);
    unit.count_read(argv[1], place.is_found());
    let Some(string) = unit.str_at(place)? else {
        reply.null();
        return Ok(());
    };
    reply_str(reply, string);
    unit.keyspace.remove_at(place);
    unit.effects.dirty += 1;
    unit.effects.rewrite(owned(&[b"DEL", argv[1]]));
    Ok(())
}

fn getex(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    let now_ms = unit.now_ms();
    let (mut persist, mut time): (bool, Option<(TimeUnit, &[u8])>) = (false, None);
    let mut at = 2;
    while at < argv.len() {
        if is(argv[at], "persist") && time.is_none() {
            persist = true;
        } else if let Some(time_unit) = TimeUnit::parse(argv[at])
            && !persist
            && time.is_none_or(|(other, _)| other == time_unit)
            && let Some(&value) = argv.get(at + 1)
        {
            time = Some((time_unit, value));
            at += 1;
        } else {
            return Err(CommandError::Syntax);
        }
        at += 1;
    }
    let place = unit.place(argv[1]);
    unit.count_read(argv[1], place.is_found());
    let Some(string) = unit.str_at(place)? else {
        reply.null();
        return Ok(());
    };
    let at_ms = time.map(|(time_unit, word)| time_unit.at_ms(word, now_ms, "getex")).transpose()?;
    reply_str(reply, string);
    if let Some(at_ms) = at_ms {
        unit.effects.dirty += 1;
        if at_ms <= now_ms && !unit.keep_expired {
            unit.keyspace.remove_at(place);
            unit.effects.rewrite(owned(&[b"DEL", argv[1]]));
        } else {
            unit.keyspace.set_expire(place, Some(at_ms));
            unit.effects.rewrite(owned(&[b"PEXPIREAT", argv[1], at_ms.to_string().as_bytes()]));
        }
    } else if persist && unit.keyspace.set_expire(place, None) {
        unit.effects.dirty += 1;
        unit.effects.rewrite(owned(&[b"PERSIST", argv[1]]));
    }
    Ok(())
}

fn mget(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    reply.array(argv.len() - 1);
    for key in &argv[1..] {
        match unit.read(key) {
            Some(Value::Str(string)) => reply_str(reply, string),
            _ => reply.null(),
        }
    }
    Ok(())
}

fn mset_all(unit: &mut Unit<'_>, pairs: &[&[u8]]) {
    for pair in pairs.chunks_exact(2) {
        let place = unit.place(pair[0]);
        put(unit, place, pair[0], pair[1], None, false);
    }
    unit.effects.dirty += pairs.len() as u64 / 2;
}

fn mset(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    if argv.len().is_multiple_of(2) {
        return Err(CommandError::Arity("mset".into()));
    }
    mset_all(unit, &argv[1..]);
    reply.ok();
    Ok(())
}

fn msetnx(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    if argv.len().is_multiple_of(2) {
        return Err(CommandError::Arity("msetnx".into()));
    }
    if argv[1..].iter().step_by(2).any(|key| unit.exists(key)) {
        reply.integer(0);
        return Ok(());
    }
    mset_all(unit, &argv[1..]);
    reply.integer(1);
    Ok(())
}

fn add(unit: &mut Unit<'_>, key: &[u8], increment: i64, reply: &mut Writer<'_>) -> Done {
    let place = unit.place(key);
    let value = match unit.str_at(place)? {
        None => 0,
        Some(string) => match string.as_int() {
            Some(value) => value,
            None => int(string.bytes(&mut itoa::Buffer::new()))?,
        },
    };
    let sum = value.checked_add(increment).ok_or("ERR increment or decrement would overflow")?;
    match unit.keyspace.value_mut(place) {
        Some(value) => *value = Value::Str(Str::int(sum)),
        None => {
            unit.keyspace.insert_at(place, key, Value::Str(Str::int(sum)), None);
            unit.note_new(unit.db, key);
        }
    }
    unit.effects.dirty += 1;
    reply.integer(sum);
    Ok(())
}

fn incr(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    add(unit, argv[1], 1, reply)
}

fn decr(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    add(unit, argv[1], -1, reply)
}

fn incrby(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    add(unit, argv[1], int(argv[2])?, reply)
}

fn decrby(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    let decrement = int(argv[2])?.checked_neg().ok_or("ERR decrement would overflow")?;
    add(unit, argv[1], decrement, reply)
}

fn incrbyfloat(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    let place = unit.place(argv[1]);
    let value = unit.str_at(place)?.map_or_else(|| b"0".to_vec(), Str::to_vec);
    super::args::float(&value)?;
    super::args::float(argv[2])?;
    let sum = long_double::add(&value, argv[2]).ok_or("ERR increment would produce NaN or Infinity")?;
    let string = Value::Str(Str::text(sum.as_bytes()));
    match unit.keyspace.value_mut(place) {
        Some(value) => *value = string,
        None => {
            unit.keyspace.insert_at(place, argv[1], string, None);
            unit.note_new(unit.db, argv[1]);
        }
    }
    unit.effects.dirty += 1;
    unit.effects.rewrite(owned(&[b"SET", argv[1], sum.as_bytes(), b"KEEPTTL"]));
    reply.bulk(sum.as_bytes());
    Ok(())
}

const S: &str = "@string";
const PUT: u32 = WRITE | DENYOOM;

pub(super) const COMMANDS: &[DataCommand] = &[
    row("get", Arity::Exactly(2), READONLY | FAST, KEY_1, S, "The string of a key", get),
    row("set", Arity::AtLeast(3), PUT, KEY_1, S, "Sets the string of a key", set),
    row("setnx", Arity::Exactly(3), PUT | FAST, KEY_1, S, "Sets a key that is not there", setnx),
    row("setex", Arity::Exactly(4), PUT, KEY_1, S, "Sets a key for some seconds", setex),
    row("psetex", Arity::Exactly(4), PUT, KEY_1, S, "Sets a key for some milliseconds", psetex),
    row("getset", Arity::Exactly(3), PUT | FAST, KEY_1, S, "Sets a key, replies the old string", getset),
    row("getdel", Arity::Exactly(2), WRITE | FAST, KEY_1, S, "Replies a string and deletes its key", getdel),
    row("getex", Arity::AtLeast(2), WRITE | FAST, KEY_1, S, "Replies a string and changes its time", getex),
    row("mget", Arity::AtLeast(2), READONLY | FAST, KEYS_ALL, S, "The strings of several keys", mget),
    row("mset", Arity::AtLeast(3), PUT, KEYS_PAIRS, S, "Sets several keys", mset),
    row("msetnx", Arity::AtLeast(3), PUT, KEYS_PAIRS, S, "Sets several keys if none is there", msetnx),
    row("incr", Arity::Exactly(2), PUT | FAST, KEY_1, S, "Adds one", incr),
    row("decr", Arity::Exactly(2), PUT | FAST, KEY_1, S, "Takes away one", decr),
    row("incrby", Arity::Exactly(3), PUT | FAST, KEY_1, S, "Adds an integer", incrby),
    row("decrby", Arity::Exactly(3), PUT | FAST, KEY_1, S, "Takes away an integer", decrby),
    row("incrbyfloat", Arity::Exactly(3), PUT | FAST, KEY_1, S, "Adds a decimal", incrbyfloat),
];
