//! The named illnesses of a group: a closed list, one sentence for a person each. Derived from
//! evidence and the ledger; nothing is decided by it.

use super::decision::Cause;
use crate::model::{Address, TlsFault};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Situation {
    /// Nothing was seen of the master yet.
    #[default]
    Unknown,
    Ok,
    NoReplicas,
    /// The master is well, and none of its replicas is in sync.
    NoneInSync,
    /// The operator wants more acknowledgements than there are replicas to give them.
    SyncQuorumShort {
        wanted: usize,
        in_sync: usize,
    },
    /// These addresses answer with data that is not the group's.
    ForeignData(Vec<Address>),
    MasterSuspect,
    MasterUnreachable,
    MasterDown,
    MasterCrashed,
    MasterRestarted,
    MasterRestartedEmpty,
    MasterWrongRole,
    MasterLoading,
    MasterBusy,
    MasterCannotPersist,
    MasterRefusesUs,
    /// There is no TLS session with the master.
    MasterTls(TlsFault),
    /// A promotion is needed and may not be done.
    Refused(String),
    FailingOver(Cause),
    /// Something is due and is held back, by maintenance or by a guard.
    Held(String),
    /// The master has still to take its epoch.
    Confirming,
    LeaseLost,
}

impl Situation {
    /// All of them, for metrics that show a zero where one does not hold.
    pub const NAMES: &'static [&'static str] = &[
        "unknown",
        "ok",
        "no-replicas",
        "none-in-sync",
        "sync-quorum-short",
        "foreign-data",
        "master-suspect",
        "master-unreachable",
        "master-down",
        "master-crashed",
        "master-restarted",
        "master-restarted-empty",
        "master-wrong-role",
        "master-loading",
        "master-busy",
        "master-cannot-persist",
        "master-refuses-us",
        "master-tls",
        "failover-refused",
        "failing-over",
        "held",
        "confirming",
        "lease-lost",
    ];

    pub fn name(&self) -> &'static str {
        match self {
            Situation::Unknown => "unknown",
            Situation::Ok => "ok",
            Situation::NoReplicas => "no-replicas",
            Situation::NoneInSync => "none-in-sync",
            Situation::SyncQuorumShort { .. } => "sync-quorum-short",
            Situation::ForeignData(_) => "foreign-data",
            Situation::MasterSuspect => "master-suspect",
            Situation::MasterUnreachable => "master-unreachable",
            Situation::MasterDown => "master-down",
            Situation::MasterCrashed => "master-crashed",
            Situation::MasterRestarted => "master-restarted",
            Situation::MasterRestartedEmpty => "master-restarted-empty",
            Situation::MasterWrongRole => "master-wrong-role",
            Situation::MasterLoading => "master-loading",
            Situation::MasterBusy => "master-busy",
            Situation::MasterCannotPersist => "master-cannot-persist",
            Situation::MasterRefusesUs => "master-refuses-us",
            Situation::MasterTls(_) => "master-tls",
            Situation::Refused(_) => "failover-refused",
            Situation::FailingOver(_) => "failing-over",
            Situation::Held(_) => "held",
            Situation::Confirming => "confirming",
            Situation::LeaseLost => "lease-lost",
        }
    }

    pub fn sentence(&self) -> String {
        match self {
            Situation::Unknown => "The master has not been seen yet.".into(),
            Situation::Ok => "The master serves and its replicas are in sync.".into(),
            Situation::NoReplicas => "The master serves, and has no replica that could succeed it.".into(),
            Situation::NoneInSync => "The master serves, but no replica is in sync: a failover would be refused.".into(),
            Situation::SyncQuorumShort { wanted, in_sync } => format!(
                "The master serves, but sync-quorum is {wanted} and the replicas in sync are {in_sync}: WAIT {wanted} cannot be satisfied."
            ),
            Situation::ForeignData(addresses) => {
                let who: Vec<String> = addresses.iter().map(Address::to_string).collect();
                format!("{} answers with data that is not this group's, and is left alone.", who.join(", "))
            }
            Situation::MasterSuspect => "The master does not answer as it should; the others are being asked.".into(),
            Situation::MasterUnreachable => {
                "The master is out of the sentinels' reach, but replicas still stream from it: no failover.".into()
            }
            Situation::MasterDown => "A quorum has had no answer from the master for down-after.".into(),
            Situation::MasterCrashed => "The master's port refuses connections and its replicas lost it too.".into(),
            Situation::MasterRestarted => {
                "Another process answers at the master's address, or one that has no role.".into()
            }
            Situation::MasterRestartedEmpty => {
                "The master restarted without its data; nobody will be made to follow it.".into()
            }
            Situation::MasterWrongRole => "The instance that should be master says that it is a replica.".into(),
            Situation::MasterLoading => "The master is loading its dataset.".into(),
            Situation::MasterBusy => "The master is busy with a script and serves nobody else.".into(),
            Situation::MasterCannotPersist => {
                "The master refuses writes because it cannot save to its disk.".into()
            }
            Situation::MasterRefusesUs => {
                "The master wants other credentials than ours; set auth-pass-file (and auth-user) for this group.".into()
            }
            Situation::MasterTls(fault) => format!("There is no TLS session with the master: {fault}."),
            Situation::Refused(reason) => format!("A failover is needed and refused: {reason}."),
            Situation::FailingOver(cause) => format!("A failover is under way (cause: {}).", cause.name()),
            Situation::Held(reason) => format!("Held back: {reason}."),
            Situation::Confirming => "The master keeps its role and is being told its new epoch.".into(),
            Situation::LeaseLost => "The master is not vouched for and refuses writes.".into(),
        }
    }
}
