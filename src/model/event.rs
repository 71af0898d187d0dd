//! The event catalogue: one row for everything worth telling. An event happened; it got its dense
//! id from the Raft log before anyone heard of it, and every outside notice (pub/sub, webhook,
//! metric, log line, page) derives from it.
//!
//! Wire names, payload shapes and severities of the Redis events are those of Redis Sentinel
//! (`sentinelEvent`); Vedette's own events keep the style.

use crate::model::{Address, Epoch};
use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Verbose,
    Notice,
    Warning,
}

macro_rules! catalogue {
    ($($kind:ident $name:literal $severity:ident $summary:literal;)*) => {
        /// What happened. The wire name is the pub/sub channel.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum EventKind { $($kind,)* }

        /// One row per kind, in the order of the enum.
        pub const CATALOGUE: &[Row] = &[
            $(Row { kind: EventKind::$kind, name: $name, severity: Severity::$severity, summary: $summary },)*
        ];
    };
}

/// A line of the catalogue.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    pub kind: EventKind,
    pub name: &'static str,
    pub severity: Severity,
    pub summary: &'static str,
}

catalogue! {
    Monitor            "+monitor"                       Warning "a group is being watched";
    MonitorEnd         "-monitor"                       Warning "a group is no longer watched";
    Set                "+set"                           Warning "a setting of a group was changed";
    ResetMaster        "+reset-master"                  Warning "a group was reset";
    SDown              "+sdown"                         Warning "a sentinel cannot reach an instance";
    SDownEnd           "-sdown"                         Warning "the instance answers again";
    ODown              "+odown"                         Warning "a quorum agrees that the master is down";
    ODownEnd           "-odown"                         Warning "the master is no longer held to be down";
    Unreachable        "+unreachable"                   Warning "the master is out of reach, but its replicas still stream from it: no failover";
    UnreachableEnd     "-unreachable"                   Warning "the master can be reached again";
    NewEpoch           "+new-epoch"                     Warning "a failover got its epoch";
    TryFailover        "+try-failover"                  Warning "a failover begins";
    VoteForLeader      "+vote-for-leader"               Warning "the Raft leader as the vote for this epoch";
    ElectedLeader      "+elected-leader"                Warning "the Raft leader conducts the failover";
    SelectReplica      "+failover-state-select-slave"   Warning "choosing the successor";
    SelectedReplica    "+selected-slave"                Warning "the successor was chosen";
    SendReplicaOfNoOne "+failover-state-send-slaveof-noone" Notice "the successor is told to be master";
    WaitPromotion      "+failover-state-wait-promotion" Notice  "waiting until the successor says it is master";
    PromotedReplica    "+promoted-slave"                Warning "the successor is master";
    ReconfReplicas     "+failover-state-reconf-slaves"  Warning "the other replicas are being re-pointed";
    SwitchMaster       "+switch-master"                 Warning "clients are to use the new master";
    FailoverEnd        "+failover-end"                  Warning "the failover is complete";
    FailoverEndTimeout "+failover-end-for-timeout"      Warning "the failover ended with replicas still to be re-pointed";
    AbortNoGoodReplica "-failover-abort-no-good-slave"  Warning "no replica may be promoted; the text says why";
    AbortReplicaTimeout "-failover-abort-slave-timeout" Warning "the successor did not become master in time";
    AbortMasterBack    "-failover-abort-master-back"    Warning "the master came back before a successor was promoted";
    MinReplicas        "+min-replicas"                  Notice  "a stock master takes writes only while so many replicas stream from it";
    MinReplicasLow     "-min-replicas"                  Warning "replicas are gone: a stock master takes writes with fewer, or none, of them";
    Scheduled          "+switchover-scheduled"          Notice  "a switchover is to begin at the time that is named";
    ScheduledEnd       "-switchover-scheduled"          Notice  "the scheduled switchover begins now, or was cancelled";
    ScheduledRefused   "-switchover-refused"            Warning "a scheduled switchover was not begun; the reason says why";
    RolledBack         "-switchover-rolled-back"        Warning "a planned switchover was undone: the old master takes writes as before";
    AbortVetoed        "-failover-abort-vetoed"         Warning "the pre-failover hook refused; the text says why";
    AbortCaughtUp      "-failover-abort-caught-up"      Notice  "a replica took over what only one had that may not be master; the failover begins anew";
    ScriptError        "-script-error"                  Warning "a script failed for good";
    ScriptTimeout      "-script-timeout"                Warning "a script ran too long and was ended";
    Replica            "+slave"                         Notice  "a replica was found";
    ReplicaGone        "-slave"                         Notice  "a replica was forgotten";
    Sentinel           "+sentinel"                      Notice  "a sentinel joined";
    SentinelJoining    "+sentinel-joining"              Notice  "a new sentinel was announced and is being brought up to date";
    SentinelVotes      "+sentinel-voter"                Notice  "a new sentinel has its vote";
    SentinelGone       "-sentinel"                      Warning "a sentinel was removed from the fleet";
    SentinelMoved      "+sentinel-address-switch"       Notice  "a sentinel is reached at another address";
    SentinelDuplicate  "+sentinel-duplicate-id"         Warning "a second process claims the id of a living sentinel; it was turned away";
    SentinelDisk       "+sentinel-disk-failed"          Warning "a sentinel could not write its log: it stopped voting and ended";
    ScriptKill         "+script-kill"                   Warning "a script that ran beyond its time was told to end";
    Reboot             "+reboot"                        Notice  "an instance restarted";
    RebootEmpty        "+master-rebooted-empty"         Warning "the master restarted without its data; it will not be followed";
    ReconfSent         "+slave-reconf-sent"             Notice  "a replica was told its new master";
    ReconfInProgress   "+slave-reconf-inprog"           Notice  "a replica is syncing with its new master";
    ReconfDone         "+slave-reconf-done"             Notice  "a replica follows its new master";
    ConvertToReplica   "+convert-to-slave"              Notice  "a returned or rogue master is made a replica";
    FixReplicaConfig   "+fix-slave-config"              Notice  "a replica of the wrong master is re-pointed";
    RoleChange         "+role-change"                   Verbose "an instance reports the role it should have";
    RoleMismatch       "-role-change"                   Verbose "an instance reports a role it should not have";
    ForeignData        "+foreign-data"                  Warning "a server with data of its own answers at an address of the group: it is left alone";
    ForeignDataEnd     "-foreign-data"                  Notice  "no data of somebody else's is at that address any more";
    SyncSet            "+sync-set"                      Notice  "the replicas that count for WAIT and promotion changed";
    LeaseLost          "+lease-lost"                    Warning "the master's lease ran out";
    LeaseBack          "-lease-lost"                    Notice  "the master holds a lease again";
    Reconfirmed        "+master-reconfirmed"            Warning "a restarted master keeps its role: no replica has more data";
    DataLossRisk       "+data-loss-risk"                Warning "a promotion in available mode may have lost acknowledged writes";
    DrillStart         "+drill-start"                   Notice  "a failover drill begins on this group";
    DrillEnd           "+drill-end"                     Notice  "the drill is over; the text says with what verdict";
    DrillSloMissed     "+drill-slo-missed"              Warning "a drill kept every promise, but clients were without a master for longer than its objective";
    DrillFailed        "+drill-failed"                  Warning "a drill found a broken promise, or a fleet that did not come to rest";
    DrillSkipped       "-drill-skipped"                 Notice  "a scheduled drill was due but not safe to run; the text says why";
    DivergentWrites    "+divergent-writes"              Warning "a returned master had writes that nobody else has";
    DivergentSaved     "+divergent-saved"               Warning "a returned master saved the writes that nobody else has before it was resynced";
    WebhookDropped     "-webhook-dropped"               Warning "a webhook gave up on an event";
    Pause              "+pause"                         Warning "a group or an instance is in maintenance";
    PauseEnd           "-pause"                         Warning "the maintenance is over";
    Acknowledged       "+acknowledge"                   Notice  "an operator knows of the failovers so far; they count no more";
    FailoverHeld       "+failover-held"                 Warning "something is due in a group and is held back; the text says by what";
    FailoverReleased   "-failover-held"                 Warning "nothing is held back in the group any more";
    FailoversHeld      "+failovers-held"                Warning "too many groups lost their master together: all automatic failovers are held";
    FailoversReleased  "-failovers-held"                Warning "automatic failovers are done again";
    HandoverLater      "+handover-later"                Notice  "a preferred replica was behind at the failover; it becomes master once it caught up";
    HandoverBegins     "+handover"                      Notice  "the preferred replica caught up: the master is handed over to it";
    HandoverDropped    "-handover"                      Warning "the preferred replica does not become master after all; the text says why";
    WebhookTest        "+webhook-test"                  Notice  "an operator tests a webhook";
    WebhookDisabled    "+webhook-disabled"              Warning "a receiver answered 410 Gone: nothing is sent to it until it is enabled";
    WebhookEnabled     "-webhook-disabled"              Warning "a webhook was enabled again";
}

