//! The lock itself: acquired in three rounds, renewed every third of its ttl, given back.
//!
//! The rounds of an acquisition, and why the fence holds without any clock:
//! 1. `Acquire` at all servers. Those that granted are the *electors*; they stay the same from here on.
//! 2. `ReadFence` at the electors, answered only while our token stands there. The fence is the greatest
//!    of a majority, plus one.
//! 3. `Renew` at the electors with that fence, done only while our token stands there. After a majority
//!    of these the lock is ours.
//!
//! Two holders A and B share an elector s where A raised and B read. Their tokens stood at s one after
//! the other: if A's first, B read A's fence and has a greater one. Otherwise B's token was gone from s
//! before A's came, and at the elector t where B raised and A read the same holds the other way round: A's
//! was gone from t before B's came. But A read t after all of A's electors had granted, so after B's token
//! was gone from s, so after B had read; and B read after all of B's had granted, so after A's token was
//! gone from t, so after A had read there: each before the other, which cannot be. So one of the two is
//! greater, and if A was done before B began it is B's.

use super::round::{Round, Said};
use super::validity::{counts_from, old_enough, valid_until};
use super::{Action, Answer, Grant, Input, Loss, Plan, Refusal, Request, Wait};
use crate::stdx::Rng;
use crate::stdx::tally::{Verdict, majority};
use crate::stdx::time::Instant;
use std::time::Duration;

/// Without waiting, when nobody has a majority: so many attempts before it is called a conflict.
const SPLIT_ATTEMPTS: u32 = 8;

#[derive(Clone, Debug)]
enum Phase {
    /// For the next attempt.
    Waiting {
        until: Instant,
    },
    Setting {
        /// A majority is there; so long the others may still join.
        settled_at: Option<Instant>,
        /// Who has it where.
        holders: Vec<Option<Vec<u8>>>,
    },
    Reading {
        electors: Vec<bool>,
        greatest: u64,
    },
    Raising {
        fence: u64,
    },
    Held(Holding),
    /// What is said when the tokens are deleted.
    Returning {
        then: Action,
    },
    Over,
}

#[derive(Clone, Debug)]
struct Holding {
    grant: Grant,
    renew_at: Instant,
    renewing: bool,
    /// Told to stop.
    expiring: bool,
}

#[derive(Debug)]
pub struct Lock {
    plan: Plan,
    secret: String,
    attempt: u32,
    chance: Rng,
    give_up_at: Option<Instant>,
    phase: Phase,
    round: Round,
    next_id: u64,
    troubles: Vec<Option<String>>,
}

impl Lock {
    /// Begins the first attempt. `secret` is to be random and long (160 bits): tokens are made of it.
    /// `seed` only spreads retries.
    pub fn acquire(plan: Plan, secret: &str, seed: u64, now: Instant) -> (Lock, Vec<Action>) {
        let give_up_at = match plan.wait {
            Wait::No => Some(now),
            Wait::For(wait) => Some(now + wait),
            Wait::Forever => None,
        };
        let servers = plan.servers;
        let mut lock = Lock {
            plan,
            secret: secret.to_owned(),
            attempt: 0,
            chance: Rng::with_seed(seed),
            give_up_at,
            phase: Phase::Over,
            round: Round { id: 0, started: now, deadline: now, said: vec![Said::NotAsked; servers] },
            next_id: 1,
            troubles: vec![None; servers],
        };
        let mut actions = Vec::new();
        lock.begin(now, &mut actions);
        (lock, actions)
    }

    /// What stands in the key: another one at every attempt, so that no late answer or late command of
    /// one attempt is taken for the next.
    pub fn token(&self) -> String {
        match self.attempt {
            0 | 1 => self.secret.clone(),
            attempt => format!("{}.{attempt}", self.secret),
        }
    }

    /// What is held now, if anything is.
    pub fn held(&self, now: Instant) -> Option<&Grant> {
        match &self.phase {
            Phase::Held(holding) if now < holding.grant.valid_until => Some(&holding.grant),
            _ => None,
        }
    }

    /// Why servers did not count when they were last asked.
    pub fn troubles(&self) -> Vec<(usize, &str)> {
        let told = self.troubles.iter().enumerate();
        told.filter_map(|(server, trouble)| Some((server, trouble.as_deref()?))).collect()
    }

