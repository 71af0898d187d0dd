//! The append-only file as the engine sees it: which bytes belong into it, when a new base is begun,
//! and when writes must be refused. Reading order: [`feed`] makes the bytes, [`queue`] hands them to
//! the writer, [`rewrite`] replaces what grew too long, [`replay`] reads it all back, [`waits`] is
//! WAITAOF, [`report`] is INFO.
//!
//! Promises: the bytes of a turn are in the queue before its replies leave; a file begins with a
//! SELECT and a transaction is never cut by a change of files; what waits for the disk is bounded by
//! refusing writes. Has never heard of file names and manifests: those are the disk's.

pub mod base;
pub mod feed;
pub mod queue;
pub mod replay;
pub mod report;
pub mod rewrite;
pub mod waits;

use super::gate::Proof;
use super::{Level, Server, ServerCommand};
use crate::commands::CommandError;
use crate::config::server::aof::Fsync;
use crate::model::{Offset, ReplId};
use crate::session::outbox::Hold;
use crate::stdx::time::{Duration, Instant, Now};
use queue::{Policy, Queue};
use std::collections::VecDeque;
use std::sync::Arc;

/// More than this does not wait for a disk: a master refuses writes, a replica gives its log up and
/// begins a new one when the disk is back.
const WAITING_BYTES_MAX: u64 = 64 << 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Off,
    /// There is none that counts yet: a base has to be written first.
    Waiting,
    On,
}

/// What the writer tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// Writing fails, for this reason; it is tried again.
    Trouble(String),
    Recovered,
    /// Syncing failed. What the kernel did with the bytes is unknown, so only a new base helps.
    Poisoned(String),
    /// No new file could be begun: the base that was begun with it is void.
    RotateFailed(String),
    /// A base took its place, with the size of all files; or why not.
    Rewritten(Result<u64, String>),
    /// More is on the disk.
    Synced,
    /// Something took the disk long, as LATENCY names it.
    Slow {
        event: &'static str,
        took: Duration,
    },
}

pub struct Aof {
    pub queue: Arc<Queue>,
    state: State,
    /// Bytes of this turn.
    fresh: Vec<u8>,
    /// Bytes ever made.
    fed: u64,
    /// The database that a reader has selected; `None`: unknown, say it again.
    selected: Option<usize>,
    /// Inside EXEC: MULTI was written.
    opened: bool,
    /// The history that a reader knows.
    history: Option<ReplId>,
    stamped_s: u64,
    /// How much of the stream each stretch of the log stands for, oldest first.
    stamps: VecDeque<(u64, Offset)>,
    synced_offset: Offset,
    rewrite: rewrite::Rewrites,
    /// Why writes are refused.
    trouble: Option<String>,
    pub waits: waits::Waits,
}

impl Default for Aof {
    fn default() -> Self {
        Aof {
            queue: Arc::default(),
            state: State::Off,
            fresh: Vec::new(),
            fed: 0,
            selected: None,
            opened: false,
            history: None,
            stamped_s: 0,
            stamps: VecDeque::new(),
            synced_offset: 0,
            rewrite: rewrite::Rewrites::default(),
            trouble: None,
            waits: waits::Waits::default(),
        }
    }
}

impl Aof {
    /// Bytes that wait for the disk.
    pub fn waiting_bytes(&self) -> u64 {
        self.queue.waiting_bytes() + self.fresh.len() as u64
    }

    pub fn is_on(&self) -> bool {
        self.state == State::On
    }

    /// Bytes ever made: who wrote until now is on the disk when that has reached this.
    pub fn position(&self) -> u64 {
        self.fed
    }

    /// Why writes are refused now.
    pub fn refuse_write(&self) -> Option<CommandError> {
        if self.state == State::Off {
            return None;
        }
        if let Some(why) = &self.trouble {
            return Some(CommandError::Text(format!("MISCONF Errors writing to the AOF file: {why}")));
        }
        let waiting = self.waiting_bytes();
        (waiting > WAITING_BYTES_MAX).then(|| {
            CommandError::Text(format!(
                "MISCONF Errors writing to the AOF file: {waiting} bytes wait for the disk already"
            ))
        })
    }
}

impl Server {
    /// Shared with the log's writer.
    pub fn log_queue(&self) -> Arc<Queue> {
        self.aof.queue.clone()
    }

