//! The log read back: the bytes of its files, in order, become the data set. The shell reads files and
//! gives pieces of any size.
//!
//! Promises: what is half there at the end of a file is told apart from what is wrong in the middle;
//! a transaction is carried out whole or not at all; a command that is not known or fails stops the
//! start with the byte where it stands, for going on would lose what it did. Memory follows the bytes
//! of one command or transaction.

use crate::model::ReplId;
use crate::rdb::Position;
use crate::resp::{Argv, Limits, Parser, Writer};
use crate::server::Server;
use crate::server::replication::follow;
use crate::server::table::Run;
use crate::session::{Outbox, Session};
use crate::stdx::time::{Now, Wall};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

/// The longest line that begins with `#`, as Redis has it.
const LINE_BYTES_MAX: usize = 1024;
const LIMITS: Limits = Limits {
    // A replaced SPOP may name every member of a set.
    args_max: i32::MAX as usize,
    bulk_bytes_max: 512 << 20,
    inline_bytes_max: 0,
    request_bytes_max: usize::MAX,
};

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplayFault {
    #[error("damaged at byte {at}: {what}")]
    Damaged { at: u64, what: String },
    #[error(
        "at byte {at} stands '{name}', a command that this server does not have: starting without it would silently lose data"
    )]
    Unknown { at: u64, name: String },
    #[error("at byte {at} '{name}' failed: {why}")]
    Failed { at: u64, name: String, why: String },
}

/// How a file ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// Up to here all of it is good and was carried out.
    pub valid_bytes: u64,
    /// What follows is the beginning of something whose end is missing.
    pub is_torn: bool,
}

type Command = Vec<Box<[u8]>>;

#[derive(Debug)]
struct Multi {
    /// Where it began.
    at: u64,
    queue: Vec<(u64, Command)>,
}

pub struct Replay {
    session: Session,
    parser: Parser,
    buffer: Vec<u8>,
    /// Of `buffer`, done with.
    used: usize,
    /// Of the file, before `buffer`.
    before: u64,
    multi: Option<Multi>,
    history: Option<ReplId>,
    /// Where in its history all that was carried out stands; none if commands came after the last word of it.
    place: Option<(u64, usize)>,
    pub commands: u64,
}

impl Replay {
    pub fn new(now: Now) -> Self {
        let nowhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let mut session = Session::new(0, nowhere, nowhere, Arc::new(Outbox::default()), now.mono);
        session.authenticated = true;
        Replay {
            session,
            parser: Parser::default(),
            buffer: Vec::new(),
            used: 0,
            before: 0,
            multi: None,
            history: None,
            place: None,
            commands: 0,
        }
    }

    /// A base that was loaded stands here.
    pub fn base(&mut self, position: Option<&Position>) {
        self.history = position.and_then(|position| ReplId::parse(&position.replid));
        self.place = position.map(|position| (position.offset, position.stream_db));
    }

    /// A file follows; `skipped`: bytes of it that were read by others (a snapshot in front).
    pub fn begin_file(&mut self, skipped: u64) {
        self.session.db = 0;
        self.parser = Parser::default();
        self.buffer.clear();
        self.used = 0;
        self.before = skipped;
        self.multi = None;
    }

    /// Where the data set stands in which history, if the log says so to the end.
    pub fn position(&self) -> Option<Position> {
        let (offset, stream_db) = self.place?;
        let replid = self.history.as_ref()?.to_string();
        Some(Position { replid, offset, stream_db })
    }

    /// All pieces of the file were given.
    pub fn end_file(&mut self) -> End {
        let at = self.before + self.used as u64;
        match self.multi.take() {
            Some(multi) => End { valid_bytes: multi.at, is_torn: true },
            None => End { valid_bytes: at, is_torn: self.used < self.buffer.len() },
        }
    }

    fn annotation(&mut self, line: &[u8]) {
        let text = std::str::from_utf8(line).unwrap_or_default();
        if let Some(id) = text.strip_prefix("#H:") {
            self.history = ReplId::parse(id);
        } else if let Some(place) = text.strip_prefix("#P:") {
            let place = place.split_once(':').and_then(|(offset, db)| {
                Some((offset.parse().ok()?, db.parse().ok().filter(|&db| db < crate::store::DATABASES)?))
            });
            self.place = place;
        }
    }
}

impl Server {
    /// Reading begins, while loading: nothing is fed to anybody, no time passes.
    pub fn replay_begins(&mut self) {
        self.loading = true;
    }

