//! WAITAOF: sessions that stand still until what was written is on the disk, here and with enough
//! replicas.

use super::State;
use crate::commands::CommandError;
use crate::model::Offset;
use crate::resp::Writer;
use crate::resp::spec::{Arity, BLOCKING, CommandSpec, NO_KEYS};
use crate::server::{Server, ServerCommand};
use crate::session::{Session, SessionId};
use crate::stdx::number::parse_i64;
use crate::stdx::time::{Duration, Instant, Now};
use bytes::Bytes;

#[derive(Debug)]
struct Wait {
    session: SessionId,
    /// Of the log.
    position: u64,
    /// Of the stream.
    offset: Offset,
    local: usize,
    replicas: usize,
    deadline: Option<Instant>,
}

#[derive(Debug, Default)]
pub struct Waits(Vec<Wait>);

impl Waits {
    pub fn forget(&mut self, session: SessionId) {
        self.0.retain(|wait| wait.session != session);
    }

    /// Lets a wait end at the next look; whether there was one.
    pub fn expire(&mut self, session: SessionId) -> bool {
        let wait = self.0.iter_mut().find(|wait| wait.session == session);
        wait.map(|wait| wait.deadline = Some(Instant::ZERO)).is_some()
    }

    pub fn next_deadline(&self) -> Option<Instant> {
        self.0.iter().filter_map(|wait| wait.deadline).min()
    }

    pub fn take_all(&mut self) -> Vec<SessionId> {
        self.0.drain(..).map(|wait| wait.session).collect()
    }
}

impl Server {
    fn local_count(&self, position: u64) -> usize {
        usize::from(self.aof.state == State::On && self.gate.durable() >= position)
    }

    /// Answers those whose WAITAOF is over.
    pub(in crate::server) fn end_log_waits(&mut self, now: Now) {
        if self.aof.waits.0.is_empty() {
            return;
        }
        let mut waits = std::mem::take(&mut self.aof.waits);
        let mut done = Vec::new();
        waits.0.retain(|wait| {
            let have = (self.local_count(wait.position), self.replication.count_synced(wait.offset));
            let late = wait.deadline.is_some_and(|deadline| deadline <= now.mono);
            // Switched off meanwhile: it will never be.
            let hopeless = wait.local > 0 && self.aof.state == State::Off;
            let over = late || hopeless || (have.0 >= wait.local && have.1 >= wait.replicas);
            if over {
                done.push((wait.session, have));
            }
            !over
        });
        self.aof.queue.watch(!waits.0.is_empty());
        self.aof.waits = waits;
        for (session, (local, replicas)) in done {
            self.unblock(session, Bytes::from(format!("*2\r\n:{local}\r\n:{replicas}\r\n")), None);
        }
    }

    /// How much of the master's stream is on this replica's disk, for `REPLCONF ACK ... FACK`; `None`:
    /// it keeps no log that counts.
    pub fn link_synced(&mut self) -> Option<Offset> {
        let durable = self.gate.durable();
        (self.aof.state == State::On).then(|| self.aof.synced_offset(durable))
    }
}

/// WAITAOF numlocal numreplicas timeout.
fn waitaof(
    server: &mut Server,
    session: &mut Session,
    now: Now,
    argv: &[&[u8]],
    out: &mut Writer<'_>,
) -> Result<(), CommandError> {
    let number = |word: &[u8]| parse_i64(word).ok_or(CommandError::NotInteger);
    let local = number(argv[1])?;
    if !(0..=1).contains(&local) {
        return Err("ERR value is out of range, value must between 0 and 1".into());
    }
    let replicas = usize::try_from(number(argv[2])?).map_err(|_| CommandError::NotPositive)?;
    let timeout = parse_i64(argv[3]).ok_or("ERR timeout is not an integer or out of range")?;
    let timeout = u64::try_from(timeout).map_err(|_| "ERR timeout is negative")?;
    if server.replication.is_replica() {
        return Err("ERR WAITAOF cannot be used with replica instances. Please also note that writes to replicas are just local and are not propagated.".into());
    }
    if local > 0 && server.aof.state == State::Off {
        return Err("ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.".into());
    }
    let local = local as usize;
    // Everything executed so far, not only by this session: never less than what it wrote.
    let (position, offset) = (server.aof.position(), server.replication.stream.offset());
    let have = (server.local_count(position), server.replication.count_synced(offset));
    let waits_not = session.multi.is_some() || server.propagation.in_exec;
    if (have.0 >= local && have.1 >= replicas) || waits_not {
        out.array(2);
        out.integer(have.0 as i64);
        out.integer(have.1 as i64);
        return Ok(());
    }
    let deadline = (timeout > 0).then(|| now.mono + Duration::from_millis(timeout));
    server.aof.waits.0.push(Wait { session: session.id, position, offset, local, replicas, deadline });
    server.aof.queue.watch(true);
    if replicas > 0 {
        server.replication.want_acknowledgements();
    }
    server.block(session);
    server.blocking.stirred = true;
    Ok(())
}

pub const COMMANDS: &[ServerCommand] = &[ServerCommand {
    spec: CommandSpec {
        name: "waitaof",
        arity: Arity::Exactly(4),
        flags: BLOCKING,
        keys: NO_KEYS,
        category: "@connection",
        summary: "Waits until what was written is on disks, here and with replicas.",
    },
    handler: waitaof,
}];
