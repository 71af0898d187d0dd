//! The snapshot as Prometheus text. Labels are groups, addresses of instances, peers, webhooks and kinds of
//! events: all bounded by the configuration, none by traffic. Every sentinel shows what it sees;
//! sums over sentinels mean nothing, take the maximum.

use crate::model::event::{CATALOGUE, EventKind};
use crate::model::status::{GroupStatus, InstanceStatus, Status};
use prometheus::proto::MetricFamily;
use prometheus::{CounterVec, GaugeVec, Opts, Registry, TextEncoder};
use std::collections::BTreeMap;

#[path = "prometheus_more.rs"]
mod more;

/// Counts events across snapshots, each of which holds only the newest.
#[derive(Default)]
pub struct EventCounts {
    newest: u64,
    by_kind: BTreeMap<EventKind, u64>,
}

impl EventCounts {
    /// Counts what is new. Snapshots may be missed as long as none of their events left the list.
    pub fn observe(&mut self, status: &Status) {
        for event in &status.events {
            if event.id > self.newest {
                self.newest = event.id;
                *self.by_kind.entry(event.kind).or_default() += 1;
            }
        }
    }

    fn of(&self, kind: EventKind) -> u64 {
        self.by_kind.get(&kind).copied().unwrap_or(0)
    }
}

/// `process`: what the shell knows of the process itself.
pub fn text(
    status: &Status,
    events: &EventCounts,
    process: &[MetricFamily],
) -> Result<String, prometheus::Error> {
    let metrics = Metrics { registry: Registry::new() };
    sentinel(&metrics, status)?;
    groups(&metrics, status)?;
    policy(&metrics, status)?;
    instances(&metrics, status)?;
    told(&metrics, events)?;
    more::agreement(&metrics, status)?;
    more::probes(&metrics, status)?;
    more::failovers(&metrics, status)?;
    more::webhooks(&metrics, status)?;
    let mut families = metrics.registry.gather();
    families.extend_from_slice(process);
    TextEncoder::new().encode_to_string(&families)
}

struct Metrics {
    registry: Registry,
}

type Row<const N: usize> = ([String; N], f64);

impl Metrics {
    fn gauge<const N: usize>(
        &self,
        name: &str,
        help: &str,
        labels: [&str; N],
        rows: impl IntoIterator<Item = Row<N>>,
    ) -> Result<(), prometheus::Error> {
        let family = GaugeVec::new(Opts::new(name, help), &labels)?;
        for (values, value) in rows {
            family.with_label_values(&values).set(value);
        }
        self.registry.register(Box::new(family))
    }

    fn counter<const N: usize>(
        &self,
        name: &str,
        help: &str,
        labels: [&str; N],
        rows: impl IntoIterator<Item = Row<N>>,
    ) -> Result<(), prometheus::Error> {
        let family = CounterVec::new(Opts::new(name, help), &labels)?;
        for (values, value) in rows {
            family.with_label_values(&values).inc_by(value);
        }
        self.registry.register(Box::new(family))
    }
}

fn flag(on: bool) -> f64 {
    f64::from(u8::from(on))
}

fn seconds(ms: u64) -> f64 {
    ms as f64 / 1000.0
}

