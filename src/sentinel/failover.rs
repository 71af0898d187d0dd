//! Conducting an open failover: the promotion rule, step by step. The log holds the phase, so a new
//! leader goes on where the last one stopped; what is kept here can be found out again.
//!
//! Freeze before reading: an offset read from a replica that still streams may be behind a write
//! that WAIT has promised. The old master's own offset never competes.

use super::decision::{AbortKind, Cause, Decision};
use super::facts::{BundledRole, Facts};
use super::lead::Work;
use super::lease::with_margin;
use super::ledger::{Failover, Phase, Rule};
use super::loss;
use super::registry::Instance;
use super::request::Request;
use super::subjective;
use super::successor::{self, Choice, Frozen};
use super::switchover::Planned;
use super::veto::Veto;
use crate::model::{Address, Epoch, Offset, RunId, vouching};
use crate::resp::Reply;
use crate::stdx::time::{Duration, Instant};
use std::collections::BTreeMap;

const ASK_AGAIN: Duration = Duration::from_millis(100);
/// Once enough have answered, how long those that could still answer are waited for.
const LATECOMERS: Duration = Duration::from_millis(500);
/// How long enough are waited for before the attempt is given up.
const FREEZE_LIMIT: Duration = Duration::from_secs(3);
/// How long a planned handover waits for a replica to catch up.
const HANDOVER_LIMIT: Duration = Duration::from_secs(2);
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// What this leader did and learned in one failover.
#[derive(Debug)]
pub(super) struct Conduct {
    pub epoch: Epoch,
    phase: Phase,
    pub since: Instant,
    pub(super) frozen: BTreeMap<Address, Frozen>,
    asked: BTreeMap<Address, Instant>,
    pub planned: Planned,
    pub veto: Veto,
    /// What the old master had when it stopped.
    pub handed_over: Option<Frozen>,
    /// Asked to stop, for a stock master: when.
    paused_at: Option<Instant>,
    met_at: Option<Instant>,
}

impl Conduct {
    fn new(failover: &Failover, now: Instant) -> Self {
        Conduct {
            epoch: failover.epoch,
            phase: failover.phase,
            since: now,
            frozen: BTreeMap::new(),
            asked: BTreeMap::new(),
            planned: Planned::default(),
            veto: Veto::default(),
            handed_over: None,
            paused_at: None,
            met_at: None,
        }
    }

    /// The old master as it stood still, if it was asked to, and the replicas that do.
    pub fn copies(&self) -> (Option<&Frozen>, &BTreeMap<Address, Frozen>) {
        (self.handed_over.as_ref(), &self.frozen)
    }

    /// The answer of a bundled server to FENCE.
    pub fn fenced(
        &mut self,
        now: Instant,
        address: &Address,
        master: &Address,
        facts: &Facts,
        reply: &Reply,
    ) {
        let Some(frozen) = Frozen::from_fence(reply, facts, now) else { return };
        if address == master {
            self.handed_over = Some(frozen);
        } else {
            self.frozen.insert(address.clone(), frozen);
        }
    }
}

