//! The master this server follows: what the link's task asks and tells. The task itself, with its
//! socket and its file, is a shell's; each call names the generation of its order, and a task of an
//! earlier order is told that it is over.

use super::handshake::Terms;
use super::{Replication, Role};
use crate::model::{Address, Offset, ReplId};
use crate::resp::{Argv, Batch, Limits, Parser, Writer};
use crate::server::table::Run;
use crate::server::{Level, Server};
use crate::session::{Outbox, Session};
use crate::stdx::time::{Duration, Instant, Now, Wall};
use crate::store::Keyspace;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

const TOLD_AGAIN: Duration = Duration::from_secs(10);

/// How the link stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkPhase {
    Down,
    Connecting,
    Handshake,
    /// Reading or loading a whole data set.
    Sync {
        received: u64,
        total: Option<u64>,
    },
    Up,
}

#[derive(Debug)]
pub struct Upstream {
    pub master: Address,
    /// The supervisor vouches for a master that cannot show an epoch.
    pub stock: bool,
    pub phase: LinkPhase,
    pub down_since: Option<Instant>,
    pub last_io: Option<Instant>,
    /// Why the link was down last, and when that was told.
    told: Option<(String, Instant)>,
    /// Whose eyes the master's commands are run with: its selected database.
    session: Session,
}

/// What the task has to do after it gave bytes of the stream.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Bytes at the front that are done with.
    pub consumed: usize,
    /// The master asks for this acknowledgement now.
    pub acknowledge: Option<Offset>,
    /// The rest is a transaction: nothing of it is carried out before its EXEC is there.
    pub awaits_exec: bool,
}

/// Why the link has to be given up.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkFault {
    #[error("this link's order was replaced by a newer one")]
    Stale,
    #[error("the master's stream is malformed: {0}")]
    Protocol(String),
    #[error("the master sent '{0}', which this server does not have: following it would silently lose data")]
    UnknownCommand(String),
}

impl Upstream {
    pub fn new(master: Address, stock: bool, now: Instant) -> Self {
        let nowhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let mut session = Session::new(0, nowhere, nowhere, Arc::new(Outbox::default()), now);
        session.authenticated = true;
        Upstream {
            master,
            stock,
            phase: LinkPhase::Down,
            down_since: Some(now),
            last_io: None,
            told: None,
            session,
        }
    }

    pub fn is_up(&self) -> bool {
        self.phase == LinkPhase::Up
    }

    pub fn db(&self) -> usize {
        self.session.db
    }

    pub fn select(&mut self, db: usize) {
        self.session.db = db;
    }
}

impl Replication {
    fn current(&mut self, generation: u64) -> Result<&mut Upstream, LinkFault> {
        match &mut self.role {
            Role::Replica(upstream) if self.generation == generation => Ok(upstream),
            _ => Err(LinkFault::Stale),
        }
    }
}

impl Server {
    /// Seeds the hashing of a data set that is read outside.
    pub fn link_seed(&mut self) -> crate::rdb::Ground {
        self.hash_seed()
    }

    /// What the task needs for its next attempt, or `None`: end.
    pub fn link_terms(&mut self, generation: u64) -> Option<Terms> {
        let config = &self.config;
        let announce_port = config.announced_port();
        let (user, password) = (config.masteruser.clone(), config.masterauth.clone());
        let announce_ip = config.replica_announce_ip.clone();
        let stream = &self.replication.stream;
        let position = (stream.is_active() && self.replication.synced)
            .then(|| (stream.replid().clone(), stream.offset()));
        let epoch = self.replication.supervision.epoch;
        let hands_over = self.replication.failover.is_handing();
        let upstream = self.replication.current(generation).ok()?;
        upstream.phase = LinkPhase::Connecting;
        Some(Terms {
            master: upstream.master.clone(),
            user,
            password,
            announce_ip,
            announce_port,
            epoch,
            stock_master: upstream.stock,
            hands_over,
            position,
        })
    }

    pub fn link_phase(&mut self, now: Now, generation: u64, phase: LinkPhase) -> Result<(), LinkFault> {
        let upstream = self.replication.current(generation)?;
        upstream.phase = phase;
        upstream.last_io = Some(now.mono);
        if matches!(phase, LinkPhase::Sync { .. }) {
            self.replication.master_heard_at = Some(now.mono);
        }
        Ok(())
    }

