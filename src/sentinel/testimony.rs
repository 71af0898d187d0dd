//! What a leader saw, put beside what it decides: the evidence for a beginning, the copies that stood
//! still at its end, and the old master's return. For the incident records; nothing is decided by it.
//! Has never heard of how a record is kept.

use super::decision::Decision;
use super::ledger::Group;
use super::node::Sentinel;
use super::objective;
use super::registry::Instance;
use super::subjective;
use super::successor::Frozen;
use crate::model::incident::{Copy, Evidence, Outcome, Witness};
use crate::model::{Address, Epoch, NodeId, Offset};
use crate::stdx::time::{Duration, Instant, Now};

/// Facts of a returned master older than this may be of its last life.
const FRESH: Duration = Duration::from_secs(2);

/// An old master that was seen back, before it is resynced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Homecoming {
    epoch: Epoch,
    offset: Offset,
    /// Of its stream behind the fork, words between servers included; `None`: another history.
    behind: Option<u64>,
}

/// A moment of the steady clock as people read it.
fn wall_ms(now: Now, moment: Instant) -> u64 {
    let ago = u64::try_from(now.mono.since(moment).as_millis()).unwrap_or(u64::MAX);
    now.wall.as_millis().saturating_sub(ago)
}

impl Sentinel {
    /// What belongs to the beginning or the end of a failover's choice is agreed together with it.
    pub(super) fn testify(&self, now: Now, decisions: &mut Vec<Decision>) {
        let mut said = Vec::new();
        for decision in decisions.iter() {
            match decision {
                Decision::Begin { group, .. } => {
                    let told = decisions
                        .iter()
                        .any(|other| matches!(other, Decision::Evidence { group: of, .. } if of == group));
                    if !told {
                        said.extend(self.evidence(now, group, None));
                    }
                }
                Decision::Promote { group, epoch, .. }
                | Decision::Abort { group, epoch, .. }
                | Decision::Reconfirm { group, epoch, .. } => said.extend(self.copies(now, group, *epoch)),
                _ => {}
            }
        }
        decisions.extend(said);
    }

    /// An operator asked for it, through this sentinel.
    pub(super) fn testify_asked(&self, now: Now, through: NodeId, decisions: &mut Vec<Decision>) {
        let begun = decisions.iter().find_map(|decision| match decision {
            Decision::Begin { group, .. } => Some(group.clone()),
            _ => None,
        });
        decisions.extend(begun.and_then(|group| self.evidence(now, &group, Some(through))));
    }

    fn evidence(&self, now: Now, name: &str, asked_at: Option<NodeId>) -> Option<Decision> {
        let group = self.ledger.group(name)?;
        let own = self.groups.get(name)?;
        let master = self.registry.get(&group.master)?;
        let accused = subjective::suspect(master, group, now.mono);
        let mut votes = objective::accusers(&self.peers, group, &group.master, now.mono);
        if accused {
            votes.push(self.config.id);
            votes.sort_unstable();
        }
        let facts = master.facts.as_ref();
        let evidence = Evidence {
            observer: self.config.id,
            last_answer_ms: master.ever_valid.then(|| wall_ms(now, master.valid_at)),
            suspected_ms: own.suspected_since.filter(|_| accused).map(|at| wall_ms(now, at)),
            votes,
            needed: group.settings.quorum.clamp(1, self.peers.len() + 1),
            witnesses: group.replicas.iter().map(|address| self.witness(now.mono, group, address)).collect(),
            master_offset: facts.map(|facts| facts.offset),
            master_offset_ms: facts.map(|facts| wall_ms(now, facts.asked_at)),
            asked_at,
        };
        Some(Decision::Evidence { group: name.to_owned(), evidence: Box::new(evidence) })
    }

    fn witness(&self, now: Instant, group: &Group, address: &Address) -> Witness {
        let replica = self.registry.get(address);
        let facts = replica.and_then(Instance::current);
        Witness {
            address: address.clone(),
            reachable: replica.is_some_and(|i| i.up() && !subjective::suspect(i, group, now)),
            link_up: facts.map(|facts| facts.link_up && facts.follows(&group.master)),
            heard_ms_ago: replica
                .and_then(|i| i.streamed_at)
                .and_then(|at| u64::try_from(now.since(at).as_millis()).ok()),
        }
    }

    fn copies(&self, now: Now, name: &str, epoch: Epoch) -> Option<Decision> {
        let group = self.ledger.group(name)?;
        let conduct = self.groups.get(name)?.conduct.as_ref().filter(|conduct| conduct.epoch == epoch)?;
        let copy = |address: &Address, frozen: &Frozen| Copy {
            address: address.clone(),
            at_ms: wall_ms(now, frozen.at),
            offset: frozen.offset,
            counts: frozen.holds(group).is_some(),
        };
        let (master, replicas) = conduct.copies();
        Some(Decision::Copies {
            group: name.to_owned(),
            epoch,
            master: master.map(|frozen| copy(&group.master, frozen)),
            replicas: replicas.iter().map(|(address, frozen)| copy(address, frozen)).collect(),
        })
    }

    /// Old masters that answer again: what each has beyond the history that was taken over from it is
    /// seen before it is resynced, or never.
    pub(super) fn welcome_back(&mut self, now: Now, name: &str, decisions: &mut Vec<Decision>) {
        if !self.in_office() {
            return;
        }
        let Some(group) = self.ledger.group(name).filter(|group| !group.failing_over()) else { return };
        let Some(own) = self.groups.get_mut(name) else { return };
        let mut awaited = self.ledger.incidents.of(name).filter(|incident| {
            let published = !matches!(incident.outcome, Outcome::Open | Outcome::Aborted | Outcome::Kept);
            published
                && incident.receipt.returned_ms.is_none()
                && group.replicas.contains(&incident.old_master)
        });
        // Only its newest reign: what it had before is told by that record.
        let Some(incident) = awaited.next() else {
            own.returned.clear();
            return;
        };
        let address = &incident.old_master;
        let Some(facts) = self.registry.get(address).and_then(Instance::current) else { return };
        if now.mono.since(facts.asked_at) >= FRESH || facts.loading {
            return;
        }
        let fork = group.ancestors.iter().find(|ancestor| facts.history.as_ref() == Some(&ancestor.history));
        let behind = fork.map(|ancestor| facts.offset.saturating_sub(ancestor.up_to));
        let seen = Homecoming { epoch: incident.epoch, offset: facts.offset, behind };
        let known = own.returned.entry(address.clone()).or_insert(seen);
        // A master that went on writing while it was cut off may show more at its last look.
        if known.epoch != seen.epoch || seen.behind > known.behind {
            *known = seen;
        }
        let report = facts.bundled.as_ref().and_then(|bundled| bundled.diverged.as_ref()).filter(|report| {
            group.ancestors.iter().any(|a| a.history == report.history && a.up_to == report.from)
        });
        let (divergent_bytes, saved_as) = match (report, known.behind) {
            (Some(report), _) => (Some(report.bytes), Some(report.file.clone())),
            // It counts what of it were writes, and keeps them, when it is told to follow.
            (None, Some(1..))
                if facts.bundled.is_some() && !(facts.link_up && facts.follows(&group.master)) =>
            {
                return;
            }
            (None, behind) => (behind, None),
        };
        decisions.push(Decision::Returned {
            group: name.to_owned(),
            epoch: incident.epoch,
            instance: address.clone(),
            offset: known.offset,
            divergent_bytes,
            saved_as: saved_as.filter(|file| !file.is_empty()),
        });
    }
}
