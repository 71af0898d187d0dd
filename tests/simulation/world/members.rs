//! What operators ask of the fleet while everything else goes wrong: sentinels that join, are replaced
//! and leave, switchovers, settings, maintenance; and who is let in at whose door, as the peer links judge it.

use super::{Event, GROUP, MS, PEERS, World, node_address, sentinel_address};
use crate::simulation::adapter;
use crate::simulation::network::Host;
use crate::simulation::schedule::{Fault, Kind};
use vedette::sentinel::members::PeerCommand;
use vedette::sentinel::policy::PolicyCommand;
use vedette::sentinel::{Command, Input, Sentinel, Switchover, Wish};

/// Links are dialled again and again; here all that are missing, together.
const REDIAL_US: u64 = 500 * MS;
/// An operator who was refused, because a failover was open or nobody led, asks again; what was taken
/// already is taken once more and changes nothing.
const ASKS: u32 = 6;
const ASK_AGAIN_US: u64 = 700 * MS;

impl World {
    pub(super) fn boot_members(&mut self) {
        self.schedule(REDIAL_US, Event::Redial);
    }

    pub(super) fn redial(&mut self) {
        self.schedule(self.now_us + REDIAL_US, Event::Redial);
        self.reconnect_peers();
    }

    /// An operator asks for what this fault says.
    pub(super) fn ask(&mut self, fault: &Fault, who: Option<Host>) {
        let name = GROUP.to_owned();
        let node = who.and_then(|host| host.checked_sub(self.sentinels.len()));
        let instance = node.map(node_address);
        let spare = self.sentinels.iter().position(|host| !host.enrolled);
        let id = |at: usize| at as u64 + 1;
        let mut asks = 1;
        let command = match fault.kind {
            Kind::Add | Kind::Replace | Kind::Remove => {
                asks = ASKS;
                let old = who.filter(|at| *at < self.sentinels.len() && self.sentinels[*at].enrolled);
                let command = match (fault.kind, spare, old) {
                    (Kind::Add, Some(at), _) => {
                        PeerCommand::Add { id: id(at), address: sentinel_address(at) }
                    }
                    (Kind::Replace, Some(at), Some(old)) => {
                        PeerCommand::Replace { old: id(old), new: id(at), address: sentinel_address(at) }
                    }
                    (Kind::Remove, _, Some(old)) => PeerCommand::Remove { id: id(old) },
                    _ => return,
                };
                if let (Some(at), PeerCommand::Add { .. } | PeerCommand::Replace { .. }) = (spare, &command) {
                    self.sentinels[at].enrolled = true;
                    self.start_sentinel(at);
                }
                Command::Peer(command)
            }
            Kind::Switchover => {
                let (coordinated, force) = (fault.size == 1, fault.size == 2);
                let how = Switchover { to: instance, coordinated, force, timeout_ms: 0 };
                Command::Failover { name, wish: Wish::Now(how) }
            }
            Kind::Set => {
                let (option, value) = [
                    ("down-after-milliseconds", "700"),
                    ("parallel-syncs", "2"),
                    ("crash-grace-milliseconds", "0"),
                    ("down-after-milliseconds", "1500"),
                ][fault.size as usize % 4];
                Command::Set { name, options: vec![(option.to_owned(), value.to_owned())] }
            }
            Kind::Reset => Command::Reset { pattern: "*".to_owned() },
            _ => {
                let (owner, reason) = ("simulator".to_owned(), "as scheduled".to_owned());
                let for_s = Some(fault.for_ms / 1000 + 1);
                Command::Policy(PolicyCommand::Pause { name, instance, for_s, owner, reason })
            }
        };
        let words: Vec<String> =
            command.words().iter().map(|w| String::from_utf8_lossy(w).into_owned()).collect();
        self.note(format!("operator: {}", words.join(" ")));
        for ask in 0..asks {
            let via = self.rng.usize(..self.sentinels.len());
            let at = self.now_us + u64::from(ask) * ASK_AGAIN_US + self.rng.u64(..100) * MS;
            self.schedule(at, Event::Operator { via, command: Box::new(command.clone()) });
        }
    }

    pub(super) fn operator(&mut self, via: usize, command: &Command) {
        let now = self.sentinel_now(via);
        let still = self.stands_still(via);
        let Some(core) = self.sentinels[via].core.as_mut().filter(|core| !still && !core.is_joining()) else {
            return;
        };
        let mut actions = Vec::new();
        core.propose_command(now, 1, command, &mut actions);
        self.carry_out(via, actions);
        self.rearm(via);
    }

