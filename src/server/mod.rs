//! The data server as a state machine. Read this file first.
//!
//! A request goes dispatch (`table`) -> `admit` -> `execute` -> `propagate`; its session's batch runs
//! in one call, [`Server::execute_batch`], that writes replies straight into the connection's buffer:
//! the one place where the `(state, now, input) -> actions` shape yields to speed. All else comes as
//! an [`Input`] and leaves as an [`Action`], carried out in the order pushed, so "persist before
//! answer" is a matter of line order. Has never heard of a socket, a file, a clock or a thread.

pub mod admin;
pub mod admit;
pub mod aof;
pub mod blocking;
pub mod evict;
pub mod execute;
pub mod function;
pub mod gate;
pub mod latency;
pub mod loading;
pub mod migrate;
pub mod monitor;
pub mod notify;
pub mod permissions;
pub mod propagate;
pub mod replication;
pub mod script;
pub mod starting;
pub mod stats;
pub mod supervised;
pub mod table;
pub mod transaction;

use crate::commands::{CommandError, Effects};
use crate::config::Secret;
use crate::config::server::ServerConfig;
use crate::model::RunId;
use crate::resp::Writer;
use crate::resp::spec::CommandSpec;
use crate::session::acl::Order;
use crate::session::outbox::Hold;
use crate::session::{Hub, HubSettings, Outbox, Refusal, Session, SessionId};
use crate::stdx::Rng;
use crate::stdx::time::{Duration, Instant, Now};
use crate::store::Keyspace;
use crate::store::garbage::Garbage;
use bytes::Bytes;
pub use gate::Gate;
use replication::divergent::{Content, Diverged};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

/// The version whose manners clients may expect.
pub const REDIS_VERSION: &str = "7.0.15";

/// Entries that one round of active expiry may look at.
const EXPIRE_BUDGET: usize = 2000;

/// What can happen to it besides requests of sessions.
#[derive(Debug)]
pub enum Input {
    /// The moment named by `next_wakeup` has come.
    Tick,
    /// What the process takes of the machine's memory, told about every 100 ms.
    Memory { resident_bytes: u64 },
    /// User and system seconds of the process so far, told with the memory.
    Cpu { seconds: [f64; 2] },
    /// The disk took one [`Action::SnapshotPart`].
    SnapshotPartWritten,
    /// After [`Action::SnapshotEnd`], or earlier when the disk gave up.
    SnapshotEnded { result: Result<(), String> },
    /// The process was asked to end (SIGTERM, SIGINT).
    Terminate,
    /// Password files hold something else than before.
    Secrets(NewSecrets),
    /// `Action::Migrate` is over.
    Migrated { session: SessionId, outcome: migrate::Outcome },
    /// What the writer of the append-only file has to say.
    Log(aof::Told),
    /// `Action::Keep` is done, or failed.
    Kept { ticket: u64, result: Result<(), String> },
    /// `Action::KeepDivergent` is done, or failed.
    DivergentKept { report: Diverged, result: Result<(), String> },
}

/// Passwords that files hold now; `None`: as before. They count for logins from now on.
#[derive(Debug, Default)]
pub struct NewSecrets {
    pub requirepass: Option<Secret>,
    pub masterauth: Option<Secret>,
}

impl NewSecrets {
    pub fn is_empty(&self) -> bool {
        self.requirepass.is_none() && self.masterauth.is_none()
    }
}

