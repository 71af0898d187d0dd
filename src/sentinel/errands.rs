//! The queue of what is to be run: Redis Sentinel's rules as a pure machine. Every sentinel hears every
//! event; only the one that leads runs anything, from where the fleet's record says the last one stopped.
//!
//! At most once a moment, at least once in all: what was running when its sentinel died, and what ended
//! within the last second before, is run again by the next leader.

use super::scripts::Errand;
use crate::model::event::{Event, EventKind};
use crate::stdx::time::{Duration, Instant};
use std::collections::VecDeque;

/// Scripts that wait or run; beyond it the oldest that waits is dropped.
const QUEUE_MAX: usize = 256;
const PARALLEL_MAX: usize = 16;
const RETRIES_MAX: u32 = 10;
/// Events with errands kept for the case that this sentinel will lead.
const KEPT_MAX: usize = super::ledger::EVENTS_MAX;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct JobId(pub u64);

#[derive(Clone, Debug)]
pub struct Job {
    pub id: JobId,
    pub event: Event,
    pub errand: Errand,
    pub retries: u32,
    pub state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Waiting {
        until: Instant,
    },
    /// `pid` is zero until it is known, and for a request.
    Running {
        since: Instant,
        pid: u32,
    },
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    Exit(i32),
    Signal(i32),
    /// It ran longer than it may, and was killed.
    TimedOut,
}

#[derive(Debug)]
pub enum Input {
    /// An agreed event and what is to be run because of it, in the order of ids.
    Event {
        event: Event,
        errands: Vec<Errand>,
    },
    /// Running is our business, from this event on.
    Own {
        from: u64,
    },
    Disown,
    Started {
        job: JobId,
        pid: u32,
    },
    Ended {
        job: JobId,
        ending: Ending,
    },
    Tick,
}

#[derive(Debug)]
pub enum Action {
    Run {
        job: JobId,
        event: Box<Event>,
        errand: Box<Errand>,
        limit: Duration,
    },
    /// Nothing up to this event is left to be run.
    Progress {
        up_to: u64,
    },
    /// Something worth an event of its own.
    Told {
        kind: EventKind,
        payload: String,
    },
}

/// Times that an operator may change (SENTINEL DEBUG).
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    pub script_max_runtime: Duration,
    pub script_retry_delay: Duration,
}

#[derive(Debug, Default)]
pub struct Errands {
    ours: bool,
    kept: VecDeque<(Event, Vec<Errand>)>,
    queue: VecDeque<Job>,
    newest: u64,
    next_id: u64,
    reported: Option<u64>,
}

impl Errands {
    pub fn jobs(&self) -> impl Iterator<Item = &Job> {
        self.queue.iter()
    }

    /// What another sentinel has to run, going by what the fleet knows to be done up to `done`: the
    /// event and the program, as this one would run it. Nothing while running is our own business.
    pub fn of_others(&self, done: u64) -> impl Iterator<Item = (&Event, &Errand)> {
        let due = self.kept.iter().filter(move |(event, _)| !self.ours && event.id > done);
        due.flat_map(|(event, errands)| errands.iter().map(move |errand| (event, errand))).take(QUEUE_MAX)
    }

    pub fn next_wakeup(&self) -> Option<Instant> {
        let running = self.queue.iter().filter(|job| job.running()).count();
        let waiting = self.queue.iter().filter_map(|job| match job.state {
            State::Waiting { until } => Some(until),
            State::Running { .. } => None,
        });
        waiting.min().filter(|_| running < PARALLEL_MAX)
    }

    pub fn handle(&mut self, now: Instant, pace: Pace, input: Input, actions: &mut Vec<Action>) {
        match input {
            Input::Event { event, errands } => self.event(now, event, errands, actions),
            Input::Own { from } => {
                self.ours = true;
                self.reported = None;
                // What still runs from an earlier office need not run twice.
                let known = |event: &Event| self.queue.iter().any(|job| job.event.id == event.id);
                let due: Vec<_> = self
                    .kept
                    .iter()
                    .filter(|(event, _)| event.id >= from && !known(event))
                    .cloned()
                    .collect();
                for (event, errands) in due {
                    self.enqueue(now, &event, errands, actions);
                }
            }
            Input::Disown => {
                self.ours = false;
                // What runs is let run; it is the next one's business whether it runs again.
                self.queue.retain(Job::running);
            }
            Input::Started { job, pid } => {
                if let Some(State::Running { pid: known, .. }) =
                    self.queue.iter_mut().find(|known| known.id == job).map(|job| &mut job.state)
                {
                    *known = pid;
                }
            }
            Input::Ended { job, ending } => self.ended(now, pace, job, ending, actions),
            Input::Tick => {}
        }
        self.start(now, pace, actions);
        self.report(actions);
    }

