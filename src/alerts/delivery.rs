//! What is still to be delivered, as data: `(state, now, input) -> actions`.
//!
//! All webhooks read one bounded ring of recent events, each from its own cursor, one request in
//! flight each: so the order holds, memory is bounded, and a dead receiver delays nobody. A new owner
//! starts at the committed cursor, so what the last owner delivered but could not commit comes again,
//! under the same id.
//!
//! The ring must be fed on every node, with replayed events too, before [`Input::Own`]: events from
//! `from` on that it does not hold count as dropped, since nobody can deliver them any more.

use crate::alerts::{HttpRequest, Target, request};
use crate::model::event::{Event, EventKind};
use crate::model::status::WebhookStatus;
use crate::stdx::Rng;
use crate::stdx::time::{Duration, Instant, Now};
use std::collections::BTreeMap;

/// Events remembered at most. When there are more, the older half goes at once, so that a webhook
/// that falls behind is one notice and not one per event.
pub const RING: usize = 2048;
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LAST_RETRY: Duration = Duration::from_secs(300);
const GIVE_UP_AFTER: Duration = Duration::from_secs(24 * 3600);
/// A cursor that only passed events nobody wants is committed this late, so that the log is not
/// written for every such event.
const SKIP_REPORT_AFTER: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub enum Input {
    /// The cluster's name, a part of every message's id; nothing is sent before it is known.
    Named { cluster: String },
    /// The moment named by `next_wakeup` has come.
    Tick,
    /// An agreed event, in the order of ids, replayed ones too.
    Event(Event),
    /// Deliveries of this webhook are ours, from this event id on.
    Own { webhook: String, from: u64 },
    /// They are another node's.
    Disown { webhook: String },
    /// The one answer to the one request in flight.
    Answered { webhook: String, answer: Answer },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Status {
        code: u16,
        retry_after: Option<Duration>,
    },
    /// No answer; the text is fit for logs.
    Failed(String),
}

#[derive(Debug, PartialEq, Eq)]
pub enum Action {
    Send {
        webhook: String,
        request: HttpRequest,
    },
    /// Everything up to `up_to` is delivered, unwanted or given up; `dropped` counts the events given
    /// up that must be told.
    Progress {
        webhook: String,
        up_to: u64,
        dropped: Option<u64>,
    },
    /// For the log, at severity warning.
    Notice {
        webhook: String,
        text: String,
    },
}

pub struct Delivery {
    cluster: String,
    webhooks: Vec<Webhook>,
    ring: BTreeMap<u64, Remembered>,
    rng: Rng,
}

struct Remembered {
    event: Event,
    arrived: Instant,
}

struct Webhook {
    target: Target,
    owned_since: Option<Instant>,
    /// Everything up to here is done with.
    cursor: u64,
    /// What the log was last told.
    reported: u64,
    report_at: Option<Instant>,
    in_flight: Option<u64>,
    retry_at: Option<Instant>,
    failures_in_a_row: u32,
    failures: u64,
    last_error: Option<String>,
    /// The receiver said 410: it wants no more, until this process starts anew.
    gone: bool,
}

impl Delivery {
    /// `cluster` may still be empty: a fleet gets its name when its sentinels first agree.
    pub fn new(cluster: String, targets: Vec<Target>, rng: Rng) -> Delivery {
        let webhooks = targets.into_iter().map(|target| Webhook {
            target,
            owned_since: None,
            cursor: 0,
            reported: 0,
            report_at: None,
            in_flight: None,
            retry_at: None,
            failures_in_a_row: 0,
            failures: 0,
            last_error: None,
            gone: false,
        });
        Delivery { cluster, webhooks: webhooks.collect(), ring: BTreeMap::new(), rng }
    }

    pub fn handle(&mut self, now: Now, input: Input, actions: &mut Vec<Action>) {
        match input {
            Input::Tick => {}
            Input::Named { cluster } => self.cluster = cluster,
            Input::Event(event) => self.remember(now, event, actions),
            Input::Own { webhook, from } => self.own(now, &webhook, from),
            Input::Disown { webhook } => {
                if let Some(webhook) = self.find(&webhook) {
                    webhook.owned_since = None;
                }
            }
            Input::Answered { webhook, answer } => self.answered(now, &webhook, answer, actions),
        }
        // Without the name an id would be another one after a restart, and a repeat not be known as one.
        if self.cluster.is_empty() {
            return;
        }
        for webhook in &mut self.webhooks {
            webhook.go_on(now, &self.ring, &self.cluster, actions);
        }
    }

