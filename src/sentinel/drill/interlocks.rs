//! Whether a drill may begin on a fleet that serves: every line must hold, and each that does not is
//! said with what to do.

use crate::config::drills::DrillConfig;
use crate::model::drill::Scenario;
use crate::sentinel::ledger::Rule;
use crate::sentinel::node::Sentinel;
use crate::sentinel::situation::Situation;
use crate::stdx::time::{Duration, Now};

/// A drill that is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wish<'a> {
    pub group: &'a str,
    pub scenario: Scenario,
    pub cool_down: Duration,
}

impl Sentinel {
    /// Everything that speaks against it; empty: it may begin. For the leader.
    pub(super) fn against_drill(&self, now: Now, wish: Wish<'_>) -> Vec<String> {
        let mut against = Vec::new();
        let mut refuse = |text: String| against.push(text);
        let wall = now.wall.as_millis();
        let Some(group) = self.ledger.group(wish.group) else {
            return vec![format!("no group is named '{}'", wish.group)];
        };
        if !self.is_fresh(now.mono) || !self.in_office() {
            refuse("the leader is not in touch with the majority; wait until it is".to_owned());
        }
        if let Some(running) = &self.ledger.drills.running {
            refuse(format!(
                "drill {} ({} on {}) runs already; wait for its end or say SENTINEL DRILL ABORT",
                running.id,
                running.plan.scenario.name(),
                running.plan.group
            ));
        }
        let away: Vec<String> = self
            .peers
            .iter()
            .filter(|(_, peer)| !peer.connected || peer.rejected)
            .map(|(id, _)| id.to_string())
            .collect();
        if !away.is_empty() {
            refuse(format!("sentinel {} is away, and a drill wants all of them", away.join(", ")));
        }
        let situation = self.groups.get(wish.group).map(|own| own.situation.clone()).unwrap_or_default();
        if situation != Situation::Ok {
            refuse(format!("the group is not well: {}", situation.sentence()));
        }
        if group.policy.pause.is_some() || !group.policy.instances.is_empty() {
            refuse(
                "the group, or a replica of it, is in maintenance; end that first (SENTINEL RESUME)"
                    .to_owned(),
            );
        }
        if group.policy.held.is_some() || self.ledger.held.is_some() {
            refuse("automatic failovers are held; acknowledge that first (SENTINEL ACKNOWLEDGE)".to_owned());
        }
        if group.policy.flapping {
            refuse("the group failed over too often of late".to_owned());
        }
        if let Some(other) = self.ledger.groups.values().find(|group| group.failover.is_some()) {
            refuse(format!("a failover of {} is under way", other.name));
        }
        for address in group.instances() {
            let instance = self.registry.get(address);
            let lives = instance.is_some_and(|i| {
                i.up() && i.current().is_some() && !super::super::subjective::suspect(i, group, now.mono)
            });
            if !lives {
                refuse(format!("{address} does not answer"));
            } else if *address != group.master && !group.sync_set().members.contains_key(address) {
                refuse(format!("{address} is not in sync yet"));
            }
        }
        if let short @ (Rule::Short { .. } | Rule::NobodyInSync) =
            group.promotion_rule(&group.sync_set().members)
        {
            refuse(format!("no replica could be promoted: {}", short.explain()));
        }
        if wish.scenario != Scenario::Planned && !group.bundled {
            refuse(format!(
                "'{}' can only be done to bundled servers without access to their hosts; for stock servers: planned",
                wish.scenario.name()
            ));
        }
        let rested = |since: Option<u64>| {
            since.is_none_or(|at| wall.saturating_sub(at) >= wish.cool_down.as_millis() as u64)
        };
        if !rested(group.last_switch_ms) {
            refuse(format!(
                "the group failed over less than {} s ago (the cool-down)",
                wish.cool_down.as_secs()
            ));
        }
        let last_drill = Some(self.ledger.drills.last_ended_ms).filter(|at| *at > 0);
        if !rested(last_drill) {
            refuse(format!(
                "the last drill ended less than {} s ago (the cool-down)",
                wish.cool_down.as_secs()
            ));
        }
        let windows: Vec<&DrillConfig> = self
            .config
            .drills
            .iter()
            .filter(|drill| drill.group == wish.group && drill.window.is_some())
            .collect();
        if !windows.is_empty() && !windows.iter().any(|drill| drill.window_allows(wall)) {
            let texts: Vec<&str> = windows.iter().filter_map(|drill| drill.window.as_deref()).collect();
            refuse(format!("it is outside the windows for drills of this group ({} UTC)", texts.join(", ")));
        }
        against
    }
}
