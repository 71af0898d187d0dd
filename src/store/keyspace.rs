//! Sixteen databases of named values with times.
//!
//! Promises: every change of a value goes through [`Keyspace::value_mut`], [`Keyspace::insert_at`]
//! or [`Keyspace::remove_at`], and these let a running snapshot write the segment first; one lookup
//! hashes its key once ([`Keyspace::locate`]); nothing here takes time with the size of the data
//! set. Knows times only as numbers handed in; has never heard of a command.

use super::access::{self, Tracking};
use super::entry::{Entry, NEVER};
use super::garbage::{Content, Counters, Garbage, Lazy};
use super::limits::Limits;
use super::seed::HashSeed;
use super::snapshot::{Early, Snapshot, SnapshotSink};
use super::table::{Spot, Table};
use super::value::Value;
use crate::stdx::Rng;
use std::sync::Arc;

pub const DATABASES: usize = 16;

/// What the keyspace remembers of a segment.
#[derive(Clone)]
pub(super) struct Mark {
    /// The last snapshot that has it.
    pub(super) generation: u32,
    /// Nothing in it expires earlier; may be too early, never too late.
    pub(super) earliest_expire_ms: u64,
    /// Of a segment that the running snapshot has not reached: who was written out before being changed.
    pub(super) early: Option<Box<Early>>,
}

impl Default for Mark {
    fn default() -> Self {
        Mark { generation: 0, earliest_expire_ms: NEVER, early: None }
    }
}

pub(super) type DbTable = Table<Entry, Mark>;

pub(super) struct Db {
    pub(super) table: DbTable,
    /// Keys with a time.
    expires: usize,
    /// Its number when the running snapshot began.
    image_db: usize,
}

/// Where a key is, or would be. Good until the keyspace next changes; a stale one is answered as
/// if another key had been asked for, never with a panic.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    pub(super) db: usize,
    pub(super) spot: Spot,
}

impl Place {
    pub fn is_found(self) -> bool {
        self.spot.bucket.is_some()
    }

    pub fn db(self) -> usize {
        self.db
    }
}

pub struct Keyspace {
    pub(super) dbs: Vec<Db>,
    seed: HashSeed,
    snapshot: Option<Snapshot>,
    generation: u32,
    /// Where the expiry walk stands: database and segment.
    expire_walk: (usize, usize),
    /// What new keys are stamped with; see [`Keyspace::touch`].
    clock_s: u32,
    pub(super) tracking: Tracking,
    /// For the counters of [`Tracking::Frequency`].
    chance: Rng,
    /// When this data set was loaded: keys not used since count as used then.
    pub(super) loaded_s: u32,
    /// Where the search for keys with a time goes on, by database.
    pub(super) volatile_walk: [usize; DATABASES],
    /// Deleted, and to be freed by whoever takes it.
    pub(super) garbage: Vec<Garbage>,
    pub(super) counters: Arc<Counters>,
    /// What goes into the garbage when it is heavy.
    pub lazy: Lazy,
}

impl Keyspace {
    /// `seed` must be secret where strangers choose keys.
    pub fn new(seed: u64) -> Self {
        let chance = Rng::with_seed(seed);
        let seed = HashSeed::new(seed);
        let dbs = (0..DATABASES)
            .map(|db| Db { table: Table::new(seed.clone()), expires: 0, image_db: db })
            .collect();
        Keyspace {
            dbs,
            seed,
            snapshot: None,
            generation: 0,
            expire_walk: (0, 0),
            clock_s: 0,
            tracking: Tracking::Recency,
            chance,
            loaded_s: 0,
            volatile_walk: [0; DATABASES],
            garbage: Vec::new(),
            counters: Arc::default(),
            lazy: Lazy::default(),
        }
    }

    /// The rules of the one that is replaced by this one, which was loaded just now.
    pub fn inherit(&mut self, old: &Keyspace, now_s: u32) {
        self.tracking = old.tracking;
        self.lazy = old.lazy;
        self.counters = old.counters.clone();
        self.set_limits(old.limits());
        (self.clock_s, self.loaded_s) = (now_s, now_s);
    }

    /// Up to where collections stay small; counts for the next write of each.
    pub fn set_limits(&mut self, limits: Limits) {
        self.seed.limits().set(limits);
    }

    pub fn limits(&self) -> Limits {
        self.seed.limits().get()
    }

    /// For the making of hashes, sets and sorted sets.
    pub fn seed(&self) -> &HashSeed {
        &self.seed
    }

    // Looking.