/// What it asks for. Carried out in the order pushed.
#[derive(Debug)]
pub enum Action {
    Log {
        level: Level,
        message: String,
    },
    /// The late answer of a session that was blocked until the actions before it were done.
    Respond {
        session: SessionId,
        reply: Bytes,
    },
    /// Open a new file beside the snapshot's name.
    SnapshotBegin,
    /// The same for the base of the append-only file.
    BaseBegin,
    /// Pack and append; answered by `Input::SnapshotPartWritten`.
    SnapshotPart {
        part: crate::rdb::Part,
    },
    /// Sync, rename, sync the directory; answered by `Input::SnapshotEnded`.
    SnapshotEnd,
    /// Carry keys to another server; answered by `Input::Migrated`.
    Migrate {
        session: SessionId,
        errand: migrate::Errand,
    },
    /// DEBUG SLEEP: the engine stands still, as a stuck one would.
    Stall {
        duration: Duration,
    },
    /// A drill: this process ends as if by SIGKILL, nothing said and nothing flushed.
    Crash,
    /// Read or write the file of `aclfile`, and tell with `Server::acl_file_done`.
    AclFile {
        session: SessionId,
        order: Order,
    },
    /// Put this into the state file, on the disk before it is told with `Input::Kept`.
    Keep {
        ticket: u64,
        record: supervised::Record,
    },
    /// Put this under the report's file name into the data directory; told with
    /// `Input::DivergentKept`. What is asked for behind it waits until it is on the disk.
    KeepDivergent {
        report: Diverged,
        content: Content,
    },
    /// Drop this where nobody waits for it.
    Free(Vec<Garbage>),
    /// MEMORY PURGE: the allocator gives back what it can.
    PurgeMemory,
    /// Follow the master that `Server::link_terms` names; ends any earlier link.
    Follow {
        generation: u64,
    },
    /// End the link to a master.
    Unfollow,
    /// Flush what waits, close all, end the process with this code.
    Exit {
        code: u8,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    Debug,
    Info,
    Warning,
    Error,
}

/// Runs one command of the server's own families: reads argv, writes one reply. An error takes back
/// what was written.
pub type Handler = fn(&mut Server, &mut Session, Now, &[&[u8]], &mut Writer<'_>) -> Result<(), CommandError>;

/// A row of a family's table.
#[derive(Clone, Copy)]
pub struct ServerCommand {
    pub spec: CommandSpec,
    pub handler: Handler,
}

pub struct Server {
    pub(in crate::server) config: ServerConfig,
    pub(in crate::server) hub: Hub,
    pub(in crate::server) keyspace: Keyspace,
    pub(in crate::server) replication: replication::Replication,
    pub(in crate::server) gate: Arc<Gate>,
    pub(in crate::server) aof: aof::Aof,
    pub(in crate::server) table: table::Table,
    pub(in crate::server) transactions: transaction::Transactions,
    pub(in crate::server) blocking: blocking::Blocking,
    pub(in crate::server) stats: stats::Stats,
    pub(in crate::server) latency: latency::Latency,
    pub(in crate::server) monitors: monitor::Monitors,
    pub(in crate::server) admin: admin::Admin,
    pub(in crate::server) eviction: evict::Eviction,
    pub(in crate::server) run_id: RunId,
    pub(in crate::server) rng: Rng,
    /// Of the unit that runs; kept for its allocations.
    pub(in crate::server) effects: Effects,
    /// What commands asked for since the shell last took it.
    pub(in crate::server) actions: Vec<Action>,
    pub(in crate::server) propagation: propagate::Propagation,
    pub(in crate::server) scripting: script::Scripting,
    pub(in crate::server) functions: function::Functions,
    pub(in crate::server) started: Now,
    pub(in crate::server) migrations: migrate::Migrations,
    pub(in crate::server) loading: bool,
    pub(in crate::server) loads: Option<loading::Loading>,
    /// Asked to end while a script stood in the way.
    terminating: bool,
    next_cron: Instant,
    refusal_told: Option<Instant>,
}

impl Server {
    /// `seed` feeds all chance; `now` is the start of the process.
    pub fn new(config: ServerConfig, seed: u64, now: Now) -> Self {
        let mut rng = Rng::with_seed(seed);
        let settings = HubSettings {
            mode: "standalone",
            version: REDIS_VERSION.to_owned(),
            protected_mode: config.protected_mode,
            clients_max: config.clients_max,
            output_bytes_max: config.output_bytes_max(),
            output_soft: config.output_soft(),
            databases: config.databases,
            port: permissions::facts(),
        };
        let password = config.requirepass.as_ref().map(|secret| secret.expose().as_bytes().to_vec());
        let table = table::Table::new();
        let gate = Arc::new(Gate::default());
        let mut hub = Hub::new(settings, password);
        hub.tracking.keys_max = config.tracking_keys_max;
        hub.auth.acl.log.entries_max = config.stock.acl_log_max;
        let mut server = Server {
            hub,
            keyspace: Keyspace::new(rng.u64(..)),
            replication: replication::Replication::new(&config, &mut rng, gate.clone()),
            gate,
            aof: aof::Aof::default(),
            transactions: transaction::Transactions::default(),
            blocking: blocking::Blocking::default(),
            stats: stats::Stats::new(table.slots()),
            latency: latency::Latency::new(table.slots()),
            monitors: monitor::Monitors::default(),
            table,
            // Save points count from the start, not from 1970.
            admin: admin::Admin::starting(now),
            eviction: evict::Eviction::default(),
            run_id: RunId::random(&mut rng),
            rng,
            effects: Effects::default(),
            actions: Vec::new(),
            propagation: propagate::Propagation::default(),
            scripting: script::Scripting::default(),
            functions: function::Functions::default(),
            started: now,
            migrations: migrate::Migrations::default(),
            loading: false,
            loads: None,
            terminating: false,
            next_cron: now.mono,
            refusal_told: None,
            config,
        };
        server.memory_config_changed();
        server
    }

    /// Shared with connections: they ask it before they flush.
    pub fn gate(&self) -> Arc<Gate> {
        self.gate.clone()
    }

    pub fn handle(&mut self, now: Now, input: Input, actions: &mut Vec<Action>) {
        match input {
            Input::Tick => self.tick(now),
            Input::Memory { resident_bytes } => self.stats.resident(resident_bytes),
            Input::Cpu { seconds } => self.admin.cpu_seconds = seconds,
            Input::SnapshotPartWritten => {
                self.snapshot_part_written();
                self.tick_snapshot(now);
            }
            Input::SnapshotEnded { result } => self.snapshot_ended(now, result),
            Input::Terminate if self.scripting.is_busy() => {
                self.terminating = true;
                self.script_is_to_end();
            }
            Input::Terminate => self.terminate(now),
            Input::Secrets(news) => self.take_secrets(now, news),
            Input::Migrated { session, outcome } => self.migrated(now, session, outcome),
            Input::Log(told) => self.log_told(now, told),
            Input::Kept { ticket, result } => self.order_kept(now, ticket, result),
            Input::DivergentKept { report, result } => self.divergent_kept(now, report, result),
        }
        self.end_of_turn(now);
        actions.append(&mut self.actions);
    }

    /// What commands of sessions asked for; to be carried out before what is asked later.
    pub fn take_actions(&mut self) -> Vec<Action> {
        std::mem::take(&mut self.actions)
    }

    /// Whether the shell's loop has something to do: actions were pushed, or an earlier wakeup is due.
    /// Asked once after every batch.
    pub fn is_stirred(&mut self) -> bool {
        let earlier = std::mem::take(&mut self.blocking.stirred) || self.scripting.is_busy();
        earlier || !self.actions.is_empty() || self.is_evicting()
    }

    /// When it acts by itself next.
    pub fn next_wakeup(&self, now: Now) -> Option<Instant> {
        if self.loading {
            return self.next_wakeup_loading();
        }
        if self.scripting.is_busy() {
            return Some(now.mono);
        }
        [
            Some(self.next_cron),
            self.blocking.next_deadline(),
            self.hub.pause.as_ref().map(|pause| pause.until),
            self.replication.next_wakeup(),
            self.replication.failover.next_wakeup(now.mono),
            self.admin.snapshot.next_wakeup(now.mono),
            self.aof.waits.next_deadline(),
            self.eviction_wakeup(now.mono),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// A connection came: its session and whether it may speak already, or why it is not taken.
    pub fn open(
        &mut self,
        now: Now,
        peer: SocketAddr,
        local: SocketAddr,
        outbox: Arc<Outbox>,
    ) -> Result<(SessionId, bool), Refusal> {
        match self.hub.open(now, peer, local, outbox) {
            Ok(id) => Ok((id, !self.hub.auth.is_required())),
            Err(refusal) => {
                self.note_refusal(now, peer, refusal);
                Err(refusal)
            }
        }
    }

    /// The same for one that came over the socket at `path`.
    pub fn open_unix(
        &mut self,
        now: Now,
        path: &Arc<str>,
        outbox: Arc<Outbox>,
    ) -> Result<(SessionId, bool), Refusal> {
        let opened = self.hub.open_unix(now, path, outbox);
        opened.map(|id| (id, !self.hub.auth.is_required())).inspect_err(|&refusal| {
            self.note_refusal(now, (Ipv4Addr::LOCALHOST, 0).into(), refusal);
        })
    }

    /// At most one line a second: whoever knocks without end must not fill the disk with it.
    fn note_refusal(&mut self, now: Now, peer: SocketAddr, refusal: Refusal) {
        let resting = |last: Instant| now.mono.since(last) < Duration::from_secs(1);
        if self.refusal_told.is_some_and(resting) {
            return;
        }
        self.refusal_told = Some(now.mono);
        let why = match refusal {
            Refusal::TooMany => "maxclients are connected; raise it, or look who they are with CLIENT LIST",
            Refusal::Protected => {
                "protected mode takes clients of other machines only with a password; set requirepass"
            }
        };
        let count = self.hub.connections_rejected;
        self.log(Level::Warning, format!("refused {peer} ({count} so far): {why}"));
    }

    /// A connection is gone.
    pub fn close(&mut self, now: Now, id: SessionId) {
        self.forget_transaction(id);
        self.monitors.forget(id);
        self.blocking.forget(id);
        self.aof.waits.forget(id);
        self.replication.session_closed(now, id);
        self.hub.close(id);
    }

    fn tick(&mut self, now: Now) {
        if self.loading {
            self.tick_loading(now);
            return;
        }
        if self.scripting.is_busy() && self.go_on_with_script(now) {
            return;
        }
        if std::mem::take(&mut self.terminating) {
            self.terminate(now);
        }
        self.hub.end_pause(Some(now.mono));
        self.expire_blocked(now);
        self.tick_replication(now);
        self.tick_snapshot(now);
        self.end_log_waits(now);
        if self.is_evicting() {
            self.evict(now);
        }
        if now.mono >= self.next_cron {
            self.next_cron = now.mono + Duration::from_millis(u64::from(1000 / self.config.hz.max(1)));
            self.cron(now);
        }
    }

    /// Work of ten times a second.
    fn cron(&mut self, now: Now) {
        self.stats.sample(now.mono);
        self.hub.limit_tracking(1000);
        self.note_memory_peak();
        let began = self.watch();
        self.evict(now);
        self.note_cycle(now, "eviction-cycle", began);
        for peer in self.hub.close_over_total(self.config.clients_bytes_max()) {
            self.stats.evicted_clients += 1;
            self.log(
                Level::Warning,
                format!("closed {peer}: clients take more than maxmemory-clients allows"),
            );
        }
        self.go_on_ending(now);
        self.retry_shutdown(now);
        self.consider_save_points(now);
        self.log_cron(now);
        for peer in self.hub.close_over_soft_limit(now.mono) {
            self.log(
                Level::Warning,
                format!("closed {peer}: it did not read for as long as client-output-buffer-limit allows"),
            );
        }
        let began = self.watch();
        self.expire_actively(now);
        self.note_cycle(now, "expire-cycle", began);
        let timeout = Duration::from_secs(self.config.timeout_s);
        if !timeout.is_zero() {
            self.hub.close_where(|session| {
                session.class == crate::session::Class::Normal
                    && !session.blocked
                    && now.mono.since(session.last_interaction) > timeout
            });
        }
    }

    /// Deletes keys past their time though nobody asks for them.
    fn expire_actively(&mut self, now: Now) {
        let still = self.admin.active_expire_off || self.stream_is_held();
        if self.replication.is_replica() || still {
            return;
        }
        let expired = self.keyspace.expire_some(now.wall.as_millis(), EXPIRE_BUDGET);
        self.stats.expiry_cut_short += u64::from(expired.len() >= EXPIRE_BUDGET);
        for (db, key) in expired {
            self.stats.expired_keys += 1;
            self.feed(db, &[b"DEL", &key]);
            self.touch(db, &key);
            self.notify(crate::config::server::notify::EXPIRED, "expired", db, &key);
        }
    }

    /// What loading found: the data set of the start.
    pub fn load(&mut self, now: Now, loaded: crate::rdb::Loaded) {
        let old = std::mem::replace(&mut self.keyspace, loaded.keyspace);
        self.keyspace.inherit(&old, (now.wall.as_millis() / 1000) as u32);
        self.take_functions(&loaded.functions);
        self.admin.snapshot.last_saved = now.wall;
        self.admin.loaded_keys = self.keyspace.total_len() as u64;
        self.admin.loaded_expired = loaded.expired;
    }

    /// What a keyspace that is loaded outside grows on.
    pub fn hash_seed(&mut self) -> crate::rdb::Ground {
        crate::rdb::Ground { seed: self.rng.u64(..), limits: self.keyspace.limits() }
    }

    /// The port and process that INFO tells.
    pub fn introduce(&mut self, port: u16, tls_port: u16, process_id: u32) {
        self.config.port = port;
        self.config.tls_port = tls_port;
        self.admin.process_id = process_id;
    }

    /// Where it runs.
    pub fn settle_in(&mut self, place: admin::Place) {
        self.admin.place = place;
    }

    /// Ends one turn of the engine: what was produced goes to the log's writer, and to the replicas'
    /// outboxes, together.
    pub(in crate::server) fn end_of_turn(&mut self, now: Now) {
        self.hub.broadcast_changes();
        self.flush_log(now);
        self.replication.flush(now);
        if self.keyspace.has_garbage() {
            let garbage = self.keyspace.take_garbage();
            self.actions.push(Action::Free(garbage));
        }
    }

    /// Stops a session until [`Server::unblock`]: it runs no further request, and the reply of this one
    /// comes later. The handler that calls it writes nothing.
    pub(in crate::server) fn block(&mut self, session: &mut Session) {
        session.blocked = true;
    }

    /// The late reply of a blocked session; `gated` if it acknowledges a write.
    pub(in crate::server) fn unblock(&mut self, id: SessionId, reply: Bytes, gated: Option<Hold>) {
        if let Some(session) = self.hub.session_mut(id) {
            session.blocked = false;
            session.outbox.resume(reply, gated);
        }
    }

    /// A session by its id, to answer it from the shell's side (`Action::Respond`).
    pub fn respond(&mut self, id: SessionId, reply: Bytes) {
        self.unblock(id, reply, None);
    }

    pub(in crate::server) fn log(&mut self, level: Level, message: impl Into<String>) {
        self.actions.push(Action::Log { level, message: message.into() });
    }

    fn terminate(&mut self, now: Now) {
        self.log(Level::Info, "asked to end");
        self.begin_ending(now, None, false);
    }
}
