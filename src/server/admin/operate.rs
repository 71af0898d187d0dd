//! Small commands of operators: TIME, DEBUG, SLOWLOG, SHUTDOWN.

use super::super::{Action, Server};
use crate::commands::CommandError;
use crate::resp::Writer;
use crate::session::Session;
use crate::session::client::{help, unknown_subcommand};
use crate::stdx::number::{parse_f64, parse_i64};
use crate::stdx::time::{Duration, Now};

type Done = Result<(), CommandError>;

/// The longest DEBUG SLEEP: a slip of the finger must not look like a dead server for ever.
const SLEEP_MAX_S: f64 = 3600.0;

pub(super) fn time(_: &mut Server, _: &mut Session, now: Now, _: &[&[u8]], out: &mut Writer<'_>) -> Done {
    let ms = now.wall.as_millis();
    out.array(2);
    out.bulk_integer((ms / 1000) as i64);
    out.bulk_integer((ms % 1000 * 1000) as i64);
    Ok(())
}

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
            let seconds = seconds.ok_or(CommandError::NotFloat)?;
            // The engine itself stands still, as a stuck server does: the reply comes after it.
            s.block(c);
            s.note_stall(now, Duration::from_secs_f64(seconds));
            let reply = bytes::Bytes::from_static(b"+OK\r\n");
            s.actions.push(Action::Stall { duration: Duration::from_secs_f64(seconds) });
            s.actions.push(Action::Respond { session: c.id, reply });
        }
        (b"object", [key]) => {
            let found = s.keyspace.entry(c.db, key).is_some();
            if !found {
                return Err(CommandError::NoSuchKey);
            }
            out.simple("Value at:0x0 refcount:1 encoding:raw serializedlength:0 lru:0 lru_seconds_idle:0");
        }
        (b"jmap", _) => return Err("ERR DEBUG JMAP is not supported".into()),
        (b"set-active-expire", [word]) => {
            s.admin.active_expire_off = word == b"0";
            out.ok();
        }
        (b"help", _) => help(out, &["DEBUG SLEEP <seconds> | OBJECT <key> | SET-ACTIVE-EXPIRE <0|1>"]),
        _ => return Err(unknown_subcommand("debug", argv).into()),
    }
    Ok(())
}

pub(super) fn slowlog(s: &mut Server, _: &mut Session, _: Now, argv: &[&[u8]], out: &mut Writer<'_>) -> Done {
    match argv[1].to_ascii_lowercase().as_slice() {
        b"get" if argv.len() <= 3 => {
            let count = match argv.get(2) {
                None => 10,
                Some(word) => match parse_i64(word) {
                    Some(-1) => usize::MAX,
                    Some(count) if count >= 0 => count as usize,
                    _ => return Err("ERR count should be greater than or equal to -1".into()),
                },
            };
            let entries: Vec<_> = s.admin.slowlog.entries.iter().take(count).collect();
            out.array(entries.len());
            for entry in entries {
                out.array(6);
                out.integer(entry.id);
                out.integer((entry.at.as_millis() / 1000) as i64);
                out.integer(entry.took.as_micros() as i64);
                out.array(entry.words.len());
                entry.words.iter().for_each(|word| out.bulk(word));
                out.bulk(entry.peer.as_bytes());
                out.bulk(entry.name.as_bytes());
            }
        }
        b"len" => out.integer(s.admin.slowlog.entries.len() as i64),
        b"reset" => {
            s.admin.slowlog.entries.clear();
            out.ok();
        }
        b"help" => help(out, &["SLOWLOG GET [<count>] | LEN | RESET"]),
        _ => return Err(unknown_subcommand("slowlog", argv).into()),
    }
    Ok(())
}
