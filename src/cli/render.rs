//! A status snapshot as text for people: the words and columns that `status`, `watch` and `up` share.

use super::{events, policy};
use crate::model::status::{GroupStatus, InstanceStatus, Status};
use comfy_table::{Table, presets};

const EVENTS_SHOWN: usize = 8;

pub(super) const INSTANCE_COLUMNS: [&str; 7] = ["role", "address", "kind", "state", "offset", "lag", "lease"];

/// In touch with the majority, and every group is `ok`.
pub(super) fn is_well(status: &Status) -> bool {
    status.fresh && status.groups.iter().all(|group| group.situation == "ok" && group.failover.is_none())
}

pub(super) fn status(status: &Status) -> String {
    let mut text = String::new();
    if !status.fresh {
        text.push_str("This sentinel is out of touch with the majority: what it shows may be old.\n\n");
    }
    if let Some(held) = &status.held {
        text.push_str(&format!(
            "All automatic failovers are held since {}: {}. Go on with: vedette acknowledge --fleet\n\n",
            events::clock(held.since_ms),
            held.reason
        ));
    }
    for group in &status.groups {
        text.push_str(&format!("{}\n", headline(group)));
        if !group.summary.is_empty() {
            text.push_str(&format!("  {}\n", group.summary));
        }
        for line in policy::lines(group) {
            text.push_str(&format!("  {line}\n"));
        }
        let mut table = table(&INSTANCE_COLUMNS);
        for instance in instances(group) {
            table.add_row(instance_row(group, instance));
        }
        text.push_str(&indent(&table));
        text.push('\n');
    }
    if status.groups.is_empty() {
        text.push_str("No group is watched yet; add one with SENTINEL MONITOR name host port quorum.\n\n");
    }
    text.push_str(&format!("sentinels  {}\n", sentinels(status)));
    for webhook in status.webhooks.iter().filter(|webhook| webhook.failures > 0 || webhook.pending > 0) {
        let why = webhook.last_error.as_deref().unwrap_or("waiting");
        text.push_str(&format!("webhook    {}: {} pending, {why}\n", webhook.name, webhook.pending));
    }
    let skip = status.events.len().saturating_sub(EVENTS_SHOWN);
    for event in &status.events[skip..] {
        text.push_str(&format!("{}\n", events::line(event)));
    }
    text
}

/// `mymaster  ok  epoch 2  safe  sync quorum 1`
pub(super) fn headline(group: &GroupStatus) -> String {
    let mut line = format!(
        "{}  {}  epoch {}  {}  sync quorum {}",
        group.name, group.situation, group.epoch, group.mode, group.sync_quorum
    );
    if let Some(failover) = &group.failover {
        line.push_str(&format!("  failover: {} ({})", failover.phase, failover.cause));
    }
    line
}

pub(super) fn instances(group: &GroupStatus) -> impl Iterator<Item = &InstanceStatus> {
    std::iter::once(&group.master).chain(&group.replicas)
}

/// One cell per column of [`INSTANCE_COLUMNS`].
pub(super) fn instance_row(group: &GroupStatus, instance: &InstanceStatus) -> [String; 7] {
    let is_master = instance.address == group.master.address;
    let number =
        |value: Option<u64>, unit: &str| value.map_or(String::new(), |value| format!("{value}{unit}"));
    [
        if is_master { "master" } else { "replica" }.to_owned(),
        instance.address.to_string(),
        if instance.bundled { "vedette" } else { "redis" }.to_owned(),
        state(instance, is_master),
        number(instance.offset, ""),
        if is_master { String::new() } else { number(instance.lag_bytes, " B") },
        number(instance.lease_ms, " ms"),
    ]
}

