//! The fleet of sentinels changes while everything else goes wrong: spare sentinels that may be
//! added, the operator who asks for it, and who is let in at whose door, as the peer links judge it.

use super::{Event, MS, World, sentinel_address};
use vedette::sentinel::members::PeerCommand;
use vedette::sentinel::{Command, Input, Sentinel};
use vedette::stdx::Rng;

/// Links are dialled again and again; here all that are missing, together.
const REDIAL_US: u64 = 500 * MS;
/// An operator who was refused, because a failover was open or nobody led, asks again; what was taken
/// already is taken once more and changes nothing.
const ASKS: u32 = 6;
const ASK_AGAIN_US: u64 = 700 * MS;

impl World {
    pub(super) fn boot_members(&mut self) {
        if self.plan.spares > 0 {
            self.schedule(REDIAL_US, Event::Redial);
        }
    }

    pub(super) fn redial(&mut self) {
        self.schedule(self.now_us + REDIAL_US, Event::Redial);
        self.reconnect_peers();
    }

    /// An operator changes the fleet in a random way.
    pub fn change_fleet(&mut self, rng: &mut Rng) {
        let spare = self.sentinels.iter().position(|host| !host.enrolled);
        // Whoever was started once: a dead one, one that joins, or one that was removed long ago.
        let enrolled: Vec<u64> = (0..self.sentinels.len())
            .filter(|at| self.sentinels[*at].enrolled)
            .map(|at| at as u64 + 1)
            .collect();
        let old = enrolled[rng.usize(..enrolled.len())];
        let command = match (rng.u32(..3), spare) {
            (0, Some(at)) => PeerCommand::Add { id: at as u64 + 1, address: sentinel_address(at) },
            (1, Some(at)) => PeerCommand::Replace { old, new: at as u64 + 1, address: sentinel_address(at) },
            _ => PeerCommand::Remove { id: old },
        };
        if let (Some(at), PeerCommand::Add { .. } | PeerCommand::Replace { .. }) = (spare, &command) {
            self.sentinels[at].enrolled = true;
            self.start_sentinel(at);
        }
        self.note(format!("operator: {}", command.words().join(" ")));
        for ask in 0..ASKS {
            let via = rng.usize(..self.sentinels.len());
            let at = self.now_us + u64::from(ask) * ASK_AGAIN_US + rng.u64(..100) * MS;
            self.schedule(at, Event::Operator { via, command: command.clone() });
        }
    }

    pub(super) fn operator(&mut self, via: usize, command: PeerCommand) {
        let now = self.sentinel_now(via);
        let host = &mut self.sentinels[via];
        let Some(core) = host.core.as_mut().filter(|core| !host.paused && !core.is_joining()) else { return };
        let mut actions = Vec::new();
        core.propose_command(now, 1, &Command::Peer(command), &mut actions);
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
            self.send(1, at, peer, event);
            self.input(at, Input::PeerDown { id: peer as u64 + 1 });
        }
    }

    pub(super) fn peer_closed(&mut self, at: usize, peer: usize, life: u64) {
        if self.sentinels[at].paused {
            self.sentinels[at].deferred.push(Event::PeerClosed { at, peer, life });
        } else if self.sentinels[at].life == life && self.sentinels[at].connected_peers.remove(&peer) {
            self.input(at, Input::PeerDown { id: peer as u64 + 1 });
        }
    }

    /// Who is to answer at rest: the voters, as their leader has them. `Err`: why there is no rest yet.
    pub fn voters(&self) -> Result<Vec<usize>, String> {
        let leads =
            |at: &usize| super::super::adapter::is_leader(&self.sentinels[*at]) && self.answer(*at).is_some();
        let leader = (0..self.sentinels.len()).find(leads).ok_or("nobody leads")?;
        let membership = super::super::adapter::membership(&self.sentinels[leader]).ok_or("nobody leads")?;
        if let Some(job) = &membership.job {
            return Err(job.describe());
        }
        Ok(membership.voters().map(|id| id as usize - 1).collect())
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
