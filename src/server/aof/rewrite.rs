//! A new base: the walk of a snapshot under another name. With its beginning the log goes on in a new
//! file; when the base is on the disk, it and that file are the log, and what was before goes.
//!
//! A rewrite is *void* when it must not count at its end (the data was replaced meanwhile, the log was
//! given up); it is then walked to its end, because a walk has one, and begun anew.

use super::base::{CommandWriter, FileWriter};
use super::{Aof, State};
use crate::commands::CommandError;
use crate::rdb::ImageWriter;
use crate::resp::Writer;
use crate::resp::spec::{ADMIN, Arity, CommandSpec, NO_KEYS};
use crate::server::{Level, Server, ServerCommand};
use crate::session::Session;
use crate::stdx::time::{Duration, Instant, Now};

const RETRY_FIRST: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
pub struct Rewrites {
    running: Option<Running>,
    pub scheduled: bool,
    pub retry_at: Instant,
    retry_pause: Option<Duration>,
    /// Of all files when the last base was taken.
    pub base_bytes: u64,
    pub(super) failing: bool,
    /// Attempts that failed since the last one that did not.
    pub(super) failures: u64,
    pub(super) last_took: Option<Duration>,
    pub(super) count: u64,
}

#[derive(Debug)]
struct Running {
    began: Instant,
    void: bool,
}

impl Rewrites {
    pub fn is_running(&self) -> bool {
        self.running.is_some()
    }

    pub fn is_valid(&self) -> bool {
        self.running.as_ref().is_some_and(|running| !running.void)
    }

    pub fn is_void(&self) -> bool {
        !self.is_valid()
    }

    pub fn void(&mut self) {
        if let Some(running) = &mut self.running {
            running.void = true;
        }
    }

    pub fn failed(&mut self, now: Instant) {
        self.failing = true;
        self.failures += 1;
        self.retry_later(now);
    }

    pub fn retry_later(&mut self, now: Instant) {
        let pause = self.retry_pause.map_or(RETRY_FIRST, |pause| (pause * 2).min(RETRY_MAX));
        self.retry_pause = Some(pause);
        self.retry_at = now + pause;
    }

    pub(super) fn running_for(&self, now: Instant) -> Option<Duration> {
        self.running.as_ref().map(|running| now.since(running.began))
    }
}

impl Aof {
    /// The walk was ended for something that matters more.
    pub fn rewrite_abandoned(&mut self) {
        self.rewrite.running = None;
    }

    /// Whether it grew as much as asked for.
    fn has_grown(&self, percentage: u64, min_bytes: u64) -> bool {
        let (bytes, base) = (self.queue.files_bytes(), self.rewrite.base_bytes.max(1));
        percentage > 0 && bytes > min_bytes && bytes.saturating_sub(base) / base.div_ceil(100) >= percentage
    }
}

impl Server {
    /// Begins a rewrite if one is due and the keyspace is not walked for something else.
    pub(in crate::server) fn consider_rewrite(&mut self, now: Now) {
        let aof = &self.aof;
        if aof.rewrite.is_running() || (aof.state == State::Off && !aof.rewrite.scheduled) {
            return;
        }
        let config = &self.config.aof;
        let automatic =
            aof.state == State::Waiting || aof.has_grown(config.rewrite_percentage, config.rewrite_min_bytes);
        let due = aof.rewrite.scheduled || (automatic && now.mono >= aof.rewrite.retry_at);
        if due && !self.propagation.in_exec && !self.keyspace.is_snapshot_running() {
            self.begin_rewrite(now);
        }
    }

    fn begin_rewrite(&mut self, now: Now) -> bool {
        // What was done until now stands in front of the base, also in the stream whose place it tells.
        self.flush_log(now);
        let position = self.replication.position();
        let sink = if self.config.aof.rdb_preamble {
            let created_s = now.wall.as_millis() / 1000;
            let image = ImageWriter::base(self.image_manner(), position.as_ref(), created_s);
            FileWriter::Image(Box::new(self.image_with_functions(image)))
        } else {
            FileWriter::Commands(Box::new(CommandWriter::new(position, self.functions.texts())))
        };
        if !self.begin_base_walk(now, Box::new(sink)) {
            return false;
        }
        let aof = &mut self.aof;
        aof.queue.rotate(aof.state != State::On);
        aof.forget_reader();
        aof.rewrite.running = Some(Running { began: now.mono, void: false });
        aof.rewrite.scheduled = false;
        self.log(Level::Info, "append-only file: a new base is begun");
        self.log_policy_changed();
        true
    }

    /// The walk is over and its file is on the disk under a name of its own, or why not.
    pub(in crate::server) fn base_written(&mut self, now: Now, result: Result<(), String>) {
        let valid = self.aof.rewrite.is_valid();
        match result {
            Ok(()) if valid => {
                self.aof.queue.base_ready();
                return;
            }
            Ok(()) => {}
            Err(why) => {
                self.log(Level::Error, format!("append-only file: the base failed: {why}"));
                self.aof.rewrite.failed(now.mono);
            }
        }
        self.aof.rewrite.running = None;
        self.log_policy_changed();
    }

    pub(super) fn rewrite_adopted(&mut self, now: Now, result: Result<u64, String>) {
        let Some(running) = self.aof.rewrite.running.take() else { return };
        let took = now.mono.since(running.began);
        match result {
            Ok(bytes) => {
                let rewrites = &mut self.aof.rewrite;
                rewrites.base_bytes = bytes;
                rewrites.failing = false;
                rewrites.failures = 0;
                rewrites.retry_pause = None;
                rewrites.last_took = Some(took);
                rewrites.count += 1;
                if self.aof.state == State::Waiting && !running.void {
                    self.aof.state = State::On;
                    self.aof.trouble = None;
                }
                // Asked for by hand: it stands there, and nothing is written behind it.
                if self.aof.state == State::Off {
                    self.aof.queue.close();
                }
                self.log(
                    Level::Info,
                    format!("append-only file: the new base counts, after {} ms", took.as_millis()),
                );
            }
            Err(why) => {
                self.log(Level::Error, format!("append-only file: the new base is not taken: {why}"));
                self.aof.rewrite.failed(now.mono);
            }
        }
    }
}

fn bgrewriteaof(
    server: &mut Server,
    _: &mut Session,
    now: Now,
    _: &[&[u8]],
    out: &mut Writer<'_>,
) -> Result<(), CommandError> {
    if server.aof.rewrite.is_running() {
        return Err("ERR Background append only file rewriting already in progress".into());
    }
    if server.propagation.in_exec || !server.begin_rewrite(now) {
        server.aof.rewrite.scheduled = true;
        out.simple("Background append only file rewriting scheduled");
    } else {
        out.simple("Background append only file rewriting started");
    }
    Ok(())
}

pub const COMMANDS: &[ServerCommand] = &[ServerCommand {
    spec: CommandSpec {
        name: "bgrewriteaof",
        arity: Arity::Exactly(1),
        flags: ADMIN,
        keys: NO_KEYS,
        category: "@admin",
        summary: "Writes a new base of the append-only file.",
    },
    handler: bgrewriteaof,
}];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_by_percent_of_what_it_was_after_the_last_base() {
        let mut aof = Aof::default();
        aof.rewrite.base_bytes = 1000;
        for (bytes, percentage, min_bytes, due) in
            [(1999, 100, 0, false), (2000, 100, 0, true), (2000, 100, 2000, false), (9999, 0, 0, false)]
        {
            aof.queue.set_files_bytes(bytes);
            assert_eq!(aof.has_grown(percentage, min_bytes), due, "{bytes}");
        }
    }
}
