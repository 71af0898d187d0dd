//! One group: what is wrong, who serves, who follows, and the failover that is under way.

use super::actions;
use super::instance;
use super::policy;
use super::topology;
use super::{ago_or_none, bytes, plural};
use crate::model::status::{FailoverStatus, GroupStatus, Status};
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

pub(super) fn card(group: &GroupStatus, status: &Status, key: usize) -> Element {
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
    let mut card = el("section", &format!("card group {tone}{}", if status.fresh { "" } else { " old" }))
        .attr("data-key", format!("g{key}"))
        .child(head)
        .child(el("p", "summary").text(&*group.summary))
        .children(policy::notes(group))
        .children(actions::bar(group));
    if let Some(failover) = &group.failover {
        card = card.child(progress(failover));
    }
    card.child(servers(group, status, key)).child(facts(group))
}

/// The drawing, and beside it every server with its figures.
fn servers(group: &GroupStatus, status: &Status, key: usize) -> Element {
    let replicas = group.replicas.iter().map(|replica| instance::card(replica, "replica", group));
    let nodes = el("div", "nodes").child(instance::card(&group.master, "master", group)).children(replicas);
    el("div", "servers").child(el("div", "picture").child(topology::drawing(group, status, key))).child(nodes)
}

/// A group in one line: a large fleet stays a page that can be read.
pub(super) fn line(group: &GroupStatus, key: usize) -> Element {
    let worst = group.replicas.iter().filter_map(|replica| replica.lag_bytes).max();
    let replicas = group.replicas.len();
    el("li", &format!("dot {} groupline", tone(group)))
        .attr("data-key", format!("g{key}"))
        .child(el("strong", "").text(&*group.name))
        .child(el("span", "mono").text(group.master.address.to_string()))
        .child(el("span", "dim").text(format!("{replicas} replica{}", plural(replicas))))
        .child(
            el("span", "dim")
                .text(worst.map_or("no lag known".to_owned(), |lag| format!("lag {}", bytes(lag)))),
        )
        .child(el("span", "epoch").text(format!("epoch {}", group.epoch)))
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
