//! REPLCONF, PSYNC, SYNC, REPLICAOF, ROLE, WAIT.

use super::replica::{Phase, WithoutKeys};
use super::stream::Resume;
use super::{Role, Settings};
use crate::commands::CommandError;
use crate::model::{Address, ReplId};
use crate::resp::Writer;
use crate::resp::spec::{
    ADMIN, Arity, BLOCKING, CommandSpec, FAST, Flags, LOADING, NO_KEYS, NO_MULTI, STALE,
};
use crate::server::supervised::Told;
use crate::server::{Level, Server, ServerCommand};
use crate::session::{Class, Session};
use crate::stdx::number::parse_i64;
use crate::stdx::time::{Duration, Now};
use crate::stdx::words::split_words;
use bytes::Bytes;

type Done = Result<(), CommandError>;

fn text(word: &[u8]) -> String {
    String::from_utf8_lossy(word).into_owned()
}

/// What a replica says of itself, and its acknowledgements (which get no answer).
fn replconf(
    server: &mut Server,
    session: &mut Session,
    now: Now,
    argv: &[&[u8]],
    out: &mut Writer<'_>,
) -> Done {
    if argv.len().is_multiple_of(2) {
        return Err(CommandError::Syntax);
    }
    let own_epoch = server.replication.supervision.epoch;
    let came_from = Address::new(session.peer.ip().to_canonical().to_string(), session.peer.port());
    for pair in argv[1..].chunks_exact(2) {
        let (option, value) = (pair[0].to_ascii_lowercase(), pair[1]);
        match option.as_slice() {
            b"ack" => {
                let offset = parse_i64(value).and_then(|offset| u64::try_from(offset).ok()).unwrap_or(0);
                let replication = &mut server.replication;
                let limit = replication.settings.limit;
                replication.replicas.acknowledge(
                    session.id,
                    now.mono,
                    offset,
                    &replication.freshness,
                    &limit,
                );
                if let [fack, synced] = argv.get(3..5).unwrap_or_default()
                    && fack.eq_ignore_ascii_case(b"fack")
                    && let Some(synced) = parse_i64(synced).and_then(|synced| u64::try_from(synced).ok())
                {
                    replication.replicas.synced(session.id, synced);
                }
                replication.refresh_gate(now.mono);
                server.end_waits(now);
                server.end_log_waits(now);
                server.blocking.stirred |= server.replication.failover.is_running();
                return Ok(());
            }
            b"getack" => return Ok(()),
            _ => {}
        }
        let replica =
            server.replication.replicas.entry(session.id, &session.outbox, came_from.clone(), now.mono);
        match option.as_slice() {
            b"listening-port" => {
                let port = parse_i64(value).and_then(|port| u16::try_from(port).ok());
                replica.address.port = port.ok_or(CommandError::NotInteger)?;
            }
            b"ip-address" => replica.address.host = text(value),
            b"capa" => {
                replica.takes_eof_mark |= value.eq_ignore_ascii_case(b"eof");
                replica.takes_new_id |= value.eq_ignore_ascii_case(b"psync2");
            }
            b"version" => replica.version = text(value),
            b"vedette-epoch" => {
                let epoch = parse_i64(value).and_then(|epoch| u64::try_from(epoch).ok());
                replica.epoch = Some(epoch.ok_or(CommandError::NotInteger)?);
                out.integer(i64::try_from(own_epoch).unwrap_or(i64::MAX));
                return Ok(());
            }
            b"rdb-only" => {
                replica.reads_image_only = parse_i64(value).ok_or(CommandError::NotInteger)? == 1;
            }
            b"rdb-filter-only" => {
                let words = split_words(value).ok_or("ERR Missing rdb-filter-only values")?;
                if let Some(other) = words.iter().find(|word| !word.eq_ignore_ascii_case(b"functions")) {
                    let other = text(other);
                    return Err(CommandError::Text(format!(
                        "ERR Unsupported rdb-filter-only option: {other}"
                    )));
                }
                let functions = !words.is_empty();
                replica.without_keys =
                    Some(if functions { WithoutKeys::Functions } else { WithoutKeys::Nothing });
            }
            _ => {
                return Err(CommandError::Text(format!(
                    "ERR Unrecognized REPLCONF option: {}",
                    text(pair[0])
                )));
            }
        }
    }
    out.ok();
    Ok(())
}

