//! MIGRATE: keys go to another server with DUMP and RESTORE, and from here when they are there. The
//! conversation is a shell's; writes wait meanwhile, so that what goes is what was sent, reads do not.
//!
//! Promise: a key is deleted here only after the other server said that it has it; whatever else
//! happens it stays, and the reply says so. Inside MULTI and scripts nothing may come between: there all
//! wait for the other server, as they do in Redis, at most for the timeouts that the command names.

use super::table::Run;
use super::{Action, Server, ServerCommand};
use crate::commands::CommandError;
use crate::model::Address;
use crate::resp::spec::{Arity, CommandSpec, NO_KEYS, WRITE};
use crate::resp::{Protocol, Writer, encode};
use crate::session::{Session, SessionId};
use crate::stdx::number::parse_i64;
use crate::stdx::time::{Duration, Now};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::Arc;

type Done = Result<(), CommandError>;

const TIMEOUT_DEFAULT: Duration = Duration::from_secs(1);
/// So that no sum of times overflows.
const TIMEOUT_MAX: Duration = Duration::from_secs(24 * 3600);
/// Dial, write and read may each take the timeout.
const PHASES: u32 = 3;

/// What goes to the other server; each request is answered by one line.
pub struct Errand {
    pub target: Address,
    pub timeout: Duration,
    /// Sent first, for keys must not land in another database than the one that was asked for; may hold
    /// a password.
    pub preamble: Bytes,
    pub preamble_answers: usize,
    pub request: Bytes,
    pub keys: usize,
}

impl std::fmt::Debug for Errand {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Errand({} keys to {})", self.keys, self.target)
    }
}

/// How it went.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Of the first keys, in order: what the other server said against it.
    pub answers: Vec<Option<String>>,
    /// Why not all were answered.
    pub failed: Option<String>,
}

/// Has the conversation, for as long as it takes.
pub type Carrier = Arc<dyn Fn(&Errand) -> Outcome + Send + Sync>;

#[derive(Default)]
pub struct Migrations {
    /// Those under way.
    by_session: BTreeMap<SessionId, Migration>,
    /// For those that nothing may come between.
    carrier: Option<Carrier>,
}

#[derive(Debug)]
struct Migration {
    db: usize,
    keys: Vec<Sent>,
    copy: bool,
    /// The pause of writes is its own to end.
    paused: bool,
}

#[derive(Debug)]
struct Sent {
    key: Vec<u8>,
    /// The end of the payload: its checksum.
    sum: Vec<u8>,
}

/// The checksum at the end of a payload of DUMP.
fn sum_of(payload: &[u8]) -> &[u8] {
    &payload[payload.len().saturating_sub(8)..]
}

#[derive(Default)]
struct Options {
    copy: bool,
    replace: bool,
    /// Where the words stand that AUTH is sent with.
    login: std::ops::Range<usize>,
    /// Where the keys stand.
    keys: Vec<usize>,
}

impl Options {
    fn parse(argv: &[&[u8]]) -> Result<Options, CommandError> {
        let mut options = Options { keys: vec![3], ..Options::default() };
        let mut at = 6;
        while let Some(word) = argv.get(at) {
            let left = argv.len() - at - 1;
            match word.to_ascii_lowercase().as_slice() {
                b"copy" => options.copy = true,
                b"replace" => options.replace = true,
                b"auth" if left >= 1 => {
                    options.login = at + 1..at + 2;
                    at += 1;
                }
                b"auth2" if left >= 2 => {
                    options.login = at + 1..at + 3;
                    at += 2;
                }
                b"keys" => {
                    if !argv[3].is_empty() {
                        return Err("ERR When using MIGRATE KEYS option, the key argument must be set to the empty string".into());
                    }
                    options.keys = (at + 1..argv.len()).collect();
                    break;
                }
                _ => return Err(CommandError::Syntax),
            }
            at += 1;
        }
        Ok(options)
    }
}