    pub fn replay_ends(&mut self, now: Now) {
        self.stats.dirty = 0;
        self.admin.snapshot.last_saved = now.wall;
    }

    /// The next piece of a file.
    pub fn replay(&mut self, replay: &mut Replay, now: Now, piece: &[u8]) -> Result<(), ReplayFault> {
        replay.before += replay.used as u64;
        replay.buffer.drain(..replay.used);
        replay.used = 0;
        replay.buffer.extend_from_slice(piece);
        // All times in a log are absolute, and keys go when it says so.
        let eyes = Now { mono: now.mono, wall: Wall(0) };
        let buffer = std::mem::take(&mut replay.buffer);
        let mut parser = std::mem::take(&mut replay.parser);
        let result = self.replay_buffer(replay, &mut parser, eyes, &buffer);
        replay.parser = parser;
        replay.buffer = buffer;
        result
    }

    fn replay_buffer(
        &mut self,
        replay: &mut Replay,
        parser: &mut Parser,
        now: Now,
        buffer: &[u8],
    ) -> Result<(), ReplayFault> {
        while let Some(&first) = buffer.get(replay.used) {
            let rest = &buffer[replay.used..];
            let at = replay.before + replay.used as u64;
            let damaged = |what: &str| ReplayFault::Damaged { at, what: what.to_owned() };
            match first {
                b'#' => {
                    let head = &rest[..rest.len().min(LINE_BYTES_MAX)];
                    match memchr::memchr(b'\n', head) {
                        Some(end) => {
                            replay.annotation(head[..end].trim_ascii_end());
                            replay.used += end + 1;
                        }
                        None if head.len() == LINE_BYTES_MAX => return Err(damaged("a line without an end")),
                        None => return Ok(()),
                    }
                }
                b'*' => {
                    let cut = parser.cut(rest, &LIMITS).map_err(|error| damaged(&error.to_string()))?;
                    let Some(used) = cut else { return Ok(()) };
                    let mut argv = Argv::new();
                    parser.words(rest, &mut argv);
                    if argv.is_empty() {
                        return Err(damaged("a command without words"));
                    }
                    replay.used += used;
                    self.replay_command(replay, now, at, &argv)?;
                }
                _ => return Err(damaged("no command begins here")),
            }
        }
        Ok(())
    }

    fn replay_command(
        &mut self,
        replay: &mut Replay,
        now: Now,
        at: u64,
        argv: &[&[u8]],
    ) -> Result<(), ReplayFault> {
        let is = |name: &[u8]| argv.len() == 1 && argv[0].eq_ignore_ascii_case(name);
        let damaged = |what: &str| ReplayFault::Damaged { at, what: what.to_owned() };
        match &mut replay.multi {
            None if is(b"multi") => replay.multi = Some(Multi { at, queue: Vec::new() }),
            None if is(b"exec") => return Err(damaged("EXEC without MULTI")),
            None => self.replay_one(replay, now, at, argv)?,
            Some(_) if is(b"multi") => return Err(damaged("MULTI inside MULTI")),
            Some(multi) if is(b"exec") => {
                for (at, command) in std::mem::take(&mut multi.queue) {
                    let argv: Argv<'_> = command.iter().map(|word| &**word).collect();
                    self.replay_one(replay, now, at, &argv)?;
                }
                replay.multi = None;
            }
            Some(multi) => multi.queue.push((at, argv.iter().map(|&word| word.into()).collect())),
        }
        Ok(())
    }

