//! One voter: drives the raft crate and turns each of its `Ready` batches into actions.
//!
//! The order within a batch is the safety argument: what may leave first, leaves (a leader's appends,
//! so that its own disk and its followers' work side by side); then one durable commit; then what
//! speaks of that commit (votes, acknowledgements); then what is agreed. The shell carries actions
//! out in this order and ends the process when a commit fails, so a batch may be called done as soon
//! as its actions are pushed.
//!
//! A commit index alone is no reason to write: it travels with the next durable commit, and a
//! restarted node learns the rest from its leader.

use super::gate::{self, Verdict};
use super::members::{self, Change, ChangeError, Members};
use super::mirror::{Mirror, record_from_entry, record_from_snapshot};
use super::pace::{FOLLOWER_TICKS, HEARTBEAT_TICKS, Pace};
use super::{
    Action, HardState, Input, MAX_PROPOSAL, MAX_STATE, Persist, Role, Settings, SnapshotRecord, StartError,
    Stored, codec, start,
};
use crate::model::NodeId;
use crate::stdx::time::{Instant, Now};
use raft::eraftpb::{Entry, EntryType, Message, MessageType};
use raft::{Config, RawNode, SnapshotStatus, StateRole};

/// Largest append message, the weight of entries not yet agreed, and of those applied at once.
const MAX_APPEND: u64 = 256 * 1024;
const MAX_UNCOMMITTED: u64 = 4 * 1024 * 1024;
const MAX_APPLIED_AT_ONCE: u64 = 1024 * 1024;
const MAX_IN_FLIGHT: usize = 64;

/// Why data was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProposeError {
    #[error("this node does not lead")]
    NotLeader { leader: Option<NodeId> },
    #[error("too much waits for agreement already, or leadership is being handed over")]
    Busy,
    #[error("a proposal of {bytes} bytes is larger than {MAX_PROPOSAL}")]
    TooLarge { bytes: usize },
}

/// The state is larger than [`MAX_STATE`] and could not be sent to a peer; nothing was compacted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a state of {bytes} bytes is larger than {MAX_STATE} and could not be sent to a peer")]
pub struct StateTooLarge {
    pub bytes: usize,
}

/// What was last reported with [`Action::RoleChanged`].
type Standing = (Role, u64, Option<NodeId>);

pub struct Consensus {
    node: RawNode<Mirror>,
    pace: Pace,
    id: NodeId,
    compact_after: u64,
    /// What the disk holds once all actions so far are carried out.
    stored: HardState,
    applied: u64,
    members: Members,
    /// Where in the log they last changed.
    members_since: u64,
    standing: Standing,
    /// The drawn election timeout, in ticks, and the standing it was drawn for; the crate's own draw
    /// is overwritten with it.
    timeout: usize,
    drawn_for: Standing,
    /// Ended by [`Action::Fatal`].
    ended: bool,
    dropped: u64,
    logger: slog::Logger,
}

impl Consensus {
    /// A voter as the disk left it, and the actions that bring its owner up to date: the snapshot's
    /// state, then what is known to be agreed behind it.
    pub fn new(
        settings: Settings,
        stored: Stored,
        seed: u64,
        now: Now,
    ) -> Result<(Self, Vec<Action>), StartError> {
        let silent = slog::Logger::root(slog::Discard, slog::o!());
        Self::with_logger(settings, stored, seed, now, &silent)
    }

