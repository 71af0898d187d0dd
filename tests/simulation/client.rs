//! One client: asks a sentinel for the master, writes unique values with WAIT, asks again after an
//! error or a deadline. What it was not told it does not count.

use vedette::model::Address;
use vedette::stdx::Rng;

const DEADLINE_US: u64 = 600_000;

pub struct Client {
    pub rng: Rng,
    pub target: Option<Address>,
    next_value: u64,
    wait: usize,
    outstanding: Option<(u64, u64)>,
}

impl Client {
    pub fn new(seed: u64, wait: usize) -> Self {
        Client { rng: Rng::with_seed(seed), target: None, next_value: 0, wait, outstanding: None }
    }

    pub fn pause_us(&mut self) -> u64 {
        self.rng.u64(5_000..40_000)
    }

    /// Whether the next write may be sent: none is under way, or its deadline has passed.
    pub fn ready(&mut self, now_us: u64) -> bool {
        match self.outstanding {
            Some((_, deadline_us)) if now_us < deadline_us => false,
            Some(_) => {
                self.outstanding = None;
                self.target = None;
                true
            }
            None => true,
        }
    }

    pub fn next_write(&mut self, now_us: u64) -> (u64, usize) {
        self.next_value += 1;
        self.outstanding = Some((self.next_value, now_us + DEADLINE_US));
        (self.next_value, self.wait)
    }

    pub fn answered(&mut self, value: u64, ok: bool) {
        if self.outstanding.is_some_and(|(expected, _)| expected == value) {
            self.outstanding = None;
            if !ok {
                self.target = None;
            }
        }
    }
}
