//! Under supervision: the epoch, the role a sentinel gave, and for how long this master is vouched
//! for (promises P3 and P4). The words are on docs/protocol.md, their handlers in [`commands`].
//!
//! Knows no socket and no file: what must outlive the process leaves as [`Record`] in an action,
//! and the answer goes out after it was kept.

pub mod commands;
mod drill;
pub mod record;

use crate::model::{Address, Epoch, vouching};
use crate::session::SessionId;
use crate::stdx::time::{Duration, Instant};
pub use record::{Record, Told};
use std::collections::BTreeSet;

/// Who vouches now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VouchedBy {
    Lease,
    Replicas,
    Nobody,
}

#[derive(Debug)]
pub struct Supervision {
    pub node: String,
    pub group: String,
    /// 0: never supervised.
    pub epoch: Epoch,
    pub told: Option<Told>,
    /// Started with a record: clients may have come because it was the master then.
    pub restarted: bool,
    /// The lease ends then.
    pub lease_until: Instant,
    /// What the last LEASE said.
    pub ttl: Duration,
    /// How many members of the set vouch together. 0: they do not (mode `available`, or no replica).
    pub quorum: usize,
    pub set: Vec<Address>,
    pub set_version: u64,
    /// A set was taken at this epoch.
    pub has_set: bool,
    /// Sessions that spoke VEDETTE: a change of role does not cut them off.
    pub supervisors: BTreeSet<SessionId>,
}

/// Why an order is not carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("STALEEPOCH {0}")]
    Stale(Epoch),
    #[error("NOTMASTER this server is not the master of its group")]
    NotMaster,
    #[error("WRONGGROUP this server belongs to group '{0}'; to move it, stop it and remove vedette.state")]
    OtherGroup(String),
    #[error("EPOCHTAKEN this server already has another role in epoch {0}")]
    Taken(Epoch),
}

impl Supervision {
    pub fn new(node: String) -> Self {
        Supervision {
            node,
            group: String::new(),
            epoch: 0,
            told: None,
            restarted: false,
            lease_until: Instant::ZERO,
            ttl: Duration::ZERO,
            quorum: 0,
            set: Vec::new(),
            set_version: 0,
            has_set: false,
            supervisors: BTreeSet::new(),
        }
    }

    pub fn is_supervised(&self) -> bool {
        self.epoch > 0
    }

    /// What the state file said at the start: the epoch holds, the role does not.
    pub fn restore(&mut self, record: Record) {
        self.node = record.node;
        self.group = record.group;
        self.epoch = record.epoch;
        self.told = None;
        self.restarted = true;
    }

    /// Of this group, and not of a reign that is over.
    pub fn check(&self, group: &str, epoch: Epoch) -> Result<(), Refusal> {
        if epoch < self.epoch || epoch == 0 {
            Err(Refusal::Stale(self.epoch))
        } else if !self.group.is_empty() && self.group != group {
            Err(Refusal::OtherGroup(self.group.clone()))
        } else {
            Ok(())
        }
    }

    /// Whether being told `told` at `epoch` is new and may be done; `Ok(false)`: it is so already.
    /// One epoch gives a server one role: a late repeat of the freeze that came before it, or a
    /// second promotion, changes nothing.
    pub fn check_order(&self, group: &str, epoch: Epoch, told: Told) -> Result<bool, Refusal> {
        self.check(group, epoch)?;
        if epoch > self.epoch {
            return Ok(true);
        }
        match (self.told, told) {
            (None | Some(Told::Still), _) => Ok(self.told != Some(told)),
            (Some(Told::Master), Told::Master) => Ok(false),
            // Another address may be meant: it is followed anew.
            (Some(Told::Replica), Told::Replica) => Ok(true),
            (Some(_), Told::Still) => Err(Refusal::Stale(self.epoch)),
            (Some(_), _) => Err(Refusal::Taken(self.epoch)),
        }
    }

    /// The role and the reign begin; what vouched for an earlier one is void.
    pub fn enter(&mut self, group: &str, epoch: Epoch, told: Told) {
        if epoch > self.epoch || self.told != Some(told) {
            self.lease_until = Instant::ZERO;
            self.quorum = 0;
            self.set.clear();
            self.set_version = 0;
            self.has_set = false;
        }
        self.group = group.to_owned();
        self.epoch = epoch;
        self.told = Some(told);
    }

    /// What a record would say after [`Supervision::enter`].
    pub fn record_of(&self, group: &str, epoch: Epoch, told: Told) -> Record {
        Record { node: self.node.clone(), group: group.to_owned(), epoch, told }
    }

    /// Takes a LEASE of this reign: `echo` is a stamp we gave, so a grant that waited in a socket
    /// grants from then and not from now.
    pub fn renew(&mut self, now: Instant, grant: Grant) {
        let echo = Instant::from_millis(grant.echo_ms);
        if grant.echo_ms > 0 && echo <= now {
            self.lease_until = self.lease_until.max(echo + grant.ttl);
        }
        if !self.has_set || grant.version >= self.set_version {
            self.ttl = grant.ttl;
            self.quorum = grant.quorum;
            self.set = grant.members;
            self.set_version = grant.version;
            self.has_set = true;
        }
    }

