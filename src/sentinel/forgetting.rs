//! Replicas that are gone for good: one that was down, and on no master's list, for as long as the
//! group's `forget-replicas-after` says is forgotten by itself, as SENTINEL RESET would.
//!
//! Promise: never in a failover, never one that counts for WAIT, never one that a master still lists or
//! that is in maintenance, and never by what a process that has just begun to watch has not seen yet.
//! How long it was gone is agreed (`ledger::Group::gone_since`), so it outlives whoever leads. Has never
//! heard of who is to be promoted.

use super::decision::Decision;
use super::lead::Work;
use super::registry::Instance;
use super::subjective;
use crate::model::Address;
use crate::stdx::time::Duration;

/// Redis lists a replica that fell silent for another minute, and a bundled master for less: what is
/// still listed so soon after it went down is not worth an entry of the log.
const LISTED_STILL_MS: u64 = 30_000;
/// A master's list that is older proves nothing.
const LIST_AGE_MAX: Duration = Duration::from_secs(30);
/// The leader itself has seen it silent for so long: the agreed time is by wall clocks, and a leader
/// whose clock is ahead must not act on it at first sight.
const SILENCE_MIN: Duration = Duration::from_secs(30);

impl Work<'_> {
    pub(super) fn forget_the_gone(&mut self) {
        if self.group.failover.is_some() || self.group.down.is_empty() || !self.list_is_fresh() {
            return;
        }
        let after_ms = self.group.settings.policy.forget_replicas_after_ms;
        let mut decisions = Vec::new();
        for replica in self.group.replicas.iter().filter(|replica| self.group.down.contains(*replica)) {
            let group = self.group.name.clone();
            let wanted = self.is_listed(replica) || self.in_maintenance(replica);
            match (self.group.gone_since.get(replica), wanted) {
                (Some(since_ms), true) if self.wall_ms.saturating_sub(*since_ms) > LISTED_STILL_MS => {
                    decisions.push(Decision::Gone { group, replica: replica.clone(), gone: false });
                }
                (None, false) => {
                    decisions.push(Decision::Gone { group, replica: replica.clone(), gone: true });
                }
                (Some(since_ms), false)
                    if self.group.may_forget(replica, *since_ms, self.wall_ms)
                        && self.silent_for(replica, after_ms) =>
                {
                    let (replica, since_ms) = (replica.clone(), *since_ms);
                    decisions.push(Decision::Forget { group, replica, since_ms });
                }
                _ => {}
            }
        }
        self.decisions.extend(decisions);
    }

    /// The agreed master is well and said not long ago who its replicas are.
    fn list_is_fresh(&self) -> bool {
        let well = self.master().is_some_and(|master| {
            let asked_at = master.current().map(|facts| facts.asked_at);
            !subjective::suspect(master, self.group, self.now)
                && asked_at.is_some_and(|at| self.now.since(at) < LIST_AGE_MAX)
        });
        well && self.master_is_sound()
    }

    /// By any master of the fleet.
    fn is_listed(&self, replica: &Address) -> bool {
        let lists = |facts: &super::facts::Facts| {
            facts.is_master() && facts.replicas.iter().any(|listed| listed.address == *replica)
        };
        self.registry.iter().any(|(_, instance)| instance.current().is_some_and(lists))
    }

    fn silent_for(&self, replica: &Address, after_ms: u64) -> bool {
        let needed = Duration::from_millis(after_ms).min(SILENCE_MIN);
        self.registry.get(replica).map(|i: &Instance| i.silence(self.now)).is_some_and(|s| s >= needed)
    }
}
