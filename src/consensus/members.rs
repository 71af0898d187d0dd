//! Who takes part, and how that changes: one change at a time, learner first.
//!
//! A change is an entry of the log like any other and holds from the moment it is applied. It carries
//! data of its owner, so what the owner knows of its members can never be of another age than the
//! votes. It is written in our own codec; the crate's protobuf never reads it. A node that joins knows
//! no member until a snapshot tells it, so a snapshot always names them.

use super::ProposeError;
use crate::model::NodeId;
use crate::stdx::cursor::{Malformed, Put, Reader};
use crate::stdx::tally;
use raft::eraftpb::{ConfChangeSingle, ConfChangeType, ConfChangeV2, ConfState};
use std::collections::BTreeSet;

/// A fleet has no more; what a peer says beyond it is not believed.
pub const MEMBERS_MAX: usize = 32;
const STEPS_MAX: usize = 4;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Members {
    pub voters: BTreeSet<NodeId>,
    /// The voters of before, whose majority counts too while one replaces another; else empty.
    pub outgoing: BTreeSet<NodeId>,
    pub learners: BTreeSet<NodeId>,
}

impl Members {
    pub(super) fn of_conf(conf: &ConfState) -> Self {
        Members {
            voters: conf.voters.iter().copied().collect(),
            outgoing: conf.voters_outgoing.iter().copied().collect(),
            learners: conf.learners.iter().chain(&conf.learners_next).copied().collect(),
        }
    }

    /// Everyone, in the order of ids.
    pub fn ids(&self) -> BTreeSet<NodeId> {
        self.voters.iter().chain(&self.outgoing).chain(&self.learners).copied().collect()
    }

    pub fn contains(&self, id: NodeId) -> bool {
        self.voters.contains(&id) || self.outgoing.contains(&id) || self.learners.contains(&id)
    }

    /// One voter is being replaced by another: both sets of voters must agree to everything.
    pub fn is_joint(&self) -> bool {
        !self.outgoing.is_empty()
    }

    /// Whether these are enough to agree on something, by every set that counts.
    pub fn is_majority(&self, of: &BTreeSet<NodeId>) -> bool {
        let enough = |set: &BTreeSet<NodeId>| set.intersection(of).count() >= tally::majority(set.len());
        enough(&self.voters) && (self.outgoing.is_empty() || enough(&self.outgoing))
    }
}

/// What may be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// A new node receives the log and has no vote.
    AddLearner(NodeId),
    /// A learner gets its vote.
    Promote(NodeId),
    /// A learner takes a voter's place, in one change of two sets.
    Replace {
        joins: NodeId,
        leaves: NodeId,
    },
    Remove(NodeId),
}

/// Why the members do not change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    #[error(transparent)]
    Propose(#[from] ProposeError),
    #[error("another change of the members is not settled yet")]
    Unsettled,
    #[error("{0}")]
    Invalid(&'static str),
}

impl Change {
    /// What forbids it, given who takes part. `own`: the leader that would propose it.
    pub(super) fn fault(self, members: &Members, own: NodeId) -> Option<&'static str> {
        let fault = match self {
            Change::AddLearner(0) => "0 is no id",
            Change::AddLearner(id) if members.contains(id) => "the node is a member already",
            Change::AddLearner(_) if members.ids().len() >= MEMBERS_MAX => "there are too many members",
            Change::Promote(id) if !members.learners.contains(&id) => "only a learner gets a vote",
            Change::Replace { joins, .. } if !members.learners.contains(&joins) => {
                "only a learner takes a place"
            }
            Change::Replace { leaves, .. } if !members.voters.contains(&leaves) => {
                "only a voter's place can be taken"
            }
            Change::Remove(id) if !members.contains(id) => "the node is no member",
            Change::Remove(id) if members.voters.len() == 1 && members.voters.contains(&id) => {
                "the last voter cannot leave"
            }
            Change::Remove(id) | Change::Replace { leaves: id, .. } if id == own => {
                "a leader gives its place away before it leaves"
            }
            _ => return None,
        };
        Some(fault)
    }

    fn steps(self) -> Vec<(u8, NodeId)> {
        match self {
            Change::AddLearner(id) => vec![(LEARNER, id)],
            Change::Promote(id) => vec![(VOTER, id)],
            Change::Replace { joins, leaves } => vec![(VOTER, joins), (REMOVE, leaves)],
            Change::Remove(id) => vec![(REMOVE, id)],
        }
    }

    /// The bytes of its entry, with its owner's data.
    pub(super) fn encode(self, data: &[u8]) -> Vec<u8> {
        let steps = self.steps();
        let mut out = Vec::with_capacity(16 + data.len());
        out.put_count(steps.len());
        for (step, id) in steps {
            out.put_u8(step);
            out.put_u64(id);
        }
        out.put_bytes(data);
        out
    }

    pub(super) fn for_crate(self) -> ConfChangeV2 {
        conf_change(&self.steps())
    }
}

