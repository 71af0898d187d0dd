//! The sentinels of the simulated world: how they start and die, what they are told, and how their
//! actions are carried out over the simulated network. Knows no invariant; it only reports to checkers.

use super::{Event, FIRST_LINK, GROUP, MS, PEERS, World, node_address, sentinel_address};
use crate::simulation::adapter;
use vedette::config::sentinel::{MasterConfig, Mode, PeerConfig, SentinelConfig};
use vedette::model::Address;
use vedette::model::event::{Event as ModelEvent, EventKind};
use vedette::sentinel::{Action, Input, LinkError, Sentinel};

impl World {
    fn config(&self, index: usize) -> SentinelConfig {
        // Whatever a file need not name has the default of a file.
        let text = format!(
            "{{ id: 1, dir: /nowhere, peers: [{{ id: 1, address: 127.0.0.1:1 }}], masters: [{{ name: {GROUP}, address: 127.0.0.1:2, quorum: 1 }}] }}"
        );
        let defaults = vedette::config::sentinel::parse(&text).unwrap();
        let master = defaults.masters[0].clone();
        SentinelConfig {
            id: index as u64 + 1,
            bind: "10.0.0.1".into(),
            lease_milliseconds: self.plan.lease_ms,
            port: sentinel_address(index).port,
            peers: (0..self.plan.sentinels)
                .filter(|_| index < self.plan.sentinels)
                .map(|peer| PeerConfig { id: peer as u64 + 1, address: sentinel_address(peer) })
                .collect(),
            join: (0..self.plan.sentinels)
                .filter(|_| index >= self.plan.sentinels)
                .map(sentinel_address)
                .collect(),
            masters: vec![MasterConfig {
                address: node_address(0),
                quorum: self.plan.sentinels / 2 + 1,
                down_after_milliseconds: self.plan.down_after_ms,
                failover_timeout: 10_000,
                // More faults in seconds than a window allows; the guard has stories of its own.
                failovers_max: 0,
                mode: if self.plan.safe { Mode::Safe } else { Mode::Available },
                ..master
            }],
            ..defaults
        }
    }

    pub fn start_sentinel(&mut self, index: usize) {
        let config = self.config(index);
        let seed = self.rng.u64(..);
        let now = self.sentinel_now(index);
        let stored = self.sentinels[index].disk.stored.clone();
        let life = self.sentinels[index].life + 1;
        let started = adapter::start(&config, stored, seed, now, index, life, &self.plan.bugs);
        let host = &mut self.sentinels[index];
        host.life = life;
        host.links.clear();
        host.watched.clear();
        host.connected_peers.clear();
        host.deferred.clear();
        (host.busy, host.paused) = (None, false);
        match started {
            Ok((core, actions)) => {
                host.core = Some(core);
                self.note(format!("s{} starts (life {life})", index + 1));
                self.carry_out(index, actions);
                self.rearm(index);
                self.reconnect_peers();
            }
            Err(text) => self.gives_up(index, &text),
        }
    }

    pub fn kill_sentinel(&mut self, index: usize) {
        self.note(format!("kill s{}", index + 1));
        let host = &mut self.sentinels[index];
        host.core = None;
        (host.paused, host.busy) = (false, None);
        host.life += 1;
        host.deferred.clear();
        host.links.clear();
        for peer in 0..self.sentinels.len() {
            if peer != index {
                let life = self.sentinels[peer].life;
                let at = self.now_us + self.network.delay(index, peer);
                self.schedule(at, Event::PeerLink { at: peer, peer: index, up: false, life });
            }
        }
    }

    /// Peers that can reach each other and are alive find each other within a redial.
    pub(super) fn reconnect_peers(&mut self) {
        for a in 0..self.sentinels.len() {
            for b in 0..self.sentinels.len() {
                if a != b && self.sentinels[a].core.is_some() && self.sentinels[b].core.is_some() {
                    let life = self.sentinels[a].life;
                    let at = self.now_us + self.rng.u64(1..100) * MS;
                    self.schedule(at, Event::PeerLink { at: a, peer: b, up: true, life });
                }
            }
        }
    }

