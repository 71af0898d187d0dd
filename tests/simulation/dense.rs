//! Worlds in which one failover follows the other: as soon as a group is whole again its master is struck
//! once more, and often somebody else while the others act on it. The usual faults go on beside that, more rarely.
//! A virtual second of such a world holds many times the failovers of an ordinary one.

use super::data_node::Role;
use super::network::Host;
use super::schedule::{Fault, Kind, Plan, When, Who, draw_timed};
use super::world::{Event, GROUP, MS, World};
use std::collections::VecDeque;
use vedette::stdx::Rng;

/// A group that does not become whole is struck all the same.
const PATIENCE_US: u64 = 4_000 * MS;

impl Plan {
    pub fn dense(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed ^ 0x2545_f491_4f6c_dd1d);
        Plan {
            seed,
            sentinels: if rng.u32(0..10) == 0 { 5 } else { 3 },
            nodes: [2, 3, 3, 3, 3, 4, 5][rng.usize(0..7)],
            bundled: rng.u32(0..10) != 0,
            safe: rng.u32(0..8) != 0,
            down_after_ms: [200, 300, 500][rng.usize(0..3)],
            lease_ms: [200, 200, 300, 500, 1000][rng.usize(0..5)],
            spares: if rng.u32(0..8) == 0 { 3 } else { 0 },
            chaos_ms: rng.u64(40_000..120_000),
            core: rng.bool(),
            dense: true,
            ..Plan::calm(seed)
        }
    }

    /// What the long run takes: an ordinary world after each seven dense ones.
    pub fn mixed(seed: u64) -> Self {
        if seed.is_multiple_of(8) { Plan::from_seed(seed) } else { Plan::dense(seed) }
    }
}

pub fn draw(plan: &Plan) -> Vec<Fault> {
    let mut rng = Rng::with_seed(plan.seed ^ 0x9fb2_1c65_1e98_df25);
    let (least, most) = [(1_500, 6_000), (4_000, 15_000), (10_000, 40_000)][rng.usize(0..3)];
    let mut faults = draw_timed(plan, &mut rng, least, most);
    let (persistent, often) = (rng.bool(), rng.u32(0..6));
    // More than there will be time for.
    for _ in 0..plan.chaos_ms / 400 {
        let long = |rng: &mut Rng| rng.u64(50..700) + plan.down_after_ms;
        let lose = i64::from(rng.u32(0..3) == 0);
        let (kind, for_ms, size) = match rng.u32(0..20) {
            0..=8 if persistent => (Kind::Kill, long(&mut rng), [0, 0, 0, 3][rng.usize(0..4)]),
            0..=8 => (Kind::Kill, long(&mut rng), [1, 1, 1, 2][rng.usize(0..4)]),
            9..=11 => (Kind::Bounce, rng.u64(1..400), [0, 1, 1, 2, 3, 4][rng.usize(0..6)]),
            12..=14 => (Kind::Pause, long(&mut rng), 0),
            15..=18 => (Kind::Isolate, long(&mut rng), lose),
            _ => (Kind::Switchover, 0, [0, 0, 1, 2][rng.usize(0..4)]),
        };
        let who = if kind == Kind::Switchover { Who::Nobody } else { Who::Master };
        let at_ms = rng.u64(0..150);
        faults.push(Fault { when: When::Whole, at_ms, for_ms, kind, who, with: Who::Nobody, size });
        if rng.u32(0..6) < often {
            let who = match rng.u32(0..5) {
                0 | 1 => Who::Leader,
                2 => Who::Sentinel(rng.usize(0..plan.sentinels)),
                _ => Who::Node(rng.usize(0..plan.nodes)),
            };
            let for_ms = rng.u64(20..1_500);
            let (kind, size) = match rng.u32(0..8) {
                0 => (Kind::Kill, i64::from(!persistent)),
                1 | 2 => (Kind::Bounce, i64::from(!persistent)),
                3 | 4 => (Kind::Pause, 0),
                5 => (Kind::DiskSlow, [20, 100, 500][rng.usize(0..3)]),
                _ => (Kind::Isolate, lose),
            };
            let at_ms = rng.u64(0..plan.down_after_ms * 2 + 400);
            faults.push(Fault { when: When::Then, at_ms, for_ms, kind, who, with: Who::Nobody, size });
        }
    }
    faults
}

/// The faults that wait for their moment.
#[derive(Default)]
pub struct Relay {
    pub over: bool,
    waiting: VecDeque<usize>,
    since_us: u64,
    struck: u64,
}

impl Relay {
    pub fn over() -> Self {
        Relay { over: true, ..Relay::default() }
    }
}

impl World {
    /// Takes over the faults that have no time of their own.
    pub fn begin_relay(&mut self) {
        let waits = |index: &usize| self.faults[*index].when != When::At;
        self.relay.waiting = (0..self.faults.len()).filter(waits).collect();
        self.relay.since_us = self.now_us;
    }

    pub(super) fn keep_relay(&mut self) {
        let Some(&index) = self.relay.waiting.front() else { return };
        // What is to come is counted from when it has come.
        if self.now_us < self.relay.since_us {
            return;
        }
        let long = self.now_us - self.relay.since_us > PATIENCE_US;
        if !long && !self.is_whole(self.relay.struck.is_multiple_of(4)) {
            return;
        }
        let mut at_us = self.now_us + self.faults[index].at_ms * MS;
        self.schedule(at_us, Event::Strike { index });
        self.relay.waiting.pop_front();
        self.relay.struck += 1;
        self.relay.since_us = at_us + MS;
        while let Some(&next) =
            self.relay.waiting.front().filter(|next| self.faults[**next].when == When::Then)
        {
            at_us += self.faults[next].at_ms * MS;
            self.schedule(at_us, Event::Strike { index: next });
            self.relay.waiting.pop_front();
        }
    }

    /// The last failover is over: a leader that is not busy, a master vouched for and in reach of a majority, and
    /// enough replicas, or all of them, that follow it.
    fn is_whole(&self, all: bool) -> bool {
        let Some(leader) = self.whom(Who::Leader) else { return false };
        let group = self.sentinels[leader].core.as_ref().and_then(|core| core.ledger().group(GROUP));
        let Some(group) = group.filter(|group| group.failover.is_none() && !group.confirm) else {
            return false;
        };
        let Some(master) = self.node_at(&group.master) else { return false };
        let (host, server) = (self.node_host(master), &self.nodes[master]);
        let serves = server.node.alive && !server.paused && server.node.role == Role::Master;
        if !serves || !server.node.is_vouched(self.node_clock(master)) {
            return false;
        }
        let reaches = |at: &Host| self.network.reachable(*at, host) && self.answer(*at).is_some();
        if (0..self.plan.sentinels).filter(reaches).count() <= self.plan.sentinels / 2 {
            return false;
        }
        let following = (0..self.nodes.len()).filter(|&at| {
            let other = &self.nodes[at];
            let reached = self.network.reachable(host, self.node_host(at));
            at != master && reached && other.node.alive && !other.paused && other.node.follows(&group.master)
        });
        let enough = if all { self.nodes.len() - 1 } else { self.plan.sync_quorum() };
        following.count() >= enough
    }
}
