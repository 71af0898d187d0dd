//! The status snapshot: all that the page, the metrics, the health answers and `vedette status`
//! may know. Plain data; made by the sentinel, read by everyone else.

use crate::model::drill::DrillsStatus;
use crate::model::event::{Event, EventKind};
use crate::model::incident::Incident;
use crate::model::policy::{HeldStatus, PauseStatus, PolicyStatus};
use crate::model::{Address, Epoch, NodeId, Offset};
use serde::{Deserialize, Serialize, Serializer};
use std::sync::Arc;

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Status {
    pub version: String,
    pub cluster_id: String,
    pub node: NodeId,
    pub run_id: String,
    pub uptime_ms: u64,
    /// `leader`, `follower` or `candidate`.
    pub raft_role: String,
    pub raft_term: u64,
    pub raft_leader: Option<NodeId>,
    pub raft_applied: u64,
    #[serde(default)]
    pub commits: CommitStatus,
    /// Every name that a group's situation can have, for those who count.
    #[serde(skip)]
    pub situations: &'static [&'static str],
    /// In touch with the majority within an election time; when false, answers are withheld in
    /// `safe` mode and marked in `available` mode.
    pub fresh: bool,
    pub peers: Vec<PeerStatus>,
    pub groups: Vec<GroupStatus>,
    /// The newest events, oldest first.
    pub events: Vec<Event>,
    pub webhooks: Vec<WebhookStatus>,
    /// All automatic failovers are held: too many groups lost their master together.
    #[serde(default)]
    pub held: Option<HeldStatus>,
    /// Failover drills: the one that runs, those planned, and what the last ones found.
    #[serde(default)]
    pub drills: DrillsStatus,
    /// Newest first; all of them in memory, the newest [`INCIDENTS_WRITTEN`] as text.
    #[serde(default, serialize_with = "newest")]
    pub incidents: Vec<Arc<Incident>>,
}

/// Records in the JSON of a snapshot; the others are asked for by name.
pub const INCIDENTS_WRITTEN: usize = 8;

fn newest<S: Serializer>(incidents: &[Arc<Incident>], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(incidents.iter().take(INCIDENTS_WRITTEN))
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PeerStatus {
    pub id: NodeId,
    pub address: Address,
    pub run_id: String,
    pub connected: bool,
    pub last_heard_ms: Option<u64>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct GroupStatus {
    pub name: String,
    pub epoch: Epoch,
    /// `safe` or `available`.
    pub mode: String,
    pub quorum: usize,
    pub down_after_ms: u64,
    pub master: InstanceStatus,
    pub replicas: Vec<InstanceStatus>,
    /// The named illness, or `ok`.
    pub situation: String,
    /// One sentence for a person.
    pub summary: String,
    /// Replicas that count for WAIT and promotion.
    pub sync_set: Vec<Address>,
    /// Replicas that must acknowledge before WAIT's promise holds (n).
    pub sync_quorum: usize,
    pub failover: Option<FailoverStatus>,
    /// Failovers completed since this group was first watched.
    pub failovers: u64,
    /// Milliseconds since the Unix epoch.
    pub last_switch_ms: Option<u64>,
    /// When a switchover is to begin, in milliseconds since the Unix epoch.
    #[serde(default)]
    pub scheduled_ms: Option<u64>,
    /// Maintenance and guards.
    #[serde(default)]
    pub policy: PolicyStatus,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct InstanceStatus {
    pub address: Address,
    pub run_id: Option<String>,
    /// Role it reports: `master`, `slave` or `unknown`.
    pub role: String,
    /// A bundled server: leased and fenced. Otherwise stock Redis or Valkey.
    pub bundled: bool,
    /// This sentinel reaches it.
    pub reachable: bool,
    pub sdown: bool,
    pub odown: bool,
    pub last_reply_ms: Option<u64>,
    pub offset: Option<Offset>,
    pub lag_bytes: Option<u64>,
    pub link_up: Option<bool>,
    /// Whom a replica follows, as it reports.
    #[serde(default)]
    pub follows: Option<Address>,
    pub in_sync_set: bool,
    pub priority: Option<i64>,
    pub lease_ms: Option<u64>,
    /// In maintenance: never chosen, and its silence is nobody's worry.
    #[serde(default)]
    pub paused: Option<PauseStatus>,
    /// As the operator placed it.
    #[serde(default)]
    pub zone: Option<String>,
    #[serde(default)]
    pub probe: ProbeStatus,
}

/// What this sentinel asked an instance, counted since it watches it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeStatus {
    pub linked: bool,
    pub connects: u64,
    /// Attempts that failed and connections that broke.
    pub failures: u64,
    pub asked: u64,
    pub timeouts: u64,
    /// Of the newest PING.
    pub round_trip_us: Option<u64>,
}

/// Proposals of this sentinel that were agreed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommitStatus {
    pub count: u64,
    pub total_us: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FailoverStatus {
    pub epoch: Epoch,
    /// As Redis names it: `select_slave`, `send_slaveof_noone`, `wait_promotion`, `reconf_slaves` ...
    pub phase: String,
    pub cause: String,
    pub successor: Option<Address>,
    /// Milliseconds since the Unix epoch.
    pub started_ms: u64,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct WebhookStatus {
    pub name: String,
    pub format: String,
    /// Scheme and host only: the rest of the URL may be a password.
    pub endpoint: String,
    pub delivered_up_to: u64,
    /// Since the node that delivers it took over.
    pub delivered: u64,
    pub pending: u64,
    pub failures: u64,
    pub last_error: Option<String>,
    /// Why nothing is sent until an operator enables it.
    pub disabled: Option<String>,
    /// Events that were given up, oldest first; they can be replayed.
    pub dead: Vec<DeadLetterStatus>,
    /// Events that were ever given up, kept or not, replayed or not.
    pub given_up: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DeadLetterStatus {
    pub id: u64,
    pub at_ms: u64,
    pub kind: EventKind,
    pub group: String,
    pub why: String,
}
