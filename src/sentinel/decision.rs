//! What the fleet agrees on: the closed list of log entries, and their bounded codec.
//!
//! A decision says what is to be, never how it came about; applying one cannot fail and needs no
//! clock. Where its precondition no longer holds (another leader was quicker) it changes nothing, on
//! every node alike. Has never heard of probes.

use crate::model::event::EventKind;
use crate::model::incident::{Copy, Evidence};
use crate::model::webhook::DeadLetter;
use crate::model::{Address, Epoch, NodeId, Offset, ReplId, RunId};
use crate::sentinel::drill::DrillDecision;
use crate::sentinel::ledger::Managed;
use crate::sentinel::ledger::MemberDecision;
use crate::sentinel::policy::PolicyDecision;
use crate::sentinel::settings::Settings;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One log entry: decisions that are agreed together or not at all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The proposing leader's wall clock; what people read, nothing decides by it.
    pub at_ms: u64,
    /// Who proposed it; for people.
    pub by: NodeId,
    pub decisions: Vec<Decision>,
}

/// Why a failover began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// No valid answer for down-after, by a quorum, and no replica heard from it either.
    Silent,
    /// Connections refused at a quorum and replicas lost it too.
    Crashed,
    /// Another process, or one without a role, answers at its address.
    Restarted,
    /// It says that it is a replica.
    WrongRole,
    /// An operator asked.
    Manual,
    /// An operator asked, and takes the loss of what cannot be proven.
    Forced,
}

impl Cause {
    pub fn name(self) -> &'static str {
        match self {
            Cause::Silent => "silent",
            Cause::Crashed => "crashed",
            Cause::Restarted => "restarted",
            Cause::WrongRole => "wrong-role",
            Cause::Manual => "manual",
            Cause::Forced => "forced",
        }
    }

    /// The old master may be asked to hand over what it has.
    pub fn planned(self) -> bool {
        matches!(self, Cause::Manual | Cause::Forced)
    }
}

/// Why a failover was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AbortKind {
    NoGoodReplica,
    ReplicaTimeout,
    MasterBack,
    /// A planned switchover was undone before anybody was told to be master.
    RolledBack,
    /// The pre-failover hook said no.
    Vetoed,
    /// A replica that may be master took over what only one had that may not: it begins anew.
    CaughtUp,
}

impl AbortKind {
    pub fn event(self) -> EventKind {
        match self {
            AbortKind::NoGoodReplica => EventKind::AbortNoGoodReplica,
            AbortKind::ReplicaTimeout => EventKind::AbortReplicaTimeout,
            AbortKind::MasterBack => EventKind::AbortMasterBack,
            AbortKind::RolledBack => EventKind::RolledBack,
            AbortKind::Vetoed => EventKind::AbortVetoed,
            AbortKind::CaughtUp => EventKind::AbortCaughtUp,
        }
    }
}

