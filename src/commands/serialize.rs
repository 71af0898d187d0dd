//! DUMP and RESTORE: one value as bytes that any Redis takes.

use super::args::{int, is, owned};
use super::{CommandError, DataCommand, Done, Unit, row};
use crate::rdb::{self, RdbError};
use crate::resp::Writer;
use crate::resp::spec::{Arity, DENYOOM, KEY_1, READONLY, WRITE};

fn dump(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    match unit.read(argv[1]) {
        Some(value) => reply.bulk(&rdb::dump(value)),
        None => reply.null(),
    }
    Ok(())
}

#[derive(Default)]
struct Options {
    replace: bool,
    is_absolute: bool,
    idle_s: Option<u64>,
    frequency: Option<u8>,
}

impl Options {
    fn parse(words: &[&[u8]]) -> Result<Options, CommandError> {
        let (mut options, mut at) = (Options::default(), 0);
        while at < words.len() {
            let (word, value) = (words[at], words.get(at + 1));
            if is(word, "replace") {
                options.replace = true;
            } else if is(word, "absttl") {
                options.is_absolute = true;
            } else if let Some(value) = value.filter(|_| is(word, "idletime") && options.frequency.is_none())
            {
                let idle_s = u64::try_from(int(value)?);
                options.idle_s = Some(idle_s.map_err(|_| "ERR Invalid IDLETIME value, must be >= 0")?);
                at += 1;
            } else if let Some(value) = value.filter(|_| is(word, "freq") && options.idle_s.is_none()) {
                let frequency = u8::try_from(int(value)?);
                options.frequency =
                    Some(frequency.map_err(|_| "ERR Invalid FREQ value, must be >= 0 and <= 255")?);
                at += 1;
            } else {
                return Err(CommandError::Syntax);
            }
            at += 1;
        }
        Ok(options)
    }
}

fn restore(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    let options = Options::parse(&argv[4..])?;
    let (key, now_ms) = (argv[1], unit.now_ms());
    if !options.replace && unit.exists(key) {
        return Err("BUSYKEY Target key name already exists.".into());
    }
    let ttl_ms = u64::try_from(int(argv[2])?)
        .map_err(|_| CommandError::from("ERR Invalid TTL value, must be >= 0"))?;
    let value = rdb::restore(argv[3], unit.keyspace.seed()).map_err(|error| match error {
        RdbError::Version(_) | RdbError::Checksum { .. } => {
            CommandError::from("ERR DUMP payload version or checksum are wrong")
        }
        RdbError::Truncated(_) if argv[3].len() < rdb::DUMP_FOOT_BYTES => {
            "ERR DUMP payload version or checksum are wrong".into()
        }
        _ => "ERR Bad data format".into(),
    })?;
    let at_ms = match (ttl_ms, options.is_absolute) {
        (0, _) => None,
        (at_ms, true) => Some(at_ms),
        // Redis adds them without a look, and loses the key.
        (ttl_ms, false) => match ttl_ms.checked_add(now_ms).filter(|&at_ms| at_ms <= i64::MAX as u64) {
            Some(at_ms) => Some(at_ms),
            None => return Err("ERR invalid expire time in 'restore' command".into()),
        },
    };
    reply.ok();
    // What has ended already is not worth making; a replica waits for its master to say so.
    if at_ms.is_some_and(|at_ms| at_ms <= now_ms) && !unit.keep_expired {
        unit.effects.dirty += u64::from(unit.delete(key));
        unit.effects.rewrite(owned(&[b"DEL", key]));
        return Ok(());
    }
    unit.store(key, value, at_ms);
    if options.idle_s.is_some() || options.frequency.is_some() {
        let place = unit.keyspace.locate(unit.db, key);
        let idle_s = options.idle_s.map(|idle_s| u32::try_from(idle_s).unwrap_or(u32::MAX));
        unit.keyspace.set_access(place, (now_ms / 1000) as u32, idle_s, options.frequency);
    }
    unit.effects.dirty += 1;
    if let Some(at_ms) = at_ms {
        let at_ms = at_ms.to_string();
        unit.effects.rewrite(owned(&[b"RESTORE", key, at_ms.as_bytes(), argv[3], b"REPLACE", b"ABSTTL"]));
    }
    Ok(())
}

const K: &str = "@keyspace";

pub(super) const COMMANDS: &[DataCommand] = &[
    row("dump", Arity::Exactly(2), READONLY, KEY_1, K, "A value as bytes", dump),
    row("restore", Arity::AtLeast(4), WRITE | DENYOOM, KEY_1, K, "Makes a key of such bytes", restore),
    row("restore-asking", Arity::AtLeast(4), WRITE | DENYOOM, KEY_1, K, "RESTORE, said by MIGRATE", restore),
];
