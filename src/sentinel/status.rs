//! Snapshots for those who only look: the status page and metrics, and the SENTINEL family.
//! What is agreed comes from the ledger, what is seen from the registry; nothing is judged here.

use super::api;
use super::decision::Stage;
use super::fleet_settings::FleetSettings;
use super::ledger::{Group, Pause};
use super::node::Sentinel;
use super::policy::Guard;
use super::registry::Instance;
use super::scripts::Script;
use super::settings::mode_name;
use super::situation::Situation;
use super::{fleet_settings, probe, reconcile, subjective};
use crate::config::sentinel::SentinelConfig;
use crate::model::event::EventKind;
use crate::model::policy::{HeldStatus, PauseStatus, PolicyStatus};
use crate::model::status::{FailoverStatus, GroupStatus, InstanceStatus, PeerStatus, ProbeStatus, Status};
use crate::model::{Address, RunId};
use crate::stdx::time::{Duration, Instant, Now};

/// Newest events in a snapshot.
const EVENTS_SHOWN: usize = 50;

fn ms(duration: Duration) -> u64 {
    duration.as_millis() as u64
}

fn pause_status(pause: &Pause) -> PauseStatus {
    PauseStatus {
        owner: pause.owner.clone(),
        reason: pause.reason.clone(),
        since_ms: pause.since_ms,
        until_ms: pause.until_ms,
    }
}

fn policy_status(group: &Group) -> PolicyStatus {
    let policy = &group.policy;
    PolicyStatus {
        paused: policy.pause.as_ref().map(pause_status),
        held: policy.held.as_ref().map(|held| HeldStatus {
            guard: held.guard.name().to_owned(),
            reason: held.reason.clone(),
            since_ms: held.since_ms,
            until_ms: held.until_ms,
        }),
        failovers_counted: policy.automatic_ms.len() as u64,
        failovers_max: group.settings.policy.failovers_max,
        failovers_window_ms: group.settings.policy.failovers_window_ms,
        flapping: policy.flapping,
        handover_to: policy.handover.as_ref().map(|handover| handover.target.clone()),
    }
}

/// The situation, and that nothing would be done about a worse one.
fn sentence(group: &Group, situation: &Situation) -> String {
    let mut text = situation.sentence();
    let said = group.policy.held.as_ref().is_some_and(|held| held.guard == Guard::Pause);
    if let Some(pause) = group.policy.pause.as_ref().filter(|_| !said) {
        text.push_str(&format!(" In maintenance{}: no automatic failover.", pause.describe()));
    }
    text
}

impl Sentinel {
    pub fn status(&self, now: Now) -> Status {
        let mono = now.mono;
        let newest = self.ledger.events.len().saturating_sub(EVENTS_SHOWN);
        Status {
            drills: self.drills_status(now),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            cluster_id: self.ledger.cluster_id.clone(),
            node: self.config.id,
            run_id: self.identity.run_id.clone(),
            uptime_ms: ms(mono.since(self.started_at)),
            raft_role: self.consensus.role().name().to_owned(),
            raft_term: self.consensus.term(),
            raft_leader: self.consensus.leader(),
            raft_applied: self.consensus.applied(),
            commits: self.commits.status(),
            situations: super::situation::Situation::NAMES,
            fresh: self.is_fresh(mono),
            peers: self
                .peers
                .iter()
                .filter_map(|(id, peer)| {
                    Some(PeerStatus {
                        id: *id,
                        address: peer.address.clone()?,
                        run_id: peer.run_id.clone(),
                        connected: peer.connected,
                        last_heard_ms: peer.heard_at.map(|at| ms(mono.since(at))),
                    })
                })
                .collect(),
            groups: self.ledger.groups.values().map(|group| self.group_status(group, mono)).collect(),
            events: self.ledger.events.iter().skip(newest).cloned().collect(),
            incidents: self.ledger.incidents.iter().cloned().collect(),
            held: self.ledger.held.as_ref().filter(|held| !held.acknowledged).map(|held| HeldStatus {
                guard: Guard::BlastRadius.name().to_owned(),
                reason: held.reason.clone(),
                since_ms: held.since_ms,
                until_ms: None,
            }),
            webhooks: self.webhook_statuses(),
        }
    }

    fn group_status(&self, group: &Group, now: Instant) -> GroupStatus {
        let set = group.sync_set();
        let own = self.groups.get(&group.name);
        let situation = own.map(|own| own.situation.clone()).unwrap_or_default();
        let master = self.instance_status(group, &group.master, None, now);
        let lead = master.offset;
        GroupStatus {
            name: group.name.clone(),
            epoch: group.epoch,
            mode: mode_name(group.settings.mode).to_owned(),
            quorum: group.settings.quorum,
            down_after_ms: group.settings.down_after_ms,
            replicas: group.replicas.iter().map(|a| self.instance_status(group, a, lead, now)).collect(),
            master,
            situation: situation.name().to_owned(),
            summary: sentence(group, &situation),
            policy: policy_status(group),
            sync_set: set.members.keys().cloned().collect(),
            sync_quorum: set.quorum,
            failover: group.failover.as_ref().map(|failover| FailoverStatus {
                epoch: failover.epoch,
                phase: failover.phase_name().to_owned(),
                cause: failover.cause.name().to_owned(),
                successor: failover.successor.clone(),
                started_ms: failover.started_ms,
            }),
            failovers: group.failovers,
            last_switch_ms: group.last_switch_ms,
            scheduled_ms: group.scheduled.as_ref().map(|scheduled| scheduled.at_ms),
        }
    }

