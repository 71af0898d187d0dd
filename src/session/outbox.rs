//! Bytes for a session that come from elsewhere: messages of other sessions, the reply of a
//! request that was blocked, the replication stream. Any thread pushes, the connection drains.
//!
//! Promises: bounded (who falls behind is cut off, never waited for); what is pushed comes out in
//! order; nothing is lost between a push and a wait.

use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};

/// Copied at a time: some tens of microseconds.
const DRAIN_BYTES: usize = 256 * 1024;
/// Room for pieces that a queue keeps when it is empty.
const QUEUE_KEPT: usize = 16;

/// Which replies wait at the gate: those produced under this generation (see `server::gate`).
pub type Generation = u64;

/// What a reply that acknowledges a write waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hold {
    pub generation: Generation,
    /// How far the log must be on the disk, where that is asked for.
    pub logged: u64,
}

impl Hold {
    /// Both: they leave together, under the older generation and with the later byte.
    pub fn join(one: Option<Hold>, other: Option<Hold>) -> Option<Hold> {
        match (one, other) {
            (Some(one), Some(other)) => {
                Some(Hold { generation: one.generation, logged: one.logged.max(other.logged) })
            }
            (one, other) => one.or(other),
        }
    }
}

#[derive(Default)]
pub struct Outbox {
    /// Something is inside: lets the hot path look without taking the lock.
    pending: AtomicBool,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    queue: VecDeque<Bytes>,
    bytes: usize,
    /// What the gated bytes in the queue wait for.
    gated: Option<Hold>,
    resumed: bool,
    closed: Option<Close>,
    waker: Option<Waker>,
}

/// How the connection is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Close {
    /// Write what is in the queue first.
    AfterFlush,
    /// At once: the peer does not read, or must not see what is waiting.
    Now,
}

/// What a drain found besides bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drained {
    pub gated: Option<Hold>,
    /// The session's blocked request is over (or its pause): it goes on with its next request.
    pub resumed: bool,
    pub close: Option<Close>,
}

impl Outbox {
    /// Appends bytes; closes the session when more than `bytes_max` would wait.
    pub fn push(&self, bytes: Bytes, bytes_max: usize) {
        self.change(|inner| {
            if inner.bytes + bytes.len() > bytes_max {
                inner.overrun();
            } else {
                inner.append(bytes);
            }
        });
    }

    /// The late reply of a blocked request, gated if it acknowledges a write; the session goes on.
    pub fn resume(&self, reply: Bytes, gated: Option<Hold>) {
        self.change(|inner| {
            inner.append(reply);
            inner.gated = Hold::join(inner.gated, gated);
            inner.resumed = true;
        });
    }

    pub fn close(&self, how: Close) {
        self.change(|inner| match how {
            Close::Now => inner.overrun(),
            Close::AfterFlush => inner.closed = inner.closed.or(Some(how)),
        });
    }

    pub fn has_pending(&self) -> bool {
        self.pending.load(Ordering::Acquire)
    }

