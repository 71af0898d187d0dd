//! One virtual world: sentinel cores with their Raft, modelled data nodes, one client, one clock,
//! one seed. The same cores run in the daemon; here the dice cup replaces the machine.

mod members;
mod sentinels;

use super::checkers::Checkers;
use super::data_node::{DataNode, Output, ReplMessage};
use super::network::{Fate, Host, Network};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use vedette::consensus::Stored;
use vedette::model::Address;
use vedette::resp::Reply;
use vedette::sentinel::members::PeerCommand;
use vedette::sentinel::{Bugs, Input, LinkError, PeerMessage, Sentinel};
use vedette::stdx::Rng;
use vedette::stdx::time::{Instant, Now, Wall};

pub const GROUP: &str = "mymaster";
const MS: u64 = 1000;
const NODE_TICK_US: u64 = 20 * MS;

/// What a seed decides before anything moves.
#[derive(Clone, Debug)]
pub struct Plan {
    pub seed: u64,
    pub sentinels: usize,
    /// Sentinels that may join; none: the fleet stays as it was founded.
    pub spares: usize,
    pub nodes: usize,
    pub bundled: bool,
    pub down_after_ms: u64,
    pub bugs: Bugs,
}

impl Plan {
    /// Most worlds are three and three; some are larger, some supervise stock servers.
    pub fn from_seed(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed ^ 0x9e37_79b9_7f4a_7c15);
        Plan {
            seed,
            sentinels: if rng.u32(0..5) == 0 { 5 } else { 3 },
            nodes: [2, 3, 3, 3, 4, 5][rng.usize(0..6)],
            bundled: rng.u32(0..8) != 0,
            down_after_ms: [500, 1000, 1000, 2000][rng.usize(0..4)],
            spares: if rng.u32(0..4) == 0 { 3 } else { 0 },
            bugs: Bugs::default(),
        }
    }

    /// WAIT's n at which the promise holds.
    pub fn sync_quorum(&self) -> usize {
        (self.nodes / 2).max(1)
    }
}

pub struct SentinelHost {
    pub core: Option<Sentinel>,
    /// Started at least once.
    pub enrolled: bool,
    pub disk: Stored,
    pub life: u64,
    pub paused: bool,
    /// This machine's monotonic clock minus the world's, and its wall clock's error.
    mono_offset_us: u64,
    pub wall_skew_ms: i64,
    wake_generation: u64,
    deferred: Vec<Event>,
    /// Open command links: channel per instance, and which process is at its other end.
    links: BTreeMap<Address, (u64, u64)>,
    watched: BTreeSet<Address>,
    connected_peers: BTreeSet<usize>,
}

pub struct NodeHost {
    pub node: DataNode,
    pub paused: bool,
    mono_offset_us: u64,
    deferred: Vec<Event>,
}