const VOTER: u8 = 1;
const LEARNER: u8 = 2;
const REMOVE: u8 = 3;

fn conf_change(steps: &[(u8, NodeId)]) -> ConfChangeV2 {
    let changes = steps.iter().map(|(step, id)| {
        let mut single = ConfChangeSingle { node_id: *id, ..ConfChangeSingle::default() };
        single.set_change_type(match *step {
            VOTER => ConfChangeType::AddNode,
            LEARNER => ConfChangeType::AddLearnerNode,
            _ => ConfChangeType::RemoveNode,
        });
        single
    });
    ConfChangeV2 { changes: changes.collect::<Vec<_>>().into(), ..ConfChangeV2::default() }
}

/// What an entry asks of the crate, and its owner's data. No bytes at all: leave the joint state.
pub(super) fn decode(bytes: &[u8]) -> Result<(ConfChangeV2, Vec<u8>), Malformed> {
    if bytes.is_empty() {
        return Ok((ConfChangeV2::default(), Vec::new()));
    }
    let mut reader = Reader::new(bytes);
    let count = reader.count(STEPS_MAX, 9)?;
    let mut steps = Vec::with_capacity(count);
    for _ in 0..count {
        let (step, id) = (reader.u8()?, reader.u64()?);
        if !(VOTER..=REMOVE).contains(&step) || id == 0 || id & LEARNER_BIT != 0 {
            return Err(Malformed::Meaningless);
        }
        steps.push((step, id));
    }
    let data = reader.bytes(super::MAX_PROPOSAL)?.to_vec();
    reader.end()?;
    if steps.is_empty() { Err(Malformed::Meaningless) } else { Ok((conf_change(&steps), data)) }
}

/// Marks a learner in the list of members of a stored snapshot: the lists of before there were any
/// read as they always did.
pub(super) const LEARNER_BIT: u64 = 1 << 63;

#[cfg(test)]
mod tests {
    use super::*;

    fn set(ids: &[NodeId]) -> BTreeSet<NodeId> {
        ids.iter().copied().collect()
    }

    #[test]
    fn while_one_replaces_another_both_sets_must_agree() {
        let members = Members { voters: set(&[1, 2, 4]), outgoing: set(&[1, 2, 3]), learners: set(&[9]) };
        assert!(members.is_majority(&set(&[1, 2])));
        assert!(!members.is_majority(&set(&[1, 4])), "1 and 4 are no majority of the voters of before");
        assert!(members.is_majority(&set(&[1, 3, 4])));
        assert!(!members.is_majority(&set(&[1, 9])), "a learner has no vote");
        assert_eq!(members.ids(), set(&[1, 2, 3, 4, 9]));
    }

    #[test]
    fn what_would_panic_or_loop_elsewhere_is_refused_before_it_is_proposed() {
        let members = Members { voters: set(&[1, 2, 3]), outgoing: set(&[]), learners: set(&[4]) };
        for change in [
            Change::AddLearner(0),
            Change::AddLearner(2),
            Change::AddLearner(4),
            Change::Promote(2),
            Change::Promote(9),
            Change::Replace { joins: 9, leaves: 2 },
            Change::Replace { joins: 4, leaves: 9 },
            Change::Replace { joins: 4, leaves: 1 },
            Change::Remove(9),
            Change::Remove(1),
        ] {
            assert!(change.fault(&members, 1).is_some(), "{change:?}");
        }
        for change in [
            Change::AddLearner(5),
            Change::Promote(4),
            Change::Replace { joins: 4, leaves: 3 },
            Change::Remove(2),
        ] {
            assert_eq!(change.fault(&members, 1), None, "{change:?}");
        }
        let alone = Members { voters: set(&[1]), ..Members::default() };
        assert!(Change::Remove(1).fault(&alone, 1).is_some());
    }

    #[test]
    fn an_entry_reads_back_and_nonsense_is_none() {
        let bytes = Change::Replace { joins: 4, leaves: 3 }.encode(b"why");
        let (change, data) = decode(&bytes).unwrap();
        assert_eq!((change.changes.len(), data.as_slice()), (2, b"why".as_slice()));
        assert!(decode(&[]).unwrap().0.changes.is_empty());
        for end in 1..bytes.len() {
            assert!(decode(&bytes[..end]).is_err());
        }
        assert!(decode(&Change::Promote(LEARNER_BIT).encode(b"")).is_err());
    }
}
