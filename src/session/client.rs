//! CLIENT: what a connection may know and change of itself and of others. What is not supported is
//! refused by name and never costs the connection.

use super::SessionError;
use super::handshake::client_name;
use super::{Class, Close, Hub, ReplyMode, Session, SessionCommand, SessionId};
use super::{maintenance, tracking};
use crate::resp::spec::{ADMIN, Arity, CommandSpec, LOADING, NO_KEYS, STALE};
use crate::resp::{Protocol, Writer};
use crate::stdx::number::parse_i64;
use crate::stdx::time::{Duration, Instant, Now};
use std::fmt::Write;

type Done = Result<(), SessionError>;

fn client(hub: &mut Hub, session: &mut Session, now: Now, argv: &[&[u8]], out: &mut Writer<'_>) -> Done {
    let arity = |fits: bool, name: &str| {
        if fits { Ok(()) } else { Err(SessionError::Arity(format!("client|{name}"))) }
    };
    let count = argv.len();
    let subcommand = argv[1].to_ascii_lowercase();
    match subcommand.as_slice() {
        b"id" => {
            arity(count == 2, "id")?;
            out.integer(session.id as i64);
        }
        b"info" => {
            arity(count == 2, "info")?;
            out.verbatim("txt", &line_of(hub, session, now.mono));
        }
        b"getname" => {
            arity(count == 2, "getname")?;
            if session.name.is_empty() { out.null() } else { out.bulk(session.name.as_bytes()) }
        }
        b"setname" => {
            arity(count == 3, "setname")?;
            session.name = client_name(argv[2])?;
            out.ok();
        }
        b"setinfo" => {
            arity(count == 4, "setinfo")?;
            set_info(session, argv[2], argv[3])?;
            out.ok();
        }
        b"list" => list(hub, session, now.mono, &argv[2..], out)?,
        b"kill" => {
            arity(count > 2, "kill")?;
            kill(hub, session, now.mono, &argv[2..], out)?;
        }
        b"no-evict" => {
            arity(count == 3, "no-evict")?;
            session.no_evict = on_off(argv[2])?;
            out.ok();
        }
        b"no-touch" => {
            arity(count == 3, "no-touch")?;
            session.no_touch = on_off(argv[2])?;
            out.ok();
        }
        b"reply" => {
            arity(count == 3, "reply")?;
            session.reply_mode = match argv[2].to_ascii_lowercase().as_slice() {
                b"on" => {
                    out.ok();
                    ReplyMode::On
                }
                b"off" => ReplyMode::Off,
                b"skip" if session.reply_mode == ReplyMode::Off => ReplyMode::Off,
                b"skip" => ReplyMode::SkipNext,
                _ => return Err(SessionError::Syntax),
            };
        }
        b"pause" => {
            arity(count == 3 || count == 4, "pause")?;
            let writes_only = match argv.get(3) {
                None => false,
                Some(kind) if kind.eq_ignore_ascii_case(b"all") => false,
                Some(kind) if kind.eq_ignore_ascii_case(b"write") => true,
                Some(_) => return Err("ERR CLIENT PAUSE mode must be WRITE or ALL".into()),
            };
            let timeout = parse_i64(argv[2]).ok_or("ERR timeout is not an integer or out of range")?;
            let timeout = u64::try_from(timeout).map_err(|_| "ERR timeout is negative")?;
            hub.pause(now.mono + Duration::from_millis(timeout), writes_only);
            out.ok();
        }
        b"unpause" => {
            arity(count == 2, "unpause")?;
            hub.end_pause(None);
            out.ok();
        }
        b"getredir" => {
            arity(count == 2, "getredir")?;
            out.integer(hub.tracking.shown(session.id).1);
        }
        b"tracking" => {
            arity(count > 2, "tracking")?;
            tracking::command::tracking(hub, session, &argv[2..], out)?;
        }
        b"caching" => {
            arity(count == 3, "caching")?;
            tracking::command::caching(hub, session, argv[2], out)?;
        }
        b"maint_notifications" => {
            arity(count > 2, "maint_notifications")?;
            maintenance::command(session, &argv[2..], out)?;
        }
        b"trackinginfo" => {
            arity(count == 2, "trackinginfo")?;
            tracking::command::info(hub, session, out);
        }
        b"help" => help(out, super::help::CLIENT),
        _ => return Err(unknown_subcommand("client", argv)),
    }
    Ok(())
}