    #[inline]
    pub fn locate(&self, db: usize, key: &[u8]) -> Place {
        Place { db, spot: self.dbs[db].table.locate(key) }
    }

    #[inline]
    pub fn at(&self, place: Place) -> Option<&Entry> {
        self.dbs[place.db].table.at(place.spot)
    }

    /// The value as it stands, expired or not.
    pub fn get(&self, db: usize, key: &[u8]) -> Option<&Value> {
        self.at(self.locate(db, key)).map(Entry::value)
    }

    pub fn entry(&self, db: usize, key: &[u8]) -> Option<&Entry> {
        self.at(self.locate(db, key))
    }

    pub fn len(&self, db: usize) -> usize {
        self.dbs[db].table.len()
    }

    pub fn is_empty(&self) -> bool {
        self.dbs.iter().all(|db| db.table.is_empty())
    }

    /// Keys of all databases.
    pub fn total_len(&self) -> usize {
        self.dbs.iter().map(|db| db.table.len()).sum()
    }

    /// Keys with a time.
    pub fn expires_len(&self, db: usize) -> usize {
        self.dbs[db].expires
    }

    pub fn iter(&self, db: usize) -> impl Iterator<Item = &Entry> {
        self.dbs[db].table.iter()
    }

    /// About `count` entries from `cursor` on; the next cursor, 0 at the end. Whatever stays from
    /// begin to end is visited.
    pub fn scan(&self, db: usize, cursor: u64, count: usize, visit: impl FnMut(&Entry)) -> u64 {
        self.dbs[db].table.scan(cursor, count, visit)
    }

    pub fn random(&self, db: usize, rng: &mut Rng) -> Option<&Entry> {
        self.dbs[db].table.random(rng)
    }

    /// Notes a use, for idle times and eviction. No change in the sense of a snapshot.
    #[inline]
    pub fn touch(&mut self, place: Place, now_s: u32) {
        if let Some(entry) = self.dbs[place.db].table.at_mut(place.spot) {
            entry.set_access(match self.tracking {
                Tracking::Recency => access::recent(now_s),
                Tracking::Frequency(lfu) => {
                    let fresh = access::stamp(self.loaded_s, access::FRESH);
                    access::bump(entry.access_or(fresh), now_s, lfu, &mut self.chance)
                }
            });
        }
    }

    /// The time that new keys count as used at.
    #[inline]
    pub fn set_clock(&mut self, now_s: u32) {
        self.clock_s = now_s;
    }

    // Changing. Every way in goes past one of these.

    /// Entries come or go: a running snapshot takes the whole segment first.
    #[inline]
    fn before_move(&mut self, place: Place) {
        if let Some(snapshot) = &mut self.snapshot {
            let db = &mut self.dbs[place.db];
            snapshot.write_segment(db.image_db, &mut db.table, place.spot.segment);
        }
    }

    /// One entry changes where it stands: a running snapshot takes that one first.
    #[inline]
    fn before_change(&mut self, place: Place) {
        if let (Some(snapshot), Some(bucket)) = (&mut self.snapshot, place.spot.bucket) {
            let db = &mut self.dbs[place.db];
            snapshot.write_early(db.image_db, &mut db.table, place.spot.segment, bucket);
        }
    }

    #[inline]
    pub fn value_mut(&mut self, place: Place) -> Option<&mut Value> {
        self.before_change(place);
        self.dbs[place.db].table.at_mut(place.spot).map(|entry| &mut entry.value)
    }

    /// The same, with what collections are made and grown by.
    #[inline]
    pub fn value_and_seed_mut(&mut self, place: Place) -> Option<(&mut Value, &HashSeed)> {
        self.before_change(place);
        let entry = self.dbs[place.db].table.at_mut(place.spot)?;
        Some((&mut entry.value, &self.seed))
    }

    pub fn get_mut(&mut self, db: usize, key: &[u8]) -> Option<&mut Value> {
        self.value_mut(self.locate(db, key))
    }

    fn fresh_access(&self) -> u32 {
        match self.tracking {
            Tracking::Recency => access::recent(self.clock_s),
            Tracking::Frequency(_) => access::stamp(self.clock_s, access::FRESH),
        }
    }

    /// Puts a key where [`Keyspace::locate`] found none; where it is now.
    pub fn insert_at(&mut self, place: Place, key: &[u8], value: Value, expire_at_ms: Option<u64>) -> Place {
        debug_assert!(!place.is_found());
        self.before_move(place);
        let expire_at_ms = expire_at_ms.unwrap_or(NEVER);
        let entry = Entry::new(key, value, expire_at_ms, self.fresh_access());
        let db = &mut self.dbs[place.db];
        let spot = db.table.insert_at(place.spot, entry);
        if expire_at_ms != NEVER {
            db.expires += 1;
            let mark = &mut db.table.segment_mut(spot.segment).mark;
            mark.earliest_expire_ms = mark.earliest_expire_ms.min(expire_at_ms);
        }
        Place { db: place.db, spot }
    }

