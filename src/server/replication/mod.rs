//! Replication: the stream this server produces, the replicas that take it, and the master it
//! follows. Reading order: [`stream`] and [`backlog`] hold the bytes; [`replica`], [`replicas`] and
//! [`image`] give them away; [`handshake`], [`arrival`] and [`follow`] take them from a master;
//! [`divergent`] keeps what only this server has; [`failover`] hands the role over; [`waits`] and [`freshness`] know what was acknowledged; [`commands`] and [`report`] are the words.
//!
//! Knows who may write ([`Role`]) and asks [`Supervision`] what a sentinel allowed.

pub mod arrival;
pub mod backlog;
pub mod commands;
pub mod divergent;
pub mod failover;
pub mod follow;
pub mod freshness;
pub mod full_sync;
pub mod handshake;
pub mod image;
pub mod replica;
pub mod replicas;
pub mod report;
pub mod roles;
pub mod stream;
pub mod waits;

use super::supervised::{self, Supervision, Told};
use super::{Gate, Server, ServerCommand};
use crate::commands::CommandError;
use crate::config::server::ServerConfig;
use crate::model::{Offset, ReplId};
use crate::session::SessionId;
use crate::stdx::Rng;
use crate::stdx::time::{Duration, Instant, Now};
use bytes::Bytes;
pub use follow::Upstream;
use replica::OutputLimit;
use std::sync::Arc;
use stream::Stream;

/// While an image is on its way the walk is looked after this often.
const IMAGE_PERIOD: Duration = Duration::from_millis(1);
/// A supervised master asks for acknowledgements this often: they vouch for it.
const GETACK_PERIOD: Duration = Duration::from_millis(100);
/// Limits and timeouts are checked this often.
const CHECK_PERIOD: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub enum Role {
    Master,
    Replica(Box<Upstream>),
    /// Supervised, and not told a role since the start or since it was fenced.
    Awaiting,
}

/// What of the configuration matters here.
#[derive(Clone, Debug)]
pub struct Settings {
    pub limit: OutputLimit,
    pub timeout: Duration,
    pub ping_period: Duration,
    pub min_replicas: usize,
    pub min_replicas_lag: Duration,
    pub serve_stale_data: bool,
    pub priority: u32,
    pub sync_delay: Duration,
    pub sync_replicas_max: usize,
    pub backlog_ttl: Duration,
}

impl Settings {
    fn of(config: &ServerConfig) -> Self {
        let limit = config.output_limits[1];
        Settings {
            limit: OutputLimit {
                hard_bytes: usize::try_from(limit.hard_bytes).unwrap_or(usize::MAX),
                soft_bytes: usize::try_from(limit.soft_bytes).unwrap_or(usize::MAX),
                soft_period: Duration::from_secs(limit.soft_s),
            },
            timeout: Duration::from_secs(config.repl_timeout_s),
            ping_period: Duration::from_secs(config.repl_ping_period_s),
            min_replicas: config.min_replicas_to_write,
            min_replicas_lag: Duration::from_secs(config.min_replicas_max_lag_s),
            serve_stale_data: config.replica_serve_stale_data,
            priority: config.replica_priority,
            sync_delay: Duration::from_secs(config.sync.delay_s),
            sync_replicas_max: config.sync.replicas_max,
            backlog_ttl: Duration::from_secs(config.sync.backlog_ttl_s),
        }
    }
}

pub struct Replication {
    pub settings: Settings,
    pub stream: Stream,
    pub replicas: replicas::Replicas,
    pub role: Role,
    pub supervision: Supervision,
    pub image: Option<image::Image>,
    pub waits: waits::Waits,
    pub failover: failover::Failover,
    /// No replica was there since then.
    alone_since: Option<Instant>,
    pub freshness: freshness::Freshness,
    /// Holds a completed sync, or data of which it is or was the master.
    pub synced: bool,
    /// What only this server had when it was last told to follow, and where it is kept.
    pub diverged: Option<divergent::Diverged>,
    /// The last byte of a master came then.
    pub master_heard_at: Option<Instant>,
    /// The database that the stream has selected where we stand, while no link knows it.
    pub restored_db: usize,
    /// Counts orders to follow: a link of an earlier one is not listened to.
    pub generation: u64,
    /// What becomes of orders once they are kept; see `supervised::commands`.
    pub orders: supervised::commands::Orders,
    gate: Arc<Gate>,
    vouched_until: Instant,
    next_ping: Instant,
    next_getack: Instant,
    next_check: Instant,
    next_image: Instant,
    /// WAIT came: acknowledgements are asked for at the end of this batch.
    getack_wanted: bool,
}

