//! The host agent of a stock server as a state machine: it holds for the server the lease that a
//! bundled one holds itself, and makes the server hold writes back while nobody vouches for it.
//!
//! Promises: what a sentinel says counts from when it was *asked*, on a clock that counts suspension,
//! so after a pause of the machine the first thing that happens is the fence; only a sentinel in
//! touch with the majority vouches; a fence is a pause that ends by itself, so a dead agent cannot
//! stop a server for ever. Has never heard of a socket, a file or a clock it was not handed.

use crate::model::{Address, Epoch};
use crate::resp::Reply;
use crate::stdx::time::{Duration, Instant};

/// How long a fence stands without being renewed: long enough for systemd to start a dead agent
/// again, short enough that a server without an agent is not lost.
const FENCE: Duration = Duration::from_secs(60);
const FENCE_AGAIN: Duration = Duration::from_secs(1);
const DIAL_PACE: Duration = Duration::from_millis(250);

/// The other end of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Whom {
    Server,
    Sentinel(usize),
}

#[derive(Clone, Debug)]
pub enum Input {
    Tick,
    Up(Whom),
    Down(Whom),
    Replied { whom: Whom, id: u64, reply: Reply },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    Dial {
        whom: Whom,
        timeout: Duration,
    },
    Hangup(Whom),
    Send {
        whom: Whom,
        id: u64,
        argv: Vec<Vec<u8>>,
    },
    /// For people: something changed.
    Tell {
        warning: bool,
        text: String,
    },
}

/// What the agent is for.
#[derive(Clone, Debug)]
pub struct Plan {
    pub group: String,
    /// The server as the sentinels know it.
    pub announced: Address,
    pub sentinels: usize,
    pub lease: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Question {
    Vouch,
    Role,
    Fence,
    Release,
}

#[derive(Clone, Copy, Debug)]
struct Asked {
    id: u64,
    question: Question,
    at: Instant,
}

#[derive(Clone, Debug)]
struct Line {
    up: bool,
    next_dial: Instant,
    next_ask: Instant,
    asked: Vec<Asked>,
}

pub struct Agent {
    plan: Plan,
    server: Line,
    sentinels: Vec<Line>,
    /// Vouched for until then.
    lease_until: Instant,
    /// The newest epoch any sentinel spoke of: an older word is no word.
    epoch: Epoch,
    /// The server says that it is a replica: it takes no writes anyway.
    replica: bool,
    fenced: bool,
    next_fence: Instant,
    /// A predecessor may have fenced it.
    inherited: bool,
    next_id: u64,
}

impl Agent {
    /// Begins with one lease: a healthy server is not fenced because its agent starts.
    pub fn new(plan: Plan, now: Instant) -> Self {
        let line = Line { up: false, next_dial: now, next_ask: now, asked: Vec::new() };
        Agent {
            sentinels: vec![line.clone(); plan.sentinels],
            server: line,
            lease_until: now + plan.lease,
            plan,
            epoch: 0,
            replica: false,
            fenced: false,
            next_fence: now,
            inherited: true,
            next_id: 1,
        }
    }

    pub fn is_fenced(&self) -> bool {
        self.fenced
    }

    pub fn is_vouched(&self, now: Instant) -> bool {
        now < self.lease_until
    }

    pub fn handle(&mut self, now: Instant, input: Input, actions: &mut Vec<Action>) {
        match input {
            Input::Tick => {}
            Input::Up(whom) => {
                let line = self.line(whom);
                (line.up, line.next_ask) = (true, now);
                line.asked.clear();
                if whom == Whom::Server {
                    // Another process, perhaps, which holds nothing back.
                    self.next_fence = now;
                }
            }
            Input::Down(whom) => {
                let line = self.line(whom);
                (line.up, line.next_dial) = (false, now + DIAL_PACE);
                line.asked.clear();
            }
            Input::Replied { whom, id, reply } => self.replied(now, whom, id, &reply, actions),
        }
        self.guard(now, actions);
        for whom in self.everybody() {
            self.keep_asking(now, whom, actions);
        }
    }

    /// When `handle` wants a [`Input::Tick`] at the latest.
    pub fn next_wakeup(&self) -> Instant {
        let lines = std::iter::once(&self.server).chain(&self.sentinels);
        let patience = self.patience();
        let line = |line: &Line| {
            let next = if line.up { line.next_ask } else { line.next_dial };
            line.asked.first().map_or(next, |asked| next.min(asked.at + patience))
        };
        let earliest = lines.map(line).min().unwrap_or(self.next_fence);
        if self.fenced { earliest.min(self.next_fence) } else { earliest.min(self.lease_until) }
    }

    fn everybody(&self) -> impl Iterator<Item = Whom> + use<> {
        std::iter::once(Whom::Server).chain((0..self.sentinels.len()).map(Whom::Sentinel))
    }

    fn line(&mut self, whom: Whom) -> &mut Line {
        match whom {
            Whom::Sentinel(index) if index < self.sentinels.len() => &mut self.sentinels[index],
            _ => &mut self.server,
        }
    }

    fn pace(&self) -> Duration {
        (self.plan.lease / 5).clamp(Duration::from_millis(20), Duration::from_secs(1))
    }