    /// Until when this master may acknowledge writes, given until when members of the set certainly
    /// followed (latest first).
    pub fn vouched_until(&self, fresh: &[Instant]) -> Instant {
        self.lease_until.max(self.by_replicas(fresh))
    }

    /// The same by the word of its replicas alone.
    pub fn by_replicas(&self, fresh: &[Instant]) -> Instant {
        self.quorum
            .checked_sub(1)
            .and_then(|last| fresh.get(last))
            .map_or(Instant::ZERO, |&moment| moment + vouching::of_replicas(self.ttl))
    }

    pub fn vouched_by(&self, now: Instant, fresh: &[Instant]) -> VouchedBy {
        if now < self.lease_until {
            VouchedBy::Lease
        } else if now < self.vouched_until(fresh) {
            VouchedBy::Replicas
        } else {
            VouchedBy::Nobody
        }
    }
}

/// The content of a LEASE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    pub ttl: Duration,
    pub echo_ms: u64,
    pub quorum: usize,
    pub version: u64,
    pub members: Vec<Address>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(echo_ms: u64, version: u64, quorum: usize) -> Grant {
        let members = vec![Address::new("127.0.0.1", 1), Address::new("127.0.0.1", 2)];
        Grant { ttl: Duration::from_millis(500), echo_ms, quorum, version, members }
    }

    fn master() -> Supervision {
        let mut state = Supervision::new("node".into());
        state.enter("orders", 3, Told::Master);
        state
    }

    #[test]
    fn a_grant_counts_from_the_stamp_it_echoes_and_never_from_its_arrival() {
        let mut state = master();
        state.renew(Instant::from_millis(10_000), grant(9_000, 1, 0));
        assert_eq!(state.lease_until, Instant::from_millis(9_500));
        assert_eq!(state.vouched_by(Instant::from_millis(10_000), &[]), VouchedBy::Nobody);
        state.renew(Instant::from_millis(10_000), grant(9_900, 1, 0));
        assert_eq!(state.vouched_by(Instant::from_millis(10_399), &[]), VouchedBy::Lease);
        assert_eq!(state.vouched_by(Instant::from_millis(10_400), &[]), VouchedBy::Nobody);
        state.renew(Instant::from_millis(10_000), grant(50_000, 1, 0));
        assert_eq!(state.lease_until, Instant::from_millis(10_400), "a stamp of the future is a lie");
        state.renew(Instant::from_millis(10_000), grant(0, 1, 0));
        assert_eq!(state.lease_until, Instant::from_millis(10_400), "the first LEASE has nothing to echo");
    }

    #[test]
    fn replicas_vouch_only_as_many_as_the_quorum_and_as_long_as_they_were_fresh() {
        let mut state = master();
        state.renew(Instant::from_millis(1), grant(0, 1, 2));
        let at = Instant::from_millis;
        assert_eq!(state.vouched_until(&[at(100)]), Instant::ZERO);
        assert_eq!(state.vouched_until(&[at(100), at(70)]), at(445));
        state.renew(at(1), grant(0, 2, 0));
        assert_eq!(state.vouched_until(&[at(100), at(70)]), Instant::ZERO);
    }

    #[test]
    fn an_older_set_does_not_replace_a_newer_one_and_a_new_reign_begins_with_none() {
        let mut state = master();
        state.renew(Instant::from_millis(10), grant(5, 7, 1));
        state.renew(Instant::from_millis(10), grant(5, 6, 2));
        assert_eq!((state.set_version, state.quorum), (7, 1));
        state.enter("orders", 4, Told::Master);
        assert_eq!((state.has_set, state.lease_until), (false, Instant::ZERO));
    }

    #[test]
    fn one_epoch_gives_one_role() {
        let mut state = Supervision::new("node".into());
        assert_eq!(state.check_order("orders", 1, Told::Still), Ok(true));
        state.enter("orders", 1, Told::Still);
        assert_eq!(state.check_order("orders", 1, Told::Still), Ok(false));
        assert_eq!(state.check_order("orders", 1, Told::Master), Ok(true));
        state.enter("orders", 1, Told::Master);
        assert_eq!(state.check_order("orders", 1, Told::Master), Ok(false));
        assert_eq!(state.check_order("orders", 1, Told::Still), Err(Refusal::Stale(1)));
        assert_eq!(state.check_order("orders", 1, Told::Replica), Err(Refusal::Taken(1)));
        assert_eq!(state.check_order("orders", 0, Told::Still), Err(Refusal::Stale(1)));
        assert_eq!(state.check_order("other", 2, Told::Still), Err(Refusal::OtherGroup("orders".into())));
        assert_eq!(state.check_order("orders", 2, Told::Still), Ok(true));
    }
}
