//! Changing the fleet itself: what an operator may ask, when it is refused, and how the leader carries
//! it out, step by step, whoever leads meanwhile.
//!
//! A request becomes a job in the log. The leader then changes the votes, one change at a time: a new
//! sentinel first receives the log without a vote, and votes when it holds all that is agreed; one that
//! replaces another takes its place in a single change of two sets, so a fleet with a dead sentinel
//! never needs more of the living than before. A leader that is to go gives its place away first.
//! Nothing of it happens while a failover is open. Has never heard of links or of configuration files.

use super::api::peers::MemberFacts;
use super::decision::{Decision, Entry};
use super::ledger::{Job, Ledger, MemberDecision};
use super::node::{Peer, Sentinel};
use super::{Action, PeerMessage};
use crate::consensus::{Change, MEMBERS_MAX, Members, Role};
use crate::model::{Address, NodeId};
use crate::stdx::tally;
use crate::stdx::time::{Duration, Instant, Now};
use std::collections::{BTreeMap, BTreeSet};

/// A new sentinel holds all that is agreed for this long before it gets its vote.
const STEADY: Duration = Duration::from_secs(1);
/// A step that was not taken is tried again after this.
const RETRY: Duration = Duration::from_millis(500);
/// One word about a claimed id within this.
const DUPLICATE_PACE: Duration = Duration::from_secs(60);

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PeerCommand {
    Add {
        id: NodeId,
        address: Address,
    },
    Remove {
        id: NodeId,
    },
    Replace {
        old: NodeId,
        new: NodeId,
        address: Address,
    },
    /// A sentinel tells its leader; no client sends it.
    Duplicate {
        id: NodeId,
    },
    /// A sentinel says of itself that it cannot write its log; no client sends it.
    Failing {
        id: NodeId,
    },
}

impl PeerCommand {
    /// The words behind `PEER` that carry it to the leader; those of clients are the same.
    pub fn words(&self) -> Vec<String> {
        match self {
            PeerCommand::Add { id, address } => vec!["ADD".into(), id.to_string(), address.to_string()],
            PeerCommand::Remove { id } => vec!["REMOVE".into(), id.to_string()],
            PeerCommand::Replace { old, new, address } => {
                vec!["REPLACE".into(), old.to_string(), new.to_string(), address.to_string()]
            }
            PeerCommand::Duplicate { id } => vec!["DUPLICATE".into(), id.to_string()],
            PeerCommand::Failing { id } => vec!["FAILING".into(), id.to_string()],
        }
    }

    pub fn parse(words: &[&str]) -> Option<Self> {
        let is = |word: &str, name: &str| word.eq_ignore_ascii_case(name);
        Some(match *words {
            [word, id, address] if is(word, "ADD") => {
                PeerCommand::Add { id: id.parse().ok()?, address: address.parse().ok()? }
            }
            [word, id] if is(word, "REMOVE") => PeerCommand::Remove { id: id.parse().ok()? },
            [word, old, new, address] if is(word, "REPLACE") => PeerCommand::Replace {
                old: old.parse().ok()?,
                new: new.parse().ok()?,
                address: address.parse().ok()?,
            },
            [word, id] if is(word, "DUPLICATE") => PeerCommand::Duplicate { id: id.parse().ok()? },
            [word, id] if is(word, "FAILING") => PeerCommand::Failing { id: id.parse().ok()? },
            _ => return None,
        })
    }

    /// What is to be agreed for it, or why not. What is so already needs nothing.
    pub(super) fn decisions(&self, ledger: &Ledger) -> Result<Vec<Decision>, String> {
        let membership = &ledger.membership;
        if membership.members.is_empty() {
            return Err("ERR the fleet has no agreed members yet; try again in a moment".to_owned());
        }
        let job = match self {
            PeerCommand::Duplicate { id } => {
                return Ok(vec![Decision::Member(MemberDecision::Duplicate { id: *id })]);
            }
            PeerCommand::Failing { .. } => {
                return Err("ERR only a sentinel can say this, and only of itself".to_owned());
            }
            PeerCommand::Add { id, address } => {
                if membership.address(*id) == Some(address) {
                    return Ok(Vec::new());
                }
                Job::Add { id: *id, address: address.clone(), replaces: None }
            }
            PeerCommand::Remove { id } => {
                if membership.is_removed(*id) {
                    return Ok(Vec::new());
                }
                Job::Remove { id: *id }
            }
            PeerCommand::Replace { old, new, address } => {
                if membership.is_removed(*old) && membership.address(*new) == Some(address) {
                    return Ok(Vec::new());
                }
                Job::Add { id: *new, address: address.clone(), replaces: Some(*old) }
            }
        };
        if membership.job.as_ref() == Some(&job) {
            return Ok(Vec::new());
        }
        if let Some(fault) = fault(ledger, &job) {
            return Err(format!("ERR {fault}"));
        }
        Ok(vec![Decision::Member(MemberDecision::Begin { job })])
    }
}

