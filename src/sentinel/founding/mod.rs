//! Founding a fleet out of sentinels that see each other (`--bootstrap-expect N`), as a state machine.
//!
//! Until a fleet stands, each sentinel hears on its masters' hello channel where others are, and asks
//! them on their own port who they are and whom they see. What the channel says is a hint where to look
//! and nothing else: only a sentinel that answered a direct question, with its proof, is counted.
//!
//! Three steps, so that no two sets of founders can share a member, whoever dies when:
//! 1. a sentinel that sees exactly N, itself among them, says so (*agreed*);
//! 2. when all N say that they see the same set, it *promises* itself to that set, on disk;
//! 3. when all N have promised, or one of them says that the fleet is *founded*, it is founded.
//!
//! A promise is given once and never taken back by itself. Ids follow the sorted run ids, so every
//! founder knows the same voters. Has never heard of Raft, of sockets, or of what the fleet will watch.

pub mod hello;
pub mod statement;
#[cfg(test)]
mod tests;

use crate::consensus::MEMBERS_MAX;
use crate::model::{Address, NodeId};
use crate::stdx::time::{Duration, Instant};
use serde::{Deserialize, Serialize};
pub use statement::{Stage, Statement};
use std::collections::{BTreeMap, BTreeSet};

/// Each known sentinel is asked this often.
pub const ASK_EVERY: Duration = Duration::from_millis(300);
/// An answer counts this long.
const FRESH: Duration = Duration::from_secs(3);
/// One of whom nothing was heard for this long is asked no more.
const FORGET: Duration = Duration::from_secs(30);
/// Places that are asked; anybody may publish on the channel.
const CANDIDATES_MAX: usize = 4 * MEMBERS_MAX;

/// A sentinel before it has an id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Founder {
    /// Of its data directory.
    pub run_id: String,
    pub address: Address,
}

/// What must survive this process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kept {
    pub run_id: String,
    /// Whom it promised itself to, sorted; empty: nobody yet.
    #[serde(default)]
    pub promised: Vec<Founder>,
    /// All of them have promised.
    #[serde(default)]
    pub founded: bool,
}

impl Kept {
    /// The id of this sentinel and all voters, once the fleet is founded.
    pub fn voters(&self) -> Option<(NodeId, Vec<(NodeId, Address)>)> {
        let at = self.promised.iter().position(|one| one.run_id == self.run_id).filter(|_| self.founded)?;
        let numbered = (1..).zip(self.promised.iter().map(|one| one.address.clone()));
        Some((at as NodeId + 1, numbered.collect()))
    }
}

#[derive(Debug)]
pub enum Input {
    Tick,
    /// Somebody says that a sentinel is there.
    Hello {
        address: Address,
    },
    /// What was answered there, or why nothing was.
    Answered {
        address: Address,
        answer: Result<Statement, String>,
    },
}

/// Carried out in the order pushed.
#[derive(Debug, PartialEq)]
pub enum Action {
    /// Ask the sentinel there for its statement, and tell it ours.
    Ask(Address),
    /// On disk before anything is said again.
    Keep(Kept),
    /// A new sentence for whoever waits for this fleet.
    Tell(String),
    /// The fleet stands: see [`Kept::voters`].
    Founded,
}

struct Candidate {
    heard_at: Instant,
    ask_at: Instant,
    asking: bool,
    /// The last answer and when it came.
    answer: Option<(Instant, Statement)>,
    trouble: Option<String>,
}

pub struct Founding {
    own: Founder,
    expect: usize,
    groups: Vec<String>,
    kept: Kept,
    /// Whom it sees, while that is all it says.
    agreed: Option<Vec<Founder>>,
    candidates: BTreeMap<Address, Candidate>,
    promised_by: BTreeSet<String>,
    told: String,
}

impl Founding {
    /// `kept`: as the disk has it; its run id is this sentinel's.
    pub fn new(address: Address, expect: usize, mut groups: Vec<String>, kept: Kept, now: Instant) -> Self {
        // Where the others were told that it is.
        let before = kept.promised.iter().find(|one| one.run_id == kept.run_id);
        let own = Founder {
            run_id: kept.run_id.clone(),
            address: before.map_or(address, |one| one.address.clone()),
        };
        groups.sort();
        let mut this = Founding {
            own,
            expect,
            groups,
            agreed: None,
            candidates: BTreeMap::new(),
            promised_by: BTreeSet::new(),
            told: String::new(),
            kept,
        };
        for founder in this.kept.promised.clone() {
            this.hear_of(now, founder.address);
        }
        this
    }

    pub fn own(&self) -> &Founder {
        &self.own
    }

