//! Carrying out one fault of the schedule. Whom it strikes is found out now: the master and the leader
//! of this moment are more often worth striking than anybody of before.

use super::{Event, MS, World};
use crate::simulation::network::{Host, Trouble};
use crate::simulation::schedule::{Fault, Kind, Who};

impl World {
    /// The host that is meant, if there is such a one now.
    pub fn whom(&self, who: Who) -> Option<Host> {
        match who {
            Who::Nobody => None,
            Who::Node(index) => (index < self.nodes.len()).then(|| self.node_host(index)),
            Who::Sentinel(index) => Some(index).filter(|index| *index < self.sentinels.len()),
            Who::Master => self.newest_master().map(|index| self.node_host(index)),
            Who::Leader => (0..self.sentinels.len())
                .find(|&at| crate::simulation::adapter::is_leader(&self.sentinels[at])),
        }
    }

    /// The master of the newest epoch that any sentinel knows of.
    pub fn newest_master(&self) -> Option<usize> {
        let known = (0..self.sentinels.len()).filter_map(|index| self.agreed(index));
        known.max_by_key(|(_, epoch)| *epoch).and_then(|(address, _)| self.node_at(&address))
    }

    pub(super) fn strike(&mut self, index: usize) {
        // One that was to come after another may be due when all are over.
        if self.relay.over {
            return;
        }
        let fault = self.faults[index].clone();
        self.afflict(&fault);
    }

    pub fn afflict(&mut self, fault: &Fault) {
        let for_us = fault.for_ms * MS;
        let (who, with) = (self.whom(fault.who), self.whom(fault.with));
        let lose = fault.size & 1 == 1;
        let clock_of = |world: &World, host: Host| host.checked_sub(world.sentinels.len());
        match (fault.kind, who) {
            (Kind::Kill | Kind::Bounce, Some(host)) => self.kill(host, fault.size, for_us),
            (Kind::Pause, Some(host)) => {
                self.pause(host);
                self.schedule(self.now_us + for_us, Event::Resume { host });
            }
            (Kind::Isolate, Some(host)) => {
                let others = (0..=self.client_host()).filter(|other| *other != host);
                let pairs = others.flat_map(|other| [(host, other), (other, host)]).collect();
                self.cut(Trouble::Blocks { pairs, lose }, for_us);
            }
            (Kind::Split, _) => {
                let far = |host: &Host| fault.size >> (host + 1) & 1 == 1;
                let hosts = 0..=self.client_host();
                let pairs = hosts
                    .clone()
                    .flat_map(|a| hosts.clone().map(move |b| (a, b)))
                    .filter(|(a, b)| far(a) != far(b))
                    .collect();
                self.cut(Trouble::Blocks { pairs, lose }, for_us);
            }
            (Kind::OneWay | Kind::Cut | Kind::Slow, Some(a)) => {
                let Some(b) = with.filter(|b| *b != a) else { return };
                let both = if fault.kind == Kind::OneWay { vec![(a, b)] } else { vec![(a, b), (b, a)] };
                self.cut(
                    match fault.kind {
                        Kind::Slow => Trouble::Slow { pairs: both, most_us: fault.size as u64 * MS },
                        _ => Trouble::Blocks { pairs: both, lose },
                    },
                    for_us,
                );
            }
            (Kind::Delay, _) => self.cut(Trouble::Delay { most_us: fault.size as u64 * MS }, for_us),
            (Kind::Loss, _) => self.cut(Trouble::Loss { percent: fault.size as u32 }, for_us),
            (Kind::Duplicate, _) => self.cut(Trouble::Duplicate { percent: fault.size as u32 }, for_us),
            (Kind::Reorder, _) => self.cut(Trouble::Reorder { percent: fault.size as u32 }, for_us),
            (Kind::WallJump, Some(host)) if host < self.sentinels.len() => {
                self.note(format!("s{}: the wall clock jumps by {} ms", host + 1, fault.size));
                self.sentinels[host].wall_skew_ms += fault.size;
            }
            (Kind::Drift, Some(host)) => {
                self.note(format!("{}: the clock runs {} ppm fast", self.host_name(host), fault.size));
                let now = self.now_us;
                match clock_of(self, host) {
                    None => {
                        self.sentinels[host].clock.drift(now, fault.size);
                        self.rearm(host);
                    }
                    Some(node) => self.nodes[node].clock.drift(now, fault.size),
                }
            }
            (Kind::DiskSlow, Some(host)) => {
                self.note(format!("{}: a sync takes up to {} ms", self.host_name(host), fault.size));
                match clock_of(self, host) {
                    None => self.slow_disk(host, fault.size as u64 * MS, for_us),
                    Some(node) => {
                        self.nodes[node].stutter_us = fault.size as u64 * MS;
                        let until_us = self.now_us + for_us;
                        self.schedule(self.now_us, Event::Stutter { node, until_us });
                    }
                }
            }
            (Kind::DiskFull, Some(host)) => {
                self.note(format!("{}: the disk is full", self.host_name(host)));
                match clock_of(self, host) {
                    None => self.fill_disk(host, for_us),
                    Some(node) => {
                        self.nodes[node].node.disk_full = true;
                        self.schedule(self.now_us + for_us, Event::DiskMend { host, generation: 0 });
                    }
                }
            }
            (Kind::DiskTorn, Some(host)) if host < self.sentinels.len() => {
                self.tear_disk(host, fault.size == 1, for_us);
            }
            (Kind::DiskLies, Some(host)) if host < self.sentinels.len() => {
                self.note(format!("s{}: the disk lies", host + 1));
                self.lying_disk(host, for_us);
            }
            (Kind::Rogue, Some(host)) => {
                if let Some(node) = clock_of(self, host).filter(|node| self.nodes[*node].node.alive) {
                    self.note(format!("somebody makes {} a master", self.nodes[node].node.address));
                    let argv = ["REPLICAOF", "NO", "ONE"].map(|word| word.as_bytes().to_vec());
                    self.at_node(node, |node, now, out| drop(node.command(now, &argv, out)));
                }
            }
            (
                Kind::Add
                | Kind::Replace
                | Kind::Remove
                | Kind::Switchover
                | Kind::Set
                | Kind::Reset
                | Kind::Maintenance,
                who,
            ) => self.ask(fault, who),
            _ => {}
        }
    }

