//! A fleet of consensus nodes in one thread: a network of ordered links one millisecond long, disks
//! that hold what was persisted, and a clock that moves when told. Everything follows from the seed.

use std::collections::{BTreeMap, BTreeSet};
use vedette::consensus::{
    Action, Change, ChangeError, Consensus, Input, MAX_STATE, Members, Persist, ProposeError, Settings,
    StartError, Stored, codec,
};
use vedette::model::NodeId;
use vedette::stdx::time::Now;

/// What a stored log becomes by one commit, written once more and differently from the node's mirror.
pub fn commit(stored: &mut Stored, persist: &Persist) {
    if let Some(snapshot) = &persist.snapshot {
        stored.entries.retain(|entry| entry.index > snapshot.index);
        stored.snapshot = Some(snapshot.clone());
    }
    if let Some(from) = persist.truncate_from {
        stored.entries.retain(|entry| entry.index < from);
    }
    stored.entries.extend(persist.entries.iter().cloned());
    stored.hard_state = persist.hard_state.unwrap_or(stored.hard_state);
}

#[derive(Default)]
pub struct Member {
    pub consensus: Option<Consensus>,
    pub disk: Stored,
    /// What the owner made of restores and applies: the values agreed so far.
    pub values: Vec<String>,
    lives: u64,
    /// Made after the fleet: it waits to be added.
    joins: bool,
}

struct Packet {
    due_ms: u64,
    from: NodeId,
    to: NodeId,
    bytes: Vec<u8>,
}

pub struct Fleet {
    pub now_ms: u64,
    pub members: BTreeMap<NodeId, Member>,
    pub cut: BTreeSet<NodeId>,
    pub trace: bool,
    /// What happened, a line each; taken by whoever prints it.
    pub story: Vec<String>,
    packets: Vec<Packet>,
    seed: u64,
    compact_after: u64,
    /// A node of this id stops after this many more of its actions, in the middle of a batch.
    pub crash: Option<(NodeId, usize)>,
    /// Terms and who led them, for the one invariant that is about all of them.
    pub led: BTreeMap<u64, NodeId>,
    left: BTreeSet<NodeId>,
}

impl Fleet {
    pub fn new(size: u64, seed: u64, compact_after: u64) -> Self {
        let mut fleet = Fleet {
            now_ms: 0,
            members: (1..=size).map(|id| (id, Member::default())).collect(),
            cut: BTreeSet::new(),
            trace: false,
            story: Vec::new(),
            packets: Vec::new(),
            seed,
            compact_after,
            crash: None,
            led: BTreeMap::new(),
            left: BTreeSet::new(),
        };
        for id in 1..=size {
            fleet.start(id);
        }
        fleet
    }

    fn now(&self) -> Now {
        Now::at_millis(self.now_ms)
    }

    fn tell(&mut self, id: NodeId, what: String) {
        self.story.push(format!("@{} n{id} {what}", self.now_ms));
    }

    fn founders(&self, asking: NodeId) -> Vec<NodeId> {
        let founders = self.members.iter().filter(|(_, member)| !member.joins).map(|(id, _)| *id);
        if self.members[&asking].joins { Vec::new() } else { founders.collect() }
    }

    /// A node that nobody knows yet.
    pub fn join(&mut self, id: NodeId) {
        self.members.insert(id, Member { joins: true, ..Member::default() });
        self.start(id);
    }

    /// Asks a node to change the members; the change is also a value of the story.
    pub fn change(&mut self, id: NodeId, change: Change) -> Result<u64, ChangeError> {
        let now = self.now();
        let Some(node) = self.members.get_mut(&id).unwrap().consensus.as_mut() else {
            return Err(ProposeError::NotLeader { leader: None }.into());
        };
        let value = match change {
            Change::AddLearner(id) => format!("learner-{id}"),
            Change::Promote(id) => format!("voter-{id}"),
            Change::Replace { joins, leaves } => format!("voter-{joins}-for-{leaves}"),
            Change::Remove(id) => format!("without-{id}"),
        };
        let mut actions = Vec::new();
        let index = node.change_members(now, change, value.as_bytes(), &mut actions);
        self.carry_out(id, actions);
        index
    }

    pub fn start(&mut self, id: NodeId) {
        let settings = Settings {
            id,
            voters: self.founders(id),
            heartbeat_ms: 50,
            election_ms_min: 300,
            election_ms_max: 600,
            compact_after_entries: self.compact_after,
        };
        let now = self.now();
        let member = self.members.get_mut(&id).unwrap();
        member.lives += 1;
        member.values.clear();
        let seed = self.seed * 1000 + id * 100 + member.lives;
        match Consensus::new(settings, member.disk.clone(), seed, now) {
            Ok((consensus, actions)) => {
                member.consensus = Some(consensus);
                self.carry_out(id, actions);
            }
            Err(error) => self.refuse(id, &error),
        }
    }

    fn refuse(&mut self, id: NodeId, error: &StartError) {
        self.tell(id, format!("refuses to start: {error}"));
    }

    /// It read of its own removal.
    pub fn has_left(&self, id: NodeId) -> bool {
        self.left.contains(&id)
    }

    pub fn stop(&mut self, id: NodeId) {
        self.members.get_mut(&id).unwrap().consensus = None;
        self.packets.retain(|packet| packet.to != id);
    }

    pub fn wipe(&mut self, id: NodeId) {
        self.stop(id);
        self.members.get_mut(&id).unwrap().disk = Stored::default();
    }

    pub fn propose(&mut self, id: NodeId, data: &str) -> Result<u64, ProposeError> {
        let now = self.now();
        let Some(node) = self.members.get_mut(&id).unwrap().consensus.as_mut() else {
            return Err(ProposeError::NotLeader { leader: None });
        };
        let mut actions = Vec::new();
        let index = node.propose(now, data.as_bytes().to_vec(), &mut actions);
        self.carry_out(id, actions);
        index
    }

