//! One group as agreed, and the arithmetic of its sync sets.

use super::Policy;
use crate::model::{Address, Epoch, Offset, ReplId, RunId};
use crate::sentinel::decision::{Cause, Stage};
use crate::sentinel::min_replicas::MinReplicas;
use crate::sentinel::settings::Settings;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    pub name: String,
    pub settings: Settings,
    /// Who clients are told is the master.
    pub master: Address,
    /// The epoch of that master.
    pub epoch: Epoch,
    /// The newest epoch handed out for this group, to a failover or a confirmation.
    pub last_epoch: Epoch,
    /// The master's process, once it was seen.
    pub run_id: Option<RunId>,
    /// Its replication history, once it was seen.
    pub history: Option<ReplId>,
    /// The histories before it, newest first, each shared up to an offset: a server that slept through
    /// several failovers still holds what they had in common.
    #[serde(default)]
    pub ancestors: VecDeque<Ancestor>,
    /// The master is a bundled server: leased and fenced.
    pub bundled: bool,
    /// The master has still to be told its new epoch (after an abort or a confirmation).
    pub confirm: bool,
    pub replicas: BTreeSet<Address>,
    /// Never empty; the last is current. Older ones count for promotions until settled.
    pub sets: Vec<SyncSet>,
    pub failover: Option<Failover>,
    /// Held to be down, as agreed.
    pub down: BTreeSet<Address>,
    /// Of those that are down: since when they are so and no master lists them, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub gone_since: BTreeMap<Address, u64>,
    pub odown: bool,
    /// Held to report another role than they should have, as told.
    #[serde(default)]
    pub odd_roles: BTreeSet<Address>,
    /// Held to have data of somebody else, as told.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub foreign: BTreeSet<Address>,
    pub unreachable: bool,
    pub lease_lost: bool,
    /// Why the last attempt at a promotion was refused; empty once the master is well.
    pub refused: Option<String>,
    /// Completed failovers.
    pub failovers: u64,
    pub last_switch_ms: Option<u64>,
    #[serde(default)]
    pub scheduled: Option<Scheduled>,
    /// Maintenance, holds, and the failovers that count.
    #[serde(default)]
    pub policy: Policy,
    /// Stock servers whose `min-replicas-to-write` was set by the fleet and not given back yet.
    #[serde(default)]
    pub managed: BTreeMap<Address, Managed>,
}

/// What one process of a stock server had from its operator, and has from the fleet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Managed {
    pub run_id: RunId,
    pub own: MinReplicas,
    pub value: MinReplicas,
}

/// A switchover that is to begin at a time, in milliseconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scheduled {
    pub at_ms: u64,
    pub target: Option<Address>,
    pub timeout_ms: u64,
}

/// Histories remembered: more failovers than a server sleeps through while it is still worth asking.
pub(super) const ANCESTORS_MAX: usize = 32;

/// An earlier replication id of the group and how far it is shared with the next one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ancestor {
    pub history: ReplId,
    pub up_to: Offset,
}

/// The replicas that count for WAIT and for promotions, each with the process that caught up: a
/// restarted one has to be admitted again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncSet {
    pub version: u64,
    /// n: members that must acknowledge before WAIT's promise holds.
    pub quorum: usize,
    pub members: BTreeMap<Address, RunId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Freezing and choosing.
    Begun,
    /// The successor is named; it is being told.
    Promoted,
    /// Clients are told; the rest is being re-pointed.
    Switched,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failover {
    pub epoch: Epoch,
    pub cause: Cause,
    pub target: Option<Address>,
    /// How long a planned one may hold writes back; 0: the default.
    #[serde(default)]
    pub timeout_ms: u64,
    /// In a planned one: who alone may be told to be master in this epoch.
    #[serde(default)]
    pub standby: Option<StandBy>,
    pub started_ms: u64,
    pub phase: Phase,
    pub old_master: Address,
    pub successor: Option<Address>,
    pub successor_run: Option<RunId>,
    /// The successor's offset when it was chosen.
    pub offset: Offset,
    pub equals: BTreeMap<Address, RunId>,
    pub stages: BTreeMap<Address, Stage>,
}

/// The replica, and the process, that was found fit to take over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StandBy {
    pub address: Address,
    pub run_id: RunId,
}

impl Failover {
    /// Clients use the new master already.
    pub fn switched(&self) -> bool {
        self.phase == Phase::Switched
    }

    /// As Redis Sentinel names its states.
    pub fn phase_name(&self) -> &'static str {
        match self.phase {
            Phase::Begun => "select_slave",
            Phase::Promoted => "wait_promotion",
            Phase::Switched => "reconf_slaves",
        }
    }
}

/// How far the frozen replicas meet the promotion rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rule {
    Met,
    /// Frozen members of the tightest set, and how many it needs.
    Short {
        frozen: usize,
        needed: usize,
    },
    /// No replica is known to hold all that was promised.
    NobodyInSync,
}

impl Rule {
    /// For events and people.
    pub fn explain(&self) -> String {
        match self {
            Rule::Met => "the promotion rule is met".to_owned(),
            Rule::Short { frozen, needed } => {
                format!(
                    "only {frozen} of the in-sync replicas can be frozen and {needed} are needed to be sure of every WAIT"
                )
            }
            Rule::NobodyInSync => "no replica was in sync with the master".to_owned(),
        }
    }
}

impl Group {
    pub fn knows(&self, instance: &Address) -> bool {
        self.master == *instance || self.replicas.contains(instance)
    }

    /// The master first.
    pub fn instances(&self) -> impl Iterator<Item = &Address> {
        std::iter::once(&self.master).chain(&self.replicas)
    }

    pub fn sync_set(&self) -> &SyncSet {
        // `sets` is made with one and only ever loses older ones.
        &self.sets[self.sets.len() - 1]
    }

    /// n as the operator set it, else as the number of registered data nodes wants it:
    /// floor(nodes / 2), at least 1. An n above the members of a set promises nothing, for no WAIT n
    /// can be satisfied there: any one member is then enough to promote, and `Situation` says so.
    pub fn wanted_quorum(&self) -> usize {
        let by_nodes = self.replicas.len().div_ceil(2).max(1);
        self.settings.policy.sync_quorum.unwrap_or(by_nodes)
    }

    /// A failover that clients do not see the end of yet. From `Switched` on the new master is
    /// published and writable, and flags say so.
    pub fn failing_over(&self) -> bool {
        self.failover.as_ref().is_some_and(|f| f.phase != Phase::Switched)
    }

    /// Whether these frozen replicas meet every set of acknowledgements that may have satisfied a
    /// WAIT: of each set that the master may have counted, R - n + 1. Each is given with the
    /// process that answered, for one that restarted may have forgotten what it acknowledged.
    pub fn promotion_rule(&self, frozen: &BTreeMap<Address, RunId>) -> Rule {
        if self.sync_set().members.is_empty() {
            return Rule::NobodyInSync;
        }
        let mut worst = Rule::Met;
        let mut worst_gap = 0;
        for set in self.sets.iter().filter(|set| !set.members.is_empty()) {
            let needed = (set.members.len() + 1).saturating_sub(set.quorum).max(1);
            let have = set.members.iter().filter(|(a, run)| frozen.get(*a) == Some(*run)).count();
            if have < needed && needed - have > worst_gap {
                worst_gap = needed - have;
                worst = Rule::Short { frozen: have, needed };
            }
        }
        worst
    }
}