    /// Bytes that wait.
    pub fn len(&self) -> usize {
        self.inner.lock().bytes
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Moves what waits to the end of `out`, up to about [`DRAIN_BYTES`]: who pushes meanwhile waits for the
    /// copy, with the engine in its hand. The rest is still pending.
    pub fn drain(&self, out: &mut Vec<u8>) -> Drained {
        if !self.has_pending() {
            return Drained::default();
        }
        let mut inner = self.inner.lock();
        let begin = out.len();
        while out.len() - begin < DRAIN_BYTES
            && let Some(bytes) = inner.queue.pop_front()
        {
            out.extend_from_slice(&bytes);
        }
        inner.bytes -= out.len() - begin;
        if !inner.queue.is_empty() {
            // What is said of the queue is said of its end, but for the hold, which must not come late.
            let close = inner.closed.filter(|how| *how == Close::Now);
            return Drained { gated: inner.gated, resumed: false, close };
        }
        self.pending.store(false, Ordering::Release);
        inner.queue.shrink_to(QUEUE_KEPT);
        Drained {
            gated: inner.gated.take(),
            resumed: std::mem::take(&mut inner.resumed),
            close: inner.closed,
        }
    }

    /// Takes what waits, as [`Outbox::drain`] does; one piece is handed on as it is, without a copy.
    pub fn take(&self) -> (Bytes, Drained) {
        let whole = {
            let mut inner = self.inner.lock();
            let whole = if inner.queue.len() == 1 { inner.queue.pop_front() } else { None };
            inner.bytes -= whole.as_ref().map_or(0, Bytes::len);
            whole
        };
        let mut rest = Vec::new();
        let drained = self.drain(&mut rest);
        match whole {
            None => (rest.into(), drained),
            Some(whole) if rest.is_empty() => (whole, drained),
            // Somebody pushed in between.
            Some(whole) => ([&whole[..], &rest].concat().into(), drained),
        }
    }

    /// Ready as soon as something is inside.
    pub fn poll_pending(&self, context: &mut Context<'_>) -> Poll<()> {
        if self.has_pending() {
            return Poll::Ready(());
        }
        let mut inner = self.inner.lock();
        if self.has_pending() {
            return Poll::Ready(());
        }
        if !inner.waker.as_ref().is_some_and(|waker| waker.will_wake(context.waker())) {
            inner.waker = Some(context.waker().clone());
        }
        Poll::Pending
    }

    /// Ready when the session must end without another byte, for a connection that cannot write now.
    pub fn poll_closed(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut inner = self.inner.lock();
        if inner.closed == Some(Close::Now) {
            return Poll::Ready(());
        }
        inner.waker = Some(context.waker().clone());
        Poll::Pending
    }

    /// Whether the session must end without another byte.
    pub fn is_closed_now(&self) -> bool {
        self.has_pending() && self.inner.lock().closed == Some(Close::Now)
    }

    fn change(&self, edit: impl FnOnce(&mut Inner)) {
        let waker = {
            let mut inner = self.inner.lock();
            edit(&mut inner);
            self.pending.store(true, Ordering::Release);
            inner.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Inner {
    fn append(&mut self, bytes: Bytes) {
        if self.closed != Some(Close::Now) && !bytes.is_empty() {
            self.bytes += bytes.len();
            self.queue.push_back(bytes);
        }
    }

    /// Ends it and frees what waits.
    fn overrun(&mut self) {
        self.closed = Some(Close::Now);
        self.queue = VecDeque::new();
        self.bytes = 0;
    }
}

impl std::fmt::Debug for Outbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Outbox({} bytes)", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_order_and_reports_a_resume_once() {
        let (outbox, mut out) = (Outbox::default(), Vec::new());
        outbox.push(Bytes::from_static(b"a"), 10);
        let hold = Hold { generation: 7, logged: 3 };
        outbox.resume(Bytes::from_static(b"b"), Some(hold));
        let drained = outbox.drain(&mut out);
        assert_eq!((out.as_slice(), drained.gated, drained.resumed), (&b"ab"[..], Some(hold), true));
        assert_eq!(outbox.take(), (Bytes::new(), Drained::default()));
        outbox.push(Bytes::from_static(b"one"), 10);
        assert_eq!(outbox.take().0, b"one".as_slice());
        outbox.push(Bytes::from_static(b"c"), 10);
        outbox.push(Bytes::from_static(b"d"), 10);
        assert_eq!((outbox.take().0, outbox.len()), (Bytes::from_static(b"cd"), 0));
        assert_eq!(outbox.drain(&mut out), Drained::default());
    }

    /// Found with a gigabyte under load: what a replica's sync had held back was copied in one go, some 60 MB,
    /// and the engine waited 300 ms to add to it.
    #[test]
    fn much_is_taken_in_turns_and_ends_with_what_is_said_of_it() {
        let outbox = Outbox::default();
        let piece = Bytes::from(vec![7; DRAIN_BYTES - 1]);
        (0..3).for_each(|_| outbox.push(piece.clone(), usize::MAX));
        let hold = Hold { generation: 7, logged: 3 };
        outbox.resume(Bytes::from_static(b"end"), Some(hold));
        outbox.close(Close::AfterFlush);
        let mut out = Vec::new();
        let first = outbox.drain(&mut out);
        assert_eq!((first.gated, first.resumed, first.close), (Some(hold), false, None));
        assert_eq!(out.len(), 2 * piece.len());
        assert!(outbox.has_pending() && outbox.len() == piece.len() + 3);
        let last = outbox.drain(&mut out);
        assert_eq!((last.gated, last.resumed, last.close), (Some(hold), true, Some(Close::AfterFlush)));
        assert!(out.ends_with(b"end") && out.len() == 3 * piece.len() + 3 && !outbox.has_pending());
    }

    #[test]
    fn one_that_does_not_read_is_cut_off_and_its_bytes_are_freed() {
        let outbox = Outbox::default();
        outbox.push(Bytes::from_static(b"12345678"), 10);
        outbox.push(Bytes::from_static(b"123"), 10);
        assert!(outbox.is_closed_now());
        assert_eq!(outbox.len(), 0);
        outbox.push(Bytes::from_static(b"x"), 10);
        assert_eq!(outbox.len(), 0);
    }
}
