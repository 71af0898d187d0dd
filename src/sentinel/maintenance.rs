//! Maintenance that has an end: each sentinel counts it down on its own steady clock, the leader
//! agrees on the end. A wall clock that jumps neither cuts maintenance short nor prolongs it; only a
//! sentinel that was started since reads the end from the wall clock.

use super::decision::Decision;
use super::lead::Work;
use super::ledger::{Group, Pause};
use super::policy::PolicyDecision;
use crate::model::Address;
use crate::stdx::time::{Duration, Instant};
use std::collections::BTreeMap;

/// The ends of a group's maintenance as this process counts them. `None`: the group itself.
#[derive(Debug, Default)]
pub(super) struct Countdown {
    ends: BTreeMap<Option<Address>, (Pause, Instant)>,
}

impl Countdown {
    pub fn note(&mut self, now: Instant, wall_ms: u64, group: &Group) {
        let policy = &group.policy;
        let own = policy.pause.iter().map(|pause| (None, pause));
        let each = policy.instances.iter().map(|(address, pause)| (Some(address.clone()), pause));
        let agreed: BTreeMap<Option<Address>, &Pause> = own.chain(each).collect();
        self.ends.retain(|about, (known, _)| agreed.get(about).is_some_and(|pause| *pause == known));
        for (about, pause) in agreed {
            let Some(until_ms) = pause.until_ms else { continue };
            let length = until_ms.saturating_sub(pause.since_ms);
            let left = until_ms.saturating_sub(wall_ms).min(length);
            self.ends.entry(about).or_insert_with(|| (pause.clone(), now + Duration::from_millis(left)));
        }
    }

    fn next(&self) -> Option<Instant> {
        self.ends.values().map(|(_, end)| *end).min()
    }
}

impl Work<'_> {
    pub(super) fn end_maintenance(&mut self) {
        let now = self.now;
        let over = self.own.countdown.ends.iter().filter(|(_, (_, end))| *end <= now);
        let over: Vec<Option<Address>> = over.map(|(about, _)| about.clone()).collect();
        for instance in over {
            let group = self.group.name.clone();
            let resume = PolicyDecision::Resume { group, instance, expired: true };
            self.decisions.push(Decision::Policy(resume));
        }
        if let Some(next) = self.own.countdown.next().filter(|next| *next > now) {
            self.next = self.next.min(next);
        }
    }

    /// In maintenance by itself: its silence is nobody's worry, and it is nobody's successor.
    pub(super) fn in_maintenance(&self, instance: &Address) -> bool {
        self.group.policy.instances.contains_key(instance)
    }
}
