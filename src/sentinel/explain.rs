//! EXPLAIN: what would happen if a group's master were lost now. Asks the very functions by which a
//! failover is decided (`prospect`, `successor`, `guard`, the promotion rule) and puts their answers
//! into words; has no rule of its own.

use super::guard::holding;
use super::lease::{RENEWALS_PER_LEASE, with_margin};
use super::ledger::{Group, Rule};
use super::node::Sentinel;
use super::policy::Guard;
use super::prospect::{Prospect, prospect};
use super::settings::mode_name;
use super::successor::{self, Choice};
use super::{loss::Loss, subjective};
use crate::consensus::Role;
use crate::model::explain::{Blocker, CandidateExplanation, Explanation};
use crate::model::{Address, NodeId, vouching};
use crate::stdx::time::{Duration, Instant, Now};
use std::collections::BTreeSet;

/// Agreeing, promoting and publishing, on a network without trouble.
const STEPS: Duration = Duration::from_millis(30);

impl Sentinel {
    /// `None`: no such group.
    pub fn explain(&self, now: Now, name: &str) -> Option<Explanation> {
        let group = self.ledger.group(name)?;
        let own = self.groups.get(name)?;
        let mono = now.mono;
        let prospect = prospect(group, &self.registry, &own.trail, mono);
        let blockers = self.blockers(now, group, &prospect);
        let successor = match &prospect.choice {
            Choice::Promote(address, _) => Some(address.clone()),
            Choice::Nobody(_) => None,
        };
        let handover_to = successor.as_ref().and_then(|chosen| {
            let preferred = successor::preferred_over(group, &prospect.candidates, chosen);
            preferred.filter(|_| group.settings.policy.prefer_handover)
        });
        let set = group.sync_set();
        let reachable_in_sync =
            set.members.iter().filter(|(a, run)| prospect.reachable.get(*a) == Some(*run)).count();
        let (crash, silent) = self.estimate(group);
        let leads = self.consensus.role() == Role::Leader;
        Some(Explanation {
            group: group.name.clone(),
            node: self.id(),
            view: if leads { "the leader, who would decide" } else { "a follower's own view" }.to_owned(),
            leader: self.consensus.leader(),
            fresh: self.is_fresh(mono),
            epoch: group.epoch,
            mode: mode_name(group.settings.mode).to_owned(),
            situation: own.situation.name().to_owned(),
            master: group.master.to_string(),
            candidates: self.candidates(group, &prospect, mono),
            estimated_ms: successor.as_ref().map(|_| crash),
            estimated_silent_ms: successor.as_ref().map(|_| silent),
            loss_bytes: prospect.loss.map(|loss: Loss| loss.bytes),
            loss_seconds: prospect.loss.map(|loss| loss.ms as f64 / 1000.0),
            successor,
            handover_to,
            rule: prospect.rule.explain(),
            in_sync: set.members.len(),
            sync_quorum: set.quorum,
            reachable_in_sync,
            needed_in_sync: (set.members.len() + 1).saturating_sub(set.quorum).max(1),
            blockers,
        })
    }

    fn blockers(&self, now: Now, group: &Group, prospect: &Prospect) -> Vec<Blocker> {
        let mut blockers = Vec::new();
        let mut block = |what: &str, reason: String| {
            blockers.push(Blocker { what: what.to_owned(), reason });
        };
        if group.failing_over() {
            block("failing-over", "a failover is under way".to_owned());
        }
        let members = self.consensus.members();
        let voters = members.voters.len();
        let connected = self.peers.iter().filter(|(_, peer)| peer.connected && !peer.rejected);
        let in_touch: BTreeSet<NodeId> = connected
            .map(|(id, _)| *id)
            .chain([self.id()])
            .filter(|id| members.voters.contains(id))
            .collect();
        let usable = in_touch.len();
        if !self.is_fresh(now.mono) || !members.is_majority(&in_touch) {
            let reason = format!("{usable} of {voters} sentinels are in touch, and a majority must agree");
            block("majority", reason);
        }
        let quorum = group.settings.quorum.clamp(1, voters.max(1));
        if usable < quorum {
            block(
                "quorum",
                format!("{quorum} sentinels must find the master down and {usable} are in touch"),
            );
        }
        let fleet = self.guard.view(now.mono, &self.ledger, self.blast_radius_percent());
        if let Some(hold) = holding(group, &fleet, now.wall.as_millis()) {
            let remedy = match hold.guard {
                Guard::Pause => format!("; SENTINEL RESUME {} ends it", group.name),
                Guard::BlastRadius => "; SENTINEL ACKNOWLEDGE * lets it go on".to_owned(),
                Guard::AntiFlap | Guard::RogueMaster => String::new(),
            };
            block(hold.guard.name(), hold.reason + &remedy);
        }
        if prospect.rule != Rule::Met && group.settings.safe() {
            block("promotion-rule", prospect.rule.explain());
        }
        if let Choice::Nobody(reason) = &prospect.choice {
            block("successor", reason.clone());
        }
        if let Some(reason) = &prospect.too_much {
            block("max-loss", reason.clone());
        }
        blockers
    }