    /// The same, with a place for what the raft crate has to say.
    pub fn with_logger(
        settings: Settings,
        stored: Stored,
        seed: u64,
        now: Now,
        logger: &slog::Logger,
    ) -> Result<(Self, Vec<Action>), StartError> {
        let snapshot = start::check(&settings, &stored)?;
        let mut actions = Vec::new();
        if stored.snapshot.is_none() {
            // From here on the log, not the configuration, knows the voters.
            actions.push(Action::Persist(Persist { snapshot: Some(snapshot.clone()), ..Persist::default() }));
        }
        let applied = snapshot.index;
        if applied > 0 {
            actions.push(Action::Restore { index: applied, state: snapshot.state.clone() });
        }
        let pace = Pace::new(&settings, seed, now.mono);
        let config = Config {
            id: settings.id,
            election_tick: pace.min_ticks(),
            heartbeat_tick: HEARTBEAT_TICKS,
            min_election_tick: pace.min_ticks(),
            // The crate's range leaves its upper end out, ours does not.
            max_election_tick: pace.max_ticks() + 1,
            applied,
            max_size_per_msg: MAX_APPEND,
            max_inflight_msgs: MAX_IN_FLIGHT,
            check_quorum: true,
            pre_vote: true,
            max_uncommitted_size: MAX_UNCOMMITTED,
            max_committed_size_per_ready: MAX_APPLIED_AT_ONCE,
            ..Config::default()
        };
        let mirror = Mirror::new(snapshot, stored.entries, stored.hard_state);
        let node = RawNode::new(&config, mirror, logger).map_err(|error| StartError::Settings {
            what: format!("the raft settings are refused: {error}"),
        })?;
        let standing = (Role::Follower, stored.hard_state.term, None);
        let conf = node.raft.prs().conf().to_conf_state();
        let mut this = Consensus {
            node,
            pace,
            id: settings.id,
            compact_after: settings.compact_after_entries.max(1),
            stored: stored.hard_state,
            applied,
            members: Members::of_conf(&conf),
            members_since: applied,
            standing,
            timeout: 0,
            drawn_for: standing,
            ended: false,
            dropped: 0,
            logger: logger.clone(),
        };
        this.draw_timeout();
        this.carry_on(&mut actions);
        Ok((this, actions))
    }

    pub fn handle(&mut self, now: Now, input: Input, actions: &mut Vec<Action>) {
        if self.ended {
            return;
        }
        // First: a leader's word must start a new count, not share it with ticks from before it.
        self.pass_time(now, actions);
        match input {
            Input::Tick => {}
            Input::Message { from, bytes } => self.receive(from, &bytes, actions),
            Input::Propose { data } => {
                // Dropped by a node that does not lead, as its doc says.
                let _ = self.propose(now, data, actions);
            }
            Input::Unreachable { peer } => self.node.report_unreachable(peer),
        }
        self.carry_on(actions);
    }

    /// When `handle` wants to be called with a [`Input::Tick`] at the latest.
    pub fn next_wakeup(&self) -> Option<Instant> {
        (!self.ended).then(|| self.pace.after(self.idle_ticks()))
    }

    /// When a leader's next heartbeat is due.
    pub fn next_heartbeat(&self) -> Instant {
        self.pace.after(HEARTBEAT_TICKS.saturating_sub(self.node.raft.heartbeat_elapsed()).max(1))
    }

    /// Ticks until one of them does something: the others are made up for then. Never more than are
    /// made up for at once.
    fn idle_ticks(&self) -> usize {
        let raft = &self.node.raft;
        let (until, most) = match self.role() {
            Role::Leader => {
                let check = self.pace.min_ticks().saturating_sub(raft.election_elapsed);
                (check.min(HEARTBEAT_TICKS.saturating_sub(raft.heartbeat_elapsed())), HEARTBEAT_TICKS)
            }
            Role::Follower | Role::Candidate => {
                (self.timeout.saturating_sub(raft.election_elapsed), FOLLOWER_TICKS)
            }
        };
        until.clamp(1, most)
    }

    /// Asks the fleet to agree on `data`; answers with the index it will have if it is agreed in this
    /// term. Should the term change before that index is applied, nothing is known of its fate.
    pub fn propose(
        &mut self,
        now: Now,
        data: Vec<u8>,
        actions: &mut Vec<Action>,
    ) -> Result<u64, ProposeError> {
        if self.ended || self.role() != Role::Leader {
            return Err(ProposeError::NotLeader { leader: self.leader() });
        }
        if data.len() > MAX_PROPOSAL {
            return Err(ProposeError::TooLarge { bytes: data.len() });
        }
        self.pass_time(now, actions);
        if self.role() != Role::Leader {
            return Err(ProposeError::NotLeader { leader: self.leader() });
        }
        self.node.propose(Vec::new(), data).map_err(|_| ProposeError::Busy)?;
        let index = self.node.raft.raft_log.last_index();
        self.carry_on(actions);
        Ok(index)
    }

