//! Commands that wait for a key: BLPOP and its kin, and in [`reads`] those of streams. Each is its plain sister (LPOP, LMOVE, LMPOP,
//! ZPOPMIN, ZMPOP) tried now, and tried again in the order of arrival whenever one of its keys was
//! touched. Inside EXEC they never wait.

mod reads;

use super::{Server, ServerCommand};
use crate::commands::CommandError;
use crate::resp::spec::{Arity, BLOCKING, CommandSpec, DENYOOM, Flags, KEY_1_2, Keys, NO_KEYS, WRITE};
use crate::resp::{Argv, Protocol, Writer};
use crate::session::{Session, SessionId};
use crate::stdx::number::{parse_f64, parse_i64};
use crate::stdx::time::{Duration, Instant, Now};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

type Done = Result<(), CommandError>;
type Key = (usize, Box<[u8]>);

#[derive(Debug, Default)]
pub struct Blocking {
    waits: BTreeMap<SessionId, Wait>,
    by_key: BTreeMap<Key, VecDeque<SessionId>>,
    deadlines: BTreeSet<(Instant, SessionId)>,
    ready: VecDeque<Key>,
    /// A deadline was added since the shell last looked.
    pub stirred: bool,
}

#[derive(Debug)]
struct Wait {
    db: usize,
    protocol: Protocol,
    kind: Kind,
    argv: Vec<Box<[u8]>>,
    keys: Vec<Box<[u8]>>,
    deadline: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// BLPOP, BRPOP: `[key, value]`.
    Pop(&'static str),
    /// BZPOPMIN, BZPOPMAX: `[key, member, score]`.
    ZPop(&'static str),
    /// BLMPOP, BZMPOP: the sister's reply as it is.
    Many(&'static str),
    /// BLMOVE, BRPOPLPUSH: likewise; its null is a bulk.
    Move,
    /// XREAD, XREADGROUP: what they read they leave, so whoever waits behind is tried too.
    Read { group: bool },
}

/// A blocking command as it came.
struct Asked<'a> {
    kind: Kind,
    argv: &'a [&'a [u8]],
    timeout: &'a [u8],
    keys: &'a [&'a [u8]],
}

/// One that found nothing and is to wait.
struct Waiting<'a> {
    kind: Kind,
    argv: Vec<Box<[u8]>>,
    keys: &'a [&'a [u8]],
    timeout: Option<Duration>,
}

impl Blocking {
    pub fn is_empty(&self) -> bool {
        self.waits.is_empty()
    }

    pub fn len(&self) -> usize {
        self.waits.len()
    }

    /// Of them, those that will not wait for ever.
    pub fn with_timeout(&self) -> usize {
        self.deadlines.len()
    }

    pub fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|&(deadline, _)| deadline)
    }

    pub fn forget(&mut self, id: SessionId) {
        let Some(wait) = self.waits.remove(&id) else { return };
        if let Some(deadline) = wait.deadline {
            self.deadlines.remove(&(deadline, id));
        }
        for key in wait.keys {
            let key = (wait.db, key);
            if let Some(queue) = self.by_key.get_mut(&key) {
                queue.retain(|&other| other != id);
                if queue.is_empty() {
                    self.by_key.remove(&key);
                }
            }
        }
    }

    pub fn signal(&mut self, db: usize, key: &[u8]) {
        if self.by_key.is_empty() {
            return;
        }
        let key = (db, key.into());
        if self.by_key.contains_key(&key) && !self.ready.contains(&key) {
            self.ready.push_back(key);
        }
    }

    pub fn signal_all(&mut self) {
        self.ready = self.by_key.keys().cloned().collect();
    }

    fn add(&mut self, id: SessionId, wait: Wait) {
        if let Some(deadline) = wait.deadline {
            self.deadlines.insert((deadline, id));
            self.stirred = true;
        }
        for key in &wait.keys {
            let queue = self.by_key.entry((wait.db, key.clone())).or_default();
            if !queue.contains(&id) {
                queue.push_back(id);
            }
        }
        self.waits.insert(id, wait);
    }
}

