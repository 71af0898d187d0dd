//! Choosing the successor: among frozen replicas that hold the agreed history, the one with the
//! largest offset. Pure; has never heard of links or time.

use super::facts::Facts;
use super::ledger::Group;
use crate::model::{Address, Offset, ReplId, RunId};
use crate::resp::Reply;
use crate::stdx::time::{Duration, Instant};
use std::collections::BTreeMap;

/// What a replica said after it stopped following.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frozen {
    pub run_id: RunId,
    pub history: Option<ReplId>,
    pub offset: Offset,
    pub history2: Option<ReplId>,
    pub offset2: Offset,
    /// Completed a sync of what it holds.
    pub synced: bool,
    pub priority: i64,
    /// When it stood still, as far as we saw.
    pub at: Instant,
    /// When it had last heard from its master, at the latest.
    pub heard_at: Option<Instant>,
}

impl Frozen {
    /// From the answer to FENCE: node, replid, offset, replid2, second-offset, silence-ms, synced.
    pub fn from_fence(reply: &Reply, facts: &Facts, answered_at: Instant) -> Option<Self> {
        let [_, history, offset, history2, second, silence, synced] = reply.as_array()? else { return None };
        let number = |reply: &Reply| reply.as_integer().and_then(|n| u64::try_from(n).ok());
        let silence = number(silence).map(Duration::from_millis);
        Some(Frozen {
            run_id: facts.run_id.clone()?,
            history: replid(history),
            offset: number(offset)?,
            history2: replid(history2),
            offset2: number(second).unwrap_or(0).saturating_sub(1),
            synced: synced.as_integer() == Some(1),
            priority: facts.priority,
            at: answered_at,
            heard_at: silence.map(|silence| {
                Instant::from_micros(answered_at.since(Instant::ZERO + silence).as_micros() as u64)
            }),
        })
    }

    /// From INFO: of a stock replica that was sent to a closed port, or of any replica, as what it
    /// would be frozen with.
    pub fn from_facts(facts: &Facts) -> Option<Self> {
        Some(Frozen {
            run_id: facts.run_id.clone()?,
            history: facts.history.clone(),
            offset: facts.offset,
            history2: facts.history2.clone(),
            offset2: facts.offset2,
            synced: facts.completed_sync() && !facts.syncing && !facts.loading,
            priority: facts.priority,
            at: facts.asked_at,
            heard_at: None,
        })
    }

    /// How much of the group's agreed history it holds; `None`: it is of another history, or never
    /// completed a sync.
    pub fn holds(&self, group: &Group) -> Option<Offset> {
        if !self.synced {
            return None;
        }
        let agreed = group.history.as_ref()?;
        if self.history.as_ref() == Some(agreed) {
            return Some(self.offset);
        }
        if self.history2.as_ref() == Some(agreed) {
            return Some(self.offset.min(self.offset2));
        }
        // What was shared with an older history is shared up to the earliest branch since.
        let mut shared = self.offset;
        group.ancestors.iter().find_map(|ancestor| {
            shared = shared.min(ancestor.up_to);
            (self.history.as_ref() == Some(&ancestor.history)).then_some(shared)
        })
    }
}

fn replid(reply: &Reply) -> Option<ReplId> {
    reply.as_str().filter(|id| id.bytes().any(|b| b != b'0')).and_then(ReplId::parse)
}

/// The choice, or why there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    Promote(Address, Offset),
    /// This one must not be promoted before it holds everything.
    Nobody(String),
}

/// `frozen` are the candidates; `wanted` is the operator's wish. In safe mode nobody is chosen who
/// holds less than the best.
pub fn choose(
    group: &Group,
    frozen: &BTreeMap<Address, Frozen>,
    wanted: Option<&Address>,
    take_risk: bool,
) -> Choice {
    let holders: Vec<(&Address, &Frozen, Offset)> =
        frozen.iter().filter_map(|(a, f)| f.holds(group).map(|offset| (a, f, offset))).collect();
    let Some(best) = holders.iter().map(|(_, _, offset)| *offset).max() else {
        return Choice::Nobody("no frozen replica holds a completed sync of the agreed history".into());
    };
    let fit = |least: Offset| {
        holders
            .iter()
            .filter(|(a, f, offset)| {
                *offset >= least && (wanted == Some(*a) && f.priority != 0 || barred(group, a, f).is_none())
            })
            .min_by_key(|(a, f, offset)| {
                (
                    wanted != Some(*a),
                    std::cmp::Reverse(*offset),
                    preference(group, a, f.priority),
                    (*a).clone(),
                )
            })
            .map(|(a, _, offset)| ((*a).clone(), *offset))
    };
    let choice = fit(best).or_else(|| if take_risk { fit(0) } else { None });
    match (choice, wanted) {
        (Some((address, _)), Some(wanted)) if address != *wanted => {
            Choice::Nobody(format!("{wanted} does not hold everything that {address} holds (offset {best})"))
        }
        (Some((address, offset)), _) => Choice::Promote(address, offset),
        (None, _) => {
            let each = |(address, frozen, offset): &(&Address, &Frozen, Offset)| match barred(
                group, address, frozen,
            ) {
                Some(why) => format!("{address} has {offset} ({why})"),
                None => format!("{address} has {offset}"),
            };
            let offsets: Vec<String> = holders.iter().map(each).collect();
            Choice::Nobody(format!(
                "only replicas that may not be master hold everything: {}",
                offsets.join(", ")
            ))
        }
    }
}

