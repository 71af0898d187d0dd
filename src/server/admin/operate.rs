//! Small commands of operators: TIME, SLOWLOG.

use super::super::Server;
use crate::commands::CommandError;
use crate::resp::Writer;
use crate::session::Session;
use crate::session::client::help;
use crate::stdx::number::parse_i64;
use crate::stdx::time::Now;

type Done = Result<(), CommandError>;

pub(super) fn time(_: &mut Server, _: &mut Session, now: Now, _: &[&[u8]], out: &mut Writer<'_>) -> Done {
    let ms = now.wall.as_millis();
    out.array(2);
    out.bulk_integer((ms / 1000) as i64);
    out.bulk_integer((ms % 1000 * 1000) as i64);
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
        b"help" => help(out, super::help::SLOWLOG),
        // As Redis says it here, and nowhere else.
        _ => {
            let name = String::from_utf8_lossy(argv[1]);
            return Err(CommandError::Text(format!(
                "ERR unknown subcommand or wrong number of arguments for '{name}'. Try SLOWLOG HELP."
            )));
        }
    }
    Ok(())
}
