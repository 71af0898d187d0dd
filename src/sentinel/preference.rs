//! The preferred replica that was behind when the master was lost. The best one is promoted at once,
//! for every moment of waiting would be an outage; when the preferred one has caught up with it, the
//! master is handed over to it by an ordinary planned switchover, which loses nothing and stops
//! writes for milliseconds. Tried once, and within failover-timeout.

use super::decision::{Cause, Decision};
use super::failover::Conduct;
use super::guard::holding;
use super::lead::Work;
use super::ledger::Failover;
use super::objective::Verdict;
use super::policy::PolicyDecision;
use super::successor;
use crate::model::{Address, Offset};
use crate::stdx::time::{Duration, Instant};

/// What was seen of a replica within this counts as seen now.
const SEEN_WITHIN: Duration = Duration::from_secs(3);

impl Work<'_> {
    /// Beside a promotion: who would have been promoted, had it not been behind.
    pub(super) fn remember_preferred(
        &mut self,
        failover: &Failover,
        conduct: &Conduct,
        chosen: &Address,
        best: Offset,
    ) {
        if !self.group.settings.policy.prefer_handover || failover.target.is_some() {
            return;
        }
        let Some(target) = successor::preferred_over(self.group, &conduct.frozen, chosen) else { return };
        let had = conduct.frozen.get(&target).and_then(|frozen| frozen.holds(self.group)).unwrap_or(0);
        self.decisions.push(Decision::Policy(PolicyDecision::HandoverLater {
            group: self.group.name.clone(),
            epoch: failover.epoch,
            target,
            had,
            best,
        }));
    }

    pub(super) fn keep_preference(&mut self, verdict: Verdict) {
        let Some(handover) = self.group.policy.handover.as_ref().filter(|_| self.group.failover.is_none())
        else {
            self.own.handover_since = None;
            return;
        };
        let since = *self.own.handover_since.get_or_insert(self.now);
        let limit = self.group.settings.failover_timeout();
        let (group, target) = (self.group.name.clone(), handover.target.clone());
        if self.now.since(since) > limit {
            let reason = format!("it was not fit within {} s", limit.as_secs());
            let ended = PolicyDecision::HandoverEnded { group, target, reason };
            return self.decisions.push(Decision::Policy(ended));
        }
        let sound = verdict == Verdict::Well && !self.group.confirm && self.master_is_sound();
        let held = holding(self.group, &self.fleet, self.wall_ms).is_some();
        let earlier = Instant::from_micros(self.now.since(Instant::ZERO + SEEN_WITHIN).as_micros() as u64);
        let in_sync = self.group.sync_set().members.contains_key(&target);
        if !sound || held || !in_sync || self.fitness(&target, earlier).is_err() {
            return;
        }
        let begins = PolicyDecision::HandoverBegins { group: group.clone(), target: target.clone() };
        self.decisions.push(Decision::Policy(begins));
        self.decisions.push(Decision::Begin {
            group,
            after: self.group.last_epoch,
            cause: Cause::Manual,
            target: Some(target),
            timeout_ms: 0,
        });
    }
}
