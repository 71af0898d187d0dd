//! The reply gate (promise P3): replies that acknowledge writes leave only while the server is
//! vouched for. One word for *until when*, one that counts who it serves; read by every connection
//! at the moment it flushes, without the engine's lock.
//!
//! Knows no lease and no replica: replication moves the deadline, connections obey it.

use crate::session::Passage;
use crate::session::outbox::Generation;
use crate::stdx::time::Instant;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Waker;

/// Nobody supervises: the gate is open for good and no clock is read at a flush.
const UNSUPERVISED: u64 = u64::MAX;
/// More connections than can wait in one moment; older wakers of the same task are harmless.
const WAKERS_MAX: usize = 65_536;

#[derive(Debug)]
pub struct Gate {
    /// Vouched until then, in microseconds of the boot clock.
    deadline_us: AtomicU64,
    /// Changes whenever replies produced before must never leave: demotion, fencing.
    generation: AtomicU64,
    wakers: Mutex<Vec<Waker>>,
}

impl Default for Gate {
    fn default() -> Self {
        Gate {
            deadline_us: AtomicU64::new(UNSUPERVISED),
            generation: AtomicU64::new(0),
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

    /// Asked right before the bytes leave. `now` is read only when there is a supervisor.
    pub fn passage(&self, produced: Generation, now: impl FnOnce() -> Instant) -> Passage {
        // The deadline is read before the generation: `silence` changes them in that order, so
        // no reply of an old generation can see an open deadline of the new one.
        let deadline = self.deadline_us.load(Ordering::Acquire);
        if self.generation.load(Ordering::Acquire) != produced {
            Passage::Never
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
        let wakers = std::mem::take(&mut *self.wakers.lock());
        for waker in wakers {
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_wait_for_the_vouching_and_die_with_their_generation() {
        let gate = Gate::default();
        let at = |ms| move || Instant::from_millis(ms);
        assert_eq!(gate.passage(0, at(1)), Passage::Open, "unsupervised");
        gate.vouch_until(Instant::from_millis(10));
        assert_eq!(gate.passage(0, at(9)), Passage::Open);
        assert_eq!(gate.passage(0, at(10)), Passage::Wait);
        gate.vouch_until(Instant::from_millis(20));
        assert_eq!(gate.passage(0, at(10)), Passage::Open, "vouched again");
        gate.silence();
        assert_eq!(gate.passage(0, at(10)), Passage::Never);
        gate.vouch_until(Instant::from_millis(99));
        assert_eq!(gate.passage(0, at(10)), Passage::Never, "a new reign does not revive it");
        assert_eq!(gate.passage(1, at(10)), Passage::Open);
    }
}