/// Why this cannot be, going by what is agreed alone.
fn fault(ledger: &Ledger, job: &Job) -> Option<String> {
    let membership = &ledger.membership;
    let undoes = |open: &Job| matches!(job, Job::Remove { id } if open.adds(*id));
    if let Some(open) = membership.job.as_ref().filter(|open| !undoes(open)) {
        return Some(format!(
            "one change at a time: {}; wait for it, or undo an addition with SENTINEL PEER REMOVE",
            open.describe()
        ));
    }
    if let Some((name, failover)) = ledger.groups.iter().find_map(|(n, g)| Some((n, g.failover.as_ref()?))) {
        return Some(format!(
            "the failover of '{name}' (epoch {}) is open, and the fleet is not changed meanwhile; try again when it is over",
            failover.epoch
        ));
    }
    let goes = match job {
        Job::Add { id, address, replaces } => {
            let next = membership.next_id();
            if *id == 0 || *id >= 1 << 32 {
                return Some(format!("{id} is no id; the next free one is {next}"));
            }
            if membership.used.contains(id) {
                return Some(format!(
                    "the id {id} was used before, and ids are never used again; the next free one is {next}"
                ));
            }
            let taken =
                membership.members.iter().find(|(id, m)| m.address == *address && Some(**id) != *replaces);
            if let Some((other, _)) = taken {
                return Some(format!("{address} is the address of sentinel {other}"));
            }
            if membership.members.len() >= MEMBERS_MAX {
                return Some(format!("a fleet has at most {MEMBERS_MAX} sentinels"));
            }
            *replaces
        }
        Job::Remove { id } => Some(*id),
    }?;
    if membership.job.as_ref().is_some_and(|open| open.adds(goes)) {
        return None;
    }
    let Some(member) = membership.members.get(&goes) else {
        let known: Vec<String> = membership.members.keys().map(NodeId::to_string).collect();
        return Some(format!("there is no sentinel {goes}; the fleet is {}", known.join(", ")));
    };
    if matches!(job, Job::Add { .. }) {
        return member.learner.then(|| format!("sentinel {goes} has no vote yet; remove it instead"));
    }
    let left = membership.voters().filter(|id| *id != goes).count();
    if left == 0 {
        return Some("the last sentinel cannot be removed".to_owned());
    }
    let unreachable = ledger.groups.values().find(|group| group.settings.quorum > left);
    unreachable.map(|group| {
        format!(
            "the quorum of '{}' is {}, which {left} sentinels never reach; lower it first with SENTINEL SET {} quorum {left}",
            group.name, group.settings.quorum, group.name
        )
    })
}

/// What a leader remembers of its job, and everybody of claimed ids.
#[derive(Debug, Default)]
pub(super) struct Care {
    steady_since: Option<Instant>,
    not_before: Option<Instant>,
    told: BTreeMap<NodeId, Instant>,
    /// Sentinels that said that they end, and that nobody has told of yet.
    pub failing: BTreeMap<NodeId, Instant>,
    /// Counts what [`Sentinel::reach`] would answer anew.
    pub version: u64,
    /// Whose votes counted when it was last looked.
    known: Members,
}

impl Sentinel {
    /// What forbids it at this moment: too few would be left that are up.
    pub(super) fn too_few_left(&self, command: &PeerCommand) -> Option<String> {
        let goes = match command {
            PeerCommand::Remove { id } => *id,
            PeerCommand::Replace { old, .. } => *old,
            PeerCommand::Add { .. } | PeerCommand::Duplicate { .. } | PeerCommand::Failing { .. } => {
                return None;
            }
        };
        let voters: BTreeSet<NodeId> = self.ledger.membership.voters().collect();
        if !voters.contains(&goes) {
            return None;
        }
        let up = |id: &NodeId| *id == self.config.id || self.peers.get(id).is_some_and(|peer| peer.connected);
        let live = voters.iter().filter(|id| **id != goes && up(id)).count();
        let votes = match command {
            PeerCommand::Remove { .. } => voters.len() - 1,
            _ => voters.len(),
        };
        let needed = tally::majority(votes);
        (live < needed).then(|| {
            format!(
                "ERR without sentinel {goes} only {live} of the {votes} voters are up and {needed} are needed: \
                 the fleet would lose its quorum; bring the others up first"
            )
        })
    }

