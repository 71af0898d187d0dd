//! FAILOVER: a master without supervisors hands its role to one of its replicas. Writes wait, the
//! replica catches up, then this server asks it with PSYNC ... FAILOVER to be master and follows it;
//! and the other side of that: a replica that is asked so.
//!
//! Promise: the role is handed over only to a replica that has every byte, unless FORCE and a timeout
//! say otherwise; whatever goes wrong before it was taken, this server is master again and writes go on.
//! A supervised server has sentinels for this.

use super::handshake::Fault;
use super::{Role, replicas::Replicas};
use crate::commands::CommandError;
use crate::model::{Address, Offset};
use crate::resp::Writer;
use crate::resp::spec::{ADMIN, Arity, CommandSpec, NO_KEYS, NO_MULTI, STALE};
use crate::server::{Level, Server, ServerCommand};
use crate::session::Session;
use crate::stdx::number::parse_i64;
use crate::stdx::time::{Duration, Instant, Now};

type Done = Result<(), CommandError>;

/// Writes wait until it ends, whenever that is.
const PAUSE_MAX: Duration = Duration::from_secs(24 * 3600);
/// Acknowledgements are looked for this often, besides when they come.
const LOOK: Duration = Duration::from_millis(100);
/// How a master answers that is asked to become one.
const IS_MASTER: &str = "PSYNC FAILOVER can't be sent to a master";

#[derive(Debug, Default)]
pub struct Failover(Option<Running>);

#[derive(Debug)]
struct Running {
    /// `None`: whoever is first to have all.
    target: Option<Address>,
    deadline: Option<Instant>,
    force: bool,
    /// It was asked to take over; before that it is waited for.
    handing: bool,
}

impl Failover {
    pub fn is_running(&self) -> bool {
        self.0.is_some()
    }

    /// The link's next PSYNC asks for the take-over.
    pub fn is_handing(&self) -> bool {
        self.0.as_ref().is_some_and(|running| running.handing)
    }

    /// As INFO names it.
    pub fn state(&self) -> &'static str {
        match &self.0 {
            None => "no-failover",
            Some(running) if running.handing => "failover-in-progress",
            Some(_) => "waiting-for-sync",
        }
    }

    pub fn next_wakeup(&self, now: Instant) -> Option<Instant> {
        let running = self.0.as_ref().filter(|running| !running.handing)?;
        Some(running.deadline.map_or(now + LOOK, |deadline| deadline.min(now + LOOK)))
    }
}

impl Running {
    fn parse(words: &[&[u8]], now: Instant) -> Result<Running, CommandError> {
        let (mut target, mut deadline, mut force) = (None, None, false);
        let mut rest = words;
        loop {
            rest = match rest {
                [] => break,
                [word, ms, rest @ ..] if is(word, "timeout") && deadline.is_none() => {
                    let ms = parse_i64(ms).ok_or(CommandError::NotInteger)?;
                    let ms = u64::try_from(ms).ok().filter(|&ms| ms > 0);
                    let ms = ms.ok_or("ERR FAILOVER timeout must be greater than 0")?;
                    deadline = Some(now + Duration::from_millis(ms));
                    rest
                }
                [word, host, port, rest @ ..] if is(word, "to") && target.is_none() => {
                    let port = parse_i64(port).ok_or(CommandError::NotInteger)?;
                    let host = String::from_utf8_lossy(host).into_owned();
                    // One that no port can be is no replica's.
                    target = Some(Address::new(host, u16::try_from(port).unwrap_or(0)));
                    rest
                }
                [word, rest @ ..] if is(word, "force") && !force => {
                    force = true;
                    rest
                }
                _ => return Err(CommandError::Syntax),
            };
        }
        Ok(Running { target, deadline, force, handing: false })
    }

    fn check(&self, replicas: &Replicas) -> Done {
        if replicas.is_empty() {
            return Err("ERR FAILOVER requires connected replicas.".into());
        }
        if self.force && (self.deadline.is_none() || self.target.is_none()) {
            return Err(
                "ERR FAILOVER with force option requires both a timeout and target HOST and IP.".into()
            );
        }
        let Some(target) = &self.target else { return Ok(()) };
        let replica = replicas.attached().find(|replica| replica.address == *target);
        let replica = replica.ok_or("ERR FAILOVER target HOST and PORT is not a replica.")?;
        if replica.is_online() { Ok(()) } else { Err("ERR FAILOVER target replica is not online.".into()) }
    }

    /// Who has all of the stream, of those it may go to.
    fn caught_up(&self, replicas: &Replicas, offset: Offset) -> Option<Address> {
        let wanted = |address: &Address| self.target.as_ref().is_none_or(|target| target == address);
        let mut ready =
            replicas.online().filter(|replica| replica.acked == offset && wanted(&replica.address));
        ready.next().map(|replica| replica.address.clone())
    }
}

