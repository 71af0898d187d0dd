//! A lease by way of another sentinel: where the leader's own link to a bundled master fails and a
//! peer's does not, the peer passes the leader's words on and brings back the answer.
//!
//! Promise: a relayed lease is as safe as a direct one. It counts from the master's own stamp, which
//! the leader holds since it *received* it, however long a relay kept either; and it is never longer
//! than what the majority's word left when the leader granted it. The relay adds nothing of its own,
//! and passes on only to the process that was agreed. Has never heard of sockets.

use super::Action;
use super::lead::Work;
use super::lease::Stamped;
use super::node::Sentinel;
use super::peer::PeerMessage;
use super::probe;
use super::registry::Instance;
use super::request::Request;
use crate::model::{Address, NodeId};
use crate::resp::Reply;
use crate::stdx::time::{Duration, Instant};

/// The way a lease goes. A stamp that came by one way is never echoed on another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Path {
    Direct {
        /// The connection.
        generation: u64,
    },
    Via {
        peer: NodeId,
        /// The peer's connection, once it is known.
        generation: Option<u64>,
    },
}

impl Work<'_> {
    /// The way to the agreed master that works, or is worth a try. `None`: none is, or it is seen and
    /// is not as agreed.
    pub(super) fn lease_path(&self, lease: Duration) -> Option<Path> {
        let address = &self.group.master;
        let facts =
            self.registry.get(address).and_then(|master| Some((master.generation, master.current()?)));
        if facts.is_some_and(|(_, f)| !f.is_master() || f.awaiting() || f.run_id != self.group.run_id) {
            return None;
        }
        let direct = facts.map(|(generation, _)| Path::Direct { generation });
        let book = &self.own.lease;
        let Some((_, path)) = book.holder.as_ref().filter(|(holder, _)| holder == address) else {
            return direct.or_else(|| self.next_relay(None));
        };
        // Longer than two renewals are ever apart, and what is granted by then has not run out, or the
        // replicas carry it.
        let patience = lease * 11 / 20;
        let answers = self.now.since(book.heard_at.unwrap_or(book.path_since)) < patience;
        match path {
            Path::Direct { generation } => match direct {
                Some(Path::Direct { generation: now }) if now != *generation => direct,
                Some(_) if answers => direct,
                _ => self.next_relay(None).or(direct),
            },
            Path::Via { peer, .. } => {
                let back = facts.is_some_and(|(_, facts)| facts.asked_at > book.path_since);
                if back {
                    direct
                } else if answers {
                    Some(*path)
                } else {
                    self.next_relay(Some(*peer)).or(direct)
                }
            }
        }
    }

    /// The next peer in turn that does not say the master is out of its reach too.
    fn next_relay(&self, after: Option<NodeId>) -> Option<Path> {
        let fit = |id: &NodeId| {
            self.peers.get(id).is_some_and(|peer| {
                let blind = peer.views.iter().any(|view| {
                    view.group == self.group.name
                        && view.instance == self.group.master
                        && (view.sdown || view.refused_ms.is_some())
                });
                peer.connected && !peer.rejected && !blind
            })
        };
        let turn = self.peers.keys().filter(|id| after.is_none_or(|after| **id > after));
        let peer = turn.chain(self.peers.keys()).copied().find(|id| fit(id))?;
        Some(Path::Via { peer, generation: None })
    }

    pub(super) fn send_lease(&mut self, path: Path, request: Request) {
        let master = self.group.master.clone();
        match path {
            Path::Direct { .. } => {
                self.send(&master, request);
            }
            Path::Via { peer, generation } => {
                let Some(run_id) = &self.group.run_id else { return };
                let message = PeerMessage::RelayLease {
                    group: self.group.name.clone(),
                    run_id: run_id.to_string(),
                    generation: generation.unwrap_or(0),
                    argv: request.words(),
                };
                self.actions.push(Action::SendPeer { to: peer, message });
            }
        }
    }
}

/// What the leader wants passed on, and to whom.
pub(super) struct ToRelay<'a> {
    pub group: &'a str,
    pub run_id: &'a str,
    /// 0: the first one.
    pub generation: u64,
    pub argv: Vec<Vec<u8>>,
}

impl Sentinel {
    /// As relay: the leader's lease goes to the master that both agree on, or nowhere.
    pub(super) fn relay_lease(
        &mut self,
        now: Instant,
        from: NodeId,
        asked: ToRelay<'_>,
        actions: &mut Vec<Action>,
    ) {
        let is_lease = asked.argv.len() == 9
            && asked.argv[0] == b"VEDETTE"
            && asked.argv[1] == b"LEASE"
            && asked.argv[2] == asked.group.as_bytes();
        if self.consensus.leader() != Some(from) || !is_lease {
            return;
        }
        let Some(group) = self.ledger.group(asked.group) else { return };
        let agreed = group.run_id.as_ref().is_some_and(|run_id| run_id.to_string() == asked.run_id);
        let Some(instance) = self.registry.get_mut(&group.master).filter(|_| agreed) else { return };
        let sound = instance
            .current()
            .is_some_and(|facts| facts.is_master() && !facts.awaiting() && facts.run_id == group.run_id);
        let same = asked.generation == 0 || asked.generation == instance.generation;
        if sound && same {
            let request = Request::RelayedLease { to: from, argv: asked.argv };
            let master = group.master.clone();
            let renames = &group.settings.renames;
            probe::send(instance, &master, now, request, renames, &mut self.next_request, actions);
        }
    }

    /// As relay: the master's answer goes back.
    pub(super) fn relay_answer(
        &self,
        to: NodeId,
        group: &str,
        address: &Address,
        reply: &Reply,
        actions: &mut Vec<Action>,
    ) {
        let Some(stamped) = Stamped::read(reply) else { return };
        let generation = self.registry.get(address).map_or(0, |instance: &Instance| instance.generation);
        let message = PeerMessage::Relayed {
            group: group.to_owned(),
            instance: address.clone(),
            generation,
            stamp: stamped.stamp,
            vouched: stamped.vouched,
            version: stamped.version,
        };
        actions.push(Action::SendPeer { to, message });
    }
}
