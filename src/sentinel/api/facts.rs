//! All that an answer may say, as plain data: one moment of one sentinel. Ages are milliseconds.

use crate::config::sentinel::Mode;
use crate::model::{Address, Epoch, NodeId, Offset};
use crate::sentinel::ledger::Scheduled;
use std::sync::Arc;

#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Forty hex digits that name this sentinel to clients.
    pub my_id: String,
    pub node: NodeId,
    /// Where the others and the clients reach this sentinel.
    pub announce: Option<Address>,
    /// In touch with the majority within an election time (P7).
    pub fresh: bool,
    pub raft_role: &'static str,
    pub raft_term: u64,
    pub raft_leader: Option<NodeId>,
    pub raft_applied: u64,
    /// In the order of their names.
    pub groups: Vec<GroupFacts>,
    /// The other sentinels.
    pub peers: Vec<PeerFacts>,
    /// All sentinels as agreed.
    pub members: Vec<super::peers::MemberFacts>,
    /// This one was removed from the fleet, and names nobody.
    pub left: bool,
    /// Named as SENTINEL DEBUG shows them, in milliseconds.
    pub timers: Vec<(&'static str, u64)>,
    pub process: ProcessFacts,
    pub resolve_hostnames: bool,
    pub blast_radius_percent: u64,
    /// Clients are told the addresses that names lead to.
    pub hides_hostnames: bool,
    /// The user with which it logs in at sentinels, and whether there is a password.
    pub sentinel_login: (String, bool),
    pub deny_scripts_reconfig: bool,
    /// Names that were removed and not watched again, newest last.
    pub removed: Vec<String>,
    /// See `debug`.
    pub simulated_failures: u8,
    /// Programs of this sentinel that run or wait.
    pub scripts: Vec<ScriptFacts>,
    /// Names of the webhooks in this sentinel's configuration.
    pub webhooks: Vec<String>,
}

impl Facts {
    pub fn group(&self, name: &[u8]) -> Option<&GroupFacts> {
        self.groups.iter().find(|group| group.name.as_bytes() == name)
    }

    pub fn voters(&self) -> usize {
        1 + self.peers.iter().filter(|peer| !peer.learner).count()
    }

    /// This sentinel and the others it can talk to.
    pub fn usable(&self) -> usize {
        1 + self.peers.iter().filter(|peer| peer.connected && !peer.learner).count()
    }
}

/// What the shell knows of the process itself.
#[derive(Clone, Debug, Default)]
pub struct ProcessFacts {
    pub pid: u32,
    pub port: u16,
    pub uptime_s: u64,
    pub clients: usize,
    pub connections_total: u64,
    pub commands_total: u64,
    pub cpu_user_ms: u64,
    pub cpu_system_ms: u64,
    pub cpu_children_user_ms: u64,
    pub cpu_children_system_ms: u64,
    pub connections_rejected: u64,
    pub clients_max: usize,
    /// Whose request is with the leader.
    pub clients_waiting: usize,
    pub errors_total: u64,
    pub input_bytes_total: u64,
    pub output_bytes_total: u64,
    pub reads_total: u64,
    pub writes_total: u64,
    pub pubsub_channels: usize,
    pub pubsub_patterns: usize,
    /// Microseconds since the Unix epoch.
    pub time_us: u64,
    pub os: String,
    pub executable: String,
    pub config_file: String,
    pub supervised: bool,
    /// One of Redis' words.
    pub log_level: &'static str,
}

/// A program that runs or waits to be run.
#[derive(Clone, Debug)]
pub struct ScriptFacts {
    /// The path first.
    pub argv: Vec<String>,
    /// While it runs.
    pub pid: Option<u32>,
    /// Since it was started, or until it will be.
    pub time_ms: u64,
    pub retries: u32,
}

impl ScriptFacts {
    pub fn running(&self) -> bool {
        self.pid.is_some()
    }
}

#[derive(Clone, Debug)]
pub struct GroupFacts {
    pub name: String,
    pub epoch: Epoch,
    pub mode: Mode,
    pub quorum: usize,
    pub down_after_ms: u64,
    pub failover_timeout_ms: u64,
    pub parallel_syncs: usize,
    pub notification_script: Option<String>,
    pub client_reconfig_script: Option<String>,
    pub master: InstanceFacts,
    pub replicas: Vec<ReplicaFacts>,
    pub in_sync: Vec<Address>,
    pub sync_quorum: usize,
    pub lease_ms: Option<u64>,
    /// The named illness, or `ok`.
    pub situation: String,
    /// As Redis names it (`select_slave`, ...); `None` between failovers, and as soon as clients may
    /// use the new master.
    pub failover_state: Option<String>,
    /// A switchover that is to happen at a time.
    pub scheduled: Option<Scheduled>,
    /// An operator asked for the failover that runs.
    pub failover_forced: bool,
}

/// What a master, a replica and a sentinel have in common.
#[derive(Clone, Debug)]
pub struct InstanceFacts {
    pub address: Address,
    pub run_id: String,
    pub connected: bool,
    /// Requests without an answer yet.
    pub pending: usize,
    /// Since the unanswered PING was sent; `None`: none is under way.
    pub ping_sent_ms: Option<u64>,
    pub last_ok_ms: u64,
    pub last_reply_ms: u64,
    pub s_down_ms: Option<u64>,
    pub o_down_ms: Option<u64>,
    pub info_age_ms: Option<u64>,
    pub info: Option<Arc<str>>,
    pub reports_master: bool,
    pub role_reported_ms: u64,
    pub bundled: bool,
    pub offset: Option<Offset>,
}

#[derive(Clone, Debug)]
pub struct ReplicaFacts {
    pub instance: InstanceFacts,
    pub link_up: bool,
    pub link_down_ms: u64,
    /// Whom it follows, as it reports.
    pub follows: Option<Address>,
    pub priority: i64,
    pub in_sync: bool,
    /// Chosen in the failover that runs now.
    pub promoted: bool,
    /// How far it is on its way to a new master, while it is.
    pub reconf: Option<&'static str>,
}

#[derive(Clone, Debug)]
pub struct PeerFacts {
    pub id: NodeId,
    /// Forty hex digits, or empty until it was first heard.
    pub run_id: String,
    pub address: Address,
    pub connected: bool,
    /// It has no vote yet.
    pub learner: bool,
    /// Since it was last heard.
    pub heard_ms: Option<u64>,
}
