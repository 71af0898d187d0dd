//! DEBUG: what tests of clients ask of a server. Nothing here ends the process, and what would need Redis'
//! own structures is refused by name.

use super::super::{Action, Level, Server};
use super::{digest, help};
use crate::commands::CommandError;
use crate::rdb;
use crate::resp::{Protocol, Writer};
use crate::session::Session;
use crate::session::client::help as answer;
use crate::stdx::number::{parse_f64, parse_i64};
use crate::stdx::time::{Duration, Now};
use crate::store::{DATABASES, Keyspace, Str, Value};

type Done = Result<(), CommandError>;

/// The longest DEBUG SLEEP: a slip of the finger must not look like a dead server for ever.
const SLEEP_MAX_S: f64 = 3600.0;

pub(super) fn debug(s: &mut Server, c: &mut Session, now: Now, argv: &[&[u8]], out: &mut Writer<'_>) -> Done {
    let allowed = match s.config.enable_debug_command.as_str() {
        "yes" => true,
        "local" => c.is_loopback(),
        _ => false,
    };
    if !allowed {
        return Err("ERR DEBUG command not allowed. If the enable-debug-command option is set to \"local\", you can run it from a local connection, otherwise you need to set this option in the configuration file, and then restart the server.".into());
    }
    match (argv[1].to_ascii_lowercase().as_slice(), &argv[2..]) {
        (b"sleep", [seconds]) => {
            let seconds = parse_f64(seconds).filter(|s| (0.0..=SLEEP_MAX_S).contains(s));
            let duration = Duration::from_secs_f64(seconds.ok_or(CommandError::NotFloat)?);
            // The engine itself stands still, as a stuck server does: the reply comes after it.
            s.block(c);
            s.note_stall(now, duration);
            let reply = bytes::Bytes::from_static(b"+OK\r\n");
            s.actions.push(Action::Stall { duration });
            s.actions.push(Action::Respond { session: c.id, reply });
        }
        (b"object", [key, ..]) => out.simple(&object(s, now, c.db, key)?),
        (b"digest", []) => out.simple(&digest::of_keyspace(&s.keyspace).hex()),
        (b"digest-value", keys) => {
            out.array(keys.len());
            keys.iter().for_each(|key| out.simple(&digest::of_entry(s.keyspace.entry(c.db, key)).hex()));
        }
        (b"error", [text]) => {
            out.error(&String::from_utf8_lossy(text).replace(['\r', '\n'], " "));
        }
        (b"log", [text]) => {
            s.log(Level::Warning, format!("DEBUG LOG: {}", text.escape_ascii()));
            out.ok();
        }
        (b"populate", [count, rest @ ..]) if rest.len() <= 2 => populate(s, c.db, count, rest, out)?,
        (b"protocol", [name]) => protocol(name, out)?,
        (b"reload", []) => {
            reload(s, now)?;
            out.ok();
        }
        (b"set-active-expire", [word]) => {
            s.admin.active_expire_off = word == b"0";
            out.ok();
        }
        (b"help", []) => answer(out, help::DEBUG),
        _ => {
            let name = String::from_utf8_lossy(&argv[1][..argv[1].len().min(128)]);
            return Err(CommandError::Text(format!(
                "ERR unknown subcommand or wrong number of arguments for '{name}'. Try DEBUG HELP."
            )));
        }
    }
    Ok(())
}

fn object(s: &Server, now: Now, db: usize, key: &[u8]) -> Result<String, CommandError> {
    let place = s.keyspace.locate(db, key);
    let entry = s.keyspace.at(place).ok_or(CommandError::NoSuchKey)?;
    let now_s = (now.wall.as_millis() / 1000) as u32;
    let idle_s = s.keyspace.idle_s(place, now_s).unwrap_or(0);
    let value = entry.value();
    // The type in front and the foot of a DUMP are no part of the value.
    let serialized = rdb::dump(value).len().saturating_sub(1 + rdb::DUMP_FOOT_BYTES);
    let nodes = match value {
        Value::List(list) if value.encoding() == "quicklist" => {
            let nodes = list.parts().max(1);
            format!(" ql_nodes:{nodes} ql_avg_node:{:.2}", list.len() as f64 / nodes as f64)
        }
        _ => String::new(),
    };
    Ok(format!(
        "Value at:0x0 refcount:1 encoding:{} serializedlength:{serialized} lru:{} lru_seconds_idle:{idle_s}{nodes}",
        value.encoding(),
        now_s.saturating_sub(idle_s) & 0x00ff_ffff,
    ))
}

