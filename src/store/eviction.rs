//! Which key goes when memory is short: a few keys are looked at, and the best of all that were looked
//! at lately goes. Approximations as Redis makes them, for the exact order would cost memory in every
//! key. Chance is handed in; has never heard of bytes, limits or commands.

use super::access::{self, Tracking};
use super::bytes::SmallBytes;
use super::entry::{Entry, NEVER};
use super::keyspace::{DATABASES, Keyspace};
use crate::stdx::Rng;

/// Candidates remembered from one choice to the next.
const POOL_MAX: usize = 16;
/// Keys looked at for one with a time, before they are searched for in order.
const TRIES: usize = 64;

/// `maxmemory-policy`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    #[default]
    NoEviction,
    AllKeysLru,
    AllKeysLfu,
    AllKeysRandom,
    VolatileLru,
    VolatileLfu,
    VolatileRandom,
    VolatileTtl,
}

impl Policy {
    /// Only keys with a time may go.
    pub fn is_volatile(self) -> bool {
        use Policy::{VolatileLfu, VolatileLru, VolatileRandom, VolatileTtl};
        matches!(self, VolatileLru | VolatileLfu | VolatileRandom | VolatileTtl)
    }

    pub fn is_lfu(self) -> bool {
        matches!(self, Policy::AllKeysLfu | Policy::VolatileLfu)
    }

    fn is_random(self) -> bool {
        matches!(self, Policy::AllKeysRandom | Policy::VolatileRandom)
    }
}

#[derive(Clone, Debug)]
struct Candidate {
    /// The higher, the sooner it goes.
    score: u64,
    db: usize,
    key: SmallBytes,
}

/// The best candidates seen so far; what became of them meanwhile is looked at when they are chosen.
#[derive(Clone, Debug, Default)]
pub struct Pool {
    /// Rising.
    candidates: Vec<Candidate>,
    /// Where a random choice goes on.
    next_db: usize,
}

impl Pool {
    /// Other rules hold now: the scores mean nothing any more.
    pub fn forget(&mut self) {
        self.candidates.clear();
    }

    fn offer(&mut self, score: u64, db: usize, key: &[u8]) {
        let full = self.candidates.len() >= POOL_MAX;
        let place = self.candidates.partition_point(|one| one.score < score);
        if full && place == 0 {
            return;
        }
        if self.candidates.iter().any(|one| one.db == db && *one.key == *key) {
            return;
        }
        self.candidates.insert(place, Candidate { score, db, key: SmallBytes::new(key) });
        if full {
            self.candidates.remove(0);
        }
    }
}

impl Keyspace {
    /// The key that is to go, with its database; `None` when no key may.
    pub fn choose_victim(
        &mut self,
        policy: Policy,
        samples: usize,
        now_ms: u64,
        pool: &mut Pool,
        rng: &mut Rng,
    ) -> Option<(usize, SmallBytes)> {
        if policy == Policy::NoEviction {
            return None;
        }
        let volatile = policy.is_volatile();
        if policy.is_random() {
            for step in 0..DATABASES {
                let db = (pool.next_db + step) % DATABASES;
                if let Some(entry) = self.sample(db, volatile, rng) {
                    pool.next_db = db + 1;
                    return Some((db, SmallBytes::new(entry.key())));
                }
            }
            return None;
        }
        for _ in 0..TRIES {
            let mut seen = false;
            for db in 0..DATABASES {
                for _ in 0..samples.max(1) {
                    let (tracking, loaded_s) = (self.tracking(), self.loaded_s());
                    let Some(entry) = self.sample(db, volatile, rng) else { break };
                    seen = true;
                    pool.offer(score(policy, entry, tracking, loaded_s, now_ms), db, entry.key());
                }
            }
            if !seen {
                return None;
            }
            while let Some(best) = pool.candidates.pop() {
                let there = self.entry(best.db, &best.key);
                if there.is_some_and(|entry| !volatile || entry.expire_at_ms().is_some()) {
                    return Some((best.db, best.key));
                }
            }
        }
        None
    }

    /// Some key that may go.
    fn sample(&mut self, db: usize, volatile: bool, rng: &mut Rng) -> Option<&Entry> {
        if !volatile {
            return self.random(db, rng);
        }
        let (with_time, all) = (self.expires_len(db), self.len(db));
        if with_time == 0 {
            return None;
        }
        // Where one in a hundred has a time, luck finds it sooner than a walk.
        if with_time > all / 100 {
            for _ in 0..TRIES {
                let found = self.table(db).random_spot(rng)?;
                if self.table(db).at(found).is_some_and(|entry| entry.expire_at_ms().is_some()) {
                    return self.table(db).at(found);
                }
            }
        }
        self.next_volatile(db, rng)
    }
}