#[derive(Clone, Debug)]
pub enum Event {
    Wake { sentinel: usize, generation: u64 },
    Peer { from: usize, to: usize, life: u64, message: PeerMessage },
    PeerClosed { at: usize, peer: usize, life: u64 },
    Redial,
    Operator { via: usize, command: PeerCommand },
    PeerLink { at: usize, peer: usize, up: bool, life: u64 },
    Command { sentinel: usize, channel: u64, node: usize, run: u64, request: u64, argv: Vec<Vec<u8>> },
    Replied { sentinel: usize, channel: u64, instance: Address, request: u64, reply: Reply },
    LinkUp { sentinel: usize, life: u64, channel: u64, run: u64, instance: Address },
    LinkDown { sentinel: usize, life: u64, channel: Option<u64>, instance: Address, why: LinkError },
    NodeTick { node: usize },
    Repl { from: Address, to: usize, run: u64, message: ReplMessage },
    ClientWrite { node: usize, value: u64, wait: usize },
    ClientAnswer { node: usize, epoch: u64, value: u64, result: Result<usize, &'static str> },
    ClientTurn,
    Resume { host: Host },
    Restart { host: Host, keep_data: bool, keep_dir: bool },
    Heal,
    Probe,
}

pub struct World {
    pub plan: Plan,
    pub now_us: u64,
    pub sentinels: Vec<SentinelHost>,
    pub nodes: Vec<NodeHost>,
    pub network: Network,
    pub rng: Rng,
    pub client: super::client::Client,
    pub checkers: Checkers,
    /// What happened, newest last; printed when a seed fails.
    pub trace: Vec<(u64, String)>,
    queue: BinaryHeap<Reverse<(u64, u64)>>,
    events: BTreeMap<u64, Event>,
    held: Vec<(Host, Host, u64, Event)>,
    sequence: u64,
    next_channel: u64,
}

impl World {
    pub fn new(plan: Plan) -> Self {
        let mut rng = Rng::with_seed(plan.seed);
        let nodes = (0..plan.nodes)
            .map(|index| NodeHost {
                node: DataNode::new(node_address(index), plan.bundled, index as u64 + 1),
                paused: false,
                mono_offset_us: rng.u64(1..1_000_000_000),
                deferred: Vec::new(),
            })
            .collect();
        let sentinels = (0..plan.sentinels + plan.spares)
            .map(|index| SentinelHost {
                core: None,
                enrolled: index < plan.sentinels,
                disk: Stored::default(),
                life: 0,
                paused: false,
                mono_offset_us: rng.u64(1..1_000_000_000),
                wall_skew_ms: rng.i64(-5000..5000),
                wake_generation: 0,
                deferred: Vec::new(),
                links: BTreeMap::new(),
                watched: BTreeSet::new(),
                connected_peers: BTreeSet::new(),
            })
            .collect();
        let mut world = World {
            network: Network::new(rng.u64(..)),
            client: super::client::Client::new(rng.u64(..), plan.sync_quorum()),
            checkers: Checkers::new(&plan),
            now_us: 0,
            sentinels,
            nodes,
            rng,
            trace: Vec::new(),
            queue: BinaryHeap::new(),
            events: BTreeMap::new(),
            held: Vec::new(),
            sequence: 0,
            next_channel: 0,
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

    pub fn note(&mut self, text: String) {
        self.trace.push((self.now_us, text));
        if self.trace.len() > 6000 {
            self.trace.drain(..2000);
        }
    }

    // ---- time ----

    pub fn schedule(&mut self, at_us: u64, event: Event) {
        self.sequence += 1;
        self.queue.push(Reverse((at_us.max(self.now_us), self.sequence)));
        self.events.insert(self.sequence, event);
    }

    /// Sends on an ordered channel; held while the way is blocked.
    fn send(&mut self, channel: u64, from: Host, to: Host, event: Event) {
        match self.network.send(self.now_us, channel, from, to) {
            Fate::At(at) => self.schedule(at, event),
            Fate::Held if self.held.len() < 20_000 => self.held.push((from, to, channel, event)),
            Fate::Held => {}
        }
    }

    /// All ways are open again; what was held arrives now, in order.
    pub fn heal_network(&mut self) {
        self.network.heal();
        for (from, to, channel, event) in std::mem::take(&mut self.held) {
            self.send(channel, from, to, event);
        }
        self.reconnect_peers();
    }

    pub fn run_until(&mut self, until_us: u64) {
        while let Some(&Reverse((at, sequence))) = self.queue.peek() {
            if at > until_us || self.checkers.failed() {
                break;
            }
            self.queue.pop();
            self.now_us = at;
            if let Some(event) = self.events.remove(&sequence) {
                self.dispatch(event);
            }
        }
        self.now_us = self.now_us.max(until_us);
    }

    fn sentinel_now(&self, index: usize) -> Now {
        let host = &self.sentinels[index];
        let wall = 1_700_000_000_000i64 + (self.now_us / MS) as i64 + host.wall_skew_ms;
        Now { mono: Instant::from_micros(self.now_us + host.mono_offset_us), wall: Wall(wall as u64) }
    }

    pub fn node_clock(&self, index: usize) -> u64 {
        self.node_now(index)
    }

    fn node_now(&self, index: usize) -> u64 {
        self.now_us + self.nodes[index].mono_offset_us
    }

    fn dispatch(&mut self, event: Event) {
        match event {
            Event::Wake { sentinel, generation } => {
                if self.sentinels[sentinel].paused {
                    self.sentinels[sentinel].deferred.push(Event::Wake { sentinel, generation });
                } else if self.sentinels[sentinel].wake_generation == generation {
                    self.input(sentinel, Input::Tick);
                }
            }
            Event::Peer { from, to, life, message } => {
                if self.sentinels[to].paused {
                    self.sentinels[to].deferred.push(Event::Peer { from, to, life, message });
                } else if self.sentinels[to].life == life
                    && self.sentinels[to].connected_peers.contains(&from)
                {
                    self.input(to, Input::Peer { from: from as u64 + 1, message });
                }
            }
            Event::PeerClosed { at, peer, life } => self.peer_closed(at, peer, life),
            Event::Redial => self.redial(),
            Event::Operator { via, command } => self.operator(via, command),
            Event::PeerLink { at, peer, up, life } => self.on_peer_link(at, peer, up, life),
            Event::Command { sentinel, channel, node, run, request, argv } => {
                if self.nodes[node].paused {
                    let event = Event::Command { sentinel, channel, node, run, request, argv };
                    self.nodes[node].deferred.push(event);
                } else if self.nodes[node].node.alive && self.nodes[node].node.run == run {
                    self.on_command(sentinel, channel, node, request, &argv);
                }
            }
            Event::Replied { sentinel, channel, instance, request, reply } => {
                if self.sentinels[sentinel].paused {
                    let event = Event::Replied { sentinel, channel, instance, request, reply };
                    self.sentinels[sentinel].deferred.push(event);
                } else if self.sentinels[sentinel]
                    .links
                    .get(&instance)
                    .is_some_and(|(open, _)| *open == channel)
                {
                    self.input(sentinel, Input::Replied { instance, request, reply });
                }
            }
            Event::LinkUp { sentinel, life, channel, run, instance } => {
                if self.sentinels[sentinel].paused {
                    let event = Event::LinkUp { sentinel, life, channel, run, instance };
                    self.sentinels[sentinel].deferred.push(event);
                } else if self.sentinels[sentinel].life == life
                    && self.sentinels[sentinel].watched.contains(&instance)
                {
                    self.sentinels[sentinel].links.insert(instance.clone(), (channel, run));
                    self.input(sentinel, Input::LinkUp { instance });
                }
            }
            Event::LinkDown { sentinel, life, channel, instance, why } => {
                let host = &mut self.sentinels[sentinel];
                if host.paused {
                    host.deferred.push(Event::LinkDown { sentinel, life, channel, instance, why });
                } else if host.life == life
                    && channel.is_none_or(|channel| {
                        host.links.get(&instance).is_some_and(|(open, _)| *open == channel)
                    })
                {
                    host.links.remove(&instance);
                    self.input(sentinel, Input::LinkDown { instance, why });
                }
            }
            Event::NodeTick { node } => {
                self.schedule(self.now_us + NODE_TICK_US, Event::NodeTick { node });
                if self.nodes[node].node.alive && !self.nodes[node].paused {
                    let now = self.node_now(node);
                    let mut out = Vec::new();
                    self.nodes[node].node.tick(now, &mut out);
                    self.obey(node, out);
                }
            }
            Event::Repl { from, to, run, message } => {
                if self.nodes[to].paused {
                    self.nodes[to].deferred.push(Event::Repl { from, to, run, message });
                } else if self.nodes[to].node.alive && self.nodes[to].node.run == run {
                    let now = self.node_now(to);
                    let mut out = Vec::new();
                    self.nodes[to].node.on_repl(now, &from, message, &mut out);
                    self.obey(to, out);
                }
            }
            Event::ClientWrite { node, value, wait } => {
                if self.nodes[node].paused {
                    self.nodes[node].deferred.push(Event::ClientWrite { node, value, wait });
                } else if self.nodes[node].node.alive {
                    let now = self.node_now(node);
                    let mut out = Vec::new();
                    self.nodes[node].node.write(now, value, wait, &mut out);
                    self.obey(node, out);
                }
            }
            Event::ClientAnswer { node, epoch, value, result } => {
                self.on_client_answer(node, epoch, value, result)
            }
            Event::ClientTurn => self.client_turn(),
            Event::Resume { host } => self.resume(host),
            Event::Restart { host, keep_data, keep_dir } => self.restart(host, keep_data, keep_dir),
            Event::Heal => {
                self.note("the network heals".into());
                self.heal_network();
            }
            Event::Probe => {
                self.schedule(self.now_us + 50 * MS, Event::Probe);
                self.probe();
            }
        }
    }

    // ---- data nodes ----

    fn obey(&mut self, node: usize, outputs: Vec<Output>) {
        for output in outputs {
            match output {
                Output::Repl { to, message } => {
                    let Some(target) = self.node_at(&to) else { continue };
                    let (from_host, to_host) = (self.node_host(node), self.node_host(target));
                    let from = self.nodes[node].node.address.clone();
                    if !self.nodes[target].node.alive {
                        continue;
                    }
                    let run = self.nodes[target].node.run;
                    self.send(2, from_host, to_host, Event::Repl { from, to: target, run, message });
                }
                Output::Written { value, result, .. } => {
                    let epoch = self.nodes[node].node.epoch;
                    if result.is_ok() {
                        let why = self.nodes[node].node.vouching(self.node_now(node));
                        self.checkers.acknowledged(self.now_us, node, epoch, value, &why);
                    }
                    let (from, to) = (self.node_host(node), self.client_host());
                    self.send(3, from, to, Event::ClientAnswer { node, epoch, value, result });
                }
                Output::BecameMaster { epoch } => {
                    self.note(format!("{} became master at epoch {epoch}", self.nodes[node].node.address));
                    let data = self.nodes[node].node.data.clone();
                    let held = self.held_anywhere();
                    self.checkers.became_master(node, epoch, &data, &held);
                }
                Output::Resynced { before, after } => {
                    self.note(format!(
                        "{} resynced: {} writes -> {} entries",
                        self.nodes[node].node.address,
                        before.len(),
                        after.len()
                    ));
                    self.checkers.resynced(node, &before, &after);
                }
            }
        }
    }

    /// Writes that some node still has: one that every copy of is gone cannot be promised any more.
    pub fn held_anywhere(&self) -> BTreeSet<u64> {
        self.nodes.iter().flat_map(|host| host.node.writes()).collect()
    }

    pub fn kill_node(&mut self, index: usize, keep_data: bool) {
        if !self.nodes[index].node.alive {
            return;
        }
        self.note(format!("kill {}", self.nodes[index].node.address));
        self.nodes[index].paused = false;
        self.nodes[index].deferred.clear();
        let closed = self.nodes[index].node.kill(keep_data);
        let from = self.nodes[index].node.address.clone();
        for (to, link) in closed {
            if let Some(target) = self.node_at(&to).filter(|&target| self.nodes[target].node.alive) {
                let run = self.nodes[target].node.run;
                let (from_host, to_host) = (self.node_host(index), self.node_host(target));
                let message = ReplMessage::Closed { link };
                self.send(
                    2,
                    from_host,
                    to_host,
                    Event::Repl { from: from.clone(), to: target, run, message },
                );
            }
        }
        for sentinel in 0..self.sentinels.len() {
            if let Some(&(channel, _)) = self.sentinels[sentinel].links.get(&from) {
                let life = self.sentinels[sentinel].life;
                let why = LinkError::Reset;
                let event =
                    Event::LinkDown { sentinel, life, channel: Some(channel), instance: from.clone(), why };
                self.send(channel, self.node_host(index), sentinel, event);
            }
        }
    }

    fn restart(&mut self, host: Host, keep_data: bool, keep_dir: bool) {
        if host < self.sentinels.len() {
            if self.sentinels[host].core.is_none() && self.sentinels[host].enrolled {
                self.start_sentinel(host);
            }
            return;
        }
        let index = host - self.sentinels.len();
        if !self.nodes[index].node.alive {
            self.nodes[index].node.restart(keep_data, keep_dir);
            self.note(format!(
                "{} restarts (data {keep_data}, dir {keep_dir})",
                self.nodes[index].node.address
            ));
        }
    }

    pub fn pause(&mut self, host: Host) {
        self.note(format!("pause {}", self.host_name(host)));
        if host < self.sentinels.len() {
            self.sentinels[host].paused = self.sentinels[host].core.is_some();
        } else {
            let index = host - self.sentinels.len();
            self.nodes[index].paused = self.nodes[index].node.alive;
        }
    }

    pub fn resume(&mut self, host: Host) {
        let deferred = if host < self.sentinels.len() {
            if !std::mem::take(&mut self.sentinels[host].paused) {
                return;
            }
            std::mem::take(&mut self.sentinels[host].deferred)
        } else {
            let index = host - self.sentinels.len();
            if !std::mem::take(&mut self.nodes[index].paused) {
                return;
            }
            std::mem::take(&mut self.nodes[index].deferred)
        };
        self.note(format!("resume {}", self.host_name(host)));
        for event in deferred {
            self.dispatch(event);
        }
        if host < self.sentinels.len() {
            self.input(host, Input::Tick);
        }
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

    // ---- what the outside sees ----

    /// What `SENTINEL get-master-addr-by-name` would answer at this sentinel right now.
    pub fn answer(&self, index: usize) -> Option<(Address, u64)> {
        let host = &self.sentinels[index];
        if host.paused {
            return None;
        }
        super::adapter::answer(host.core.as_ref()?, self.sentinel_now(index), GROUP)
    }

    /// The agreed master at this sentinel, fresh or not.
    pub fn agreed(&self, index: usize) -> Option<(Address, u64)> {
        super::adapter::agreed(self.sentinels[index].core.as_ref()?, GROUP)
    }

    fn probe(&mut self) {
        for index in 0..self.sentinels.len() {
            if let Some((address, epoch)) = self.agreed(index) {
                self.checkers.agreed(self.now_us, index, &address, epoch);
            }
            if let Some((address, epoch)) = self.answer(index) {
                self.checkers.answered(self.now_us, index, &address, epoch);
            }
        }
    }

    // ---- the client ----

    fn client_turn(&mut self) {
        let pause_us = self.client.pause_us();
        self.schedule(self.now_us + pause_us, Event::ClientTurn);
        if !self.client.ready(self.now_us) {
            return;
        }
        if self.client.target.is_none() {
            let index = self.client.rng.usize(0..self.sentinels.len());
            if self.network.reachable(self.client_host(), index) {
                self.client.target = self.answer(index).map(|(address, _)| address);
            }
        }
        let Some(node) = self.client.target.clone().and_then(|address| self.node_at(&address)) else {
            return;
        };
        let (from, to) = (self.client_host(), self.node_host(node));
        if !self.nodes[node].node.alive {
            self.client.target = None;
            return;
        }
        let (value, wait) = self.client.next_write(self.now_us);
        self.checkers.invoked(value);
        self.send(3, from, to, Event::ClientWrite { node, value, wait });
    }

    fn on_client_answer(&mut self, node: usize, epoch: u64, value: u64, result: Result<usize, &'static str>) {
        let _ = (node, epoch);
        if let Ok(acks) = result {
            self.checkers.client_heard(value, acks);
        }
        self.client.answered(value, result.is_ok());
    }
}

pub fn node_address(index: usize) -> Address {
    Address::new("10.0.1.1", 7001 + index as u16)
}

pub fn sentinel_address(index: usize) -> Address {
    Address::new("10.0.0.1", 26379 + index as u16)
}
