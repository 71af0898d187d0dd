//! Three sentinel cores and a few data servers wired in memory: no fault but those of the script,
//! every message one millisecond, every seed fixed. What is worth telling goes to the transcript.

use super::illness::Illness;
use super::node::Node;
use std::collections::{BTreeMap, BTreeSet};
use vedette::config::sentinel::{SentinelConfig, parse};
use vedette::consensus::Stored;
use vedette::model::Address;
use vedette::model::event::EventKind;
use vedette::resp::Reply;
use vedette::sentinel::{Action, Command, Identity, Input, LinkError, Sentinel, Verdict};
use vedette::stdx::time::{Instant, Now, Wall};

pub struct World {
    now: u64,
    sequence: u64,
    queue: BTreeMap<(u64, u64), (u64, Message)>,
    pub sentinels: BTreeMap<u64, Sentinel>,
    pub nodes: BTreeMap<Address, Node>,
    /// Open command links, each with the life of the process at its other end.
    links: BTreeMap<(u64, Address), u64>,
    told: u64,
    /// When the script last did something to the world.
    step_began: u64,
    pub transcript: Vec<String>,
    isolated: BTreeSet<u64>,
    /// What the pre-failover hook says, and after how long; `None`: nothing.
    pub hook: Option<(u64, Verdict)>,
    /// This sentinel gets no word to or from that server.
    blind: BTreeSet<(u64, Address)>,
    /// What somebody has set every wall clock off by.
    wall_off_ms: i64,
}

enum Message {
    Input(Input),
    Request { node: Address, life: u64, request: u64, words: Vec<String> },
}

impl World {
    pub fn new(sentinels: u64, replicas: u16, bundled: bool, mode: &str, groups: u16, blast: u64) -> Self {
        let mut all = vec![("m".to_owned(), 6379, replicas)];
        // The other groups: m2 at port 7379, m3 at 8379, ..., each with one replica.
        all.extend((1..groups).map(|group| (format!("m{}", group + 1), 6379 + group * 1000, 1)));
        Self::with_groups(sentinels, &all, bundled, mode, blast)
    }

    /// Groups by name, their master's port, and how many replicas stand at the ports after it.
    pub fn with_groups(
        sentinels: u64,
        groups: &[(String, u16, u16)],
        bundled: bool,
        mode: &str,
        blast: u64,
    ) -> Self {
        let mut world = World {
            now: 1000,
            sequence: 0,
            queue: BTreeMap::new(),
            sentinels: BTreeMap::new(),
            nodes: BTreeMap::new(),
            links: BTreeMap::new(),
            told: 0,
            step_began: 1000,
            transcript: Vec::new(),
            isolated: BTreeSet::new(),
            hook: None,
            blind: BTreeSet::new(),
            wall_off_ms: 0,
        };
        for &(_, first, replicas) in groups {
            for port in first..=first + replicas {
                let mut node = Node::new(port, bundled);
                if port != first {
                    node.master = false;
                    node.follows = Some(Address::new("127.0.0.1", first));
                }
                world.nodes.insert(node.address.clone(), node);
            }
        }
        let ids: Vec<u64> = (1..=sentinels).collect();
        for &id in &ids {
            let peers: String = ids
                .iter()
                .map(|id| format!("  - {{ id: {id}, address: \"127.0.0.1:{}\" }}\n", 26378 + id))
                .collect();
            let quorum = sentinels / 2 + 1;
            let masters: String = groups
                .iter()
                .map(|(name, port, _)| {
                    format!(
                        "  - name: {name}\n    address: 127.0.0.1:{port}\n    quorum: {quorum}\n    \
                         down-after-milliseconds: 1000\n    mode: {mode}\n"
                    )
                })
                .collect();
            let text = format!(
                "id: {id}\nport: {}\ndir: /tmp/none\npeers:\n{peers}masters:\n{masters}blast-radius-percent: {blast}\n",
                26378 + id
            );
            let config: SentinelConfig = parse(&text).unwrap();
            let identity = Identity { uuid: format!("uuid-{id}"), run_id: format!("{id:040x}") };
            let now = world.moment();
            let (sentinel, actions) =
                Sentinel::new(&config, identity, Stored::default(), id, now, BTreeMap::new()).unwrap();
            world.sentinels.insert(id, sentinel);
            world.carry_out(id, actions);
        }
        for &id in &ids {
            for &other in ids.iter().filter(|other| **other != id) {
                let up = Input::PeerUp {
                    id: other,
                    uuid: format!("uuid-{other}"),
                    run_id: format!("{other:040x}"),
                    address: None,
                };
                world.push(1, id, Message::Input(up));
            }
        }
        world
    }