    /// The step of the open job that can be taken now.
    pub(super) fn tend_members(&mut self, now: Now, actions: &mut Vec<Action>) {
        let Some(job) = self.ledger.membership.job.clone() else {
            self.care.steady_since = None;
            return;
        };
        let failing_over = self.ledger.groups.values().any(|group| group.failover.is_some());
        if failing_over || self.care.not_before.is_some_and(|at| now.mono < at) {
            return;
        }
        let members = self.consensus.members().clone();
        let own = self.config.id;
        match job {
            Job::Add { id, address, .. } if !members.contains(id) => {
                let told = MemberDecision::Learner { id, address };
                self.change(now, Change::AddLearner(id), told, actions);
            }
            Job::Add { id, replaces, .. } if members.learners.contains(&id) => {
                let bound = self.ledger.voters.contains_key(&id);
                let connected = self.peers.get(&id).is_some_and(|peer| peer.connected && !peer.rejected);
                if connected && !bound {
                    return self.bind(now, id, actions);
                }
                if !bound || !connected || !self.consensus.has_caught_up(id) {
                    self.care.steady_since = None;
                    return;
                }
                let since = *self.care.steady_since.get_or_insert(now.mono);
                if now.mono.since(since) < STEADY {
                    return;
                }
                // Gone meanwhile: then it is an addition.
                let leaves = replaces.filter(|old| members.voters.contains(old));
                if leaves == Some(own) {
                    return self.step_aside(now, actions);
                }
                let change = match leaves {
                    Some(leaves) => Change::Replace { joins: id, leaves },
                    None => Change::Promote(id),
                };
                self.change(now, change, MemberDecision::Voter { id, replaced: leaves }, actions);
            }
            Job::Remove { id } if id == own => self.step_aside(now, actions),
            Job::Remove { id } if members.contains(id) => {
                self.change(now, Change::Remove(id), MemberDecision::Gone { id }, actions);
            }
            // Done, as it turns out.
            Job::Add { .. } | Job::Remove { .. } => {
                self.care.not_before = Some(now.mono + RETRY);
                let _ = self.propose(now, vec![Decision::Member(MemberDecision::End)], actions);
            }
        }
    }

    fn change(&mut self, now: Now, change: Change, told: MemberDecision, actions: &mut Vec<Action>) {
        // Whether it is taken or not: the next look is at what came of it.
        self.care.not_before = Some(now.mono + RETRY);
        let decisions = vec![Decision::Member(told)];
        let entry = Entry { at_ms: now.wall.as_millis(), by: self.config.id, decisions };
        let Ok(data) = entry.encode() else { return };
        let mut out = Vec::new();
        let taken = self.consensus.change_members(now, change, &data, &mut out);
        self.carry_out(now, out, false, actions);
        if taken.is_ok() {
            self.care.not_before = Some(now.mono);
        }
    }

    /// It was connected before the log knew it: its data directory is bound to its id now.
    fn bind(&mut self, now: Now, id: NodeId, actions: &mut Vec<Action>) {
        self.care.not_before = Some(now.mono + RETRY);
        let decision = self
            .peers
            .get(&id)
            .and_then(|peer| self.voter_decision(id, &peer.uuid, &peer.run_id, peer.address.as_ref()?));
        if let Some(decision) = decision {
            let _ = self.propose(now, vec![decision], actions);
        }
    }

    fn step_aside(&mut self, now: Now, actions: &mut Vec<Action>) {
        self.care.not_before = Some(now.mono + RETRY);
        self.hand_over(now, actions);
    }

    /// Peers as the fleet agreed on them; those of the configuration until it has. One that the log
    /// does not name yet is kept while it is connected: this log may be behind.
    pub(super) fn sync_peers(&mut self) {
        self.settle_own_address();
        let (membership, votes) = (&self.ledger.membership, self.consensus.members());
        let own = self.config.id;
        self.care.version += 1;
        if membership.members.is_empty() || self.removed {
            return;
        }
        // The vote of one that is being replaced counts until the last step of it.
        self.peers.retain(|id, peer| {
            let unknown = peer.connected && !membership.is_removed(*id);
            membership.members.contains_key(id) || votes.contains(*id) || unknown
        });
        for (id, member) in membership.members.iter().filter(|(id, _)| **id != own) {
            let peer = self.peers.entry(*id).or_default();
            peer.address = Some(member.address.clone());
            peer.learner = member.learner;
        }
        if self.config.announced().is_none()
            && let Some(address) = membership.address(own)
        {
            self.address = address.clone();
        }
    }

    /// Whether the votes changed, and this sentinel is still one of the fleet.
    pub(super) fn follow_members(&mut self, actions: &mut Vec<Action>) {
        let members = self.consensus.members();
        if *members == self.care.known {
            return;
        }
        self.care.known = members.clone();
        let (own, counted) = (self.config.id, !members.voters.is_empty());
        if counted && !members.contains(own) && self.ledger.membership.is_removed(own) {
            self.leave(actions);
        } else {
            self.sync_peers();
        }
    }

    /// Grows whenever [`Self::reach`] may answer something else.
    pub fn members_version(&self) -> u64 {
        self.care.version
    }

