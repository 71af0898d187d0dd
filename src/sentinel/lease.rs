//! The leases this leader gave one master, and when the last of them must have run out.
//!
//! A lease counts from the master's own stamp, which this side holds since it *received* it; and it
//! is never longer than what is left of a lease's length since a majority last confirmed this
//! leader. So whoever leads next only has to wait one length from its own election.

use super::lead::Work;
use super::ledger::Phase;
use super::relay::Path;
use super::request::Request;
use crate::model::{Address, Epoch, NodeId};
use crate::resp::Reply;
use crate::stdx::time::{Duration, Instant};

/// A grant counts from the stamp of the answer before it, so a quarter of the lease may be missed twice.
pub(super) const RENEWALS_PER_LEASE: u32 = 4;
/// Where all is well and the replicas vouch too, their word carries a master over a renewal that is missed:
/// then the next one need only come before the grant of the last has run out, and not twice.
fn relaxed(lease: Duration) -> Duration {
    lease * 9 / 20
}

#[derive(Debug)]
pub(super) struct LeaseBook {
    /// The master's newest stamp and when it came.
    stamp: Option<(u64, Instant)>,
    /// Whose it is, and by which way it came: a stamp means nothing to any other clock.
    pub holder: Option<(Address, Path)>,
    /// Since when this way is tried, and when an answer last came by it.
    pub path_since: Instant,
    pub heard_at: Option<Instant>,
    next_at: Instant,
    /// When everything granted so far, here or by a predecessor, has run out.
    pub end: Instant,
    /// The set version the master counts by, and since when it is known.
    pub taken: Option<(u64, Instant)>,
    pub vouched_at: Option<Instant>,
    /// The master's last answer said that its replicas vouch for it too.
    carried: bool,
}

impl LeaseBook {
    pub fn new(now: Instant) -> Self {
        LeaseBook {
            stamp: None,
            holder: None,
            path_since: now,
            heard_at: None,
            next_at: now,
            end: now,
            taken: None,
            vouched_at: None,
            carried: false,
        }
    }

    /// A new leader knows only that its predecessor's grants end within `lease`.
    pub fn new_term(&mut self, now: Instant, lease: Duration) {
        *self = LeaseBook { end: self.end.max(now + lease), ..LeaseBook::new(now) };
    }

    /// The answer to LEASE. One that comes late, from a master of before, is none. Whether it says anything
    /// that the one before did not.
    pub fn answered(&mut self, now: Instant, from: &Address, generation: u64, reply: &Reply) -> bool {
        let path = Path::Direct { generation };
        if self.holder.as_ref().is_none_or(|(address, by)| address != from || *by != path) {
            return false;
        }
        let Some(stamped) = Stamped::read(reply) else { return true };
        self.take(now, stamped)
    }

    /// The bug of old: whoever answers, by whatever way, is taken at its word.
    pub fn believe(&mut self, now: Instant, from: &Address, generation: u64, reply: &Reply) {
        if let Some((holder, _)) = &self.holder {
            let stamped = Stamped::read(reply).filter(|_| holder != from || generation > 0);
            stamped.map(|stamped| self.take(now, stamped));
        }
    }

    /// The same by way of `peer`, whose connection to the master is number `generation`.
    pub fn relayed(&mut self, now: Instant, from: &Address, peer: NodeId, generation: u64, stamped: Stamped) {
        let Some((address, Path::Via { peer: by, generation: known })) = &mut self.holder else { return };
        if address != from || *by != peer || known.is_some_and(|known| known != generation) {
            return;
        }
        *known = Some(generation);
        self.take(now, stamped);
    }

