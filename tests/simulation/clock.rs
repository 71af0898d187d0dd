//! One host's steady clock: begins anywhere, runs a little fast or slow, and never goes back.

#[derive(Clone, Copy, Debug)]
pub struct Clock {
    base_us: u64,
    since_us: u64,
    ppm: i64,
}

const MILLION: i128 = 1_000_000;

impl Clock {
    pub fn new(base_us: u64) -> Self {
        Clock { base_us, since_us: 0, ppm: 0 }
    }

    /// What it shows at this moment of the world.
    pub fn read(&self, now_us: u64) -> u64 {
        let ran = i128::from(now_us - self.since_us) * (MILLION + i128::from(self.ppm)) / MILLION;
        self.base_us + ran as u64
    }

    /// The moment of the world at which it shows this, or the first after it.
    pub fn when(&self, shown_us: u64) -> u64 {
        let left = i128::from(shown_us.saturating_sub(self.base_us)) * MILLION;
        let rate = MILLION + i128::from(self.ppm);
        self.since_us + ((left + rate - 1) / rate) as u64
    }

    /// From now on it runs this much faster than the world.
    pub fn drift(&mut self, now_us: u64, ppm: i64) {
        *self = Clock { base_us: self.read(now_us), since_us: now_us, ppm };
    }
}

#[test]
fn a_clock_finds_the_moment_at_which_it_shows_something() {
    let mut clock = Clock::new(77);
    for (now, ppm) in [(0, 0), (1_000_000, 4_000), (9_000_001, -4_000)] {
        clock.drift(now, ppm);
        for ahead in [0, 1, 999, 123_456_789] {
            let shown = clock.read(now + ahead);
            let when = clock.when(shown);
            assert!(clock.read(when) >= shown && when <= now + ahead + 1, "{ppm} {ahead}");
        }
    }
}
