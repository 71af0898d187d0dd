//! One virtual world: sentinel cores with their Raft, modelled data nodes, one client, one clock,
//! one seed. The same cores run in the daemon; here the dice cup replaces the machine.

mod disk;
mod event;
mod members;
mod nodes;
mod outside;
mod sentinels;
mod strike;

use super::checkers::Checkers;
use super::clock::Clock;
use super::data_node::{DataNode, ReplMessage};
use super::network::{Fate, Host, Network, Trouble};
use super::schedule::Plan;
use disk::Disk;
pub use event::Event;
use event::Queue;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use vedette::consensus::Persist;
use vedette::model::Address;
use vedette::resp::Reply;
use vedette::sentinel::{Action, Command, Input, LinkError, PeerMessage, Sentinel};
use vedette::stdx::Rng;
use vedette::stdx::time::{Instant, Now, Wall};

pub const GROUP: &str = "mymaster";
pub const MS: u64 = 1000;
const NODE_TICK_US: u64 = 20 * MS;
const PROBE_US: u64 = 50 * MS;

/// Channels between hosts that are not one connection each.
const PEERS: u64 = 1;
const REPLICATION: u64 = 2;
const CLIENT: u64 = 3;
const FIRST_LINK: u64 = 10;

pub struct SentinelHost {
    pub core: Option<Sentinel>,
    /// Started at least once.
    pub enrolled: bool,
    /// It said itself that its id is lost: an operator would bring it back as a new member.
    pub lost: bool,
    pub disk: Disk,
    pub life: u64,
    pub paused: bool,
    /// Waits for its disk: what is being written, and what is to be done then.
    busy: Option<(Persist, Vec<Action>)>,
    clock: Clock,
    wall_skew_ms: i64,
    wake_generation: u64,
    deferred: VecDeque<Event>,
    /// Open command links: channel per instance, and which process is at its other end.
    links: BTreeMap<Address, (u64, u64)>,
    watched: BTreeSet<Address>,
    connected_peers: BTreeSet<usize>,
}

pub struct NodeHost {
    pub node: DataNode,
    pub paused: bool,
    /// Its disk makes it stand still for so long, now and then.
    stutter_us: u64,
    clock: Clock,
    deferred: VecDeque<Event>,
    /// Since when nothing was the matter with it or with most sentinels' way to it.
    well_since: Option<u64>,
    /// Since when nothing was the matter with the server itself, whoever reaches it.
    sound_since: Option<u64>,
    /// Since when nothing was the matter with its way to each other server.
    ways_since: Vec<Option<u64>>,
}

impl NodeHost {
    pub fn calm_disk(&mut self) {
        self.stutter_us = 0;
    }
}

pub struct World {
    pub plan: Plan,
    pub faults: Vec<super::schedule::Fault>,
    pub now_us: u64,
    pub sentinels: Vec<SentinelHost>,
    pub nodes: Vec<NodeHost>,
    pub network: Network,
    pub rng: Rng,
    pub client: super::client::Client,
    pub checkers: Checkers,
    /// What happened, newest last; printed when a seed fails.
    pub trace: Vec<(u64, String)>,
    /// Of everything that happened: the same seed must come to the same.
    pub digest: u64,
    /// Whom the final healing leaves as they are.
    pub abandoned: BTreeSet<Host>,
    pub relay: super::dense::Relay,
    troubles: BTreeMap<u64, Trouble>,
    queue: Queue,
    held: Vec<(Host, Host, u64, Event)>,
    sequence: u64,
    next_channel: u64,
    /// Called when a sentinel tells an event for the first time; for faults at a step of a failover.
    pub moments: super::grid::Moments,
}

