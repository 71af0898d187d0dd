//! SIMULATE-FAILURE: the leader's process ends at the moment that an operator wants to see survived. The
//! decision is agreed by then, so the others know of it; this node's next words are never said.

use super::Action;
use super::api::debug::{CRASH_AFTER_ELECTION, CRASH_AFTER_PROMOTION};
use super::node::Sentinel;
use crate::consensus::Role;
use crate::model::event::EventKind;

/// The exit status of Redis Sentinel in this case.
const STATUS: i32 = 99;

impl Sentinel {
    /// What this process is to crash after; zero: nothing. Forgotten when it ends.
    pub fn simulate_failure(&mut self, flags: u8) {
        self.simulated_failures = flags;
    }

    pub fn simulated_failures(&self) -> u8 {
        self.simulated_failures
    }

    pub(super) fn crash_after(&self, kind: EventKind) -> Option<Action> {
        let (flag, why) = match kind {
            EventKind::ElectedLeader => (CRASH_AFTER_ELECTION, "crash-after-election"),
            EventKind::PromotedReplica => (CRASH_AFTER_PROMOTION, "crash-after-promotion"),
            _ => return None,
        };
        let leads = self.consensus.role() == Role::Leader;
        (leads && self.simulated_failures & flag != 0).then_some(Action::Exit { status: STATUS, why })
    }
}