    fn instance_status(
        &self,
        group: &Group,
        address: &Address,
        lead: Option<u64>,
        now: Instant,
    ) -> InstanceStatus {
        let instance = self.registry.get(address);
        let facts = instance.and_then(|instance| instance.facts.as_ref());
        let is_master = *address == group.master;
        let own = self.groups.get(&group.name);
        InstanceStatus {
            address: address.clone(),
            run_id: facts.and_then(|facts| facts.run_id.as_ref()).map(RunId::to_string),
            role: match facts.map(super::facts::Facts::is_master) {
                Some(true) => "master",
                Some(false) => "slave",
                None => "unknown",
            }
            .to_owned(),
            bundled: facts.is_some_and(|facts| facts.bundled.is_some()),
            reachable: instance.is_some_and(|i| i.up() && !subjective::suspect(i, group, now)),
            sdown: instance.is_some_and(|i| subjective::down(i, group, now)),
            odown: is_master && group.odown,
            last_reply_ms: instance.and_then(|i| i.answered_at).map(|at| ms(now.since(at))),
            offset: facts.map(|facts| facts.offset),
            lag_bytes: lead.zip(facts).map(|(lead, facts)| lead.saturating_sub(facts.offset)),
            link_up: facts.filter(|facts| !facts.is_master()).map(|facts| facts.link_up),
            follows: facts.and_then(|facts| facts.master.clone()),
            in_sync_set: group.sync_set().members.contains_key(address),
            priority: facts.map(|facts| facts.priority),
            lease_ms: own
                .filter(|_| is_master && group.bundled && self.in_office())
                .map(|own| ms(own.lease.end.since(now))),
            paused: group.policy.instances.get(address).map(pause_status),
            zone: group.settings.policy.zone(address).map(str::to_owned),
            probe: instance.map(|i| ProbeStatus { linked: i.up(), ..i.probe }).unwrap_or_default(),
        }
    }

    /// What the SENTINEL family may say; the shell adds what it knows of the process.
    pub fn facts(&self, now: Instant, process: api::ProcessFacts) -> api::Facts {
        api::Facts {
            my_id: self.identity.run_id.clone(),
            node: self.config.id,
            announce: Some(self.address.clone()),
            members: self.member_facts(),
            left: self.removed,
            fresh: self.is_fresh(now),
            raft_role: self.consensus.role().name(),
            raft_term: self.consensus.term(),
            raft_leader: self.consensus.leader(),
            raft_applied: self.consensus.applied(),
            groups: self.ledger.groups.values().map(|group| self.group_facts(group, now)).collect(),
            peers: self
                .peers
                .iter()
                .filter_map(|(id, peer)| {
                    Some(api::PeerFacts {
                        id: *id,
                        run_id: peer.run_id.clone(),
                        address: peer.address.clone()?,
                        connected: peer.connected,
                        learner: peer.learner,
                        heard_ms: peer.heard_at.map(|at| ms(now.since(at))),
                    })
                })
                .collect(),
            timers: timers(&self.ledger.fleet, &self.config),
            process,
            resolve_hostnames: self.ledger.fleet.resolve_hostnames,
            blast_radius_percent: self.blast_radius_percent(),
            hides_hostnames: self.hides_hostnames(),
            sentinel_login: self.sentinel_login(),
            deny_scripts_reconfig: self.config.deny_scripts_reconfig,
            removed: self.removed(),
            simulated_failures: self.simulated_failures(),
            // Known to the shell that runs them.
            scripts: Vec::new(),
            webhooks: self.config.webhooks.iter().map(|webhook| webhook.name.clone()).collect(),
        }
    }

    /// Names told as removed in the events that are kept, and not watched since.
    fn removed(&self) -> Vec<String> {
        let ends = self.ledger.events.iter().filter(|event| event.kind == EventKind::MonitorEnd);
        let mut names: Vec<String> = ends.map(|event| event.group.clone()).collect();
        names.sort_unstable();
        names.dedup();
        names.retain(|name| self.ledger.was_removed(name));
        names
    }