/// How far a replica is on its way to the new master.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    Sent,
    InProgress,
    Done,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decision {
    /// A leader takes up its office: names the cluster if it has no name, and binds its id.
    Lead {
        node: NodeId,
        uuid: String,
        run_id: String,
        cluster_id: String,
    },
    /// A voter is known by this uuid and runs this life.
    Sentinel {
        node: NodeId,
        uuid: String,
        run_id: String,
        address: Address,
    },
    /// About the fleet itself.
    Member(MemberDecision),
    Monitor {
        group: String,
        address: Address,
        settings: Settings,
        configured: bool,
    },
    Set {
        group: String,
        options: Vec<(String, String)>,
    },
    Remove {
        group: String,
    },
    /// Forgets these replicas; those that live are found again.
    Reset {
        group: String,
        forget: Vec<Address>,
    },
    AddReplica {
        group: String,
        address: Address,
    },
    /// Whether a replica that is down is on no master's list either: its time begins, or ends.
    Gone {
        group: String,
        replica: Address,
        gone: bool,
    },
    /// Forgets a replica that is gone since then, if it still is.
    Forget {
        group: String,
        replica: Address,
        since_ms: u64,
    },
    /// The master as it is now: which process, which history, which kind.
    Identity {
        group: String,
        epoch: Epoch,
        run_id: RunId,
        history: ReplId,
        bundled: bool,
    },
    /// A sentinel's epochs must pass what a server of an older fleet shows.
    EpochFloor {
        group: String,
        above: Epoch,
    },
    /// Health of an instance as agreed: changes nothing but what people see.
    Flag {
        group: String,
        instance: Address,
        kind: EventKind,
        text: String,
    },
    /// The replicas that count for WAIT and promotion from now on, each with its process.
    SyncSet {
        group: String,
        epoch: Epoch,
        version: u64,
        quorum: usize,
        members: BTreeMap<Address, RunId>,
    },
    /// Whatever was acknowledged under older versions is held by enough members of this one.
    SyncSetSettled {
        group: String,
        version: u64,
    },
    Begin {
        group: String,
        after: Epoch,
        cause: Cause,
        target: Option<Address>,
        /// How long a planned one may hold writes back; 0: the default.
        #[serde(default)]
        timeout_ms: u64,
    },
    /// A stock server's `min-replicas-to-write` is ours to set, to this; `full`: as many as vouch.
    Manage {
        group: String,
        instance: Address,
        managed: Managed,
        full: bool,
    },
    /// It has its operator's own value again, or is gone.
    Unmanage {
        group: String,
        instance: Address,
    },
    /// A switchover is to begin at this time (milliseconds since 1970); takes the place of an earlier one.
    Schedule {
        group: String,
        at_ms: u64,
        target: Option<Address>,
        timeout_ms: u64,
    },
    /// The switchover of that time is off the list: cancelled or begun, or refused with the reason.
    Unschedule {
        group: String,
        at_ms: u64,
        refused: Option<String>,
    },
    /// The only one that may be told to be master in this epoch of a planned switchover.
    StandBy {
        group: String,
        epoch: Epoch,
        successor: Address,
        run_id: RunId,
    },
    /// No promotion is possible now; tells, and changes nothing.
    Refused {
        group: String,
        reason: String,
    },
    Abort {
        group: String,
        epoch: Epoch,
        kind: AbortKind,
        reason: String,
        /// No server heard of this epoch: the master's reign goes on.
        #[serde(default)]
        untouched: bool,
    },
    Promote {
        group: String,
        epoch: Epoch,
        successor: Address,
        /// The process that was frozen: another one at this address may have forgotten what it held.
        run_id: RunId,
        offset: Offset,
        /// Frozen replicas that hold exactly as much.
        equals: BTreeMap<Address, RunId>,
        /// What each frozen replica had, for people.
        offsets: Vec<(Address, Offset)>,
        /// Set when the promotion rule was not met: why.
        risk: Option<String>,
    },
    Switch {
        group: String,
        epoch: Epoch,
        run_id: RunId,
        history: ReplId,
        bundled: bool,
    },
    Repoint {
        group: String,
        epoch: Epoch,
        stages: Vec<(Address, Stage)>,
    },
    End {
        group: String,
        epoch: Epoch,
        timeout: bool,
    },
    /// A restarted master keeps its role, at a new epoch.
    Reconfirm {
        group: String,
        epoch: Epoch,
        run_id: RunId,
        reason: String,
    },
    /// What the leader saw when it began; for the incident record, nothing is decided by it.
    Evidence {
        group: String,
        evidence: Box<Evidence>,
    },
    /// What stood still, and since when, as far as this failover got; for the incident record.
    Copies {
        group: String,
        epoch: Epoch,
        /// The old master's, when it was asked to stop and did.
        master: Option<Copy>,
        replicas: Vec<Copy>,
    },
    /// The old master of that failover answers again, with this much that nobody else has.
    Returned {
        group: String,
        epoch: Epoch,
        instance: Address,
        offset: Offset,
        /// `None`: its history cannot be compared any more.
        divergent_bytes: Option<u64>,
        /// What it says that it saved.
        saved_as: Option<String>,
    },
    /// Settings of the fleet as a whole.
    Configure {
        options: Vec<(String, String)>,
    },
    /// Settings of one sentinel, and where it is found from now on.
    Own {
        node: NodeId,
        options: Vec<(String, String)>,
        address: Option<Address>,
    },
    /// Every script and hook up to this event has been run; what is to be told of those that failed.
    Errands {
        up_to: u64,
        told: Vec<(EventKind, String)>,
    },
    /// Maintenance and holds.
    Policy(PolicyDecision),
    Webhooks {
        cursors: BTreeMap<String, u64>,
        dropped: BTreeMap<String, u64>,
        /// Events given up, for an operator.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        dead: BTreeMap<String, Vec<DeadLetter>>,
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        replayed: BTreeMap<String, Vec<u64>>,
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        disabled: BTreeMap<String, String>,
    },
    /// What an operator wants of a webhook.
    Webhook {
        name: String,
        wish: WebhookWish,
    },
    /// Failover drills: their lease and what they found.
    Drill(DrillDecision),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WebhookWish {
    /// Tell it something, to see that it hears.
    Test,
    /// Send what was given up again, and from this event on also what was delivered.
    Replay { from: Option<u64> },
    /// Forget that the receiver wanted no more.
    Enable,
}

/// The longest entry; a proposal above it is refused before it is made.
pub const ENTRY_BYTES_MAX: usize = crate::consensus::MAX_PROPOSAL;
const VERSION: u8 = 1;

impl Decision {
    /// Whoever delivers a webhook must hear of it.
    pub fn changes_webhooks(&self) -> bool {
        match self {
            Decision::Webhook { .. } => true,
            Decision::Webhooks { replayed, .. } => !replayed.is_empty(),
            _ => false,
        }
    }

    /// The group it concerns, if it concerns one.
    pub fn group(&self) -> Option<&str> {
        match self {
            Decision::Policy(decision) => decision.group(),
            Decision::Lead { .. }
            | Decision::Sentinel { .. }
            | Decision::Configure { .. }
            | Decision::Own { .. }
            | Decision::Member(_)
            | Decision::Errands { .. }
            | Decision::Webhooks { .. }
            | Decision::Webhook { .. }
            | Decision::Drill(_) => None,
            Decision::Monitor { group, .. }
            | Decision::Set { group, .. }
            | Decision::Remove { group }
            | Decision::Reset { group, .. }
            | Decision::AddReplica { group, .. }
            | Decision::Gone { group, .. }
            | Decision::Forget { group, .. }
            | Decision::Identity { group, .. }
            | Decision::EpochFloor { group, .. }
            | Decision::Flag { group, .. }
            | Decision::SyncSet { group, .. }
            | Decision::SyncSetSettled { group, .. }
            | Decision::Begin { group, .. }
            | Decision::StandBy { group, .. }
            | Decision::Manage { group, .. }
            | Decision::Unmanage { group, .. }
            | Decision::Schedule { group, .. }
            | Decision::Unschedule { group, .. }
            | Decision::Refused { group, .. }
            | Decision::Abort { group, .. }
            | Decision::Promote { group, .. }
            | Decision::Switch { group, .. }
            | Decision::Repoint { group, .. }
            | Decision::End { group, .. }
            | Decision::Evidence { group, .. }
            | Decision::Copies { group, .. }
            | Decision::Returned { group, .. }
            | Decision::Reconfirm { group, .. } => Some(group),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadEntry {
    #[error("a log entry of {0} bytes is longer than allowed")]
    Long(usize),
    #[error("a log entry of version {0}: this sentinel is too old for its fleet, upgrade it")]
    Version(u8),
    #[error("a log entry that this sentinel cannot read ({0}): it is too old for its fleet, upgrade it")]
    Unknown(String),
}

impl Entry {
    /// One version byte, then JSON: entries are few and small, and a person can read them.
    pub fn encode(&self) -> Result<Vec<u8>, BadEntry> {
        let mut bytes = vec![VERSION];
        serde_json::to_writer(&mut bytes, self).map_err(|e| BadEntry::Unknown(e.to_string()))?;
        if bytes.len() > ENTRY_BYTES_MAX { Err(BadEntry::Long(bytes.len())) } else { Ok(bytes) }
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, BadEntry> {
        match bytes {
            _ if bytes.len() > ENTRY_BYTES_MAX => Err(BadEntry::Long(bytes.len())),
            [VERSION, json @ ..] => {
                serde_json::from_slice(json).map_err(|e| BadEntry::Unknown(e.to_string()))
            }
            [version, ..] => Err(BadEntry::Version(*version)),
            [] => Err(BadEntry::Unknown("empty".to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_read_back_and_strange_ones_are_named() {
        let entry = Entry {
            at_ms: 1,
            by: 2,
            decisions: vec![
                Decision::Begin {
                    group: "m".into(),
                    after: 4,
                    cause: Cause::Silent,
                    target: None,
                    timeout_ms: 0,
                },
                Decision::Promote {
                    group: "m".into(),
                    epoch: 5,
                    successor: Address::new("::1", 1),
                    run_id: RunId::parse("a").unwrap(),
                    offset: 7,
                    equals: BTreeMap::new(),
                    offsets: vec![(Address::new("h", 2), 7)],
                    risk: None,
                },
            ],
        };
        let bytes = entry.encode().unwrap();
        assert_eq!(Entry::decode(&bytes), Ok(entry));
        assert_eq!(Entry::decode(&[9]), Err(BadEntry::Version(9)));
        assert!(matches!(Entry::decode(b"\x01{\"at_ms\":1"), Err(BadEntry::Unknown(_))));
    }
}