impl Server {
    /// Serves whoever waits for keys touched since the last call, first come first served.
    pub(in crate::server) fn serve_ready(&mut self, now: Now) {
        while let Some(key) = self.blocking.ready.pop_front() {
            let waiting: Vec<_> = self.blocking.by_key.get(&key).into_iter().flatten().copied().collect();
            for id in waiting {
                if !self.serve_one(now, id) {
                    break;
                }
            }
        }
    }

    /// Whether the next in the queue may be tried: not when the key turned out to hold nothing.
    fn serve_one(&mut self, now: Now, id: SessionId) -> bool {
        let Some(wait) = self.blocking.waits.get(&id) else { return true };
        let (db, kind, protocol, argv) = (wait.db, wait.kind, wait.protocol, wait.argv.clone());
        let argv: Argv<'_> = argv.iter().map(|word| &**word).collect();
        let mut reply = Vec::new();
        let mut out = Writer::new(&mut reply, protocol);
        match self.attempt(now, db, kind, &argv, &mut out) {
            Ok(true) => {}
            Ok(false) => return matches!(kind, Kind::Read { .. }),
            // The destination is of another type, the group or its key is gone: that is told. A key
            // of another type is waited out.
            Err(error) if matches!(kind, Kind::Move | Kind::Read { group: true }) => {
                reply.clear();
                Writer::new(&mut reply, protocol).error(&error.to_string());
            }
            Err(_) => return true,
        }
        self.blocking.forget(id);
        let gated = Some(self.hold());
        self.unblock(id, Bytes::from(reply), gated);
        true
    }

    pub(in crate::server) fn expire_blocked(&mut self, now: Now) {
        while let Some(&(deadline, id)) = self.blocking.deadlines.first() {
            if deadline > now.mono {
                return;
            }
            self.end_wait(id, None);
        }
    }

    /// Ends a wait with its null, or with an error; whether there was one.
    fn end_wait(&mut self, id: SessionId, error: Option<&str>) -> bool {
        let Some(wait) = self.blocking.waits.get(&id) else { return false };
        let mut reply = Vec::new();
        let mut out = Writer::new(&mut reply, wait.protocol);
        match (error, wait.kind) {
            (Some(error), _) => out.error(error),
            // Redis gives the null of an array here, whatever the command gives at once.
            (None, _) => out.null_array(),
        }
        self.blocking.forget(id);
        self.unblock(id, Bytes::from(reply), None);
        true
    }

    /// This server is no master any more: nobody waits for a write here.
    pub(in crate::server) fn unblock_all(&mut self) {
        let ids: Vec<_> = self.blocking.waits.keys().copied().collect();
        for id in ids {
            self.end_wait(
                id,
                Some("UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)"),
            );
        }
    }

    /// CLIENT UNBLOCK id [TIMEOUT|ERROR].
    pub(in crate::server) fn client_unblock(&mut self, argv: &[&[u8]], out: &mut Writer<'_>) -> Done {
        let error = match argv {
            [_, _, _] => None,
            [_, _, _, how] if how.eq_ignore_ascii_case(b"timeout") => None,
            [_, _, _, how] if how.eq_ignore_ascii_case(b"error") => {
                Some("UNBLOCKED client unblocked via CLIENT UNBLOCK")
            }
            [_, _, _, _] => {
                return Err("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR".into());
            }
            _ => return Err(CommandError::Arity("client|unblock".into())),
        };
        let id = parse_i64(argv[2]).ok_or(CommandError::NotInteger)?;
        let id = u64::try_from(id).unwrap_or(0);
        let done = self.end_wait(id, error) || self.replication.cancel_wait(id) || self.aof.waits.expire(id);
        out.integer(i64::from(done));
        Ok(())
    }