    pub(super) fn on_peer_link(&mut self, at: usize, peer: usize, up: bool, life: u64) {
        if self.sentinels[at].life != life || self.sentinels[at].core.is_none() {
            return;
        }
        let id = peer as u64 + 1;
        if up {
            if self.sentinels[peer].core.is_none() || !self.network.reachable(at, peer) {
                return;
            }
            if !self.lets_in(at, peer) {
                return;
            }
            if self.sentinels[at].connected_peers.insert(peer) {
                let (uuid, run_id) = (adapter::uuid(peer), adapter::run_id(peer, self.sentinels[peer].life));
                self.input(at, Input::PeerUp { id, uuid, run_id, address: None });
            }
        } else if self.sentinels[peer].core.is_none() && self.sentinels[at].connected_peers.remove(&peer) {
            self.input(at, Input::PeerDown { id });
        }
    }

    pub(super) fn input(&mut self, index: usize, input: Input) {
        let now = self.sentinel_now(index);
        let Some(core) = self.sentinels[index].core.as_mut() else { return };
        let mut actions = Vec::new();
        let members = core.members_version();
        core.handle(now, input, &mut actions);
        let changed = core.members_version() != members;
        self.carry_out(index, actions);
        self.rearm(index);
        if changed {
            self.drop_strangers(index);
        }
    }

    pub(super) fn rearm(&mut self, index: usize) {
        let host = &mut self.sentinels[index];
        host.wake_generation += 1;
        let generation = host.wake_generation;
        if let Some(at) = host.core.as_ref().and_then(Sentinel::next_wakeup) {
            let at_us = host.clock.when(at.as_micros()).max(self.now_us + 1);
            self.schedule(at_us, Event::Wake { sentinel: index, generation });
        }
    }

    pub(super) fn carry_out(&mut self, index: usize, actions: Vec<Action>) {
        let life = self.sentinels[index].life;
        let mut actions = actions.into_iter();
        while let Some(action) = actions.next() {
            // It died in the middle of it.
            if self.sentinels[index].life != life {
                return;
            }
            match action {
                Action::Persist(persist) => {
                    let mut then: Vec<Action> = actions.collect();
                    if !self.persist(index, persist, &mut then) {
                        return;
                    }
                    actions = then.into_iter();
                }
                Action::SendPeer { to, message } => {
                    let to = to as usize - 1;
                    if to < self.sentinels.len() && self.sentinels[index].connected_peers.contains(&to) {
                        let life = self.sentinels[to].life;
                        self.send(PEERS, index, to, Event::Peer { from: index, to, life, message });
                    }
                }
                Action::Watch { instance, .. } => {
                    self.sentinels[index].watched.insert(instance);
                }
                Action::Unwatch { instance } => {
                    self.sentinels[index].watched.remove(&instance);
                    self.sentinels[index].links.remove(&instance);
                }
                Action::Dial { instance, timeout_ms } => self.dial(index, instance, timeout_ms),
                Action::Hangup { instance } => {
                    if let Some((channel, _)) = self.sentinels[index].links.get(&instance).copied() {
                        let life = self.sentinels[index].life;
                        let why = LinkError::Timeout;
                        let event =
                            Event::LinkDown { sentinel: index, life, channel: Some(channel), instance, why };
                        self.schedule(self.now_us + 1, event);
                    }
                }
                Action::Send { instance, request, argv } => self.command(index, &instance, request, argv),
                Action::Emit { event, replayed } => {
                    self.checkers.event(index, &event);
                    let news = self.checkers.is_news(&event);
                    if news {
                        let (id, name) = (event.id, event.kind.name());
                        self.note(format!("s{} #{id} {name} {}", index + 1, event.payload));
                        self.on_news(index, &event);
                    } else if !replayed {
                        // The others tell the same: I8 has seen to it.
                        self.mix(event.id << 8 | index as u64);
                    }
                }
                // Nobody asks for drills here.
                Action::Drill(_) | Action::DrillAbort { .. } => {}
                Action::Respond { .. }
                | Action::Webhook { .. }
                | Action::Exit { .. }
                | Action::Errands { .. }
                | Action::AskHook { .. } => {}
                Action::Fatal { message, .. } => {
                    self.gives_up(index, &message);
                    return;
                }
            }
        }
    }