/// PSYNC replid offset: the rest of the stream, or all data. Answered through the outbox, so that
/// answer and stream keep their order.
fn psync(server: &mut Server, session: &mut Session, now: Now, argv: &[&[u8]], _: &mut Writer<'_>) -> Done {
    let replid = text(argv[1]);
    if argv.get(3).is_some_and(|word| word.eq_ignore_ascii_case(b"failover")) {
        server.take_over(now, &replid)?;
    }
    let wanted = parse_i64(argv[2]).ok_or(CommandError::NotInteger)?;
    server.attach_replica(session, now, Some((&replid, u64::try_from(wanted).unwrap_or(0))))
}

/// SYNC, from before PSYNC; `redis-cli --rdb` still says it.
fn sync(server: &mut Server, session: &mut Session, now: Now, _: &[&[u8]], _: &mut Writer<'_>) -> Done {
    server.attach_replica(session, now, None)
}

fn replicaof(server: &mut Server, _: &mut Session, now: Now, argv: &[&[u8]], out: &mut Writer<'_>) -> Done {
    let supervision = &server.replication.supervision;
    if supervision.is_supervised() {
        return Err(CommandError::Text(format!(
            "ERR this server is supervised (group '{}', epoch {}): its role is its sentinels' to change, with SENTINEL FAILOVER",
            supervision.group, supervision.epoch
        )));
    }
    if server.replication.failover.is_running() {
        return Err("ERR REPLICAOF not allowed while failing over.".into());
    }
    if argv[1].eq_ignore_ascii_case(b"no") && argv[2].eq_ignore_ascii_case(b"one") {
        server.become_master(now);
        out.ok();
        return Ok(());
    }
    let port = parse_i64(argv[2]).and_then(|port| u16::try_from(port).ok()).filter(|&port| port != 0);
    let master = Address::new(text(argv[1]), port.ok_or("ERR Invalid master port")?);
    if server.replication.upstream().is_some_and(|upstream| upstream.master == master && !upstream.stock) {
        out.simple("OK Already connected to specified master");
        return Ok(());
    }
    server.become_replica(now, master, false);
    out.ok();
    Ok(())
}

/// WAIT numreplicas timeout.
fn wait(server: &mut Server, session: &mut Session, now: Now, argv: &[&[u8]], out: &mut Writer<'_>) -> Done {
    if server.replication.is_replica() {
        return Err("ERR WAIT cannot be used with replica instances. Please also note that since Redis 4.0 if a replica is configured to be writable (which is not the default) writes to replicas are just local and are not propagated.".into());
    }
    let needed = parse_i64(argv[1]).ok_or(CommandError::NotInteger)?;
    let timeout = parse_i64(argv[2]).ok_or("ERR timeout is not an integer or out of range")?;
    let timeout = u64::try_from(timeout).map_err(|_| "ERR timeout is negative")?;
    let needed = usize::try_from(needed).unwrap_or(0);
    // Everything executed so far, not only by this session: never less than what it wrote.
    let offset = server.replication.stream.offset();
    let have = server.replication.count_acknowledged(offset);
    if have >= needed || session.multi.is_some() || server.propagation.in_exec {
        out.integer(have as i64);
        return Ok(());
    }
    let deadline = (timeout > 0).then(|| now.mono + Duration::from_millis(timeout));
    server.replication.waits.add(session.id, offset, needed, deadline);
    server.replication.getack_wanted = true;
    server.block(session);
    Ok(())
}

fn role(server: &mut Server, _: &mut Session, _: Now, _: &[&[u8]], out: &mut Writer<'_>) -> Done {
    server.replication.write_role(out);
    Ok(())
}

const STANDS_STILL: &str = "NOMASTERLINK Can't SYNC while not connected with my master";

impl Server {
    /// Answers those whose WAIT is over.
    pub(in crate::server) fn end_waits(&mut self, now: Now) {
        if self.replication.waits.is_empty() {
            return;
        }
        let mut waits = std::mem::take(&mut self.replication.waits);
        let done = waits.take_done(now.mono, |offset| self.replication.count_acknowledged(offset));
        self.replication.waits = waits;
        for (session, count) in done {
            self.unblock(session, Bytes::from(format!(":{count}\r\n")), None);
        }
    }

    /// Fenced, with the data and the stream it had then: it may be all that is left of the newest writes.
    /// One of its own epoch, whom the fleet has sent, gets what it lacks of them, and nobody gets more.
    fn stands_still(&self) -> bool {
        let replication = &self.replication;
        let fenced = replication.supervision.told == Some(Told::Still);
        fenced && replication.synced && replication.stream.is_active()
    }

