//! What would happen if a group's master were lost now, as one sentinel sees it.

use crate::model::{Address, Epoch, NodeId, Offset};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Explanation {
    pub group: String,
    /// Who answers.
    pub node: NodeId,
    /// Whose view this is: the leader's, by which a failover would be decided, or a follower's own.
    pub view: String,
    pub leader: Option<NodeId>,
    /// In touch with the majority.
    pub fresh: bool,
    pub epoch: Epoch,
    pub mode: String,
    pub situation: String,
    pub master: String,
    /// Who would be promoted; `None`: nobody.
    pub successor: Option<Address>,
    /// Preferred, but behind: the master would be handed to it once it caught up.
    pub handover_to: Option<Address>,
    /// Of the promotion rule.
    pub rule: String,
    /// Replicas in the sync set, how many must acknowledge for WAIT's promise, how many of them can
    /// be reached, and how many are needed.
    pub in_sync: usize,
    pub sync_quorum: usize,
    pub reachable_in_sync: usize,
    pub needed_in_sync: usize,
    /// What the master had when it was last seen and the successor has not. `None`: unknown.
    pub loss_bytes: Option<u64>,
    pub loss_seconds: Option<f64>,
    /// From the loss of the master to the new one being published: after a crash that is refused,
    /// and after silence.
    pub estimated_ms: Option<u64>,
    pub estimated_silent_ms: Option<u64>,
    /// Whatever would keep an automatic failover from being done now.
    pub blockers: Vec<Blocker>,
    pub candidates: Vec<CandidateExplanation>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blocker {
    /// `pause`, `anti-flap`, `blast-radius`, `majority`, `quorum`, `promotion-rule`, `successor`,
    /// `max-loss`, `failing-over`.
    pub what: String,
    pub reason: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CandidateExplanation {
    pub address: Address,
    pub chosen: bool,
    /// Could be promoted, were it the best.
    pub eligible: bool,
    /// Of the agreed history.
    pub offset: Option<Offset>,
    pub behind_bytes: Option<u64>,
    pub priority: Option<i64>,
    pub zone: Option<String>,
    pub in_sync_set: bool,
    /// Why it is chosen, or each reason why it is not.
    pub reasons: Vec<String>,
}