impl Replication {
    pub fn new(config: &ServerConfig, rng: &mut Rng, gate: Arc<Gate>) -> Self {
        let backlog_bytes = usize::try_from(config.repl_backlog_bytes).unwrap_or(usize::MAX);
        Replication {
            settings: Settings::of(config),
            stream: Stream::new(ReplId::random(rng), backlog_bytes),
            replicas: replicas::Replicas::default(),
            role: Role::Master,
            supervision: Supervision::new(roles::new_uuid(rng)),
            image: None,
            waits: waits::Waits::default(),
            failover: failover::Failover::default(),
            alone_since: None,
            freshness: freshness::Freshness::default(),
            synced: true,
            diverged: None,
            master_heard_at: None,
            restored_db: 0,
            generation: 0,
            orders: supervised::commands::Orders::default(),
            gate,
            vouched_until: Instant::ZERO,
            next_ping: Instant::ZERO,
            next_getack: Instant::ZERO,
            next_check: Instant::ZERO,
            next_image: Instant::ZERO,
            getack_wanted: false,
        }
    }

    /// CONFIG SET changed something.
    pub fn config_changed(&mut self, config: &ServerConfig) {
        self.settings = Settings::of(config);
        let backlog_bytes = usize::try_from(config.repl_backlog_bytes).unwrap_or(usize::MAX);
        if backlog_bytes != self.stream.backlog_bytes() {
            self.stream.resize_backlog(backlog_bytes);
        }
    }

    /// A replica (or awaiting): it hides expired keys but leaves their deletion to the master.
    pub fn is_replica(&self) -> bool {
        !matches!(self.role, Role::Master)
    }

    pub fn upstream(&self) -> Option<&Upstream> {
        match &self.role {
            Role::Replica(upstream) => Some(upstream),
            _ => None,
        }
    }

    /// Why a write is refused now: READONLY (replica, awaiting, not vouched), NOREPLICAS.
    pub fn refuse_write(&self, now: Now) -> Option<CommandError> {
        if self.is_replica() {
            return Some("READONLY You can't write against a read only replica.".into());
        }
        if !self.gate.is_vouched(now.mono) {
            return Some(
                "READONLY This master is not vouched for by its sentinels at the moment; ask them who is master.".into(),
            );
        }
        let Settings { min_replicas, min_replicas_lag, .. } = self.settings;
        let short = min_replicas > 0
            && !min_replicas_lag.is_zero()
            && self.replicas.count_good(now.mono, min_replicas_lag) < min_replicas;
        short.then(|| "NOREPLICAS Not enough good replicas to write.".into())
    }

    /// Why a read is refused now: MASTERDOWN.
    pub fn refuse_read(&self, _: Now) -> Option<CommandError> {
        let upstream = self.upstream()?;
        (!self.settings.serve_stale_data && !upstream.is_up()).then(|| {
            "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.".into()
        })
    }

    /// One command for the stream, in the order of execution. `db` is where it ran. A replica's
    /// stream is its master's, word for word: nothing is added to it here.
    pub fn feed(&mut self, db: usize, argv: &[&[u8]]) {
        if matches!(self.role, Role::Master) {
            self.stream.command(db, argv);
        }
    }

    /// The end of a batch: what was fed goes to every replica as one shared piece.
    pub fn flush(&mut self, now: Now) {
        if std::mem::take(&mut self.getack_wanted) {
            self.ask_for_acknowledgements(now.mono);
        }
        if self.stream.has_fresh() {
            let fresh = Bytes::from(self.stream.take_fresh());
            self.replicas.stream(&fresh, &self.settings.limit);
        }
    }

    /// Bytes made at this very moment, so that an acknowledgement of them is as fresh.
    fn ask_for_acknowledgements(&mut self, now: Instant) {
        if matches!(self.role, Role::Master) && self.stream.is_active() {
            self.stream.control(&[b"REPLCONF", b"GETACK", b"*"]);
            self.freshness.stamp(now, self.stream.offset());
        }
    }

    pub fn session_closed(&mut self, now: Now, id: SessionId) {
        self.waits.forget(id);
        self.supervision.supervisors.remove(&id);
        if self.replicas.remove(id).is_some() {
            self.refresh_gate(now.mono);
        }
    }

    /// CLIENT UNBLOCK of a session that waits here (WAIT): answers it at the next tick; whether it was known.
    pub fn cancel_wait(&mut self, id: SessionId) -> bool {
        self.waits.expire(id)
    }

    /// Where this data set stands in its history, for the head of an image; `None` when no history
    /// is kept.
    pub fn position(&self) -> Option<crate::rdb::Position> {
        self.stream.is_active().then(|| crate::rdb::Position {
            replid: self.stream.replid().to_string(),
            offset: self.stream.offset(),
            stream_db: self.stream_db(),
        })
    }

    /// The database that a reader of the stream has selected where we stand.
    pub fn stream_db(&self) -> usize {
        self.upstream().map(Upstream::db).or(self.stream.selected()).unwrap_or(self.restored_db)
    }

    /// Replicas are asked what they have at the end of this turn.
    pub fn want_acknowledgements(&mut self) {
        self.getack_wanted = true;
    }