    fn take(&mut self, now: Instant, Stamped { stamp, vouched, carried, version }: Stamped) -> bool {
        let first = self.stamp.is_none();
        if first {
            self.next_at = now;
        }
        let was_vouched = self.stamp.is_some() && self.vouched_at == self.stamp.map(|(_, at)| at);
        self.heard_at = Some(now);
        self.carried = carried;
        self.stamp = Some((stamp, now));
        if vouched {
            self.vouched_at = Some(now);
        }
        let newly_taken = self.taken.is_none_or(|(known, _)| known != version);
        if newly_taken {
            self.taken = Some((version, now));
        }
        first || newly_taken || vouched != was_vouched
    }

    /// Another way: what came by the one before is not carried over.
    fn go_by(&mut self, now: Instant, holder: Address, path: Path) {
        if self.holder.as_ref().is_some_and(|(address, by)| *address == holder && *by == path) {
            return;
        }
        self.holder = Some((holder, path));
        self.path_since = now;
        self.heard_at = None;
        self.stamp = None;
        self.taken = None;
        self.carried = false;
        self.next_at = now;
    }
}

/// What a master says to a LEASE: its clock, whether it is vouched for, which set it counts by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamped {
    pub stamp: u64,
    pub vouched: bool,
    /// By its replicas too. A relay does not say: who needs one is not well.
    pub carried: bool,
    pub version: u64,
}

impl Stamped {
    /// Stamp, epoch, vouched, version.
    pub fn read(reply: &Reply) -> Option<Self> {
        let [stamp, _, vouched, version] = reply.as_array()? else { return None };
        let number = |reply: &Reply| reply.as_integer().and_then(|n| u64::try_from(n).ok());
        Some(Stamped {
            stamp: number(stamp)?,
            vouched: matches!(vouched.as_integer(), Some(1 | 2)),
            carried: vouched.as_integer() == Some(2),
            version: number(version)?,
        })
    }
}

/// Kept between this and the end of a lease before a successor may serve: two clocks may differ by
/// one part in a hundred.
pub(super) fn with_margin(length: Duration) -> Duration {
    length + length / 100 + Duration::from_millis(5)
}