    /// As the peer links judge each other: both sides must want it. A member that was removed is told so.
    pub(super) fn lets_in(&mut self, at: usize, peer: usize) -> bool {
        let (Some(here), Some(there)) = (&self.sentinels[at].core, &self.sentinels[peer].core) else {
            return false;
        };
        let (id_here, id_there) = (at as u64 + 1, peer as u64 + 1);
        if there.has_removed(id_here) && !here.is_removed() {
            self.input(at, Input::Removed);
            return false;
        }
        // The founders' fleets never change their members in most worlds: nothing to judge there.
        self.plan.spares == 0 || (knows(here, there, id_there) && knows(there, here, id_here))
    }

    /// Links to those who are members no more end.
    pub(super) fn drop_strangers(&mut self, at: usize) {
        let host = &self.sentinels[at];
        let Some(core) = &host.core else { return };
        let gone: Vec<usize> = host
            .connected_peers
            .iter()
            .copied()
            .filter(|peer| core.is_removed() || core.has_removed(*peer as u64 + 1))
            .collect();
        for peer in gone {
            self.sentinels[at].connected_peers.remove(&peer);
            let life = self.sentinels[peer].life;
            let event = Event::PeerClosed { at: peer, peer: at, life };
            self.send(PEERS, at, peer, event);
            self.input(at, Input::PeerDown { id: peer as u64 + 1 });
        }
    }

    pub(super) fn peer_closed(&mut self, at: usize, peer: usize, life: u64) {
        if self.sentinels[at].life == life && self.sentinels[at].connected_peers.remove(&peer) {
            self.input(at, Input::PeerDown { id: peer as u64 + 1 });
        }
    }

    /// Too many ids are lost for a majority, because the fleet had shrunk before a disk lied: only a person helps.
    pub fn is_beyond_help(&self) -> bool {
        let cores = self.sentinels.iter().filter_map(|host| host.core.as_ref());
        let Some(newest) = cores.max_by_key(|core| core.ledger().applied) else { return true };
        let voters: Vec<usize> = newest.ledger().membership.voters().map(|id| id as usize - 1).collect();
        let lost = voters.iter().filter(|at| self.sentinels[**at].lost || self.is_wrecked(**at)).count();
        lost > 0 && (voters.len() - lost) * 2 <= voters.len()
    }

    /// What it knows to be agreed was agreed again, otherwise, by a majority with a disk that had lied: it believes
    /// nobody any more, and rightly so.
    fn is_wrecked(&self, at: usize) -> bool {
        let log = |at: usize| &self.sentinels[at].disk.stored;
        let furthest = (0..self.sentinels.len()).max_by_key(|at| log(*at).hard_state.commit);
        let Some(furthest) = furthest.filter(|other| *other != at && self.checkers.may_give_up()) else {
            return false;
        };
        let commit = log(at).hard_state.commit;
        let term = |at: usize| log(at).entries.iter().find(|entry| entry.index == commit).map(|e| e.term);
        term(at).is_some_and(|own| term(furthest).is_some_and(|theirs| own != theirs))
    }

    /// Who is to answer at rest: the voters, as their leader has them, but those that nobody healed. `Err`: why
    /// there is no rest yet.
    pub fn voters(&self) -> Result<Vec<usize>, String> {
        let leads = |at: &usize| adapter::is_leader(&self.sentinels[*at]) && self.answer(*at).is_some();
        let leader = (0..self.sentinels.len()).find(leads).ok_or("nobody leads")?;
        let membership = adapter::membership(&self.sentinels[leader]).ok_or("nobody leads")?;
        if let Some(job) = &membership.job {
            return Err(job.describe());
        }
        let here =
            |at: &usize| !self.abandoned.contains(at) && !self.sentinels[*at].lost && !self.is_wrecked(*at);
        Ok(membership.voters().map(|id| id as usize - 1).filter(here).collect())
    }
}

/// Whether `one` takes `other`, which bears this id, for a member of its fleet, or for the fleet it waits for.
fn knows(one: &Sentinel, other: &Sentinel, id: u64) -> bool {
    let (ours, theirs) = (&one.ledger().cluster_id, &other.ledger().cluster_id);
    if !ours.is_empty() && !theirs.is_empty() && ours != theirs {
        return false;
    }
    one.reach().contains_key(&id)
        || (!ours.is_empty() && ours == theirs)
        || (one.is_joining() && ours.is_empty())
}
