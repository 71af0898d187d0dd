//! What answers are made from, made when the first request needs it and kept for the next ones.
//!
//! Facts are made anew after every agreed event and change of role, so a client that heard of a
//! switch is told of the new master; ages in them may lag by a moment.

use super::clients::{Clients, Source};
use crate::daemon::alert_sender::lay_over;
use crate::model::status::{Status, WebhookStatus};
use crate::sentinel::Sentinel;
use crate::sentinel::api::{Facts, ProcessFacts};
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
    process: ProcessFacts,
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
    let process = ProcessFacts {
        pid: std::process::id(),
        port: core.config().port,
        uptime_s: now.mono.since(started).as_secs(),
        clients: clients.len(),
        connections_total: clients.connections_total(),
        commands_total: clients.commands_total,
        ..ProcessFacts::default()
    };
    Answers { core, cache, now, process, webhooks }
}

impl Source for Answers<'_> {
    fn facts(&mut self) -> &Facts {
        let now = self.now;
        // Freshness is a matter of time alone, so it is asked for each time.
        let fresh = self.core.is_fresh(now.mono);
        let kept =
            self.cache.made.take().filter(|(at, facts)| now.mono.since(*at) < KEEP && facts.fresh == fresh);
        let made = kept.unwrap_or_else(|| {
            let (user, system) = cpu_ms();
            let process = ProcessFacts { cpu_user_ms: user, cpu_system_ms: system, ..self.process.clone() };
            (now.mono, self.core.facts(now.mono, process))
        });
        &self.cache.made.insert(made).1
    }

    fn ledger(&self) -> &Ledger {
        self.core.ledger()
    }

    fn status_json(&mut self) -> Vec<u8> {
        // Every key of a status is text, so writing it cannot fail.
        serde_json::to_vec(&self.status()).unwrap_or_default()
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

/// User and system time of this process: fields 14 and 15 of `/proc/self/stat`, in ticks of 10 ms.
fn cpu_ms() -> (u64, u64) {
    let Ok(stat) = std::fs::read_to_string("/proc/self/stat") else { return (0, 0) };
    // The name in parentheses may hold spaces; fields are counted behind it.
    let Some((_, rest)) = stat.rsplit_once(')') else { return (0, 0) };
    let mut fields = rest.split_whitespace().skip(11).map(|field| field.parse::<u64>().unwrap_or(0) * 10);
    (fields.next().unwrap_or(0), fields.next().unwrap_or(0))
}
