//! How many replicas a stock master must have to take writes: the bound on what it may still
//! acknowledge once it is cut off (promise P3, as far as stock servers go).
//!
//! Promises: what an operator asked for is kept where it is more, and given back when the server is
//! master no longer; a master whose replicas are gone takes writes again as soon as a leader sees
//! both, and everybody is told; every value is agreed before it is set, so a later leader knows its
//! own from an operator's. Has never heard of leases, which bundled masters have instead.

use super::decision::Decision;
use super::facts::Role;
use super::lead::Work;
use super::ledger::Managed;
use super::registry::Instance;
use super::request::Request;
use super::subjective;
use crate::model::Address;
use crate::resp::Reply;
use crate::stdx::time::{Duration, Instant};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How often it is read whether the server still has what it was given.
const READ_EVERY: Duration = Duration::from_secs(5);
const GIVE_BACK_AGAIN: Duration = Duration::from_secs(2);
const READ_AGAIN: Duration = Duration::from_millis(500);
/// Beyond down-after: whole seconds of the server's clock, its one-second rounds, and a leader's time
/// to see that a replica is gone. So no healthy master is stopped before its set was made smaller.
const LAG_SPARE_S: u64 = 3;

/// `min-replicas-to-write` and `min-replicas-max-lag`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MinReplicas {
    pub count: usize,
    pub lag_s: u64,
}

/// What this leader knows of the master's two settings.
#[derive(Debug, Default)]
pub(super) struct MinReplicasBook {
    /// Whose: a server, and the connection.
    of: Option<(Address, u64)>,
    shown: Option<MinReplicas>,
    read_at: Option<Instant>,
    /// Seen to be what was agreed: what differs later was set by somebody else.
    verified: Option<MinReplicas>,
    refused: bool,
    /// When a server was last given back its own: not again before that is agreed.
    given_back: BTreeMap<Address, Instant>,
}

impl MinReplicasBook {
    /// The answer to CONFIG GET, or the refusal of either.
    pub fn answered(&mut self, from: &Address, generation: u64, reply: &Reply) {
        if self.of.as_ref() != Some(&(from.clone(), generation)) {
            return;
        }
        if reply.error().is_some() {
            self.refused = true;
        } else if let Some(shown) = read(reply) {
            self.shown = Some(shown);
        }
    }
}

/// Pairs of name and value, in any order.
fn read(reply: &Reply) -> Option<MinReplicas> {
    let items = reply.as_array()?;
    let value = |name: &str| {
        let pair = items.chunks_exact(2).find(|pair| pair[0].as_str() == Some(name))?;
        pair[1].as_str()?.parse::<u64>().ok()
    };
    let count = usize::try_from(value("min-replicas-to-write")?).ok()?;
    Some(MinReplicas { count, lag_s: value("min-replicas-max-lag")? })
}

/// What is to be set, given what is wanted and what the operator had.
fn combine(wanted: usize, lag_s: u64, own: MinReplicas) -> MinReplicas {
    if own.count >= wanted.max(1) {
        return own;
    }
    MinReplicas { count: wanted, lag_s: if own.count > 0 { own.lag_s } else { lag_s } }
}

