//! The modelled network: ordered channels between hosts, with delay, one-way blocks and slow links.
//!
//! A block either holds what is sent (as TCP does, which delivers after the partition heals, long
//! after the sender gave up) or drops it. Late delivery is the nastier of the two, so it is the rule.

use std::collections::{BTreeMap, BTreeSet};
use vedette::stdx::Rng;

/// A host: sentinels, data nodes and the client each have their own.
pub type Host = usize;

pub struct Network {
    rng: Rng,
    delay_us: (u64, u64),
    slow: BTreeMap<(Host, Host), (u64, u64)>,
    blocked: BTreeSet<(Host, Host)>,
    /// Latest delivery time per channel and direction: order is kept.
    last: BTreeMap<(u64, Host, Host), u64>,
}

pub enum Fate {
    /// Arrives at this time.
    At(u64),
    Held,
}

impl Network {
    pub fn new(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let delay_us = match rng.u32(0..4) {
            0 => (50, 200),
            1 => (100, 2_000),
            2 => (1_000, 10_000),
            _ => (200, 1_000),
        };
        Network { rng, delay_us, slow: BTreeMap::new(), blocked: BTreeSet::new(), last: BTreeMap::new() }
    }

    pub fn is_blocked(&self, from: Host, to: Host) -> bool {
        self.blocked.contains(&(from, to))
    }

    pub fn reachable(&self, a: Host, b: Host) -> bool {
        !self.is_blocked(a, b) && !self.is_blocked(b, a)
    }

    pub fn block(&mut self, from: Host, to: Host) {
        self.blocked.insert((from, to));
    }

    pub fn slow(&mut self, from: Host, to: Host, delay_us: (u64, u64)) {
        self.slow.insert((from, to), delay_us);
    }

    pub fn heal(&mut self) {
        self.blocked.clear();
        self.slow.clear();
    }

    pub fn delay(&mut self, from: Host, to: Host) -> u64 {
        let (low, high) = self.slow.get(&(from, to)).copied().unwrap_or(self.delay_us);
        self.rng.u64(low..=high)
    }

    /// What becomes of bytes sent now on this channel.
    pub fn send(&mut self, now_us: u64, channel: u64, from: Host, to: Host) -> Fate {
        if self.is_blocked(from, to) {
            return Fate::Held;
        }
        let at = now_us + self.delay(from, to);
        let last = self.last.entry((channel, from, to)).or_insert(0);
        *last = at.max(*last + 1);
        Fate::At(*last)
    }
}
