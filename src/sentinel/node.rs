//! [`Sentinel`]: routes what happens to the file whose business it is, and keeps the time.

use super::beat::Beat;
use super::bugs::Bugs;
use super::credentials::Credentials;
use super::guard::FleetGuard;
use super::lead::Supervision;
use super::lease::Stamped;
use super::members::Care;
use super::registry::Registry;
use super::relay::ToRelay;
use super::schedule::Schedule;
use super::{Action, Auth, Input, PeerMessage, SessionId};
use crate::config::sentinel::SentinelConfig;
use crate::consensus::{self, Consensus, Role};
use crate::model::drill::Scorecard;
use crate::model::event::EventKind;
use crate::model::{Address, NodeId};
use crate::sentinel::ledger::Ledger;
use crate::sentinel::peer::View;
use crate::stdx::time::{Duration, Instant, Now};
use std::collections::{BTreeMap, BTreeSet};

/// Who this sentinel is: its data directory and its life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    pub uuid: String,
    /// Forty hex digits; clients know it as `myid`.
    pub run_id: String,
}

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Consensus(#[from] consensus::StartError),
    #[error(transparent)]
    Snapshot(#[from] super::ledger::BadSnapshot),
    #[error("`peers` does not name this sentinel's own id {0}")]
    NotAPeer(NodeId),
    #[error("{0}")]
    Fatal(String),
    /// What it voted is no longer certain.
    #[error("{0}")]
    LostLog(String),
}

impl StartError {
    /// Only a new id helps.
    pub fn must_rejoin(&self) -> bool {
        use consensus::StartError::Contradiction;
        matches!(self, StartError::LostLog(_) | StartError::Consensus(Contradiction { .. }))
    }
}

/// Another voter, as this one knows it.
#[derive(Clone, Debug, Default)]
pub struct Peer {
    pub address: Option<Address>,
    pub uuid: String,
    pub run_id: String,
    pub connected: bool,
    /// Its id is bound to another data directory: nothing it says is believed.
    pub rejected: bool,
    /// Receives the log and has no vote: what it sees is not counted.
    pub learner: bool,
    pub heard_at: Option<Instant>,
    /// What it said it sees, and when.
    pub views: Vec<View>,
    pub views_at: Option<Instant>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    Group(String),
    Instance(Address),
}

/// Whom the answer to a command goes to.
#[derive(Clone, Copy, Debug)]
pub(super) enum Asker {
    Session(SessionId),
    Peer { id: NodeId, request: u64 },
}

/// Groups and instances looked at in one call: a guard against a loop of our own making.
const TURNS_MAX: usize = 100_000;
pub(super) const FORWARD_LIMIT: Duration = Duration::from_secs(5);

pub struct Sentinel {
    pub(super) config: SentinelConfig,
    pub(super) identity: Identity,
    pub(super) address: Address,
    pub(super) credentials: Credentials,
    /// Set by the simulator only: no configuration and no command reaches it.
    pub bugs: Bugs,
    pub(super) started_at: Instant,
    pub(super) consensus: Consensus,
    pub(super) ledger: Ledger,
    /// The newest event told since the start.
    pub(super) told: u64,
    pub(super) beat: Beat,
    pub(super) next_beat: Instant,
    /// When this node became leader, while it is.
    pub(super) leader_since: Option<Instant>,
    /// The term in which this node took up office.
    pub(super) office_term: u64,
    pub(super) peers: BTreeMap<NodeId, Peer>,
    pub(super) registry: Registry,
    pub(super) groups: BTreeMap<String, Supervision>,
    pub(super) schedule: Schedule<Timer>,
    pub(super) next_request: u64,
    pub(super) pending: BTreeMap<u64, (u64, Asker)>,
    pub(super) forwarded: BTreeMap<u64, (SessionId, Instant)>,
    pub(super) next_forward: u64,
    pub(super) webhooks: super::webhooks::Reports,
    /// What the shell said of scripts and hooks and is not agreed yet.
    pub(super) errands_up_to: u64,
    pub(super) errands_told: Vec<(EventKind, String)>,
    pub(super) next_errands: Option<Instant>,
    /// What this process is to crash after, as asked by SIMULATE-FAILURE.
    pub(super) simulated_failures: u8,
    pub(super) guard: FleetGuard,
    pub(super) commits: super::commits::Commits,
    pub(super) care: Care,
    /// No member any more: it votes, watches and answers no more.
    pub(super) removed: bool,
    pub(super) ended: bool,
    /// When drills are looked after next.
    pub(super) next_drill_look: Instant,
    /// What this node found, until the log has taken it.
    pub(super) drill_card: Option<Box<Scorecard>>,
}

impl Sentinel {
    /// A sentinel as its disk left it, and the actions that bring its surroundings up to date.
    /// `auth` gives the credentials read from files, by group.
    pub fn new(
        config: &SentinelConfig,
        identity: Identity,
        stored: consensus::Stored,
        seed: u64,
        now: Now,
        auth: BTreeMap<String, Auth>,
    ) -> Result<(Self, Vec<Action>), StartError> {
        let address = match config.announced() {
            Some(own) => own,
            // The fleet that it joins knows better.
            None if config.joins() || stored.snapshot.is_some() => {
                Address::new(config.bind.clone(), config.port)
            }
            None => return Err(StartError::NotAPeer(config.id)),
        };
        let founders = config.peers.iter().filter(|_| !config.joins()).map(|peer| peer.id);
        let settings = consensus::Settings {
            id: config.id,
            voters: founders.collect(),
            heartbeat_ms: config.raft.heartbeat_milliseconds,
            election_ms_min: config.raft.election_milliseconds_min,
            election_ms_max: config.raft.election_milliseconds_max,
            compact_after_entries: 4096,
        };
        let (consensus, first) = Consensus::new(settings, stored, seed, now)?;
        let peers = config.peers.iter().filter(|peer| peer.id != config.id);
        let mut this = Sentinel {
            config: config.clone(),
            identity,
            address,
            credentials: Credentials::new(auth),
            bugs: Bugs::default(),
            started_at: now.mono,
            consensus,
            ledger: Ledger::default(),
            told: 0,
            beat: Beat::default(),
            next_beat: now.mono,
            leader_since: None,
            office_term: 0,
            peers: peers
                .map(|peer| (peer.id, Peer { address: Some(peer.address.clone()), ..Peer::default() }))
                .collect(),
            registry: Registry::default(),
            groups: BTreeMap::new(),
            schedule: Schedule::default(),
            next_request: 1,
            pending: BTreeMap::new(),
            forwarded: BTreeMap::new(),
            next_forward: 1,
            webhooks: super::webhooks::Reports::default(),
            errands_up_to: 0,
            errands_told: Vec::new(),
            next_errands: None,
            simulated_failures: 0,
            guard: FleetGuard::default(),
            commits: super::commits::Commits::default(),
            care: Care::default(),
            removed: false,
            ended: false,
            next_drill_look: now.mono,
            drill_card: None,
        };
        let mut actions = Vec::new();
        this.carry_out(now, first, true, &mut actions);
        let fatal = actions.iter().find_map(|action| match action {
            Action::Fatal { message, rejoin } => Some((message.clone(), *rejoin)),
            _ => None,
        });
        match fatal {
            Some((message, true)) => Err(StartError::LostLog(message)),
            Some((message, false)) => Err(StartError::Fatal(message)),
            None => Ok((this, actions)),
        }
    }

    pub fn handle(&mut self, now: Now, input: Input, actions: &mut Vec<Action>) {
        if self.ended || self.removed {
            return;
        }
        self.notice_own_pause(now.mono);
        match input {
            Input::Tick => {}
            Input::PeerUp { id, uuid, run_id, address } => {
                self.peer_up(now, id, uuid, run_id, address, actions);
            }
            Input::PeerDuplicate { id } => self.duplicate(now, id, actions),
            Input::Removed => return self.leave(actions),
            Input::PeerDown { id } => {
                if let Some(peer) = self.peers.get_mut(&id) {
                    peer.connected = false;
                }
                self.drive(now, consensus::Input::Unreachable { peer: id }, actions);
            }
            Input::Peer { from, message } => self.peer_says(now, from, message, actions),
            Input::LinkUp { instance } => self.link_up(now.mono, &instance),
            Input::LinkDown { instance, why } => self.link_down(now.mono, &instance, why),
            Input::Replied { instance, request, reply } => {
                self.replied(now.mono, &instance, request, &reply, actions);
                // Most answers say that all is well, and there are very many.
                if self.next_wakeup().is_none_or(|at| at > now.mono) {
                    return;
                }
            }
            Input::ErrandsProgress { up_to } => self.errands_progress(now, up_to),
            Input::ErrandTold { kind, payload } => self.errand_told(now, kind, payload),
            Input::HookAnswered { group, epoch, verdict } => {
                self.hook_answered(now.mono, &group, epoch, verdict);
            }
            Input::Credentials { by_group, cluster } => {
                self.take_credentials(by_group, cluster.as_ref(), actions);
            }
            Input::Webhook(progress) => self.webhooks.take(now.mono, progress),
            Input::DrillEnded { card } => self.drill_ended(card),
        }
        if self.consensus.next_wakeup().is_some_and(|at| at <= now.mono) {
            self.drive(now, consensus::Input::Tick, actions);
        }
        if self.removed {
            return;
        }
        self.keep_office(now, actions);
        for _ in 0..TURNS_MAX {
            match self.schedule.pop_due(now.mono) {
                Some(Timer::Instance(address)) => self.tend(now.mono, &address, actions),
                Some(Timer::Group(name)) => self.look_after(now, &name, actions),
                None => break,
            }
        }
    }

    /// When `handle` wants to be called with [`Input::Tick`] at the latest.
    pub fn next_wakeup(&self) -> Option<Instant> {
        if self.ended || self.removed {
            return None;
        }
        let beat = (self.consensus.role() == Role::Leader).then_some(self.next_beat);
        let answer = self.forwarded.values().map(|(_, at)| *at).min();
        let webhooks = self.webhooks.due.filter(|_| self.in_office());
        let errands = self.next_errands.filter(|_| self.in_office());
        [self.consensus.next_wakeup(), self.schedule.next(), beat, answer, errands, webhooks]
            .into_iter()
            .flatten()
            .min()
    }

    /// In touch with the majority within an election time: what is answered from the ledger is what
    /// the fleet agreed on.
    pub fn is_fresh(&self, now: Instant) -> bool {
        if self.removed {
            return false;
        }
        if self.bugs.stale_answers {
            return true;
        }
        if self.consensus.role() == Role::Leader {
            self.consensus.leads_and_is_current() && self.beat.leads(now, self.leader_limit())
        } else {
            let limit = Duration::from_millis(self.config.raft.election_milliseconds_max);
            let applied = if self.bugs.behind_is_fresh { u64::MAX } else { self.consensus.applied() };
            self.beat.follows(now, limit, applied)
        }
    }

    /// While a leader was confirmed within the shortest election time, nobody else can lead.
    pub(super) fn leader_limit(&self) -> Duration {
        Duration::from_millis(self.config.raft.election_milliseconds_min)
    }

    pub fn id(&self) -> NodeId {
        self.config.id
    }

    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Where this sentinel is reached.
    pub fn address(&self) -> &Address {
        &self.address
    }

    pub fn config(&self) -> &SentinelConfig {
        &self.config
    }

    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    pub fn peers(&self) -> &BTreeMap<NodeId, Peer> {
        &self.peers
    }

    pub fn role(&self) -> Role {
        self.consensus.role()
    }

    pub fn leader(&self) -> Option<NodeId> {
        self.consensus.leader()
    }

    pub fn term(&self) -> u64 {
        self.consensus.term()
    }

    /// Gives leadership away before a planned end.
    pub fn hand_over(&mut self, now: Now, actions: &mut Vec<Action>) {
        let mut out = Vec::new();
        self.consensus.hand_over(&mut out);
        self.carry_out(now, out, false, actions);
    }

    /// This process did not run for a while: what it saw before proves nothing about now, and its
    /// own silence must not count as an instance's.
    fn notice_own_pause(&mut self, now: Instant) {
        let Some(late) = self.next_wakeup().map(|due| now.since(due)) else { return };
        if late < Duration::from_millis(50) {
            return;
        }
        let ledger = &self.ledger;
        for (address, instance) in self.registry.iter_mut() {
            let half = ledger.group(&instance.group).map(|group| group.settings.down_after() / 2);
            if half.is_some_and(|half| late > half) {
                instance.forget(now);
                self.schedule.sooner(&Timer::Instance(address.clone()), now);
            }
        }
        for peer in self.peers.values_mut() {
            peer.views.clear();
        }
    }

    fn peer_says(&mut self, now: Now, from: NodeId, message: PeerMessage, actions: &mut Vec<Action>) {
        let Some(peer) = self.peers.get_mut(&from).filter(|peer| !peer.rejected) else { return };
        peer.heard_at = Some(now.mono);
        match message {
            PeerMessage::Raft(bytes) => self.drive(now, consensus::Input::Message { from, bytes }, actions),
            PeerMessage::Beat { term, sequence, confirmed_ms_ago, commit, echo_us } => {
                if term == self.consensus.term() && self.consensus.leader() == Some(from) {
                    self.beat.heard(echo_us, confirmed_ms_ago, commit);
                    let stamp_us = now.mono.as_micros();
                    let views = self.views(now.mono);
                    let message = PeerMessage::BeatAck { term, sequence, stamp_us, views };
                    actions.push(Action::SendPeer { to: from, message });
                }
            }
            PeerMessage::BeatAck { term, sequence, stamp_us, views } => {
                if term != self.consensus.term() || self.consensus.role() != Role::Leader {
                    return;
                }
                let (members, own) = (self.consensus.members(), self.config.id);
                let is_majority = |from: &BTreeSet<NodeId>| {
                    let with_us = from.iter().copied().chain([own]).collect();
                    members.is_majority(&with_us)
                };
                // Made after that beat was sent: an answer that lay in a socket is as old as its beat.
                let made_at = self.beat.acknowledged(from, sequence, stamp_us, is_majority);
                let Some(made_at) = made_at else { return };
                if peer.views_at.is_some_and(|known| known > made_at) {
                    return;
                }
                for view in views.iter().filter(|view| view.sdown || view.refused_ms.is_some()) {
                    self.schedule.sooner(&Timer::Group(view.group.clone()), now.mono);
                }
                peer.views = views;
                peer.views_at = Some(made_at);
            }
            PeerMessage::Forward { id, argv } => {
                self.take_forwarded(now, from, id, &argv, actions);
            }
            PeerMessage::RelayLease { group, run_id, generation, argv } => {
                let asked = ToRelay { group: &group, run_id: &run_id, generation, argv };
                self.relay_lease(now.mono, from, asked, actions);
            }
            PeerMessage::Relayed { group, instance, generation, stamp, vouched, version } => {
                if let Some(own) = self.groups.get_mut(&group) {
                    let stamped = Stamped { stamp, vouched, carried: false, version };
                    own.lease.relayed(now.mono, &instance, from, generation, stamped);
                    self.schedule.sooner(&Timer::Group(group), now.mono);
                }
            }
            PeerMessage::Forwarded { id, error } => {
                if let Some((session, _)) = self.forwarded.remove(&id) {
                    actions.push(super::office::respond(session, error.as_deref()));
                }
            }
        }
    }
}