    fn patience(&self) -> Duration {
        (self.plan.lease / 2).max(Duration::from_millis(50))
    }

    fn keep_asking(&mut self, now: Instant, whom: Whom, actions: &mut Vec<Action>) {
        let (pace, patience) = (self.pace(), self.patience());
        let line = self.line(whom);
        if !line.up {
            if line.next_dial <= now {
                line.next_dial = now + patience.max(DIAL_PACE);
                actions.push(Action::Dial { whom, timeout: patience });
            }
            return;
        }
        if line.asked.first().is_some_and(|asked| now.since(asked.at) >= patience) {
            // A peer that is gone without a word.
            line.asked.clear();
            line.up = false;
            line.next_dial = now + DIAL_PACE;
            actions.push(Action::Hangup(whom));
            return;
        }
        if line.next_ask <= now {
            line.next_ask = now + pace;
            let question = if whom == Whom::Server { Question::Role } else { Question::Vouch };
            if !line.asked.iter().any(|asked| asked.question == question) {
                self.ask(now, whom, question, actions);
            }
        }
    }

    fn ask(&mut self, now: Instant, whom: Whom, question: Question, actions: &mut Vec<Action>) {
        let words: Vec<String> = match question {
            Question::Role => vec!["ROLE".into()],
            Question::Fence => {
                vec!["CLIENT".into(), "PAUSE".into(), FENCE.as_millis().to_string(), "WRITE".into()]
            }
            Question::Release => vec!["CLIENT".into(), "UNPAUSE".into()],
            Question::Vouch => {
                let Address { host, port } = self.plan.announced.clone();
                let group = self.plan.group.clone();
                vec!["SENTINEL".into(), "VOUCH".into(), group, host, port.to_string()]
            }
        };
        let id = self.next_id;
        self.next_id += 1;
        let line = self.line(whom);
        if line.up {
            line.asked.push(Asked { id, question, at: now });
            let argv = words.into_iter().map(String::into_bytes).collect();
            actions.push(Action::Send { whom, id, argv });
        }
    }

    fn replied(&mut self, now: Instant, whom: Whom, id: u64, reply: &Reply, actions: &mut Vec<Action>) {
        let line = self.line(whom);
        let Some(at) = line.asked.iter().position(|asked| asked.id == id) else { return };
        // Answers come in order.
        let Some(asked) = line.asked.drain(..=at).next_back() else { return };
        match asked.question {
            Question::Vouch => self.vouched(now, asked.at, reply, actions),
            Question::Role => {
                let role = reply.as_array().and_then(|items| items.first()?.as_str());
                self.replica = role.is_some_and(|role| role == "slave" || role == "replica");
            }
            Question::Fence | Question::Release => {
                if let Some(error) = reply.error() {
                    let text = format!("the server refuses CLIENT PAUSE: {error}; it cannot be fenced");
                    actions.push(Action::Tell { warning: true, text });
                }
            }
        }
    }

    /// `master` or `other` or `undecided`, the group's epoch, its down-after in milliseconds.
    fn vouched(&mut self, now: Instant, asked_at: Instant, reply: &Reply, actions: &mut Vec<Action>) {
        let Some([word, epoch, down_after_ms]) = reply.as_array() else { return };
        let number = |reply: &Reply| reply.as_integer().and_then(|n| u64::try_from(n).ok());
        let (Some(word), Some(epoch), Some(down_after_ms)) =
            (word.as_str(), number(epoch), number(down_after_ms))
        else {
            return;
        };
        if epoch < self.epoch {
            return;
        }
        self.epoch = epoch;
        match word {
            "master" => {
                // Over before the sentinels give the master up: whoever is cut off from them is as
                // long cut off as they are from it.
                let lease = self.plan.lease.min(Duration::from_millis(down_after_ms) / 2);
                self.lease_until = self.lease_until.max(asked_at + lease);
            }
            "other" if self.lease_until > now => {
                self.lease_until = now;
                if !self.replica {
                    let text = format!("another server is master at epoch {epoch}");
                    actions.push(Action::Tell { warning: true, text });
                }
            }
            _ => {}
        }
    }

    /// Fences a master that nobody vouches for; releases it as soon as somebody does, or when it is a
    /// replica, whose clients are told READONLY instead of waiting.
    fn guard(&mut self, now: Instant, actions: &mut Vec<Action>) {
        let free = self.replica || self.is_vouched(now);
        if free {
            let released = self.fenced || (self.inherited && self.epoch > 0);
            if released && self.server.up {
                self.ask(now, Whom::Server, Question::Release, actions);
                if self.fenced {
                    let why = if self.replica { "it is a replica now" } else { "it is vouched for again" };
                    let text = format!("released: {why}");
                    actions.push(Action::Tell { warning: false, text });
                }
                (self.fenced, self.inherited) = (false, false);
            }
            return;
        }
        if !self.fenced {
            self.fenced = true;
            self.next_fence = now;
            let text = format!("nobody vouches for {}: its writes wait", self.plan.announced);
            actions.push(Action::Tell { warning: true, text });
        }
        if self.next_fence <= now {
            self.next_fence = now + FENCE_AGAIN;
            self.ask(now, Whom::Server, Question::Fence, actions);
        }
    }
}

#[cfg(test)]
mod tests;