    fn group_facts(&self, group: &Group, now: Instant) -> api::GroupFacts {
        let set = group.sync_set();
        let own = self.groups.get(&group.name);
        let hidden = group.failover.as_ref().filter(|_| group.failing_over());
        let promoted = hidden.and_then(|failover| failover.successor.as_ref());
        let replica = |address: &Address| {
            let facts = self.registry.get(address).and_then(|i| i.facts.as_ref());
            let link_up = facts.is_some_and(|facts| facts.link_up);
            api::ReplicaFacts {
                instance: self.instance_facts(group, address, now),
                link_up,
                link_down_ms: facts.filter(|_| !link_up).and_then(|facts| facts.silence).map_or(0, ms),
                follows: facts.and_then(|facts| facts.master.clone()),
                priority: facts.map_or(100, |facts| facts.priority),
                in_sync: set.members.contains_key(address),
                promoted: promoted == Some(address),
                reconf: group.failover.as_ref().and_then(|failover| match failover.stages.get(address)? {
                    Stage::Sent => Some("reconf_sent"),
                    Stage::InProgress => Some("reconf_inprog"),
                    // Redis keeps a mark until the failover ends; it would make a healthy replica look
                    // like none to clients that compare the whole field.
                    Stage::Done => None,
                }),
            }
        };
        api::GroupFacts {
            name: group.name.clone(),
            epoch: group.epoch,
            mode: group.settings.mode,
            quorum: group.settings.quorum,
            down_after_ms: group.settings.down_after_ms,
            failover_timeout_ms: group.settings.failover_timeout_ms,
            parallel_syncs: group.settings.parallel_syncs,
            notification_script: self.script_of(group, Script::Notification),
            client_reconfig_script: self.script_of(group, Script::ClientReconfig),
            master: self.instance_facts(group, &group.master, now),
            replicas: group.replicas.iter().map(replica).collect(),
            in_sync: set.members.keys().cloned().collect(),
            sync_quorum: set.quorum,
            lease_ms: own
                .filter(|_| group.bundled && self.in_office())
                .map(|own| ms(own.lease.end.since(now))),
            situation: own.map(|own| own.situation.name()).unwrap_or("unknown").to_owned(),
            failover_state: hidden.map(|failover| failover.phase_name().to_owned()),
            scheduled: group.scheduled.clone(),
            failover_forced: hidden.is_some_and(|failover| failover.cause.planned()),
        }
    }

    fn instance_facts(&self, group: &Group, address: &Address, now: Instant) -> api::InstanceFacts {
        let fresh = Instance::new(&group.name, now);
        let instance = self.registry.get(address).unwrap_or(&fresh);
        let facts = instance.facts.as_ref();
        let info_age = facts.map(|facts| ms(now.since(facts.asked_at)));
        let down_after = group.settings.down_after();
        let down = subjective::down(instance, group, now);
        let s_down_ms = down.then(|| ms(instance.silence(now).saturating_sub(down_after)));
        let is_master = *address == group.master;
        api::InstanceFacts {
            address: address.clone(),
            run_id: facts.and_then(|facts| facts.run_id.as_ref()).map(RunId::to_string).unwrap_or_default(),
            connected: instance.up(),
            pending: instance.asked.len(),
            ping_sent_ms: instance
                .asked
                .iter()
                .find(|asked| asked.request == super::Request::Ping)
                .map(|asked| ms(now.since(asked.at))),
            last_ok_ms: ms(instance.silence(now)),
            last_reply_ms: instance.answered_at.map_or(ms(instance.silence(now)), |at| ms(now.since(at))),
            s_down_ms,
            o_down_ms: (is_master && group.odown).then(|| s_down_ms.unwrap_or(0)),
            info_age_ms: info_age,
            info: instance.info.clone(),
            // What cannot be asked is taken for what it should be, as Redis does.
            reports_master: instance.current().map_or(is_master, super::facts::Facts::is_master),
            role_reported_ms: ms(now.since(instance.role_since)),
            bundled: facts.is_some_and(|facts| facts.bundled.is_some()),
            offset: facts.map(|facts| facts.offset),
        }
    }
}

/// Every timer of Redis Sentinel in its order, then our own. Those that Redis has and this fleet does without
/// show what comes nearest.
fn timers(fleet: &FleetSettings, config: &SentinelConfig) -> Vec<(&'static str, u64)> {
    let raft = &config.raft;
    let own = |name: &'static str| (name, fleet_settings::timer(name).map_or(0, |timer| (timer.get)(fleet)));
    vec![
        own("INFO-PERIOD"),
        own("PING-PERIOD"),
        ("ASK-PERIOD", raft.heartbeat_milliseconds),
        own("PUBLISH-PERIOD"),
        own("DEFAULT-DOWN-AFTER"),
        own("DEFAULT-FAILOVER-TIMEOUT"),
        ("TILT-TRIGGER", 0),
        ("TILT-PERIOD", 0),
        ("SLAVE-RECONF-TIMEOUT", reconcile::REPEAT_AFTER.as_millis() as u64),
        ("MIN-LINK-RECONNECT-PERIOD", probe::DIAL_PACE_MAX.as_millis() as u64),
        ("ELECTION-TIMEOUT", raft.election_milliseconds_max),
        own("SCRIPT-MAX-RUNTIME"),
        own("SCRIPT-RETRY-DELAY"),
        ("RAFT-HEARTBEAT", raft.heartbeat_milliseconds),
        ("RAFT-ELECTION-MIN", raft.election_milliseconds_min),
        ("RAFT-ELECTION-MAX", raft.election_milliseconds_max),
        ("LEASE", config.lease_milliseconds),
    ]
}