fn is(word: &[u8], name: &str) -> bool {
    word.eq_ignore_ascii_case(name.as_bytes())
}

fn failover(server: &mut Server, _: &mut Session, now: Now, argv: &[&[u8]], out: &mut Writer<'_>) -> Done {
    let supervision = &server.replication.supervision;
    if supervision.is_supervised() {
        return Err(CommandError::Text(format!(
            "ERR this server is supervised (group '{}'): ask its sentinels, with SENTINEL FAILOVER or vedette failover",
            supervision.group
        )));
    }
    if let [_, word] = argv
        && is(word, "abort")
    {
        if !server.replication.failover.is_running() {
            return Err("ERR No failover in progress.".into());
        }
        server.abort_failover(now, "aborted by hand");
        out.ok();
        return Ok(());
    }
    let running = Running::parse(&argv[1..], now.mono)?;
    if server.replication.failover.is_running() {
        return Err("ERR FAILOVER already in progress.".into());
    }
    if server.replication.is_replica() {
        return Err("ERR FAILOVER is not valid when server is a replica.".into());
    }
    running.check(&server.replication.replicas)?;
    server.hub.pause(now.mono + PAUSE_MAX, true);
    server.replication.failover = Failover(Some(running));
    // The last bytes of the stream until it is over.
    server.replication.want_acknowledgements();
    server.blocking.stirred = true;
    server.log(Level::Warning, "failover: writes wait until a replica has all of the stream");
    out.ok();
    Ok(())
}

impl Server {
    /// Writes wait, for a hand-over or for the last snapshot: nothing is added to the stream.
    pub(in crate::server) fn stream_is_held(&self) -> bool {
        self.admin.snapshot.is_ending()
            || self.admin.ending.is_waiting()
            || self.replication.failover.is_running()
    }

    /// Looks whether the replica has caught up, or the time is over.
    pub(in crate::server) fn tick_failover(&mut self, now: Now) {
        let Some(running) = self.replication.failover.0.as_mut().filter(|running| !running.handing) else {
            return;
        };
        let offset = self.replication.stream.offset();
        let late = running.deadline.is_some_and(|deadline| now.mono >= deadline);
        let target = match running.caught_up(&self.replication.replicas, offset) {
            Some(target) => target,
            None if !late => return,
            None => match running.target.clone().filter(|_| running.force) {
                Some(target) => {
                    self.log(Level::Warning, "failover: the time is over, and it is forced");
                    target
                }
                None => return self.abort_failover(now, "no replica caught up in time"),
            },
        };
        if let Some(running) = &mut self.replication.failover.0 {
            running.handing = true;
        }
        self.log(Level::Warning, format!("failover: {target} is asked to take over at offset {offset}"));
        self.become_replica(now, target, false);
    }

    fn abort_failover(&mut self, now: Now, why: &str) {
        let Some(running) = self.replication.failover.0.take() else { return };
        self.log(Level::Warning, format!("failover is given up: {why}"));
        if running.handing {
            self.become_master(now);
        }
        self.hub.end_pause(None);
    }

    /// The link stands, to whom the role went; or this server's role is no longer its own to give.
    pub(in crate::server) fn end_failover(&mut self) {
        if self.replication.failover.0.take().is_some() {
            self.log(Level::Warning, "failover: over, this server follows");
            self.hub.end_pause(None);
        }
    }

    /// The master said no to the link's handshake.
    pub fn link_refused(&mut self, now: Now, generation: u64, fault: &Fault) {
        let is_current = self.replication.generation == generation;
        if !is_current || !self.replication.failover.is_handing() {
            return;
        }
        match fault {
            // It had taken over, and only its answer was lost.
            Fault::Psync(why) if why.contains(IS_MASTER) => self.end_failover(),
            fault => self.abort_failover(now, &fault.to_string()),
        }
    }

    /// PSYNC replid offset FAILOVER: the master asks this replica to take over.
    pub(in crate::server) fn take_over(&mut self, now: Now, replid: &str) -> Done {
        if matches!(self.replication.role, Role::Master) {
            return Err(CommandError::Text(format!("ERR {IS_MASTER}.")));
        }
        if self.replication.supervision.is_supervised() {
            return Err("ERR this server is supervised: its role is its sentinels' to change".into());
        }
        if replid != self.replication.stream.replid().as_str() || !self.replication.synced {
            return Err("ERR PSYNC FAILOVER replid must match my replid.".into());
        }
        self.log(Level::Warning, "failover: this replica was asked to take over by its master");
        self.become_master(now);
        Ok(())
    }
}

pub const COMMANDS: &[ServerCommand] = &[ServerCommand {
    spec: CommandSpec {
        name: "failover",
        arity: Arity::AtLeast(1),
        flags: ADMIN | STALE | NO_MULTI,
        keys: NO_KEYS,
        category: "@dangerous",
        summary: "Hands the role of master to a replica.",
    },
    handler: failover,
}];
