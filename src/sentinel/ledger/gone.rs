//! Since when replicas are gone, and forgetting those that were gone long enough. Total and without a
//! clock, as all of the ledger: the time is that of the entries.

use super::Group;
use super::scribe::{Scribe, detail};
use crate::model::Address;
use crate::model::event::EventKind;
use crate::stdx::calendar::rfc3339;
use crate::stdx::time::Wall;

impl Group {
    /// Gone since then, for as long as the group's settings want, and nothing needs it any more.
    pub fn may_forget(&self, replica: &Address, since_ms: u64, now_ms: u64) -> bool {
        let after_ms = self.settings.policy.forget_replicas_after_ms;
        after_ms > 0
            && now_ms.saturating_sub(since_ms) >= after_ms
            && self.gone_since.get(replica) == Some(&since_ms)
            && self.down.contains(replica)
            && !self.policy.instances.contains_key(replica)
            && self.is_expendable(replica)
    }

    /// A member of the sync set may hold what nobody else does: it leaves the set first. In a failover
    /// nobody is forgotten.
    pub(super) fn is_expendable(&self, replica: &Address) -> bool {
        self.failover.is_none()
            && self.replicas.contains(replica)
            && !self.sets.iter().any(|set| set.members.contains_key(replica))
    }

    pub(super) fn mark_gone(&mut self, replica: &Address, gone: bool, at_ms: u64) {
        if !gone {
            self.gone_since.remove(replica);
        } else if self.down.contains(replica) && self.knows(replica) {
            self.gone_since.entry(replica.clone()).or_insert(at_ms);
        }
    }

    pub(super) fn forget_gone(&mut self, replica: &Address, since_ms: u64, scribe: &mut Scribe<'_>) {
        if self.may_forget(replica, since_ms, scribe.at_ms) {
            let since = rfc3339(Wall(since_ms));
            let event = self.forget(replica, scribe);
            detail(event, "gone_since", since);
        }
    }

    /// As if it had never been seen.
    pub(super) fn forget<'a>(
        &mut self,
        replica: &Address,
        scribe: &'a mut Scribe<'_>,
    ) -> &'a mut crate::model::event::Event {
        self.replicas.remove(replica);
        self.down.remove(replica);
        self.gone_since.remove(replica);
        self.odd_roles.remove(replica);
        self.foreign.remove(replica);
        self.policy.forget(replica);
        scribe.replica(EventKind::ReplicaGone, self, replica, "")
    }
}
