//! The data nodes of the simulated world: what they want done is carried out over the network, and
//! they die and start again. Their behaviour is the model's; here is only the machine below it.

use super::{CLIENT, Event, MS, REPLICATION, World};
use crate::simulation::data_node::{DataNode, Output, ReplMessage, Role};
use crate::simulation::network::Host;
use crate::simulation::values::Values;
use vedette::sentinel::LinkError;

impl World {
    pub(super) fn at_node(&mut self, index: usize, act: impl FnOnce(&mut DataNode, u64, &mut Vec<Output>)) {
        let now = self.node_clock(index);
        let mut out = Vec::new();
        act(&mut self.nodes[index].node, now, &mut out);
        self.obey(index, out);
    }

    pub(super) fn obey(&mut self, node: usize, outputs: Vec<Output>) {
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
                    let event = Event::Repl { from, to: target, run, message };
                    self.send(REPLICATION, from_host, to_host, event);
                }
                Output::Written { value, result } => {
                    let epoch = self.nodes[node].node.epoch;
                    if result.is_ok() {
                        let why = self.nodes[node].node.vouching(self.node_clock(node));
                        self.checkers.acknowledged(self.now_us, node, epoch, value, &why);
                    }
                    let (from, to) = (self.node_host(node), self.client_host());
                    self.send(CLIENT, from, to, Event::ClientAnswer { value, result });
                }
                Output::BecameMaster { epoch } => {
                    self.note(format!("{} became master at epoch {epoch}", self.nodes[node].node.address));
                    let data = self.nodes[node].node.data.clone();
                    let held = self.held_anywhere();
                    self.checkers.became_master(node, epoch, &data, &held);
                    self.check_handover(node, epoch);
                    self.check_silence(node, epoch);
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
    pub fn held_anywhere(&self) -> Values {
        let forgotten = &self.checkers.forgotten;
        let known = self.nodes.iter().filter(|host| !forgotten.contains(&host.node.address));
        known.flat_map(|host| host.node.writes()).collect()
    }

    /// A planned switchover: what a master acknowledged before it was fenced for this epoch, its successor has.
    fn check_handover(&mut self, successor: usize, epoch: u64) {
        let fenced = self.nodes.iter().position(|host| host.node.fenced_at == Some(epoch) && host.node.alive);
        let Some(old) = fenced.filter(|old| *old != successor) else { return };
        let (had, has) = (self.nodes[old].node.data.clone(), self.nodes[successor].node.data.clone());
        self.checkers.handed_over(epoch, &had, &has);
    }

    /// A promotion waits until the last word for the master before it must have run out.
    fn check_silence(&mut self, successor: usize, epoch: u64) {
        let vouched = (0..self.nodes.len()).find(|&other| {
            let node = &self.nodes[other].node;
            let reigns = node.alive && node.bundled && node.role == Role::Master && node.epoch > 0;
            other != successor && reigns && node.epoch < epoch && node.is_vouched(self.node_clock(other))
        });
        if let Some(old) = vouched {
            let why = self.nodes[old].node.vouching(self.node_clock(old));
            self.checkers.still_vouched(old, successor, epoch, &why);
        }
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
                let event = Event::Repl { from: from.clone(), to: target, run, message };
                self.send(REPLICATION, from_host, to_host, event);
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

    pub(super) fn restart(&mut self, host: Host, keep_data: bool, keep_dir: bool) {
        let Some(index) = host.checked_sub(self.sentinels.len()) else {
            if self.sentinels[host].core.is_none() && self.sentinels[host].enrolled {
                self.start_sentinel(host);
            }
            return;
        };
        if !self.nodes[index].node.alive {
            self.nodes[index].node.restart(keep_data, keep_dir);
            self.note(format!(
                "{} restarts (data {keep_data}, dir {keep_dir})",
                self.nodes[index].node.address
            ));
        }
    }

    /// A disk whose syncs are waited for: the server stands still, and runs for a moment, and stands still.
    pub(super) fn stutter(&mut self, node: usize, until_us: u64) {
        let host = self.node_host(node);
        if self.nodes[node].stutter_us == 0 || self.now_us >= until_us {
            self.nodes[node].stutter_us = 0;
            return;
        }
        let still_us = self.rng.u64(1..=self.nodes[node].stutter_us);
        if self.nodes[node].node.alive && !self.nodes[node].paused {
            self.nodes[node].paused = true;
            self.schedule(self.now_us + still_us, Event::Resume { host });
        }
        let again = self.now_us + still_us + self.rng.u64(5..100) * MS;
        self.schedule(again, Event::Stutter { node, until_us });
    }
}
