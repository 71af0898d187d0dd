//! Programs that a fleet runs: Redis' two scripts and the hooks, once for the fleet and not once a sentinel; and
//! a leader that crashes on demand.

use super::fleet::{Fleet, GROUP, Plan};
use super::wire::Wire;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(40);

fn program(dir: &Path, name: &str, text: &str) -> PathBuf {
    let path = dir.join(name);
    std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
    path
}

fn lines(path: &Path) -> Vec<String> {
    std::fs::read_to_string(path).unwrap_or_default().lines().map(str::to_owned).collect()
}

fn my_id(port: u16) -> Option<String> {
    Wire::once(port, &["SENTINEL", "MYID"])?.as_str().map(str::to_owned)
}

#[test]
fn scripts_and_hooks_run_once_for_the_fleet_and_survive_its_leader() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let note = |name: &str, what: &str| {
        program(dir.path(), name, &format!("{what} >> '{}'", at(&format!("{name}.log")).display()))
    };
    let told = note("told", "echo \"$1|$2\"");
    let moved = note("moved", "echo \"$*\"");
    let done = note("done", "{ cat; echo; }");
    let asked = note("asked", "{ cat; echo; }");
    let extra = format!(
        "    notification-script: {}\n    client-reconfig-script: {}\nhooks:\n  pre-failover: {{ program: {}, deadline-milliseconds: 20000 }}\n  post-failover: {{ program: {}, deadline-milliseconds: 20000 }}\n",
        told.display(),
        moved.display(),
        asked.display(),
        done.display()
    );
    let mut fleet = Fleet::start(&Plan { extra, ..Plan::default() });
    let first = fleet.master().unwrap();
    let index = fleet.index_of(first);
    fleet.data[index].kill();
    let (second, _) = fleet.await_switch(first, PATIENCE);
    let switched = format!("+switch-master|{GROUP} 127.0.0.1 {first} 127.0.0.1 {second}");
    let ended =
        |name: &str| lines(&at(name)).iter().filter(|line| line.starts_with("+failover-end|")).count();
    fleet.wait("the scripts have run", PATIENCE, || {
        ended("told.log") > 0 && !lines(&at("moved.log")).is_empty() && !lines(&at("done.log")).is_empty()
    });
    let all = lines(&at("told.log"));
    assert_eq!(all.iter().filter(|line| **line == switched).count(), 1, "{all:#?}");
    let sdown = format!("+sdown|master {GROUP} 127.0.0.1 {first}");
    assert!(all.contains(&sdown), "{all:#?}");
    assert!(!all.iter().any(|line| line.starts_with("+slave|")), "only warnings: {all:#?}");
    let expected = format!("{GROUP} leader start 127.0.0.1 {first} 127.0.0.1 {second}");
    assert_eq!(lines(&at("moved.log")), [expected]);
    assert_eq!(lines(&at("asked.log")).len(), 1);
    let question: serde_json::Value = serde_json::from_str(&lines(&at("asked.log"))[0]).unwrap();
    assert_eq!((question["group"].as_str(), question["cause"].as_str()), (Some(GROUP), Some("crashed")));
    let event: serde_json::Value = serde_json::from_str(&lines(&at("done.log"))[0]).unwrap();
    assert_eq!(event["kind"], "+failover-end");

    // The leader ends in the middle of the next one; whoever follows finishes it, scripts and all.
    fleet.data[index].start();
    fleet.await_replicas(second);
    fleet.wait("both replicas count again", PATIENCE, || {
        let reply = Wire::once(fleet.sentinels[fleet.leader()].port, &["SENTINEL", "MASTER", GROUP]);
        reply
            .and_then(|map| super::fleet::field(&map, "vedette-in-sync-set"))
            .is_some_and(|set| set.split(',').count() == 2)
    });
    let leader = fleet.leader();
    let port = fleet.sentinels[leader].port;
    let identity = my_id(port).unwrap();
    assert!(identity.len() == 40 && identity.bytes().all(|b| b.is_ascii_hexdigit()), "{identity}");
    let reply = Wire::once(port, &["SENTINEL", "SIMULATE-FAILURE", "crash-after-promotion"]);
    assert!(reply.is_some_and(|reply| reply.is_ok()));
    let other = (leader + 1) % 3;
    // Asked of another sentinel: the leader will not be there to answer for long.
    let reply = Wire::once(fleet.sentinels[other].port, &["SENTINEL", "FAILOVER", GROUP]);
    assert!(reply.as_ref().is_some_and(|reply| reply.is_ok()), "{reply:?}\n{}", fleet.logs());
    let mut status = None;
    let deadline = std::time::Instant::now() + PATIENCE;
    while status.is_none() && std::time::Instant::now() < deadline {
        status = fleet.sentinels[leader].ended();
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(status.and_then(|status| status.code()), Some(99), "{}", fleet.logs());
    fleet.sentinels[leader].kill();
    let (third, _) = fleet.await_switch(second, PATIENCE);
    let switched = format!("{GROUP} leader start 127.0.0.1 {second} 127.0.0.1 {third}");
    fleet.wait("the next leader runs the script", PATIENCE, || lines(&at("moved.log")).contains(&switched));

    // It comes back as who it was.
    fleet.sentinels[leader].start();
    fleet.wait("it answers again", PATIENCE, || my_id(port).is_some());
    assert_eq!(my_id(port), Some(identity));
}
