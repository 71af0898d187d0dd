//! Maintenance, holds and the count of failovers: what applying their decisions makes. Deterministic;
//! the only time it knows is the entry's own.

use super::scribe::{Scribe, detail};
use super::{Group, Ledger};
use crate::config::policy::Policy as Limits;
use crate::model::event::EventKind;
use crate::model::{Address, Offset};
use crate::sentinel::policy::{Guard, PolicyDecision};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// A group's part.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Policy {
    pub pause: Option<Pause>,
    /// Replicas in maintenance.
    pub instances: BTreeMap<Address, Pause>,
    pub held: Option<Held>,
    /// When the automatic failovers of the current window were published.
    pub automatic_ms: VecDeque<u64>,
    /// The limit was reached: from now on one per window.
    pub flapping: bool,
    /// The preferred replica that was behind when the master fell.
    pub handover: Option<Handover>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    pub owner: String,
    pub reason: String,
    pub since_ms: u64,
    pub until_ms: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    pub guard: Guard,
    pub reason: String,
    pub since_ms: u64,
    pub until_ms: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handover {
    pub target: Address,
    pub since_ms: u64,
    /// What it had, and what the successor had, at the failover.
    pub had: Offset,
    pub best: Offset,
}

/// All automatic failovers are held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FleetHeld {
    pub since_ms: u64,
    pub reason: String,
    pub groups: BTreeSet<String>,
    /// An operator said to go on; it stands until the groups are back, so that they hold nothing again.
    pub acknowledged: bool,
}

impl Pause {
    /// `by ops until 12:00:00 UTC: kernel upgrade`
    pub fn describe(&self) -> String {
        let owner = if self.owner.is_empty() { String::new() } else { format!(" by {}", self.owner) };
        let reason = if self.reason.is_empty() { String::new() } else { format!(" ({})", self.reason) };
        format!("{owner}{reason}")
    }
}

impl Policy {
    pub fn has_counted(&self) -> bool {
        self.flapping || !self.automatic_ms.is_empty()
    }

    /// When the next automatic failover may be, if not now: milliseconds on the wall clock.
    pub fn next_failover_ms(&self, limits: &Limits) -> Option<u64> {
        let last = self.automatic_ms.back()?;
        (self.flapping && limits.failovers_max > 0).then(|| last + limits.failovers_window_ms)
    }

    /// An automatic failover was published. Two windows without one end the flapping.
    pub(super) fn count(&mut self, at_ms: u64, limits: &Limits) {
        let window = limits.failovers_window_ms;
        if self.automatic_ms.back().is_some_and(|last| at_ms.saturating_sub(*last) >= 2 * window) {
            self.flapping = false;
        }
        self.automatic_ms.retain(|at| at_ms.saturating_sub(*at) < window);
        self.automatic_ms.push_back(at_ms);
        // With no limit, or with a clock that stands, the list must not grow.
        while self.automatic_ms.len() as u64 > crate::config::policy::FAILOVERS_MAX {
            self.automatic_ms.pop_front();
        }
        self.flapping |= limits.failovers_max > 0 && self.automatic_ms.len() as u64 >= limits.failovers_max;
    }

    pub(super) fn forget(&mut self, instance: &Address) {
        self.instances.remove(instance);
        if self.handover.as_ref().is_some_and(|handover| handover.target == *instance) {
            self.handover = None;
        }
    }
}

impl Ledger {
    /// Automatic failovers are held all over the fleet.
    pub fn holds_all(&self) -> bool {
        self.held.as_ref().is_some_and(|held| !held.acknowledged)
    }

    pub(super) fn decide_policy(&mut self, decision: &PolicyDecision, scribe: &mut Scribe<'_>) {
        match decision {
            PolicyDecision::HoldAll { groups, reason } => {
                if self.held.is_none() {
                    self.held = Some(FleetHeld {
                        since_ms: scribe.at_ms,
                        reason: reason.clone(),
                        groups: groups.clone(),
                        acknowledged: false,
                    });
                    let event = scribe.fleet(EventKind::FailoversHeld, reason.clone());
                    let names: Vec<&str> = groups.iter().map(String::as_str).collect();
                    detail(event, "groups", names.join(","));
                }
            }
            PolicyDecision::ReleaseAll { acknowledged } => {
                let Some(held) = &mut self.held else { return };
                let told = held.acknowledged;
                let reason = match (acknowledged, self.fleet.blast_radius_percent) {
                    (true, _) => "acknowledged",
                    (false, Some(0)) => "blast-radius-percent was set to 0",
                    (false, _) => "the masters are back",
                };
                if *acknowledged {
                    held.acknowledged = true;
                } else {
                    self.held = None;
                }
                if !told {
                    scribe.fleet(EventKind::FailoversReleased, reason.to_owned());
                }
            }
            _ => {
                if let Some(group) = decision.group().and_then(|name| self.groups.get_mut(name)) {
                    group.decide_policy(decision, scribe);
                }
            }
        }
    }
}

