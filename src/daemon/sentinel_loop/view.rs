//! What answers are made from, made when the first request needs it and kept for the next ones.
//!
//! Facts are made anew after every agreed event and change of role, so a client that heard of a
//! switch is told of the new master; ages in them may lag by a moment.

use super::announce;
use super::clients::{Clients, Source};
use super::process::Process;
use crate::daemon::alert_sender::lay_over;
use crate::daemon::clock;
use crate::daemon::errand_runner::ErrandRunner;
use crate::model::Address;
use crate::model::status::{Status, WebhookStatus};
use crate::net::names::Names;
use crate::resp::{Protocol, Writer};
use crate::sentinel::Sentinel;
use crate::sentinel::api::{self, DrillQuery, Facts};
use crate::sentinel::ledger::Ledger;
use crate::stdx::time::{Duration, Instant, Now};
use std::borrow::Cow;
use std::sync::Arc;
use tokio::sync::watch;

/// Facts are kept at least this long, and as much longer as making them took, fifty times over: making
/// them never takes more than a fiftieth of the process.
const KEEP_MIN: Duration = Duration::from_millis(50);
const KEEP_MAX: Duration = Duration::from_secs(1);
const KEEP_PER_COST: u32 = 50;

#[derive(Default)]
pub(super) struct Cache {
    made: Option<Made>,
    /// What is known of names, for clients that are to be told addresses.
    names: Option<Arc<Names>>,
}

struct Made {
    until: Instant,
    facts: Facts,
    /// The answer to SENTINEL MASTERS in each protocol, once it was asked for.
    masters: [Option<Vec<u8>>; 2],
}

impl Cache {
    pub(super) fn telling(names: Arc<Names>) -> Self {
        Cache { names: Some(names), ..Cache::default() }
    }

    /// Where clients are told the addresses that names lead to.
    fn hidden_by(&self, core: &Sentinel) -> Option<&Names> {
        self.names.as_deref().filter(|_| core.hides_hostnames())
    }

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
    errands: &'a ErrandRunner,
    webhooks: &'a watch::Receiver<Vec<WebhookStatus>>,
}

pub(super) fn answers<'a>(
    core: &'a Sentinel,
    cache: &'a mut Cache,
    now: Now,
    started: Instant,
    clients: &Clients,
    errands: &'a ErrandRunner,
    webhooks: &'a watch::Receiver<Vec<WebhookStatus>>,
) -> Answers<'a> {
    Answers { core, cache, now, process: Process { started, facts: clients.facts() }, errands, webhooks }
}

impl Source for Answers<'_> {
    fn facts(&mut self) -> &Facts {
        &self.made().facts
    }

    fn masters(&mut self, protocol: Protocol) -> &[u8] {
        let made = self.made();
        let place = &mut made.masters[usize::from(protocol == Protocol::Resp3)];
        place.get_or_insert_with(|| {
            let mut bytes = Vec::new();
            api::execute(
                &made.facts,
                &[b"SENTINEL".as_slice(), b"MASTERS"],
                &mut Writer::new(&mut bytes, protocol),
            );
            bytes
        })
    }

    fn master_of(&self, group: &[u8]) -> Option<Cow<'_, Address>> {
        let group = self.core.ledger().group(std::str::from_utf8(group).ok()?)?;
        let shown = !group.settings.safe() || self.core.is_fresh(self.now.mono);
        shown.then(|| match self.cache.hidden_by(self.core) {
            None => Cow::Borrowed(&group.master),
            Some(names) => Cow::Owned(announce::address(&group.master, names)),
        })
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
    fn made(&mut self) -> &mut Made {
        let now = self.now;
        // Freshness is a matter of time alone, so it is asked for each time.
        let fresh = self.core.is_fresh(now.mono);
        let kept = self.cache.made.take().filter(|made| now.mono < made.until && made.facts.fresh == fresh);
        let made = kept.unwrap_or_else(|| {
            let process = self.process.whole(now, self.core.config());
            let mut facts = self.core.facts(now.mono, process);
            if let Some(names) = self.cache.hidden_by(self.core) {
                announce::by_address(&mut facts, names);
            }
            facts.scripts = self.errands.facts(now.mono, self.core.ledger().errands);
            let cost = clock::now().mono.since(now.mono);
            let until = now.mono + (cost * KEEP_PER_COST).clamp(KEEP_MIN, KEEP_MAX);
            Made { until, facts, masters: [None, None] }
        });
        self.cache.made.insert(made)
    }

    /// The snapshot for people, with the deliveries that this node itself makes.
    pub(super) fn status(&self) -> Status {
        let mut status = self.core.status(self.now);
        lay_over(&mut status.webhooks, &self.webhooks.borrow());
        status
    }
}
