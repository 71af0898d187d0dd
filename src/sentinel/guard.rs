//! What holds an automatic failover back: maintenance, too many failovers of one group, too many
//! groups gone at once. Judged anew at each look; agreed (`policy`), so that every sentinel says the
//! same and a new leader goes on holding.
//!
//! A failover that has begun is never held: half of one is worse than either end. Neither is one that
//! an operator asked for.

use super::Action;
use super::decision::Decision;
use super::lead::Work;
use super::ledger::{Group, Ledger};
use super::node::Sentinel;
use super::objective::Verdict;
use super::policy::{Guard, PolicyDecision};
use crate::model::Address;
use crate::stdx::time::{Duration, Instant, Now};
use std::collections::{BTreeMap, BTreeSet};

/// Masters lost within this time were lost together: longer than the slowest default needs from the
/// first suspicion (2 s) to the last verdict, shorter than two faults that have nothing in common.
pub(super) const TOGETHER: Duration = Duration::from_secs(30);
/// With fewer groups a part of all of them says nothing.
pub(super) const GROUPS_MIN: usize = 3;
/// A proposal about the fleet without an effect for this long is made again.
const PROPOSAL_LIMIT: Duration = Duration::from_secs(2);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hold {
    pub guard: Guard,
    pub reason: String,
    pub until_ms: Option<u64>,
}

/// What the look at one group must know of all the others.
#[derive(Clone, Debug, Default)]
pub(super) struct FleetView {
    /// Held as agreed: why.
    pub held: Option<String>,
    /// Not agreed yet, and to be: who is gone, and why that is too much.
    pub blast: Option<(BTreeSet<String>, String)>,
}

/// What holds an automatic failover of this group back now, if anything does. `wall_ms`: now, as
/// entries are stamped.
pub(super) fn holding(group: &Group, fleet: &FleetView, wall_ms: u64) -> Option<Hold> {
    let policy = &group.policy;
    if let Some(pause) = &policy.pause {
        let reason = format!("the group is in maintenance{}", pause.describe());
        return Some(Hold { guard: Guard::Pause, reason, until_ms: pause.until_ms });
    }
    let blast = fleet.held.as_ref().or(fleet.blast.as_ref().map(|(_, reason)| reason));
    if let Some(reason) = blast {
        return Some(Hold { guard: Guard::BlastRadius, reason: reason.clone(), until_ms: None });
    }
    let limits = &group.settings.policy;
    let until_ms = policy.next_failover_ms(limits).filter(|until| wall_ms < *until)?;
    let reason = format!(
        "{} automatic failovers within {} s are the limit; SENTINEL ACKNOWLEDGE {} lets it go on",
        limits.failovers_max,
        limits.failovers_window_ms / 1000,
        group.name
    );
    Some(Hold { guard: Guard::AntiFlap, reason, until_ms: Some(until_ms) })
}

#[derive(Clone, Debug)]
struct Loss {
    since: Instant,
    master: Address,
    /// Not well at the last look.
    gone: bool,
    /// It was well before, in this process's own sight.
    seen: bool,
}

/// The masters that this sentinel saw go, over all groups.
#[derive(Debug, Default)]
pub(super) struct FleetGuard {
    lost: BTreeMap<String, Loss>,
    pub proposed_at: Option<Instant>,
}

impl FleetGuard {
    /// A suspicion counts: when the first of many masters is held to be down, the others that went
    /// with it are suspects, so nothing has to wait until all are judged.
    pub fn note(&mut self, now: Instant, group: &Group, verdict: Verdict, seen: bool) {
        let well = verdict == Verdict::Well || group.policy.pause.is_some();
        let known = self.lost.get_mut(&group.name);
        match (known, well) {
            (None, true) => {}
            (Some(loss), true) if loss.master == group.master || now.since(loss.since) > TOGETHER => {
                self.lost.remove(&group.name);
            }
            // Failed over: the loss was one all the same.
            (Some(loss), true) => loss.gone = false,
            (Some(loss), false) if loss.master == group.master => loss.gone = true,
            (_, false) => {
                let loss = Loss { since: now, master: group.master.clone(), gone: true, seen };
                self.lost.insert(group.name.clone(), loss);
            }
        }
    }

    pub fn forget(&mut self, group: &str) {
        self.lost.remove(group);
    }

    fn recent(&self, now: Instant) -> impl Iterator<Item = &String> {
        let together = move |loss: &Loss| loss.seen && now.since(loss.since) <= TOGETHER;
        self.lost.iter().filter(move |(_, loss)| together(loss)).map(|(name, _)| name)
    }

