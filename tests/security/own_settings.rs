//! What concerns one sentinel alone, set while it runs: the others learn of it, and it outlives the process.

use super::flat;
use crate::processes::fleet::{Fleet, GROUP, Plan};
use crate::processes::wire::Wire;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(30);

fn ask(port: u16, words: &[&str]) -> String {
    Wire::once(port, words).map(|reply| flat(&reply)).unwrap_or_default()
}

#[test]
fn an_announced_address_is_changed_at_run_time_and_stays_after_a_restart() {
    let mut fleet = Fleet::start(&Plan { nodes: 2, ..Plan::default() });
    let ports: Vec<u16> = fleet.sentinels.iter().map(|sentinel| sentinel.port).collect();
    let (moved, others) = (ports[2], [ports[0], ports[1]]);
    let set = |fleet: &Fleet, words: &[&str]| {
        let words: Vec<&str> = ["SENTINEL", "CONFIG", "SET"].iter().chain(words).copied().collect();
        fleet.wait("the fleet agrees", PATIENCE, || {
            Wire::once(moved, &words).is_some_and(|reply| reply.is_ok())
        });
    };
    let told_as = |fleet: &Fleet, host: &str| {
        let words = format!("ip {host} port {moved} ");
        fleet.wait(&format!("the others name it at {host}"), PATIENCE, || {
            others.iter().all(|port| ask(*port, &["SENTINEL", "SENTINELS", GROUP]).contains(&words))
        });
    };
    told_as(&fleet, "127.0.0.1");
    set(&fleet, &["announce-ip", "localhost"]);
    told_as(&fleet, "localhost");
    set(&fleet, &["announce-hostnames", "no", "sentinel-user", "watcher"]);
    let config = ask(moved, &["SENTINEL", "CONFIG", "GET", "*"]);
    for words in ["announce-hostnames no", "sentinel-user watcher"] {
        assert!(config.contains(words), "{config}");
    }
    // The setting of one is not that of another.
    assert!(ask(ports[0], &["SENTINEL", "CONFIG", "GET", "*"]).contains("announce-hostnames yes"));

    fleet.sentinels[2].kill();
    fleet.sentinels[2].start();
    fleet.wait("it still says so", PATIENCE, || {
        let config = ask(moved, &["SENTINEL", "CONFIG", "GET", "*"]);
        ["announce-ip localhost", "announce-hostnames no", "sentinel-user watcher"]
            .iter()
            .all(|words| config.contains(words))
    });
    fleet.wait("it is connected again", PATIENCE, || {
        let usable = |port: &u16| ask(*port, &["SENTINEL", "CKQUORUM", GROUP]).contains("3 usable");
        ports.iter().all(usable)
    });
    told_as(&fleet, "localhost");
    set(&fleet, &["announce-ip", ""]);
    told_as(&fleet, "127.0.0.1");

    // There is no secret to keep a password under, and another's address is no place to be.
    let refused = ask(moved, &["SENTINEL", "CONFIG", "SET", "sentinel-pass", "hunter2"]);
    assert!(refused.contains("cluster-secret-file") && !refused.contains("hunter2"), "{refused}");
    let refused = ask(moved, &["SENTINEL", "CONFIG", "SET", "announce-port", &others[0].to_string()]);
    assert!(refused.contains("another sentinel"), "{refused}");
}