    /// Whether there is a log that counts.
    pub fn is_log_on(&self) -> bool {
        self.aof.is_on()
    }

    /// What a reply made now, to a write, has to wait for.
    pub(in crate::server) fn hold(&self) -> Hold {
        Hold { generation: self.gate.generation(), logged: self.aof.fed }
    }

    /// The log was read (or begun) and its writer stands ready: it counts from now on.
    pub fn log_opened(&mut self, files_bytes: u64) {
        self.aof.state = State::On;
        self.aof.queue.set_files_bytes(files_bytes);
        self.aof.rewrite.base_bytes = files_bytes;
        self.log_policy_changed();
    }

    /// CONFIG SET changed something, or the state did.
    pub(in crate::server) fn log_policy_changed(&mut self) {
        let config = &self.config.aof;
        let paused = config.no_fsync_on_rewrite && self.admin.snapshot.is_walking();
        let slow_ms = self.config.latency.threshold_ms;
        let policy = Policy { fsync: config.fsync, paused, keeps_history: config.keep_history, slow_ms };
        self.aof.queue.set_policy(policy);
        // A log that was given up for an unsure disk keeps back what it has not acknowledged.
        let counts = self.aof.is_on() || (self.aof.state == State::Waiting && self.aof.trouble.is_some());
        self.gate.require(match config.fsync {
            _ if !counts => Proof::Nothing,
            Fsync::Always => Proof::Synced,
            Fsync::EverySecond | Fsync::Never => Proof::Written,
        });
    }

    /// `appendonly` was changed while running.
    pub(in crate::server) fn log_switched(&mut self, now: Now) {
        if self.loading {
            // Looked at again when the data set stands.
            return;
        }
        match (self.config.aof.enabled, self.aof.state) {
            (true, State::Off) => {
                self.aof.state = State::Waiting;
                self.aof.trouble = None;
                // One that was asked for by hand lacks what was written since it began.
                self.aof.rewrite.void();
                self.aof.rewrite.retry_at = Instant::ZERO;
                self.log(Level::Info, "append-only file: begins; it counts as soon as its base is written");
                self.consider_rewrite(now);
            }
            (false, State::Waiting | State::On) => {
                self.flush_log(now);
                self.aof.state = State::Off;
                self.aof.rewrite.void();
                self.aof.rewrite.scheduled = false;
                self.aof.trouble = None;
                self.aof.queue.close();
                self.log(Level::Info, "append-only file: off");
            }
            _ => {}
        }
        self.log_policy_changed();
    }

    /// The log on the disk is not what memory holds, or may not be: a new base is begun.
    pub(in crate::server) fn give_log_up(&mut self, now: Now) {
        if self.aof.state == State::Off {
            return;
        }
        self.aof.state = State::Waiting;
        self.aof.stamps.clear();
        self.aof.synced_offset = 0;
        self.aof.rewrite.void();
        self.log_policy_changed();
        self.consider_rewrite(now);
    }

    pub(in crate::server) fn log_told(&mut self, now: Now, told: Told) {
        match told {
            Told::Trouble(why) => {
                // It is tried again several times a second.
                if self.aof.trouble.as_ref() != Some(&why) {
                    self.log(
                        Level::Error,
                        format!("append-only file: {why}; writes are refused until it works again"),
                    );
                }
                self.aof.trouble = Some(why);
            }
            Told::Recovered => {
                // While a base is missing, only that heals.
                if self.aof.is_on() && self.aof.trouble.take().is_some() {
                    self.log(Level::Warning, "append-only file: written again, writes are taken");
                }
            }
            Told::Poisoned(why) => {
                self.log(
                    Level::Error,
                    format!("append-only file: {why}; writes are refused until a new base is on the disk"),
                );
                if self.aof.state != State::Off {
                    self.aof.trouble = Some(why);
                    self.aof.rewrite.retry_later(now.mono);
                    self.give_log_up(now);
                }
            }
            Told::RotateFailed(why) => {
                self.log(Level::Error, format!("append-only file: no rewrite: {why}"));
                self.aof.rewrite.void();
                self.aof.rewrite.failed(now.mono);
            }
            Told::Rewritten(result) => self.rewrite_adopted(now, result),
            Told::Synced => {}
            Told::Slow { event, took } => self.latency.note(now, event, took),
        }
        self.log_policy_changed();
        self.end_log_waits(now);
    }