impl Work<'_> {
    /// Asks a standby that is being promoted for its stamp, so that its first lease need not wait for
    /// one. It vouches for nothing: no length, no echo, no members.
    pub(super) fn ask_for_stamp(&mut self, standby: &Address, epoch: Epoch) {
        let Some(generation) = self.registry.get(standby).map(|instance| instance.generation) else { return };
        self.own.lease.go_by(self.now, standby.clone(), Path::Direct { generation });
        let request = Request::Lease {
            group: self.group.name.clone(),
            epoch,
            ttl_ms: 0,
            echo: 0,
            quorum: 0,
            version: 0,
            members: Vec::new(),
        };
        self.send(standby, request);
    }

    /// Renews the lease of a bundled master that the ledger names and that is as the ledger knows it.
    pub(super) fn grant_lease(&mut self) {
        if !self.group.bundled || self.group.confirm {
            return;
        }
        // While a planned switchover only holds writes back, the master must be able to go on.
        let reign_goes_on = self.own.conduct.as_ref().is_some_and(|c| c.planned.reign_goes_on());
        let planned =
            self.group.failover.as_ref().is_some_and(|f| f.cause.planned() && f.phase == Phase::Begun);
        if self.group.failing_over() && !(planned && reign_goes_on) {
            return;
        }
        let Some(office) = self.office else { return };
        let Some(path) = self.lease_path(office.lease) else { return };
        let book = &mut self.own.lease;
        book.go_by(self.now, self.group.master.clone(), path);
        let usual = office.lease / RENEWALS_PER_LEASE;
        let pace = match book.carried && !self.own.uneasy && !self.own.urgent {
            true => relaxed(office.lease),
            false => usual,
        };
        if pace == usual {
            // It was well when this was laid down.
            book.next_at = book.next_at.min(self.now + usual);
        }
        if book.next_at > self.now {
            self.next = self.next.min(book.next_at);
            return;
        }
        // At one moment for all groups: grants that leave together cost one wakeup, and their answers few.
        book.next_at = (self.now + pace).down_to(pace);
        self.next = self.next.min(book.next_at);
        // What is left of a lease since the majority confirmed us.
        let unconfirmed = if self.bugs.lease_never_shortened {
            Duration::ZERO
        } else {
            self.now.since(office.confirmed_at)
        };
        let length = office.lease.saturating_sub(unconfirmed);
        if length < office.lease / 4 {
            return;
        }
        let echo = book.stamp.map_or(0, |(stamp, _)| stamp);
        if let Some((_, received)) = book.stamp {
            book.end = book.end.max(received + with_margin(length));
        }
        let set = self.group.sync_set();
        let request = Request::Lease {
            group: self.group.name.clone(),
            epoch: self.group.epoch,
            ttl_ms: length.as_millis() as u64,
            echo,
            // Where a promotion need not meet every majority of the set, its members cannot vouch: the one that
            // it did not freeze could go on doing so.
            quorum: if self.group.settings.safe() { set.quorum } else { 0 },
            version: set.version,
            members: set.members.keys().cloned().collect(),
        };
        self.send_lease(path, request);
        // A PING that is due before the next renewal goes with this one.
        if let Some(master) = self.registry.get_mut(&self.group.master)
            && master.next_ping <= self.now + pace
        {
            master.next_ping = self.now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Found by the simulator: a master of before answered late, and its stamp was echoed to the next
    /// one, on whose clock it lay far in the future.
    #[test]
    fn a_stamp_counts_only_from_the_master_and_connection_that_were_asked() {
        let (now, old, new) = (Instant::from_millis(10), Address::new("h", 1), Address::new("h", 2));
        let answer = Reply::Array([900_000, 3, 1, 4].map(Reply::Integer).to_vec());
        let mut book = LeaseBook::new(now);
        book.answered(now, &old, 1, &answer);
        assert_eq!(book.stamp, None, "nobody was asked yet");
        book.holder = Some((new.clone(), Path::Direct { generation: 7 }));
        book.answered(now, &old, 7, &answer);
        book.answered(now, &new, 6, &answer);
        assert_eq!(
            (book.stamp, book.taken),
            (None, None),
            "another server's clock, or another connection's answer"
        );
        book.answered(now, &new, 7, &answer);
        assert_eq!((book.stamp, book.taken), (Some((900_000, now)), Some((4, now))));
    }

    #[test]
    fn an_answer_says_who_vouches() {
        let said = |word| Stamped::read(&Reply::Array([7, 3, word, 4].map(Reply::Integer).to_vec()));
        let of = |word| said(word).map(|stamped| (stamped.vouched, stamped.carried));
        assert_eq!([0, 1, 2].map(of), [Some((false, false)), Some((true, false)), Some((true, true))]);
    }

    #[test]
    fn a_relayed_stamp_counts_only_from_the_relay_that_was_asked_and_its_connection() {
        let (now, master) = (Instant::from_millis(10), Address::new("h", 1));
        let stamped = Stamped { stamp: 900_000, vouched: true, carried: false, version: 4 };
        let mut book = LeaseBook::new(now);
        book.go_by(now, master.clone(), Path::Via { peer: 2, generation: None });
        book.answered(now, &master, 5, &Reply::Array([900_000, 3, 1, 4].map(Reply::Integer).to_vec()));
        book.relayed(now, &master, 3, 5, stamped);
        book.relayed(now, &Address::new("h", 2), 2, 5, stamped);
        assert_eq!(book.stamp, None);
        book.relayed(now, &master, 2, 5, stamped);
        assert_eq!(book.stamp, Some((900_000, now)));
        book.relayed(now, &master, 2, 6, Stamped { stamp: 5, ..stamped });
        assert_eq!(book.stamp, Some((900_000, now)), "the relay's connection is another one");
        book.go_by(now, master, Path::Direct { generation: 5 });
        assert_eq!(book.stamp, None, "what came by one way is not echoed on another");
    }
}