impl Work<'_> {
    pub(super) fn manage_min_replicas(&mut self) {
        self.give_back();
        if self.group.bundled || self.group.confirm || !self.master_is_sound() {
            return;
        }
        let master = self.group.master.clone();
        let Some(instance) = self.registry.get(&master) else { return };
        let Some(run_id) = instance.current().and_then(|facts| facts.run_id.clone()) else { return };
        let known = self.group.managed.get(&master).filter(|managed| managed.run_id == run_id).cloned();
        if !self.group.settings.manage_min_replicas {
            if known.is_some_and(|known| self.set_back(&master, known.own)) {
                self.unmanage(&master);
            }
            return;
        }
        let of = Some((master.clone(), instance.generation));
        let book = &mut self.own.min_replicas;
        if book.of != of {
            let given_back = std::mem::take(&mut book.given_back);
            *book = MinReplicasBook { of, given_back, ..MinReplicasBook::default() };
        }
        if book.refused {
            return;
        }
        let pace = if book.shown.is_some() { READ_EVERY } else { READ_AGAIN };
        if book.read_at.is_none_or(|at| self.now.since(at) >= pace) {
            book.read_at = Some(self.now);
            self.send(&master, Request::ReadMinReplicas);
        }
        let Some(shown) = self.own.min_replicas.shown else { return };
        let (wanted, lag_s) = self.wanted_min_replicas();
        let own = match &known {
            // Nothing to ask for yet, and nothing to tell.
            None if wanted == 0 => return,
            None => shown,
            Some(known) if self.is_an_operators(shown, known) => shown,
            Some(known) => known.own,
        };
        let value = combine(wanted, lag_s, own);
        if known.as_ref().is_none_or(|known| known.own != own || known.value != value) {
            self.decisions.push(Decision::Manage {
                group: self.group.name.clone(),
                instance: master,
                managed: Managed { run_id, own, value },
                full: value.count >= self.group.sync_set().quorum,
            });
        } else if shown == value {
            self.own.min_replicas.verified = Some(value);
        } else if self.set(&master, value) {
            // Read back at once: an answer that says OK is believed when the server shows it.
            let book = &mut self.own.min_replicas;
            book.shown = None;
            book.read_at = Some(self.now);
            self.send(&master, Request::ReadMinReplicas);
        }
    }

    /// Shown, and neither what was agreed nor anything this fleet would have set before.
    fn is_an_operators(&self, shown: MinReplicas, known: &Managed) -> bool {
        if shown == known.value {
            return false;
        }
        let verified = self.own.min_replicas.verified == Some(known.value);
        let ours_at_most = self.group.sync_set().quorum.max(known.value.count).max(known.own.count);
        verified || shown.count > ours_at_most
    }

    /// As many as vouch together, as long as so many stream. The leader sees the master and a majority
    /// sees the leader, so while this is lowered nobody else can be promoted.
    fn wanted_min_replicas(&self) -> (usize, u64) {
        let set = self.group.sync_set();
        let streams = |address: &Address| {
            let replica =
                self.registry.get(address).filter(|i| !subjective::suspect(i, self.group, self.now));
            let facts = replica.and_then(Instance::current);
            facts.is_some_and(|facts| facts.follows(&self.group.master) && facts.link_up)
        };
        let streaming = set.members.keys().filter(|address| streams(address)).count();
        // A replica's link is up before its master counts it (its next round, 100 ms later), and
        // a master that counts none refuses writes. By number, since it may list another name of it.
        let master = self.registry.get(&self.group.master).and_then(Instance::current);
        let counted = master.map_or(0, |facts| facts.replicas.iter().filter(|listed| listed.online).count());
        let streaming = streaming.min(counted);
        let lag_s = self.group.settings.down_after_ms.div_ceil(1000) + LAG_SPARE_S;
        (streaming.min(set.quorum), lag_s)
    }

    /// A server that is master no longer gets back what its operator gave it.
    fn give_back(&mut self) {
        for (address, managed) in self.group.managed.clone() {
            if address == self.group.master {
                continue;
            }
            let facts = self.registry.get(&address).and_then(Instance::current);
            let forgotten = !self.group.knows(&address);
            let restarted = facts.is_some_and(|facts| facts.run_id.as_ref() != Some(&managed.run_id));
            let demoted = facts.is_some_and(|facts| facts.role == Role::Replica);
            if forgotten || restarted || (demoted && self.set_back(&address, managed.own)) {
                self.unmanage(&address);
            }
        }
    }

    fn set_back(&mut self, address: &Address, own: MinReplicas) -> bool {
        let last = self.own.min_replicas.given_back.get(address);
        if last.is_some_and(|at| self.now.since(*at) < GIVE_BACK_AGAIN) || !self.set(address, own) {
            return false;
        }
        self.own.min_replicas.given_back.insert(address.clone(), self.now);
        true
    }

    /// The lag first: a count never stands with the lag of another.
    fn set(&mut self, address: &Address, value: MinReplicas) -> bool {
        self.send(address, Request::SetMinReplicasLag { lag_s: value.lag_s })
            && self.send(address, Request::SetMinReplicas { count: value.count })
    }

    fn unmanage(&mut self, address: &Address) {
        let (group, instance) = (self.group.name.clone(), address.clone());
        self.decisions.push(Decision::Unmanage { group, instance });
    }
}

/// For events.
pub(super) fn describe(value: MinReplicas) -> String {
    format!("#to-write {} max-lag {}", value.count, value.lag_s)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(count: usize, lag_s: u64) -> MinReplicas {
        MinReplicas { count, lag_s }
    }

    #[test]
    fn an_operators_higher_value_stands_and_a_lower_one_is_raised() {
        for (wanted, own, set) in [
            (1, pair(0, 10), pair(1, 8)),
            (1, pair(1, 5), pair(1, 5)),
            (1, pair(3, 5), pair(3, 5)),
            (2, pair(1, 5), pair(2, 5)),
            (0, pair(0, 10), pair(0, 8)),
            (0, pair(2, 10), pair(2, 10)),
        ] {
            assert_eq!(combine(wanted, 8, own), set, "{wanted} {own:?}");
        }
    }

    #[test]
    fn answers_of_another_connection_are_none() {
        let address = Address::new("h", 1);
        let text = |text: &str| Reply::Bulk(text.as_bytes().to_vec());
        let reply = Reply::Array(vec![
            text("min-replicas-max-lag"),
            text("10"),
            text("min-replicas-to-write"),
            text("2"),
        ]);
        let mut book = MinReplicasBook { of: Some((address.clone(), 3)), ..MinReplicasBook::default() };
        book.answered(&address, 2, &reply);
        assert_eq!(book.shown, None);
        book.answered(&address, 3, &Reply::Array(vec![text("min-replicas-to-write")]));
        assert_eq!((book.shown, book.refused), (None, false));
        book.answered(&address, 3, &reply);
        assert_eq!(book.shown, Some(pair(2, 10)));
        book.answered(&address, 3, &Reply::Error("NOPERM".into()));
        assert!(book.refused);
    }
}
