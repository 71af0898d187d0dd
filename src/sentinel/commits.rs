//! How long agreement takes: from a proposal of this leader until it is applied here.

use crate::model::status::CommitStatus;
use crate::stdx::time::{Duration, Instant};
use std::collections::BTreeMap;

/// Proposals under way that are timed; beyond it some are not.
const WAITING_MAX: usize = 1024;

#[derive(Debug, Default)]
pub(super) struct Commits {
    waiting: BTreeMap<u64, Instant>,
    count: u64,
    total: Duration,
}

impl Commits {
    pub fn proposed(&mut self, index: u64, now: Instant) {
        if self.waiting.len() < WAITING_MAX {
            self.waiting.insert(index, now);
        }
    }

    pub fn applied(&mut self, index: u64, now: Instant) {
        if let Some(at) = self.waiting.remove(&index) {
            self.count += 1;
            self.total += now.since(at);
        }
    }

    /// What was proposed in another term may never be agreed.
    pub fn forget(&mut self) {
        self.waiting.clear();
    }

    pub fn status(&self) -> CommitStatus {
        CommitStatus { count: self.count, total_us: self.total.as_micros() as u64 }
    }
}