    /// `wanted`: the history and the first byte lacking, numbered from 1; `None` for the old SYNC.
    fn attach_replica(&mut self, session: &mut Session, now: Now, wanted: Option<(&str, u64)>) -> Done {
        let still = self.stands_still();
        match &self.replication.role {
            Role::Master => {}
            Role::Replica(upstream) if upstream.is_up() => {}
            _ if still => {}
            _ => return Err(STANDS_STILL.into()),
        }
        let came_from = Address::new(session.peer.ip().to_canonical().to_string(), session.peer.port());
        let own_epoch = self.replication.supervision.epoch;
        self.replication.flush(now);
        let fresh_id = ReplId::random(&mut self.rng);
        self.replication.stream.activate(|| fresh_id);
        let Settings { limit, .. } = self.replication.settings;
        let replica = self.replication.replicas.entry(session.id, &session.outbox, came_from, now.mono);
        if replica.is_attached() {
            // Redis ignores a second PSYNC on one connection as well.
            return Ok(());
        }
        if replica.epoch.is_some_and(|epoch| epoch > own_epoch) && own_epoch > 0 {
            return Err(CommandError::Text(format!("STALEEPOCH {own_epoch}")));
        }
        let resume =
            wanted.map_or(Resume::Full, |(replid, wanted)| self.replication.stream.resume(replid, wanted));
        // Whom the fleet sent here was sent to a master. As a replica this one may be behind who asks, and a
        // full image would take from it what only it and the master have: it is told of the new one soon.
        let demoted = own_epoch > 0 && !matches!(self.replication.role, Role::Master);
        let sent = replica.epoch.is_some_and(|epoch| epoch > 0);
        if demoted && sent && resume == Resume::Full {
            return Err(STANDS_STILL.into());
        }
        if still && (replica.epoch != Some(own_epoch) || resume == Resume::Full) {
            return Err(STANDS_STILL.into());
        }
        session.class = Class::Replica;
        replica.heard_at = now.mono;
        replica.is_of_old = wanted.is_none();
        let without_keys = replica.without_keys;
        let address = replica.address.clone();
        if let Some(holds) = without_keys {
            self.stats.sync_full += 1;
            self.serve_image_without_keys(session.id, holds, now);
            return Ok(());
        }
        match resume {
            Resume::Continue(missed) => {
                let mut bytes = match replica.takes_new_id {
                    true => format!("+CONTINUE {}\r\n", self.replication.stream.replid()).into_bytes(),
                    false => b"+CONTINUE\r\n".to_vec(),
                };
                let count = missed.len();
                bytes.extend_from_slice(&missed);
                replica.go_online(&limit);
                replica.send(Bytes::from(bytes), &limit);
                self.stats.sync_partial_ok += 1;
                self.log(Level::Info, format!("replica {address} goes on: {count} bytes it had missed"));
            }
            Resume::Full => {
                replica.phase = Phase::WaitingImage;
                replica.asked_at = now.mono;
                self.stats.sync_full += 1;
                // A first sync names no history.
                self.stats.sync_partial_err += u64::from(wanted.is_some_and(|(replid, _)| replid != "?"));
                self.log(Level::Info, format!("replica {address} asks for all data"));
                self.pump_image(now);
            }
        }
        self.blocking.stirred = true;
        Ok(())
    }
}

const fn row(
    name: &'static str,
    arity: Arity,
    flags: Flags,
    handler: crate::server::Handler,
    summary: &'static str,
) -> ServerCommand {
    ServerCommand {
        spec: CommandSpec { name, arity, flags, keys: NO_KEYS, category: "@dangerous", summary },
        handler,
    }
}

use Arity::{AtLeast, Exactly};
pub const COMMANDS: &[ServerCommand] = &[
    row("replconf", AtLeast(1), ADMIN | LOADING | STALE, replconf, "What a replica says of itself."),
    row("psync", AtLeast(3), ADMIN | NO_MULTI, psync, "Makes the connection a replica's."),
    row("sync", Exactly(1), ADMIN | NO_MULTI, sync, "Makes the connection a replica's, as of old."),
    row("replicaof", Exactly(3), ADMIN | STALE | NO_MULTI, replicaof, "Follows a master, or nobody."),
    row("slaveof", Exactly(3), ADMIN | STALE | NO_MULTI, replicaof, "The older name of REPLICAOF."),
    row("role", Exactly(1), LOADING | STALE | FAST, role, "The role, and who is on the other side."),
    row("wait", Exactly(3), BLOCKING, wait, "Waits until replicas have what was written."),
];