    fn replay_one(
        &mut self,
        replay: &mut Replay,
        now: Now,
        at: u64,
        argv: &[&[u8]],
    ) -> Result<(), ReplayFault> {
        let name = || String::from_utf8_lossy(&argv[0][..argv[0].len().min(64)]).into_owned();
        let id = self.table.find(argv[0]);
        let id = id.ok_or_else(|| ReplayFault::Unknown { at, name: name() })?;
        let super::super::table::Entry { spec, run, .. } = self.table.entry(id);
        let (spec, run) = (*spec, *run);
        let failed = |why: &str| ReplayFault::Failed { at, name: name(), why: why.to_owned() };
        if !spec.arity.accepts(argv.len()) {
            return Err(failed("the number of its arguments is wrong"));
        }
        let is_known = matches!(run, Run::Data(_)) || spec.name == "select" || follow::is_replayed(spec.name);
        if !is_known {
            return Err(ReplayFault::Unknown { at, name: name() });
        }
        let mut reply = Vec::new();
        let mut out = Writer::new(&mut reply, replay.session.protocol);
        self.call(now, &mut replay.session, id, argv, &mut out);
        if reply.first() == Some(&b'-') {
            return Err(failed(String::from_utf8_lossy(&reply[1..]).trim_end()));
        }
        replay.place = None;
        replay.commands += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::server::ServerConfig;
    use crate::resp::encode;
    use crate::stdx::time::Instant;

    fn now() -> Now {
        Now { mono: Instant::from_millis(1), wall: Wall(1_700_000_000_000) }
    }

    fn log(lines: &[&str]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for line in lines {
            match line.strip_prefix('#') {
                Some(_) => bytes.extend_from_slice(format!("{line}\r\n").as_bytes()),
                None => encode::command(&mut bytes, &line.split(' ').collect::<Vec<_>>()),
            }
        }
        bytes
    }

    fn run(bytes: &[u8], step: usize) -> (Server, Replay, Result<End, ReplayFault>) {
        let mut server = Server::new(ServerConfig::default(), 7, now());
        let mut replay = Replay::new(now());
        server.replay_begins();
        replay.begin_file(0);
        for piece in bytes.chunks(step.max(1)) {
            if let Err(fault) = server.replay(&mut replay, now(), piece) {
                return (server, replay, Err(fault));
            }
        }
        let end = replay.end_file();
        (server, replay, Ok(end))
    }

    const STORY: &[&str] = &[
        "#TS:1700000000",
        "SELECT 0",
        "SET a 1",
        "MULTI",
        "INCR a",
        "INCR a",
        "EXEC",
        "SET t x PXAT 1600000000000",
        "SELECT 3",
        "RPUSH list x y z",
        "#H:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "#P:512:3",
    ];

    #[test]
    fn a_log_cut_at_any_byte_gives_what_was_whole_and_says_where_that_ends() {
        let bytes = log(STORY);
        // Where each line ends, and how many keys there are then.
        let mut whole = vec![0];
        for lines in 1..=STORY.len() {
            let open = STORY[..lines].contains(&"MULTI") && !STORY[..lines].contains(&"EXEC");
            if !open {
                whole.push(log(&STORY[..lines]).len());
            }
        }
        for cut in 0..=bytes.len() {
            let (server, _, end) = run(&bytes[..cut], 7);
            let last = *whole.iter().filter(|&&end| end <= cut).max().unwrap();
            let end = end.unwrap();
            assert_eq!(end, End { valid_bytes: last as u64, is_torn: last < cut }, "cut at {cut}");
            let (again, _, second) = run(&bytes[..last], 1);
            assert!(!second.unwrap().is_torn);
            assert_eq!(again.keyspace.total_len(), server.keyspace.total_len());
        }
        let (server, replay, _) = run(&bytes, bytes.len());
        assert_eq!(server.keyspace.total_len(), 3, "a key past its time stays until the log says otherwise");
        let position = replay.position().unwrap();
        assert_eq!((position.offset, position.stream_db), (512, 3));
    }

    #[test]
    fn a_place_in_history_holds_only_if_nothing_came_after_it() {
        let mut bytes = log(STORY);
        bytes.extend(log(&["#TS:1700000001"]));
        assert!(run(&bytes, 100).1.position().is_some());
        bytes.extend(log(&["SET b 1"]));
        assert!(run(&bytes, 100).1.position().is_none());
    }

    #[test]
    fn what_is_wrong_in_the_middle_is_named_with_its_place() {
        for (lines, text) in [
            (&["SET a 1", "FROBNICATE a"][..], "'FROBNICATE'"),
            (&["SET a 1", "LPUSH a x"], "WRONGTYPE"),
            (&["SET a"], "number of its arguments"),
            (&["EXEC"], "without MULTI"),
            (&["MULTI", "MULTI"], "inside MULTI"),
            (&["SELECT 99"], "'SELECT' failed"),
            (&["SHUTDOWN NOSAVE"], "'SHUTDOWN'"),
        ] {
            let error = run(&log(lines), 3).2.unwrap_err().to_string();
            assert!(error.contains(text) && error.contains("at byte"), "{error}");
        }
        let mut bytes = log(&["SET a 1"]);
        let at = bytes.len();
        bytes.extend_from_slice(b"\0\0\0\0");
        bytes.extend(log(&["SET b 1"]));
        let fault = run(&bytes, 5).2.unwrap_err();
        assert!(matches!(fault, ReplayFault::Damaged { at: found, .. } if found == at as u64), "{fault}");
    }
}