/// Indexes of the keys.
pub fn key_positions(argv: &[&[u8]]) -> Vec<usize> {
    Options::parse(argv).map_or(vec![3], |options| options.keys)
}

fn migrate(
    server: &mut Server,
    session: &mut Session,
    now: Now,
    argv: &[&[u8]],
    out: &mut Writer<'_>,
) -> Done {
    let options = Options::parse(argv)?;
    let timeout = parse_i64(argv[5]).ok_or(CommandError::NotInteger)?;
    let db = parse_i64(argv[4]).ok_or(CommandError::NotInteger)?;
    let port = parse_i64(argv[2]).and_then(|port| u16::try_from(port).ok());
    let port = port.ok_or("IOERR error or timeout connecting to the client")?;
    let timeout = match u64::try_from(timeout) {
        Ok(ms @ 1..) => Duration::from_millis(ms).min(TIMEOUT_MAX),
        _ => TIMEOUT_DEFAULT,
    };
    let (mut preamble, mut preamble_answers) = (Vec::new(), 1);
    if !options.login.is_empty() {
        preamble_answers += 1;
        let mut words = vec![&b"AUTH"[..]];
        words.extend(&argv[options.login]);
        encode::command(&mut preamble, &words);
    }
    encode::command(&mut preamble, &[&b"SELECT"[..], db.to_string().as_bytes()]);
    let (mut request, mut keys) = (Vec::new(), Vec::new());
    for &at in &options.keys {
        let key = argv[at];
        let payload = server.ask_data(now, session.db, &[b"DUMP", key]);
        let Some(payload) = bulk(&payload) else { continue };
        let left = server.ask_data(now, session.db, &[b"PTTL", key]);
        let left =
            std::str::from_utf8(&left).ok().and_then(|text| text.strip_prefix(':')?.trim_end().parse().ok());
        // 0 means for ever there.
        let ttl_ms = left.map_or(0, |left: i64| if left < 0 { 0 } else { left.max(1) }).to_string();
        let mut words = vec![&b"RESTORE"[..], key, ttl_ms.as_bytes(), payload];
        if options.replace {
            words.push(b"REPLACE");
        }
        encode::command(&mut request, &words);
        keys.push(Sent { key: key.to_vec(), sum: sum_of(payload).to_vec() });
    }
    if keys.is_empty() {
        out.simple("NOKEY");
        return Ok(());
    }
    let target = Address::new(String::from_utf8_lossy(argv[1]).into_owned(), port);
    let (preamble, request) = (preamble.into(), request.into());
    let errand = Errand { target, timeout, preamble, preamble_answers, request, keys: keys.len() };
    let mut migration = Migration { db: session.db, keys, copy: options.copy, paused: false };
    if server.propagation.in_exec {
        let carrier = server.migrations.carrier.clone();
        let outcome = carrier.ok_or("IOERR error or timeout connecting to the client")?(&errand);
        return match server.settle_migration(now, &migration, outcome) {
            None => {
                out.ok();
                Ok(())
            }
            Some(why) => Err(CommandError::Text(why)),
        };
    }
    migration.paused = server.hub.pause.is_none();
    server.hub.pause(now.mono + timeout * PHASES, true);
    server.migrations.by_session.insert(session.id, migration);
    server.actions.push(Action::Migrate { session: session.id, errand });
    server.block(session);
    Ok(())
}

/// The bytes of a bulk reply.
fn bulk(reply: &[u8]) -> Option<&[u8]> {
    let end = memchr::memchr(b'\n', reply)?;
    reply.starts_with(b"$").then_some(())?;
    let length: usize = std::str::from_utf8(&reply[1..end]).ok()?.trim_end().parse().ok()?;
    reply.get(end + 1..end + 1 + length)
}