fn state(instance: &InstanceStatus, is_master: bool) -> String {
    let mut state = match (instance.odown, instance.sdown, instance.reachable) {
        (true, _, _) => "down (agreed)",
        (_, true, _) => "down",
        (_, _, false) => "no answer",
        _ => "up",
    }
    .to_owned();
    if !is_master && instance.link_up == Some(false) {
        state.push_str(", not streaming");
    }
    if instance.paused.is_some() {
        state.push_str(", in maintenance");
    }
    if !is_master && instance.in_sync_set {
        state.push_str(", in sync");
    }
    if instance.reachable && is_master != (instance.role == "master") && instance.role != "unknown" {
        state.push_str(&format!(", says {}", instance.role));
    }
    state
}

/// `1 leader 127.0.0.1:26379, 2 ...`; the one asked is marked with `*`.
pub(super) fn sentinels(status: &Status) -> String {
    let mut peers: Vec<String> = Vec::new();
    for peer in &status.peers {
        let own = peer.id == status.node;
        let leader = if status.raft_leader == Some(peer.id) { " leader" } else { "" };
        let lost = if own || peer.connected { "" } else { " (no link)" };
        let mark = if own { "*" } else { "" };
        peers.push(format!("{}{mark} {}{leader}{lost}", peer.id, peer.address));
    }
    if !status.peers.iter().any(|peer| peer.id == status.node) {
        peers.insert(0, format!("{}* {}", status.node, status.raft_role));
    }
    peers.join(", ")
}

pub(super) fn table(columns: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(columns);
    table
}

pub(super) fn indent(table: &Table) -> String {
    table.lines().map(|line| format!(" {}\n", line.trim_end())).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::model::Address;
    use crate::model::status::PeerStatus;

    pub(in crate::cli) fn instance(port: u16, role: &str) -> InstanceStatus {
        InstanceStatus {
            address: Address::new("127.0.0.1", port),
            run_id: None,
            role: role.to_owned(),
            bundled: true,
            reachable: true,
            sdown: false,
            odown: false,
            last_reply_ms: Some(3),
            offset: Some(4200),
            lag_bytes: Some(0),
            link_up: Some(true),
            follows: None,
            in_sync_set: role == "slave",
            priority: Some(100),
            lease_ms: (role == "master").then_some(480),
            paused: None,
            zone: None,
            probe: Default::default(),
        }
    }

    pub(in crate::cli) fn healthy() -> Status {
        let peer = |id: u64| PeerStatus {
            id,
            address: Address::new("127.0.0.1", 26279 + 100 * id as u16),
            run_id: String::new(),
            connected: true,
            last_heard_ms: Some(10),
        };
        Status {
            node: 1,
            fresh: true,
            raft_leader: Some(2),
            peers: (1..=3).map(peer).collect(),
            groups: vec![GroupStatus {
                name: "mymaster".into(),
                epoch: 2,
                mode: "safe".into(),
                quorum: 2,
                down_after_ms: 1000,
                master: instance(6380, "master"),
                replicas: vec![instance(6379, "slave"), instance(6381, "slave")],
                situation: "ok".into(),
                summary: String::new(),
                sync_set: Vec::new(),
                sync_quorum: 1,
                failover: None,
                failovers: 1,
                last_switch_ms: None,
                scheduled_ms: None,
                policy: Default::default(),
            }],
            ..Status::default()
        }
    }

    #[test]
    fn a_healthy_fleet_reads_at_a_glance() {
        let text = status(&healthy());
        for words in
            ["mymaster  ok  epoch 2", "127.0.0.1:6380", "in sync", "480 ms", "2 127.0.0.1:26479 leader"]
        {
            assert!(text.contains(words), "{words} is missing in:\n{text}");
        }
        assert!(is_well(&healthy()));
    }

    #[test]
    fn trouble_is_named_and_makes_the_fleet_unwell() {
        let mut sick = healthy();
        sick.groups[0].situation = "master down".into();
        sick.groups[0].master.sdown = true;
        sick.groups[0].master.reachable = false;
        sick.peers[2].connected = false;
        let text = status(&sick);
        assert!(!is_well(&sick));
        assert!(text.contains("(no link)") && text.contains(" down "), "{text}");

        let mut stale = healthy();
        stale.fresh = false;
        assert!(!is_well(&stale));
        assert!(status(&stale).starts_with("This sentinel is out of touch"));
    }
}