impl EventKind {
    pub fn row(self) -> &'static Row {
        &CATALOGUE[self as usize]
    }

    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// The kind with this wire name.
    pub fn parse(name: &str) -> Option<Self> {
        CATALOGUE.iter().find(|row| row.name == name).map(|row| row.kind)
    }
}

impl Serialize for EventKind {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for EventKind {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Self::parse(&name).ok_or_else(|| serde::de::Error::custom(format!("unknown event {name}")))
    }
}

/// Something that happened, as agreed in the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Dense: 1, 2, 3, ... for the whole fleet.
    pub id: u64,
    /// Milliseconds since the Unix epoch on the clock of the leader that proposed it.
    pub at_ms: u64,
    pub kind: EventKind,
    /// The group it concerns; empty when it concerns the fleet.
    pub group: String,
    /// The group's epoch when it happened.
    pub epoch: Epoch,
    /// The instance it concerns.
    pub instance: Option<Address>,
    /// The pub/sub payload, word for word as Redis Sentinel would publish it.
    pub payload: String,
    /// Facts for machines: webhook bodies carry them as an object.
    pub details: Vec<(String, String)>,
}

/// What an event is about, written as Redis Sentinel writes `%@`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject<'a> {
    Master { group: &'a str, address: &'a Address },
    Replica { address: &'a Address, group: &'a str, master: &'a Address },
    Sentinel { run_id: &'a str, address: &'a Address, group: &'a str, master: &'a Address },
}

impl std::fmt::Display for Subject<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match *self {
            Subject::Master { group, address } => {
                write!(f, "master {group} {} {}", address.host, address.port)
            }
            Subject::Replica { address, group, master } => write!(
                f,
                "slave {address} {} {} @ {group} {} {}",
                address.host, address.port, master.host, master.port
            ),
            Subject::Sentinel { run_id, address, group, master } => write!(
                f,
                "sentinel {run_id} {} {} @ {group} {} {}",
                address.host, address.port, master.host, master.port
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_stand_at_their_kind_and_names_are_unique() {
        for (index, row) in CATALOGUE.iter().enumerate() {
            assert_eq!(row.kind as usize, index);
            assert_eq!(EventKind::parse(row.name), Some(row.kind));
        }
    }

    #[test]
    fn subjects_read_as_redis_writes_them() {
        let master = Address::new("10.0.0.1", 6379);
        let replica = Address::new("10.0.0.2", 6380);
        let subject = Subject::Replica { address: &replica, group: "m", master: &master };
        assert_eq!(subject.to_string(), "slave 10.0.0.2:6380 10.0.0.2 6380 @ m 10.0.0.1 6379");
    }
}