    /// Tries the sister once: whether it found something, its reply written.
    fn attempt(
        &mut self,
        now: Now,
        db: usize,
        kind: Kind,
        argv: &[&[u8]],
        out: &mut Writer<'_>,
    ) -> Result<bool, CommandError> {
        match kind {
            Kind::Pop(sister) | Kind::ZPop(sister) => {
                for &key in &argv[1..argv.len() - 1] {
                    let mut reply = Vec::new();
                    let mut inner = Writer::new(&mut reply, out.protocol());
                    if !self.run_sister(now, db, &[sister.as_bytes(), key], &mut inner)? {
                        continue;
                    }
                    if matches!(kind, Kind::Pop(_)) {
                        out.array(2);
                        out.bulk(key);
                        out.raw(&reply);
                    } else {
                        // `*2 member score` becomes `*3 key member score`.
                        let body = memchr::memchr(b'\n', &reply).map_or(0, |end| end + 1);
                        out.array(3);
                        out.bulk(key);
                        out.raw(&reply[body..]);
                    }
                    return Ok(true);
                }
                Ok(false)
            }
            Kind::Read { group } => self.attempt_read(now, db, group, argv, out),
            Kind::Many(sister) => {
                let mut words: Argv<'_> = argv[1..].into();
                words[0] = sister.as_bytes();
                self.run_sister(now, db, &words, out)
            }
            Kind::Move => {
                let mut words: Argv<'_> = argv[..argv.len() - 1].into();
                words[0] = b"LMOVE";
                if words.len() == 3 {
                    words.extend([&b"RIGHT"[..], b"LEFT"]);
                }
                self.run_sister(now, db, &words, out)
            }
        }
    }

    /// Whether it changed anything; takes back its reply if not.
    fn run_sister(
        &mut self,
        now: Now,
        db: usize,
        argv: &[&[u8]],
        out: &mut Writer<'_>,
    ) -> Result<bool, CommandError> {
        let found = self.table.find(argv[0]).map(|id| self.table.entry(id).run);
        let Some(super::table::Run::Data(handler)) = found else {
            return Err("ERR this command is not available".into());
        };
        let (mark, writes) = (out.len(), self.propagation.writes);
        let result = self.call_data(now, db, handler, argv, out);
        let changed = self.propagation.writes != writes;
        if result.is_err() || !changed {
            out.truncate(mark);
        }
        result.map(|()| changed)
    }

    fn wait_or_reply(
        &mut self,
        session: &mut Session,
        now: Now,
        asked: Asked<'_>,
        out: &mut Writer<'_>,
    ) -> Done {
        let Asked { kind, argv, timeout, keys } = asked;
        let timeout = parse_timeout(timeout)?;
        if self.attempt(now, session.db, kind, argv, out)? {
            return Ok(());
        }
        let argv = argv.iter().map(|&word| word.into()).collect();
        self.wait(session, now, Waiting { kind, argv, keys, timeout }, out);
        Ok(())
    }

    fn wait(&mut self, session: &mut Session, now: Now, waiting: Waiting<'_>, out: &mut Writer<'_>) {
        let Waiting { kind, argv, keys, timeout } = waiting;
        if self.propagation.in_exec {
            return write_null(kind, out);
        }
        let wait = Wait {
            db: session.db,
            protocol: session.protocol,
            kind,
            argv,
            keys: keys.iter().map(|&key| key.into()).collect(),
            deadline: timeout.map(|timeout| now.mono + timeout),
        };
        self.blocking.add(session.id, wait);
        self.block(session);
    }
}

fn write_null(kind: Kind, out: &mut Writer<'_>) {
    if kind == Kind::Move { out.null() } else { out.null_array() }
}

/// Seconds with fractions; 0 is for ever.
fn parse_timeout(word: &[u8]) -> Result<Option<Duration>, CommandError> {
    let seconds =
        parse_f64(word).filter(|s| s.is_finite()).ok_or("ERR timeout is not a float or out of range")?;
    if seconds < 0.0 {
        return Err("ERR timeout is negative".into());
    }
    if seconds > i64::MAX as f64 / 1000.0 {
        return Err("ERR timeout is out of range".into());
    }
    Ok((seconds > 0.0).then(|| Duration::from_secs_f64(seconds.max(0.001))))
}

