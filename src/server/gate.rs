//! The reply gate (promise P3): replies that acknowledge writes leave only while the server is
//! vouched for, and with an append-only file only when their bytes are with the kernel, or with
//! `appendfsync always` on the disk. One word for *until when*, one that counts who it serves, two for
//! how far the file is; read by every connection at the moment it flushes, without the engine's lock.
//!
//! Knows no lease, no replica and no file: replication moves the deadline, the log's writer tells
//! how far it is, connections obey.

use crate::session::Passage;
use crate::session::outbox::{Generation, Hold};
use crate::stdx::time::Instant;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::task::Waker;

/// Nobody supervises: the gate is open for good and no clock is read at a flush.
const UNSUPERVISED: u64 = u64::MAX;
/// More connections than can wait in one moment; older wakers of the same task are harmless.
const WAKERS_MAX: usize = 65_536;

/// What must have happened to the log before a write is acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Proof {
    Nothing,
    /// The kernel has the bytes: the end of the process alone loses none of them.
    Written,
    /// The disk has them.
    Synced,
}

#[derive(Debug)]
pub struct Gate {
    /// Vouched until then, in microseconds of the boot clock.
    deadline_us: AtomicU64,
    /// Changes whenever replies produced before must never leave: demotion, fencing.
    generation: AtomicU64,
    /// A [`Proof`].
    needs: AtomicU8,
    /// How much of the log the kernel has.
    written: AtomicU64,
    /// How much of the log is on the disk for certain.
    durable: AtomicU64,
    wakers: Mutex<Vec<Waker>>,
}

impl Default for Gate {
    fn default() -> Self {
        Gate {
            deadline_us: AtomicU64::new(UNSUPERVISED),
            generation: AtomicU64::new(0),
            needs: AtomicU8::new(Proof::Nothing as u8),
            written: AtomicU64::new(0),
            durable: AtomicU64::new(0),
            wakers: Mutex::default(),
        }
    }
}

impl Gate {
    pub fn generation(&self) -> Generation {
        self.generation.load(Ordering::Acquire)
    }

    /// No supervisor: always open.
    pub fn open_for_good(&self) {
        self.deadline_us.store(UNSUPERVISED, Ordering::Release);
        self.wake();
    }

    /// Vouched until `deadline` (which may lie in the past).
    pub fn vouch_until(&self, deadline: Instant) {
        self.deadline_us.store(deadline.as_micros().min(UNSUPERVISED - 1), Ordering::Release);
        self.wake();
    }

    /// What was acknowledged but not yet flushed never leaves. Closed from now on.
    pub fn silence(&self) {
        self.deadline_us.store(0, Ordering::Release);
        self.generation.fetch_add(1, Ordering::AcqRel);
        self.wake();
    }

    pub fn is_supervised(&self) -> bool {
        self.deadline_us.load(Ordering::Acquire) != UNSUPERVISED
    }

    pub fn is_vouched(&self, now: Instant) -> bool {
        let deadline = self.deadline_us.load(Ordering::Acquire);
        deadline == UNSUPERVISED || now.as_micros() < deadline
    }

    /// What acknowledgements wait for from now on.
    pub fn require(&self, proof: Proof) {
        if self.needs.swap(proof as u8, Ordering::AcqRel) != proof as u8 {
            self.wake();
        }
    }

    /// The kernel has the log up to here.
    pub fn kernel_reached(&self, position: u64) {
        self.written.fetch_max(position, Ordering::AcqRel);
        if self.needs.load(Ordering::Acquire) == Proof::Written as u8 {
            self.wake();
        }
    }

    /// The log is on the disk up to here.
    pub fn disk_reached(&self, position: u64) {
        self.durable.fetch_max(position, Ordering::AcqRel);
        self.written.fetch_max(position, Ordering::AcqRel);
        if self.needs.load(Ordering::Acquire) != Proof::Nothing as u8 {
            self.wake();
        }
    }

