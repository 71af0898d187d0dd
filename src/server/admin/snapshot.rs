//! SAVE, BGSAVE, save points: the keyspace is walked in slices between commands and leaves as parts
//! that the shell writes; nothing forks, nothing stalls. SAVE differs from BGSAVE only in that its
//! session waits. At most [`PARTS_AHEAD_MAX`] parts wait for the disk.

use super::super::{Action, Level, Server};
use crate::commands::CommandError;
use crate::rdb::{ImageWriter, Manner};
use crate::resp::Writer;
use crate::server::aof::base::FileWriter;
use crate::session::{Session, SessionId};
use crate::stdx::time::{Duration, Instant, Now, Wall};
use crate::store::SnapshotSink;
use bytes::Bytes;
use std::any::Any;

type Done = Result<(), CommandError>;

/// Entries of one slice: well under a millisecond of small values. Of larger ones a slice ends with the part.
const SLICE_ENTRIES: usize = 500;
const PARTS_AHEAD_MAX: usize = 4;
const SLICE_PAUSE: Duration = Duration::from_micros(500);
/// Writes wait so long for the end of the process, however long its snapshot takes.
const ENDING_MAX: Duration = Duration::from_secs(24 * 3600);
/// After a failure the next automatic attempt waits.
const RETRY: Duration = Duration::from_secs(5);

/// How saving went and goes.
#[derive(Debug, Default)]
pub struct Snapshot {
    running: Option<Running>,
    /// The last attempt failed.
    pub failing: bool,
    pub last_saved: Wall,
    /// Snapshots that reached the disk.
    pub saves: u64,
    last_took: Option<Duration>,
    last_tried: Option<Instant>,
    /// The process ends when the running snapshot is on disk.
    then_exit: bool,
    /// BGSAVE SCHEDULE came while the keyspace was walked for something else.
    scheduled: bool,
}

#[derive(Debug)]
struct Running {
    /// Of the append-only file.
    is_base: bool,
    began: Instant,
    /// Changes before it began.
    dirty: u64,
    waiting: Vec<SessionId>,
    parts_ahead: usize,
    walked: bool,
    /// It holds all that was ever acknowledged: writes were held back when it began.
    is_last: bool,
}

impl Snapshot {
    pub fn is_running(&self) -> bool {
        self.saving().is_some()
    }

    /// A snapshot or a base is written.
    pub fn is_walking(&self) -> bool {
        self.running.is_some()
    }

    fn saving(&self) -> Option<&Running> {
        self.running.as_ref().filter(|running| !running.is_base)
    }

    /// The process ends as soon as its data set is on the disk.
    pub fn is_ending(&self) -> bool {
        self.then_exit
    }

    /// It goes on after all.
    pub fn forget_ending(&mut self) {
        self.then_exit = false;
    }

    pub fn last_took_s(&self) -> i64 {
        self.last_took.map_or(-1, |took| took.as_secs() as i64)
    }

    pub fn running_for_s(&self, now: Instant) -> i64 {
        self.saving().map_or(-1, |running| now.since(running.began).as_secs() as i64)
    }

    /// When the next slice is due.
    pub fn next_wakeup(&self, now: Instant) -> Option<Instant> {
        let running = self.running.as_ref()?;
        (!running.walked && running.parts_ahead < PARTS_AHEAD_MAX).then_some(now + SLICE_PAUSE)
    }
}

impl Server {
    /// As configured, for files.
    pub(in crate::server) fn image_manner(&self) -> Manner {
        Manner { compress: self.config.rdb_compression, sum: self.config.rdb_checksum }
    }

    /// Begins a snapshot; `waiting` is told when it is on disk.
    fn begin_save(&mut self, now: Now, waiting: Option<SessionId>) -> Result<(), CommandError> {
        let created_s = now.wall.as_millis() / 1000;
        let position = self.replication.position();
        let image = ImageWriter::new(self.image_manner(), position.as_ref(), created_s);
        let sink = Box::new(FileWriter::Image(Box::new(self.image_with_functions(image))));
        if self.admin.snapshot.running.as_ref().is_some_and(|running| running.is_base) {
            return Err("ERR Background append only file rewriting in progress: can't save right now. Use BGSAVE SCHEDULE in order to schedule a BGSAVE whenever possible.".into());
        }
        if self.admin.snapshot.running.is_some() || !self.keyspace.begin_snapshot(sink) {
            return Err("ERR Background save already in progress".into());
        }
        self.admin.snapshot.scheduled = false;
        self.admin.snapshot.running = Some(Running {
            is_base: false,
            began: now.mono,
            dirty: self.stats.dirty,
            waiting: waiting.into_iter().collect(),
            parts_ahead: 0,
            walked: false,
            is_last: self.admin.snapshot.then_exit,
        });
        self.actions.push(Action::SnapshotBegin);
        self.blocking.stirred = true;
        Ok(())
    }

