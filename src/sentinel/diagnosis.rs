//! Naming the illness of a group from what is seen and what is agreed: the first that fits, the worst
//! first. For people; nothing is decided by it.

use super::facts::Role;
use super::lead::Work;
use super::ledger::Phase;
use super::objective::Verdict;
use super::registry::Complaint;
use super::situation::Situation;

impl Work<'_> {
    pub(super) fn situation(&self, verdict: Verdict, restarted: bool) -> Situation {
        if let Some(failover) = self.group.failover.as_ref().filter(|f| f.phase != Phase::Switched) {
            return Situation::FailingOver(failover.cause);
        }
        if let Some(held) = &self.group.policy.held {
            return Situation::Held(held.reason.clone());
        }
        if let Some(reason) = &self.group.refused {
            return Situation::Refused(reason.clone());
        }
        let Some(master) = self.master() else { return Situation::Unknown };
        let facts = master.current();
        match verdict {
            Verdict::Unreachable => return Situation::MasterUnreachable,
            Verdict::Down { .. } => return Situation::MasterDown,
            Verdict::Crashed { .. } => return Situation::MasterCrashed,
            Verdict::Well | Verdict::Suspect => {}
        }
        match master.complaint {
            Some(Complaint::Loading) => return Situation::MasterLoading,
            Some(Complaint::Busy) => return Situation::MasterBusy,
            Some(Complaint::CannotPersist) => return Situation::MasterCannotPersist,
            Some(Complaint::AuthRefused) => return Situation::MasterRefusesUs,
            Some(Complaint::Tls(fault)) => return Situation::MasterTls(fault),
            Some(Complaint::Other) | None => {}
        }
        if self.group.confirm {
            return Situation::Confirming;
        }
        if restarted {
            let empty = facts.is_some_and(|facts| !facts.holds_data());
            return if empty { Situation::MasterRestartedEmpty } else { Situation::MasterRestarted };
        }
        if facts.is_some_and(|facts| facts.role == Role::Replica) {
            return Situation::MasterWrongRole;
        }
        if verdict == Verdict::Suspect {
            return Situation::MasterSuspect;
        }
        if self.group.lease_lost {
            return Situation::LeaseLost;
        }
        if facts.is_none() {
            return Situation::Unknown;
        }
        if !self.group.foreign.is_empty() {
            return Situation::ForeignData(self.group.foreign.iter().cloned().collect());
        }
        if self.group.replicas.is_empty() {
            return Situation::NoReplicas;
        }
        let in_sync = self.group.sync_set().members.len();
        match self.group.settings.policy.sync_quorum {
            _ if in_sync == 0 => Situation::NoneInSync,
            Some(wanted) if wanted > in_sync => Situation::SyncQuorumShort { wanted, in_sync },
            _ => Situation::Ok,
        }
    }
}
