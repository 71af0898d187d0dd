//! The fleet itself, as agreed: which sentinels there are, where each is reached, which ids were ever
//! used, and the one change that is under way. Applying what was decided about it.
//!
//! Promises: an id that was used once names nobody else ever; an entry here changes in the same log
//! entry as the vote it stands for. Has never heard of links or of who is up.

use super::scribe::Scribe;
use super::{Group, Ledger};
use crate::model::event::{EventKind, Subject};
use crate::model::{Address, NodeId};
use crate::sentinel::settings::Settings;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    /// Empty in a log of before the fleet's first leader: then the configuration names the peers.
    pub members: BTreeMap<NodeId, Member>,
    pub used: BTreeSet<NodeId>,
    pub job: Option<Job>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    pub address: Address,
    /// Receives the log and has no vote yet.
    pub learner: bool,
}

/// The change that is under way; the leader carries it on, whoever leads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Job {
    Add { id: NodeId, address: Address, replaces: Option<NodeId> },
    Remove { id: NodeId },
}

impl Job {
    /// As the end of a sentence.
    pub fn describe(&self) -> String {
        match self {
            Job::Add { id, replaces: None, .. } => format!("sentinel {id} is being added"),
            Job::Add { id, replaces: Some(old), .. } => {
                format!("sentinel {old} is being replaced by {id}")
            }
            Job::Remove { id } => format!("sentinel {id} is being removed"),
        }
    }