fn sentinel(m: &Metrics, status: &Status) -> Result<(), prometheus::Error> {
    let one = |value: f64| [([], value)];
    m.gauge(
        "vedette_build_info",
        "Always 1; the version is the label.",
        ["version"],
        [([status.version.clone()], 1.0)],
    )?;
    m.gauge("vedette_uptime_seconds", "Since this sentinel started.", [], one(seconds(status.uptime_ms)))?;
    m.gauge(
        "vedette_fresh",
        "1 while this sentinel is in touch with the majority of the sentinels.",
        [],
        one(flag(status.fresh)),
    )?;
    let roles = ["leader", "follower", "candidate"];
    m.gauge(
        "vedette_raft_role",
        "1 for the Raft role that this sentinel has.",
        ["role"],
        roles.map(|role| ([role.to_owned()], flag(status.raft_role == role))),
    )?;
    m.gauge("vedette_raft_term", "Raft term.", [], one(status.raft_term as f64))?;
    m.gauge("vedette_raft_applied_index", "Newest log entry applied.", [], one(status.raft_applied as f64))?;
    m.gauge(
        "vedette_raft_leader_known",
        "1 while this sentinel knows who leads.",
        [],
        one(flag(status.raft_leader.is_some())),
    )?;
    m.gauge(
        "vedette_peer_connected",
        "1 while the link to this other sentinel is up.",
        ["peer"],
        status.peers.iter().map(|peer| ([peer.id.to_string()], flag(peer.connected))),
    )?;
    let heard =
        status.peers.iter().filter_map(|peer| Some(([peer.id.to_string()], seconds(peer.last_heard_ms?))));
    m.gauge("vedette_peer_silence_seconds", "Since this other sentinel was last heard.", ["peer"], heard)
}

/// Maintenance and guards.
fn policy(m: &Metrics, status: &Status) -> Result<(), prometheus::Error> {
    let each = |value: &dyn Fn(&GroupStatus) -> f64| {
        status.groups.iter().map(|group| ([group.name.clone()], value(group))).collect::<Vec<_>>()
    };
    m.gauge(
        "vedette_group_paused",
        "1 while the group is in maintenance.",
        ["group"],
        each(&|g| flag(g.policy.paused.is_some())),
    )?;
    m.gauge(
        "vedette_group_held",
        "1 for what holds back something that is due in the group.",
        ["group", "guard"],
        status
            .groups
            .iter()
            .filter_map(|g| Some(([g.name.clone(), g.policy.held.as_ref()?.guard.clone()], 1.0))),
    )?;
    m.gauge(
        "vedette_group_flapping",
        "1 while automatic failovers are down to one per window.",
        ["group"],
        each(&|g| flag(g.policy.flapping)),
    )?;
    m.gauge(
        "vedette_group_failovers_counted",
        "Automatic failovers that count against failovers-max.",
        ["group"],
        each(&|g| g.policy.failovers_counted as f64),
    )?;
    let paused = |group: &GroupStatus| {
        let name = group.name.clone();
        let paused = group.replicas.iter().filter(|replica| replica.paused.is_some());
        paused.map(|r| ([name.clone(), r.address.to_string()], 1.0)).collect::<Vec<_>>()
    };
    m.gauge(
        "vedette_instance_paused",
        "1 for a replica that is in maintenance.",
        ["group", "instance"],
        status.groups.iter().flat_map(paused),
    )?;
    let held = flag(status.held.is_some());
    m.gauge("vedette_failovers_held", "1 while all automatic failovers are held.", [], [([], held)])
}