    /// The same for a change of the members; `data` is handed out with [`Action::Apply`] when it is
    /// agreed, and from then on it holds. One at a time.
    pub fn change_members(
        &mut self,
        now: Now,
        change: Change,
        data: &[u8],
        actions: &mut Vec<Action>,
    ) -> Result<u64, ChangeError> {
        if self.ended || self.role() != Role::Leader {
            return Err(ProposeError::NotLeader { leader: self.leader() }.into());
        }
        let entry = change.encode(data);
        if entry.len() > MAX_PROPOSAL {
            return Err(ProposeError::TooLarge { bytes: entry.len() }.into());
        }
        self.pass_time(now, actions);
        if self.role() != Role::Leader {
            return Err(ProposeError::NotLeader { leader: self.leader() }.into());
        }
        // The crate would take it, and have an empty entry agreed in its place.
        if self.node.raft.has_pending_conf() || self.members.is_joint() {
            return Err(ChangeError::Unsettled);
        }
        if let Some(fault) = change.fault(&self.members, self.id) {
            return Err(ChangeError::Invalid(fault));
        }
        self.node.propose_conf_change(entry, change.for_crate()).map_err(|_| ProposeError::Busy)?;
        let index = self.node.raft.raft_log.last_index();
        self.carry_on(actions);
        Ok(index)
    }

    /// Whether a snapshot is to be taken: enough entries lie behind the newest, or somebody who was
    /// added since needs one that names it. While one voter replaces another none can be.
    pub fn snapshot_due(&self) -> bool {
        let behind = self.applied.saturating_sub(self.snapshot().index);
        let wanted = behind > 0 && self.node.store().snapshot_wanted();
        !self.ended && !self.members.is_joint() && (wanted || behind >= self.compact_after)
    }

    /// `state` is what applying everything up to `index` made: entries up to there are forgotten. An
    /// index that is not newer than the last snapshot or the last change of the members, or not applied
    /// yet, changes nothing.
    pub fn compact(
        &mut self,
        index: u64,
        state: Vec<u8>,
        actions: &mut Vec<Action>,
    ) -> Result<(), StateTooLarge> {
        if state.len() > MAX_STATE {
            return Err(StateTooLarge { bytes: state.len() });
        }
        let log = self.node.store();
        let Some(term) = log.term_at(index) else { return Ok(()) };
        if self.ended || index <= log.snapshot_record().index || index > self.applied {
            return Ok(());
        }
        if self.members.is_joint() || index < self.members_since {
            return Ok(());
        }
        let voters = self.members.voters.iter().copied().collect();
        let learners = self.members.learners.iter().copied().collect();
        let snapshot = SnapshotRecord { index, term, voters, learners, state };
        // With the hard state of now: the stored commit index may lie before the snapshot's.
        let hard_state = Some(self.hard_state());
        self.commit(Persist { snapshot: Some(snapshot), hard_state, ..Persist::default() }, actions);
        Ok(())
    }

    /// A leader that is about to leave gives its place to the follower that is furthest along.
    pub fn hand_over(&mut self, actions: &mut Vec<Action>) {
        if self.ended || self.role() != Role::Leader {
            return;
        }
        let progress = self.node.raft.prs().iter();
        let votes = |id: &NodeId| *id != self.id && self.members.voters.contains(id);
        let others = progress.filter(|(id, progress)| votes(id) && progress.recent_active);
        // By id among equals, so that the choice does not hang on a hash map's order.
        let furthest = others.max_by_key(|(id, progress)| (progress.matched, **id)).map(|(id, _)| *id);
        if let Some(successor) = furthest {
            self.node.transfer_leader(successor);
            self.carry_on(actions);
        }
    }

    pub fn id(&self) -> NodeId {
        self.id
    }

    pub fn role(&self) -> Role {
        match self.node.raft.state {
            StateRole::Leader => Role::Leader,
            StateRole::Follower => Role::Follower,
            StateRole::Candidate | StateRole::PreCandidate => Role::Candidate,
        }
    }

    pub fn term(&self) -> u64 {
        self.node.raft.term
    }

