//! Instance maps: the fields and their order as Redis Sentinel writes them, then our own.

use super::facts::{Facts, GroupFacts, InstanceFacts, PeerFacts, ReplicaFacts};
use crate::config::sentinel::Mode;
use crate::resp::Writer;
use std::fmt::Display;

/// Fields in order, then one map.
#[derive(Default)]
struct Fields(Vec<(&'static str, String)>);

impl Fields {
    fn add(&mut self, name: &'static str, value: impl Display) -> &mut Self {
        self.0.push((name, value.to_string()));
        self
    }

    fn write(&self, reply: &mut Writer<'_>) {
        reply.map(self.0.len());
        for (name, value) in &self.0 {
            reply.bulk(name.as_bytes());
            reply.bulk(value.as_bytes());
        }
    }
}

pub fn master(facts: &Facts, group: &GroupFacts, reply: &mut Writer<'_>) {
    let failing_over = group.failover_state.is_some();
    let mut more = Vec::new();
    if failing_over {
        more.push("failover_in_progress");
        more.extend(group.failover_forced.then_some("force_failover"));
    }
    let flags = flags("master", &group.master, more);
    let mut fields = Fields::default();
    common(&mut fields, &group.name, &group.master, &flags, group.failover_state.as_deref(), group);
    reported(&mut fields, &group.master);
    fields
        .add("config-epoch", group.epoch)
        .add("num-slaves", group.replicas.len())
        .add("num-other-sentinels", facts.peers.len())
        .add("quorum", group.quorum)
        .add("failover-timeout", group.failover_timeout_ms)
        .add("parallel-syncs", group.parallel_syncs);
    for (name, script) in [
        ("notification-script", &group.notification_script),
        ("client-reconfig-script", &group.client_reconfig_script),
    ] {
        if let Some(path) = script {
            fields.add(name, path);
        }
    }
    let members: Vec<String> = group.in_sync.iter().map(ToString::to_string).collect();
    fields
        .add("vedette-epoch", group.epoch)
        .add("vedette-mode", mode_name(group.mode))
        .add("vedette-fresh", yes_no(facts.fresh))
        .add("vedette-situation", if failing_over { "failover" } else { &group.situation })
        .add("vedette-in-sync-set", members.join(","))
        .add("vedette-sync-quorum", group.sync_quorum)
        .add("vedette-bundled", yes_no(group.master.bundled))
        .add("vedette-offset", group.master.offset.unwrap_or(0))
        .add("vedette-lease-ms", group.lease_ms.unwrap_or(0));
    fields.write(reply);
}

pub fn replica(group: &GroupFacts, replica: &ReplicaFacts, reply: &mut Writer<'_>) {
    let instance = &replica.instance;
    let mut more = Vec::new();
    // Clients read this as "its master cannot be used": true only while nobody may be master.
    if group.master.s_down_ms.is_some() && !replica.link_up {
        more.push("master_down");
    }
    if replica.promoted {
        more.push("promoted");
    }
    more.extend(replica.reconf);
    let flags = flags("slave", instance, more);
    let mut fields = Fields::default();
    common(&mut fields, &instance.address.to_string(), instance, &flags, None, group);
    reported(&mut fields, instance);
    fields
        .add("master-link-down-time", replica.link_down_ms)
        .add("master-link-status", if replica.link_up { "ok" } else { "err" })
        .add("master-host", replica.follows.as_ref().map_or("?", |master| &master.host))
        .add("master-port", replica.follows.as_ref().map_or(0, |master| master.port))
        .add("slave-priority", replica.priority)
        .add("slave-repl-offset", instance.offset.unwrap_or(0))
        .add("replica-announced", 1)
        .add("vedette-in-sync", yes_no(replica.in_sync))
        .add("vedette-bundled", yes_no(instance.bundled));
    fields.write(reply);
}

pub fn sentinel(group: &GroupFacts, facts: &Facts, peer: &PeerFacts, reply: &mut Writer<'_>) {
    let heard = peer.heard_ms.unwrap_or(0);
    let down =
        (!peer.connected && heard >= group.down_after_ms).then_some(heard - group.down_after_ms.min(heard));
    let mut flags = Vec::new();
    flags.extend(down.map(|_| "s_down"));
    flags.push("sentinel");
    if !peer.connected {
        flags.push("disconnected");
    }
    // Until it was first heard its number stands in for its name.
    let name = if peer.run_id.is_empty() { peer.id.to_string() } else { peer.run_id.clone() };
    let leads = facts.raft_leader == Some(peer.id);
    let mut fields = Fields::default();
    fields
        .add("name", &name)
        .add("ip", &peer.address.host)
        .add("port", peer.address.port)
        .add("runid", &peer.run_id)
        .add("flags", flags.join(","))
        .add("link-pending-commands", 0)
        .add("link-refcount", 1)
        .add("last-ping-sent", if peer.connected { 0 } else { heard })
        .add("last-ok-ping-reply", heard)
        .add("last-ping-reply", heard);
    if let Some(down) = down {
        fields.add("s-down-time", down);
    }
    fields
        .add("down-after-milliseconds", group.down_after_ms)
        .add("last-hello-message", heard)
        .add("voted-leader", "?")
        .add("voted-leader-epoch", 0)
        .add("vedette-id", peer.id)
        .add("vedette-raft-leader", yes_no(leads));
    fields.write(reply);
}

fn common(
    fields: &mut Fields,
    name: &str,
    instance: &InstanceFacts,
    flags: &str,
    failover_state: Option<&str>,
    group: &GroupFacts,
) {
    fields
        .add("name", name)
        .add("ip", &instance.address.host)
        .add("port", instance.address.port)
        .add("runid", &instance.run_id)
        .add("flags", flags)
        .add("link-pending-commands", instance.pending)
        .add("link-refcount", 1);
    if let Some(state) = failover_state {
        fields.add("failover-state", state);
    }
    fields
        .add("last-ping-sent", instance.ping_sent_ms.unwrap_or(0))
        .add("last-ok-ping-reply", instance.last_ok_ms)
        .add("last-ping-reply", instance.last_reply_ms);
    if let Some(down) = instance.s_down_ms {
        fields.add("s-down-time", down);
    }
    if let Some(down) = instance.o_down_ms {
        fields.add("o-down-time", down);
    }
    fields.add("down-after-milliseconds", group.down_after_ms);
}

fn reported(fields: &mut Fields, instance: &InstanceFacts) {
    fields
        .add("info-refresh", instance.info_age_ms.unwrap_or(0))
        .add("role-reported", if instance.reports_master { "master" } else { "slave" })
        .add("role-reported-time", instance.role_reported_ms);
}

/// In the order that Redis writes them; clients split at commas and some compare the whole.
fn flags(
    kind: &'static str,
    instance: &InstanceFacts,
    more: impl IntoIterator<Item = &'static str>,
) -> String {
    let mut flags = Vec::new();
    flags.extend(instance.s_down_ms.map(|_| "s_down"));
    flags.extend(instance.o_down_ms.map(|_| "o_down"));
    flags.push(kind);
    if !instance.connected {
        flags.push("disconnected");
    }
    flags.extend(more);
    flags.join(",")
}

fn yes_no(value: bool) -> &'static str {
    if value { "yes" } else { "no" }
}

pub fn mode_name(mode: Mode) -> &'static str {
    match mode {
        Mode::Safe => "safe",
        Mode::Available => "available",
    }
}
