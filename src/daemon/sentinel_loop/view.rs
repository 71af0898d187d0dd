//! What answers are made from, made when the first request needs it and kept for the next ones.
//!
//! Facts are made anew after every agreed event and change of role, so a client that heard of a
//! switch is told of the new master; ages in them may lag by a moment.

use super::clients::{Clients, Source};
use super::process::Process;
use crate::daemon::alert_sender::lay_over;
use crate::model::status::{Status, WebhookStatus};
use crate::sentinel::Sentinel;
use crate::sentinel::api::{DrillQuery, Facts};
use crate::sentinel::ledger::Ledger;
use crate::stdx::time::{Duration, Instant, Now};

const KEEP: Duration = Duration::from_millis(50);

#[derive(Default)]
pub(super) struct Cache {
    made: Option<(Instant, Facts)>,
}

impl Cache {
    /// What was known is no longer so.
    pub(super) fn forget(&mut self) {
        self.made = None;
    }
}

/// One moment of the process, as a [`Source`].
pub(super) struct Answers<'a> {
    core: &'a Sentinel,
    cache: &'a mut Cache,
    now: Now,
    process: Process,
    webhooks: Vec<WebhookStatus>,
}

pub(super) fn answers<'a>(
    core: &'a Sentinel,
    cache: &'a mut Cache,
    now: Now,
    started: Instant,
    clients: &Clients,
    webhooks: Vec<WebhookStatus>,
) -> Answers<'a> {
    Answers { core, cache, now, process: Process { started, facts: clients.facts() }, webhooks }
}

impl Source for Answers<'_> {
    fn facts(&mut self) -> &Facts {
        let now = self.now;
        // Freshness is a matter of time alone, so it is asked for each time.
        let fresh = self.core.is_fresh(now.mono);
        let kept =
            self.cache.made.take().filter(|(at, facts)| now.mono.since(*at) < KEEP && facts.fresh == fresh);
        let made = kept.unwrap_or_else(|| {
            let process = self.process.whole(now, self.core.config());
            (now.mono, self.core.facts(now.mono, process))
        });
        &self.cache.made.insert(made).1
    }

    fn ledger(&self) -> &Ledger {
        self.core.ledger()
    }

    fn drill_json(&mut self, query: DrillQuery) -> Option<Vec<u8>> {
        let drills = self.core.drills_status(self.now);
        match query {
            DrillQuery::Status => serde_json::to_vec(&drills.running?).ok(),
            DrillQuery::List => serde_json::to_vec(&drills).ok(),
            DrillQuery::Report { id } => serde_json::to_vec(self.core.drill_card(id)?).ok(),
        }
    }

    fn status_json(&mut self) -> Vec<u8> {
        // Every key of a status is text, so writing it cannot fail.
        serde_json::to_vec(&self.status()).unwrap_or_default()
    }

    fn explain_json(&mut self, group: &str) -> Vec<u8> {
        // As above; the group was there a moment ago, in the same turn.
        let explanation = self.core.explain(self.now, group);
        explanation.and_then(|text| serde_json::to_vec(&text).ok()).unwrap_or_default()
    }
}

impl Answers<'_> {
    /// The snapshot for people, with the deliveries that this node itself makes.
    pub(super) fn status(&self) -> Status {
        let mut status = self.core.status(self.now);
        lay_over(&mut status.webhooks, &self.webhooks);
        status
    }
}
