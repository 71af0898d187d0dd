//! How a session begins and ends: HELLO, AUTH, RESET, QUIT, and the small talk (PING, ECHO, SELECT).

use super::SessionError;
use super::auth::Answer;
use super::{Class, Handler, Hub, ReplyMode, Session, SessionCommand};
use crate::resp::spec::{Arity, CommandSpec, FAST, Flags, LOADING, NO_AUTH, NO_KEYS, STALE};
use crate::resp::{Protocol, Writer};
use crate::stdx::number::parse_i64;
use crate::stdx::time::Now;

type Done = Result<(), SessionError>;

const HELLO_NOAUTH: &str = "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same time";
const WRONGPASS: &str = "WRONGPASS invalid username-password pair or user is disabled.";
const LATER: &str = "ERR too many failed authentications from this address, try again in a second";
const NO_PASSWORD: &str = "ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?";
const BAD_NAME: &str = "ERR Client names cannot contain spaces, newlines or special characters.";

fn hello(hub: &mut Hub, session: &mut Session, now: Now, argv: &[&[u8]], out: &mut Writer<'_>) -> Done {
    let mut protocol = session.protocol;
    if let Some(version) = argv.get(1) {
        protocol = match parse_i64(version) {
            None => return Err("ERR Protocol version is not an integer or out of range".into()),
            Some(2) => Protocol::Resp2,
            Some(3) => Protocol::Resp3,
            Some(_) => return Err("NOPROTO unsupported protocol version".into()),
        };
    }
    // Options are read first and take effect together: a bad one leaves the session as it was.
    let (mut login, mut name) = (None, None);
    let mut rest = argv.get(2..).unwrap_or(&[]);
    while let Some((option, more)) = rest.split_first() {
        rest = match more {
            [user, password, rest @ ..] if option.eq_ignore_ascii_case(b"auth") => {
                login = Some((user, password));
                rest
            }
            [wanted, rest @ ..] if option.eq_ignore_ascii_case(b"setname") => {
                name = Some(client_name(wanted)?);
                rest
            }
            _ => {
                let option = String::from_utf8_lossy(option);
                return Err(SessionError::Text(format!("ERR Syntax error in HELLO option '{option}'")));
            }
        };
    }
    if let Some((user, password)) = login {
        authenticate(hub, session, now, argv[0], user, password)?;
    }
    if !session.authenticated {
        return Err(HELLO_NOAUTH.into());
    }
    if let Some(name) = name {
        session.name = name;
    }
    session.protocol = protocol;
    hub.pubsub.set_protocol(session);
    hub.tracking.set_protocol(session);
    out.set_protocol(protocol);
    // A sentinel has a mode and no role, as clients know it from Redis.
    let has_role = hub.settings.mode != "sentinel";
    out.map(if has_role { 7 } else { 6 });
    out.bulk(b"server");
    out.bulk(b"redis");
    out.bulk(b"version");
    out.bulk(hub.settings.version.as_bytes());
    out.bulk(b"proto");
    out.integer(if protocol == Protocol::Resp3 { 3 } else { 2 });
    out.bulk(b"id");
    out.integer(session.id as i64);
    out.bulk(b"mode");
    out.bulk(hub.settings.mode.as_bytes());
    if has_role {
        out.bulk(b"role");
        out.bulk(hub.role.as_bytes());
    }
    out.bulk(b"modules");
    out.array(0);
    Ok(())
}

fn auth(hub: &mut Hub, session: &mut Session, now: Now, argv: &[&[u8]], out: &mut Writer<'_>) -> Done {
    match argv {
        [_, _] if !hub.auth.is_required() => return Err(NO_PASSWORD.into()),
        [_, password] => authenticate(hub, session, now, argv[0], b"default", password)?,
        [_, user, password] => authenticate(hub, session, now, argv[0], user, password)?,
        _ => return Err(SessionError::Syntax),
    }
    out.ok();
    Ok(())
}

