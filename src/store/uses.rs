//! What a keyspace remembers of the uses of its keys, and the search for those with a time: what
//! OBJECT tells and evictions choose by. Has never heard of a policy.

use super::access::{self, Tracking};
use super::entry::{Entry, NEVER};
use super::keyspace::{Keyspace, Place};
use crate::stdx::Rng;

impl Keyspace {
    /// What is remembered of uses from now on. What entries hold is taken for it until they are
    /// used again, as in Redis.
    pub fn track(&mut self, tracking: Tracking) {
        self.tracking = tracking;
    }

    pub fn tracking(&self) -> Tracking {
        self.tracking
    }

    pub(super) fn loaded_s(&self) -> u32 {
        self.loaded_s
    }

    /// Seconds since a key was used; `None` while frequencies are counted.
    pub fn idle_s(&self, place: Place, now_s: u32) -> Option<u32> {
        let entry = self.at(place)?;
        (self.tracking == Tracking::Recency).then(|| access::idle_s(entry.access_or(self.loaded_s), now_s))
    }

    /// The counter of a key's uses; `None` while recency is noted.
    pub fn frequency(&self, place: Place, now_s: u32) -> Option<u8> {
        let Tracking::Frequency(lfu) = self.tracking else { return None };
        let fresh = access::stamp(self.loaded_s, access::FRESH);
        Some(access::count(self.at(place)?.access_or(fresh), now_s, lfu))
    }

    /// As RESTORE sets them; what does not fit the tracking in force is left.
    pub fn set_access(&mut self, place: Place, now_s: u32, idle_s: Option<u32>, frequency: Option<u8>) {
        let access = match (self.tracking, idle_s, frequency) {
            (Tracking::Recency, Some(idle_s), _) => {
                access::recent(now_s.saturating_sub(idle_s.min(access::IDLE_MAX_S)))
            }
            (Tracking::Frequency(_), _, Some(count)) => access::stamp(now_s, count).max(1),
            _ => return,
        };
        if let Some(entry) = self.dbs[place.db].table.at_mut(place.spot) {
            entry.set_access(access);
        }
    }

    pub(super) fn table(&self, db: usize) -> &super::keyspace::DbTable {
        &self.dbs[db].table
    }

    /// The next key with a time, in the order of the tables, from where the last search ended.
    pub(super) fn next_volatile(&mut self, db: usize, rng: &mut Rng) -> Option<&Entry> {
        let table = &mut self.dbs[db].table;
        let segments = table.segment_count();
        for step in 0..=segments {
            let number = (self.volatile_walk[db] + step) % segments;
            let segment = table.segment_mut(number);
            if segment.mark.earliest_expire_ms == NEVER {
                continue;
            }
            let start = rng.usize(..segment.len().max(1));
            let entries = segment.iter().enumerate().filter(|(_, entry)| entry.has_expire());
            // From a random one on, so that keys beside each other do not all go together.
            let found = entries.map(|(at, _)| at).min_by_key(|&at| (at < start, at));
            match found {
                Some(at) => {
                    self.volatile_walk[db] = number + 1;
                    return table.segment(number).get(at);
                }
                None => segment.mark.earliest_expire_ms = NEVER,
            }
        }
        None
    }

    /// About what the tables of keys take, without keys and values that lie elsewhere.
    pub fn table_bytes(&self, db: usize) -> usize {
        let table = &self.dbs[db].table;
        table.segment_count() * 1024 + table.len() * size_of::<Entry>()
    }
}