impl World {
    pub fn new(plan: Plan, faults: Vec<super::schedule::Fault>) -> Self {
        let mut rng = Rng::with_seed(plan.seed);
        let nodes = (0..plan.nodes)
            .map(|index| NodeHost {
                node: DataNode::new(node_address(index), plan.bundled, index as u64 + 1, plan.node_bugs),
                paused: false,
                stutter_us: 0,
                clock: Clock::new(rng.u64(1..1_000_000_000)),
                deferred: VecDeque::new(),
                well_since: None,
                sound_since: None,
                ways_since: vec![None; plan.nodes],
            })
            .collect();
        let sentinels = (0..plan.sentinels + plan.spares)
            .map(|index| SentinelHost {
                core: None,
                enrolled: index < plan.sentinels,
                lost: false,
                disk: Disk::default(),
                life: 0,
                paused: false,
                busy: None,
                clock: Clock::new(rng.u64(1..1_000_000_000)),
                wall_skew_ms: rng.i64(-5000..5000),
                wake_generation: 0,
                deferred: VecDeque::new(),
                links: BTreeMap::new(),
                watched: BTreeSet::new(),
                connected_peers: BTreeSet::new(),
            })
            .collect();
        let mut world = World {
            network: Network::new(rng.u64(..)),
            client: super::client::Client::new(rng.u64(..), plan.sync_quorum()),
            checkers: Checkers::new(&plan),
            faults,
            now_us: 0,
            sentinels,
            nodes,
            rng,
            trace: Vec::new(),
            digest: 0xcbf2_9ce4_8422_2325,
            abandoned: BTreeSet::new(),
            relay: Default::default(),
            troubles: BTreeMap::new(),
            queue: Queue::default(),
            held: Vec::new(),
            sequence: 0,
            next_channel: 0,
            moments: Default::default(),
            plan,
        };
        world.boot();
        world
    }

    fn boot(&mut self) {
        let master = node_address(0);
        for index in 0..self.nodes.len() {
            if index > 0 {
                let argv =
                    ["REPLICAOF", &master.host, &master.port.to_string()].map(|w| w.as_bytes().to_vec());
                let mut out = Vec::new();
                self.nodes[index].node.command(0, &argv, &mut out);
            }
            self.schedule(NODE_TICK_US + index as u64, Event::NodeTick { node: index });
        }
        for index in 0..self.plan.sentinels {
            self.start_sentinel(index);
        }
        self.boot_members();
        self.schedule(500 * MS, Event::ClientTurn);
        self.schedule(100 * MS, Event::Probe);
    }

    // ---- hosts: sentinels first, then nodes, then the client ----

    pub fn sentinel_host(&self, index: usize) -> Host {
        index
    }

    pub fn node_host(&self, index: usize) -> Host {
        self.sentinels.len() + index
    }

    pub fn client_host(&self) -> Host {
        self.sentinels.len() + self.nodes.len()
    }

    pub fn node_at(&self, address: &Address) -> Option<usize> {
        self.nodes.iter().position(|host| host.node.address == *address)
    }

    pub fn host_name(&self, host: Host) -> String {
        if host < self.sentinels.len() {
            format!("s{}", host + 1)
        } else if host < self.client_host() {
            self.nodes[host - self.sentinels.len()].node.address.to_string()
        } else {
            "client".into()
        }
    }

    pub fn note(&mut self, text: String) {
        self.mix(super::checkers::hash(text.as_bytes()));
        self.trace.push((self.now_us, text));
        if self.trace.len() > 6000 {
            self.trace.drain(..2000);
        }
    }

    pub(super) fn mix(&mut self, value: u64) {
        self.digest = (self.digest ^ value).wrapping_mul(0x100_0000_01b3).rotate_left(5);
    }

    // ---- time ----

    pub fn schedule(&mut self, at_us: u64, event: Event) {
        self.sequence += 1;
        self.queue.push(at_us.max(self.now_us), self.sequence, event);
    }

    /// Sends on a channel; what is held waits until the way is open.
    fn send(&mut self, channel: u64, from: Host, to: Host, event: Event) {
        let stream = !matches!(
            &event,
            Event::Peer {
                message: PeerMessage::Raft(_)
                    | PeerMessage::Beat { .. }
                    | PeerMessage::BeatAck { .. }
                    | PeerMessage::RelayLease { .. }
                    | PeerMessage::Relayed { .. },
                ..
            }
        );
        match self.network.send(self.now_us, channel, from, to, stream) {
            Fate::At(at) => self.schedule(at, event),
            Fate::Twice(first, second) => {
                self.schedule(first, event.clone());
                self.schedule(second, event);
            }
            Fate::Held if self.held.len() < 20_000 => self.held.push((from, to, channel, event)),
            Fate::Held => {}
            Fate::Lost => self.lost(event),
        }
    }