    /// Inserts or replaces a key, its value and its time.
    pub fn insert(
        &mut self,
        db: usize,
        key: &[u8],
        value: Value,
        expire_at_ms: Option<u64>,
    ) -> Option<Value> {
        let place = self.locate(db, key);
        let Some(old) = self.value_mut(place) else {
            self.insert_at(place, key, value, expire_at_ms);
            return None;
        };
        let old = std::mem::replace(old, value);
        self.set_expire(place, expire_at_ms);
        Some(old)
    }

    /// As [`Keyspace::insert`], for the loaders of RDB files and full syncs.
    pub fn insert_loaded(&mut self, db: usize, key: &[u8], value: Value, expire_at_ms: Option<u64>) {
        self.insert(db, key, value, expire_at_ms);
    }

    /// Whether a time was changed or taken away.
    pub fn set_expire(&mut self, place: Place, expire_at_ms: Option<u64>) -> bool {
        let at_ms = expire_at_ms.unwrap_or(NEVER);
        if self.at(place).is_none_or(|entry| entry.expire_or_never_ms() == at_ms) {
            return false;
        }
        self.before_change(place);
        let db = &mut self.dbs[place.db];
        let Some(entry) = db.table.at_mut(place.spot) else { return false };
        let had = entry.has_expire();
        entry.set_expire(at_ms);
        match (had, at_ms != NEVER) {
            (false, true) => db.expires += 1,
            (true, false) => db.expires -= 1,
            _ => {}
        }
        let mark = &mut db.table.segment_mut(place.spot.segment).mark;
        mark.earliest_expire_ms = mark.earliest_expire_ms.min(at_ms);
        true
    }

    /// Removes a key; its value and time.
    pub fn remove_at(&mut self, place: Place) -> Option<(Value, Option<u64>)> {
        if !place.is_found() {
            return None;
        }
        self.before_move(place);
        let db = &mut self.dbs[place.db];
        let entry = db.table.remove_at(place.spot)?;
        db.expires -= usize::from(entry.has_expire());
        let expire_at_ms = entry.expire_at_ms();
        Some((entry.into_value(), expire_at_ms))
    }

    pub fn remove(&mut self, db: usize, key: &[u8]) -> Option<Value> {
        self.remove_at(self.locate(db, key)).map(|(value, _)| value)
    }

    /// Empties a database; how many keys it had. A running snapshot keeps what it still needs of
    /// it, so its image stays right; the rest is garbage.
    pub fn clear(&mut self, db: usize) -> usize {
        let old = std::mem::replace(&mut self.dbs[db].table, Table::new(self.seed.clone()));
        let removed = old.len();
        let image_db = self.dbs[db].image_db;
        self.dbs[db].expires = 0;
        self.discard(image_db, old);
        self.mark_written(db);
        removed
    }

    pub fn clear_all(&mut self) -> usize {
        (0..DATABASES).map(|db| self.clear(db)).sum()
    }

    fn discard(&mut self, image_db: usize, table: DbTable) {
        match &mut self.snapshot {
            Some(snapshot) => snapshot.detached.push((image_db, table)),
            None if table.is_empty() => {}
            None => self.garbage.push(Garbage::new(Content::Table(table), &self.counters)),
        }
    }

    /// What came after the begin of a snapshot is no part of it.
    fn mark_written(&mut self, db: usize) {
        if self.snapshot.is_some() {
            let table = &mut self.dbs[db].table;
            for segment in 0..table.segment_count() {
                table.segment_mut(segment).mark.generation = self.generation;
            }
        }
    }

    pub fn swap_dbs(&mut self, a: usize, b: usize) {
        self.dbs.swap(a, b);
        // The walk must not pass over one that moved behind it; what is written it skips anyway.
        if let Some(snapshot) = &mut self.snapshot {
            (snapshot.db, snapshot.segment) = (0, 0);
        }
    }

