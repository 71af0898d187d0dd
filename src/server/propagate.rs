//! What a unit of execution leaves behind: counters, the replication stream, watchers touched,
//! blocked sessions that may now be served. Called once per unit, after its handler.

use super::Server;
use super::script::{Capture, Captured};
use crate::commands::{Effects, Propagate};
use crate::config::server::notify;
use crate::resp::Argv;

#[derive(Debug, Default)]
pub struct Propagation {
    /// Units that changed data, ever.
    pub writes: u64,
    /// Inside EXEC: what is fed stands between MULTI and EXEC.
    pub in_exec: bool,
    opened: bool,
    /// A script calls a command: what would be fed waits for its end.
    pub capture: Option<Capture>,
}

impl Server {
    /// Settles the effects of the unit that just ran as `argv` in `db`.
    pub(in crate::server) fn settle(&mut self, db: usize, argv: &[&[u8]]) {
        self.stats.keyspace_hits += self.effects.keyspace_hits;
        self.stats.keyspace_misses += self.effects.keyspace_misses;
        if self.effects.dirty == 0 && self.effects.expired.is_empty() && self.effects.notes.is_empty() {
            self.effects.clear();
            return;
        }
        let mut effects = std::mem::take(&mut self.effects);
        for (db, key) in &effects.expired {
            self.stats.expired_keys += 1;
            self.feed(*db, &[b"DEL", key]);
            self.touch(*db, key);
            self.notify(notify::EXPIRED, "expired", *db, key);
        }
        if effects.dirty > 0 {
            self.propagation.writes += 1;
            self.stats.dirty += effects.dirty;
            self.feed_effects(db, argv, &effects);
        }
        if effects.noting {
            self.tell_changes(db, argv, &effects);
        }
        effects.clear();
        self.effects = effects;
    }

    fn feed_effects(&mut self, db: usize, argv: &[&[u8]], effects: &Effects) {
        match &effects.propagate {
            Propagate::Nothing => {}
            Propagate::AsGiven => self.feed(db, argv),
            Propagate::Rewritten(commands) => {
                // Several commands for one unit arrive as one unit.
                let alone = commands.len() > 1 && !self.propagation.in_exec;
                if alone {
                    self.begin_exec();
                }
                for command in commands {
                    let argv: Argv<'_> = command.iter().map(Vec::as_slice).collect();
                    self.feed(db, &argv);
                }
                if alone {
                    self.end_exec(db);
                }
            }
        }
    }

    /// A key changed: its watchers' transactions fail, whoever waits for it is tried again.
    pub(in crate::server) fn touch(&mut self, db: usize, key: &[u8]) {
        self.transactions.touch(db, key);
        self.blocking.signal(db, key);
        if self.hub.tracking.is_on() {
            self.hub.key_changed(key);
        }
    }

    /// Everything changed (FLUSHALL, SWAPDB, a full resync).
    pub(in crate::server) fn touch_all(&mut self) {
        self.transactions.touch_all();
        self.blocking.signal_all();
        if self.hub.tracking.is_on() {
            self.hub.all_keys_changed();
        }
    }

    /// One command for replicas and the log.
    pub(in crate::server) fn feed(&mut self, db: usize, argv: &[&[u8]]) {
        if let Some(capture) = &mut self.propagation.capture {
            return capture.effects.push(Captured::new(db, argv, capture.targets));
        }
        self.feed_replicas(db, argv);
        self.feed_log(db, argv);
    }

    pub(in crate::server) fn feed_log(&mut self, db: usize, argv: &[&[u8]]) {
        self.aof.feed(db, argv, self.propagation.in_exec);
    }

    /// One command for replicas alone: it changes no data.
    pub(in crate::server) fn feed_replicas(&mut self, db: usize, argv: &[&[u8]]) {
        if let Some(capture) = &mut self.propagation.capture {
            let targets = capture.targets & super::script::TO_REPLICAS;
            return capture.effects.push(Captured::new(db, argv, targets));
        }
        if self.propagation.in_exec && !self.propagation.opened {
            self.propagation.opened = true;
            self.replication.feed(db, &[b"MULTI"]);
        }
        self.replication.feed(db, argv);
    }

    pub(in crate::server) fn begin_exec(&mut self) {
        self.propagation.in_exec = true;
    }

    pub(in crate::server) fn end_exec(&mut self, db: usize) {
        self.propagation.in_exec = false;
        self.aof.end_exec();
        if std::mem::take(&mut self.propagation.opened) {
            self.replication.feed(db, &[b"EXEC"]);
        }
    }
}