    fn moment(&self) -> Now {
        let now = Now::at_millis(self.now);
        Now { mono: now.mono, wall: Wall(now.wall.as_millis().saturating_add_signed(self.wall_off_ms)) }
    }

    /// Every wall clock is set forward or back; what counts time goes on as before.
    pub fn step_clock(&mut self, ms: i64) {
        self.wall_off_ms += ms;
    }

    pub fn vanish(&mut self, node: &Address) {
        let node = self.nodes.get_mut(node).unwrap();
        (node.hidden, node.paused) = (true, true);
    }

    fn push(&mut self, delay: u64, to: u64, message: Message) {
        self.sequence += 1;
        self.queue.insert((self.now + delay, self.sequence), (to, message));
    }

    /// Unix seconds so many milliseconds from now.
    pub fn wall_in(&self, ms: u64) -> String {
        let at = self.moment().wall.as_millis() + ms;
        format!("{}.{:03}", at / 1000, at % 1000)
    }

    pub fn leader(&self) -> u64 {
        let leads =
            |s: &&Sentinel| s.role() == vedette::consensus::Role::Leader && s.is_fresh(self.moment().mono);
        self.sentinels.values().find(leads).map_or(0, Sentinel::id)
    }

    pub fn isolate(&mut self, id: u64) {
        self.isolated.insert(id);
    }

    /// The leader loses sight of this server, without a word of goodbye; or sees it again.
    pub fn blind_leader(&mut self, node: &Address, blind: bool) {
        if blind {
            self.blind.insert((self.leader(), node.clone()));
        } else {
            self.blind.clear();
        }
    }

    pub fn mark(&mut self) {
        self.step_began = self.now;
    }

    pub fn run(&mut self, ms: u64) {
        let end = self.now + ms;
        while self.now < end {
            self.now += 1;
            if self.now.is_multiple_of(10) {
                self.replicate();
            }
            while let Some(entry) = self.queue.first_entry().filter(|e| e.key().0 <= self.now) {
                let (to, message) = entry.remove();
                self.deliver(to, message);
            }
            let due: Vec<u64> = self
                .sentinels
                .iter()
                .filter(|(_, s)| s.next_wakeup().is_some_and(|at| at <= Instant::from_millis(self.now)))
                .map(|(id, _)| *id)
                .collect();
            for id in due {
                self.handle(id, Input::Tick);
            }
        }
    }

    fn replicate(&mut self) {
        let before = self.nodes.clone();
        let mut attached: BTreeMap<&Address, Vec<Address>> = BTreeMap::new();
        for other in before.values().filter(|other| other.alive && other.link_up) {
            if let Some(master) = &other.follows {
                attached.entry(master).or_default().push(other.address.clone());
            }
        }
        for node in self.nodes.values_mut() {
            let writes = node.master && node.serves() && node.illness.takes_writes();
            if writes && node.writes_wait_until <= self.now {
                node.offset += 1;
            }
            node.attached = attached.remove(&node.address).unwrap_or_default();
            if let Some(master) = node.follows.clone().filter(|_| node.serves()) {
                let master = before.get(&master);
                // Its connection stands, and nothing comes.
                if !master.is_some_and(|master| master.illness.blocks()) {
                    node.stream(self.now, master);
                }
            }
        }
    }

    pub fn kill(&mut self, node: &Address) {
        self.nodes.get_mut(node).unwrap().alive = false;
        let ends: Vec<u64> = self.links.keys().filter(|(_, n)| n == node).map(|(id, _)| *id).collect();
        for id in ends {
            self.links.remove(&(id, node.clone()));
            let down = Input::LinkDown { instance: node.clone(), why: LinkError::Reset };
            self.push(1, id, Message::Input(down));
        }
    }

    fn deliver(&mut self, to: u64, message: Message) {
        match message {
            Message::Input(input) => self.handle(to, input),
            Message::Request { node, life, request, words } => {
                let seen = !self.blind.contains(&(to, node.clone()));
                let current = seen && self.links.get(&(to, node.clone())) == Some(&life);
                let Some(server) = self.nodes.get_mut(&node).filter(|n| current && n.alive && !n.hidden)
                else {
                    return;
                };
                let waits = server.writes_wait_until > self.now && words[0] == "PUBLISH";
                if waits {
                    return self.push(1, to, Message::Request { node, life, request, words });
                }
                if server.paused {
                    return self.push(20, to, Message::Request { node, life, request, words });
                }
                if server.illness == Illness::Busy && words[0] == "SCRIPT" {
                    server.illness = Illness::None;
                }
                let reply = match server.illness.refusal(&words[0]) {
                    Some(refusal) => Reply::Error(refusal.to_owned()),
                    None => server.command(self.now, &words),
                };
                self.push(1, to, Message::Input(Input::Replied { instance: node, request, reply }));
            }
        }
    }