    /// How many replicas have the first `offset` bytes on their disks; members only, as above.
    pub fn count_synced(&self, offset: Offset) -> usize {
        let supervision = &self.supervision;
        let members = supervision.is_supervised().then_some((&supervision.set[..], supervision.epoch));
        self.replicas.count_synced(offset, members)
    }

    pub fn next_wakeup(&self) -> Option<Instant> {
        if self.image.is_some() || self.replicas.is_any_waiting() {
            return Some(self.next_check.min(self.next_image).min(self.next_getack_due()));
        }
        let busy = self.stream.is_active() || self.supervision.is_supervised();
        let mut wakeup = busy.then_some(self.next_check.min(self.next_getack_due()));
        for deadline in [self.waits.next_deadline()].into_iter().flatten() {
            wakeup = Some(wakeup.map_or(deadline, |other| other.min(deadline)));
        }
        wakeup
    }

    fn next_getack_due(&self) -> Instant {
        let asks = self.supervision.is_supervised() && matches!(self.role, Role::Master);
        if asks { self.next_getack } else { self.next_check }
    }

    /// How many replicas have the first `offset` bytes, as WAIT counts: under supervision only
    /// members of the set that follow this reign.
    pub fn count_acknowledged(&self, offset: Offset) -> usize {
        let supervision = &self.supervision;
        let members = supervision.is_supervised().then_some((&supervision.set[..], supervision.epoch));
        self.replicas.count_acknowledged(offset, members)
    }

    pub fn fresh_members(&self) -> Vec<Instant> {
        self.replicas.fresh_members(&self.supervision.set, self.supervision.epoch)
    }

    /// Tells the gate until when this master is vouched for.
    pub fn refresh_gate(&mut self, _: Instant) {
        if !self.supervision.is_supervised() || self.supervision.told != Some(Told::Master) {
            return;
        }
        let until = self.supervision.vouched_until(&self.fresh_members());
        if until != self.vouched_until {
            self.vouched_until = until;
            self.gate.vouch_until(until);
        }
    }

    /// Nothing that waits at the gate ever leaves; closed until somebody vouches again.
    pub fn silence(&mut self) {
        self.vouched_until = Instant::ZERO;
        self.gate.silence();
    }

    /// Closed until somebody vouches; what waits at it may still leave then.
    pub fn close_gate(&mut self) {
        self.vouched_until = Instant::ZERO;
        self.gate.vouch_until(Instant::ZERO);
    }

    pub fn vouched_until(&self) -> Instant {
        self.vouched_until
    }
}

impl Server {
    pub(in crate::server) fn tick_replication(&mut self, now: Now) {
        self.pump_image(now);
        self.tick_failover(now);
        let is_held = self.stream_is_held();
        let replication = &mut self.replication;
        let supervised = replication.supervision.is_supervised();
        // The last snapshot says where the stream ends: nothing is added to it.
        let master = matches!(replication.role, Role::Master) && !is_held;
        if supervised && master && now.mono >= replication.next_getack {
            replication.next_getack = now.mono + GETACK_PERIOD;
            replication.ask_for_acknowledgements(now.mono);
        }
        if now.mono >= replication.next_check {
            replication.next_check = now.mono + CHECK_PERIOD;
            let Settings { limit, timeout, ping_period, .. } = replication.settings;
            if now.mono >= replication.next_ping {
                replication.next_ping = now.mono + ping_period;
                if master && !replication.replicas.is_empty() {
                    replication.stream.control(&[b"PING"]);
                }
                replication.replicas.keep_waiting_alive(&limit);
            }
            for cut in replication.replicas.check_limits(now.mono, timeout, &limit) {
                self.log(super::Level::Warning, format!("replica {} cut off: it {}", cut.address, cut.why));
            }
        }
        self.forget_stream_if_alone(now);
        self.replication.refresh_gate(now.mono);
        self.end_waits(now);
    }

    /// A master that nobody followed for `repl-backlog-ttl` keeps no stream; whoever comes then takes all.
    fn forget_stream_if_alone(&mut self, now: Now) {
        let replication = &mut self.replication;
        let ttl = replication.settings.backlog_ttl;
        let keeps = !matches!(replication.role, Role::Master)
            || replication.supervision.is_supervised()
            || !replication.replicas.is_empty()
            || !replication.stream.is_active()
            || ttl.is_zero();
        if keeps {
            replication.alone_since = None;
        } else if now.mono.since(*replication.alone_since.get_or_insert(now.mono)) >= ttl {
            replication.alone_since = None;
            replication.stream.forget(ReplId::random(&mut self.rng));
            self.log(super::Level::Info, "no replica for repl-backlog-ttl: the stream is kept no longer");
        }
    }
}

/// Rows of the families here.
pub const COMMANDS: &[&[ServerCommand]] =
    &[commands::COMMANDS, failover::COMMANDS, supervised::commands::COMMANDS];
