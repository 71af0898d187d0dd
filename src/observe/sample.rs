//! A fleet to look at: one group that is well, one in the middle of a failover.

use crate::model::Address;
use crate::model::drill::{
    Check, DrillResult, DrillSchedule, DrillsStatus, Scenario, Step, Verdict, WriteCounts,
};
use crate::model::event::{Event, EventKind};
use crate::model::status::*;

pub(crate) fn instance(address: &str, role: &str, offset: u64) -> InstanceStatus {
    InstanceStatus {
        address: address.parse().unwrap(),
        run_id: Some("9f2c51d0a4e8b7c6d5e4f3a2b1c0d9e8f7a6b5c4".into()),
        role: role.into(),
        bundled: true,
        reachable: true,
        sdown: false,
        odown: false,
        last_reply_ms: Some(84),
        offset: Some(offset),
        lag_bytes: (role == "slave").then_some(0),
        link_up: (role == "slave").then_some(true),
        follows: None,
        in_sync_set: role == "slave",
        priority: Some(100),
        lease_ms: (role == "master").then_some(412),
        paused: None,
        zone: None,
        probe: ProbeStatus { linked: true, ..ProbeStatus::default() },
    }
}

pub(crate) fn group(name: &str, subnet: &str) -> GroupStatus {
    let master = instance(&format!("{subnet}.1:6379"), "master", 48_213_377);
    let replicas: Vec<InstanceStatus> =
        (2..=3).map(|host| instance(&format!("{subnet}.{host}:6379"), "slave", 48_213_377)).collect();
    GroupStatus {
        name: name.into(),
        epoch: 4,
        mode: "safe".into(),
        quorum: 2,
        down_after_ms: 5000,
        sync_set: replicas.iter().map(|replica| replica.address.clone()).collect(),
        master,
        replicas,
        situation: "ok".into(),
        summary: "The master answers and both replicas stream from it.".into(),
        sync_quorum: 1,
        failover: None,
        failovers: 3,
        last_switch_ms: Some(1_795_300_000_000),
        scheduled_ms: None,
        policy: Default::default(),
    }
}

fn event(id: u64, at_ms: u64, kind: EventKind, group: &str, payload: &str) -> Event {
    Event {
        id,
        at_ms,
        kind,
        group: group.into(),
        epoch: 7,
        instance: None,
        payload: payload.into(),
        details: Vec::new(),
    }
}

pub(crate) fn well() -> Status {
    let peer = |id: u64| PeerStatus {
        id,
        address: Address::new("10.0.9.1", 26378 + u16::try_from(id).unwrap()),
        run_id: String::new(),
        connected: true,
        last_heard_ms: Some(31),
    };
    let at = 1_795_300_000_000;
    Status {
        version: "0.1.0".into(),
        cluster_id: "c-5b1d42e7".into(),
        node: 1,
        run_id: "aa".into(),
        uptime_ms: 3 * 86_400_000 + 7_300_000,
        raft_role: "leader".into(),
        raft_term: 12,
        raft_leader: Some(1),
        raft_applied: 18_204,
        commits: CommitStatus { count: 40, total_us: 120_000 },
        situations: &["ok", "master_dead"],
        fresh: true,
        peers: vec![peer(2), peer(3)],
        groups: vec![group("mymaster", "10.0.0"), group("sessions", "10.0.1")],
        events: vec![
            event(
                411,
                at - 90_000_000,
                EventKind::Monitor,
                "sessions",
                "master sessions 10.0.1.1 6379 quorum 2",
            ),
            event(412, at - 2_200, EventKind::SDown, "mymaster", "master mymaster 10.0.0.3 6379"),
            event(413, at - 2_100, EventKind::ODown, "mymaster", "master mymaster 10.0.0.3 6379 #quorum 3/2"),
            event(414, at - 2_090, EventKind::TryFailover, "mymaster", "master mymaster 10.0.0.3 6379"),
            event(
                415,
                at - 1_900,
                EventKind::SelectedReplica,
                "mymaster",
                "slave 10.0.0.1:6379 10.0.0.1 6379 @ mymaster 10.0.0.3 6379",
            ),
            event(416, at, EventKind::SwitchMaster, "mymaster", "mymaster 10.0.0.3 6379 10.0.0.1 6379"),
            event(
                417,
                at + 300,
                EventKind::ReconfDone,
                "mymaster",
                "slave 10.0.0.2:6379 10.0.0.2 6379 @ mymaster 10.0.0.1 6379",
            ),
            event(418, at + 310, EventKind::FailoverEnd, "mymaster", "master mymaster 10.0.0.1 6379"),
        ],
        held: None,
        webhooks: vec![WebhookStatus {
            name: "ops".into(),
            delivered_up_to: 418,
            ..WebhookStatus::default()
        }],
        drills: drills(at),
        incidents: super::sample_incidents::incidents(at),
    }
}