    /// Where this sentinel was configured to be reached; `None`: where the fleet was told.
    pub fn announced(&self) -> Option<Address> {
        self.config.announced()
    }

    /// It was a member, and its vote counts no more.
    pub fn has_removed(&self, id: NodeId) -> bool {
        self.ledger.membership.is_removed(id) && !self.consensus.members().contains(id)
    }

    /// It was removed: no vote from here on, no watching, no answer.
    pub(super) fn leave(&mut self, actions: &mut Vec<Action>) {
        if self.removed {
            return;
        }
        self.removed = true;
        self.care.version += 1;
        let mut out = Vec::new();
        self.consensus.leave(&mut out);
        for action in out {
            if let crate::consensus::Action::Persist(persist) = action {
                actions.push(Action::Persist(persist));
            }
        }
        let watched: Vec<Address> = self.registry.iter().map(|(address, _)| address.clone()).collect();
        for instance in watched {
            self.registry.remove(&instance);
            actions.push(Action::Unwatch { instance });
        }
        for webhook in &self.config.webhooks {
            actions.push(Action::Webhook { name: webhook.name.clone(), office: None });
        }
        self.peers.clear();
        self.groups.clear();
        self.schedule = Default::default();
        self.leader_since = None;
    }

    /// Another process claims the id of a living peer: the fleet is told, once in a while.
    pub(super) fn duplicate(&mut self, now: Now, id: NodeId, actions: &mut Vec<Action>) {
        let known = self.peers.contains_key(&id) || id == self.config.id;
        let told = self.care.told.get(&id).is_some_and(|at| now.mono.since(*at) < DUPLICATE_PACE);
        if !known || told {
            return;
        }
        let command = PeerCommand::Duplicate { id };
        if self.in_office() {
            let recent = MemberDecision::Duplicate { id };
            if self.propose(now, vec![Decision::Member(recent)], actions).is_ok() {
                self.care.told.insert(id, now.mono);
            }
        } else if let Some(to) = self.consensus.leader().filter(|to| *to != self.config.id) {
            self.care.told.insert(id, now.mono);
            // Nobody waits for the answer: no request has the number 0.
            let argv = super::Command::Peer(command).words();
            actions.push(Action::SendPeer { to, message: PeerMessage::Forward { id: 0, argv } });
        }
    }

    /// A sentinel told us that an id is claimed twice; several tell it.
    pub(super) fn take_duplicate(&mut self, now: Now, id: NodeId, actions: &mut Vec<Action>) {
        if self.consensus.role() == Role::Leader {
            self.duplicate(now, id, actions);
        }
    }

    /// Where each member is reached, this one left out, and who was removed: what links are kept to.
    pub fn reach(&self) -> BTreeMap<NodeId, Address> {
        if self.removed {
            return BTreeMap::new();
        }
        let at = |(id, peer): (&NodeId, &Peer)| Some((*id, peer.address.clone()?));
        self.peers.iter().filter_map(at).collect()
    }

    pub(super) fn member_facts(&self) -> Vec<MemberFacts> {
        let membership = &self.ledger.membership;
        let leader = self.consensus.leader().filter(|_| !self.removed);
        let fact = |id: NodeId, address: Option<Address>, state| {
            let (own, peer) = (id == self.config.id, self.peers.get(&id));
            let bound = self.ledger.voters.get(&id);
            let (uuid, run_id) = match (own, bound) {
                (true, _) => (self.identity.uuid.clone(), self.identity.run_id.clone()),
                (_, Some(voter)) => (voter.uuid.clone(), voter.run_id.clone()),
                _ => Default::default(),
            };
            let connected = own || peer.is_some_and(|peer| peer.connected && !peer.rejected);
            MemberFacts { id, address, state, leader: leader == Some(id), own, connected, uuid, run_id }
        };
        let goes = match &membership.job {
            Some(Job::Remove { id }) => Some(*id),
            Some(Job::Add { replaces, .. }) => *replaces,
            None => None,
        };
        let mut all: Vec<MemberFacts> = membership
            .members
            .iter()
            .map(|(id, member)| {
                let state = match member.learner {
                    _ if goes == Some(*id) => "leaving",
                    true => "learner",
                    false => "voter",
                };
                fact(*id, Some(member.address.clone()), state)
            })
            .collect();
        if let Some(Job::Add { id, address, .. }) = &membership.job
            && !membership.members.contains_key(id)
        {
            all.push(fact(*id, Some(address.clone()), "joining"));
        }
        all
    }

    /// The fleet told this sentinel that it is no member any more.
    pub fn is_removed(&self) -> bool {
        self.removed
    }

    /// Waits for a fleet to add it.
    pub fn is_joining(&self) -> bool {
        self.consensus.members().voters.is_empty()
    }
}

#[cfg(test)]
#[path = "members_tests.rs"]
mod tests;