impl Server {
    /// What a data command answers, carried out here and now.
    fn ask_data(&mut self, now: Now, db: usize, argv: &[&[u8]]) -> Vec<u8> {
        let mut reply = Vec::new();
        let run = self.table.find(argv[0]).map(|id| self.table.entry(id).run);
        if let Some(Run::Data(handler)) = run {
            // An error leaves nothing, and nothing is taken for no key.
            let _ = self.call_data(now, db, handler, argv, &mut Writer::new(&mut reply, Protocol::Resp2));
        }
        reply
    }

    /// What is gone by now counts as well.
    fn is_as_sent(&mut self, now: Now, db: usize, key: &[u8], sum: &[u8]) -> bool {
        let reply = self.ask_data(now, db, &[b"DUMP", key]);
        bulk(&reply).is_none_or(|payload| sum_of(payload) == sum)
    }

    /// How keys are carried where nothing may come between.
    pub fn set_carrier(&mut self, carrier: Carrier) {
        self.migrations.carrier = Some(carrier);
    }

    /// What is there goes from here; what went wrong.
    fn settle_migration(&mut self, now: Now, migration: &Migration, outcome: Outcome) -> Option<String> {
        let Migration { db, keys, copy, .. } = migration;
        let mut error = None;
        let is_master = !self.replication.is_replica();
        for (Sent { key, sum }, answer) in keys.iter().zip(outcome.answers) {
            match answer {
                None if *copy => {}
                // The pause may have been ended early (CLIENT UNPAUSE, a slow peer): what was written since
                // exists only here.
                None if is_master && !self.is_as_sent(now, *db, key, sum) => {
                    error.get_or_insert("ERR a key was written while it was moved: it is on both".to_owned());
                }
                None if is_master => drop(self.ask_data(now, *db, &[b"DEL", key])),
                None => {
                    error.get_or_insert(
                        "ERR this server is no master any more: the keys are on both".to_owned(),
                    );
                }
                Some(why) => {
                    error.get_or_insert(format!("ERR Target instance replied with error: {why}"));
                }
            }
        }
        error.or(outcome.failed)
    }

    /// The conversation is over.
    pub(in crate::server) fn migrated(&mut self, now: Now, session: SessionId, outcome: Outcome) {
        let Some(migration) = self.migrations.by_session.remove(&session) else { return };
        let error = self.settle_migration(now, &migration, outcome);
        let paused = migration.paused;
        let mut reply = Vec::new();
        let mut out = Writer::new(&mut reply, Protocol::Resp2);
        match error {
            None => out.ok(),
            Some(why) => out.error(&why),
        }
        if paused && !self.stream_is_held() {
            self.hub.end_pause(None);
        }
        self.serve_ready(now);
        let hold = self.hold();
        self.unblock(session, reply.into(), Some(hold));
    }
}

pub const COMMANDS: &[ServerCommand] = &[ServerCommand {
    spec: CommandSpec {
        name: "migrate",
        arity: Arity::AtLeast(6),
        flags: WRITE,
        keys: NO_KEYS,
        category: "@keyspace",
        summary: "Moves keys to another server.",
    },
    handler: migrate,
}];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_are_where_the_words_say() {
        let find = |line: &str| {
            let argv: Vec<&[u8]> = line.split(' ').map(|word| word.trim_matches('"').as_bytes()).collect();
            key_positions(&argv)
        };
        assert_eq!(find("MIGRATE h 1 key 0 9 COPY"), [3]);
        assert_eq!(find("MIGRATE h 1 \"\" 0 9 AUTH keys REPLACE KEYS a b"), [10, 11]);
        assert_eq!(find("MIGRATE h 1 \"\" 0 9 AUTH2 u keys"), [3]);
    }

    #[test]
    fn an_errand_does_not_show_its_password() {
        let errand = Errand {
            target: Address::new("h", 1),
            timeout: TIMEOUT_DEFAULT,
            preamble: Bytes::from_static(b"AUTH secret"),
            preamble_answers: 1,
            request: Bytes::new(),
            keys: 1,
        };
        assert!(!format!("{errand:?}").contains("secret"));
    }
}
