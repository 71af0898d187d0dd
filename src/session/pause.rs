//! CLIENT PAUSE: requests of ordinary clients wait in their connections until the end of a pause,
//! so that a switchover can let the replicas catch up.

use super::{Hub, SessionId};
use crate::stdx::time::Instant;
use bytes::Bytes;
use std::collections::BTreeSet;

#[derive(Debug)]
pub struct Pause {
    pub until: Instant,
    /// Reads go on.
    pub writes_only: bool,
    /// Sessions with a request that waits.
    waiting: BTreeSet<SessionId>,
}

impl Hub {
    /// Begins a pause; one that runs already keeps the later end and the stricter kind.
    pub fn pause(&mut self, until: Instant, writes_only: bool) {
        let pause = self.pause.get_or_insert_with(|| Pause { until, writes_only, waiting: BTreeSet::new() });
        pause.until = pause.until.max(until);
        pause.writes_only &= writes_only;
    }

    /// Whether a request that writes (or not) has to wait.
    pub fn is_paused(&self, now: Instant, writes: bool) -> bool {
        self.pause.as_ref().is_some_and(|pause| now < pause.until && (writes || !pause.writes_only))
    }

    /// This session's next request is to be tried again when the pause ends.
    pub fn wait_for_end_of_pause(&mut self, id: SessionId) {
        if let Some(pause) = &mut self.pause {
            pause.waiting.insert(id);
        }
    }

    /// Whether a request of this session waits for the end of the pause.
    pub fn waits_for_end_of_pause(&self, id: SessionId) -> bool {
        self.pause.as_ref().is_some_and(|pause| pause.waiting.contains(&id))
    }

    /// Ends the pause when it is over, or at once.
    pub fn end_pause(&mut self, now: Option<Instant>) {
        let over = self.pause.as_ref().is_some_and(|pause| now.is_none_or(|now| now >= pause.until));
        if !over {
            return;
        }
        self.announce_end();
        let waiting = self.pause.take().map(|pause| pause.waiting).unwrap_or_default();
        for id in waiting {
            if let Some(session) = self.session(id) {
                session.outbox.resume(Bytes::new(), None);
            }
        }
    }
}
