//! Every deadline in one list, so that the next wakeup is exact and cheap however many groups there
//! are. Has never heard of what the keys mean.

use crate::model::Address;
use crate::stdx::time::{Duration, Instant};
use std::collections::{BTreeMap, BTreeSet};

/// What need not be exact is due on multiples of this, together.
pub(super) const GRID: Duration = Duration::from_millis(25);
/// So many instances are asked in one go: enough that their answers are read together too, and few
/// enough that a client's question waits for them less than two milliseconds.
const TOGETHER: usize = 64;

/// `pace` from now at the latest, at the moment that instances of this pace share. Of many instances
/// each has one of several such moments, by `key`.
pub(super) fn shared(now: Instant, pace: Duration, key: &Address, instances: usize) -> Instant {
    if pace <= GRID * 2 {
        return now + pace;
    }
    let moments = (instances.div_ceil(TOGETHER) as u128).min(pace.as_micros() / GRID.as_micros()).max(1);
    let bytes = key.host.bytes().chain(key.port.to_be_bytes());
    let hash = bytes.fold(0u32, |hash, byte| hash.wrapping_mul(31).wrapping_add(u32::from(byte)));
    let phase = GRID * (u128::from(hash) % moments) as u32;
    let at = now + pace;
    // On this clock's first page there is no such moment yet.
    if at < Instant::ZERO + phase { at } else { at.earlier_by(phase).down_to(pace) + phase }
}

#[derive(Clone, Debug)]
pub struct Schedule<K> {
    at: BTreeMap<K, Instant>,
    queue: BTreeSet<(Instant, K)>,
}

impl<K> Default for Schedule<K> {
    fn default() -> Self {
        Schedule { at: BTreeMap::new(), queue: BTreeSet::new() }
    }
}

impl<K: Ord + Clone> Schedule<K> {
    /// The one deadline of this key.
    pub fn set(&mut self, key: &K, at: Instant) {
        match self.at.get_mut(key) {
            Some(old) if *old == at => return,
            Some(old) => {
                let entry = (std::mem::replace(old, at), key.clone());
                self.queue.remove(&entry);
            }
            None => {
                self.at.insert(key.clone(), at);
            }
        }
        self.queue.insert((at, key.clone()));
    }

    /// No later than `at`.
    pub fn sooner(&mut self, key: &K, at: Instant) {
        if self.at.get(key).is_none_or(|old| *old > at) {
            self.set(key, at);
        }
    }

    pub fn remove(&mut self, key: &K) {
        if let Some(at) = self.at.remove(key) {
            self.queue.remove(&(at, key.clone()));
        }
    }

    pub fn next(&self) -> Option<Instant> {
        self.queue.first().map(|(at, _)| *at)
    }

    /// Takes out the earliest key whose time has come.
    pub fn pop_due(&mut self, now: Instant) -> Option<K> {
        if self.next()? > now {
            return None;
        }
        let (_, key) = self.queue.pop_first()?;
        self.at.remove(&key);
        Some(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_when_due_and_once() {
        let mut schedule = Schedule::default();
        let at = Instant::from_millis;
        schedule.set(&"b", at(20));
        schedule.set(&"a", at(30));
        schedule.sooner(&"a", at(10));
        schedule.sooner(&"b", at(40));
        assert_eq!(schedule.next(), Some(at(10)));
        assert_eq!(schedule.pop_due(at(9)), None);
        assert_eq!(schedule.pop_due(at(25)), Some("a"));
        schedule.remove(&"a");
        assert_eq!(schedule.pop_due(at(25)), Some("b"));
        assert_eq!(schedule.next(), None);
    }
}
