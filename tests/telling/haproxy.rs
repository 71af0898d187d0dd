//! A real HAProxy with the configuration of the documentation: clients behind it follow the master.

use super::tools::{eventually, http_port, repository, run, start, succeeded};
use crate::processes::fleet::{Fleet, Plan, free_ports};
use crate::processes::wire::Wire;
use std::time::Duration;

#[test]
fn clients_behind_haproxy_follow_the_master_through_a_crash() {
    let mut fleet = Fleet::start(&Plan::default());
    let own = free_ports(3);
    let mut text = std::fs::read_to_string(repository("docs/monitoring/haproxy.cfg")).unwrap();
    let mut ports = vec![(6390, own[0]), (6391, own[1]), (26390, own[2])];
    ports.extend([6379, 6380, 6381].into_iter().zip(fleet.data.iter().map(|data| data.port)));
    ports.extend([26380, 26480, 26580].into_iter().zip((0..3).map(|index| http_port(&fleet, index))));
    // In two rounds: a port of ours may be one that the documentation names.
    for (index, (documented, _)) in ports.iter().enumerate() {
        text = text.replace(&format!("127.0.0.1:{documented}\n"), &format!("127.0.0.1:@{index}@\n"));
        text = text.replace(&format!("port {documented} "), &format!("port @{index}@ "));
    }
    for (index, (_, port)) in ports.iter().enumerate() {
        text = text.replace(&format!("@{index}@"), &port.to_string());
    }
    assert!(!text.contains('@'));
    let config = fleet.dir.path().join("haproxy.cfg");
    std::fs::write(&config, &text).unwrap();
    let path = config.display().to_string();
    succeeded(&run("haproxy", "haproxy", &["-c", "-f", &path], ""));
    let args = vec!["-db".to_owned(), "-f".to_owned(), path];
    let haproxy = start("haproxy", own[0], "haproxy", args, fleet.dir.path());

    let report = || format!("{}{}", haproxy.log(), fleet.logs());
    let set = |value: &str| Wire::once(own[0], &["SET", "k", value]).is_some_and(|reply| reply.is_ok());
    // Until its first check HAProxy takes every node for a master.
    let master_again = || {
        let role = Wire::once(own[0], &["ROLE"]);
        role.as_ref().and_then(|reply| reply.as_array()?.first()?.as_str()) == Some("master")
    };
    eventually("only the master is asked", &report, || (0..10).all(|_| master_again()));
    eventually("a write goes through HAProxy", &report, || set("before"));
    eventually("a read goes to a replica", &report, || {
        Wire::once(own[1], &["ROLE"])
            .and_then(|reply| reply.as_array()?.first()?.as_str().map(|role| role == "slave"))
            .unwrap_or(false)
    });
    let old = fleet.master().unwrap();
    let index = fleet.index_of(old);
    let mut held = Wire::connect(own[0], Duration::from_secs(2)).unwrap();
    assert!(held.call(&["SET", "k", "held"]).is_some_and(|reply| reply.is_ok()));
    fleet.data[index].kill();
    let (successor, _) = fleet.await_switch(old, Duration::from_secs(20));
    let report = || format!("{}{}", haproxy.log(), fleet.logs());
    eventually("writes go on through HAProxy", &report, || set("after"));
    let value = Wire::once(successor, &["GET", "k"]).and_then(|reply| reply.as_str().map(str::to_owned));
    assert_eq!(value.as_deref(), Some("after"), "at the new master");
    assert!(held.call(&["PING"]).is_none(), "the old master's clients were cut off");
    // The old master returns as a replica: it gets no writes.
    fleet.data[index].start();
    fleet.await_replicas(successor);
    for _ in 0..20 {
        let role = Wire::once(own[0], &["ROLE"]);
        let role = role.as_ref().and_then(|reply| reply.as_array()?.first()?.as_str());
        assert_eq!(role, Some("master"));
    }
}
