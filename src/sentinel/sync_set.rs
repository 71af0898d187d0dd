//! Which replicas count for WAIT and for promotion. A replica is admitted once it caught up, and
//! leaves when it is gone for down-after; an older version of the set stops counting only after
//! whatever it promised is held by enough members of the new one (see `ledger::Group::promotion_rule`).

use super::decision::Decision;
use super::lead::Work;
use super::subjective;
use crate::model::{Address, Offset, RunId};
use crate::stdx::time::{Duration, Instant};
use std::collections::BTreeMap;

/// Versions that may wait to be settled at once.
const OPEN_MAX: usize = 4;

/// What this leader knows about the newest version's way to being settled.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Settling {
    version: u64,
    /// Since when the master counts by it.
    taken_at: Option<Instant>,
    /// The master's offset after that.
    offset: Option<Offset>,
}

impl Work<'_> {
    pub(super) fn keep_sync_set(&mut self) {
        if self.group.confirm || !self.master_is_sound() {
            return;
        }
        if self.group.sets.len() > 1 {
            self.settle();
        }
        if self.group.sets.len() >= OPEN_MAX {
            return;
        }
        let members = self.wanted_members();
        let set = self.group.sync_set();
        // Between a promotion and the first admissions the set may be empty; n stays what it was.
        let quorum = self.group.wanted_quorum();
        if members != set.members || quorum != set.quorum {
            self.decisions.push(Decision::SyncSet {
                group: self.group.name.clone(),
                epoch: self.group.epoch,
                version: set.version + 1,
                quorum,
                members,
            });
        }
    }

    fn wanted_members(&mut self) -> BTreeMap<Address, RunId> {
        let current = &self.group.sync_set().members;
        let down_after = self.group.settings.down_after();
        let mut wanted = BTreeMap::new();
        for address in &self.group.replicas {
            let Some(replica) = self.registry.get(address) else { continue };
            let member = current.get(address);
            let facts = replica.current();
            let run_id = facts.and_then(|facts| facts.run_id.clone());
            let following = facts.is_some_and(|facts| {
                facts.link_up
                    && !facts.syncing
                    && !facts.loading
                    && facts.follows(&self.group.master)
                    && facts.history == self.group.history
                    && facts.bundled.as_ref().is_none_or(|b| b.synced && b.epoch >= self.group.epoch)
            });
            match member {
                Some(member) => {
                    if run_id.as_ref().is_some_and(|run_id| run_id != member) {
                        // Another process: it may have forgotten what it acknowledged.
                        continue;
                    }
                    let bad_since = &mut self.own.bad_since;
                    if following && !subjective::suspect(replica, self.group, self.now) {
                        bad_since.remove(address);
                    } else {
                        let since = *bad_since.entry(address.clone()).or_insert(self.now);
                        if self.now.since(since) > down_after {
                            continue;
                        }
                        self.next = self.next.min(since + down_after + Duration::from_millis(1));
                    }
                    wanted.insert(address.clone(), member.clone());
                }
                None => {
                    self.own.bad_since.remove(address);
                    let (Some(facts), Some(run_id)) = (facts, run_id) else { continue };
                    let well = following && !subjective::suspect(replica, self.group, self.now);
                    if well && self.caught_up(facts.asked_at, facts.offset) {
                        wanted.insert(address.clone(), run_id);
                    }
                }
            }
        }
        wanted
    }

    /// It holds what the master had when the master was asked, and that was before.
    pub(super) fn caught_up(&self, asked_at: Instant, offset: Offset) -> bool {
        let master = self.registry.get(&self.group.master).and_then(|master| master.current());
        let earlier = [master.map(|facts| (facts.asked_at, facts.offset)), self.own.master_sample];
        let recent = |at: Instant| at <= asked_at && asked_at.since(at) < Duration::from_secs(3);
        earlier.into_iter().flatten().any(|(at, had)| recent(at) && offset >= had)
    }

    fn settle(&mut self) {
        let set = self.group.sync_set();
        if self.bugs.sets_settle_at_once {
            let (group, version) = (self.group.name.clone(), set.version);
            return self.decisions.push(Decision::SyncSetSettled { group, version });
        }
        if self.own.settling.version != set.version {
            self.own.settling = Settling { version: set.version, ..Settling::default() };
        }
        let taken_at = if self.group.bundled {
            self.own.lease.taken.filter(|(version, _)| *version >= set.version).map(|(_, at)| at)
        } else {
            // Stock masters count whoever is connected; from now on that is our set.
            Some(self.own.settling.taken_at.unwrap_or(self.now))
        };
        let settling = &mut self.own.settling;
        settling.taken_at = settling.taken_at.or(taken_at);
        let Some(taken_at) = settling.taken_at else { return };
        let sample = |address: &Address| {
            self.registry
                .get(address)
                .and_then(|i| i.since(taken_at))
                .map(|facts| (facts.offset, facts.history.clone()))
        };
        if settling.offset.is_none() {
            settling.offset = sample(&self.group.master).map(|(offset, _)| offset);
        }
        let Some(needed_offset) = settling.offset else { return };
        let holding = set
            .members
            .keys()
            .filter(|a| sample(a).is_some_and(|(o, h)| o >= needed_offset && h == self.group.history))
            .count();
        if holding >= set.quorum.min(set.members.len()) {
            self.decisions
                .push(Decision::SyncSetSettled { group: self.group.name.clone(), version: set.version });
        }
    }
}
