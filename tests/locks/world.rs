//! A world for locks: servers and holders, each with a clock of its own that may run fast or slow, messages
//! that are late or lost, holders that stand still, servers that restart with or without their data.
//! Everything follows from one seed. It runs the core that runs in `vedette lock`, and nothing else.

use std::collections::BTreeMap;
use std::time::Duration;
use vedette::redlock::{Action, Answer, Grant, Input, Lock, Plan, Request, Wait};
use vedette::stdx::Rng;
use vedette::stdx::time::Instant;

/// What may go wrong, and how badly.
#[derive(Clone, Debug)]
pub struct Weather {
    pub servers: usize,
    pub holders: usize,
    /// A clock runs at most by this share fast or slow, in parts of ten thousand.
    pub pace_error: u64,
    /// One in so many messages is lost.
    pub loss: u64,
    /// Most messages take some milliseconds; one in ten takes up to this.
    pub late_ms: u64,
    /// A holder stands still now and then, up to so long.
    pub pause_ms: u64,
    /// A server restarts now and then...
    pub restarts: bool,
    /// ...and forgets its locks (not its fences: those it keeps, unless `forgets_fences`).
    pub forgets: bool,
    pub forgets_fences: bool,
    /// In milliseconds; zero trusts servers that restarted.
    pub guard_ms: u64,
    pub run_ms: u64,
}

impl Default for Weather {
    fn default() -> Self {
        Weather {
            servers: 3,
            holders: 4,
            pace_error: 45,
            loss: 30,
            late_ms: 400,
            pause_ms: 0,
            restarts: false,
            forgets: false,
            forgets_fences: false,
            guard_ms: TTL_MS,
            run_ms: 120_000,
        }
    }
}

pub const TTL_MS: u64 = 2000;

/// One time that somebody had the lock, in true microseconds.
#[derive(Clone, Debug)]
pub struct Tenure {
    pub holder: usize,
    pub fence: u64,
    pub asked_at: u64,
    pub from: u64,
    /// The last moment at which its holder ran and thought that it has it.
    pub to: u64,
}

/// One write to the resource that the lock protects, as it arrived there.
#[derive(Clone, Debug)]
pub struct Write {
    pub fence: u64,
    pub accepted: bool,
}

struct Server {
    clock: Clock,
    up_since: u64,
    down_until: u64,
    key: Option<(String, u64)>,
    fence: u64,
}

struct Holder {
    clock: Clock,
    lock: Option<Lock>,
    /// Stands still until then.
    paused_until: u64,
    inbox: Vec<Input>,
    asked_at: u64,
    begin_at: u64,
    give_back_at: u64,
    tenure: Option<usize>,
    fence: u64,
}

/// True microseconds to those of somebody's own clock.
#[derive(Clone, Copy)]
struct Clock {
    ahead_us: u64,
    pace: f64,
}

impl Clock {
    fn new(chance: &mut Rng, error: u64) -> Clock {
        let error = error as f64 / 10_000.0;
        let pace = 1.0 - error + 2.0 * error * chance.f64();
        Clock { ahead_us: chance.u64(0..3_600_000_000), pace }
    }

    fn at(self, now: u64) -> u64 {
        self.ahead_us + (now as f64 * self.pace) as u64
    }

    fn instant(self, now: u64) -> Instant {
        Instant::from_micros(self.at(now))
    }
}

enum Event {
    Arrives { at: usize, from: usize, id: u64, token: String, request: Request },
    Answered { to: usize, input: Input },
    Written { fence: u64 },
}

pub struct World {
    weather: Weather,
    chance: Rng,
    now: u64,
    servers: Vec<Server>,
    holders: Vec<Holder>,
    events: BTreeMap<(u64, u64), Event>,
    next: u64,
    pub tenures: Vec<Tenure>,
    pub writes: Vec<Write>,
    greatest: u64,
}

/// Between two looks at everybody.
const STEP_US: u64 = 2000;