/// Keys that are in nobody's stream, as in Redis: those that exist stay as they are.
fn populate(s: &mut Server, db: usize, count: &[u8], rest: &[&[u8]], out: &mut Writer<'_>) -> Done {
    let positive = |word: &[u8]| {
        let value = parse_i64(word).and_then(|value| u32::try_from(value).ok());
        value.ok_or(CommandError::from("ERR value is out of range, must be positive"))
    };
    let count = positive(count)?;
    let prefix = rest.first().copied().unwrap_or(b"key");
    let size = rest.get(1).map(|word| positive(word)).transpose()?;
    if u64::from(size.unwrap_or(0)) > s.config.proto_max_bulk_bytes {
        return Err("ERR string exceeds maximum allowed size (proto-max-bulk-len)".into());
    }
    for number in 0..count {
        let key = [prefix, format!(":{number}").as_bytes()].concat();
        if s.keyspace.entry(db, &key).is_none() {
            let mut value = format!("value:{number}").into_bytes();
            if let Some(size) = size {
                value.resize(size as usize, 0);
            }
            s.keyspace.insert(db, &key, Value::Str(Str::new(&value)), None);
        }
    }
    out.ok();
    Ok(())
}

/// One reply of each kind, with Redis' contents.
fn protocol(name: &[u8], out: &mut Writer<'_>) -> Done {
    let is_newer = out.protocol() == Protocol::Resp3;
    match name.to_ascii_lowercase().as_slice() {
        b"string" => out.bulk(b"Hello World"),
        b"integer" => out.integer(12345),
        b"double" => match is_newer {
            true => out.raw(b",3.141\r\n"),
            false => out.bulk(b"3.141"),
        },
        b"bignum" => match is_newer {
            true => out.raw(b"(1234567999999999999999999999999999999\r\n"),
            false => out.bulk(b"1234567999999999999999999999999999999"),
        },
        b"null" => out.null(),
        b"array" => {
            out.array(3);
            (0..3).for_each(|number| out.integer(number));
        }
        b"set" => {
            out.set(3);
            (0..3).for_each(|number| out.integer(number));
        }
        b"map" => {
            out.map(3);
            for number in 0..3 {
                out.integer(number);
                out.boolean(number == 1);
            }
        }
        b"attrib" => {
            if is_newer {
                out.raw(b"|1\r\n$14\r\nkey-popularity\r\n*2\r\n$7\r\nkey:123\r\n:90\r\n");
            }
            out.bulk(b"Some real reply following the attribute");
        }
        b"push" if is_newer => {
            out.push(2);
            out.bulk(b"server-cpu-usage");
            out.integer(42);
            out.bulk(b"Some real reply following the push reply");
        }
        b"push" => return Err("ERR RESP2 is not supported by this command".into()),
        b"verbatim" => out.verbatim("txt", "This is a verbatim\nstring"),
        b"true" => out.boolean(true),
        b"false" => out.boolean(false),
        _ => {
            return Err("ERR Wrong protocol type name. Please use one of the following: string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|true|false".into());
        }
    }
    Ok(())
}

/// All values to the bytes of a snapshot and back.
fn reload(s: &mut Server, now: Now) -> Done {
    if s.admin.snapshot.is_walking() || s.keyspace.is_snapshot_running() {
        return Err("ERR a snapshot is being written, try again when it is done".into());
    }
    let mut fresh = Keyspace::new(s.hash_seed().seed);
    fresh.set_limits(s.keyspace.limits());
    for db in 0..DATABASES {
        for entry in s.keyspace.iter(db) {
            let read = rdb::restore(&rdb::dump(entry.value()), fresh.seed());
            let value = read.map_err(|error| {
                let key = entry.key().escape_ascii();
                CommandError::Text(format!("ERR the value of '{key}' is not read back: {error}"))
            })?;
            fresh.insert_loaded(db, entry.key(), value, entry.expire_at_ms());
        }
    }
    let old = std::mem::replace(&mut s.keyspace, fresh);
    s.keyspace.inherit(&old, (now.wall.as_millis() / 1000) as u32);
    Ok(())
}