    /// Work of ten times a second.
    pub(in crate::server) fn log_cron(&mut self, now: Now) {
        if self.replication.is_replica() && self.aof.queue.waiting_bytes() > WAITING_BYTES_MAX {
            let resting = self.aof.state == State::Waiting && self.aof.rewrite.is_void();
            if !resting {
                self.log(
                    Level::Error,
                    "append-only file: the disk does not keep up; given up, a new base is written",
                );
                self.aof.rewrite.retry_later(now.mono);
                self.give_log_up(now);
            }
        }
        self.consider_rewrite(now);
        self.log_policy_changed();
    }
}

/// For the seconds that INFO shows.
fn seconds(duration: Option<Duration>) -> i64 {
    duration.map_or(-1, |duration| duration.as_secs() as i64)
}

/// Rows of the families here.
pub const COMMANDS: &[&[ServerCommand]] = &[rewrite::COMMANDS, waits::COMMANDS];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::server::ServerConfig;
    use crate::server::{Action, Input};
    use crate::session::Passage;
    use crate::stdx::time::Wall;
    use queue::Item;
    use std::task::Waker;

    fn at(ms: u64) -> Now {
        Now { mono: Instant::from_millis(ms), wall: Wall(1_700_000_000_000 + ms) }
    }

    #[test]
    fn after_a_failed_sync_only_a_new_base_lets_anything_out_or_in() {
        let mut config = ServerConfig::default();
        config.aof.enabled = true;
        config.aof.fsync = Fsync::Always;
        let mut server = Server::new(config, 7, at(1));
        server.log_opened(100);
        let mut actions = Vec::new();
        server.feed(0, &[b"DEL", b"a"]);
        let hold = server.hold();
        let gate = server.gate();
        let passes = || gate.passage(hold, || Instant::ZERO) == Passage::Open;
        server.handle(at(2), Input::Log(Told::Poisoned("input/output error".into())), &mut actions);
        assert!(server.aof.refuse_write().is_some_and(|why| why.to_string().starts_with("MISCONF")));
        // The base is begun a while later, in a file of its own.
        let mut now = 2;
        let mut ended = false;
        while !ended {
            now += 100;
            assert!(now < 10_000, "no base was begun");
            actions.clear();
            server.handle(at(now), Input::Tick, &mut actions);
            let parts = actions.iter().filter(|action| matches!(action, Action::SnapshotPart { .. })).count();
            ended = actions.iter().any(|action| matches!(action, Action::SnapshotEnd));
            for _ in 0..parts {
                server.handle(at(now), Input::SnapshotPartWritten, &mut actions);
            }
        }
        server.handle(at(now), Input::SnapshotEnded { result: Ok(()) }, &mut actions);
        let (items, _) = server.log_queue().take(Waker::noop());
        assert!(items.iter().any(|item| matches!(item, Item::Rotate { fresh: true, .. })), "{items:?}");
        assert_eq!(items.back(), Some(&Item::BaseReady));
        server.handle(at(now), Input::Log(Told::Recovered), &mut actions);
        assert!(server.aof.refuse_write().is_some() && !passes(), "a write that works proves nothing");
        server.handle(at(now), Input::Log(Told::Rewritten(Ok(50))), &mut actions);
        assert!(server.aof.is_on() && server.aof.refuse_write().is_none());
        gate.disk_reached(hold.logged);
        assert!(passes());
    }

    #[test]
    fn a_base_of_data_that_was_replaced_meanwhile_does_not_count() {
        let mut config = ServerConfig::default();
        config.aof.enabled = true;
        let mut server = Server::new(config, 7, at(1));
        server.log_opened(100);
        server.aof.rewrite.scheduled = true;
        server.consider_rewrite(at(2));
        assert!(server.aof.rewrite.is_valid());
        server.give_log_up(at(3));
        server.base_written(at(4), Ok(()));
        let (items, _) = server.log_queue().take(Waker::noop());
        assert!(!items.contains(&Item::BaseReady), "{items:?}");
        assert!(!server.aof.is_on(), "another one is needed");
    }
}