    pub fn adds(&self, id: NodeId) -> bool {
        matches!(self, Job::Add { id: added, .. } if *added == id)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MemberDecision {
    /// The first leader ever names those of its configuration.
    Founded {
        members: BTreeMap<NodeId, Address>,
    },
    /// A change begins; in the place of another only to undo it.
    Begin {
        job: Job,
    },
    /// It needs nothing more, or cannot be.
    End,
    /// These stand in the log entry that changes the votes.
    Learner {
        id: NodeId,
        address: Address,
    },
    Voter {
        id: NodeId,
        replaced: Option<NodeId>,
    },
    Gone {
        id: NodeId,
    },
    /// Two living processes claim this id; the newcomer was turned away.
    Duplicate {
        id: NodeId,
    },
    /// It said that it cannot write its log, and ended.
    Failing {
        id: NodeId,
    },
}

impl Membership {
    /// It was a member, and never will be again.
    pub fn is_removed(&self, id: NodeId) -> bool {
        let joins = self.job.as_ref().is_some_and(|job| job.adds(id));
        self.used.contains(&id) && !self.members.contains_key(&id) && !joins
    }

    /// The smallest id that was never used.
    pub fn next_id(&self) -> NodeId {
        self.used.last().map_or(1, |last| last + 1)
    }

    pub fn voters(&self) -> impl Iterator<Item = NodeId> {
        self.members.iter().filter(|(_, member)| !member.learner).map(|(id, _)| *id)
    }

    pub fn address(&self, id: NodeId) -> Option<&Address> {
        self.members.get(&id).map(|member| &member.address)
    }

    fn finish(&mut self, with: impl Fn(&Job) -> bool) {
        self.job = self.job.take().filter(|job| !with(job));
    }
}

impl Ledger {
    pub(super) fn decide_members(&mut self, decision: &MemberDecision, scribe: &mut Scribe<'_>) {
        let membership = &mut self.membership;
        match decision {
            MemberDecision::Founded { members } => {
                if membership.members.is_empty() {
                    let member = |address: &Address| Member { address: address.clone(), learner: false };
                    membership.used.extend(members.keys());
                    membership.members = members.iter().map(|(id, at)| (*id, member(at))).collect();
                }
            }
            MemberDecision::Begin { job } => {
                let undoes = |open: &Job| matches!((open, job), (Job::Add { id: a, .. }, Job::Remove { id: b }) if a == b);
                if membership.job.as_ref().is_some_and(|open| !undoes(open)) {
                    return;
                }
                if let Job::Add { id, address, replaces } = job {
                    if !membership.used.insert(*id) {
                        return;
                    }
                    let place = replaces.map_or_else(String::new, |old| format!(" for {old}"));
                    tell(scribe, EventKind::SentinelJoining, *id, &format!("{address}{place}"));
                }
                membership.job = Some(job.clone());
            }
            MemberDecision::End => membership.job = None,
            MemberDecision::Learner { id, address } => {
                let member = Member { address: address.clone(), learner: true };
                membership.used.insert(*id);
                membership.members.insert(*id, member);
            }
            MemberDecision::Voter { id, replaced } => {
                if let Some(member) = membership.members.get_mut(id) {
                    member.learner = false;
                    let address = member.address.to_string();
                    tell(scribe, EventKind::SentinelVotes, *id, &address);
                }
                membership.finish(|job| job.adds(*id));
                if let Some(old) = replaced {
                    self.forget_member(*old, scribe);
                }
            }
            MemberDecision::Gone { id } => self.forget_member(*id, scribe),
            MemberDecision::Duplicate { id } => {
                tell(scribe, EventKind::SentinelDuplicate, *id, "another living process has the same id");
            }
            MemberDecision::Failing { id } => {
                let text = "cannot write its log and ended; see to the space and health of its disk, then start it again";
                tell(scribe, EventKind::SentinelDisk, *id, text);
            }
        }
    }

    fn forget_member(&mut self, id: NodeId, scribe: &mut Scribe<'_>) {
        let member = self.membership.members.remove(&id);
        self.membership.finish(|job| matches!(job, Job::Remove { id: gone } if *gone == id) || job.adds(id));
        self.own.remove(&id);
        let voter = self.voters.remove(&id);
        if let Some(member) = member {
            let run_id = voter.map_or_else(String::new, |voter| format!(" {}", voter.run_id));
            tell(scribe, EventKind::SentinelGone, id, &format!("{}{run_id}", member.address));
        }
    }

    /// A member says where it is reached now.
    /// Settings of one sentinel, where it is found among them.
    pub(super) fn set_own(
        &mut self,
        node: NodeId,
        options: &[(String, String)],
        address: Option<&Address>,
        scribe: &mut Scribe<'_>,
    ) {
        // Gone meanwhile: nothing is kept of it.
        let Some(voter) = self.voters.get_mut(&node) else { return };
        let own = self.own.entry(node).or_default();
        for (name, value) in options {
            // The leader refused what is none; another version's setting is passed over.
            let _ = own.set(name, value);
        }
        if let Some(address) = address {
            voter.address = Some(address.clone());
            let run_id = voter.run_id.clone();
            self.move_member(node, address, &run_id, scribe);
        }
    }

    pub(super) fn move_member(&mut self, id: NodeId, to: &Address, run_id: &str, scribe: &mut Scribe<'_>) {
        let Some(member) = self.membership.members.get_mut(&id).filter(|member| member.address != *to) else {
            return;
        };
        member.address = to.clone();
        for group in self.groups.values() {
            let master = Subject::Master { group: &group.name, address: &group.master };
            let payload = format!("{master} ip {} port {} for {run_id}", to.host, to.port);
            scribe.tell(EventKind::SentinelMoved, group, Some(to), payload);
        }
    }
}

/// About the fleet and no group of it.
fn tell(scribe: &mut Scribe<'_>, kind: EventKind, id: NodeId, text: &str) {
    let nowhere = Group::new("", &Address::new("-", 0), &Settings::with_quorum(1), 0);
    let event = scribe.tell(kind, &nowhere, None, format!("{id} {text}"));
    event.details.push(("sentinel".to_owned(), id.to_string()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sentinel::decision::{Decision, Entry};

    fn apply(ledger: &mut Ledger, decision: MemberDecision) -> Vec<String> {
        let entry = Entry { at_ms: 1, by: 1, decisions: vec![Decision::Member(decision)] };
        let events = ledger.apply(ledger.applied + 1, &entry);
        events.iter().map(|event| format!("{} {}", event.kind.name(), event.payload)).collect()
    }

    fn at(port: u16) -> Address {
        Address::new("10.0.0.1", port)
    }

    fn add(id: NodeId, replaces: Option<NodeId>) -> MemberDecision {
        MemberDecision::Begin { job: Job::Add { id, address: at(4), replaces } }
    }

    #[test]
    fn an_id_is_used_once_and_one_change_is_under_way() {
        let mut ledger = Ledger::default();
        let members = (1..=3).map(|id| (id, at(id as u16))).collect();
        assert!(apply(&mut ledger, MemberDecision::Founded { members }).is_empty());
        assert_eq!(apply(&mut ledger, add(4, Some(3))), ["+sentinel-joining 4 10.0.0.1:4 for 3"]);
        assert!(apply(&mut ledger, add(5, None)).is_empty(), "one at a time");
        assert!(!ledger.membership.is_removed(4), "it is on its way");
        apply(&mut ledger, MemberDecision::Learner { id: 4, address: at(4) });
        assert_eq!(ledger.membership.voters().count(), 3);
        let told = apply(&mut ledger, MemberDecision::Voter { id: 4, replaced: Some(3) });
        assert_eq!(told, ["+sentinel-voter 4 10.0.0.1:4", "-sentinel 3 10.0.0.1:3"]);
        assert!(ledger.membership.job.is_none() && ledger.membership.is_removed(3));
        assert!(apply(&mut ledger, add(3, None)).is_empty(), "an id is never used again");
        assert_eq!(ledger.membership.next_id(), 5);
    }

    #[test]
    fn what_was_begun_can_be_undone_and_nothing_else_can_take_its_place() {
        let mut ledger = Ledger::default();
        apply(&mut ledger, MemberDecision::Founded { members: BTreeMap::from([(1, at(1))]) });
        apply(&mut ledger, add(2, None));
        apply(&mut ledger, MemberDecision::Begin { job: Job::Remove { id: 1 } });
        assert!(ledger.membership.job.as_ref().is_some_and(|job| job.adds(2)));
        apply(&mut ledger, MemberDecision::Begin { job: Job::Remove { id: 2 } });
        assert_eq!(ledger.membership.job, Some(Job::Remove { id: 2 }));
        apply(&mut ledger, MemberDecision::End);
        assert!(ledger.membership.job.is_none() && ledger.membership.is_removed(2));
    }

    #[test]
    fn a_state_of_before_membership_was_agreed_still_loads() {
        let mut old: serde_json::Value = serde_json::from_slice(&Ledger::default().encode()[1..]).unwrap();
        old.as_object_mut().unwrap().remove("membership");
        let mut bytes = vec![1];
        bytes.extend(serde_json::to_vec(&old).unwrap());
        assert_eq!(Ledger::decode(&bytes).unwrap(), Ledger::default());
    }
}