/// Who alone holds everything and may not be master, and who of those that may is to take it over from
/// there: the one that lacks least. `None`: somebody may be master who holds as much, or nobody may.
pub fn tail_apart(
    group: &Group,
    frozen: &BTreeMap<Address, Frozen>,
    wanted: Option<&Address>,
) -> Option<(Address, Address)> {
    let held = |f: &Frozen| f.holds(group).filter(|_| f.history.as_ref() == group.history.as_ref());
    let best = |may: bool| {
        let fit = |a: &Address, f: &Frozen| {
            barred(group, a, f).is_none() == may && (!may || wanted.is_none_or(|w| w == a))
        };
        let holders = frozen.iter().filter(|(a, f)| fit(a, f)).filter_map(|(a, f)| Some((held(f)?, a)));
        holders.max_by_key(|(offset, a)| (*offset, std::cmp::Reverse((*a).clone())))
    };
    let (most, source) = best(false)?;
    let (less, heir) = best(true)?;
    (less < most).then(|| (source.clone(), heir.clone()))
}

/// Why this one may never be chosen by itself, whatever it holds.
pub fn barred(group: &Group, address: &Address, frozen: &Frozen) -> Option<String> {
    if frozen.priority == 0 {
        return Some("replica-priority 0".to_owned());
    }
    let pause = group.policy.instances.get(address)?;
    Some(format!("in maintenance{}", pause.describe()))
}

/// Why it holds nothing of the group's history, if it does not.
pub fn holds_nothing(group: &Group, frozen: &Frozen) -> Option<String> {
    if !frozen.synced {
        return Some("never completed a sync".to_owned());
    }
    frozen.holds(group).is_none().then(|| "holds another history than the group's".to_owned())
}

/// Less is better: the priority that the server itself was given, then the zone that the operator
/// wants the master in.
pub fn preference(group: &Group, address: &Address, priority: i64) -> (i64, bool) {
    let policy = &group.settings.policy;
    let elsewhere = policy.prefer_zone.as_deref().is_some_and(|zone| policy.zone(address) != Some(zone));
    (priority, elsewhere)
}

/// The one that would have been chosen before `chosen`, had it not been behind.
pub fn preferred_over(
    group: &Group,
    frozen: &BTreeMap<Address, Frozen>,
    chosen: &Address,
) -> Option<Address> {
    let known = frozen.get(chosen)?;
    let had = known.holds(group)?;
    let least = preference(group, chosen, known.priority);
    frozen
        .iter()
        .filter(|(a, f)| f.holds(group).is_some_and(|offset| offset < had) && barred(group, a, f).is_none())
        .filter(|(a, f)| preference(group, a, f.priority) < least)
        .min_by_key(|(a, f)| {
            (preference(group, a, f.priority), std::cmp::Reverse(f.holds(group)), (*a).clone())
        })
        .map(|(a, _)| a.clone())
}

/// When every bundled server of the group was read and none holds the agreed history: the one that
/// holds most of any history of this group. It may have followed a master that died before its
/// history was agreed; a server of another group would have refused the order by its name.
pub fn last_resort(group: &Group, frozen: &BTreeMap<Address, Frozen>) -> Option<(Address, Offset)> {
    let fit = |a: &Address, f: &Frozen| f.synced && f.offset > 0 && barred(group, a, f).is_none();
    let candidates = frozen.iter().filter(|(a, f)| fit(a, f));
    let best = candidates.max_by_key(|(address, f)| (f.offset, std::cmp::Reverse((*address).clone())))?;
    Some((best.0.clone(), best.1.offset))
}

#[cfg(test)]
#[path = "successor_tests.rs"]
mod tests;
