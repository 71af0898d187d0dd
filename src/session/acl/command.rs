//! ACL: looking at users and changing them.

use super::catalogue;
use super::{Denied, Order, Selector};
use crate::resp::Writer;
use crate::resp::spec::{ADMIN, Arity, CommandSpec, LOADING, NO_KEYS, NO_MULTI, STALE};
use crate::session::client::{help, unknown_subcommand};
use crate::session::{Close, Hub, Session, SessionCommand, SessionError};
use crate::stdx::number::parse_i64;
use crate::stdx::time::Now;

type Done = Result<(), SessionError>;

const GENPASS_BITS_MAX: i64 = 4096;
const NO_FILE: &str = "ERR This Redis instance is not configured to use an ACL file. You may want to specify users via the ACL SETUSER command and then issue a CONFIG REWRITE (assuming you have a Redis configuration file set) in order to store users in the Redis configuration.";

fn acl(hub: &mut Hub, session: &mut Session, now: Now, argv: &[&[u8]], out: &mut Writer<'_>) -> Done {
    let count = argv.len();
    let subcommand = argv[1].to_ascii_lowercase();
    let arity = |fits: bool| {
        let name = String::from_utf8_lossy(&subcommand);
        if fits { Ok(()) } else { Err(SessionError::Arity(format!("acl|{name}"))) }
    };
    match subcommand.as_slice() {
        b"whoami" => {
            arity(count == 2)?;
            out.bulk(session.user.as_bytes());
        }
        b"users" => {
            arity(count == 2)?;
            let names: Vec<&str> = hub.auth.acl.users().map(|user| user.name.as_str()).collect();
            out.array(names.len());
            names.iter().for_each(|name| out.bulk(name.as_bytes()));
        }
        b"list" => {
            arity(count == 2)?;
            let lines: Vec<String> = hub.auth.acl.users().map(super::User::text).collect();
            out.array(lines.len());
            lines.iter().for_each(|line| out.bulk(line.as_bytes()));
        }
        b"cat" => {
            arity(count == 2 || count == 3)?;
            cat(hub, argv.get(2).copied(), out)?;
        }
        b"getuser" => {
            arity(count == 3)?;
            get_user(hub, argv[2], out);
        }
        b"setuser" => {
            arity(count >= 3)?;
            let name = text(argv[2]);
            let rules: Vec<Vec<u8>> = argv[3..].iter().map(|rule| rule.to_vec()).collect();
            hub.auth.acl.set_user(&name, &rules).map_err(error)?;
            hub.drop_forbidden_listeners(session);
            out.ok();
        }
        b"deluser" => {
            arity(count >= 3)?;
            if argv[2..].contains(&&b"default"[..]) {
                return Err("ERR The 'default' user cannot be removed".into());
            }
            let names: Vec<String> = argv[2..].iter().map(|name| text(name)).collect();
            let deleted: Vec<String> = names.into_iter().filter(|name| hub.auth.acl.delete(name)).collect();
            hub.close_where(|other| deleted.contains(&other.user));
            if deleted.contains(&session.user) {
                session.outbox.close(Close::AfterFlush);
                session.close = true;
            }
            out.integer(deleted.len() as i64);
        }
        b"genpass" => {
            arity(count == 2 || count == 3)?;
            genpass(hub, argv.get(2).copied(), out)?;
        }
        b"dryrun" => {
            arity(count >= 4)?;
            dry_run(hub, &argv[2..], out)?;
        }
        b"log" => {
            arity(count == 2 || count == 3)?;
            log(hub, argv.get(2).copied(), now, out)?;
        }
        b"load" | b"save" => {
            arity(count == 2)?;
            if !hub.auth.acl.has_file {
                return Err(NO_FILE.into());
            }
            let save = subcommand == b"save";
            let text = save.then(|| hub.auth.acl.text());
            // The shell answers when the file was read or written.
            hub.auth.acl.order = Some(text.map_or(Order::Load, |text| Order::Save { text }));
        }
        b"help" => help(out, crate::session::help::ACL),
        _ => return Err(unknown_subcommand("acl", argv)),
    }
    Ok(())
}

fn text(word: &[u8]) -> String {
    String::from_utf8_lossy(word).into_owned()
}

fn error(why: String) -> SessionError {
    SessionError::Text(format!("ERR {why}"))
}

fn cat(hub: &Hub, name: Option<&[u8]>, out: &mut Writer<'_>) -> Done {
    let Some(name) = name else {
        out.array(catalogue::CATEGORIES.len());
        catalogue::CATEGORIES.iter().for_each(|name| out.bulk(name.as_bytes()));
        return Ok(());
    };
    let unknown = || SessionError::Text(format!("ERR Unknown category '{}'", text(name)));
    let bit = catalogue::category(&text(name)).ok_or_else(unknown)?;
    let has = |entry: &&catalogue::Entry| {
        let command = entry.name.split('|').next().unwrap_or_default();
        entry.categories & bit != 0 && hub.settings.port.knows.is_none_or(|knows| knows(command))
    };
    let found: Vec<&str> = catalogue::entries().iter().filter(has).map(|entry| entry.name).collect();
    out.array(found.len());
    found.iter().for_each(|name| out.bulk(name.as_bytes()));
    Ok(())
}

