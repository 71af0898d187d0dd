//! A sentinel that cannot write its log must not vote again, so it ends; before that it says so to the
//! others, and whoever leads them tells the fleet. It has no other way: what it would tell itself would
//! have to be written first. Best effort: a disk that hangs says nothing, and then `PEERS` shows a peer
//! that is gone. Has never heard of files.

use super::decision::Decision;
use super::ledger::MemberDecision;
use super::members::PeerCommand;
use super::node::Sentinel;
use super::{Action, PeerMessage};
use crate::model::NodeId;
use crate::model::event::{Event, EventKind};
use crate::stdx::time::{Duration, Now};

/// Longer than the election that follows when it was the leader.
const HEARD_FOR: Duration = Duration::from_secs(10);

impl Sentinel {
    /// To be sent when the log could not be written; nothing may be sent after it.
    pub fn last_words(&self) -> Vec<(NodeId, PeerMessage)> {
        let argv = super::Command::Peer(PeerCommand::Failing { id: self.config.id }).words();
        // Nobody waits for the answer: no request has the number 0.
        let message = |id: &NodeId| (*id, PeerMessage::Forward { id: 0, argv: argv.clone() });
        self.peers.keys().map(message).collect()
    }

    pub(super) fn take_last_words(&mut self, now: Now, of: NodeId, actions: &mut Vec<Action>) {
        self.care.failing.insert(of, now.mono);
        self.tell_last_words(now, actions);
    }

    /// The leader tells them; everybody else keeps them for a while, for there may be no leader yet.
    pub(super) fn tell_last_words(&mut self, now: Now, actions: &mut Vec<Action>) {
        if self.care.failing.is_empty() {
            return;
        }
        self.care.failing.retain(|_, at| now.mono.since(*at) < HEARD_FOR);
        if !self.in_office() {
            return;
        }
        let told: Vec<NodeId> = self.care.failing.keys().copied().collect();
        let decision = |id: &NodeId| Decision::Member(MemberDecision::Failing { id: *id });
        let decisions: Vec<Decision> = told.iter().map(decision).collect();
        if !decisions.is_empty() && self.propose(now, decisions, actions).is_ok() {
            self.care.failing.clear();
        }
    }

    /// What the fleet knows is not told again by the next leader.
    pub(super) fn heard_last_words(&mut self, event: &Event) {
        if event.kind == EventKind::SentinelDisk {
            let of = event.payload.split(' ').next().and_then(|id| id.parse::<NodeId>().ok());
            self.care.failing.retain(|id, _| Some(*id) != of);
        }
    }
}