impl World {
    pub fn run(seed: u64, weather: Weather) -> World {
        let mut chance = Rng::with_seed(seed);
        let server = |chance: &mut Rng| Server {
            clock: Clock::new(chance, weather.pace_error),
            up_since: 0,
            down_until: 0,
            key: None,
            fence: 0,
        };
        let holder = |chance: &mut Rng| Holder {
            clock: Clock::new(chance, weather.pace_error),
            lock: None,
            paused_until: 0,
            inbox: Vec::new(),
            asked_at: 0,
            // After the servers are old enough.
            begin_at: weather.guard_ms * 2500 + chance.u64(0..500_000),
            give_back_at: u64::MAX,
            tenure: None,
            fence: 0,
        };
        let servers = (0..weather.servers).map(|_| server(&mut chance)).collect();
        let holders = (0..weather.holders).map(|_| holder(&mut chance)).collect();
        let mut world = World {
            weather,
            chance,
            now: 0,
            servers,
            holders,
            events: BTreeMap::new(),
            next: 0,
            tenures: Vec::new(),
            writes: Vec::new(),
            greatest: 0,
        };
        while world.now < world.weather.run_ms * 1000 {
            world.now += STEP_US;
            world.step();
        }
        world
    }

    fn step(&mut self) {
        while let Some(entry) = self.events.first_entry().filter(|entry| entry.key().0 <= self.now) {
            match entry.remove() {
                Event::Arrives { at, from, id, token, request } => self.serve(at, from, id, &token, &request),
                Event::Answered { to, input } => self.holders[to].inbox.push(input),
                Event::Written { fence } => {
                    let accepted = fence >= self.greatest;
                    self.greatest = self.greatest.max(fence);
                    self.writes.push(Write { fence, accepted });
                }
            }
        }
        if self.weather.restarts && self.chance.u64(0..8000) == 0 {
            let index = self.chance.usize(0..self.servers.len());
            let down = self.chance.u64(10_000..800_000);
            let server = &mut self.servers[index];
            server.down_until = self.now + down;
            server.up_since = server.down_until;
            if self.weather.forgets {
                server.key = None;
            }
            if self.weather.forgets_fences {
                server.fence = 0;
            }
        }
        for index in 0..self.holders.len() {
            self.live(index);
        }
    }

    fn later(&mut self, event: Event) {
        if self.weather.loss > 0 && self.chance.u64(0..self.weather.loss) == 0 {
            return;
        }
        let late = if self.chance.u64(0..10) == 0 { self.weather.late_ms } else { 5 };
        let at = self.now + self.chance.u64(100..=late.max(1) * 1000);
        self.next += 1;
        self.events.insert((at, self.next), event);
    }

    fn live(&mut self, index: usize) {
        let holder = &mut self.holders[index];
        if self.now < holder.paused_until {
            return;
        }
        let now = holder.clock.instant(self.now);
        if holder.lock.is_none() && self.now >= holder.begin_at {
            let guard = Duration::from_millis(self.weather.guard_ms);
            let plan = Plan::new(self.weather.servers, Duration::from_millis(TTL_MS)).unwrap();
            let plan = Plan { wait: Wait::For(Duration::from_secs(3)), restart_guard: guard, ..plan };
            let secret = format!("{index}-{}", self.now);
            let (lock, actions) = Lock::acquire(plan, &secret, self.chance.u64(..), now);
            self.holders[index].lock = Some(lock);
            self.holders[index].asked_at = self.now;
            self.act(index, actions);
        }
        let give_back = self.now >= self.holders[index].give_back_at;
        let mut inputs = std::mem::take(&mut self.holders[index].inbox);
        inputs.push(if give_back { Input::GiveBack } else { Input::Tick });
        for input in inputs {
            let Some(lock) = &mut self.holders[index].lock else { return };
            let actions = lock.handle(now, input);
            self.act(index, actions);
        }
        self.work(index, now);
        if self.weather.pause_ms > 0 && self.chance.u64(0..1500) == 0 {
            let pause = self.chance.u64(0..self.weather.pause_ms * 1000);
            self.holders[index].paused_until = self.now + pause;
        }
        let holder = &mut self.holders[index];
        if holder.lock.as_ref().is_some_and(Lock::is_over) {
            holder.lock = None;
            holder.inbox.clear();
            holder.give_back_at = u64::MAX;
            holder.tenure = None;
            let rest = self.chance.u64(0..400_000);
            self.holders[index].begin_at = self.now + rest;
        }
    }