    /// What the log has yet to do before this may leave.
    fn lacks(&self, hold: Hold) -> Option<Passage> {
        match self.needs.load(Ordering::Acquire) {
            needs if needs == Proof::Synced as u8 => (self.durable() < hold.logged).then_some(Passage::Wait),
            needs if needs == Proof::Written as u8 => {
                (self.written.load(Ordering::Acquire) < hold.logged).then_some(Passage::Unwritten)
            }
            _ => None,
        }
    }

    pub fn durable(&self) -> u64 {
        self.durable.load(Ordering::Acquire)
    }

    /// Asked right before the bytes leave. `now` is read only when there is a supervisor.
    pub fn passage(&self, hold: Hold, now: impl FnOnce() -> Instant) -> Passage {
        // The deadline is read before the generation: `silence` changes them in that order, so
        // no reply of an old generation can see an open deadline of the new one.
        let deadline = self.deadline_us.load(Ordering::Acquire);
        if self.generation.load(Ordering::Acquire) != hold.generation {
            Passage::Never
        } else if let Some(passage) = self.lacks(hold) {
            passage
        } else if deadline == UNSUPERVISED || now().as_micros() < deadline {
            Passage::Open
        } else {
            Passage::Wait
        }
    }

    /// Called once when the gate next changes.
    pub fn register(&self, waker: &Waker) {
        let mut wakers = self.wakers.lock();
        if wakers.len() < WAKERS_MAX {
            wakers.push(waker.clone());
        } else {
            waker.wake_by_ref();
        }
    }

    fn wake(&self) {
        let mut waiting = self.wakers.lock();
        if waiting.is_empty() {
            return;
        }
        let wakers = std::mem::take(&mut *waiting);
        drop(waiting);
        for waker in wakers {
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn produced(generation: Generation) -> Hold {
        Hold { generation, logged: 0 }
    }

    #[test]
    fn replies_wait_for_the_disk_only_where_that_is_asked_for() {
        let gate = Gate::default();
        let passage = |logged| gate.passage(Hold { generation: 0, logged }, || Instant::ZERO);
        assert_eq!(passage(9), Passage::Open);
        gate.require(Proof::Written);
        gate.kernel_reached(8);
        assert_eq!((passage(8), passage(9)), (Passage::Open, Passage::Unwritten));
        gate.require(Proof::Synced);
        assert_eq!(passage(8), Passage::Wait, "the kernel is not the disk");
        gate.disk_reached(8);
        assert_eq!((passage(8), passage(9)), (Passage::Open, Passage::Wait));
        gate.disk_reached(9);
        gate.disk_reached(3);
        assert_eq!(passage(9), Passage::Open, "what is there stays there");
        gate.require(Proof::Written);
        assert_eq!(passage(9), Passage::Open, "what the disk has the kernel had");
        gate.require(Proof::Nothing);
        assert_eq!(passage(10), Passage::Open);
    }

    #[test]
    fn replies_wait_for_the_vouching_and_die_with_their_generation() {
        let gate = Gate::default();
        let at = |ms| move || Instant::from_millis(ms);
        assert_eq!(gate.passage(produced(0), at(1)), Passage::Open, "unsupervised");
        gate.vouch_until(Instant::from_millis(10));
        assert_eq!(gate.passage(produced(0), at(9)), Passage::Open);
        assert_eq!(gate.passage(produced(0), at(10)), Passage::Wait);
        gate.vouch_until(Instant::from_millis(20));
        assert_eq!(gate.passage(produced(0), at(10)), Passage::Open, "vouched again");
        gate.silence();
        assert_eq!(gate.passage(produced(0), at(10)), Passage::Never);
        gate.vouch_until(Instant::from_millis(99));
        assert_eq!(gate.passage(produced(0), at(10)), Passage::Never, "a new reign does not revive it");
        assert_eq!(gate.passage(produced(1), at(10)), Passage::Open);
    }
}