    fn dial(&mut self, index: usize, instance: Address, timeout_ms: u64) {
        let life = self.sentinels[index].life;
        let Some(node) = self.node_at(&instance) else { return };
        let (from, to) = (self.sentinel_host(index), self.node_host(node));
        let event = if !self.network.reachable(from, to) {
            let why = LinkError::Timeout;
            let event = Event::LinkDown { sentinel: index, life, channel: None, instance, why };
            self.schedule(self.now_us + timeout_ms * MS, event);
            return;
        } else if self.nodes[node].node.alive {
            self.next_channel += 1;
            // A stopped process still has a kernel that accepts for it.
            let run = self.nodes[node].node.run;
            Event::LinkUp { sentinel: index, life, channel: self.next_channel + FIRST_LINK, run, instance }
        } else {
            Event::LinkDown { sentinel: index, life, channel: None, instance, why: LinkError::Refused }
        };
        let delay = self.network.delay(from, to) + self.network.delay(to, from);
        self.schedule(self.now_us + delay, event);
    }

    fn command(&mut self, index: usize, instance: &Address, request: u64, argv: Vec<Vec<u8>>) {
        let Some(&(channel, run)) = self.sentinels[index].links.get(instance) else { return };
        let Some(node) = self.node_at(instance) else { return };
        let begins = |words: &[&str]| argv.iter().zip(words).all(|(had, word)| had == word.as_bytes());
        let usual: [&[&str]; 4] = [&["PING"], &["INFO"], &["PUBLISH"], &["VEDETTE", "LEASE"]];
        if !usual.iter().any(|words| begins(words)) {
            let words: Vec<_> = argv.iter().map(|word| String::from_utf8_lossy(word)).collect();
            self.note(format!("s{} -> {instance} {}", index + 1, words.join(" ")));
        }
        let (from, to) = (self.sentinel_host(index), self.node_host(node));
        self.send(channel, from, to, Event::Command { sentinel: index, channel, node, run, request, argv });
    }

    pub(super) fn on_command(
        &mut self,
        sentinel: usize,
        channel: u64,
        node: usize,
        request: u64,
        argv: &[Vec<u8>],
    ) {
        let now = self.node_clock(node);
        let mut out = Vec::new();
        let reply = self.nodes[node].node.command(now, argv, &mut out);
        self.obey(node, out);
        if self.moments.on_order(argv) {
            self.moment_comes();
        }
        let instance = self.nodes[node].node.address.clone();
        let (from, to) = (self.node_host(node), self.sentinel_host(sentinel));
        self.send(channel, from, to, Event::Replied { sentinel, channel, instance, request, reply });
    }

    /// Its id is lost, it says. It may say so only where its disk had lied.
    fn gives_up(&mut self, index: usize, why: &str) {
        self.note(format!("s{} gives up: {why}", index + 1));
        if !self.checkers.may_give_up() {
            self.checkers.fail(format!("s{} cannot go on: {why}", index + 1));
        }
        self.kill_sentinel(index);
        self.sentinels[index].lost = true;
        self.sentinels[index].enrolled = false;
    }

    /// The first time that anybody tells this event.
    fn on_news(&mut self, teller: usize, event: &ModelEvent) {
        let detail =
            |name: &str| event.details.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
        if event.kind == EventKind::TryFailover
            && let (Some(cause), Some((master, _))) = (detail("cause"), self.agreed(teller))
        {
            self.judge_cause(&cause, &master);
        }
        if self.moments.on_event(event.kind) {
            self.moment_comes();
        }
    }
}