    pub fn command(&mut self, command: &Command) {
        let id = *self.sentinels.keys().next().unwrap();
        let now = self.moment();
        let mut actions = Vec::new();
        self.sentinels.get_mut(&id).unwrap().propose_command(now, 7, command, &mut actions);
        self.carry_out(id, actions);
    }

    fn handle(&mut self, id: u64, input: Input) {
        let now = self.moment();
        let mut actions = Vec::new();
        if let Some(sentinel) = self.sentinels.get_mut(&id) {
            sentinel.handle(now, input, &mut actions);
            self.carry_out(id, actions);
        }
    }

    fn carry_out(&mut self, id: u64, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::SendPeer { to, message } => {
                    if !self.isolated.contains(&id) && !self.isolated.contains(&to) {
                        self.push(1, to, Message::Input(Input::Peer { from: id, message }));
                    }
                }
                Action::Dial { instance, .. } => self.dial(id, instance),
                Action::Hangup { instance } => {
                    self.links.remove(&(id, instance.clone()));
                    self.push(1, id, Message::Input(Input::LinkDown { instance, why: LinkError::Reset }));
                }
                Action::Send { instance, request, argv } => {
                    let words: Vec<String> =
                        argv.into_iter().map(|w| String::from_utf8(w).unwrap()).collect();
                    let routine = ["PING", "INFO", "PUBLISH"].contains(&words[0].as_str())
                        || words.get(1).is_some_and(|word| word == "LEASE")
                        || words.starts_with(&["CONFIG".into(), "GET".into()]);
                    if !routine {
                        self.tell(format!("  {} <- {}", instance.port, words.join(" ")));
                    }
                    if let Some(&life) = self.links.get(&(id, instance.clone())) {
                        self.push(1, id, Message::Request { node: instance, life, request, words });
                    }
                }
                Action::Emit { event, .. } => {
                    if event.id > self.told {
                        assert_eq!(event.id, self.told + 1, "events are dense");
                        self.told = event.id;
                        let details: String = event
                            .details
                            .iter()
                            .filter(|(name, _)| !name.contains("offset"))
                            .map(|(name, value)| format!(" {name}={value}"))
                            .collect();
                        let when = match event.kind {
                            EventKind::SwitchMaster => format!(" ({} ms)", self.now - self.step_began),
                            _ => String::new(),
                        };
                        self.tell(format!("{} {}{details}{when}", event.kind.name(), event.payload));
                    }
                }
                Action::Respond { bytes, .. } => {
                    self.tell(format!("  answer {}", String::from_utf8_lossy(&bytes).trim_end()));
                }
                Action::Exit { status, why } => {
                    self.tell(format!("  s{id} ends with {status}: {why}"));
                    self.sentinels.remove(&id);
                    return;
                }
                // No drill is asked for in these stories; one that began would be seen in the events.
                Action::Drill(_) | Action::DrillAbort { .. } => {}
                Action::Fatal { message, .. } => panic!("s{id}: {message}"),
                Action::Persist(_)
                | Action::Watch { .. }
                | Action::Unwatch { .. }
                | Action::Webhook { .. }
                | Action::Errands { .. } => {}
                Action::AskHook { group, epoch, body, .. } => self.ask_hook(id, group, epoch, &body),
            }
        }
    }

    fn ask_hook(&mut self, id: u64, group: String, epoch: u64, body: &[u8]) {
        let body: serde_json::Value = serde_json::from_slice(body).unwrap();
        self.tell(format!("  hook? {} of {} at {}", body["cause"], body["group"], body["epoch"]));
        if let Some((delay, verdict)) = self.hook.clone() {
            self.push(delay, id, Message::Input(Input::HookAnswered { group, epoch, verdict }));
        }
    }

    fn tell(&mut self, line: String) {
        if self.transcript.last() != Some(&line) {
            self.transcript.push(line);
        }
    }

    fn dial(&mut self, id: u64, instance: Address) {
        let node = &self.nodes[&instance];
        let unseen = self.blind.contains(&(id, instance.clone()));
        let (delay, input) = if node.hidden || unseen || node.illness == Illness::NoDescriptors {
            (200, Input::LinkDown { instance, why: LinkError::Timeout })
        } else if !node.alive {
            (1, Input::LinkDown { instance, why: LinkError::Refused })
        } else {
            self.links.insert((id, instance.clone()), node.life);
            (1, Input::LinkUp { instance })
        };
        self.push(delay, id, Message::Input(input));
    }

    /// What must hold at every moment of every story.
    pub fn check(&self) {
        let mut by_epoch: BTreeMap<u64, BTreeSet<&Address>> = BTreeMap::new();
        for node in self.nodes.values().filter(|node| node.bundled) {
            for epoch in &node.promoted {
                by_epoch.entry(*epoch).or_default().insert(&node.address);
            }
        }
        assert!(by_epoch.values().all(|told| told.len() == 1), "one master per epoch: {by_epoch:?}");
        assert!(self.nodes.values().all(|node| node.wiped == 0), "nobody's longer history was replaced");
    }

    /// Who writes, who follows whom, and what the fleet says.
    pub fn describe(&self) -> Vec<String> {
        let mut lines: Vec<String> = self
            .nodes
            .values()
            .map(|node| {
                let state = match () {
                    () if !node.alive => "dead".to_owned(),
                    () if node.awaiting => "awaiting".to_owned(),
                    () if node.master && node.bundled && node.lease_until <= self.now => {
                        "master, no lease".to_owned()
                    }
                    () if node.master => "master".to_owned(),
                    () => format!("replica of {}", node.follows.as_ref().map_or(0, |m| m.port)),
                };
                format!("  {}: {state}", node.address.port)
            })
            .collect();
        for (id, sentinel) in &self.sentinels {
            let status = sentinel.status(self.moment());
            let group = &status.groups[0];
            let set: Vec<String> = group.sync_set.iter().map(|a| a.port.to_string()).collect();
            let fresh = if status.fresh { "" } else { ", not fresh" };
            let line = format!("{} is master, in sync: {}{fresh}", group.master.address.port, set.join(" "));
            lines.push(format!("  s{id}: {line}"));
        }
        lines
    }

    /// What each sentinel says is the matter; once, when all say the same.
    pub fn situation(&self) -> Vec<String> {
        let said = |sentinel: &Sentinel| -> Vec<String> {
            let status = sentinel.status(self.moment());
            let all = status.held.map(|held| format!("all held: {}", held.reason));
            let groups = status.groups.iter().map(|g| format!("{} {}: {}", g.name, g.situation, g.summary));
            all.into_iter().chain(groups).collect()
        };
        let each: Vec<(u64, Vec<String>)> = self.sentinels.iter().map(|(id, s)| (*id, said(s))).collect();
        if each.iter().all(|(_, lines)| *lines == each[0].1) {
            return each[0].1.iter().map(|line| format!("  all: {line}")).collect();
        }
        let lines = each.iter().flat_map(|(id, lines)| lines.iter().map(move |l| format!("  s{id}: {l}")));
        lines.collect()
    }

    /// EXPLAIN of the leader, in short.
    pub fn explain(&self) -> Vec<String> {
        let sentinel = &self.sentinels[&self.leader()];
        let said = sentinel.explain(self.moment(), "m").expect("the group is there");
        let successor = said.successor.map_or("nobody".to_owned(), |a| a.port.to_string());
        let mut lines = vec![format!(
            "  successor {successor}, loss {:?} bytes, {:?} ms after a crash, {:?} ms after silence",
            said.loss_bytes, said.estimated_ms, said.estimated_silent_ms
        )];
        lines.extend(said.blockers.iter().map(|b| format!("  blocked by {}: {}", b.what, b.reason)));
        lines.extend(said.handover_to.iter().map(|a| format!("  then handed over to {}", a.port)));
        lines.extend(
            said.candidates.iter().map(|c| format!("  {}: {}", c.address.port, c.reasons.join("; "))),
        );
        lines
    }

    pub fn stop_leader(&mut self) {
        let leader = self.leader();
        self.sentinels.remove(&leader);
    }

    /// Its log cannot be written: it says so and ends.
    pub fn fail_disk_of_leader(&mut self) {
        let leader = self.leader();
        let ended = self.sentinels.remove(&leader).unwrap();
        for (to, message) in ended.last_words() {
            self.push(1, to, Message::Input(Input::Peer { from: leader, message }));
        }
    }

    /// The whole machine did not run for a while.
    pub fn sleep(&mut self, ms: u64) {
        self.now += ms;
    }
}