    /// Begins the same walk for a base of the append-only file; not while there is another one.
    pub(in crate::server) fn begin_base_walk(&mut self, now: Now, sink: Box<FileWriter>) -> bool {
        if self.admin.snapshot.running.is_some() || !self.keyspace.begin_snapshot(sink) {
            return false;
        }
        self.admin.snapshot.running = Some(Running {
            is_base: true,
            began: now.mono,
            dirty: 0,
            waiting: Vec::new(),
            parts_ahead: 0,
            walked: false,
            is_last: false,
        });
        self.actions.push(Action::BaseBegin);
        self.blocking.stirred = true;
        true
    }

    /// Walks one slice of the running snapshot.
    pub(in crate::server) fn tick_snapshot(&mut self, _: Now) {
        let Some(running) = &mut self.admin.snapshot.running else { return };
        if running.walked || running.parts_ahead >= PARTS_AHEAD_MAX {
            return;
        }
        let done = self.keyspace.step_snapshot(SLICE_ENTRIES);
        let mut part = None;
        if done {
            running.walked = true;
            let sink = self.keyspace.take_snapshot_sink().map(|sink| sink as Box<dyn Any>);
            // The sink is the one given above: a snapshot has one owner from begin to end.
            if let Some(writer) = sink.and_then(|sink| sink.downcast::<FileWriter>().ok()) {
                part = Some(writer.take_last_part());
            }
        } else if let Some(sink) = self.keyspace.snapshot_sink() {
            let writer = (sink as &mut dyn Any).downcast_mut::<FileWriter>();
            part = writer.filter(|writer| writer.is_full()).map(FileWriter::take_part);
        }
        if let Some(part) = part {
            running.parts_ahead += 1;
            self.actions.push(Action::SnapshotPart { part });
        }
        if done {
            self.actions.push(Action::SnapshotEnd);
        }
    }

    /// The disk took a part.
    pub(in crate::server) fn snapshot_part_written(&mut self) {
        if let Some(running) = &mut self.admin.snapshot.running {
            running.parts_ahead = running.parts_ahead.saturating_sub(1);
        }
    }

    /// The file stands under its name, or why not.
    pub(in crate::server) fn snapshot_ended(&mut self, now: Now, result: Result<(), String>) {
        let Some(running) = self.admin.snapshot.running.take() else { return };
        if !running.walked {
            // The disk gave up before the walk did.
            self.keyspace.take_snapshot_sink();
        }
        if running.is_base {
            self.base_written(now, result);
            return;
        }
        let took = now.mono.since(running.began);
        self.admin.snapshot.last_tried = Some(now.mono);
        self.admin.snapshot.failing = result.is_err();
        // One that began before writes were held back lacks the newest; the next round begins another.
        let then_exit = self.admin.snapshot.then_exit && (running.is_last || result.is_err());
        let reply = match &result {
            Ok(()) => {
                self.stats.dirty -= running.dirty.min(self.stats.dirty);
                self.admin.snapshot.last_saved = now.wall;
                self.admin.snapshot.saves += 1;
                self.admin.snapshot.last_took = Some(took);
                self.log(Level::Info, format!("snapshot is on disk after {} ms", took.as_millis()));
                Bytes::from_static(b"+OK\r\n")
            }
            Err(why) => {
                self.log(Level::Error, format!("snapshot failed: {why}"));
                let mut reply = Vec::new();
                Writer::new(&mut reply, crate::resp::Protocol::Resp2).error(&format!("ERR {why}"));
                Bytes::from(reply)
            }
        };
        for id in running.waiting {
            self.unblock(id, reply.clone(), None);
        }
        match (then_exit, result) {
            (true, Ok(())) => self.actions.push(Action::Exit { code: 0 }),
            (true, Err(_)) if self.admin.ending.is_forced() => {
                self.log(Level::Warning, "ending without a snapshot: SHUTDOWN was said with FORCE");
                self.actions.push(Action::Exit { code: 0 });
            }
            (true, Err(_)) => {
                self.admin.snapshot.then_exit = false;
                self.hub.end_pause(None);
                self.log(
                    Level::Error,
                    "not shutting down: the snapshot failed; SHUTDOWN NOSAVE ends without one",
                );
                self.ending_failed();
            }
            (false, _) => {}
        }
    }