    /// Takes over all data of another keyspace (a replica's full sync). A running snapshot goes on
    /// and gets the old data.
    pub fn replace_data(&mut self, other: Keyspace) {
        let Keyspace { dbs, seed, mut garbage, .. } = other;
        let old = std::mem::replace(&mut self.dbs, dbs);
        seed.limits().set(self.limits());
        self.seed = seed;
        self.loaded_s = self.clock_s;
        self.garbage.append(&mut garbage);
        for (db, old) in old.into_iter().enumerate() {
            self.discard(old.image_db, old.table);
            self.dbs[db].image_db = db;
            // Marks of another keyspace's snapshots mean nothing here.
            let generation = self.generation;
            let table = &mut self.dbs[db].table;
            for segment in 0..table.segment_count() {
                table.segment_mut(segment).mark.generation = generation;
            }
        }
        if !self.lazy.resynced {
            self.garbage.clear();
        }
    }

    /// Removes keys past their time, looking at no more than about `budget` entries, and goes on
    /// next time where it stopped.
    pub fn expire_some(&mut self, now_ms: u64, budget: usize) -> Vec<(usize, Box<[u8]>)> {
        let mut gone = Vec::new();
        let mut left = budget;
        let segments: usize = self.dbs.iter().map(|db| db.table.segment_count()).sum();
        let (mut db, mut segment) = self.expire_walk;
        for _ in 0..=segments + DATABASES {
            if left == 0 {
                break;
            }
            let table = &self.dbs[db].table;
            if segment >= table.segment_count() || self.dbs[db].expires == 0 {
                (db, segment) = ((db + 1) % DATABASES, 0);
                continue;
            }
            let slice = table.segment(segment);
            if slice.mark.earliest_expire_ms < now_ms {
                left = left.saturating_sub(slice.len());
                let expired = slice.iter().filter(|entry| entry.is_expired(now_ms));
                let expired: Vec<Box<[u8]>> = expired.map(|entry| entry.key().into()).collect();
                let staying = slice.iter().filter(|entry| !entry.is_expired(now_ms));
                let earliest = staying.map(Entry::expire_or_never_ms).min().unwrap_or(NEVER);
                self.dbs[db].table.segment_mut(segment).mark.earliest_expire_ms = earliest;
                for key in expired {
                    let value = self.remove(db, &key);
                    if let Some(value) = value.filter(|_| self.lazy.expired) {
                        self.discard_value(value);
                    }
                    gone.push((db, key));
                }
            }
            segment += 1;
        }
        self.expire_walk = (db, segment);
        gone
    }

    // Snapshots.

    /// Begins a snapshot of this moment; false when one is running (share it or wait).
    pub fn begin_snapshot(&mut self, sink: Box<dyn SnapshotSink>) -> bool {
        if self.snapshot.is_some() {
            return false;
        }
        self.generation = self.generation.wrapping_add(1);
        for (number, db) in self.dbs.iter_mut().enumerate() {
            db.image_db = number;
        }
        let generation = self.generation;
        self.snapshot = Some(Snapshot { sink, generation, db: 0, segment: 0, detached: Vec::new() });
        true
    }

    pub fn is_snapshot_running(&self) -> bool {
        self.snapshot.is_some()
    }

    /// Writes about `budget_entries` more, or until the sink is full; whether all is written. True when none
    /// is running.
    pub fn step_snapshot(&mut self, budget_entries: usize) -> bool {
        let Some(snapshot) = &mut self.snapshot else { return true };
        let mut left = budget_entries.max(1);
        while snapshot.db < DATABASES {
            let db = &mut self.dbs[snapshot.db];
            // Segments that come up meanwhile stand behind, and are written already.
            if snapshot.segment >= db.table.segment_count() {
                (snapshot.db, snapshot.segment) = (snapshot.db + 1, 0);
                continue;
            }
            if left == 0 {
                return false;
            }
            let segment = snapshot.segment;
            let written = snapshot.write_segment(db.image_db, &mut db.table, segment);
            left = if snapshot.sink.is_full() { 0 } else { left.saturating_sub(written) };
            snapshot.segment += 1;
        }
        left > 0 && snapshot.write_detached(&mut left)
    }

    /// The sink of the running snapshot, to be drained between steps.
    pub fn snapshot_sink(&mut self) -> Option<&mut dyn SnapshotSink> {
        self.snapshot.as_mut().map(|snapshot| &mut *snapshot.sink)
    }

    /// Ends the snapshot, done or not, and gives back its sink (`Box<dyn Any>` by upcast).
    pub fn take_snapshot_sink(&mut self) -> Option<Box<dyn SnapshotSink>> {
        let snapshot = self.snapshot.take()?;
        for (_, table) in snapshot.detached {
            self.garbage.push(Garbage::new(Content::Table(table), &self.counters));
        }
        Some(snapshot.sink)
    }
}