    /// The link is lost, or could not be made; it will be tried again.
    pub fn link_down(&mut self, now: Now, generation: u64, why: &str) -> Result<(), LinkFault> {
        let upstream = self.replication.current(generation)?;
        upstream.phase = LinkPhase::Down;
        upstream.down_since.get_or_insert(now.mono);
        let message = format!("link to master {}: {why}", upstream.master);
        // It is tried again every second: the same news is told now and then.
        let known =
            upstream.told.as_ref().is_some_and(|(told, at)| told == why && now.mono.since(*at) < TOLD_AGAIN);
        if !known {
            upstream.told = Some((why.to_owned(), now.mono));
        }
        self.log(if known { Level::Debug } else { Level::Warning }, message);
        Ok(())
    }

    /// The stream goes on where we stopped.
    pub fn link_continue(
        &mut self,
        now: Now,
        generation: u64,
        replid: Option<ReplId>,
    ) -> Result<(), LinkFault> {
        self.replication.current(generation)?;
        if let Some(replid) = replid
            && replid != *self.replication.stream.replid()
        {
            // Whoever follows us must learn the new name, and can go on from where it is.
            self.replication.stream.rename(replid);
            self.replication.replicas.close_where(|_| true);
        }
        self.link_is_up(now, generation)?;
        self.log(Level::Info, "partial resynchronization: the stream goes on where it stopped");
        Ok(())
    }

    /// A whole data set was read and verified: it takes the place of the old one.
    pub fn link_install(
        &mut self,
        now: Now,
        generation: u64,
        data: Keyspace,
        stream_db: usize,
        replid: ReplId,
        offset: Offset,
    ) -> Result<(), LinkFault> {
        self.replication.current(generation)?.select(stream_db);
        self.replication.replicas.close_where(|_| true);
        self.abandon_image();
        self.keyspace.replace_data(data);
        self.replication.stream.adopt(replid, offset);
        self.replication.synced = true;
        // What the log on the disk holds is another data set.
        self.give_log_up(now);
        self.touch_all();
        self.link_is_up(now, generation)?;
        self.log(Level::Info, format!("full resynchronization done: {} keys", self.keyspace.total_len()));
        Ok(())
    }

    fn link_is_up(&mut self, now: Now, generation: u64) -> Result<(), LinkFault> {
        self.replication.master_heard_at = Some(now.mono);
        self.replication.current(generation)?;
        self.end_failover();
        let upstream = self.replication.current(generation)?;
        upstream.phase = LinkPhase::Up;
        upstream.down_since = None;
        upstream.told = None;
        upstream.last_io = Some(now.mono);
        Ok(())
    }

    /// How much of the stream we have, for REPLCONF ACK.
    pub fn link_offset(&mut self, generation: u64) -> Result<Offset, LinkFault> {
        self.replication.current(generation)?;
        Ok(self.replication.stream.offset())
    }

    /// Carries out the complete commands at the front of `buffer` and repeats their bytes to our own
    /// replicas. A transaction is carried out whole or not yet.
    pub fn link_stream(&mut self, now: Now, generation: u64, buffer: &[u8]) -> Result<Applied, LinkFault> {
        let upstream = self.replication.current(generation)?;
        upstream.last_io = Some(now.mono);
        self.replication.master_heard_at = Some(now.mono);
        if self.scripting.is_busy() {
            // What a script reads does not change under it: it is taken with the bytes that come next.
            return Ok(Applied { consumed: 0, acknowledge: None, awaits_exec: false });
        }
        let mut batch = Batch::default();
        batch
            .fill(&mut Parser::default(), buffer, &Limits::AFTER_AUTH, usize::MAX)
            .map_err(|error| LinkFault::Protocol(error.to_string()))?;
        // Nothing is past its time in the master's eyes until the master says so; all times in
        // its stream are absolute, so this clock is not needed for anything else.
        let eyes = Now { mono: now.mono, wall: Wall(0) };
        let Role::Replica(upstream) = std::mem::replace(&mut self.replication.role, Role::Awaiting) else {
            return Err(LinkFault::Stale);
        };
        let mut upstream = upstream;
        let mut progress = Progress { done: 0, acknowledge: false, awaits_exec: false };
        let result = self.apply(eyes, &mut upstream.session, &batch, buffer, &mut progress);
        if result.is_err() {
            self.end_exec(upstream.session.db);
        }
        self.replication.role = Role::Replica(upstream);
        let consumed = batch.bytes_of(progress.done);
        self.replication.stream.repeat(&buffer[..consumed]);
        self.serve_ready(now);
        self.end_of_turn(now);
        result?;
        let acknowledge = progress.acknowledge.then(|| self.replication.stream.offset());
        Ok(Applied { consumed, acknowledge, awaits_exec: progress.awaits_exec })
    }