    pub fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Over)
    }

    /// When a `Tick` is due.
    pub fn next_wake(&self) -> Option<Instant> {
        match &self.phase {
            Phase::Waiting { until } => Some(*until),
            Phase::Setting { settled_at: Some(at), .. } => Some(self.round.deadline.min(*at)),
            Phase::Setting { .. }
            | Phase::Reading { .. }
            | Phase::Raising { .. }
            | Phase::Returning { .. } => Some(self.round.deadline),
            Phase::Held(holding) => {
                let step = if holding.renewing { self.round.deadline } else { holding.renew_at };
                let end = holding.grant.valid_until;
                let end = if holding.expiring { end } else { end.earlier_by(self.plan.stop_margin) };
                Some(step.min(end))
            }
            Phase::Over => None,
        }
    }

    pub fn handle(&mut self, now: Instant, input: Input) -> Vec<Action> {
        let mut actions = Vec::new();
        // First what time alone has decided: after a pause an answer must not revive what is over.
        self.expire(now, &mut actions);
        match input {
            Input::Tick => {}
            Input::Answered { server, id, answer } => {
                if id == self.round.id && server < self.plan.servers {
                    self.hear(server, answer, &mut actions);
                }
            }
            Input::GiveBack => match self.phase {
                Phase::Over | Phase::Returning { .. } => {}
                Phase::Held(_) => self.give_back(now, Action::Released, &mut actions),
                _ => self.give_back(now, Action::Refused(Refusal::GivenBack), &mut actions),
            },
        }
        self.proceed(now, &mut actions);
        actions
    }

    fn begin(&mut self, now: Instant, actions: &mut Vec<Action>) {
        self.attempt = self.attempt.saturating_add(1);
        self.phase = Phase::Setting { settled_at: None, holders: vec![None; self.plan.servers] };
        let request = Request::Acquire { ttl: self.plan.ttl };
        self.ask(now, &vec![true; self.plan.servers], &request, actions);
    }

    fn ask(&mut self, now: Instant, whom: &[bool], request: &Request, actions: &mut Vec<Action>) {
        let times = (now, now + self.plan.patience);
        self.round = Round::ask(self.next_id, whom, times, (&self.token(), request), actions);
        self.next_id += 1;
    }

    fn expire(&mut self, now: Instant, actions: &mut Vec<Action>) {
        let margin = self.plan.stop_margin;
        let Phase::Held(holding) = &mut self.phase else { return };
        if now >= holding.grant.valid_until {
            self.lose(now, Loss::Expired, actions);
        } else if !holding.expiring && now >= holding.grant.valid_until.earlier_by(margin) {
            holding.expiring = true;
            actions.push(Action::Expiring);
        }
    }

    fn lose(&mut self, now: Instant, loss: Loss, actions: &mut Vec<Action>) {
        actions.push(Action::Lost(loss));
        self.give_back(now, Action::Released, actions);
    }

    /// Deletes the token everywhere, also where nobody answered.
    fn give_back(&mut self, now: Instant, then: Action, actions: &mut Vec<Action>) {
        self.ask(now, &vec![true; self.plan.servers], &Request::Release, actions);
        self.phase = Phase::Returning { then };
    }

    fn hear(&mut self, server: usize, answer: Answer, actions: &mut Vec<Action>) {
        if self.round.said[server] != Said::Silent {
            return;
        }
        if matches!(self.phase, Phase::Waiting { .. } | Phase::Returning { .. } | Phase::Over) {
            // How a rollback went changes nothing of why it was needed.
            self.round.said[server] = Said::Yes;
            return;
        }
        let guard = self.plan.restart_guard;
        let mut trouble = None;
        let said = match (&mut self.phase, answer) {
            (Phase::Setting { .. }, Answer::Granted { uptime }) if old_enough(uptime, guard) => Said::Yes,
            (Phase::Setting { .. }, Answer::Granted { uptime }) => {
                trouble = Some(format!(
                    "it is up for {} s and may have forgotten a lock: it counts from {} s on",
                    uptime.as_secs(),
                    counts_from(guard).as_secs()
                ));
                Said::No
            }
            (Phase::Setting { holders, .. }, Answer::Taken { holder }) => {
                holders[server] = Some(holder);
                Said::No
            }
            (Phase::Reading { greatest, .. }, Answer::Fence(fence)) => {
                *greatest = (*greatest).max(fence);
                Said::Yes
            }
            (Phase::Raising { .. } | Phase::Held(_), Answer::Renewed) => Said::Yes,
            (Phase::Held(_), Answer::NotOurs) => {
                // It restarted, or was away when the others granted. Taken again it helps from the next
                // round on; in this one it is no: in between somebody else may have had it.
                trouble = Some("the key was not there, or not ours".to_owned());
                let (id, token) = (self.next_id, self.token());
                let request = Request::Acquire { ttl: self.plan.ttl };
                self.next_id += 1;
                actions.push(Action::Ask { server, id, token, request });
                Said::Gone
            }
            (_, Answer::Failed(why)) => {
                trouble = Some(why);
                Said::No
            }
            (_, _) => Said::No,
        };
        self.round.said[server] = said;
        self.troubles[server] = trouble;
    }

    /// What the round and the time say.
    fn proceed(&mut self, now: Instant, actions: &mut Vec<Action>) {
        let verdict = self.round.verdict(now);
        match &mut self.phase {
            Phase::Waiting { until } => {
                if now >= *until {
                    self.begin(now, actions);
                }
            }
            Phase::Setting { settled_at, .. } => match verdict {
                Verdict::Impossible => self.fail(now, actions),
                Verdict::Pending => {}
                Verdict::Reached => {
                    let settled = *settled_at.get_or_insert(now + self.plan.patience / 4);
                    if self.round.silent() == 0 || now >= settled.min(self.round.deadline) {
                        self.read_fence(now, actions);
                    }
                }
            },
            Phase::Reading { electors, greatest } => match verdict {
                Verdict::Impossible => self.fail(now, actions),
                Verdict::Pending => {}
                Verdict::Reached => {
                    let (electors, fence) = (electors.clone(), greatest.saturating_add(1));
                    self.phase = Phase::Raising { fence };
                    let request = Request::Renew { ttl: self.plan.ttl, fence };
                    self.ask(now, &electors, &request, actions);
                }
            },
            Phase::Raising { fence } => match verdict {
                Verdict::Impossible => self.fail(now, actions),
                Verdict::Pending => {}
                Verdict::Reached => {
                    let fence = *fence;
                    self.hold(now, fence, actions);
                }
            },
            Phase::Held(_) => self.keep(now, verdict, actions),
            Phase::Returning { then } => {
                if self.round.silent() == 0 || now >= self.round.deadline {
                    actions.push(then.clone());
                    self.phase = Phase::Over;
                }
            }
            Phase::Over => {}
        }
    }

    fn read_fence(&mut self, now: Instant, actions: &mut Vec<Action>) {
        if now >= valid_until(self.round.started, self.plan.ttl) {
            return self.fail(now, actions);
        }
        let electors = self.round.yes();
        self.ask(now, &electors, &Request::ReadFence, actions);
        self.phase = Phase::Reading { electors, greatest: 0 };
    }

    fn hold(&mut self, now: Instant, fence: u64, actions: &mut Vec<Action>) {
        let valid_until = valid_until(self.round.started, self.plan.ttl);
        if now >= valid_until.earlier_by(self.plan.stop_margin) {
            return self.fail(now, actions);
        }
        let grant = Grant { token: self.token(), fence, valid_until };
        actions.push(Action::Acquired(grant.clone()));
        let renew_at = self.round.started + self.plan.ttl / 3;
        self.phase = Phase::Held(Holding { grant, renew_at, renewing: false, expiring: false });
    }

    fn keep(&mut self, now: Instant, verdict: Verdict, actions: &mut Vec<Action>) {
        let (ttl, servers, patience) = (self.plan.ttl, self.plan.servers, self.plan.patience);
        let (started, gone) = (self.round.started, self.round.count(Said::Gone));
        let Phase::Held(holding) = &mut self.phase else { return };
        if holding.renewing {
            match verdict {
                Verdict::Pending => {}
                Verdict::Reached => {
                    holding.renewing = false;
                    holding.grant.valid_until = valid_until(started, ttl);
                    holding.renew_at = started + ttl / 3;
                    actions.push(Action::Renewed(holding.grant.clone()));
                }
                Verdict::Impossible => {
                    holding.renewing = false;
                    holding.renew_at = now + patience / 2;
                    if gone > servers - majority(servers) {
                        self.lose(now, Loss::Taken, actions);
                    }
                }
            }
        } else if now >= holding.renew_at {
            holding.renewing = true;
            let request = Request::Renew { ttl, fence: holding.grant.fence };
            self.ask(now, &vec![true; servers], &request, actions);
        }
    }

    /// This attempt came to nothing: roll back, and try again or give up.
    fn fail(&mut self, now: Instant, actions: &mut Vec<Action>) {
        for (trouble, said) in self.troubles.iter_mut().zip(&self.round.said) {
            if *said == Said::Silent && now >= self.round.deadline {
                *trouble = Some(format!("no answer within {} ms", self.plan.patience.as_millis()));
            }
        }
        let (refusal, split) = self.judge();
        let again = match self.give_up_at {
            None => true,
            Some(end) => now < end || (split && self.plan.wait == Wait::No && self.attempt < SPLIT_ATTEMPTS),
        };
        if !again {
            return self.give_back(now, Action::Refused(refusal), actions);
        }
        self.ask(now, &vec![true; self.plan.servers], &Request::Release, actions);
        let until = now + self.delay();
        let until = self.give_up_at.filter(|end| *end > now).map_or(until, |end| until.min(end));
        self.phase = Phase::Waiting { until };
    }

    /// Why it failed, and whether several are at it of whom nobody has a majority.
    fn judge(&self) -> (Refusal, bool) {
        let Phase::Setting { holders, .. } = &self.phase else { return (Refusal::Unreachable, false) };
        let majority = majority(self.plan.servers);
        let taken = holders.iter().flatten();
        let answered = taken.clone().count() + self.round.yes().iter().filter(|yes| **yes).count();
        if answered < majority {
            return (Refusal::Unreachable, false);
        }
        let one_has_it =
            taken.clone().any(|holder| taken.clone().filter(|other| *other == holder).count() >= majority);
        (Refusal::Conflict, !one_has_it)
    }

    fn delay(&mut self) -> Duration {
        let (least, most) = (self.plan.retry.0.as_micros() as u64, self.plan.retry.1.as_micros() as u64);
        Duration::from_micros(self.chance.u64(least..=most.max(least)))
    }
}