    /// The owner takes a snapshot of all it applied.
    pub fn compact(&mut self, id: NodeId) {
        let member = self.members.get_mut(&id).unwrap();
        let Some(node) = member.consensus.as_mut() else { return };
        let state = member.values.join(" ").into_bytes();
        assert!(state.len() < MAX_STATE);
        let mut actions = Vec::new();
        node.compact(node.applied(), state, &mut actions).unwrap();
        self.carry_out(id, actions);
    }

    pub fn hand_over(&mut self, id: NodeId) {
        let Some(node) = self.members.get_mut(&id).unwrap().consensus.as_mut() else { return };
        let mut actions = Vec::new();
        node.hand_over(&mut actions);
        self.carry_out(id, actions);
    }

    fn input(&mut self, id: NodeId, input: Input) {
        let now = self.now();
        let Some(node) = self.members.get_mut(&id).and_then(|m| m.consensus.as_mut()) else { return };
        let mut actions = Vec::new();
        node.handle(now, input, &mut actions);
        self.carry_out(id, actions);
    }

    pub fn deliver(&mut self, from: NodeId, to: NodeId, bytes: Vec<u8>) {
        self.input(to, Input::Message { from, bytes });
    }

    fn carry_out(&mut self, id: NodeId, actions: Vec<Action>) {
        for action in actions {
            if let Some((victim, left)) = &mut self.crash
                && *victim == id
            {
                if *left == 0 {
                    self.crash = None;
                    self.stop(id);
                    return;
                }
                *left -= 1;
            }
            if !self.one(id, action) {
                return;
            }
        }
        // Whoever is no member any more votes no more. Not before: while one replaces another the vote of
        // the one that goes may still be needed.
        let node = self.members[&id].consensus.as_ref();
        let gone = |members: &Members| !members.voters.is_empty() && !members.contains(id);
        if node.is_some_and(|node| gone(node.members())) {
            self.tell(id, "leaves".to_owned());
            self.left.insert(id);
            self.stop(id);
        }
    }

    /// Carries out one action; `false` ends the node.
    fn one(&mut self, id: NodeId, action: Action) -> bool {
        match action {
            Action::Persist(persist) => {
                commit(&mut self.members.get_mut(&id).unwrap().disk, &persist);
                if self.trace {
                    self.tell(id, describe(&persist));
                }
            }
            Action::Send { to, bytes } => {
                if self.trace {
                    self.tell(id, format!("-> n{to} {}", codec::describe(&bytes)));
                }
                if !self.cut.contains(&id) && !self.cut.contains(&to) {
                    self.packets.push(Packet { due_ms: self.now_ms + 1, from: id, to, bytes });
                }
            }
            Action::Apply { index, term, data } => {
                let value = String::from_utf8_lossy(&data).into_owned();
                self.tell(id, format!("applies {index}/{term} {value}"));
                self.members.get_mut(&id).unwrap().values.push(value);
            }
            Action::Restore { index, state } => {
                let state = String::from_utf8_lossy(&state).into_owned();
                self.tell(id, format!("restores up to {index}: {state}"));
                self.members.get_mut(&id).unwrap().values =
                    state.split_whitespace().map(str::to_owned).collect();
            }
            Action::RoleChanged { role, term, leader } => {
                let leader = leader.map_or("nobody".to_owned(), |id| format!("n{id}"));
                self.tell(id, format!("{} in term {term}, follows {leader}", role.name()));
                if role == vedette::consensus::Role::Leader {
                    let known = *self.led.entry(term).or_insert(id);
                    assert_eq!(known, id, "two leaders in term {term}");
                }
            }
            Action::Fatal { message } => {
                self.tell(id, format!("ends: {message}"));
                self.stop(id);
                return false;
            }
        }
        true
    }

    /// One millisecond: what is due arrives, then whoever must wake wakes, in order of ids.
    pub fn step(&mut self) {
        self.now_ms += 1;
        let now_ms = self.now_ms;
        let (due, later) = std::mem::take(&mut self.packets).into_iter().partition(|p| p.due_ms <= now_ms);
        self.packets = later;
        for Packet { from, to, bytes, .. } in due {
            self.deliver(from, to, bytes);
        }
        let now = self.now().mono;
        for id in self.members.keys().copied().collect::<Vec<_>>() {
            let node = self.members[&id].consensus.as_ref();
            if node.and_then(Consensus::next_wakeup).is_some_and(|at| at <= now) {
                self.input(id, Input::Tick);
            }
        }
    }

    pub fn run(&mut self, ms: u64) {
        for _ in 0..ms {
            self.step();
        }
    }

    /// The one node that leads and is current, in the highest term.
    pub fn leader(&self) -> Option<NodeId> {
        let nodes = self.members.values().filter_map(|member| member.consensus.as_ref());
        nodes.filter(|node| node.leads_and_is_current()).max_by_key(|n| n.term()).map(Consensus::id)
    }
}

fn describe(persist: &Persist) -> String {
    let mut text = "persists".to_owned();
    if let Some(snapshot) = &persist.snapshot {
        text += &format!(" snapshot={}/{}", snapshot.index, snapshot.term);
    }
    if let Some(from) = persist.truncate_from {
        text += &format!(" truncate_from={from}");
    }
    for entry in &persist.entries {
        text += &format!(" {}/{}:{}", entry.index, entry.term, String::from_utf8_lossy(&entry.data));
    }
    if let Some(hard) = persist.hard_state {
        text += &format!(" term={} vote={} commit={}", hard.term, hard.vote, hard.commit);
    }
    text
}