fn score(policy: Policy, entry: &Entry, tracking: Tracking, loaded_s: u32, now_ms: u64) -> u64 {
    if policy == Policy::VolatileTtl {
        return NEVER - entry.expire_or_never_ms();
    }
    let now_s = (now_ms / 1000) as u32;
    match tracking {
        Tracking::Recency => u64::from(access::idle_s(entry.access_or(loaded_s), now_s)),
        Tracking::Frequency(lfu) => {
            let fresh = access::stamp(loaded_s, access::FRESH);
            255 - u64::from(access::count(entry.access_or(fresh), now_s, lfu))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::access::Lfu;
    use super::*;
    use crate::stdx::Rng;
    use crate::store::{Str, Value};
    use proptest::prelude::*;

    fn value() -> Value {
        Value::Str(Str::new(b"x"))
    }

    /// Keys named by when they were last used; the next ones to go.
    fn victims(policy: Policy, keys: u32, count: usize) -> Vec<u32> {
        let (mut keyspace, mut pool, mut rng) = (Keyspace::new(5), Pool::default(), Rng::with_seed(9));
        for n in 1..=keys {
            keyspace.set_clock(n);
            let expire = policy.is_volatile().then(|| u64::from(n) * 1_000_000_000);
            keyspace.insert(n as usize % 2, format!("{n}").as_bytes(), value(), expire);
        }
        let mut gone = Vec::new();
        for _ in 0..count {
            let now_ms = u64::from(keys) * 1000;
            let Some((db, key)) = keyspace.choose_victim(policy, 5, now_ms, &mut pool, &mut rng) else {
                break;
            };
            assert!(keyspace.remove(db, &key).is_some(), "what is chosen is there");
            gone.push(String::from_utf8_lossy(&key).parse().unwrap());
        }
        gone
    }

    #[test]
    fn the_longest_unused_go_first_and_the_newest_stay() {
        for policy in [Policy::AllKeysLru, Policy::VolatileLru, Policy::VolatileTtl] {
            let gone = victims(policy, 4000, 1000);
            assert_eq!(gone.len(), 1000);
            let old = gone.iter().filter(|&&n| n <= 2000).count();
            // Five samples and a pool find the older half nearly always.
            assert!(old >= 970, "{policy:?}: {old}");
        }
        let gone = victims(Policy::AllKeysRandom, 4000, 1000);
        let old = gone.iter().filter(|&&n| n <= 2000).count();
        assert!((400..600).contains(&old), "{old}");
    }

    #[test]
    fn all_that_may_go_is_found_and_nothing_else() {
        for policy in [
            Policy::AllKeysLru,
            Policy::AllKeysRandom,
            Policy::VolatileLru,
            Policy::VolatileRandom,
            Policy::VolatileTtl,
        ] {
            let mut gone = victims(policy, 700, 10_000);
            gone.sort_unstable();
            assert_eq!(gone, (1..=700).collect::<Vec<u32>>(), "{policy:?}");
        }
        assert!(victims(Policy::NoEviction, 10, 10).is_empty());
    }

    #[test]
    fn one_key_with_a_time_among_many_is_found() {
        for policy in [Policy::VolatileLru, Policy::VolatileRandom] {
            let (mut keyspace, mut pool, mut rng) = (Keyspace::new(5), Pool::default(), Rng::with_seed(9));
            for n in 0..5000u32 {
                keyspace.insert(3, format!("{n}").as_bytes(), value(), (n == 77).then_some(1 << 50));
            }
            let mut choose =
                |keyspace: &mut Keyspace| keyspace.choose_victim(policy, 5, 0, &mut pool, &mut rng);
            assert_eq!(choose(&mut keyspace), Some((3, SmallBytes::new(b"77"))));
            keyspace.remove(3, b"77");
            assert_eq!(choose(&mut keyspace), None);
        }
    }

    #[test]
    fn the_often_used_stay() {
        let (mut keyspace, mut pool, mut rng) = (Keyspace::new(5), Pool::default(), Rng::with_seed(9));
        keyspace.track(Tracking::Frequency(Lfu::default()));
        for n in 0..1000u32 {
            let key = format!("{n}");
            keyspace.insert(0, key.as_bytes(), value(), None);
            for _ in 0..if n < 100 { 200 } else { 0 } {
                keyspace.touch(keyspace.locate(0, key.as_bytes()), 0);
            }
        }
        for _ in 0..850 {
            let (db, key) = keyspace.choose_victim(Policy::AllKeysLfu, 5, 0, &mut pool, &mut rng).unwrap();
            keyspace.remove(db, &key);
        }
        let kept = (0..100u32).filter(|n| keyspace.get(0, format!("{n}").as_bytes()).is_some()).count();
        assert!(kept >= 97, "{kept}");
    }

    proptest! {
        /// Against a plain list: the pool holds the highest scores offered, rising.
        #[test]
        fn the_pool_holds_the_best(offers in proptest::collection::vec(0u64..1000, 0..200)) {
            let mut pool = Pool::default();
            for (n, &score) in offers.iter().enumerate() {
                pool.offer(score, 0, format!("{n}").as_bytes());
            }
            let held: Vec<u64> = pool.candidates.iter().map(|one| one.score).collect();
            let mut best = offers.clone();
            best.sort_unstable();
            let best = best.split_off(best.len().saturating_sub(POOL_MAX));
            prop_assert_eq!(held, best);
        }
    }
}
