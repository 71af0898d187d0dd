//! Faults as a swarm: each seed turns kinds on and off and draws its own rate, so that some worlds
//! see only partitions and others everything at once. A fault ends by itself; what has not ended
//! when the chaos is over is ended by the healing.

use super::world::{Event, World};
use vedette::stdx::Rng;

const MS: u64 = 1000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    KillNode,
    KillMaster,
    RestartEmptyAtOnce,
    KillSentinel,
    KillMasterAndLeader,
    PauseNode,
    PauseMaster,
    PauseSentinel,
    IsolateHost,
    Split,
    OneWay,
    SlowLink,
}

const KINDS: [Kind; 12] = [
    Kind::KillNode,
    Kind::KillMaster,
    Kind::RestartEmptyAtOnce,
    Kind::KillSentinel,
    Kind::KillMasterAndLeader,
    Kind::PauseNode,
    Kind::PauseMaster,
    Kind::PauseSentinel,
    Kind::IsolateHost,
    Kind::Split,
    Kind::OneWay,
    Kind::SlowLink,
];

pub struct Swarm {
    rng: Rng,
    kinds: Vec<Kind>,
    gap_ms: (u64, u64),
    /// Whether a killed node finds its data again.
    persistent: bool,
    /// Of a hundred strikes: those of an operator on the fleet itself. Zero where there are no spares.
    changes: u32,
}

impl Swarm {
    pub fn new(seed: u64, spares: usize) -> Self {
        let mut rng = Rng::with_seed(seed ^ 0x5851_f42d_4c95_7f2d);
        let mut kinds: Vec<Kind> = KINDS.iter().copied().filter(|_| rng.bool()).collect();
        if kinds.is_empty() {
            kinds.push(Kind::KillMaster);
        }
        let gap_ms = [(300, 2_000), (1_000, 5_000), (3_000, 8_000)][rng.usize(0..3)];
        let persistent = rng.bool();
        let changes = if spares == 0 { 0 } else { [15, 30, 60][rng.usize(0..3)] };
        Swarm { kinds, gap_ms, persistent, changes, rng }
    }

    /// Milliseconds to the next fault.
    pub fn gap_us(&mut self) -> u64 {
        self.rng.u64(self.gap_ms.0..self.gap_ms.1) * MS
    }

    pub fn strike(&mut self, world: &mut World) {
        if self.changes > 0 && self.rng.u32(0..100) < self.changes {
            return world.change_fleet(&mut self.rng);
        }
        let kind = self.kinds[self.rng.usize(0..self.kinds.len())];
        let sentinels = world.sentinels.len();
        let hosts = sentinels + world.nodes.len();
        let any_node = self.rng.usize(0..world.nodes.len());
        let master = self.master(world).unwrap_or(any_node);
        match kind {
            Kind::KillNode => self.kill_node(world, any_node),
            Kind::KillMaster => self.kill_node(world, master),
            Kind::RestartEmptyAtOnce => {
                world.kill_node(master, false);
                let at = world.now_us + self.rng.u64(1..400) * MS;
                let event =
                    Event::Restart { host: sentinels + master, keep_data: false, keep_dir: self.rng.bool() };
                world.schedule(at, event);
            }
            Kind::KillSentinel => {
                let index = self.rng.usize(0..sentinels);
                self.kill_sentinel(world, index);
            }
            Kind::KillMasterAndLeader => {
                let leader = (0..sentinels).find(|&index| super::adapter::is_leader(&world.sentinels[index]));
                self.kill_node(world, master);
                if let Some(leader) = leader {
                    self.kill_sentinel(world, leader);
                }
            }
            Kind::PauseNode => self.pause(world, sentinels + any_node),
            Kind::PauseMaster => self.pause(world, sentinels + master),
            Kind::PauseSentinel => {
                let index = self.rng.usize(0..sentinels);
                self.pause(world, index);
            }
            Kind::IsolateHost => {
                let host = self.rng.usize(0..hosts);
                world.note(format!("isolate {}", world.host_name(host)));
                for other in (0..=hosts).filter(|&other| other != host) {
                    world.network.block(host, other);
                    world.network.block(other, host);
                }
                self.heal_later(world);
            }
            Kind::Split => {
                let side: Vec<bool> = (0..=hosts).map(|_| self.rng.bool()).collect();
                let names: Vec<_> =
                    (0..=hosts).filter(|&host| side[host]).map(|host| world.host_name(host)).collect();
                world.note(format!("split off {}", names.join(" ")));
                for a in 0..=hosts {
                    for b in 0..=hosts {
                        if side[a] != side[b] {
                            world.network.block(a, b);
                        }
                    }
                }
                self.heal_later(world);
            }
            Kind::OneWay => {
                let (from, to) = (self.rng.usize(0..hosts), self.rng.usize(0..hosts));
                if from != to {
                    world.note(format!("block {} -> {}", world.host_name(from), world.host_name(to)));
                    world.network.block(from, to);
                    self.heal_later(world);
                }
            }
            Kind::SlowLink => {
                let (a, b) = (self.rng.usize(0..hosts), self.rng.usize(0..hosts));
                world.note(format!("slow {} - {}", world.host_name(a), world.host_name(b)));
                let delay = (20 * MS, self.rng.u64(50..600) * MS);
                world.network.slow(a, b, delay);
                world.network.slow(b, a, delay);
                self.heal_later(world);
            }
        }
    }

    fn master(&self, world: &World) -> Option<usize> {
        let newest = (0..world.sentinels.len())
            .filter_map(|index| world.agreed(index))
            .max_by_key(|(_, epoch)| *epoch);
        newest.and_then(|(address, _)| world.node_at(&address))
    }

    fn kill_node(&mut self, world: &mut World, index: usize) {
        let keep_data = self.persistent;
        world.kill_node(index, keep_data);
        let at = world.now_us + self.rng.u64(5..6_000) * MS;
        let keep_dir = keep_data || self.rng.u32(0..4) != 0;
        world.schedule(at, Event::Restart { host: world.node_host(index), keep_data, keep_dir });
    }

    fn kill_sentinel(&mut self, world: &mut World, index: usize) {
        if world.sentinels[index].core.is_some() {
            world.kill_sentinel(index);
            let at = world.now_us + self.rng.u64(50..5_000) * MS;
            world.schedule(at, Event::Restart { host: index, keep_data: true, keep_dir: true });
        }
    }

    fn pause(&mut self, world: &mut World, host: usize) {
        world.pause(host);
        let at = world.now_us + self.rng.u64(50..6_000) * MS;
        world.schedule(at, Event::Resume { host });
    }

    fn heal_later(&mut self, world: &mut World) {
        world.schedule(world.now_us + self.rng.u64(100..6_000) * MS, Event::Heal);
    }
}
