//! One data server, as master or replica.

use super::{ago_or_none, bytes, thousands};
use crate::model::status::{GroupStatus, InstanceStatus};
use crate::observe::view::{Element, el};

/// How the line to a replica is drawn.
pub(super) fn flow(replica: &InstanceStatus) -> &'static str {
    match replica {
        _ if replica.sdown || !replica.reachable => "gone",
        _ if replica.link_up == Some(true) => "flows",
        _ => "broken",
    }
}

pub(super) fn card(instance: &InstanceStatus, role: &'static str, group: &GroupStatus) -> Element {
    let (tone, state) = state(instance, role);
    let successor = group.failover.as_ref().and_then(|failover| failover.successor.as_ref());
    let chosen = role == "replica" && successor == Some(&instance.address);
    let head = el("div", "nodehead")
        .child(el("span", &format!("role {role}")).text(role))
        .child(el("span", &format!("state {tone}")).text(state));
    let address = el("div", "address").text(instance.address.to_string());
    let mut values = el("dl", "values");
    let mut value = |name: &str, class: &str, text: String| {
        let pair = el("div", class).child(el("dt", "").text(name)).child(el("dd", "").text(text));
        values = std::mem::replace(&mut values, el("dl", "values")).child(pair);
    };
    value("offset", "", instance.offset.map_or("unknown".to_owned(), thousands));
    if role == "replica" {
        let (class, text) = match instance.lag_bytes {
            Some(0) => ("good", "none".to_owned()),
            Some(lag) => ("", bytes(lag)),
            None => ("", "unknown".to_owned()),
        };
        value("lag", class, text);
        let (class, text) = match instance.link_up {
            Some(true) => ("good", "up"),
            Some(false) => ("poor", "down"),
            None => ("", "unknown"),
        };
        value("link", class, text.to_owned());
    } else if instance.bundled {
        let (class, text) = match instance.lease_ms {
            Some(left) if left > 0 => ("good", format!("{left} ms")),
            Some(_) => ("poor", "none".to_owned()),
            // Only the leader grants leases; a follower does not know.
            None => ("", "unknown".to_owned()),
        };
        value("lease", class, text);
    }
    value("last reply", "", ago_or_none(instance.last_reply_ms));
    let mut tags = el("div", "tags");
    let mut tag = |class: &str, text: String| {
        tags = std::mem::replace(&mut tags, el("div", "tags")).child(el("span", class).text(text));
    };
    if instance.paused.is_some() {
        tag("tag warn", "in maintenance".to_owned());
    }
    if let Some(zone) = &instance.zone {
        tag("tag", format!("zone {zone}"));
    }
    if chosen {
        tag("tag busy", "chosen successor".to_owned());
    }
    if let Some(whom) = instance.follows.as_ref().filter(|w| role == "replica" && **w != group.master.address)
    {
        tag("tag warn", format!("follows {whom}"));
    }
    if role == "replica" {
        if instance.in_sync_set {
            tag("tag ok", "in sync set".to_owned());
        } else {
            tag("tag", "not in sync set".to_owned());
        }
    }
    let expected = if role == "master" { "master" } else { "slave" };
    if instance.role != expected && instance.role != "unknown" {
        tag("tag warn", format!("reports {}", instance.role));
    }
    tag("tag", if instance.bundled { "bundled" } else { "stock" }.to_owned());
    if let Some(priority) = instance.priority.filter(|&priority| priority != 100) {
        tag("tag", if priority == 0 { "never promoted".to_owned() } else { format!("priority {priority}") });
    }
    el("article", &format!("node {role} {tone}")).child(head).child(address).child(values).child(tags)
}

pub(super) fn state(instance: &InstanceStatus, role: &str) -> (&'static str, &'static str) {
    match instance {
        _ if instance.odown => ("bad", "down, agreed"),
        _ if instance.sdown => ("bad", "down"),
        _ if !instance.reachable => ("warn", "out of reach"),
        _ if role == "replica" && instance.link_up == Some(false) => ("warn", "up, not streaming"),
        _ => ("ok", "up"),
    }
}
