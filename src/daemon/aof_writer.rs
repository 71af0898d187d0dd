//! The writing of the append-only file. With `appendfsync always` one thread takes what the engine
//! queued, writes and syncs it, and all that waits at one moment shares one sync. With `everysec` and
//! `no` whoever is about to answer writes what is queued himself, because a thread that has to be woken
//! costs more than the write; the thread syncs each second. Only the thread changes files.
//!
//! Promises: in order, whoever writes; nothing is told to be with the kernel or on the disk that is not;
//! after a failed sync the file is trusted no more until a new base is taken, because a second sync
//! would succeed without having written anything; no answer waits behind a sync of `everysec`.

use crate::config::server::aof::Fsync;
use crate::disk::aof::Log;
use crate::server::aof::Told;
use crate::server::aof::queue::{Item, Queue};
use crate::server::{Gate, Input};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::task::{Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

const SYNC_PERIOD: Duration = Duration::from_secs(1);
/// A sync that a policy holds back is not looked for without a pause.
const LOOK_MIN: Duration = Duration::from_millis(20);
const RETRY: Duration = Duration::from_millis(200);
/// Another one's write is soon over; a change of files is not waited for.
const PATIENCE: Duration = Duration::from_micros(100);
/// How long the end of the process waits for the disk.
const FINISH_MAX: Duration = Duration::from_secs(10);

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Writing, as those see it who answer clients.
pub struct AofWriter {
    shared: Arc<Shared>,
    ended: Mutex<Receiver<()>>,
}

impl AofWriter {
    pub fn start(
        log: Log,
        queue: Arc<Queue>,
        gate: Arc<Gate>,
        tell: impl Fn(Input) + Send + Sync + 'static,
    ) -> std::io::Result<AofWriter> {
        let (sender, ended) = channel();
        let pen = Pen {
            is_void: !log.is_open(),
            log,
            pending: VecDeque::new(),
            written: 0,
            synced: 0,
            last_sync: Instant::now(),
            in_trouble: false,
            counts: true,
            dozes: false,
        };
        let tell = Box::new(move |told| tell(Input::Log(told)));
        let shared = Arc::new(Shared { queue, gate, tell, pen: Mutex::new(pen) });
        let writer = shared.clone();
        std::thread::Builder::new().name("append-log".into()).spawn(move || {
            writer.run();
            let _ = sender.send(());
        })?;
        Ok(AofWriter { shared, ended: Mutex::new(ended) })
    }

    /// Hands what is queued to the kernel, up to the first change of files. Where that is not possible
    /// now, the thread does it, and the gate opens later.
    pub fn write_now(&self) {
        self.shared.write_now();
    }

    /// The same if nobody who answers will do it.
    pub fn write_if_waiting(&self) {
        let queue = &self.shared.queue;
        if queue.waiting_bytes() > 0 && queue.policy().fsync != Fsync::Always {
            self.shared.write_now();
        }
    }

    /// Returns when all that was queued is on the disk, or the disk does not take it; whether it did end.
    pub fn finish(&self) -> bool {
        self.shared.queue.finish();
        self.ended.lock().recv_timeout(FINISH_MAX).is_ok()
    }
}

struct Shared {
    queue: Arc<Queue>,
    gate: Arc<Gate>,
    tell: Box<dyn Fn(Told) + Send + Sync>,
    /// Held from taking out of the queue until that is written: this keeps the order.
    pen: Mutex<Pen>,
}

struct Pen {
    log: Log,
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
    /// The thread sleeps until it is called, with nothing to sync.
    dozes: bool,
}

impl Shared {
    fn run(&self) {
        let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
        loop {
            let (idle, closing, in_trouble) = {
                let mut pen = self.pen.lock();
                let (items, closing) = self.queue.take(&waker);
                pen.log.set_keeps_history(self.queue.policy().keeps_history);
                let idle = items.is_empty() && pen.pending.is_empty();
                pen.pending.extend(items);
                pen.drop_superseded(self);
                pen.work(self);
                self.queue.set_files_bytes(pen.log.bytes());
                (idle, closing, pen.in_trouble)
            };
            self.sync_if_due(closing);
            if closing {
                return;
            }
            if in_trouble {
                std::thread::park_timeout(RETRY);
            } else if idle {
                let until_sync = {
                    let mut pen = self.pen.lock();
                    let until_sync = pen.until_sync(self.queue.policy().fsync);
                    pen.dozes = until_sync.is_none();
                    until_sync
                };
                match until_sync {
                    Some(left) => std::thread::park_timeout(left),
                    None => std::thread::park(),
                }
            }
        }
    }

    fn write_now(&self) {
        // Held: somebody writes, maybe without the newest bytes, or files are changed, which takes long.
        let Some(mut pen) = self.pen.try_lock_for(PATIENCE) else { return self.queue.call() };
        if pen.in_trouble || !pen.pending.is_empty() {
            return self.queue.call();
        }
        while let Some(Item::Bytes { bytes, end }) = self.queue.take_bytes() {
            if !pen.write(self, bytes, end) {
                return self.queue.call();
            }
        }
        self.queue.set_files_bytes(pen.log.bytes());
        if std::mem::take(&mut pen.dozes) {
            drop(pen);
            self.queue.call();
        }
    }

    /// For LATENCY.
    fn note_slow(&self, event: &'static str, began: Instant) {
        let slow_ms = self.queue.policy().slow_ms;
        let took = began.elapsed();
        if slow_ms > 0 && took.as_millis() >= u128::from(slow_ms) {
            (self.tell)(Told::Slow { event, took });
        }
    }

    /// With the pen put down: who answers meanwhile writes on.
    fn sync_if_due(&self, closing: bool) {
        let policy = self.queue.policy();
        let (file, written) = {
            let mut pen = self.pen.lock();
            if pen.written == pen.synced || pen.is_void {
                return;
            }
            let second = pen.last_sync.elapsed() >= SYNC_PERIOD;
            match policy.fsync {
                _ if closing => {}
                Fsync::Always if policy.paused => {
                    let written = pen.written;
                    return pen.reached(self, written);
                }
                Fsync::Always => {}
                Fsync::EverySecond if second && !policy.paused => {}
                Fsync::EverySecond | Fsync::Never => return,
            }
            pen.last_sync = Instant::now();
            (pen.log.file(), pen.written)
        };
        let began = Instant::now();
        let result = file.map_or(Ok(()), |file| file.sync_data());
        if policy.fsync == Fsync::Always {
            self.note_slow("aof-fsync-always", began);
        }
        self.pen.lock().synced(self, written, result);
    }
}

impl Pen {
    /// What stands before the last fresh rotation need not be completed.
    fn drop_superseded(&mut self, shared: &Shared) {
        let fresh = |item: &Item| matches!(item, Item::Rotate { fresh: true, .. });
        let Some(last) = self.pending.iter().rposition(fresh) else { return };
        for item in self.pending.drain(..last) {
            if let Item::Bytes { bytes, .. } = item {
                shared.queue.done(bytes);
            }
        }
    }

    fn work(&mut self, shared: &Shared) {
        while let Some(item) = self.pending.pop_front() {
            match item {
                Item::Bytes { bytes, end } => {
                    if !self.write(shared, bytes, end) {
                        self.take_base_early(shared);
                        return;
                    }
                }
                Item::Rotate { fresh, at } => self.rotate(shared, fresh, at),
                Item::BaseReady => self.take_base(shared),
                Item::Close => {
                    self.sync(shared);
                    self.log.close();
                    self.is_void = true;
                    self.recovered(shared);
                }
            }
        }
    }

    /// Whether it worked; otherwise they are the first to be written again.
    fn write(&mut self, shared: &Shared, bytes: Vec<u8>, end: u64) -> bool {
        let began = Instant::now();
        let result = if self.is_void { Ok(()) } else { self.log.append(&bytes) };
        shared.note_slow("aof-write", began);
        if let Err(error) = result {
            self.in_trouble = true;
            (shared.tell)(Told::Trouble(error.to_string()));
            self.pending.push_front(Item::Bytes { bytes, end });
            return false;
        }
        self.written = end;
        shared.queue.done(bytes);
        self.recovered(shared);
        if self.counts && !self.is_void {
            shared.gate.kernel_reached(end);
        }
        true
    }

    /// A base that is done gives back the space of all that it stands for; bytes in front of it belong
    /// into the file that began with it.
    fn take_base_early(&mut self, shared: &Shared) {
        let is_mark = |item: &Item| !matches!(item, Item::Bytes { .. });
        let mark = self.pending.iter().position(is_mark);
        if let Some(mark) = mark.filter(|&mark| self.pending.get(mark) == Some(&Item::BaseReady)) {
            self.pending.remove(mark);
            self.take_base(shared);
        }
    }

    fn recovered(&mut self, shared: &Shared) {
        if std::mem::take(&mut self.in_trouble) {
            (shared.tell)(Told::Recovered);
        }
    }

    fn rotate(&mut self, shared: &Shared, fresh: bool, at: u64) {
        if !fresh {
            self.sync(shared);
        }
        if self.is_void && !fresh {
            (shared.tell)(Told::RotateFailed("the log is given up".into()));
            return;
        }
        match self.log.rotate(fresh) {
            Ok(()) => {
                self.written = at;
                self.is_void = false;
                self.counts &= !fresh;
                self.recovered(shared);
            }
            Err(error) => {
                self.is_void |= fresh;
                (shared.tell)(Told::RotateFailed(error.to_string()));
            }
        }
    }

    fn take_base(&mut self, shared: &Shared) {
        let result = self.log.take_base().map_err(|error| error.to_string());
        let taken = result.is_ok();
        (shared.tell)(Told::Rewritten(result.map(|()| self.log.bytes())));
        if taken {
            // What was unsure before it is in the base.
            self.counts = true;
            self.sync(shared);
        }
    }

    fn until_sync(&self, fsync: Fsync) -> Option<Duration> {
        let waits = self.written > self.synced && !self.is_void;
        (waits && fsync == Fsync::EverySecond)
            .then(|| SYNC_PERIOD.saturating_sub(self.last_sync.elapsed()).max(LOOK_MIN))
    }

    /// Where the pen must not be put down: files are about to change.
    fn sync(&mut self, shared: &Shared) {
        if self.is_void {
            return;
        }
        self.last_sync = Instant::now();
        let (result, written) = (self.log.sync(), self.written);
        self.synced(shared, written, result);
    }

    fn synced(&mut self, shared: &Shared, position: u64, result: std::io::Result<()>) {
        match result {
            Ok(()) => self.reached(shared, position),
            Err(error) => {
                self.is_void = true;
                (shared.tell)(Told::Poisoned(format!("a sync failed ({error})")));
            }
        }
    }

    fn reached(&mut self, shared: &Shared, position: u64) {
        self.synced = position;
        if !self.counts {
            return;
        }
        shared.gate.disk_reached(position);
        if shared.queue.is_watched() {
            (shared.tell)(Told::Synced);
        }
    }
}