    pub fn leader(&self) -> Option<NodeId> {
        Some(self.node.raft.leader_id).filter(|&id| id != 0)
    }

    /// A leader that has applied an entry of its own term, and with it all its predecessors agreed on:
    /// only now does its state speak for the fleet.
    pub fn leads_and_is_current(&self) -> bool {
        self.role() == Role::Leader && self.node.raft.apply_to_current_term()
    }

    pub fn last_index(&self) -> u64 {
        self.node.raft.raft_log.last_index()
    }

    pub fn commit_index(&self) -> u64 {
        self.node.raft.raft_log.committed
    }

    /// The index of the newest entry handed out, empty ones included.
    pub fn applied(&self) -> u64 {
        self.applied
    }

    /// Who takes part, as of the newest applied entry.
    pub fn members(&self) -> &Members {
        &self.members
    }

    /// As leader: whether this node holds all that is agreed, as far as it has said.
    pub fn has_caught_up(&self, id: NodeId) -> bool {
        let progress = self.node.raft.prs().get(id);
        progress.is_some_and(|progress| progress.matched >= self.commit_index())
    }

    /// No vote, no word from here on: this node is no member any more. What was agreed stays on disk.
    pub fn leave(&mut self, actions: &mut Vec<Action>) {
        if !self.ended {
            self.ended = true;
            let hard_state = Some(self.hard_state());
            actions.push(Action::Persist(Persist { hard_state, ..Persist::default() }));
        }
    }

    /// The newest snapshot.
    pub fn snapshot(&self) -> &SnapshotRecord {
        self.node.store().snapshot_record()
    }

    /// Entries held in memory: those since the newest snapshot.
    pub fn entry_count(&self) -> u64 {
        self.node.store().entry_count()
    }

