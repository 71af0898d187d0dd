//! What waits for the log's writer, in order: bytes, and marks between them. The engine pushes at the
//! end of a turn, one writer takes all there is.
//!
//! Promise: nothing is lost between a push and a wait. It does not bound itself: the engine refuses
//! writes by [`Queue::waiting_bytes`]. Has never heard of files or threads.

use crate::config::server::aof::Fsync;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Waker;

/// Room that grew beyond this is given back.
const SPARE_BYTES_MAX: usize = 256 << 10;
/// Bytes pushed within a moment become one item up to this size.
const ITEM_BYTES_MAX: usize = 1 << 20;

#[derive(Debug, PartialEq, Eq)]
pub enum Item {
    /// `end`: how much of the log there is with these.
    Bytes { bytes: Vec<u8>, end: u64 },
    /// What follows goes into a new file. `fresh`: what was written until now is void as soon as the
    /// base that begins here is done, and is not worth completing.
    Rotate { fresh: bool, at: u64 },
    /// The base that began with the last rotation is on the disk: it takes the place of what was before.
    BaseReady,
    /// Nothing follows until a fresh rotation.
    Close,
}

#[derive(Debug, Default)]
struct Inner {
    items: VecDeque<Item>,
    end: u64,
    closing: bool,
    /// Bytes call the writer; otherwise whoever is about to answer writes them.
    eager: bool,
    /// Room that was used before.
    spare: Vec<u8>,
    waker: Option<Waker>,
}

/// How the writer is to sync.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    pub fsync: Fsync,
    /// A snapshot is written, and syncing waits for its end.
    pub paused: bool,
    /// Files that a base took the place of stay.
    pub keeps_history: bool,
    /// What takes the disk this long is told; 0: nothing is.
    pub slow_ms: u64,
}

#[derive(Debug)]
pub struct Queue {
    inner: Mutex<Inner>,
    policy: Mutex<Policy>,
    waiting: AtomicU64,
    files: AtomicU64,
    /// Somebody waits to be told of syncs.
    watched: AtomicBool,
}

impl Default for Queue {
    fn default() -> Self {
        Queue {
            inner: Mutex::default(),
            policy: Mutex::new(Policy {
                fsync: Fsync::EverySecond,
                paused: false,
                // Until it is told: what is deleted does not come back.
                keeps_history: true,
                slow_ms: 0,
            }),
            waiting: AtomicU64::new(0),
            files: AtomicU64::new(0),
            watched: AtomicBool::new(false),
        }
    }
}

impl Queue {
    /// Appends bytes of the log.
    pub fn push(&self, bytes: &[u8]) {
        self.waiting.fetch_add(bytes.len() as u64, Ordering::AcqRel);
        let eager = |inner: &Inner| inner.eager;
        self.change_and_call_if(eager, |inner| {
            inner.end += bytes.len() as u64;
            let position = inner.end;
            match inner.items.back_mut() {
                Some(Item::Bytes { bytes: tail, end }) if tail.len() + bytes.len() <= ITEM_BYTES_MAX => {
                    tail.extend_from_slice(bytes);
                    *end = position;
                }
                _ => {
                    let mut room = std::mem::take(&mut inner.spare);
                    room.extend_from_slice(bytes);
                    inner.items.push_back(Item::Bytes { bytes: room, end: position });
                }
            }
        });
    }

    pub fn rotate(&self, fresh: bool) {
        self.change(|inner| inner.items.push_back(Item::Rotate { fresh, at: inner.end }));
    }

    pub fn base_ready(&self) {
        self.change(|inner| inner.items.push_back(Item::BaseReady));
    }

    pub fn close(&self) {
        self.change(|inner| inner.items.push_back(Item::Close));
    }

    /// The process ends: the writer writes what is here, syncs it and ends.
    pub fn finish(&self) {
        self.change(|inner| inner.closing = true);
    }

    /// All that waits, and whether nothing follows. When there is nothing, `waker` is called once with
    /// the next mark, or with the next bytes if they call.
    pub fn take(&self, waker: &Waker) -> (VecDeque<Item>, bool) {
        let mut inner = self.inner.lock();
        if inner.items.is_empty() && !inner.closing {
            inner.waker = Some(waker.clone());
        }
        (std::mem::take(&mut inner.items), inner.closing)
    }

    /// What waits in front, if that is bytes.
    pub fn take_bytes(&self) -> Option<Item> {
        let mut inner = self.inner.lock();
        match inner.items.front() {
            Some(Item::Bytes { .. }) => inner.items.pop_front(),
            _ => None,
        }
    }

    /// Calls the writer, if it waits.
    pub fn call(&self) {
        self.change(|_| {});
    }

    /// These bytes are done with.
    pub fn done(&self, mut bytes: Vec<u8>) {
        self.waiting.fetch_sub(bytes.len() as u64, Ordering::AcqRel);
        if bytes.capacity() <= SPARE_BYTES_MAX {
            bytes.clear();
            let mut inner = self.inner.lock();
            if inner.spare.capacity() == 0 {
                inner.spare = bytes;
            }
        }
    }

    pub fn waiting_bytes(&self) -> u64 {
        self.waiting.load(Ordering::Acquire)
    }

    /// How large the log's files are together, as the writer tells.
    pub fn set_files_bytes(&self, bytes: u64) {
        self.files.store(bytes, Ordering::Release);
    }

    pub fn files_bytes(&self) -> u64 {
        self.files.load(Ordering::Acquire)
    }

    pub fn policy(&self) -> Policy {
        *self.policy.lock()
    }

    pub fn set_policy(&self, policy: Policy) {
        if std::mem::replace(&mut *self.policy.lock(), policy) != policy {
            // The writer looks at once: acknowledgements may wait by the new rule.
            self.change(|inner| inner.eager = policy.fsync == Fsync::Always);
        }
    }

    pub fn watch(&self, watched: bool) {
        self.watched.store(watched, Ordering::Release);
    }

    pub fn is_watched(&self) -> bool {
        self.watched.load(Ordering::Acquire)
    }

    fn change(&self, edit: impl FnOnce(&mut Inner)) {
        self.change_and_call_if(|_| true, edit);
    }

    fn change_and_call_if(&self, calls: impl FnOnce(&Inner) -> bool, edit: impl FnOnce(&mut Inner)) {
        let waker = {
            let mut inner = self.inner.lock();
            edit(&mut inner);
            if calls(&inner) { inner.waker.take() } else { None }
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_joined_but_never_across_a_mark() {
        let queue = Queue::default();
        queue.push(b"ab");
        queue.push(b"c");
        queue.rotate(false);
        queue.push(b"d");
        assert_eq!(queue.waiting_bytes(), 4);
        let (items, closing) = queue.take(Waker::noop());
        let bytes = |text: &[u8], end| Item::Bytes { bytes: text.to_vec(), end };
        assert_eq!(items, [bytes(b"abc", 3), Item::Rotate { fresh: false, at: 3 }, bytes(b"d", 4)]);
        assert!(!closing && queue.take(Waker::noop()).0.is_empty());
        queue.done(b"abc".to_vec());
        queue.done(b"d".to_vec());
        assert_eq!(queue.waiting_bytes(), 0);
        queue.push(b"e");
        queue.close();
        assert_eq!(queue.take_bytes(), Some(bytes(b"e", 5)));
        assert_eq!(queue.take_bytes(), None, "a mark is the writer's");
    }
}