/// As Redis names a subcommand that it does not know.
pub fn unknown_subcommand(command: &str, argv: &[&[u8]]) -> SessionError {
    let name = String::from_utf8_lossy(&argv[1][..argv[1].len().min(128)]);
    SessionError::Text(format!("ERR unknown subcommand '{name}'. Try {} HELP.", command.to_uppercase()))
}

/// The answer of a HELP subcommand.
pub fn help(out: &mut Writer<'_>, lines: &[&str]) {
    out.array(lines.len());
    lines.iter().for_each(|line| out.simple(line));
}

fn on_off(word: &[u8]) -> Result<bool, SessionError> {
    if word.eq_ignore_ascii_case(b"on") {
        Ok(true)
    } else if word.eq_ignore_ascii_case(b"off") {
        Ok(false)
    } else {
        Err(SessionError::Syntax)
    }
}

fn set_info(session: &mut Session, option: &[u8], value: &[u8]) -> Done {
    let name = String::from_utf8_lossy(option).to_lowercase();
    let text = client_name(value).map_err(|_| {
        SessionError::Text(format!("ERR {name} cannot contain spaces, newlines or special characters."))
    })?;
    match name.as_str() {
        "lib-name" => session.lib_name = text,
        "lib-ver" => session.lib_version = text,
        _ => return Err(SessionError::Text(format!("ERR Unrecognized option '{name}'"))),
    }
    Ok(())
}

fn type_name(class: Class) -> &'static str {
    match class {
        Class::Normal => "normal",
        Class::PubSub => "pubsub",
        Class::Replica => "replica",
    }
}

fn class_named(word: &[u8]) -> Result<Option<Class>, SessionError> {
    match word.to_ascii_lowercase().as_slice() {
        b"normal" => Ok(Some(Class::Normal)),
        b"pubsub" => Ok(Some(Class::PubSub)),
        b"replica" | b"slave" => Ok(Some(Class::Replica)),
        // Our link to a master is no session.
        b"master" => Ok(None),
        _ => {
            let word = String::from_utf8_lossy(word);
            Err(SessionError::Text(format!("ERR Unknown client type '{word}'")))
        }
    }
}

/// One line of CLIENT LIST.
fn line_of(hub: &Hub, session: &Session, now: Instant) -> String {
    let (flags, redirect) = hub.tracking.shown(session.id);
    shown(session, now, flags, redirect)
}

/// The same where nothing is known of what it caches.
pub(super) fn line(session: &Session, now: Instant) -> String {
    shown(session, now, "", -1)
}

fn shown(session: &Session, now: Instant, tracking: &str, redirect: i64) -> String {
    let mut flags = String::new();
    match session.class {
        Class::Replica => flags.push('S'),
        Class::PubSub => flags.push('P'),
        Class::Normal => {}
    }
    if session.monitors {
        flags.push('O');
    }
    if session.multi.is_some() {
        flags.push('x');
    }
    if session.blocked {
        flags.push('b');
    }
    flags.push_str(tracking);
    if session.unix.is_some() {
        flags.push('U');
    }
    if session.no_evict {
        flags.push('e');
    }
    if session.no_touch {
        flags.push('T');
    }
    if flags.is_empty() {
        flags.push('N');
    }
    let waiting = session.outbox.len();
    let mut text = String::with_capacity(256);
    let _ = writeln!(
        text,
        "id={} addr={} laddr={} fd=-1 name={} age={} idle={} flags={flags} db={} sub={} psub={} ssub={} multi={} watch={} qbuf=0 qbuf-free=0 argv-mem=0 multi-mem=0 rbs=0 rbp=0 obl=0 oll={} omem={waiting} tot-mem={} events=r cmd={} user={} redir={redirect} resp={} lib-name={} lib-ver={}",
        session.id,
        session.peer_text(),
        session.local_text(),
        session.name,
        now.since(session.created).as_secs(),
        now.since(session.last_interaction).as_secs(),
        session.db,
        session.channels.len(),
        session.patterns.len(),
        session.shard_channels.len(),
        session.multi.map_or(-1, |queued| queued as i64),
        session.watching,
        usize::from(waiting > 0),
        waiting + std::mem::size_of::<Session>(),
        session.last_command,
        session.user,
        if session.protocol == Protocol::Resp3 { 3 } else { 2 },
        session.lib_name,
        session.lib_version,
    );
    text
}