    fn event(&mut self, now: Instant, event: Event, errands: Vec<Errand>, actions: &mut Vec<Action>) {
        self.newest = self.newest.max(event.id);
        if errands.is_empty() {
            return;
        }
        if self.ours {
            self.enqueue(now, &event, errands.clone(), actions);
        }
        self.kept.push_back((event, errands));
        while self.kept.len() > KEPT_MAX {
            self.kept.pop_front();
        }
    }

    fn enqueue(&mut self, now: Instant, event: &Event, errands: Vec<Errand>, actions: &mut Vec<Action>) {
        for errand in errands {
            self.next_id += 1;
            let id = JobId(self.next_id);
            let state = State::Waiting { until: now };
            self.queue.push_back(Job { id, event: event.clone(), errand, retries: 0, state });
            if self.queue.len() > QUEUE_MAX
                && let Some(at) = self.queue.iter().position(|job| !job.running())
                && let Some(dropped) = self.queue.remove(at)
            {
                let payload = format!("{} 0 0", dropped.errand.name());
                actions.push(Action::Told { kind: EventKind::ScriptError, payload });
            }
        }
    }

    fn start(&mut self, now: Instant, pace: Pace, actions: &mut Vec<Action>) {
        let mut running = self.queue.iter().filter(|job| job.running()).count();
        for job in &mut self.queue {
            let State::Waiting { until } = job.state else { continue };
            if running >= PARALLEL_MAX || !self.ours {
                return;
            }
            if until > now {
                continue;
            }
            running += 1;
            job.state = State::Running { since: now, pid: 0 };
            let limit = match &job.errand {
                Errand::Script { .. } => pace.script_max_runtime,
                Errand::Hook { hook, .. } => hook.deadline(),
            };
            let (event, errand) = (Box::new(job.event.clone()), Box::new(job.errand.clone()));
            actions.push(Action::Run { job: job.id, event, errand, limit });
        }
    }

    /// Exit 1 and signals are tried again, later each time; another status is the script's last word.
    fn ended(&mut self, now: Instant, pace: Pace, id: JobId, ending: Ending, actions: &mut Vec<Action>) {
        let Some(at) = self.queue.iter().position(|job| job.id == id) else { return };
        let job = &mut self.queue[at];
        let (signal, exit) = match ending {
            Ending::Exit(status) => (0, status),
            Ending::Signal(signal) => (signal, 0),
            Ending::TimedOut => (9, 0),
        };
        if ending == Ending::TimedOut {
            let pid = match job.state {
                State::Running { pid, .. } => pid,
                State::Waiting { .. } => 0,
            };
            let payload = format!("{} {pid}", job.errand.name());
            actions.push(Action::Told { kind: EventKind::ScriptTimeout, payload });
        }
        let again = (signal != 0 || exit == 1) && job.retries < RETRIES_MAX;
        if again && self.ours {
            let delay = pace.script_retry_delay * 2u32.saturating_pow(job.retries);
            job.retries += 1;
            job.state = State::Waiting { until: now + delay };
            return;
        }
        if signal != 0 || exit != 0 {
            let payload = format!("{} {signal} {exit}", job.errand.name());
            actions.push(Action::Told { kind: EventKind::ScriptError, payload });
        }
        self.queue.remove(at);
    }

    fn report(&mut self, actions: &mut Vec<Action>) {
        let oldest = self.queue.iter().map(|job| job.event.id).min();
        let up_to = oldest.map_or(self.newest, |oldest| oldest.saturating_sub(1));
        if self.ours && self.reported.is_none_or(|reported| reported < up_to) {
            self.reported = Some(up_to);
            actions.push(Action::Progress { up_to });
        }
    }
}

impl Job {
    pub fn running(&self) -> bool {
        matches!(self.state, State::Running { .. })
    }
}

#[cfg(test)]
#[path = "errands_tests.rs"]
mod tests;
