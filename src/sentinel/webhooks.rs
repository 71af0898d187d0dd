//! How far the deliveries of this node are, gathered and told to the log a few times a second; and
//! whose business deliveries are. Knows no receiver.

use super::Action;
use super::decision::Decision;
use super::node::Sentinel;
use crate::model::status::{DeadLetterStatus, WebhookStatus};
use crate::model::webhook::{DeadLetter, Progress};
use crate::stdx::time::{Duration, Instant, Now};
use std::collections::BTreeMap;

const PACE: Duration = Duration::from_millis(200);
/// Dead letters in one entry of the log; the others come with the next.
const DEAD_AT_ONCE: usize = 32;

/// What the log is still to be told.
#[derive(Debug, Default)]
pub(super) struct Reports {
    cursors: BTreeMap<String, u64>,
    dropped: BTreeMap<String, u64>,
    dead: BTreeMap<String, Vec<DeadLetter>>,
    replayed: BTreeMap<String, Vec<u64>>,
    disabled: BTreeMap<String, String>,
    pub due: Option<Instant>,
}

impl Reports {
    pub fn take(&mut self, now: Instant, progress: Progress) {
        let Progress { webhook, up_to, dead, lost, replayed, disabled } = progress;
        let known = self.cursors.entry(webhook.clone()).or_default();
        *known = (*known).max(up_to);
        let dropped = dead.len() as u64 + lost;
        if dropped > 0 {
            *self.dropped.entry(webhook.clone()).or_default() += dropped;
        }
        if !dead.is_empty() {
            self.dead.entry(webhook.clone()).or_default().extend(dead);
        }
        if !replayed.is_empty() {
            self.replayed.entry(webhook.clone()).or_default().extend(replayed);
        }
        if let Some(why) = disabled {
            self.disabled.insert(webhook, why);
        }
        self.due.get_or_insert(now + PACE);
    }

    /// One entry's worth. What is counted as dropped travels with the letters of its webhook.
    fn next(&mut self) -> Decision {
        let mut dead = BTreeMap::new();
        let mut dropped = BTreeMap::new();
        let mut room = DEAD_AT_ONCE;
        for (name, letters) in &mut self.dead {
            let now: Vec<DeadLetter> = letters.drain(..letters.len().min(room)).collect();
            room -= now.len();
            let all = letters.is_empty();
            let count = self.dropped.get_mut(name).map_or(0, |count| {
                let told = if all { *count } else { now.len() as u64 };
                *count -= told;
                told
            });
            if count > 0 {
                dropped.insert(name.clone(), count);
            }
            if !now.is_empty() {
                dead.insert(name.clone(), now);
            }
        }
        self.dead.retain(|_, letters| !letters.is_empty());
        self.dropped.retain(|name, count| {
            let later = self.dead.contains_key(name);
            if !later && *count > 0 {
                *dropped.entry(name.clone()).or_default() += *count;
            }
            later
        });
        Decision::Webhooks {
            cursors: std::mem::take(&mut self.cursors),
            dropped,
            dead,
            replayed: std::mem::take(&mut self.replayed),
            disabled: std::mem::take(&mut self.disabled),
        }
    }

    /// The log did not take it.
    fn put_back(&mut self, decision: Decision) {
        let Decision::Webhooks { cursors, dropped, dead, replayed, disabled } = decision else { return };
        for (name, cursor) in cursors {
            let known = self.cursors.entry(name).or_default();
            *known = (*known).max(cursor);
        }
        for (name, count) in dropped {
            *self.dropped.entry(name).or_default() += count;
        }
        for (name, mut letters) in dead {
            let later = self.dead.remove(&name).unwrap_or_default();
            letters.extend(later);
            self.dead.insert(name, letters);
        }
        for (name, ids) in replayed {
            self.replayed.entry(name).or_default().extend(ids);
        }
        self.disabled.extend(disabled);
    }
}

impl Sentinel {
    pub(super) fn assign_webhooks(&self, ours: bool, actions: &mut Vec<Action>) {
        for webhook in &self.config.webhooks {
            let office = ours.then(|| self.ledger.webhook_office(&webhook.name));
            actions.push(Action::Webhook { name: webhook.name.clone(), office });
        }
    }

    pub(super) fn report_webhooks(&mut self, now: Now, actions: &mut Vec<Action>) {
        if !self.in_office() || self.webhooks.due.is_none_or(|at| at > now.mono) {
            return;
        }
        let decision = self.webhooks.next();
        if self.propose(now, vec![decision.clone()], actions).is_err() {
            self.webhooks.put_back(decision);
        }
        let left = !self.webhooks.cursors.is_empty() || !self.webhooks.dead.is_empty();
        self.webhooks.due = left.then(|| now.mono + PACE);
    }

    /// What the log knows of deliveries; what only their owner knows is laid over by the shell.
    pub(super) fn webhook_statuses(&self) -> Vec<WebhookStatus> {
        let status = |webhook: &crate::config::webhook::WebhookConfig| {
            let delivered_up_to = self.ledger.webhooks.get(&webhook.name).copied().unwrap_or(0);
            let care = self.ledger.webhook_cares.get(&webhook.name);
            let filter = webhook.filter();
            let waiting = self.ledger.events_after(delivered_up_to).filter(|event| filter.wants(event));
            let replay = care.map_or(0, |care| care.replay.len());
            let dead = care.map(|care| care.dead.iter().map(dead_letter).collect());
            WebhookStatus {
                name: webhook.name.clone(),
                format: webhook.format.clone(),
                delivered_up_to,
                pending: (waiting.count() + replay) as u64,
                disabled: care.and_then(|care| care.disabled.clone()),
                dead: dead.unwrap_or_default(),
                given_up: care.map_or(0, |care| care.given_up),
                ..WebhookStatus::default()
            }
        };
        self.config.webhooks.iter().map(status).collect()
    }
}

fn dead_letter(letter: &DeadLetter) -> DeadLetterStatus {
    let event = &letter.event;
    let (group, why) = (event.group.clone(), letter.why.clone());
    DeadLetterStatus { id: event.id, at_ms: event.at_ms, kind: event.kind, group, why }
}