fn get_user(hub: &Hub, name: &[u8], out: &mut Writer<'_>) {
    let Some(user) = hub.auth.acl.user(&text(name)) else { return out.null() };
    out.map(6);
    out.bulk(b"flags");
    let flags = user.flags();
    out.set(flags.len());
    flags.iter().for_each(|flag| out.bulk(flag.as_bytes()));
    out.bulk(b"passwords");
    let hashes: Vec<String> = user.hashes().collect();
    out.array(hashes.len());
    hashes.iter().for_each(|hash| out.bulk(hash.as_bytes()));
    describe(user.root(), out);
    out.bulk(b"selectors");
    out.array(user.selectors().len());
    for selector in user.selectors() {
        out.map(3);
        describe(selector, out);
    }
}

fn describe(selector: &Selector, out: &mut Writer<'_>) {
    for (name, value) in [
        ("commands", selector.commands_text()),
        ("keys", selector.keys_text()),
        ("channels", selector.channels_text()),
    ] {
        out.bulk(name.as_bytes());
        out.bulk(value.as_bytes());
    }
}

fn genpass(hub: &Hub, bits: Option<&[u8]>, out: &mut Writer<'_>) -> Done {
    let bad = "ERR ACL GENPASS argument must be the number of bits for the output password, a positive number up to 4096";
    let bits = match bits {
        None => 256,
        Some(word) => Some(parse_i64(word).ok_or("ERR value is not an integer or out of range")?)
            .filter(|bits| (1..=GENPASS_BITS_MAX).contains(bits))
            .ok_or(bad)?,
    };
    let digits = (bits as usize).div_ceil(4);
    let mut bytes = vec![0; digits.div_ceil(2)];
    let fill = hub.settings.port.entropy.ok_or("ERR no entropy is at hand for a password")?;
    if !fill(&mut bytes) {
        return Err("ERR the system gives no entropy for a password".into());
    }
    let mut hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    hex.truncate(digits);
    out.bulk(hex.as_bytes());
    Ok(())
}

fn dry_run(hub: &Hub, argv: &[&[u8]], out: &mut Writer<'_>) -> Done {
    let user = hub.auth.acl.user(&text(argv[0]));
    let user = user.ok_or_else(|| error(format!("User '{}' not found", text(argv[0]))))?;
    let argv = &argv[1..];
    let name = text(argv[0]).to_ascii_lowercase();
    let known = hub.settings.port.knows.is_none_or(|knows| knows(&name));
    // A container takes the word after it for a subcommand, whatever it is.
    let mistaken = |index| argv.len() > 1 && catalogue::subcommands(index).next().is_some();
    let index = catalogue::of_request(argv).filter(|index| known && !mistaken(*index));
    let index = index.ok_or_else(|| error(format!("Command '{}' not found", text(argv[0]))))?;
    let keys = match hub.settings.port.keys {
        Some(keys) => keys(argv).map_err(SessionError::Text)?,
        None => Vec::new(),
    };
    match user.denies(Some(index), argv, &keys) {
        None => out.ok(),
        Some(denied) => {
            let shown = |at: usize| argv.get(at).map(|word| text(word)).unwrap_or_default();
            let said = match denied {
                Denied::Command => format!(
                    "This user has no permissions to run the '{}' command",
                    catalogue::entries()[index].name
                ),
                Denied::Key(at) => format!("This user has no permissions to access the '{}' key", shown(at)),
                Denied::Channel(at) => {
                    format!("This user has no permissions to access the '{}' channel", shown(at))
                }
            };
            out.bulk(said.as_bytes());
        }
    }
    Ok(())
}

fn log(hub: &mut Hub, word: Option<&[u8]>, now: Now, out: &mut Writer<'_>) -> Done {
    let log = &mut hub.auth.acl.log;
    let count = match word {
        None => 10,
        Some(word) if word.eq_ignore_ascii_case(b"reset") => {
            log.entries.clear();
            out.ok();
            return Ok(());
        }
        Some(word) => {
            let count = parse_i64(word).ok_or(SessionError::NotInteger)?;
            usize::try_from(count).unwrap_or(0)
        }
    };
    let shown = log.entries.len().min(count);
    out.array(shown);
    for entry in log.entries.iter().take(shown) {
        out.map(7);
        out.bulk(b"count");
        out.integer(entry.count as i64);
        let age_ms = now.wall.as_millis().saturating_sub(entry.at.as_millis());
        let age = format!("{}.{:03}", age_ms / 1000, age_ms % 1000);
        for (name, value) in [
            ("reason", entry.reason.as_bytes()),
            ("context", entry.context.as_bytes()),
            ("object", &entry.object),
            ("username", entry.user.as_bytes()),
            ("age-seconds", age.as_bytes()),
            ("client-info", entry.client.as_bytes()),
        ] {
            out.bulk(name.as_bytes());
            out.bulk(value);
        }
    }
    Ok(())
}

pub const COMMANDS: &[SessionCommand] = &[SessionCommand {
    spec: CommandSpec {
        name: "acl",
        arity: Arity::AtLeast(2),
        flags: ADMIN | LOADING | STALE | NO_MULTI,
        keys: NO_KEYS,
        category: "@admin",
        summary: "Looks at users and changes them.",
    },
    handler: acl,
}];