    fn cut(&mut self, trouble: Trouble, for_us: u64) {
        self.note(self.describe(&trouble));
        self.begin(trouble, for_us);
    }

    pub(super) fn describe(&self, trouble: &Trouble) -> String {
        let names = |pairs: &[(Host, Host)]| {
            let pair = |(a, b): &(Host, Host)| format!("{}>{}", self.host_name(*a), self.host_name(*b));
            pairs.iter().map(pair).collect::<Vec<_>>().join(" ")
        };
        match trouble {
            Trouble::Blocks { pairs, lose } => {
                format!("{} {}", if *lose { "losing" } else { "blocked" }, names(pairs))
            }
            Trouble::Slow { pairs, most_us } => format!("slow up to {} ms: {}", most_us / MS, names(pairs)),
            Trouble::Delay { most_us } => format!("all is late by up to {} ms", most_us / MS),
            Trouble::Loss { percent } => format!("{percent} % are lost"),
            Trouble::Duplicate { percent } => format!("{percent} % come twice"),
            Trouble::Reorder { percent } => format!("{percent} % come out of order"),
        }
    }

    fn kill(&mut self, host: Host, found: i64, for_us: u64) {
        let Some(node) = host.checked_sub(self.sentinels.len()) else {
            if self.sentinels[host].core.is_some() {
                self.kill_sentinel(host);
                self.restart_later(host, for_us);
            }
            return;
        };
        let (keep_data, keep_dir) = (found == 0 || found >= 3, found != 2);
        self.kill_node(node, keep_data);
        if found >= 3 && self.plan.bundled {
            let most = self.nodes[node].node.offset().min(40);
            let lost = self.rng.u64(0..=most);
            self.note(format!("{} loses the last {lost} entries", self.nodes[node].node.address));
            self.nodes[node].node.tear(lost, found == 4);
        }
        self.schedule(self.now_us + for_us, Event::Restart { host, keep_data, keep_dir });
    }
}