    fn candidates(&self, group: &Group, prospect: &Prospect, now: Instant) -> Vec<CandidateExplanation> {
        let chosen = match &prospect.choice {
            Choice::Promote(address, _) => Some(address),
            Choice::Nobody(_) => None,
        };
        let holds = |address: &Address| prospect.candidates.get(address).and_then(|f| f.holds(group));
        let best = prospect.candidates.values().filter_map(|frozen| frozen.holds(group)).max();
        let explain = |address: &Address| {
            let frozen = prospect.candidates.get(address);
            let facts = self.registry.get(address).and_then(|i| i.facts.as_ref());
            let offset = holds(address);
            let behind = best.zip(offset).map(|(best, offset)| best - offset);
            let barred = frozen.and_then(|frozen| successor::barred(group, address, frozen));
            let is_chosen = chosen == Some(address);
            let mut reasons = Vec::new();
            match frozen {
                None => reasons.push(self.out_of_reach(group, address, now)),
                Some(frozen) => reasons.extend(successor::holds_nothing(group, frozen)),
            }
            reasons.extend(barred.clone());
            if let Some(bytes) = behind.filter(|bytes| *bytes > 0) {
                reasons.push(format!("behind by {bytes} bytes"));
            }
            if !group.sync_set().members.contains_key(address) {
                reasons.push("not in the sync set".to_owned());
            }
            if is_chosen && behind.is_some_and(|bytes| bytes > 0) {
                reasons.insert(0, "takes over first what only one has that may not be master".to_owned());
            } else if is_chosen {
                reasons.insert(0, "holds the most of the agreed history".to_owned());
            } else if let Some(chosen) = chosen.filter(|_| reasons.is_empty()) {
                reasons.push(format!("holds as much, and {chosen} is preferred"));
            }
            CandidateExplanation {
                address: address.clone(),
                chosen: is_chosen,
                eligible: offset.is_some() && barred.is_none(),
                offset,
                behind_bytes: behind,
                priority: facts.map(|facts| facts.priority),
                zone: group.settings.policy.zone(address).map(str::to_owned),
                in_sync_set: group.sync_set().members.contains_key(address),
                reasons,
            }
        };
        group.replicas.iter().map(explain).collect()
    }

    fn out_of_reach(&self, group: &Group, address: &Address, now: Instant) -> String {
        match self.registry.get(address) {
            Some(instance) if subjective::down(instance, group, now) => {
                format!("unreachable: no answer for {} ms", instance.silence(now).as_millis())
            }
            Some(instance) if !instance.up() => "unreachable: not connected".to_owned(),
            _ => "nothing is known of it yet".to_owned(),
        }
    }

    /// After a crash that is refused, and after silence, in milliseconds.
    fn estimate(&self, group: &Group) -> (u64, u64) {
        let settings = &group.settings;
        let lease = Duration::from_millis(self.config.lease_milliseconds);
        // A grant counts from the stamp before it; the replicas' word from when the master died.
        let word = (lease - lease / RENEWALS_PER_LEASE).max(vouching::of_replicas(lease));
        let vouched = if group.bundled { with_margin(word) } else { Duration::ZERO };
        let silent = settings.down_after().max(vouched) + STEPS;
        let grace = settings.crash_grace();
        let crash = if grace.is_zero() { silent } else { grace.max(vouched) + STEPS };
        (crash.as_millis() as u64, silent.as_millis() as u64)
    }
}
