//! What the outside of the simulated world sees and does: the answers of the sentinels, the client's
//! writes and reads, and the ground truth that checkers compare both with.

use super::{CLIENT, Event, GROUP, MS, World};
use crate::simulation::data_node::Role;
use vedette::model::Address;

/// How often states are compared byte by byte. What once differs goes on to differ; where much happens in a
/// second the states are long.
const COMPARE_US: u64 = 1000 * MS;
const COMPARE_DENSE_US: u64 = 5000 * MS;

impl World {
    /// What `SENTINEL get-master-addr-by-name` would answer at this sentinel right now.
    pub fn answer(&self, index: usize) -> Option<(Address, u64)> {
        let host = &self.sentinels[index];
        if self.stands_still(index) {
            return None;
        }
        crate::simulation::adapter::answer(host.core.as_ref()?, self.sentinel_now(index), GROUP)
    }

    /// The agreed master at this sentinel, fresh or not.
    pub fn agreed(&self, index: usize) -> Option<(Address, u64)> {
        crate::simulation::adapter::agreed(self.sentinels[index].core.as_ref()?, GROUP)
    }

    pub(super) fn probe(&mut self) {
        for index in 0..self.sentinels.len() {
            if let Some((address, epoch)) = self.agreed(index) {
                self.checkers.agreed(self.now_us, index, &address, epoch);
            }
            if let Some((address, epoch)) = self.answer(index) {
                self.checkers.answered(self.now_us, index, &address, epoch);
            }
            if let Some(core) = &self.sentinels[index].core {
                self.checkers.stands(index, core.role(), core.term());
            }
        }
        self.note_wellness();
        let every_us = if self.plan.dense { COMPARE_DENSE_US } else { COMPARE_US };
        if self.now_us / every_us != (self.now_us - super::PROBE_US) / every_us {
            self.compare();
        }
    }

    /// States at one index of the log, and data at one offset of a history.
    pub fn compare(&mut self) {
        for index in 0..self.sentinels.len() {
            if let Some(core) = &self.sentinels[index].core {
                let (applied, state) = (core.ledger().applied, core.ledger().encode());
                self.checkers.applied(index, applied, &state);
            }
        }
        for a in 0..self.nodes.len() {
            for b in a + 1..self.nodes.len() {
                let (one, other) = (&self.nodes[a].node, &self.nodes[b].node);
                if one.bundled && one.replid == other.replid {
                    let (one, other) = (one.data.clone(), other.data.clone());
                    self.checkers.same_history(a, b, &one, &other);
                }
            }
        }
    }

    /// Since when which server was without any trouble, in the eyes of a majority that could judge it.
    fn note_wellness(&mut self) {
        let able = |at: usize| self.sentinels[at].core.is_some() && !self.stands_still(at);
        let well: Vec<(bool, bool)> = (0..self.nodes.len())
            .map(|node| {
                let host = &self.nodes[node];
                let sound = host.node.alive && !host.paused && host.stutter_us == 0 && !host.node.disk_full;
                let seen = (0..self.plan.sentinels)
                    .filter(|at| able(*at) && self.network.is_sound(*at, self.node_host(node)))
                    .count();
                (sound, sound && seen > self.plan.sentinels / 2)
            })
            .collect();
        for at in 0..self.nodes.len() {
            for other in 0..self.nodes.len() {
                let sound = self.network.is_sound(self.node_host(at), self.node_host(other));
                let since = &mut self.nodes[at].ways_since[other];
                *since = sound.then(|| since.unwrap_or(self.now_us));
            }
        }
        for (host, (sound, well)) in self.nodes.iter_mut().zip(well) {
            host.sound_since = if sound { host.sound_since.or(Some(self.now_us)) } else { None };
            host.well_since = if well { host.well_since.or(Some(self.now_us)) } else { None };
        }
    }

    /// A failover of this cause begins: was there one? Only fleets that keep their members are judged.
    pub(super) fn judge_cause(&mut self, cause: &str, master: &Address) {
        let Some(node) = self.node_at(master).filter(|_| self.plan.spares == 0) else { return };
        let long_us = (self.plan.down_after_ms + 3_000) * MS;
        let well_for = |node: usize| self.nodes[node].well_since.map_or(0, |since| self.now_us - since);
        if !matches!(cause, "silent" | "crashed") {
            return;
        }
        if well_for(node) > long_us && self.nodes[node].node.role == Role::Master {
            let text = format!(
                "I10: a failover for a {cause} master, though {master} had been well for {} ms",
                well_for(node) / MS
            );
            self.checkers.fail(text);
        }
        // P5: a witness in plain sight, which still hears from the master.
        let witness = (0..self.nodes.len()).find(|&other| {
            let replica = &self.nodes[other].node;
            let since = self.nodes[node].ways_since[other];
            let sound = since.is_some_and(|since| self.now_us - since > long_us);
            other != node && sound && well_for(other) > long_us && replica.follows(master) && {
                let link_us = replica.connected_for(self.node_clock(other));
                link_us > long_us
            }
        });
        let sound_for = self.nodes[node].sound_since.map_or(0, |since| self.now_us - since);
        if let Some(witness) = witness.filter(|_| sound_for > long_us) {
            let text = format!(
                "P5: a failover for a {cause} master, though {} streamed from {master} all the time",
                self.nodes[witness].node.address
            );
            self.checkers.fail(text);
        }
    }

    // ---- the client ----

    pub(super) fn client_turn(&mut self) {
        let pause_us = self.client.pause_us();
        self.schedule(self.now_us + pause_us, Event::ClientTurn);
        if !self.client.ready(self.now_us) {
            return;
        }
        if self.client.target.is_none() {
            let index = self.client.rng.usize(0..self.sentinels.len());
            if self.network.reachable(self.client_host(), index)
                && let Some((address, epoch)) = self.answer(index)
            {
                self.checkers.client_told(&address, epoch);
                self.client.target = Some(address);
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
        if self.client.rng.u32(0..5) == 0 {
            let read = self.checkers.read_begins();
            self.send(CLIENT, from, to, Event::ClientRead { node, read });
        }
        let (value, wait) = self.client.next_write(self.now_us);
        self.checkers.invoked(value);
        self.send(CLIENT, from, to, Event::ClientWrite { node, value, wait });
    }

    /// Reads are checked where they are answered: what was promised before they began must be there, if the
    /// server may speak for the group.
    pub(super) fn on_read(&mut self, node: usize, read: u64) {
        let now = self.node_clock(node);
        let server = &self.nodes[node].node;
        let speaks =
            server.alive && server.epoch > 0 && server.role == Role::Master && server.is_vouched(now);
        if speaks {
            let data = server.data.clone();
            if self.checkers.read_shows(read, &data) {
                return;
            }
            let held = self.held_anywhere();
            self.checkers.read_ends(node, read, &data, &held);
        }
    }

    pub(super) fn on_client_answer(&mut self, value: u64, result: Result<usize, &'static str>) {
        if let Ok(acks) = result {
            self.checkers.client_heard(value, acks);
        }
        self.client.answered(value, result.is_ok());
    }
}
