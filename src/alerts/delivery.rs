//! What is still to be delivered, as data: `(state, now, input) -> actions`.
//!
//! All webhooks read one bounded ring of recent events, each from its own cursor, one request in
//! flight each: so the order holds, memory is bounded, and a dead receiver delays nobody. A new owner
//! starts at the committed cursor, so what the last owner delivered but could not commit comes again,
//! under the same id.
//!
//! The ring must be fed on every node, with replayed events too, before [`Input::Own`]: events from
//! `from` on that it does not hold count as dropped, since nobody can deliver them any more.

use crate::alerts::retry::{RETRY_AFTER_MAX, Verdict, verdict};
use crate::alerts::{HttpRequest, Target, request};
use crate::model::event::{Event, EventKind};
use crate::model::status::WebhookStatus;
use crate::model::webhook::{DEAD_MAX, DeadLetter, Office, Progress, shorten};
use crate::stdx::Rng;
use crate::stdx::time::{Duration, Instant, Now, Wall};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Events remembered at most. When there are more, the older half goes at once, so that a webhook
/// that falls behind is one notice and not one per event.
pub const RING: usize = 2048;
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LAST_RETRY: Duration = Duration::from_secs(300);
const GIVE_UP_AFTER: Duration = Duration::from_secs(24 * 3600);
/// A message that the receiver calls unfit is tried so often; those behind it wait no longer.
const UNFIT_TRIES: u32 = 5;
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
    /// Deliveries of this webhook are ours; said again when an operator changed something.
    Own { webhook: String, office: Office },
    /// They are another node's.
    Disown { webhook: String },
    /// The content of its secret file, when it has changed: signs what is sent from now on.
    Renew { webhook: String, secret: crate::config::Secret },
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
    /// For the log that the fleet agrees on.
    Progress(Progress),
    /// For this node's log, at severity warning.
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

/// What a request in flight is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flight {
    Queued(u64),
    Replayed(u64),
}