    pub fn next_wakeup(&self) -> Option<Instant> {
        let owned = self.webhooks.iter().filter(|webhook| webhook.owned_since.is_some());
        owned
            .flat_map(|webhook| {
                let idle = webhook.in_flight.is_none() && !webhook.gone;
                [webhook.report_at, webhook.retry_at.filter(|_| idle)]
            })
            .flatten()
            .min()
    }

    /// Of the webhooks that are ours; what others deliver, only they know.
    pub fn status(&self) -> Vec<WebhookStatus> {
        let owned = self.webhooks.iter().filter(|webhook| webhook.owned_since.is_some());
        owned.map(|webhook| webhook.status(&self.ring)).collect()
    }

    fn find(&mut self, name: &str) -> Option<&mut Webhook> {
        self.webhooks.iter_mut().find(|webhook| webhook.target.name == name)
    }

    fn remember(&mut self, now: Now, event: Event, actions: &mut Vec<Action>) {
        self.ring.entry(event.id).or_insert(Remembered { event, arrived: now.mono });
        if self.ring.len() <= RING {
            return;
        }
        let keep_from = self.ring.keys().nth(self.ring.len() - RING / 2).copied().unwrap_or(0);
        let kept = self.ring.split_off(&keep_from);
        let lost = std::mem::replace(&mut self.ring, kept);
        for webhook in self.webhooks.iter_mut().filter(|webhook| webhook.owned_since.is_some()) {
            webhook.overflowed(&lost, actions);
        }
    }

    fn own(&mut self, now: Now, name: &str, from: u64) {
        let Some(webhook) = self.find(name) else { return };
        let committed = from.saturating_sub(1);
        if webhook.owned_since.is_some() {
            webhook.cursor = webhook.cursor.max(committed);
            return;
        }
        webhook.owned_since = Some(now.mono);
        webhook.cursor = committed;
        webhook.reported = committed;
        webhook.report_at = None;
        webhook.retry_at = None;
        webhook.failures_in_a_row = 0;
    }

    fn answered(&mut self, now: Now, name: &str, answer: Answer, actions: &mut Vec<Action>) {
        let chance = self.rng.f64();
        let Some(webhook) = self.webhooks.iter_mut().find(|webhook| webhook.target.name == name) else {
            return;
        };
        let Some(id) = webhook.in_flight.take() else { return };
        let Some(owned_since) = webhook.owned_since else { return };
        if id <= webhook.cursor {
            return;
        }
        let (why, retry_after) = match answer {
            Answer::Status { code: 200..=299, .. } => {
                webhook.failures_in_a_row = 0;
                webhook.retry_at = None;
                webhook.last_error = None;
                return webhook.advance(id, None, actions);
            }
            Answer::Status { code: 410, .. } => {
                webhook.gone = true;
                webhook
                    .failed("the receiver answered 410 Gone: disabled until this sentinel restarts", actions);
                return webhook.advance(id, Some(1), actions);
            }
            Answer::Status { code: code @ 300..=399, retry_after } => {
                (format!("the receiver answered {code}; redirects are not followed"), retry_after)
            }
            Answer::Status { code, retry_after } => (format!("the receiver answered {code}"), retry_after),
            Answer::Failed(why) => (why, None),
        };
        webhook.failed(&why, actions);
        let wait = webhook.backoff(chance).max(retry_after.unwrap_or_default().min(LAST_RETRY));
        webhook.retry_at = Some(now.mono + wait);
        let Some(held) = self.ring.get(&id) else { return };
        let since = held.arrived.max(owned_since);
        if now.mono - since >= GIVE_UP_AFTER {
            let told = tell(held.event.kind).then_some(1);
            let text = format!("gave up on event {id} after 24 hours");
            actions.push(Action::Notice { webhook: name.to_owned(), text });
            webhook.advance(id, told, actions);
        }
    }
}

/// To tell that a notice of a drop was dropped would never end.
fn tell(kind: EventKind) -> bool {
    kind != EventKind::WebhookDropped
}