    /// What it says of itself now.
    pub fn statement(&self) -> Statement {
        let set = self.kept.promised.clone();
        let stage = match (&self.agreed, set.is_empty()) {
            _ if self.kept.founded => Stage::Founded { set },
            (_, false) => Stage::Promised { set },
            (Some(set), true) => Stage::Agreed { set: set.clone() },
            (None, true) => Stage::Gathering,
        };
        Statement {
            version: statement::VERSION,
            who: self.own.clone(),
            expect: self.expect,
            groups: self.groups.clone(),
            stage,
            next_id: None,
        }
    }

    pub fn handle(&mut self, now: Instant, input: Input, actions: &mut Vec<Action>) {
        if self.kept.founded {
            return;
        }
        match input {
            Input::Tick => {}
            Input::Hello { address } => self.hear_of(now, address),
            Input::Answered { address, answer } => self.answered(now, address, answer),
        }
        self.weigh(now, actions);
        if self.kept.founded {
            return;
        }
        let promised = &self.kept.promised;
        self.candidates.retain(|address, candidate| {
            now.since(candidate.heard_at) < FORGET || promised.iter().any(|one| one.address == *address)
        });
        for (address, candidate) in &mut self.candidates {
            if !candidate.asking && candidate.ask_at <= now {
                candidate.asking = true;
                candidate.ask_at = now + ASK_EVERY;
                actions.push(Action::Ask(address.clone()));
            }
        }
    }

    fn hear_of(&mut self, now: Instant, address: Address) {
        if address == self.own.address {
            return;
        }
        if let Some(known) = self.candidates.get_mut(&address) {
            known.heard_at = now;
        } else if self.candidates.len() < CANDIDATES_MAX {
            let new = Candidate { heard_at: now, ask_at: now, asking: false, answer: None, trouble: None };
            self.candidates.insert(address, new);
        }
    }

    fn answered(&mut self, now: Instant, address: Address, answer: Result<Statement, String>) {
        let Some(candidate) = self.candidates.get_mut(&address) else { return };
        candidate.asking = false;
        match answer {
            Ok(statement) => {
                candidate.heard_at = now;
                candidate.trouble = None;
                let promised_too = match &statement.stage {
                    Stage::Promised { set } => !set.is_empty() && *set == self.kept.promised,
                    _ => false,
                };
                if promised_too {
                    self.promised_by.insert(statement.who.run_id.clone());
                }
                candidate.answer = Some((now, statement));
            }
            Err(why) => candidate.trouble = Some(why),
        }
    }

    /// What may be said and done with what is known now.
    fn weigh(&mut self, now: Instant, actions: &mut Vec<Action>) {
        let fresh: Vec<(Address, Statement)> = self
            .candidates
            .iter()
            .filter_map(|(address, candidate)| {
                let (at, statement) = candidate.answer.as_ref()?;
                (now.since(*at) < FRESH).then(|| (address.clone(), statement.clone()))
            })
            .collect();
        let sentence = if self.kept.promised.is_empty() {
            self.gather(now, &fresh, actions)
        } else {
            self.await_promises(&fresh, actions)
        };
        if let Some(sentence) = sentence
            && self.told != sentence
        {
            self.told.clone_from(&sentence);
            actions.push(Action::Tell(sentence));
        }
    }

    /// Step 3.
    fn await_promises(
        &mut self,
        fresh: &[(Address, Statement)],
        actions: &mut Vec<Action>,
    ) -> Option<String> {
        let promised = &self.kept.promised;
        let founded = fresh.iter().any(|(_, other)| match &other.stage {
            Stage::Founded { set } => set == promised,
            _ => false,
        });
        let missing: Vec<&Founder> = promised
            .iter()
            .filter(|one| one.run_id != self.own.run_id && !self.promised_by.contains(&one.run_id))
            .collect();
        if founded || missing.is_empty() {
            self.kept.founded = true;
            actions.push(Action::Keep(self.kept.clone()));
            actions.push(Action::Founded);
            return None;
        }
        let missing: Vec<String> = missing.iter().map(|one| one.address.to_string()).collect();
        let set: Vec<String> = promised.iter().map(|one| one.address.to_string()).collect();
        Some(format!(
            "promised to found the fleet of {}; waiting for the same promise from {}. Start it with its directory as it was; \
             if it is gone for good, stop the others, remove {FILE} from the directory of each, and start them again",
            set.join(", "),
            missing.join(", ")
        ))
    }