impl Work<'_> {
    pub(super) fn conduct(&mut self, failover: &Failover) {
        let stale = self.own.conduct.as_ref().is_none_or(|c| c.epoch != failover.epoch);
        if stale {
            self.own.conduct = Some(Conduct::new(failover, self.now));
        }
        let Some(mut conduct) = self.own.conduct.take() else { return };
        if conduct.phase != failover.phase {
            conduct.phase = failover.phase;
            conduct.since = self.now;
            conduct.asked.clear();
        }
        self.next = self.next.min(self.now + LOOK_AGAIN);
        match failover.phase {
            Phase::Begun => self.freeze_and_choose(failover, &mut conduct),
            Phase::Promoted => self.promote(failover, &mut conduct),
            Phase::Switched => self.release(failover, &mut conduct),
        }
        self.own.conduct = Some(conduct);
    }

    pub(super) fn abort(
        &mut self,
        failover: &Failover,
        conduct: &Conduct,
        kind: AbortKind,
        reason: impl Into<String>,
    ) {
        if !matches!(kind, AbortKind::RolledBack | AbortKind::CaughtUp) {
            self.own.put_off(self.now);
        }
        if failover.cause.planned() && (conduct.paused_at.is_some() || conduct.planned.may_be_paused()) {
            let master = self.group.master.clone();
            self.send(&master, Request::ResumeWrites);
        }
        self.decisions.push(Decision::Abort {
            group: self.group.name.clone(),
            epoch: failover.epoch,
            kind,
            reason: reason.into(),
            untouched: conduct.planned.untouched(),
        });
    }

    pub(super) fn acting_epoch(&self, epoch: Epoch) -> Epoch {
        if self.bugs.epoch_reused { self.group.epoch } else { epoch }
    }

    /// May be asked now (again)?
    pub(super) fn due(&mut self, conduct: &mut Conduct, address: &Address) -> bool {
        let due = conduct.asked.get(address).is_none_or(|at| self.now.since(*at) >= ASK_AGAIN);
        if due {
            conduct.asked.insert(address.clone(), self.now);
        }
        due
    }

    fn freeze_and_choose(&mut self, failover: &Failover, conduct: &mut Conduct) {
        let master = self.registry.get(&self.group.master);
        if !failover.cause.planned() && master.is_some_and(|m| self.master_is_back(m, failover, conduct)) {
            return self.abort(
                failover,
                conduct,
                AbortKind::MasterBack,
                "the master answers again as it was",
            );
        }
        // Writes are not held back while the hook thinks.
        if self.hook_holds(failover, conduct, failover.cause.planned()) {
            return;
        }
        if failover.cause.planned() && self.switch_over(failover, conduct) {
            return;
        }
        if failover.cause.planned() && !self.handed_over(failover, conduct) {
            return;
        }
        if failover.cause == Cause::Restarted {
            self.ask_restarted_master(conduct);
        }
        self.freeze(conduct);
        self.choose(failover, conduct);
    }

    /// Alive, the same process, and still master: no reason for a failover is left.
    fn master_is_back(&self, master: &Instance, failover: &Failover, conduct: &Conduct) -> bool {
        let alike = master.since(conduct.since).is_some_and(|facts| {
            facts.is_master() && !facts.awaiting() && facts.run_id == self.group.run_id && !facts.loading
        });
        let cause = matches!(failover.cause, Cause::Silent | Cause::Crashed | Cause::WrongRole);
        cause && alike && master.valid_at > conduct.since && master.complaint.is_none()
    }

    /// Planned: the master stops taking writes, and a replica gets all it has. True when it is time to
    /// freeze the replicas.
    fn handed_over(&mut self, failover: &Failover, conduct: &mut Conduct) -> bool {
        let address = self.group.master.clone();
        let reachable = self.registry.get(&address).is_some_and(|m| m.current().is_some());
        let waited = self.now.since(conduct.since);
        if conduct.handed_over.is_none() {
            if !reachable {
                // Nobody to hand over: from here on like a failover for cause, under the same rule.
                return true;
            }
            if self.due(conduct, &address) {
                if self.group.bundled {
                    let request = Request::Fence {
                        group: self.group.name.clone(),
                        epoch: self.acting_epoch(failover.epoch),
                    };
                    self.send(&address, request);
                } else {
                    conduct.paused_at.get_or_insert(self.now);
                    self.send(&address, Request::PauseWrites { ms: 2 * HANDOVER_LIMIT.as_millis() as u64 });
                    self.ask(&address);
                }
            }
            if let Some(at) = conduct.paused_at {
                let facts = self.registry.get(&address).and_then(|m| m.since(at));
                conduct.handed_over = facts.and_then(Frozen::from_facts);
            }
        }
        let Some(handed) = &conduct.handed_over else {
            if waited > HANDOVER_LIMIT && failover.cause == Cause::Manual {
                self.abort(
                    failover,
                    conduct,
                    AbortKind::NoGoodReplica,
                    "the master did not stop taking writes in time",
                );
            }
            return waited > HANDOVER_LIMIT && failover.cause == Cause::Forced;
        };
        let goal = handed.offset;
        let candidates: Vec<Address> = match &failover.target {
            Some(target) => vec![target.clone()],
            None => self.group.replicas.iter().cloned().collect(),
        };
        let mut caught_up = conduct.frozen.values().any(|frozen| frozen.offset >= goal);
        for candidate in &candidates {
            let Some(replica) = self.registry.get(candidate) else { continue };
            let holds =
                replica.current().is_some_and(|f| f.offset >= goal && f.history == self.group.history);
            caught_up |= holds;
            if !holds && !replica.awaits(|request| *request == Request::Info) {
                self.ask(candidate);
            }
        }
        if caught_up {
            return true;
        }
        if waited > HANDOVER_LIMIT {
            if failover.cause == Cause::Forced {
                return true;
            }
            self.abort(
                failover,
                conduct,
                AbortKind::NoGoodReplica,
                format!("no replica caught up with offset {goal} in time"),
            );
        }
        false
    }

    /// A restarted bundled master is asked what it still has: it may be the only one with anything.
    fn ask_restarted_master(&mut self, conduct: &mut Conduct) {
        let address = self.group.master.clone();
        let Some(facts) = self.registry.get(&address).and_then(Instance::current) else { return };
        if facts.bundled.is_none() {
            conduct.handed_over = Frozen::from_facts(facts);
        } else if conduct.handed_over.is_none() && self.due(conduct, &address) {
            self.send(
                &address,
                Request::Fence { group: self.group.name.clone(), epoch: self.acting_epoch(conduct.epoch) },
            );
        }
    }

    fn freeze(&mut self, conduct: &mut Conduct) {
        for address in self.group.replicas.clone() {
            let Some(facts) = self.registry.get(&address).and_then(Instance::current) else { continue };
            // One that restarted since it was frozen is asked again.
            if conduct.frozen.get(&address).is_some_and(|f| Some(&f.run_id) == facts.run_id.as_ref()) {
                continue;
            }
            conduct.frozen.remove(&address);
            // It is told nothing, and it has been read.
            if self.is_foreign(&address) {
                conduct.frozen.extend(Frozen::from_facts(facts).map(|frozen| (address.clone(), frozen)));
                continue;
            }
            if facts.bundled.is_some() {
                if self.due(conduct, &address) {
                    let request = Request::Fence {
                        group: self.group.name.clone(),
                        epoch: self.acting_epoch(conduct.epoch),
                    };
                    self.send(&address, request);
                }
                continue;
            }
            let still = Request::frozen_master();
            let asked_at = conduct.asked.get(&address).copied();
            let held = asked_at.is_some_and(|at| facts.asked_at >= at) && facts.follows(&still);
            if held {
                if let Some(frozen) = Frozen::from_facts(facts) {
                    conduct.frozen.insert(address.clone(), frozen);
                }
            } else if self.due(conduct, &address) && self.send(&address, Request::Freeze) {
                self.ask(&address);
            }
        }
        for frozen in conduct.frozen.values_mut() {
            frozen.synced |= self.bugs.unsynced_is_eligible;
            if self.bugs.any_history_counts || self.bugs.unsynced_is_eligible {
                frozen.history.clone_from(&self.group.history);
            }
        }
        if self.bugs.offsets_before_freeze {
            for address in &self.group.replicas {
                let facts = self.registry.get(address).and_then(|i| i.facts.as_ref());
                if let Some(mut frozen) = facts.and_then(Frozen::from_facts) {
                    frozen.synced = true;
                    conduct.frozen.entry(address.clone()).or_insert(frozen);
                }
            }
        }
    }

    fn choose(&mut self, failover: &Failover, conduct: &mut Conduct) {
        let holding: BTreeMap<Address, RunId> = conduct
            .frozen
            .iter()
            .filter(|(_, frozen)| frozen.holds(self.group).is_some())
            .map(|(address, frozen)| (address.clone(), frozen.run_id.clone()))
            .collect();
        let rule = if self.bugs.rule_ignored && !holding.is_empty() {
            Rule::Met
        } else if self.bugs.restarted_members_count {
            let named = |(a, run): (&Address, &RunId)| {
                let known = self.group.sets.iter().find_map(|set| set.members.get(a));
                (a.clone(), known.unwrap_or(run).clone())
            };
            self.group.promotion_rule(&holding.iter().map(named).collect())
        } else {
            self.group.promotion_rule(&holding)
        };
        if self.bugs.restarted_master_kept && self.reconfirm(failover, conduct) {
            return;
        }
        if self.bugs.old_master_competes {
            let best = conduct.frozen.values().map(|frozen| frozen.offset).max();
            if conduct.handed_over.as_ref().is_some_and(|master| Some(master.offset) >= best)
                && self.keep_master(failover, conduct)
            {
                return;
            }
        }
        let last_resort = (self.all_is_seen(failover, conduct) && holding.is_empty() && self.group.bundled)
            .then(|| successor::last_resort(self.group, &conduct.frozen))
            .flatten();
        let waited = self.now.since(conduct.since);
        let silent_ones = self.group.replicas.iter().any(|address| {
            let reachable = self
                .registry
                .get(address)
                .is_some_and(|i| i.up() && !subjective::down(i, self.group, self.now));
            reachable && !conduct.frozen.contains_key(address)
        });
        let take_risk = !self.group.settings.safe() || failover.cause == Cause::Forced;
        let risk = match &rule {
            Rule::Met => {
                let met_at = *conduct.met_at.get_or_insert(self.now);
                if silent_ones && self.now.since(met_at) < LATECOMERS {
                    return;
                }
                None
            }
            short => {
                // What the restarted master still has weighs as much as what the replicas have.
                let silent_master = failover.cause == Cause::Restarted && conduct.handed_over.is_none();
                let silent = silent_master || (failover.cause == Cause::Restarted && silent_ones);
                if silent && waited < LATECOMERS {
                    return;
                }
                if failover.cause == Cause::Restarted && self.reconfirm(failover, conduct) {
                    return;
                }
                let take_risk = take_risk || self.all_is_seen(failover, conduct);
                let patient = if take_risk { LATECOMERS } else { FREEZE_LIMIT };
                if (silent_ones || !take_risk)
                    && waited < patient.max(LATECOMERS)
                    && (silent_ones || waited < LATECOMERS)
                {
                    return;
                }
                if !take_risk || (holding.is_empty() && last_resort.is_none()) {
                    let reason = self.explain_short(&short.explain(), &conduct.frozen);
                    self.own.fruitless = self.found_nobody_in_all(conduct);
                    return self.abort(failover, conduct, AbortKind::NoGoodReplica, reason);
                }
                Some(short.explain())
            }
        };
        let (address, offset) =
            match successor::choose(self.group, &conduct.frozen, failover.wanted(), take_risk) {
                Choice::Promote(address, offset) => (address, offset),
                Choice::Nobody(reason) => match last_resort {
                    Some(choice) => choice,
                    None if self.fetch_tail(failover, conduct) => return,
                    None => {
                        self.own.fruitless = self.found_nobody_in_all(conduct);
                        return self.abort(failover, conduct, AbortKind::NoGoodReplica, reason);
                    }
                },
            };
        let least = conduct.frozen.iter().filter_map(|(a, f)| Some((f.holds(self.group)?, a.clone()))).min();
        let (address, offset) = match least.filter(|_| self.bugs.least_is_chosen) {
            Some((offset, address)) => (address, offset),
            None => (address, offset),
        };
        let loss = self.own.trail.loss(self.group, offset, self.now);
        if failover.cause != Cause::Forced
            && let Some(reason) = loss::too_much(self.group, loss)
        {
            return self.abort(failover, conduct, AbortKind::NoGoodReplica, format!("{address}: {reason}"));
        }
        if self.hook_holds(failover, conduct, true) {
            return;
        }
        let until = self.silence_until(conduct);
        if until > self.now {
            self.next = self.next.min(until);
            return;
        }
        if self.bugs.told_before_agreed && self.due(conduct, &address) {
            let (group, epoch) = (self.group.name.clone(), failover.epoch);
            self.send(&address, Request::Promote { group, epoch });
        }
        let Some(chosen) = conduct.frozen.get(&address) else { return };
        if failover.standby.as_ref().is_some_and(|standby| standby.run_id != chosen.run_id) {
            let reason = format!("{address} restarted before it was master");
            return self.abort(failover, conduct, AbortKind::ReplicaTimeout, reason);
        }
        let holds = |frozen: &Frozen| frozen.holds(self.group);
        let equals = conduct
            .frozen
            .iter()
            .filter(|(a, frozen)| **a != address && holds(frozen) == Some(offset))
            .map(|(a, frozen)| (a.clone(), frozen.run_id.clone()))
            .collect();
        let offsets: Vec<(Address, Offset)> =
            conduct.frozen.iter().map(|(a, frozen)| (a.clone(), frozen.offset)).collect();
        self.decisions.push(Decision::Promote {
            group: self.group.name.clone(),
            epoch: failover.epoch,
            successor: address.clone(),
            run_id: chosen.run_id.clone(),
            offset,
            equals,
            offsets,
            risk,
        });
        self.remember_preferred(failover, conduct, &address, offset);
    }

    fn found_nobody_in_all(&self, conduct: &Conduct) -> bool {
        self.own
            .tried
            .as_ref()
            .is_some_and(|tried| tried.all_in(&conduct.frozen, conduct.handed_over.is_some()))
    }

    /// The rule's own reason, and what is wrong with those that hold nothing.
    fn explain_short(&self, rule: &str, frozen: &BTreeMap<Address, Frozen>) -> String {
        let useless = |(address, frozen): (&Address, &Frozen)| {
            successor::holds_nothing(self.group, frozen).map(|why| format!("; {address} {why}"))
        };
        frozen.iter().filter_map(useless).fold(rule.to_owned(), |text, why| text + &why)
    }

    /// When the old master can no longer be vouched for, by a lease or by what frozen replicas had
    /// acknowledged. One that was fenced answers nobody from then on.
    fn silence_until(&self, conduct: &Conduct) -> Instant {
        if !self.group.bundled || conduct.handed_over.is_some() || self.bugs.lease_not_awaited {
            return self.now;
        }
        let Some(office) = self.office else { return self.now };
        let by_replicas = conduct.frozen.values().filter_map(|f| f.heard_at).max();
        let vouched = by_replicas.map(|at| at + with_margin(vouching::of_replicas(office.lease)));
        self.own.lease.end.max(vouched.unwrap_or(self.now))
    }

    /// Every data server of the group, the restarted master included, was read after
    /// its restart or its freeze. What
    /// none of them has exists nowhere, so waiting for it would be waiting for ever: the best copy is
    /// taken and the risk is told.
    fn all_is_seen(&self, failover: &Failover, conduct: &Conduct) -> bool {
        failover.cause == Cause::Restarted
            && conduct.handed_over.is_some()
            && self.group.replicas.iter().all(|address| conduct.frozen.contains_key(address))
    }

    /// Nobody may be promoted, and the restarted master has at least as much as everyone who counts:
    /// it keeps its role. An empty one never does while somebody has data, or is missing.
    fn reconfirm(&mut self, failover: &Failover, conduct: &Conduct) -> bool {
        let Some(master) = &conduct.handed_over else { return false };
        if self.bugs.restarted_master_kept {
            return self.keep_master(failover, conduct);
        }
        let answered = |address: &Address| conduct.frozen.contains_key(address);
        let had = if master.synced { master.holds(self.group) } else { None };
        let may_miss_some = !self.group.settings.safe() && had.is_some_and(|offset| offset > 0);
        if !may_miss_some && !self.group.replicas.iter().all(answered) {
            return false;
        }
        let more = conduct.frozen.values().any(|frozen| match (frozen.holds(self.group), had) {
            (Some(theirs), Some(ours)) => theirs > ours,
            (Some(theirs), None) => theirs > 0,
            // Of no history that is known here, not the master's own, and not empty: whatever it is, it
            // is not wiped. A stock master that restarts makes such histories by itself, each time.
            (None, None) => {
                let strange = frozen.history != master.history;
                self.group.bundled && strange && frozen.synced && frozen.offset > 0
            }
            (None, Some(_)) => false,
        });
        if more {
            return false;
        }
        self.keep_master(failover, conduct)
    }

    fn keep_master(&mut self, failover: &Failover, conduct: &Conduct) -> bool {
        let Some(master) = &conduct.handed_over else { return false };
        self.decisions.push(Decision::Reconfirm {
            group: self.group.name.clone(),
            epoch: failover.epoch,
            run_id: master.run_id.clone(),
            reason: format!(
                "restarted with offset {}; none of {} replicas has more",
                master.offset,
                self.group.replicas.len()
            ),
        });
        true
    }

    /// The log named the successor: it is told, and believed when INFO says so.
    fn promote(&mut self, failover: &Failover, conduct: &mut Conduct) {
        let Some(address) = failover.successor.clone() else { return };
        // A zombie master that shows itself meanwhile is silenced at once.
        let old = self.group.master.clone();
        let zombie = self.registry.get(&old).and_then(Instance::current).is_some_and(|facts| {
            facts.bundled.as_ref().is_some_and(|b| b.role == BundledRole::Master && b.epoch < failover.epoch)
        });
        if zombie && self.due(conduct, &old) {
            self.send(&old, Request::Fence { group: self.group.name.clone(), epoch: failover.epoch });
            self.ask(&old);
        }
        let limit = self.group.settings.down_after().max(Duration::from_secs(2));
        let limit = limit.min(self.group.settings.failover_timeout());
        if self.now.since(conduct.since) > limit {
            let reason = format!("{address} did not become master within {} ms", limit.as_millis());
            return self.abort(failover, conduct, AbortKind::ReplicaTimeout, reason);
        }
        let Some(facts) = self.registry.get(&address).and_then(Instance::current) else { return };
        if facts.run_id != failover.successor_run {
            let reason = format!("{address} restarted before it was master");
            return self.abort(failover, conduct, AbortKind::ReplicaTimeout, reason);
        }
        let told = conduct.asked.get(&address).copied();
        let epoch = self.acting_epoch(failover.epoch);
        let is_master = match &facts.bundled {
            Some(bundled) => bundled.role == BundledRole::Master && bundled.epoch == epoch,
            None => facts.is_master(),
        };
        if is_master && told.is_some_and(|at| facts.asked_at >= at) {
            if let (Some(run_id), Some(history)) = (facts.run_id.clone(), facts.history.clone()) {
                self.decisions.push(Decision::Switch {
                    group: self.group.name.clone(),
                    epoch: failover.epoch,
                    run_id,
                    history,
                    bundled: facts.bundled.is_some(),
                });
            }
            return;
        }
        let bundled = facts.bundled.is_some();
        if self.due(conduct, &address) {
            let request = if bundled {
                Request::Promote { group: self.group.name.clone(), epoch }
            } else {
                Request::ReplicaOfNoOne
            };
            self.send(&address, request);
            if bundled {
                self.ask_for_stamp(&address, epoch);
            }
            self.ask(&address);
        }
    }
}
