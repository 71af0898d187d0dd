//! A sentinel that is gone for good gets a successor, and one that moved keeps its id: real processes,
//! with a failover behind each.

use super::fleet::{Fleet, Plan, Process, free_ports, peers, vedette};
use std::fs;
use std::process::Command;
use std::time::Duration;

const LONG: Duration = Duration::from_secs(60);

fn await_voters(fleet: &Fleet, expected: &[(u64, u16)]) {
    let expected: Vec<_> =
        expected.iter().map(|(id, port)| (*id, format!("127.0.0.1:{port}"), "voter".to_owned())).collect();
    fleet.wait(&format!("all say that the fleet is {expected:?}"), LONG, || {
        fleet.sentinels.iter().filter(|s| s.is_running()).all(|s| peers(s.port) == expected)
    });
}

/// The command of the documentation, as a person types it: it waits until the fleet has done it.
#[test]
fn a_dead_sentinel_is_replaced_and_the_fleet_fails_over_without_it() {
    let mut fleet = Fleet::start(&Plan::default());
    let leader = fleet.leader();
    let dead = leader as u64 + 1;
    fleet.sentinels[leader].kill();
    let port = free_ports(1)[0];
    let other = fleet.sentinels[(leader + 1) % 3].port;
    let file = fleet.dir.path().join("sentinel-4.yaml");
    let home = fleet.dir.path().join("sentinel-4");
    fs::write(
        &file,
        format!("id: 4\nport: {port}\ndir: {}\njoin: [\"127.0.0.1:{other}\"]\n", home.display()),
    )
    .unwrap();
    let args = vec!["sentinel".into(), "--config".into(), file.display().to_string()];
    let mut successor =
        Process::new("sentinel-4".into(), port, vedette(), args, fleet.dir.path().join("sentinel-4.log"));
    successor.start();
    fleet.sentinels[leader] = successor;
    let said = Command::new(vedette())
        .args(["peer", "replace", &dead.to_string(), "4", &format!("127.0.0.1:{port}")])
        .args(["--sentinel", &format!("127.0.0.1:{other}")])
        .output()
        .unwrap();
    assert!(said.status.success(), "{}\n{}", String::from_utf8_lossy(&said.stderr), fleet.logs());
    let mut expected: Vec<(u64, u16)> = (0..3)
        .filter(|at| *at != leader)
        .map(|at| (at as u64 + 1, fleet.sentinels[at].port))
        .chain([(4, port)])
        .collect();
    expected.sort_unstable();
    await_voters(&fleet, &expected);
    fleet.await_ready(2);
    fleet.fail_over(LONG);
    // Its vote counts: with another one gone, the two that are left are it and one founder.
    let third = (leader + 2) % 3;
    fleet.sentinels[third].kill();
    fleet.fail_over(LONG);
}

/// Only the own file of the one that moves changes; those of the others still name its old place.
#[test]
fn a_sentinel_that_moves_keeps_its_id_and_tells_where_it_is() {
    let mut fleet = Fleet::start(&Plan::default());
    let old = fleet.sentinels[2].port;
    let new = free_ports(1)[0];
    let file = fleet.dir.path().join("sentinel-3.yaml");
    fleet.sentinels[2].kill();
    let text = fs::read_to_string(&file).unwrap();
    fs::write(
        &file,
        text.replace(&format!("port: {old}"), &format!("port: {new}"))
            .replace(&format!("127.0.0.1:{old}"), &format!("127.0.0.1:{new}")),
    )
    .unwrap();
    let args = vec!["sentinel".into(), "--config".into(), file.display().to_string()];
    let log = fleet.dir.path().join("moved.log");
    fleet.sentinels[2] = Process::new("sentinel-3".into(), new, vedette(), args, log);
    fleet.sentinels[2].start();
    let ports: Vec<u16> = fleet.sentinels.iter().map(|sentinel| sentinel.port).collect();
    let expected = [(1, ports[0]), (2, ports[1]), (3, new)];
    await_voters(&fleet, &expected);
    // The others come back from files that are out of date: what was agreed counts.
    for at in 0..2 {
        fleet.sentinels[at].kill();
        fleet.sentinels[at].start();
        fleet.await_ready(2);
    }
    await_voters(&fleet, &expected);
    // Each of the three is needed in turn.
    fleet.sentinels[0].kill();
    fleet.fail_over(LONG);
}