/// One drill that passed, and one that is planned.
fn drills(at: u64) -> DrillsStatus {
    let step = |name: &str, at_us| Step { name: name.into(), at_us };
    let result = DrillResult {
        id: 3,
        name: "weekly-kill".into(),
        group: "mymaster".into(),
        scenario: Scenario::Kill,
        verdict: Verdict::Passed,
        summary: "passed: writes were back after 412 ms, none of 1204 promised writes is lost".into(),
        started_ms: at - 600_000,
        ended_ms: at - 588_000,
        gap_us: Some(412_300),
        slo_gap_ms: Some(1_500),
        old_master: Some(Address::new("10.0.0.1", 6379)),
        new_master: Some(Address::new("10.0.0.3", 6379)),
        steps: vec![
            step("fault", 0),
            step("suspected", 318_000),
            step("agreed", 318_000),
            step("begun", 318_000),
            step("chosen", 371_000),
            step("promoted", 396_000),
            step("published", 396_000),
            step("first-write", 410_000),
            step("in-sync", 1_870_000),
        ],
        writes: WriteCounts {
            attempted: 1_290,
            acknowledged: 1_260,
            promised: 1_204,
            ..WriteCounts::default()
        },
        checks: vec![Check {
            name: "no-loss".into(),
            passed: true,
            detail: "all 1204 promised writes are on the master".into(),
        }],
    };
    let planned = DrillSchedule {
        name: "weekly-kill".into(),
        group: "mymaster".into(),
        scenario: Scenario::Kill,
        schedule: "0 3 * * 2".into(),
        next_ms: Some(at + 86_400_000),
        skipped: String::new(),
    };
    DrillsStatus { running: None, scheduled: vec![planned], results: vec![result] }
}

/// The same fleet while the master of one group is dead and its successor is being promoted.
pub(crate) fn failing_over() -> Status {
    let mut status = well();
    status.peers[1].connected = false;
    status.peers[1].last_heard_ms = Some(73_000);
    let group = &mut status.groups[1];
    group.situation = "master_dead".into();
    group.summary = "The master refuses connections, and its replicas have lost their link to it.".into();
    group.epoch = 8;
    group.master.reachable = false;
    group.master.sdown = true;
    group.master.odown = true;
    group.master.lease_ms = None;
    group.master.last_reply_ms = Some(1_430);
    group.replicas[0].link_up = Some(false);
    group.replicas[1].link_up = Some(false);
    group.replicas[1].lag_bytes = Some(18_400);
    group.replicas[1].in_sync_set = false;
    group.replicas[1].bundled = false;
    group.replicas[1].priority = Some(0);
    group.failover = Some(FailoverStatus {
        epoch: 8,
        phase: "wait_promotion".into(),
        cause: "A quorum of 2 sentinels holds the master to be down.".into(),
        successor: Some(group.replicas[0].address.clone()),
        started_ms: 1_795_300_100_000,
    });
    status.webhooks[0].pending = 4;
    status.webhooks[0].failures = 9;
    status.webhooks[0].last_error = Some("cannot connect: Connection refused (os error 111)".into());
    status
}
