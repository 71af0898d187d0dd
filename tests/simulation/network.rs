//! The modelled network: ordered channels between hosts, with delay, one-way blocks, slow links, loss,
//! and for what is no stream duplicates and disorder too. Knows no message, only where it goes.
//!
//! A block either holds what is sent (as TCP does, which delivers after the partition heals, long
//! after the sender gave up) or loses it. Late delivery is the nastier of the two, so it is the rule.

use std::collections::BTreeMap;
use vedette::stdx::Rng;

/// A host: sentinels, data nodes and the client each have their own.
pub type Host = usize;
const HOSTS_MAX: usize = 24;
/// What a lost segment costs before it is sent again.
const RETRANSMIT_US: u64 = 200_000;
/// Nobody waits longer for one segment: the connection is given up, and what a new one brings is modelled as
/// the old one going on.
const GIVEN_UP_US: u64 = 2_000_000;

/// What is wrong with it, to be undone by the same value.
#[derive(Clone, Debug)]
pub enum Trouble {
    Blocks { pairs: Vec<(Host, Host)>, lose: bool },
    Slow { pairs: Vec<(Host, Host)>, most_us: u64 },
    Delay { most_us: u64 },
    Loss { percent: u32 },
    Duplicate { percent: u32 },
    Reorder { percent: u32 },
}

pub struct Network {
    rng: Rng,
    delay_us: (u64, u64),
    holds: Vec<u16>,
    loses: Vec<u16>,
    slow_us: Vec<u64>,
    extra_us: u64,
    loss: u32,
    duplicate: u32,
    reorder: u32,
    /// Latest delivery time per channel and direction: order is kept.
    last: BTreeMap<(u64, Host, Host), u64>,
}

pub enum Fate {
    /// Arrives at this time.
    At(u64),
    Twice(u64, u64),
    Held,
    Lost,
}

fn place(from: Host, to: Host) -> usize {
    from * HOSTS_MAX + to
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
        Network {
            rng,
            delay_us,
            holds: vec![0; HOSTS_MAX * HOSTS_MAX],
            loses: vec![0; HOSTS_MAX * HOSTS_MAX],
            slow_us: vec![0; HOSTS_MAX * HOSTS_MAX],
            extra_us: 0,
            loss: 0,
            duplicate: 0,
            reorder: 0,
            last: BTreeMap::new(),
        }
    }

    pub fn is_blocked(&self, from: Host, to: Host) -> bool {
        self.holds[place(from, to)] + self.loses[place(from, to)] > 0
    }

    pub fn reachable(&self, a: Host, b: Host) -> bool {
        !self.is_blocked(a, b) && !self.is_blocked(b, a)
    }

    /// Nothing between these two is late, lost or blocked.
    pub fn is_sound(&self, a: Host, b: Host) -> bool {
        self.reachable(a, b)
            && self.slow_us[place(a, b)] + self.slow_us[place(b, a)] + self.extra_us == 0
            && self.loss + self.duplicate + self.reorder == 0
    }

    pub fn begin(&mut self, trouble: &Trouble) {
        self.change(trouble, true);
    }

    pub fn end(&mut self, trouble: &Trouble) {
        self.change(trouble, false);
    }

    fn change(&mut self, trouble: &Trouble, begins: bool) {
        let step = |value: &mut u32, by: u32| *value = if begins { *value + by } else { *value - by };
        match trouble {
            Trouble::Blocks { pairs, lose } => {
                let table = if *lose { &mut self.loses } else { &mut self.holds };
                for &(from, to) in pairs {
                    let count = &mut table[place(from, to)];
                    *count = if begins { *count + 1 } else { *count - 1 };
                }
            }
            // Two of them on one link: the later one's end ends both.
            Trouble::Slow { pairs, most_us } => {
                for &(from, to) in pairs {
                    self.slow_us[place(from, to)] = if begins { *most_us } else { 0 };
                }
            }
            Trouble::Delay { most_us } => self.extra_us = if begins { *most_us } else { 0 },
            Trouble::Loss { percent } => step(&mut self.loss, *percent),
            Trouble::Duplicate { percent } => step(&mut self.duplicate, *percent),
            Trouble::Reorder { percent } => step(&mut self.reorder, *percent),
        }
    }

    pub fn delay(&mut self, from: Host, to: Host) -> u64 {
        let (low, high) = self.delay_us;
        let mut delay = self.rng.u64(low..=high);
        let most = self.slow_us[place(from, to)] + self.extra_us;
        if most > 0 {
            delay += self.rng.u64(most / 8..=most);
        }
        delay
    }

    /// What becomes of bytes sent now on this channel. A stream is never out of order: a lost segment makes it
    /// and all behind it late. Frames between peers may also be lost, doubled and out of order.
    pub fn send(&mut self, now_us: u64, channel: u64, from: Host, to: Host, stream: bool) -> Fate {
        if self.loses[place(from, to)] > 0 {
            return Fate::Lost;
        }
        if self.holds[place(from, to)] > 0 {
            return Fate::Held;
        }
        let mut at = now_us + self.delay(from, to);
        if self.loss > 0 {
            let (mut again_us, latest) = (RETRANSMIT_US, at + GIVEN_UP_US);
            while at < latest && self.rng.u32(0..100) < self.loss {
                if !stream {
                    return Fate::Lost;
                }
                at += again_us;
                again_us = (again_us * 2).min(RETRANSMIT_US * 8);
            }
        }
        if !stream && self.reorder > 0 && self.rng.u32(0..100) < self.reorder {
            return Fate::At(at + self.rng.u64(0..60_000));
        }
        let last = self.last.entry((channel, from, to)).or_insert(0);
        *last = at.max(*last + 1);
        if !stream && self.duplicate > 0 && self.rng.u32(0..100) < self.duplicate {
            return Fate::Twice(*last, *last + self.rng.u64(0..400_000));
        }
        Fate::At(*last)
    }
}