    /// A stream that lost something is no stream any more: its connection ends, as seen from the sentinel.
    fn lost(&mut self, event: Event) {
        let (sentinel, channel, instance) = match event {
            Event::Command { sentinel, channel, node, .. } => {
                (sentinel, channel, self.nodes[node].node.address.clone())
            }
            Event::Replied { sentinel, channel, instance, .. } => (sentinel, channel, instance),
            _ => return,
        };
        let life = self.sentinels[sentinel].life;
        let why = LinkError::Reset;
        let down = Event::LinkDown { sentinel, life, channel: Some(channel), instance, why };
        self.schedule(self.now_us + 1000 * MS, down);
    }

    pub(super) fn begin(&mut self, trouble: Trouble, for_us: u64) {
        self.network.begin(&trouble);
        self.sequence += 1;
        let id = self.sequence;
        self.troubles.insert(id, trouble);
        self.schedule(self.now_us + for_us, Event::Mend { trouble: id });
    }

    fn mend(&mut self, id: u64) {
        if let Some(trouble) = self.troubles.remove(&id) {
            self.network.end(&trouble);
            self.note(format!("over: {}", self.describe(&trouble)));
            self.deliver_held();
        }
    }

    /// What was held arrives, in order, where the way is open.
    fn deliver_held(&mut self) {
        for (from, to, channel, event) in std::mem::take(&mut self.held) {
            self.send(channel, from, to, event);
        }
        self.reconnect_peers();
    }

    /// All ways are open again but those of whom nobody heals.
    pub fn heal_network(&mut self) {
        for trouble in std::mem::take(&mut self.troubles).into_values() {
            self.network.end(&trouble);
        }
        if !self.abandoned.is_empty() {
            let hosts = 0..=self.client_host();
            let pairs = hosts
                .clone()
                .flat_map(|a| hosts.clone().map(move |b| (a, b)))
                .filter(|(a, b)| a != b && (self.abandoned.contains(a) || self.abandoned.contains(b)))
                .collect();
            self.network.begin(&Trouble::Blocks { pairs, lose: false });
        }
        self.deliver_held();
    }

    pub fn run_until(&mut self, until_us: u64) {
        while !self.checkers.failed() {
            let Some((at_us, sequence, event)) = self.queue.pop(until_us) else { break };
            self.now_us = at_us;
            self.mix(at_us ^ sequence.rotate_left(40));
            self.dispatch(event);
        }
        self.now_us = self.now_us.max(until_us);
    }

    pub(super) fn sentinel_now(&self, index: usize) -> Now {
        let host = &self.sentinels[index];
        let wall = 1_700_000_000_000i64 + (self.now_us / MS) as i64 + host.wall_skew_ms;
        Now { mono: Instant::from_micros(host.clock.read(self.now_us)), wall: Wall(wall as u64) }
    }

    pub fn node_clock(&self, index: usize) -> u64 {
        self.nodes[index].clock.read(self.now_us)
    }

    /// Whom an event waits for, if it is one that a stopped process does not take.
    fn taker(&self, event: &Event) -> Option<Host> {
        Some(match event {
            Event::Wake { sentinel, .. }
            | Event::Replied { sentinel, .. }
            | Event::LinkUp { sentinel, .. }
            | Event::LinkDown { sentinel, .. } => *sentinel,
            Event::Peer { to, .. } => *to,
            Event::PeerClosed { at, .. } | Event::PeerLink { at, .. } => *at,
            Event::Command { node, .. }
            | Event::ClientWrite { node, .. }
            | Event::ClientRead { node, .. } => self.node_host(*node),
            Event::Repl { to, .. } => self.node_host(*to),
            _ => return None,
        })
    }

    fn stands_still(&self, host: Host) -> bool {
        match host.checked_sub(self.sentinels.len()) {
            None => self.sentinels[host].paused || self.sentinels[host].busy.is_some(),
            Some(node) => self.nodes[node].paused,
        }
    }

    fn deferred(&mut self, host: Host) -> &mut VecDeque<Event> {
        match host.checked_sub(self.sentinels.len()) {
            None => &mut self.sentinels[host].deferred,
            Some(node) => &mut self.nodes[node].deferred,
        }
    }

    /// What waited for a process is taken by it, in order, as long as it runs.
    fn catch_up(&mut self, host: Host) {
        while !self.stands_still(host) {
            let Some(event) = self.deferred(host).pop_front() else { break };
            self.take(event);
        }
    }