    fn apply(
        &mut self,
        now: Now,
        session: &mut Session,
        batch: &Batch,
        buffer: &[u8],
        progress: &mut Progress,
    ) -> Result<(), LinkFault> {
        let mut scratch = Vec::new();
        while progress.done < batch.len() {
            let argv = batch.argv(progress.done, buffer);
            let mut end = progress.done + 1;
            if argv.first().is_some_and(|name| name.eq_ignore_ascii_case(b"multi")) {
                let is_exec = |&index: &usize| {
                    batch.argv(index, buffer).first().is_some_and(|name| name.eq_ignore_ascii_case(b"exec"))
                };
                match (end..batch.len()).find(is_exec) {
                    Some(exec) => end = exec + 1,
                    None => {
                        progress.awaits_exec = true;
                        return Ok(());
                    }
                }
            }
            for index in progress.done..end {
                let argv = batch.argv(index, buffer);
                self.apply_one(now, session, &argv, &mut scratch, progress)?;
            }
            progress.done = end;
        }
        Ok(())
    }

    fn apply_one(
        &mut self,
        now: Now,
        session: &mut Session,
        argv: &Argv<'_>,
        scratch: &mut Vec<u8>,
        progress: &mut Progress,
    ) -> Result<(), LinkFault> {
        let Some(&name) = argv.first() else { return Ok(()) };
        if name.eq_ignore_ascii_case(b"ping") {
            return Ok(());
        }
        // Together in the log as well.
        if name.eq_ignore_ascii_case(b"multi") {
            self.begin_exec();
            return Ok(());
        }
        if name.eq_ignore_ascii_case(b"exec") {
            self.end_exec(session.db);
            return Ok(());
        }
        if name.eq_ignore_ascii_case(b"replconf") {
            progress.acknowledge |= argv.get(1).is_some_and(|word| word.eq_ignore_ascii_case(b"getack"));
            return Ok(());
        }
        let unknown = || LinkFault::UnknownCommand(String::from_utf8_lossy(name).into_owned());
        let id = self.table.find(name).ok_or_else(unknown)?;
        scratch.clear();
        let mut out = Writer::new(scratch, session.protocol);
        let entry = self.table.entry(id);
        // Handlers rely on it, and what a master sends was not looked at by anybody.
        if !entry.spec.arity.accepts(argv.len()) {
            let name = String::from_utf8_lossy(name);
            return Err(LinkFault::Protocol(format!(
                "'{name}' has {} words, which is no command",
                argv.len()
            )));
        }
        match entry.run {
            Run::Data(_) | Run::Session(_) => self.call(now, session, id, argv, &mut out),
            // Libraries of functions are data of the server itself. Masters before 7 may send scripts as they
            // were called; these run to their end here, and do the same.
            Run::Server(_) if is_replayed(entry.spec.name) => {
                self.call(now, session, id, argv, &mut out);
            }
            Run::Server(_) => return Err(unknown()),
        }
        if scratch.first() == Some(&b'-') {
            let text = String::from_utf8_lossy(scratch).trim_end().to_owned();
            let name = String::from_utf8_lossy(name).into_owned();
            self.log(Level::Error, format!("the master's '{name}' failed here: {text}"));
        }
        Ok(())
    }
}

/// Commands of the server itself that a stream or a log may hold.
pub(in crate::server) fn is_replayed(name: &str) -> bool {
    matches!(name, "function" | "eval" | "evalsha" | "fcall" | "script")
}

/// Where a run through the master's commands stands.
struct Progress {
    done: usize,
    acknowledge: bool,
    awaits_exec: bool,
}