impl Webhook {
    /// Passes what nobody wants, sends what is next, commits what is due.
    fn go_on(
        &mut self,
        now: Now,
        ring: &BTreeMap<u64, Remembered>,
        cluster: &str,
        actions: &mut Vec<Action>,
    ) {
        if self.owned_since.is_none() {
            return;
        }
        self.pass_lost(ring, actions);
        self.retry_at = self.retry_at.filter(|&at| at > now.mono);
        if self.in_flight.is_none() && !self.gone {
            let next = ring.range(self.cursor + 1..).find(|(id, held)| {
                let wanted = self.target.wants(held.event.kind);
                if !wanted {
                    self.cursor = **id;
                }
                wanted
            });
            if let Some((id, held)) = next
                && self.retry_at.is_none()
            {
                self.in_flight = Some(*id);
                let request = request(&held.event, &self.target, cluster, now.wall);
                actions.push(Action::Send { webhook: self.target.name.clone(), request });
            }
        }
        if self.cursor > self.reported {
            let at = *self.report_at.get_or_insert(now.mono + SKIP_REPORT_AFTER);
            if at <= now.mono {
                self.advance(self.cursor, None, actions);
            }
        }
    }

    /// What this node never held and nobody can hand it any more.
    fn pass_lost(&mut self, ring: &BTreeMap<u64, Remembered>, actions: &mut Vec<Action>) {
        let Some((&first, _)) = ring.first_key_value() else { return };
        if self.cursor + 1 >= first {
            return;
        }
        // A webhook without a committed cursor is new: it starts with what is there.
        if self.cursor > 0 {
            self.give_up(self.cursor + 1, first - 1, first - 1 - self.cursor, actions);
        } else {
            self.cursor = first - 1;
        }
    }

    /// The receiver was too slow for what is remembered.
    fn overflowed(&mut self, lost: &BTreeMap<u64, Remembered>, actions: &mut Vec<Action>) {
        let Some((&last, _)) = lost.last_key_value() else { return };
        if self.cursor >= last {
            return;
        }
        let from = self.cursor + 1;
        let told = lost
            .range(from..)
            .filter(|(_, held)| self.target.wants(held.event.kind) && tell(held.event.kind));
        self.give_up(from, last, told.count() as u64, actions);
    }

    fn give_up(&mut self, from: u64, up_to: u64, count: u64, actions: &mut Vec<Action>) {
        let text = format!("events {from} to {up_to} are no longer held here: {count} were not delivered");
        actions.push(Action::Notice { webhook: self.target.name.clone(), text });
        self.advance(up_to, (count > 0).then_some(count), actions);
    }

    fn advance(&mut self, up_to: u64, dropped: Option<u64>, actions: &mut Vec<Action>) {
        self.cursor = up_to;
        self.reported = up_to;
        self.report_at = None;
        actions.push(Action::Progress { webhook: self.target.name.clone(), up_to, dropped });
    }

    fn failed(&mut self, why: &str, actions: &mut Vec<Action>) {
        self.failures += 1;
        self.failures_in_a_row = self.failures_in_a_row.saturating_add(1);
        // A receiver that is down for a day is one line at the start and one an hour, not hundreds.
        if self.last_error.as_deref() != Some(why) || self.failures_in_a_row.is_multiple_of(12) {
            let text =
                format!("{}: {why} (failure {} in a row)", self.target.endpoint, self.failures_in_a_row);
            actions.push(Action::Notice { webhook: self.target.name.clone(), text });
        }
        self.last_error = Some(why.to_owned());
    }

    /// Doubles from 1 to 300 seconds; half of it is chance, so that receivers that come back are not
    /// met by everyone at once.
    fn backoff(&self, chance: f64) -> Duration {
        let doublings = self.failures_in_a_row.clamp(1, 16);
        let most = FIRST_RETRY.saturating_mul(1 << doublings).min(LAST_RETRY);
        most.mul_f64(0.5 + 0.5 * chance.clamp(0.0, 1.0))
    }

    fn status(&self, ring: &BTreeMap<u64, Remembered>) -> WebhookStatus {
        let waiting = ring.range(self.cursor + 1..).filter(|(_, held)| self.target.wants(held.event.kind));
        WebhookStatus {
            name: self.target.name.clone(),
            delivered_up_to: self.cursor,
            pending: waiting.count() as u64,
            failures: self.failures,
            last_error: self.last_error.clone(),
        }
    }
}

#[cfg(test)]
mod tests;