    fn dispatch(&mut self, event: Event) {
        match self.taker(&event) {
            Some(host) if self.stands_still(host) => self.deferred(host).push_back(event),
            _ => self.take(event),
        }
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Wake { sentinel, generation } => {
                if self.sentinels[sentinel].wake_generation == generation {
                    self.input(sentinel, Input::Tick);
                }
            }
            Event::Peer { from, to, life, message } => {
                let host = &self.sentinels[to];
                if host.life == life && host.connected_peers.contains(&from) {
                    self.input(to, Input::Peer { from: from as u64 + 1, message });
                }
            }
            Event::PeerClosed { at, peer, life } => self.peer_closed(at, peer, life),
            Event::Redial => self.redial(),
            Event::Operator { via, command } => self.operator(via, &command),
            Event::PeerLink { at, peer, up, life } => self.on_peer_link(at, peer, up, life),
            Event::Command { sentinel, channel, node, run, request, argv } => {
                if self.nodes[node].node.alive && self.nodes[node].node.run == run {
                    self.on_command(sentinel, channel, node, request, &argv);
                }
            }
            Event::Replied { sentinel, channel, instance, request, reply } => {
                let open = self.sentinels[sentinel].links.get(&instance);
                if open.is_some_and(|(open, _)| *open == channel) {
                    self.input(sentinel, Input::Replied { instance, request, reply });
                }
            }
            Event::LinkUp { sentinel, life, channel, run, instance } => {
                let host = &mut self.sentinels[sentinel];
                if host.life == life && host.watched.contains(&instance) {
                    host.links.insert(instance.clone(), (channel, run));
                    self.input(sentinel, Input::LinkUp { instance });
                }
            }
            Event::LinkDown { sentinel, life, channel, instance, why } => {
                let host = &mut self.sentinels[sentinel];
                let meant = channel.is_none_or(|channel| {
                    host.links.get(&instance).is_some_and(|(open, _)| *open == channel)
                });
                if host.life == life && meant {
                    host.links.remove(&instance);
                    self.input(sentinel, Input::LinkDown { instance, why });
                }
            }
            Event::NodeTick { node } => {
                self.schedule(self.now_us + NODE_TICK_US, Event::NodeTick { node });
                if self.nodes[node].node.alive && !self.nodes[node].paused {
                    self.at_node(node, |node, now, out| node.tick(now, out));
                }
            }
            Event::Repl { from, to, run, message } => {
                if self.nodes[to].node.alive && self.nodes[to].node.run == run {
                    self.at_node(to, |node, now, out| node.on_repl(now, &from, message, out));
                }
            }
            Event::ClientWrite { node, value, wait } => {
                if self.nodes[node].node.alive {
                    self.at_node(node, |node, now, out| node.write(now, value, wait, out));
                }
            }
            Event::ClientRead { node, read } => self.on_read(node, read),
            Event::ClientAnswer { value, result } => self.on_client_answer(value, result),
            Event::ClientTurn => self.client_turn(),
            Event::Resume { host } => self.resume(host),
            Event::Restart { host, keep_data, keep_dir } => self.restart(host, keep_data, keep_dir),
            Event::Strike { index } => self.strike(index),
            Event::Mend { trouble } => self.mend(trouble),
            Event::DiskMend { host, generation } => self.disk_mended(host, generation),
            Event::Synced { sentinel, life } => self.synced(sentinel, life),
            Event::Stutter { node, until_us } => self.stutter(node, until_us),
            Event::Probe => {
                self.schedule(self.now_us + PROBE_US, Event::Probe);
                self.probe();
                self.keep_relay();
            }
        }
    }

    pub fn pause(&mut self, host: Host) {
        self.note(format!("pause {}", self.host_name(host)));
        match host.checked_sub(self.sentinels.len()) {
            None => self.sentinels[host].paused = self.sentinels[host].core.is_some(),
            Some(node) => self.nodes[node].paused = self.nodes[node].node.alive,
        }
    }

    pub fn resume(&mut self, host: Host) {
        let paused = match host.checked_sub(self.sentinels.len()) {
            None => &mut self.sentinels[host].paused,
            Some(node) => &mut self.nodes[node].paused,
        };
        if !std::mem::take(paused) {
            return;
        }
        self.note(format!("resume {}", self.host_name(host)));
        self.catch_up(host);
        if host < self.sentinels.len() && !self.stands_still(host) {
            self.input(host, Input::Tick);
        }
    }
}

pub fn node_address(index: usize) -> Address {
    Address::new("10.0.1.1", 7001 + index as u16)
}

pub fn sentinel_address(index: usize) -> Address {
    Address::new("10.0.0.1", 26379 + index as u16)
}