fn authenticate(
    hub: &mut Hub,
    session: &mut Session,
    now: Now,
    command: &[u8],
    user: &[u8],
    password: &[u8],
) -> Done {
    let source = (!session.is_loopback()).then(|| session.peer.ip());
    match hub.auth.check(now.mono, source, user, password) {
        Answer::Right => {
            session.authenticated = true;
            session.user = String::from_utf8_lossy(user).into_owned();
            session.unlimited_at = 0;
            Ok(())
        }
        Answer::Wrong => {
            hub.note_failed_login(session, now, user, command);
            Err(WRONGPASS.into())
        }
        Answer::Later => Err(LATER.into()),
    }
}

/// A name that cannot disturb the lines of CLIENT LIST.
pub(super) fn client_name(name: &[u8]) -> Result<String, SessionError> {
    match std::str::from_utf8(name) {
        Ok(name) if name.bytes().all(|byte| byte.is_ascii_graphic()) => Ok(name.to_owned()),
        _ => Err(BAD_NAME.into()),
    }
}

fn ping(_: &mut Hub, session: &mut Session, _: Now, argv: &[&[u8]], out: &mut Writer<'_>) -> Done {
    match argv {
        _ if argv.len() > 2 => return Err(SessionError::Arity("ping".into())),
        _ if session.is_in_subscribe_mode() => {
            out.array(2);
            out.bulk(b"pong");
            out.bulk(argv.get(1).copied().unwrap_or(b""));
        }
        [_, message] => out.bulk(message),
        _ => out.raw(b"+PONG\r\n"),
    }
    Ok(())
}

fn echo(_: &mut Hub, _: &mut Session, _: Now, argv: &[&[u8]], out: &mut Writer<'_>) -> Done {
    out.bulk(argv[1]);
    Ok(())
}

fn select(hub: &mut Hub, session: &mut Session, _: Now, argv: &[&[u8]], out: &mut Writer<'_>) -> Done {
    let index = parse_i64(argv[1]).ok_or(SessionError::NotInteger)?;
    match usize::try_from(index) {
        Ok(db) if db < hub.settings.databases => session.db = db,
        _ => return Err("ERR DB index is out of range".into()),
    }
    out.ok();
    Ok(())
}

fn quit(_: &mut Hub, session: &mut Session, _: Now, _: &[&[u8]], out: &mut Writer<'_>) -> Done {
    session.close = true;
    out.ok();
    Ok(())
}

/// As a new connection, but the id stays. Whoever keeps more of a session resets that too.
fn reset(hub: &mut Hub, session: &mut Session, _: Now, _: &[&[u8]], out: &mut Writer<'_>) -> Done {
    hub.pubsub.forget(session);
    session.channels.clear();
    session.patterns.clear();
    session.shard_channels.clear();
    hub.tracking.forget(session.id);
    session.tracks = false;
    session.monitors = false;
    session.maintenance = false;
    session.class = Class::Normal;
    session.protocol = Protocol::Resp2;
    session.db = 0;
    session.name.clear();
    session.reply_mode = ReplyMode::On;
    session.no_evict = false;
    session.no_touch = false;
    session.authenticated = !hub.auth.is_required();
    session.user = "default".to_owned();
    session.unlimited_at = 0;
    out.set_protocol(Protocol::Resp2);
    out.simple("RESET");
    Ok(())
}

const fn row(
    name: &'static str,
    arity: Arity,
    flags: Flags,
    handler: Handler,
    summary: &'static str,
) -> SessionCommand {
    let flags = FAST | STALE | flags;
    SessionCommand {
        spec: CommandSpec { name, arity, flags, keys: NO_KEYS, category: "@connection", summary },
        handler,
    }
}

use Arity::{AtLeast, Exactly};
pub const COMMANDS: &[SessionCommand] = &[
    row(
        "hello",
        AtLeast(1),
        LOADING | NO_AUTH,
        hello,
        "Agrees on the protocol; may authenticate and name the connection.",
    ),
    row("auth", AtLeast(2), LOADING | NO_AUTH, auth, "Authenticates the connection."),
    row("ping", AtLeast(1), 0, ping, "Answers."),
    row("echo", Exactly(2), 0, echo, "Returns its argument."),
    row("select", Exactly(2), LOADING, select, "Changes the selected database."),
    row("quit", AtLeast(1), LOADING | NO_AUTH, quit, "Closes the connection."),
    row("reset", Exactly(1), LOADING | NO_AUTH, reset, "Makes the connection as good as new."),
];