impl Group {
    fn decide_policy(&mut self, decision: &PolicyDecision, scribe: &mut Scribe<'_>) {
        match decision {
            PolicyDecision::Pause { instance, owner, reason, for_ms, .. } => {
                let since_ms = scribe.at_ms;
                let until_ms = for_ms.map(|ms| since_ms.saturating_add(ms));
                let pause = Pause { owner: owner.clone(), reason: reason.clone(), since_ms, until_ms };
                let about = match instance {
                    None => {
                        self.policy.pause = Some(pause);
                        self.master.clone()
                    }
                    Some(instance) if self.replicas.contains(instance) => {
                        self.policy.instances.insert(instance.clone(), pause);
                        instance.clone()
                    }
                    Some(_) => return,
                };
                let length = for_ms.map_or("until resumed".to_owned(), |ms| format!("for {} s", ms / 1000));
                let event = scribe.instance(EventKind::Pause, self, &about, &length);
                for (name, value) in [("owner", owner), ("reason", reason)] {
                    if !value.is_empty() {
                        detail(event, name, value);
                    }
                }
                if let Some(until_ms) = until_ms {
                    detail(event, "until_ms", until_ms);
                }
            }
            PolicyDecision::Resume { instance, expired, .. } => {
                let (gone, about) = match instance {
                    None => (self.policy.pause.take(), self.master.clone()),
                    Some(instance) => (self.policy.instances.remove(instance), instance.clone()),
                };
                if gone.is_some() {
                    let how = if *expired { "expired" } else { "resumed" };
                    scribe.instance(EventKind::PauseEnd, self, &about, how);
                }
            }
            PolicyDecision::Acknowledge { .. } => {
                if self.policy.has_counted() {
                    self.policy.flapping = false;
                    self.policy.automatic_ms.clear();
                    scribe.master(EventKind::Acknowledged, self, &self.master, "");
                }
            }
            PolicyDecision::Hold { guard, reason, until_ms, .. } => {
                if self.policy.held.as_ref().is_some_and(|h| h.guard == *guard && h.reason == *reason) {
                    return;
                }
                let since_ms = scribe.at_ms;
                self.policy.held =
                    Some(Held { guard: *guard, reason: reason.clone(), since_ms, until_ms: *until_ms });
                let event = scribe.master(EventKind::FailoverHeld, self, &self.master, guard.name());
                detail(event, "guard", guard.name());
                detail(event, "reason", reason);
                if let Some(until_ms) = until_ms {
                    detail(event, "until_ms", until_ms);
                }
            }
            PolicyDecision::Release { .. } => {
                if let Some(held) = self.policy.held.take() {
                    scribe.master(EventKind::FailoverReleased, self, &self.master, held.guard.name());
                }
            }
            PolicyDecision::HandoverLater { epoch, target, had, best, .. } => {
                let ours = self.failover.as_ref().is_some_and(|failover| failover.epoch == *epoch);
                if ours && self.replicas.contains(target) {
                    let since_ms = scribe.at_ms;
                    self.policy.handover =
                        Some(Handover { target: target.clone(), since_ms, had: *had, best: *best });
                    let event = scribe.replica(EventKind::HandoverLater, self, target, "");
                    detail(event, "behind_bytes", best.saturating_sub(*had));
                }
            }
            PolicyDecision::HandoverBegins { target, .. } => {
                if self.policy.handover.take_if(|handover| handover.target == *target).is_some() {
                    scribe.replica(EventKind::HandoverBegins, self, target, "");
                }
            }
            PolicyDecision::HandoverEnded { target, reason, .. } => {
                if self.policy.handover.take_if(|handover| handover.target == *target).is_some() {
                    let event = scribe.replica(EventKind::HandoverDropped, self, target, "");
                    detail(event, "reason", reason);
                }
            }
            PolicyDecision::HoldAll { .. } | PolicyDecision::ReleaseAll { .. } => {}
        }
    }

    /// The successor is published: counted, unless a person asked for it.
    pub(super) fn count_switch(&mut self, at_ms: u64) {
        let Some(switched) = &self.failover else { return };
        if !switched.cause.planned() {
            self.policy.count(at_ms, &self.settings.policy);
        }
        if let Some(successor) = &switched.successor {
            self.policy.forget(successor);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_bears_so_many_failovers_and_then_one() {
        let limits = Limits { failovers_max: 3, failovers_window_ms: 1000, ..Limits::default() };
        let mut policy = Policy::default();
        policy.count(100, &limits);
        policy.count(200, &limits);
        assert_eq!(policy.next_failover_ms(&limits), None);
        policy.count(300, &limits);
        assert_eq!(policy.next_failover_ms(&limits), Some(1300));
        // One per window from here on, although the window is nearly empty again.
        policy.count(1300, &limits);
        assert_eq!(policy.next_failover_ms(&limits), Some(2300));
        // Two quiet windows end it.
        policy.count(3300, &limits);
        assert_eq!(policy.next_failover_ms(&limits), None);
        // No limit, whatever was counted.
        policy.flapping = true;
        assert_eq!(policy.next_failover_ms(&Limits { failovers_max: 0, ..limits }), None);
    }

    #[test]
    fn failovers_far_apart_never_flap() {
        let limits = Limits { failovers_max: 2, failovers_window_ms: 1000, ..Limits::default() };
        let mut policy = Policy::default();
        for at in 1..50 {
            policy.count(at * 1000, &limits);
            assert_eq!(policy.next_failover_ms(&limits), None, "{at}");
        }
    }
}