    /// Begins a snapshot when a save point is reached.
    pub(in crate::server) fn consider_save_points(&mut self, now: Now) {
        let snapshot = &self.admin.snapshot;
        if snapshot.scheduled && !self.keyspace.is_snapshot_running() {
            let _ = self.begin_save(now, None);
            return;
        }
        let resting =
            snapshot.failing && snapshot.last_tried.is_some_and(|tried| now.mono.since(tried) < RETRY);
        if snapshot.is_walking() || resting || self.stats.dirty == 0 {
            return;
        }
        let since_s = now.wall.as_millis().saturating_sub(snapshot.last_saved.as_millis()) / 1000;
        let dirty = self.stats.dirty;
        let reached = self.config.save.iter().any(|point| dirty >= point.changes && since_s >= point.seconds);
        if reached && self.begin_save(now, None).is_ok() {
            self.log(Level::Info, format!("{dirty} changes in {since_s} seconds: saving"));
        }
    }

    /// Ends the process, after a snapshot if asked for (`None`: if there are save points).
    pub(in crate::server) fn shut_down(&mut self, now: Now, save: Option<bool>) {
        let save = save.unwrap_or(!self.config.save.is_empty());
        // Half a data set must not take the place of a whole one.
        if !save || self.loading {
            // Connections are served for a moment yet. What they would write now is in no file and is
            // never acknowledged, but others would read it, and miss it after the restart.
            self.hub.pause(now.mono + ENDING_MAX, true);
            self.actions.push(Action::Exit { code: 0 });
            return;
        }
        if self.admin.snapshot.then_exit {
            return;
        }
        self.admin.snapshot.then_exit = true;
        self.log(Level::Info, "writes wait from now on; the process ends when the snapshot is on the disk");
        // What is acknowledged from here on would be in no file, and replicas would be ahead of it.
        self.hub.pause(now.mono + ENDING_MAX, true);
        let waiting = self.abandon_unfinished();
        self.abandon_image();
        // When a walk is just being written out, the next round tries again.
        if self.begin_save(now, None).is_ok()
            && let Some(running) = &mut self.admin.snapshot.running
        {
            running.waiting = waiting;
        }
    }

    /// A base on its way is not worth waiting for, and a snapshot lacks the newest writes. One that is
    /// walked already is there soon. Gives back who waited for it.
    fn abandon_unfinished(&mut self) -> Vec<SessionId> {
        let Some(running) = self.admin.snapshot.running.take_if(|running| !running.walked) else {
            return Vec::new();
        };
        self.keyspace.take_snapshot_sink();
        if running.is_base {
            self.aof.rewrite_abandoned();
        }
        running.waiting
    }

    /// A shutdown that could not begin its snapshot at once.
    pub(in crate::server) fn retry_shutdown(&mut self, now: Now) {
        if self.admin.snapshot.then_exit && !self.admin.snapshot.is_running() {
            let _ = self.begin_save(now, None);
        }
    }
}

pub(super) fn save(s: &mut Server, c: &mut Session, now: Now, _: &[&[u8]], _: &mut Writer<'_>) -> Done {
    s.begin_save(now, Some(c.id))?;
    s.block(c);
    Ok(())
}

pub(super) fn bgsave(
    s: &mut Server,
    _: &mut Session,
    now: Now,
    argv: &[&[u8]],
    out: &mut Writer<'_>,
) -> Done {
    let schedule = match argv {
        [_] => false,
        [_, word] if word.eq_ignore_ascii_case(b"schedule") => true,
        _ => return Err(CommandError::Syntax),
    };
    let walking = s.keyspace.is_snapshot_running() || s.admin.snapshot.is_walking();
    if schedule && walking && !s.admin.snapshot.is_running() {
        s.admin.snapshot.scheduled = true;
        out.simple("Background saving scheduled");
        return Ok(());
    }
    s.begin_save(now, None)?;
    out.simple("Background saving started");
    Ok(())
}

pub(super) fn lastsave(s: &mut Server, _: &mut Session, _: Now, _: &[&[u8]], out: &mut Writer<'_>) -> Done {
    out.integer((s.admin.snapshot.last_saved.as_millis() / 1000) as i64);
    Ok(())
}