fn list(hub: &Hub, me: &Session, now: Instant, words: &[&[u8]], out: &mut Writer<'_>) -> Done {
    let (mut class, mut ids) = (None, None);
    match words {
        [] => {}
        [option, kind] if option.eq_ignore_ascii_case(b"type") => class = Some(class_named(kind)?),
        [option, list @ ..] if option.eq_ignore_ascii_case(b"id") && !list.is_empty() => {
            let parse = |word: &&[u8]| parse_id(word).ok_or("ERR Invalid client ID");
            ids = Some(list.iter().map(parse).collect::<Result<Vec<_>, _>>()?);
        }
        _ => return Err(SessionError::Syntax),
    }
    let mut all: Vec<&Session> = hub.others().chain([me]).collect();
    all.sort_by_key(|session| session.id);
    let text: String = all
        .into_iter()
        .filter(|session| class.is_none_or(|class| class == Some(session.class)))
        .filter(|session| ids.as_ref().is_none_or(|ids| ids.contains(&session.id)))
        .map(|session| line_of(hub, session, now))
        .collect();
    out.verbatim("txt", &text);
    Ok(())
}

fn parse_id(word: &[u8]) -> Option<SessionId> {
    parse_i64(word).and_then(|id| u64::try_from(id).ok()).filter(|&id| id > 0)
}

/// Filters of CLIENT KILL; all that are given must hold.
#[derive(Default)]
struct Filter<'a> {
    id: Option<SessionId>,
    class: Option<Option<Class>>,
    address: Option<&'a [u8]>,
    local: Option<&'a [u8]>,
    age_s_min: Option<u64>,
    user: Option<String>,
}

impl Filter<'_> {
    fn picks(&self, session: &Session, now: Instant) -> bool {
        let is = |address: String, text: &[u8]| address.as_bytes() == text;
        self.id.is_none_or(|id| session.id == id)
            && self.class.is_none_or(|class| class == Some(session.class))
            && self.address.is_none_or(|text| is(session.peer_text(), text))
            && self.local.is_none_or(|text| is(session.local_text(), text))
            && self.user.as_ref().is_none_or(|user| *user == session.user)
            && self.age_s_min.is_none_or(|age| now.since(session.created).as_secs() >= age)
    }
}

fn kill(hub: &Hub, me: &mut Session, now: Instant, words: &[&[u8]], out: &mut Writer<'_>) -> Done {
    let mut filter = Filter::default();
    let mut skip_me = true;
    let old_form = words.len() == 1;
    if old_form {
        filter.address = Some(words[0]);
        skip_me = false;
    } else {
        if !words.len().is_multiple_of(2) {
            return Err(SessionError::Syntax);
        }
        for pair in words.chunks_exact(2) {
            let value = pair[1];
            match pair[0].to_ascii_lowercase().as_slice() {
                b"id" => {
                    filter.id = Some(parse_id(value).ok_or("ERR client-id should be greater than 0")?);
                }
                b"type" => filter.class = Some(class_named(value)?),
                b"addr" => filter.address = Some(value),
                b"laddr" => filter.local = Some(value),
                b"maxage" => {
                    let age = parse_i64(value).and_then(|age| u64::try_from(age).ok());
                    filter.age_s_min = Some(age.ok_or("ERR maxage is not an integer or out of range")?);
                }
                b"user" => {
                    let user = String::from_utf8_lossy(value).into_owned();
                    if hub.auth.acl.user(&user).is_none() {
                        return Err(SessionError::Text(format!("ERR No such user '{user}'")));
                    }
                    filter.user = Some(user);
                }
                b"skipme" if value.eq_ignore_ascii_case(b"yes") => skip_me = true,
                b"skipme" if value.eq_ignore_ascii_case(b"no") => skip_me = false,
                _ => return Err(SessionError::Syntax),
            }
        }
    }
    let mut killed = hub.close_where(|session| filter.picks(session, now));
    if !skip_me && filter.picks(me, now) {
        // The killer still gets its answer.
        me.close = true;
        me.outbox.close(Close::AfterFlush);
        killed += 1;
    }
    match (old_form, killed) {
        (true, 0) => return Err("ERR No such client".into()),
        (true, _) => out.ok(),
        (false, killed) => out.integer(killed as i64),
    }
    Ok(())
}

/// `name` for logs: how CLIENT LIST TYPE calls it.
pub fn class_name(session: &Session) -> &'static str {
    type_name(session.class)
}

pub const COMMANDS: &[SessionCommand] = &[SessionCommand {
    spec: CommandSpec {
        name: "client",
        arity: Arity::AtLeast(2),
        flags: ADMIN | LOADING | STALE,
        keys: NO_KEYS,
        category: "@connection",
        summary: "Looks at and changes connections.",
    },
    handler: client,
}];