struct Webhook {
    target: Target,
    owned_since: Option<Instant>,
    /// Everything up to here is done with.
    cursor: u64,
    /// What the log was last told.
    reported: u64,
    report_at: Option<Instant>,
    in_flight: Option<Flight>,
    retry_at: Option<Instant>,
    failures_in_a_row: u32,
    /// How often the message at hand was called unfit.
    unfit: u32,
    failures: u64,
    delivered: u64,
    last_error: Option<String>,
    /// The receiver said 410: it wants no more until an operator says otherwise. The queue waits.
    disabled: Option<String>,
    /// Events that an operator wants sent again, when nothing new waits.
    replay: VecDeque<Remembered>,
    /// Done with, but the log does not know yet.
    replayed: BTreeSet<u64>,
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
            unfit: 0,
            failures: 0,
            delivered: 0,
            last_error: None,
            disabled: None,
            replay: VecDeque::new(),
            replayed: BTreeSet::new(),
        });
        Delivery { cluster, webhooks: webhooks.collect(), ring: BTreeMap::new(), rng }
    }

    pub fn handle(&mut self, now: Now, input: Input, actions: &mut Vec<Action>) {
        match input {
            Input::Tick => {}
            Input::Named { cluster } => self.cluster = cluster,
            Input::Event(event) => self.remember(now, event, actions),
            Input::Own { webhook, office } => {
                if let Some(webhook) = self.find(&webhook) {
                    webhook.own(now, office);
                }
            }
            Input::Renew { webhook, secret } => {
                // Checked before it came here; one that does not parse changes nothing.
                if let Ok(secrets) = Target::read_secrets(&webhook, secret.expose())
                    && let Some(webhook) = self.find(&webhook)
                {
                    webhook.target.secrets = secrets;
                }
            }
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
                let idle = webhook.in_flight.is_none() && webhook.disabled.is_none();
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

    fn answered(&mut self, now: Now, name: &str, answer: Answer, actions: &mut Vec<Action>) {
        let chance = self.rng.f64();
        let ring = &self.ring;
        if let Some(webhook) = self.webhooks.iter_mut().find(|webhook| webhook.target.name == name) {
            webhook.answered(now, ring, answer, chance, actions);
        }
    }
}

/// To tell that a notice of a drop was dropped would never end.
fn tell(kind: EventKind) -> bool {
    kind != EventKind::WebhookDropped
}

impl Webhook {
    fn own(&mut self, now: Now, office: Office) {
        let committed = office.from.saturating_sub(1);
        // What the log no longer wants replayed, it knows to be done.
        self.replayed.retain(|id| office.replay.iter().any(|event| event.id == *id));
        let known = std::mem::take(&mut self.replay);
        let again = office.replay.into_iter().filter(|event| !self.replayed.contains(&event.id));
        self.replay = again
            .map(|event| {
                let arrived = known.iter().find(|held| held.event.id == event.id).map(|held| held.arrived);
                Remembered { event, arrived: arrived.unwrap_or(now.mono) }
            })
            .collect();
        if self.disabled.is_some() && office.disabled.is_none() {
            self.retry_at = None;
            self.last_error = None;
        }
        self.disabled = office.disabled;
        if self.owned_since.is_some() {
            self.cursor = self.cursor.max(committed);
            return;
        }
        self.owned_since = Some(now.mono);
        self.replayed.clear();
        self.cursor = committed;
        self.reported = committed;
        self.report_at = None;
        self.retry_at = None;
        self.failures_in_a_row = 0;
        self.unfit = 0;
    }

    fn answered(
        &mut self,
        now: Now,
        ring: &BTreeMap<u64, Remembered>,
        answer: Answer,
        chance: f64,
        actions: &mut Vec<Action>,
    ) {
        let Some(flight) = self.in_flight.take() else { return };
        let Some(owned_since) = self.owned_since else { return };
        let held = match flight {
            Flight::Queued(id) if id <= self.cursor => return,
            Flight::Queued(id) => ring.get(&id),
            Flight::Replayed(id) => self.replay.iter().find(|held| held.event.id == id),
        };
        let Some((event, since)) = held.map(|held| (held.event.clone(), held.arrived.max(owned_since)))
        else {
            return;
        };
        let (judged, why, retry_after) = match answer {
            Answer::Failed(why) => (Verdict::Later, why, None),
            Answer::Status { code, retry_after } => {
                let redirect = if matches!(code, 300..=399) { "; redirects are not followed" } else { "" };
                (verdict(code), format!("the receiver answered {code}{redirect}"), retry_after)
            }
        };
        match judged {
            Verdict::Taken => {
                self.failures_in_a_row = 0;
                self.unfit = 0;
                self.retry_at = None;
                self.last_error = None;
                self.delivered += 1;
                return self.done(flight, None, actions);
            }
            Verdict::Gone => {
                let why = format!("{why} (Gone): it wants no more until 'vedette webhooks enable'");
                self.failed(&why, actions);
                self.disabled = Some(why.clone());
                let (webhook, up_to) = (self.target.name.clone(), self.cursor);
                let progress =
                    Progress { webhook, up_to, disabled: Some(shorten(&why)), ..Progress::default() };
                return actions.push(Action::Progress(progress));
            }
            Verdict::Unfit => self.unfit += 1,
            Verdict::Later => {}
        }
        self.failed(&why, actions);
        let wait = self.backoff(chance).max(retry_after.unwrap_or_default().min(RETRY_AFTER_MAX));
        self.retry_at = Some(now.mono + wait);
        let given_up = if self.unfit >= UNFIT_TRIES {
            Some(format!("{why}, {UNFIT_TRIES} times: this message is not wanted"))
        } else if now.mono - since >= GIVE_UP_AFTER {
            Some(format!("24 hours without success; last: {why}"))
        } else {
            None
        };
        if let Some(why) = given_up {
            self.bury(flight, event, &why, actions);
        }
    }

    /// No further try; the event is kept for an operator.
    fn bury(&mut self, flight: Flight, event: Event, why: &str, actions: &mut Vec<Action>) {
        let text = format!("gave up on event {}: {why}", event.id);
        actions.push(Action::Notice { webhook: self.target.name.clone(), text });
        self.unfit = 0;
        let letter = tell(event.kind).then(|| DeadLetter { event, why: shorten(why) });
        self.done(flight, letter, actions);
    }

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
        while self.in_flight.is_none() && self.disabled.is_none() {
            let next = ring.range(self.cursor + 1..).find(|(id, held)| {
                let wanted = self.target.wants(&held.event);
                if !wanted {
                    self.cursor = **id;
                }
                wanted
            });
            let (flight, event) = match (next, self.replay.front()) {
                _ if self.retry_at.is_some() => break,
                (Some((id, held)), _) => (Flight::Queued(*id), held.event.clone()),
                (None, Some(held)) => (Flight::Replayed(held.event.id), held.event.clone()),
                (None, None) => break,
            };
            if matches!(flight, Flight::Replayed(_)) && !self.target.wants(&event) {
                self.done(flight, None, actions);
                continue;
            }
            self.send(now.wall, flight, event, cluster, actions);
        }
        if self.cursor > self.reported {
            let at = *self.report_at.get_or_insert(now.mono + SKIP_REPORT_AFTER);
            if at <= now.mono {
                self.report(Vec::new(), 0, Vec::new(), actions);
            }
        }
    }

    fn send(&mut self, at: Wall, flight: Flight, event: Event, cluster: &str, actions: &mut Vec<Action>) {
        match request(&event, &self.target, cluster, at) {
            Ok(request) => {
                self.in_flight = Some(flight);
                actions.push(Action::Send { webhook: self.target.name.clone(), request });
            }
            // It cannot be said in this format, now or later.
            Err(why) => {
                self.failures += 1;
                self.bury(flight, event, &why, actions);
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
            self.give_up(self.cursor + 1, first - 1, Vec::new(), first - 1 - self.cursor, actions);
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
        let why = "too many newer events came while the receiver took none";
        let mut dead: Vec<DeadLetter> = lost
            .range(from..)
            .filter(|(_, held)| self.target.wants(&held.event) && tell(held.event.kind))
            .map(|(_, held)| DeadLetter { event: held.event.clone(), why: why.to_owned() })
            .collect();
        // The newest are kept.
        let more = dead.len().saturating_sub(DEAD_MAX);
        dead.drain(..more);
        self.give_up(from, last, dead, more as u64, actions);
    }

    fn give_up(
        &mut self,
        from: u64,
        up_to: u64,
        dead: Vec<DeadLetter>,
        lost: u64,
        actions: &mut Vec<Action>,
    ) {
        let count = dead.len() as u64 + lost;
        let text = format!("events {from} to {up_to} are no longer held here: {count} were not delivered");
        actions.push(Action::Notice { webhook: self.target.name.clone(), text });
        self.cursor = up_to;
        self.unfit = 0;
        self.report(dead, lost, Vec::new(), actions);
    }

    /// Delivered, or never to be.
    fn done(&mut self, flight: Flight, dead: Option<DeadLetter>, actions: &mut Vec<Action>) {
        let replayed = match flight {
            Flight::Queued(id) => {
                self.cursor = id;
                Vec::new()
            }
            Flight::Replayed(id) => {
                self.replay.retain(|held| held.event.id != id);
                self.replayed.insert(id);
                vec![id]
            }
        };
        self.report(dead.into_iter().collect(), 0, replayed, actions);
    }

    fn report(&mut self, dead: Vec<DeadLetter>, lost: u64, replayed: Vec<u64>, actions: &mut Vec<Action>) {
        self.reported = self.cursor;
        self.report_at = None;
        let (webhook, up_to) = (self.target.name.clone(), self.cursor);
        actions.push(Action::Progress(Progress { webhook, up_to, dead, lost, replayed, disabled: None }));
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
        let waiting = ring.range(self.cursor + 1..).filter(|(_, held)| self.target.wants(&held.event));
        WebhookStatus {
            name: self.target.name.clone(),
            format: self.target.format.name.to_owned(),
            endpoint: self.target.endpoint.to_string(),
            delivered_up_to: self.cursor,
            delivered: self.delivered,
            pending: waiting.count() as u64 + self.replay.len() as u64,
            failures: self.failures,
            last_error: self.last_error.clone(),
            disabled: self.disabled.clone(),
            ..WebhookStatus::default()
        }
    }
}

#[cfg(test)]
mod tests;