    /// Who runs and thinks that it has the lock does what the lock is for.
    fn work(&mut self, index: usize, now: Instant) {
        let holder = &self.holders[index];
        let held = holder.lock.as_ref().is_some_and(|lock| lock.held(now).is_some());
        let (Some(tenure), true) = (holder.tenure, held) else { return };
        let fence = holder.fence;
        self.tenures[tenure].to = self.now;
        if self.chance.u64(0..25) == 0 {
            self.later(Event::Written { fence });
        }
    }

    fn act(&mut self, index: usize, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Ask { server, id, token, request } => {
                    self.later(Event::Arrives { at: server, from: index, id, token, request });
                }
                Action::Acquired(Grant { fence, .. }) => {
                    let stay = self.chance.u64(0..6_000_000);
                    let holder = &mut self.holders[index];
                    holder.tenure = Some(self.tenures.len());
                    holder.fence = fence;
                    holder.give_back_at = self.now + stay;
                    let asked_at = holder.asked_at;
                    self.tenures.push(Tenure {
                        holder: index,
                        fence,
                        asked_at,
                        from: self.now,
                        to: self.now,
                    });
                }
                _ => {}
            }
        }
    }

    fn serve(&mut self, at: usize, from: usize, id: u64, token: &str, request: &Request) {
        let server = &mut self.servers[at];
        if self.now < server.down_until {
            return;
        }
        let clock_ms = server.clock.at(self.now) / 1000;
        if server.key.as_ref().is_some_and(|(_, until)| clock_ms > *until) {
            server.key = None;
        }
        let ours = server.key.as_ref().is_some_and(|(holder, _)| holder == token);
        let answer = match request {
            Request::Acquire { ttl } => match &server.key {
                Some((holder, _)) => Answer::Taken { holder: holder.clone().into_bytes() },
                None => {
                    server.key = Some((token.to_owned(), clock_ms + ttl.as_millis() as u64));
                    // Whole seconds, each rounded down, as INFO counts them.
                    let second = |us: u64| server.clock.at(us) / 1_000_000;
                    let uptime = Duration::from_secs(second(self.now) - second(server.up_since));
                    Answer::Granted { uptime }
                }
            },
            Request::ReadFence if ours => Answer::Fence(server.fence),
            Request::Renew { ttl, fence } if ours => {
                server.key = Some((token.to_owned(), clock_ms + ttl.as_millis() as u64));
                server.fence = server.fence.max(*fence);
                Answer::Renewed
            }
            Request::Release if ours => {
                server.key = None;
                Answer::Released
            }
            _ => Answer::NotOurs,
        };
        self.later(Event::Answered { to: from, input: Input::Answered { server: at, id, answer } });
    }

    /// Pairs of holders that both ran and thought that they had the lock at one moment.
    pub fn overlaps(&self) -> Vec<(Tenure, Tenure)> {
        let mut found = Vec::new();
        for (index, one) in self.tenures.iter().enumerate() {
            for other in &self.tenures[index + 1..] {
                if one.holder != other.holder && one.from <= other.to && other.from <= one.to {
                    found.push((one.clone(), other.clone()));
                }
            }
        }
        found
    }

    /// Pairs whose fences are equal, or fall though the one was held before the other was asked for.
    pub fn misfenced(&self) -> Vec<(Tenure, Tenure)> {
        let mut found = Vec::new();
        for one in &self.tenures {
            for other in &self.tenures {
                let twice = one.fence == other.fence && one.from < other.from;
                let falls = one.from < other.asked_at && one.fence >= other.fence;
                if twice || falls {
                    found.push((one.clone(), other.clone()));
                }
            }
        }
        found
    }
}
