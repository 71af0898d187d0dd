//! One group: what is wrong, who serves, who follows, and the failover that is under way.

use super::instance;
use super::{ago_or_none, plural};
use crate::model::status::{FailoverStatus, GroupStatus};
use crate::observe::view::{Element, el};
use crate::stdx::calendar;
use crate::stdx::time::Wall;

pub(super) fn is_well(group: &GroupStatus) -> bool {
    group.situation == "ok" && group.failover.is_none()
}

pub(super) fn tone(group: &GroupStatus) -> &'static str {
    match group {
        _ if is_well(group) => "ok",
        _ if group.failover.is_some() => "busy",
        _ if group.master.odown || group.master.sdown => "bad",
        _ => "warn",
    }
}

pub(super) fn card(group: &GroupStatus, fresh: bool) -> Element {
    let tone = tone(group);
    let situation = if group.failover.is_some() { "failover" } else { &group.situation };
    let head = el("div", "cardhead")
        .child(el("h2", "").text(&*group.name))
        .child(el("span", &format!("pill {tone}")).text(situation))
        .child(
            el("span", "epoch")
                .attr("title", "counts failovers; only grows")
                .text(format!("epoch {}", group.epoch)),
        );
    let mut card = el("section", &format!("card group {tone}{}", if fresh { "" } else { " old" }))
        .child(head)
        .child(el("p", "summary").text(&*group.summary));
    if let Some(failover) = &group.failover {
        card = card.child(progress(failover));
    }
    card.child(topology(group)).child(facts(group))
}

fn topology(group: &GroupStatus) -> Element {
    let replicas = group.replicas.iter().map(|replica| {
        let flow = instance::flow(replica);
        el("div", &format!("branch {flow}")).child(instance::card(replica, "replica", group))
    });
    let mut list = el("div", "replicas").children(replicas);
    if group.replicas.is_empty() {
        list = list.child(el("div", "branch none").child(el("div", "node dim").text("no replica is known")));
    }
    el("div", "topology")
        .child(el("div", "masterside").child(instance::card(&group.master, "master", group)))
        .child(wires(group))
        .child(list)
}

/// A line from the master to every replica; it flows while the replica streams.
fn wires(group: &GroupStatus) -> Element {
    let rows = group.replicas.len().max(1);
    let height = rows * 100;
    let lines = group.replicas.iter().enumerate().map(|(row, replica)| {
        let (from, to) = (height / 2, row * 100 + 50);
        el("path", instance::flow(replica))
            .attr("d", format!("M0 {from} C55 {from} 45 {to} 100 {to}"))
            .attr("vector-effect", "non-scaling-stroke")
    });
    el("svg", "wires")
        .attr("viewBox", format!("0 0 100 {height}"))
        .attr("preserveAspectRatio", "none")
        .attr("aria-hidden", "true")
        .children(lines)
}

fn facts(group: &GroupStatus) -> Element {
    let fact = |name: &str, value: String| {
        el("div", "").child(el("dt", "").text(name)).child(el("dd", "").text(value))
    };
    let quorum = group.sync_quorum;
    let promise = if quorum == 0 {
        "no replica, no promise".to_owned()
    } else {
        format!("{} of {} in the set", quorum, group.sync_set.len())
    };
    let switched = match group.last_switch_ms {
        Some(at) => calendar::rfc3339(Wall(at)).replace('T', " ").chars().take(19).collect(),
        None => "never".to_owned(),
    };
    el("dl", "facts")
        .child(fact("Mode", group.mode.clone()))
        .child(fact("WAIT is kept by", promise))
        .child(fact("Down needs", format!("{} sentinel{}", group.quorum, plural(group.quorum))))
        .child(fact("Silence allowed", ago_or_none(Some(group.down_after_ms))))
        .child(fact("Failovers", group.failovers.to_string()))
        .child(fact("Last switch", switched))
}

/// The steps of a failover as Redis names them, and what they are for a person.
const STEPS: &[(&str, &[&str])] = &[
    ("Freeze and choose", &["none", "wait_start", "select_slave"]),
    ("Promote and confirm", &["send_slaveof_noone", "wait_promotion"]),
    ("Re-point replicas", &["reconf_slaves", "update_config"]),
];

fn progress(failover: &FailoverStatus) -> Element {
    let current = STEPS.iter().position(|(_, phases)| phases.contains(&failover.phase.as_str()));
    let steps = STEPS.iter().enumerate().map(|(index, (name, _))| {
        let class = match current {
            Some(current) if index < current => "done",
            Some(current) if index == current => "now",
            _ => "",
        };
        el("li", class).text(*name)
    });
    let successor = match &failover.successor {
        Some(address) => format!("Successor: {address}."),
        None => "The successor is not chosen yet.".to_owned(),
    };
    let began = calendar::time_of_day(Wall(failover.started_ms));
    let text = format!("{}. {successor} Epoch {}, since {began}.", trim(&failover.cause), failover.epoch);
    el("div", "failover")
        .child(el("ol", "steps").children(steps))
        .child(el("p", "").child(el("code", "").text(&*failover.phase)).text(" ").text(text))
}

fn trim(cause: &str) -> &str {
    cause.trim_end_matches('.')
}