fn groups(m: &Metrics, status: &Status) -> Result<(), prometheus::Error> {
    let each = |value: &dyn Fn(&GroupStatus) -> f64| {
        status.groups.iter().map(|group| ([group.name.clone()], value(group))).collect::<Vec<_>>()
    };
    let label = ["group"];
    m.gauge("vedette_group_ok", "1 while nothing is wrong.", label, each(&|g| flag(g.situation == "ok")))?;
    m.gauge(
        "vedette_group_situation",
        "1 for the situation that the group is in, 0 for every other one.",
        ["group", "situation"],
        status.groups.iter().flat_map(|group| {
            let others = status.situations.iter().filter(|name| **name != group.situation);
            let others = others.map(|name| ([group.name.clone(), (*name).to_owned()], 0.0));
            others.chain([([group.name.clone(), group.situation.clone()], 1.0)]).collect::<Vec<_>>()
        }),
    )?;
    m.gauge("vedette_group_epoch", "Failover epoch.", label, each(&|g| g.epoch as f64))?;
    m.gauge("vedette_group_replicas", "Replicas known.", label, each(&|g| g.replicas.len() as f64))?;
    m.gauge(
        "vedette_group_sync_set_size",
        "Replicas that count for WAIT and promotion.",
        label,
        each(&|g| g.sync_set.len() as f64),
    )?;
    m.gauge(
        "vedette_group_sync_quorum",
        "Replicas that must acknowledge before the promise of WAIT holds.",
        label,
        each(&|g| g.sync_quorum as f64),
    )?;
    m.gauge(
        "vedette_group_master_odown",
        "1 while a quorum holds the master to be down.",
        label,
        each(&|g| flag(g.master.odown)),
    )?;
    m.gauge(
        "vedette_failover_in_progress",
        "1 while a failover is open.",
        label,
        each(&|g| flag(g.failover.is_some())),
    )?;
    m.counter("vedette_failovers_total", "Failovers completed.", label, each(&|g| g.failovers as f64))?;
    let switched = status.groups.iter().filter_map(|g| Some(([g.name.clone()], seconds(g.last_switch_ms?))));
    m.gauge(
        "vedette_last_switch_timestamp_seconds",
        "When clients were last sent to another master, since the Unix epoch.",
        label,
        switched,
    )
}

fn instances(m: &Metrics, status: &Status) -> Result<(), prometheus::Error> {
    let all = || {
        status.groups.iter().flat_map(|group| {
            let replicas = group.replicas.iter().map(|replica| (replica, "replica"));
            std::iter::once((&group.master, "master")).chain(replicas).map(move |(instance, role)| {
                ([group.name.clone(), instance.address.to_string(), role.to_owned()], instance)
            })
        })
    };
    let each = |value: &dyn Fn(&InstanceStatus) -> Option<f64>| {
        all().filter_map(|(labels, instance)| Some((labels, value(instance)?))).collect::<Vec<_>>()
    };
    let labels = ["group", "address", "role"];
    m.gauge(
        "vedette_instance_up",
        "1 while this sentinel reaches it and does not hold it to be down.",
        labels,
        each(&|i| Some(flag(i.reachable && !i.sdown))),
    )?;
    m.gauge(
        "vedette_instance_silence_seconds",
        "Since its last valid reply.",
        labels,
        each(&|i| i.last_reply_ms.map(seconds)),
    )?;
    m.gauge(
        "vedette_instance_offset_bytes",
        "Position in the replication stream.",
        labels,
        each(&|i| i.offset.map(|offset| offset as f64)),
    )?;
    m.gauge(
        "vedette_instance_lag_bytes",
        "How far a replica is behind its master.",
        labels,
        each(&|i| i.lag_bytes.map(|lag| lag as f64)),
    )?;
    m.gauge(
        "vedette_instance_link_up",
        "1 while a replica reports its link to the master up.",
        labels,
        each(&|i| i.link_up.map(flag)),
    )?;
    m.gauge(
        "vedette_instance_in_sync_set",
        "1 for a replica that counts for WAIT and promotion.",
        labels,
        all().filter(|(labels, _)| labels[2] == "replica").map(|(l, i)| (l, flag(i.in_sync_set))),
    )?;
    m.gauge(
        "vedette_instance_lease_seconds",
        "What is left of the lease of a bundled master.",
        labels,
        each(&|i| i.lease_ms.map(seconds)),
    )
}

fn told(m: &Metrics, events: &EventCounts) -> Result<(), prometheus::Error> {
    m.counter(
        "vedette_events_total",
        "Events agreed since this sentinel started to count.",
        ["kind"],
        CATALOGUE.iter().map(|row| ([row.name.to_owned()], events.of(row.kind) as f64)),
    )?;
    m.gauge("vedette_last_event_id", "Id of the newest event.", [], [([], events.newest as f64)])
}

#[cfg(test)]
#[path = "prometheus_tests.rs"]
mod tests;