    /// Messages of peers that were not believed since the start.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    fn receive(&mut self, from: NodeId, bytes: &[u8], actions: &mut Vec<Action>) {
        let Ok(message) = codec::decode_message(bytes, from, self.id) else {
            self.dropped += 1;
            return;
        };
        match gate::inspect(&message, self.id, self.node.raft.term, self.node.store(), &self.members) {
            // An error is the crate declining what it has no use for.
            Verdict::Pass => drop(self.node.step(message)),
            Verdict::Drop(why) => {
                self.dropped += 1;
                slog::warn!(self.logger, "a message of a peer is not believed";
                    "peer" => from, "why" => why, "message" => codec::describe(bytes));
            }
            Verdict::LostLog { committed, last } => {
                let id = self.id;
                actions.push(Action::Fatal {
                    message: format!(
                        "node {id} lost part of its raft log: the fleet agreed on entries up to {committed} \
                         with this node's word for it, but its log ends at {last}. Was the data directory \
                         restored from a backup?"
                    ),
                });
                self.ended = true;
            }
        }
        self.follow_standing();
    }

    fn pass_time(&mut self, now: Now, actions: &mut Vec<Action>) {
        for _ in 0..self.pace.due(now.mono) {
            // A batch in between: the crate wants its own entries stable before it moves on.
            self.carry_on(actions);
            let stirred = self.node.tick();
            if stirred && self.role() != Role::Leader {
                // A campaign began, perhaps anew from the same standing.
                self.draw_timeout();
            }
            self.follow_standing();
        }
    }

    /// Draws a new election timeout when role, term or leader moved, and in any case puts ours in the
    /// place of what the crate drew from the machine's generator.
    fn follow_standing(&mut self) {
        if self.current_standing() != self.drawn_for {
            self.draw_timeout();
        } else {
            self.node.raft.set_randomized_election_timeout(self.timeout);
        }
    }

    fn draw_timeout(&mut self) {
        self.timeout = self.pace.draw();
        self.drawn_for = self.current_standing();
        self.node.raft.set_randomized_election_timeout(self.timeout);
    }

    fn current_standing(&self) -> Standing {
        (self.role(), self.term(), self.leader())
    }

    fn hard_state(&self) -> HardState {
        let raft = &self.node.raft;
        HardState { term: raft.term, vote: raft.vote, commit: raft.raft_log.committed }
    }

    /// Turns all that the crate wants done into actions.
    fn carry_on(&mut self, actions: &mut Vec<Action>) {
        while !self.ended && self.node.has_ready() {
            let mut ready = self.node.ready();
            let mut snapshots_to = Vec::new();
            send(ready.take_messages(), &mut snapshots_to, actions);
            let entries = ready.take_entries();
            let snapshot = Some(ready.snapshot()).filter(|s| !s.is_empty()).map(record_from_snapshot);
            if ready.must_sync() {
                let truncate_from = match &snapshot {
                    // What lies behind a leader's snapshot is not known to follow it.
                    Some(snapshot) => Some(snapshot.index + 1),
                    None => {
                        entries.first().map(|entry| entry.index).filter(|&i| i <= self.node.store().last())
                    }
                };
                let hard_state = Some(self.hard_state()).filter(|state| *state != self.stored);
                let entries = entries.iter().map(record_from_entry).collect();
                let snapshot = snapshot.clone();
                self.commit(Persist { snapshot, truncate_from, entries, hard_state }, actions);
            }
            send(ready.take_persisted_messages(), &mut snapshots_to, actions);
            if let Some(SnapshotRecord { index, state, .. }) = snapshot {
                self.applied = index;
                self.members = Members::of_conf(&self.node.raft.prs().conf().to_conf_state());
                self.members_since = index;
                actions.push(Action::Restore { index, state });
            }
            self.apply(ready.take_committed_entries(), actions);
            let mut light = self.node.advance_append(ready);
            send(light.take_messages(), &mut snapshots_to, actions);
            self.apply(light.take_committed_entries(), actions);
            self.node.advance_apply();
            // Taken for delivered: if it was not, the next append is refused and it is sent again. So a
            // lost snapshot never leaves its follower waiting for a word that nobody sends.
            for peer in snapshots_to {
                self.node.report_snapshot(peer, SnapshotStatus::Finish);
            }
            self.follow_standing();
            self.report_standing(actions);
        }
    }

    fn commit(&mut self, persist: Persist, actions: &mut Vec<Action>) {
        self.node.mut_store().apply(&persist);
        self.stored = persist.hard_state.unwrap_or(self.stored);
        actions.push(Action::Persist(persist));
    }

    fn apply(&mut self, entries: Vec<Entry>, actions: &mut Vec<Action>) {
        for entry in entries {
            self.applied = entry.index;
            let Entry { index, term, .. } = entry;
            let data = match entry.get_entry_type() {
                EntryType::EntryNormal => entry.data.to_vec(),
                _ => self.apply_change(index, &entry.context),
            };
            if !data.is_empty() {
                actions.push(Action::Apply { index, term, data });
            }
        }
    }

    /// A change of the members, which holds from here on; its owner's data. Equal on every node: what
    /// the crate refuses it refuses everywhere.
    fn apply_change(&mut self, index: u64, bytes: &[u8]) -> Vec<u8> {
        // Whatever is in the log passed the gate or the check at start.
        let Ok((change, data)) = members::decode(bytes) else { return Vec::new() };
        match self.node.apply_conf_change(&change) {
            Ok(conf) => {
                self.members = Members::of_conf(&conf);
                self.members_since = index;
                if !self.members.learners.is_empty() {
                    // Who was just added can begin with nothing older than this.
                    self.node.mut_store().want_snapshot();
                }
                data
            }
            Err(error) => {
                slog::warn!(self.logger, "a change of the members changes nothing"; "why" => %error);
                Vec::new()
            }
        }
    }

    fn report_standing(&mut self, actions: &mut Vec<Action>) {
        let standing = self.current_standing();
        if standing != self.standing {
            self.standing = standing;
            let (role, term, leader) = standing;
            actions.push(Action::RoleChanged { role, term, leader });
        }
    }
}

fn send(messages: Vec<Message>, snapshots_to: &mut Vec<NodeId>, actions: &mut Vec<Action>) {
    for message in messages {
        let Some(bytes) = codec::encode_message(&message) else { continue };
        if message.get_msg_type() == MessageType::MsgSnapshot {
            snapshots_to.push(message.to);
        }
        actions.push(Action::Send { to: message.to, bytes });
    }
}

#[cfg(test)]
#[path = "node_tests.rs"]
mod tests;
