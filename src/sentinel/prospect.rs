//! What a failover would find if it began now: who could be frozen, how far that meets the promotion
//! rule, and whom `successor` would choose. The leader asks before it disturbs the replicas, and
//! EXPLAIN asks for people: the same question, the same answer.

use super::ledger::{Group, Rule};
use super::loss::{self, Loss, Trail};
use super::registry::Registry;
use super::subjective;
use super::successor::{self, Choice, Frozen};
use crate::model::{Address, RunId};
use crate::stdx::time::Instant;
use std::collections::BTreeMap;

#[derive(Debug)]
pub(super) struct Prospect {
    /// Replicas that could be frozen now, with their processes.
    pub reachable: BTreeMap<Address, RunId>,
    /// As if all of them were frozen.
    pub rule: Rule,
    /// What each would be frozen with, as far as it is known: a moment old.
    pub candidates: BTreeMap<Address, Frozen>,
    pub choice: Choice,
    /// Of the choice; `None` when it is unknown or nobody is chosen.
    pub loss: Option<Loss>,
    /// Why that loss is too much.
    pub too_much: Option<String>,
}

pub(super) fn prospect(group: &Group, registry: &Registry, trail: &Trail, now: Instant) -> Prospect {
    let mut reachable = BTreeMap::new();
    let mut candidates = BTreeMap::new();
    for address in &group.replicas {
        let Some(replica) = registry.get(address).filter(|i| !subjective::down(i, group, now)) else {
            continue;
        };
        let Some(facts) = replica.current() else { continue };
        if let Some(run_id) = facts.run_id.clone() {
            reachable.insert(address.clone(), run_id);
        }
        if let Some(frozen) = Frozen::from_facts(facts) {
            candidates.insert(address.clone(), frozen);
        }
    }
    let rule = group.promotion_rule(&reachable);
    let choice = match successor::choose(group, &candidates, None, !group.settings.safe()) {
        // It would first take over what only one has that may not be master.
        Choice::Nobody(reason) if group.bundled => successor::tail_apart(group, &candidates, None)
            .and_then(|(source, heir)| Some((heir, candidates.get(&source)?.holds(group)?)))
            .map_or(Choice::Nobody(reason), |(heir, offset)| Choice::Promote(heir, offset)),
        choice => choice,
    };
    let (loss, too_much) = match &choice {
        Choice::Promote(address, offset) => {
            let asked_at =
                registry.get(address).and_then(|i| i.current()).map_or(now, |facts| facts.asked_at);
            let loss = trail.loss(group, *offset, asked_at);
            (loss, loss::too_much(group, loss))
        }
        Choice::Nobody(_) => (None, None),
    };
    Prospect { reachable, rule, candidates, choice, loss, too_much }
}