fn bpop(kind: Kind, s: &mut Server, c: &mut Session, now: Now, argv: &[&[u8]], out: &mut Writer<'_>) -> Done {
    let last = argv.len() - 1;
    s.wait_or_reply(c, now, Asked { kind, argv, timeout: argv[last], keys: &argv[1..last] }, out)
}

fn blpop(s: &mut Server, c: &mut Session, now: Now, argv: &[&[u8]], out: &mut Writer<'_>) -> Done {
    bpop(Kind::Pop("LPOP"), s, c, now, argv, out)
}

fn brpop(s: &mut Server, c: &mut Session, now: Now, argv: &[&[u8]], out: &mut Writer<'_>) -> Done {
    bpop(Kind::Pop("RPOP"), s, c, now, argv, out)
}

fn bzpopmin(s: &mut Server, c: &mut Session, now: Now, argv: &[&[u8]], out: &mut Writer<'_>) -> Done {
    bpop(Kind::ZPop("ZPOPMIN"), s, c, now, argv, out)
}

fn bzpopmax(s: &mut Server, c: &mut Session, now: Now, argv: &[&[u8]], out: &mut Writer<'_>) -> Done {
    bpop(Kind::ZPop("ZPOPMAX"), s, c, now, argv, out)
}

/// BLMOVE and BRPOPLPUSH.
fn bmove(s: &mut Server, c: &mut Session, now: Now, argv: &[&[u8]], out: &mut Writer<'_>) -> Done {
    let timeout = argv[argv.len() - 1];
    s.wait_or_reply(c, now, Asked { kind: Kind::Move, argv, timeout, keys: &argv[1..2] }, out)
}

fn many(kind: Kind, s: &mut Server, c: &mut Session, now: Now, argv: &[&[u8]], out: &mut Writer<'_>) -> Done {
    let count = parse_i64(argv[2]).and_then(|count| usize::try_from(count).ok()).filter(|&count| count > 0);
    let count = count.ok_or("ERR numkeys should be greater than 0")?;
    // Too few words: the sister says what is wrong.
    let keys = argv.get(3..3usize.saturating_add(count)).unwrap_or(&[]);
    s.wait_or_reply(c, now, Asked { kind, argv, timeout: argv[1], keys }, out)
}

fn blmpop(s: &mut Server, c: &mut Session, now: Now, argv: &[&[u8]], out: &mut Writer<'_>) -> Done {
    many(Kind::Many("LMPOP"), s, c, now, argv, out)
}

fn bzmpop(s: &mut Server, c: &mut Session, now: Now, argv: &[&[u8]], out: &mut Writer<'_>) -> Done {
    many(Kind::Many("ZMPOP"), s, c, now, argv, out)
}

pub use reads::INSTEAD;

const fn row(
    name: &'static str,
    arity: Arity,
    flags: Flags,
    keys: Keys,
    category: &'static str,
    handler: super::Handler,
) -> ServerCommand {
    let summary = "As the command without B; waits until there is something or the timeout is over.";
    ServerCommand {
        spec: CommandSpec { name, arity, flags: WRITE | BLOCKING | flags, keys, category, summary },
        handler,
    }
}

const ALL_BUT_LAST: Keys = Keys { first: 1, last: -2, step: 1 };

use Arity::{AtLeast, Exactly};
pub const COMMANDS: &[ServerCommand] = &[
    row("blpop", AtLeast(3), 0, ALL_BUT_LAST, "@list", blpop),
    row("brpop", AtLeast(3), 0, ALL_BUT_LAST, "@list", brpop),
    row("blmove", Exactly(6), DENYOOM, KEY_1_2, "@list", bmove),
    row("brpoplpush", Exactly(4), DENYOOM, KEY_1_2, "@list", bmove),
    row("blmpop", AtLeast(5), 0, NO_KEYS, "@list", blmpop),
    row("bzpopmin", AtLeast(3), 0, ALL_BUT_LAST, "@sortedset", bzpopmin),
    row("bzpopmax", AtLeast(3), 0, ALL_BUT_LAST, "@sortedset", bzpopmax),
    row("bzmpop", AtLeast(5), 0, NO_KEYS, "@sortedset", bzmpop),
];
