//! The pre-failover hook: asked as soon as a failover has begun, beside freezing, so that a quick answer costs no
//! time; heeded before anybody is named. A new leader asks again.

use super::Action;
use super::decision::{AbortKind, Cause, Decision};
use super::failover::Conduct;
use super::lead::Work;
use super::ledger::Failover;
use super::node::{Sentinel, Timer};
use super::prospect::prospect;
use super::registry::Instance;
use crate::config::hooks::{Forced, HookConfig, OnError};
use crate::model::event::EventKind;
use crate::model::{Address, Epoch};
use crate::stdx::time::{Duration, Instant, Now};
use serde_json::json;

/// What a hook said of a failover.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Allow,
    /// With its reason.
    Deny(String),
    /// It could not be asked, failed, or was late: why.
    Failed(String),
}

/// How far asking has come.
#[derive(Debug, Default)]
pub(super) struct Veto {
    asked_at: Option<Instant>,
    verdict: Option<Verdict>,
}

/// The shell keeps the deadline; should its word be lost, it is not waited for much longer.
const SPARE: Duration = Duration::from_secs(1);
const PROGRESS_PACE: Duration = Duration::from_secs(1);
const REASON_CHARS_MAX: usize = 300;
/// What waits to be told of failed scripts; more than that says nothing new.
const TOLD_MAX: usize = 64;

impl Sentinel {
    pub(super) fn hook_answered(&mut self, now: Instant, group: &str, epoch: Epoch, verdict: Verdict) {
        let Some(own) = self.groups.get_mut(group) else { return };
        if let Some(conduct) = own.conduct.as_mut().filter(|conduct| conduct.epoch == epoch) {
            conduct.veto.verdict = Some(verdict);
            self.schedule.sooner(&Timer::Group(group.to_owned()), now);
        }
    }

    pub(super) fn assign_errands(&self, ours: bool, actions: &mut Vec<Action>) {
        actions.push(Action::Errands { from: ours.then_some(self.ledger.errands + 1) });
    }

    pub(super) fn errands_progress(&mut self, now: Now, up_to: u64) {
        if up_to > self.errands_up_to {
            self.errands_up_to = up_to;
            self.next_errands.get_or_insert(now.mono + PROGRESS_PACE);
        }
    }

    pub(super) fn errand_told(&mut self, now: Now, kind: EventKind, payload: String) {
        if self.errands_told.len() < TOLD_MAX {
            self.errands_told.push((kind, payload));
        }
        self.next_errands.get_or_insert(now.mono + PROGRESS_PACE);
    }

    /// What was run is agreed now and then, so that the next leader does not run it again.
    pub(super) fn keep_errands(&mut self, now: Now, actions: &mut Vec<Action>) {
        if !self.in_office() || self.next_errands.is_none_or(|at| at > now.mono) {
            return;
        }
        self.next_errands = None;
        let told = std::mem::take(&mut self.errands_told);
        let up_to = self.errands_up_to;
        if told.is_empty() && up_to <= self.ledger.errands {
            return;
        }
        let decision = Decision::Errands { up_to, told: told.clone() };
        if self.propose(now, vec![decision], actions).is_err() {
            self.errands_told = told;
            self.next_errands = Some(now.mono + PROGRESS_PACE);
        }
    }
}

impl Work<'_> {
    /// Whether the failover has to wait or to end for its hook; `waits`: nothing may go on before it answered.
    pub(super) fn hook_holds(&mut self, failover: &Failover, conduct: &mut Conduct, waits: bool) -> bool {
        let Some(hook) = self.hook.clone() else { return false };
        if failover.cause == Cause::Forced && hook.forced == Forced::Skip {
            return false;
        }
        let asked_at = match conduct.veto.asked_at {
            Some(at) => at,
            None => {
                conduct.veto.asked_at = Some(self.now);
                self.ask_hook(failover, &hook);
                self.now
            }
        };
        let late = self.now.since(asked_at) > hook.deadline() + SPARE;
        let verdict = match &conduct.veto.verdict {
            None if late => Verdict::Failed("no answer".to_owned()),
            None => return waits,
            Some(verdict) => verdict.clone(),
        };
        let reason = match verdict {
            Verdict::Allow => return false,
            Verdict::Failed(_) if hook.on_error == OnError::Allow => return false,
            Verdict::Deny(reason) => reason,
            Verdict::Failed(why) => format!("the hook failed and on-error is deny: {why}"),
        };
        let reason: String = reason.chars().filter(|c| !c.is_control()).take(REASON_CHARS_MAX).collect();
        self.abort(failover, conduct, AbortKind::Vetoed, reason);
        true
    }

    fn ask_hook(&mut self, failover: &Failover, hook: &HookConfig) {
        let group = self.group;
        let members = &group.sync_set().members;
        let seen = |address: &Address| {
            let facts = self.registry.get(address).and_then(Instance::current);
            json!({
                "address": address.to_string(),
                "reachable": facts.is_some(),
                "offset": facts.map(|facts| facts.offset),
                "priority": facts.map(|facts| facts.priority),
                "in_sync": members.contains_key(address),
            })
        };
        let replicas: Vec<_> = group.replicas.iter().map(seen).collect();
        let rule = prospect(group, self.registry, &self.own.trail, self.now).rule;
        let body = json!({
            "hook": "pre-failover",
            "group": group.name,
            "epoch": failover.epoch,
            "cause": failover.cause.name(),
            "mode": super::settings::mode_name(group.settings.mode),
            "master": group.master.to_string(),
            "target": failover.target.as_ref().map(Address::to_string),
            "promotion_rule": rule.explain(),
            "replicas": replicas,
        });
        // Every key is text, so writing it cannot fail.
        let body = serde_json::to_vec(&body).unwrap_or_default();
        let (group, epoch) = (group.name.clone(), failover.epoch);
        self.push(Action::AskHook { group, epoch, hook: hook.clone(), body });
    }
}
