//! What operators ask the server about itself.

mod command;
mod config;
mod debug;
pub mod digest;
mod documents;
mod elsewhere;
pub(in crate::server) mod help;
mod info;
pub(in crate::server) mod interface;
pub mod keys;
mod latency_command;
mod memory;
mod operate;
pub mod shutdown;
pub mod slowlog;
pub mod snapshot;

use super::{Handler, Server, ServerCommand};
use crate::resp::spec::{
    ADMIN, Arity, CommandSpec, FAST, Flags, KEY_1, Keys, LOADING, NO_KEYS, NO_MULTI, READONLY, STALE,
};
use crate::server::table::CommandId;
use crate::session::Session;
use crate::stdx::time::{Duration, Now};

/// Where the process runs, as INFO tells it.
#[derive(Clone, Debug, Default)]
pub struct Place {
    pub os: String,
    pub executable: String,
    /// Empty without one.
    pub config_file: String,
    /// `no` or `systemd`.
    pub supervised: String,
}

#[derive(Debug, Default)]
pub struct Admin {
    pub slowlog: slowlog::Slowlog,
    pub snapshot: snapshot::Snapshot,
    pub ending: shutdown::Ending,
    /// DEBUG SET-ACTIVE-EXPIRE 0.
    pub active_expire_off: bool,
    pub process_id: u32,
    pub place: Place,
    /// What the last data set that was loaded held, and what of it was past its time.
    pub loaded_keys: u64,
    pub loaded_expired: u64,
    /// User and system time of the process, told now and then.
    pub cpu_seconds: [f64; 2],
}

impl Admin {
    pub(super) fn starting(now: Now) -> Self {
        let mut admin = Admin::default();
        admin.snapshot.last_saved = now.wall;
        admin
    }
}

const fn row(
    name: &'static str,
    arity: Arity,
    flags: Flags,
    keys: Keys,
    handler: Handler,
    summary: &'static str,
) -> ServerCommand {
    ServerCommand { spec: CommandSpec { name, arity, flags, keys, category: "@admin", summary }, handler }
}

const ANYTIME: Flags = LOADING | STALE;

use Arity::{AtLeast, Exactly};
/// Every family's table.
pub const COMMANDS: &[&[ServerCommand]] = &[&[
    row("info", AtLeast(1), ANYTIME, NO_KEYS, info::info, "Tells about the server, section by section."),
    row("config", AtLeast(2), ADMIN | ANYTIME, NO_KEYS, config::config, "Reads and changes directives."),
    row("command", AtLeast(1), ANYTIME, NO_KEYS, command::command, "Tells about commands."),
    row("time", Exactly(1), FAST | ANYTIME, NO_KEYS, operate::time, "Tells the time."),
    row("debug", AtLeast(2), ADMIN | ANYTIME | NO_MULTI, NO_KEYS, debug::debug, "For tests."),
    row(
        "memory",
        AtLeast(2),
        READONLY,
        Keys { first: 2, ..KEY_1 },
        memory::memory,
        "Tells what a key takes.",
    ),
    row("cluster", AtLeast(2), ANYTIME, NO_KEYS, elsewhere::cluster, "There is no cluster mode."),
    row("asking", Exactly(1), FAST | ANYTIME, NO_KEYS, elsewhere::without_cluster, "For clusters only."),
    row("readonly", Exactly(1), FAST | ANYTIME, NO_KEYS, elsewhere::without_cluster, "For clusters only."),
    row("readwrite", Exactly(1), FAST | ANYTIME, NO_KEYS, elsewhere::without_cluster, "For clusters only."),
    row("module", AtLeast(2), ANYTIME, NO_KEYS, elsewhere::module, "There are no modules."),
    row("lolwut", AtLeast(1), READONLY | FAST, NO_KEYS, elsewhere::lolwut, "Something to look at."),
    row("slowlog", AtLeast(2), ADMIN | ANYTIME, NO_KEYS, operate::slowlog, "Tells which commands were slow."),
    row(
        "latency",
        AtLeast(2),
        ADMIN | ANYTIME,
        NO_KEYS,
        latency_command::latency,
        "Tells what was slow, and when.",
    ),
    row("monitor", Exactly(1), ADMIN | ANYTIME, NO_KEYS, super::monitor::monitor, "Shows every command."),
    row("shutdown", AtLeast(1), ADMIN | ANYTIME | NO_MULTI, NO_KEYS, shutdown::shutdown, "Ends the process."),
    row("save", Exactly(1), ADMIN | NO_MULTI, NO_KEYS, snapshot::save, "Writes a snapshot and waits for it."),
    row("bgsave", AtLeast(1), ADMIN | NO_MULTI, NO_KEYS, snapshot::bgsave, "Writes a snapshot."),
    row(
        "lastsave",
        Exactly(1),
        FAST | ANYTIME,
        NO_KEYS,
        snapshot::lastsave,
        "Tells when data was last saved.",
    ),
]];

impl Server {
    /// A command ran: counted, and remembered if it was slow.
    pub(in crate::server) fn note_call(
        &mut self,
        now: Now,
        session: &Session,
        command: CommandId,
        took: Duration,
        argv: &[&[u8]],
    ) {
        let slot = self.table.slot(command, argv);
        self.stats.called(slot, took);
        if self.config.latency.tracking {
            self.latency.histogram(slot).add(took);
        }
        let threshold_ms = self.config.latency.threshold_ms;
        if threshold_ms > 0 && took.as_millis() as u64 >= threshold_ms {
            let fast = self.table.entry(command).spec.has(FAST);
            self.latency.note(now, if fast { "fast-command" } else { "command" }, took);
        }
        let limit = self.config.slowlog_slower_than_us;
        // A transaction's commands stand there themselves.
        let is_slow = limit >= 0 && took.as_micros() as i64 >= limit;
        if is_slow && self.table.entry(command).spec.name != "exec" {
            let len_max = self.config.slowlog_len_max;
            self.admin.slowlog.add(now.wall, session, took, argv, len_max);
        }
    }

    /// Whether a key exists whose time has passed.
    pub(in crate::server) fn keyspace_has_expired(&self, now: Now, db: usize, key: &[u8]) -> bool {
        self.keyspace.entry(db, key).is_some_and(|entry| entry.is_expired(now.wall.as_millis()))
    }

    /// Deletes a key whose time has passed, as any access would; a replica leaves that to its master.
    pub(in crate::server) fn drop_if_expired(&mut self, now: Now, db: usize, key: &[u8]) {
        if !self.replication.is_replica() && self.keyspace_has_expired(now, db, key) {
            self.keyspace.remove(db, key);
            self.stats.expired_keys += 1;
            self.feed(db, &[b"DEL", key]);
            self.touch(db, key);
            self.notify(crate::config::server::notify::EXPIRED, "expired", db, key);
        }
    }
}
