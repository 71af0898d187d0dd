//! The metrics of what goes on below the groups: agreement, probes, failovers step by step, and
//! webhooks.

use super::{Metrics, flag, seconds};
use crate::model::incident::{Incident, StepKind};
use crate::model::status::{InstanceStatus, Status, WebhookStatus};
use std::collections::BTreeMap;

fn micros(us: u64) -> f64 {
    us as f64 / 1_000_000.0
}

pub(super) fn agreement(m: &Metrics, status: &Status) -> Result<(), prometheus::Error> {
    let one = |value: f64| [([], value)];
    let commits = &status.commits;
    m.counter(
        "vedette_raft_commits_total",
        "Proposals of this sentinel that were agreed while it led.",
        [],
        one(commits.count as f64),
    )?;
    m.counter(
        "vedette_raft_commit_seconds_total",
        "Time from proposal to agreement, summed over those proposals.",
        [],
        one(micros(commits.total_us)),
    )
}

pub(super) fn probes(m: &Metrics, status: &Status) -> Result<(), prometheus::Error> {
    let all = || {
        status.groups.iter().flat_map(|group| {
            std::iter::once(&group.master)
                .chain(&group.replicas)
                .map(move |instance| ([group.name.clone(), instance.address.to_string()], instance))
        })
    };
    let each = |value: &dyn Fn(&InstanceStatus) -> f64| {
        all().map(|(labels, instance)| (labels, value(instance))).collect::<Vec<_>>()
    };
    let labels = ["group", "address"];
    m.gauge(
        "vedette_link_up",
        "1 while this sentinel is connected to the data server.",
        labels,
        each(&|i| flag(i.probe.linked)),
    )?;
    m.counter(
        "vedette_link_connects_total",
        "Connections made to the data server.",
        labels,
        each(&|i| i.probe.connects as f64),
    )?;
    m.counter(
        "vedette_link_failures_total",
        "Connections to the data server that failed or broke.",
        labels,
        each(&|i| i.probe.failures as f64),
    )?;
    m.counter(
        "vedette_probes_total",
        "Questions and commands sent to the data server.",
        labels,
        each(&|i| i.probe.asked as f64),
    )?;
    m.counter(
        "vedette_probe_timeouts_total",
        "Connections given up because an answer did not come in time.",
        labels,
        each(&|i| i.probe.timeouts as f64),
    )?;
    let trips = all().filter_map(|(labels, i)| Some((labels, micros(i.probe.round_trip_us?))));
    m.gauge("vedette_probe_round_trip_seconds", "From question to answer, of the newest PING.", labels, trips)
}

/// Of the newest failover of each group that is over.
pub(super) fn failovers(m: &Metrics, status: &Status) -> Result<(), prometheus::Error> {
    let mut last: BTreeMap<&str, &Incident> = BTreeMap::new();
    for incident in status.incidents.iter().filter(|incident| !incident.outcome.is_open()) {
        if status.groups.iter().any(|group| group.name == incident.group) {
            last.entry(&incident.group).or_insert(incident);
        }
    }
    let of = |value: &dyn Fn(&Incident) -> Option<u64>| {
        let rows = last.iter().filter_map(|(group, i)| Some(([(*group).to_owned()], seconds(value(i)?))));
        rows.collect::<Vec<_>>()
    };
    m.gauge(
        "vedette_last_failover_outage_seconds",
        "From the last good answer of the old master until clients were told, in the last failover.",
        ["group"],
        of(&|incident| incident.outage_ms),
    )?;
    m.gauge(
        "vedette_last_failover_repair_seconds",
        "From its beginning until the last reachable replica followed, in the last failover.",
        ["group"],
        of(&|incident| incident.repair_ms),
    )?;
    let steps = last.iter().flat_map(|(group, incident)| {
        let began = incident.step(StepKind::Began).map(|step| step.at_ms);
        let mut first: BTreeMap<StepKind, u64> = BTreeMap::new();
        for step in &incident.steps {
            first.entry(step.step).or_insert(step.at_ms);
        }
        first.into_iter().filter_map(move |(step, at_ms)| {
            let since = at_ms as f64 - began? as f64;
            Some(([(*group).to_owned(), step.name().to_owned()], since / 1000.0))
        })
    });
    m.gauge(
        "vedette_last_failover_step_seconds",
        "When this step was reached, counted from the beginning of the last failover; before it: negative.",
        ["group", "step"],
        steps.collect::<Vec<_>>(),
    )
}

pub(super) fn webhooks(m: &Metrics, status: &Status) -> Result<(), prometheus::Error> {
    let hooks = |value: &dyn Fn(&WebhookStatus) -> f64| {
        status.webhooks.iter().map(|hook| ([hook.name.clone()], value(hook))).collect::<Vec<_>>()
    };
    let label = ["webhook"];
    m.gauge("vedette_webhook_pending", "Events still to deliver.", label, hooks(&|w| w.pending as f64))?;
    m.counter(
        "vedette_webhook_delivered_total",
        "Events delivered since this sentinel took the webhook over.",
        label,
        hooks(&|w| w.delivered as f64),
    )?;
    m.counter(
        "vedette_webhook_failures_total",
        "Deliveries that failed; most are tried again.",
        label,
        hooks(&|w| w.failures as f64),
    )?;
    m.counter(
        "vedette_webhook_given_up_total",
        "Events that the fleet gave up.",
        label,
        hooks(&|w| w.given_up as f64),
    )?;
    m.gauge(
        "vedette_webhook_dead",
        "Events that were given up and can be replayed.",
        label,
        hooks(&|w| w.dead.len() as f64),
    )?;
    m.gauge(
        "vedette_webhook_disabled",
        "1 while nothing is sent because the receiver answered 410 Gone.",
        label,
        hooks(&|w| flag(w.disabled.is_some())),
    )?;
    m.gauge(
        "vedette_webhook_delivered_event_id",
        "Every event up to this id is delivered, unwanted or given up.",
        label,
        hooks(&|w| w.delivered_up_to as f64),
    )
}