    pub fn view(&self, now: Instant, ledger: &Ledger, percent: u64) -> FleetView {
        let held = ledger.held.as_ref().filter(|held| !held.acknowledged).map(|held| held.reason.clone());
        let total = ledger.groups.len();
        if ledger.held.is_some() || percent == 0 || total < GROUPS_MIN {
            return FleetView { held, blast: None };
        }
        let lost: BTreeSet<String> = self.recent(now).cloned().collect();
        let blast = exceeds(lost.len(), total, percent).then(|| {
            let reason = format!(
                "{} of {total} groups lost their master within {} s, more than {percent} %",
                lost.len(),
                TOGETHER.as_secs()
            );
            (lost, reason)
        });
        FleetView { held, blast }
    }

    /// Those that made the hold, and whoever went since, are few enough again.
    pub fn cleared(&self, now: Instant, ledger: &Ledger, percent: u64) -> bool {
        let Some(held) = &ledger.held else { return false };
        let recent: BTreeSet<&String> = self.recent(now).collect();
        let counts = |name: &String| held.groups.contains(name) || recent.contains(name);
        let gone = self.lost.iter().filter(|(name, loss)| loss.gone && counts(name)).count();
        percent == 0 || !exceeds(gone, ledger.groups.len(), percent)
    }

    /// Whether a decision about the fleet may be proposed (again) now.
    pub fn may_propose(&self, now: Instant) -> bool {
        self.proposed_at.is_none_or(|at| now.since(at) > PROPOSAL_LIMIT)
    }
}

fn exceeds(lost: usize, total: usize, percent: u64) -> bool {
    lost as u64 * 100 > percent * total as u64
}

impl Sentinel {
    /// As the fleet agreed on it; as the file says, where nobody has yet.
    pub(super) fn blast_radius_percent(&self) -> u64 {
        self.ledger.fleet.blast_radius_percent.unwrap_or(self.config.blast_radius_percent)
    }

    /// What a leader agrees on for the fleet as a whole.
    pub(super) fn keep_fleet_guard(
        &mut self,
        now: Now,
        hold: Option<(BTreeSet<String>, String)>,
        actions: &mut Vec<Action>,
    ) {
        if !self.in_office() || !self.guard.may_propose(now.mono) {
            return;
        }
        let percent = self.blast_radius_percent();
        let decision = match hold {
            Some((groups, reason)) if self.ledger.held.is_none() => {
                PolicyDecision::HoldAll { groups, reason }
            }
            _ if self.guard.cleared(now.mono, &self.ledger, percent) => {
                PolicyDecision::ReleaseAll { acknowledged: false }
            }
            _ => return,
        };
        self.guard.proposed_at = Some(now.mono);
        if matches!(decision, PolicyDecision::ReleaseAll { .. }) {
            // Those that failed over meanwhile are dealt with: the next loss is another one.
            self.guard.lost.retain(|_, loss| loss.gone);
        }
        // Should it not be taken, the next look proposes it again.
        let _ = self.propose(now, vec![Decision::Policy(decision)], actions);
    }
}

impl Work<'_> {
    /// Whether something automatic must not be done now; `would` says what, for people.
    pub(super) fn held_back(&mut self, would: &str) -> bool {
        let Some(hold) = holding(self.group, &self.fleet, self.wall_ms) else {
            self.unheld = true;
            return false;
        };
        self.hold = Some(Hold { reason: format!("{would}; {}", hold.reason), ..hold });
        true
    }

    /// Agrees on what is held back, once, and on its end.
    pub(super) fn settle_hold(&mut self, verdict: Verdict) {
        let group = self.group.name.clone();
        let agreed = self.group.policy.held.as_ref();
        match self.hold.take() {
            // The fleet's own hold comes first: it says the same of every group.
            Some(hold) if hold.guard == Guard::BlastRadius && self.fleet.held.is_none() => {
                self.hold_fleet = true;
            }
            Some(Hold { guard, reason, until_ms }) => {
                if agreed.is_none_or(|held| held.guard != guard || held.reason != reason) {
                    let hold = PolicyDecision::Hold { group, guard, reason, until_ms };
                    self.decisions.push(Decision::Policy(hold));
                }
            }
            None => {
                let over = self.unheld || self.group.failing_over() || verdict == Verdict::Well;
                if agreed.is_some() && over {
                    self.decisions.push(Decision::Policy(PolicyDecision::Release { group }));
                }
            }
        }
    }
}

#[cfg(test)]
#[path = "guard_tests.rs"]
mod tests;