    /// Steps 1 and 2.
    fn gather(
        &mut self,
        now: Instant,
        fresh: &[(Address, Statement)],
        actions: &mut Vec<Action>,
    ) -> Option<String> {
        self.agreed = None;
        let stands = |other: &Statement| matches!(other.stage, Stage::Founded { .. } | Stage::Stands);
        if let Some((member, other)) = fresh.iter().find(|(_, other)| stands(other)) {
            return Some(self.too_late(member, other));
        }
        let (mut with, mut odd) = (BTreeMap::new(), Vec::new());
        for (address, other) in fresh {
            match self.does_not_fit(address, other) {
                Some(why) => odd.push(why),
                None => {
                    with.insert(other.who.clone(), other);
                }
            }
        }
        // One that has promised waits for these, however many others came since.
        let bound = with.values().find_map(|other| match &other.stage {
            Stage::Promised { set } => Some(set.clone()),
            _ => None,
        });
        let everybody: BTreeSet<&Founder> = with.keys().chain([&self.own]).collect();
        let set: Vec<Founder> = bound.unwrap_or_else(|| everybody.iter().map(|one| (*one).clone()).collect());
        let here: Vec<String> = everybody.iter().map(|one| one.address.to_string()).collect();
        for (address, candidate) in &self.candidates {
            if let Some(why) = &candidate.trouble
                && candidate.answer.as_ref().is_none_or(|(at, _)| now.since(*at) >= FRESH)
            {
                odd.push(format!("{address} does not answer as a sentinel of this kind ({why})"));
            }
        }
        let odd = if odd.is_empty() { String::new() } else { format!("; {}", odd.join("; ")) };
        let there = set.iter().filter(|one| everybody.contains(one)).count();
        if set.len() > self.expect {
            return Some(format!(
                "{} sentinels are here and {} are expected, so which of them found the fleet is not clear: stop those \
                 that are too many, or correct --bootstrap-expect on all: {}{odd}",
                set.len(),
                self.expect,
                here.join(", ")
            ));
        }
        if there < self.expect {
            return Some(format!(
                "{there} of {} sentinels are here ({}); the fleet is founded when all of them are{odd}",
                self.expect,
                here.join(", ")
            ));
        }
        let same = |one: &Founder| {
            one.run_id == self.own.run_id
                || with.get(one).is_some_and(|other| match &other.stage {
                    Stage::Agreed { set: theirs } | Stage::Promised { set: theirs } => *theirs == set,
                    _ => false,
                })
        };
        if set.iter().all(same) {
            self.promised_by = set
                .iter()
                .filter(|one| {
                    with.get(one).is_some_and(|other| matches!(other.stage, Stage::Promised { .. }))
                })
                .map(|one| one.run_id.clone())
                .collect();
            self.kept.promised = set;
            actions.push(Action::Keep(self.kept.clone()));
            return None;
        }
        self.agreed = Some(set);
        Some(format!(
            "all {} sentinels are here ({}); waiting until each of them sees all the others{odd}",
            self.expect,
            here.join(", ")
        ))
    }

    /// Why one that answered is not counted.
    fn does_not_fit(&self, address: &Address, other: &Statement) -> Option<String> {
        let who = &other.who;
        if who.run_id == self.own.run_id {
            return Some(format!(
                "{address} runs on a copy of this sentinel's directory: give it one of its own"
            ));
        }
        if who.address != *address {
            return Some(format!(
                "the sentinel at {address} says that it is at {}: set announce-ip and announce-port there",
                who.address
            ));
        }
        if other.expect != self.expect {
            return Some(format!(
                "{address} expects {} sentinels and this one {}: give --bootstrap-expect the same number on all",
                other.expect, self.expect
            ));
        }
        if other.groups != self.groups {
            return Some(format!(
                "{address} watches {} and this one {}: give all the same masters",
                other.groups.join(", "),
                self.groups.join(", ")
            ));
        }
        match &other.stage {
            Stage::Promised { set } if !set.contains(&self.own) => {
                let set: Vec<String> = set.iter().map(|one| one.address.to_string()).collect();
                Some(format!("{address} has promised itself to {}, without this sentinel", set.join(", ")))
            }
            _ => None,
        }
    }

    fn too_late(&self, member: &Address, other: &Statement) -> String {
        let id = other.next_id.unwrap_or(self.expect as NodeId + 1);
        let own = &self.own.address;
        format!(
            "{member} belongs to a fleet that stands, and this sentinel is none of its founders. To add it, stop it, run \
             `vedette peer add {id} {own} --sentinel {member} --no-wait`, and start it with `--id {id} --join {member}` \
             in place of --bootstrap-expect; to replace a dead sentinel, `vedette peer replace DEAD-ID {id} {own} \
             --sentinel {member} --no-wait`"
        )
    }
}

/// Where [`Kept`] is kept, in the directory of the sentinel.
pub const FILE: &str = "founding.json";
