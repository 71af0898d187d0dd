//! Looking after one group: what every sentinel judges, and what a leader does about it.

use super::Action;
use super::node::{Sentinel, Timer};
use super::request::Request;
use crate::model::Address;
use crate::resp::Reply;
use crate::stdx::time::{Duration, Instant, Now};

/// What this sentinel keeps in memory about one group.
#[derive(Debug)]
pub(super) struct Supervision {
    /// Something is wrong or under way: look often.
    pub urgent: bool,
    /// Worth telling the leader about.
    pub uneasy: bool,
}

impl Supervision {
    pub fn new(_now: Instant) -> Self {
        Supervision { urgent: false, uneasy: false }
    }

    pub fn applied(&mut self, _index: u64) {}

    pub fn new_term(&mut self, _now: Instant, _lease: Duration) {}

    pub fn answered(
        &mut self,
        _now: Instant,
        _address: &Address,
        _request: &Request,
        _asked_at: Instant,
        _reply: &Reply,
    ) {
    }
}

impl Sentinel {
    pub(super) fn look_after(&mut self, now: Now, name: &str, _actions: &mut Vec<Action>) {
        self.schedule.set(&Timer::Group(name.to_owned()), now.mono + Duration::from_millis(100));
    }
}
