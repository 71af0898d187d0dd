//! The thread that writes the append-only file: takes what the engine queued, writes it in order,
//! syncs it by the policy, and tells the gate how far the disk is. All that waits at one moment shares
//! one sync.
//!
//! Promises: nothing is told to be on the disk that a sync did not confirm; after a failed sync the
//! file is trusted no more until a new base is taken, because a second sync would succeed without
//! having written anything.

use crate::config::server::aof::Fsync;
use crate::disk::aof::Log;
use crate::server::aof::Told;
use crate::server::aof::queue::{Item, Queue};
use crate::server::{Gate, Input};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::task::{Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

/// Without an acknowledgement that waits, bytes gather for so long and are written together.
const GATHER: Duration = Duration::from_millis(2);
const SYNC_PERIOD: Duration = Duration::from_secs(1);
/// A sync that a policy holds back is not looked for without a pause.
const LOOK_MIN: Duration = Duration::from_millis(20);
const RETRY: Duration = Duration::from_millis(200);
/// How long the end of the process waits for the disk.
const FINISH_MAX: Duration = Duration::from_secs(10);

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// The thread, as the loop sees it.
pub struct AofWriter {
    queue: Arc<Queue>,
    ended: Receiver<()>,
}

impl AofWriter {
    pub fn start(
        log: Log,
        queue: Arc<Queue>,
        gate: Arc<Gate>,
        tell: impl Fn(Input) + Send + 'static,
    ) -> std::io::Result<AofWriter> {
        let (sender, ended) = channel();
        let mut writer = Writer {
            log,
            queue: queue.clone(),
            gate,
            tell: Box::new(move |told| tell(Input::Log(told))),
            pending: VecDeque::new(),
            written: 0,
            synced: 0,
            last_sync: Instant::now(),
            in_trouble: false,
            is_void: false,
            counts: true,
        };
        std::thread::Builder::new().name("append-log".into()).spawn(move || {
            writer.run();
            let _ = sender.send(());
        })?;
        Ok(AofWriter { queue, ended })
    }

    /// Returns when all that was queued is on the disk, or the disk does not take it; whether it did end.
    pub fn finish(&self) -> bool {
        self.queue.finish();
        self.ended.recv_timeout(FINISH_MAX).is_ok()
    }
}

struct Writer {
    log: Log,
    queue: Arc<Queue>,
    gate: Arc<Gate>,
    tell: Box<dyn Fn(Told) + Send>,
    /// Taken, not carried out.
    pending: VecDeque<Item>,
    /// Positions: handed to the kernel, and confirmed by the disk.
    written: u64,
    synced: u64,
    last_sync: Instant,
    in_trouble: bool,
    /// What is written now is part of nothing (a sync failed, the log is closed): it is dropped.
    is_void: bool,
    /// What is written is part of the log, or will be when its base is taken.
    counts: bool,
}

impl Writer {
    fn run(&mut self) {
        self.is_void = !self.log.is_open();
        let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
        loop {
            let (items, closing) = self.queue.take(&waker);
            let idle = items.is_empty() && self.pending.is_empty();
            self.pending.extend(items);
            self.drop_superseded();
            self.work();
            self.queue.set_files_bytes(self.log.bytes());
            self.sync_if_due(closing);
            if closing {
                return;
            }
            if self.in_trouble {
                std::thread::park_timeout(RETRY);
            } else if idle {
                match self.until_sync() {
                    Some(left) => std::thread::park_timeout(left),
                    None => std::thread::park(),
                }
                if self.queue.policy().fsync != Fsync::Always {
                    std::thread::sleep(GATHER);
                }
            }
        }
    }

    /// What stands before the last fresh rotation need not be completed.
    fn drop_superseded(&mut self) {
        let fresh = |item: &Item| matches!(item, Item::Rotate { fresh: true, .. });
        let Some(last) = self.pending.iter().rposition(fresh) else { return };
        for item in self.pending.drain(..last) {
            if let Item::Bytes { bytes, .. } = item {
                self.queue.done(bytes.len());
            }
        }
    }

    fn work(&mut self) {
        while let Some(item) = self.pending.pop_front() {
            match item {
                Item::Bytes { bytes, end } => {
                    if !self.is_void
                        && let Err(error) = self.log.append(&bytes)
                    {
                        self.in_trouble = true;
                        (self.tell)(Told::Trouble(error.to_string()));
                        self.pending.push_front(Item::Bytes { bytes, end });
                        self.take_base_early();
                        return;
                    }
                    self.written = end;
                    self.queue.done(bytes.len());
                    self.recovered();
                }
                Item::Rotate { fresh, at } => self.rotate(fresh, at),
                Item::BaseReady => self.take_base(),
                Item::Close => {
                    self.sync();
                    self.log.close();
                    self.is_void = true;
                    self.recovered();
                }
            }
        }
    }

    /// A base that is done gives back the space of all that it stands for; bytes in front of it belong
    /// into the file that began with it.
    fn take_base_early(&mut self) {
        let is_mark = |item: &Item| !matches!(item, Item::Bytes { .. });
        let mark = self.pending.iter().position(is_mark);
        if let Some(mark) = mark.filter(|&mark| self.pending.get(mark) == Some(&Item::BaseReady)) {
            self.pending.remove(mark);
            self.take_base();
        }
    }

    fn recovered(&mut self) {
        if std::mem::take(&mut self.in_trouble) {
            (self.tell)(Told::Recovered);
        }
    }

    fn rotate(&mut self, fresh: bool, at: u64) {
        if !fresh {
            self.sync();
        }
        if self.is_void && !fresh {
            (self.tell)(Told::RotateFailed("the log is given up".into()));
            return;
        }
        match self.log.rotate(fresh) {
            Ok(()) => {
                self.written = at;
                self.is_void = false;
                self.counts &= !fresh;
                self.recovered();
            }
            Err(error) => {
                self.is_void |= fresh;
                (self.tell)(Told::RotateFailed(error.to_string()));
            }
        }
    }

    fn take_base(&mut self) {
        let result = self.log.take_base().map_err(|error| error.to_string());
        let taken = result.is_ok();
        (self.tell)(Told::Rewritten(result.map(|()| self.log.bytes())));
        if taken {
            // What was unsure before it is in the base.
            self.counts = true;
            self.sync();
        }
    }

    fn until_sync(&self) -> Option<Duration> {
        let waits = self.written > self.synced && !self.is_void;
        (waits && self.queue.policy().fsync == Fsync::EverySecond)
            .then(|| SYNC_PERIOD.saturating_sub(self.last_sync.elapsed()).max(LOOK_MIN))
    }

    fn sync_if_due(&mut self, closing: bool) {
        if self.written == self.synced || self.is_void {
            return;
        }
        let policy = self.queue.policy();
        match policy.fsync {
            _ if closing => self.sync(),
            Fsync::Always if policy.paused => self.reached(self.written),
            Fsync::Always => self.sync(),
            Fsync::EverySecond if policy.paused => {}
            Fsync::EverySecond if self.last_sync.elapsed() >= SYNC_PERIOD => self.sync(),
            Fsync::EverySecond | Fsync::Never => {}
        }
    }

    fn sync(&mut self) {
        if self.is_void {
            return;
        }
        self.last_sync = Instant::now();
        match self.log.sync() {
            Ok(()) => self.reached(self.written),
            Err(error) => {
                self.is_void = true;
                (self.tell)(Told::Poisoned(format!("a sync failed ({error})")));
            }
        }
    }

    fn reached(&mut self, position: u64) {
        self.synced = position;
        if !self.counts {
            return;
        }
        self.gate.disk_reached(position);
        if self.queue.is_watched() {
            (self.tell)(Told::Synced);
        }
    }
}
