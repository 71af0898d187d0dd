//! A fleet that says nothing in plain text: stock Redis by TLS under our sentinels, peers by TLS,
//! redis-cli and our own command line by TLS, and what is wrong told by name.

use super::certificates::{Authority, Pair};
use super::redis_cli;
use super::tls_server::server;
use crate::processes::fleet::{GROUP, Process, free_ports, vedette};
use crate::support::{eventually, eventually_telling};
use std::fs;
use std::path::Path;
use std::process::Command;

pub(super) struct TlsFleet {
    pub(super) data: Vec<Process>,
    pub(super) sentinels: Vec<Process>,
    pub(super) flags: Vec<String>,
}

fn sentinel(
    dir: &Path,
    ca: &Authority,
    own: &Pair,
    id: usize,
    ports: &[u16],
    master: u16,
    group: &str,
) -> Process {
    let name = format!("sentinel-{id}");
    let home = dir.join(&name);
    let peers: String = ports
        .iter()
        .enumerate()
        .map(|(index, port)| format!("  - {{ id: {}, address: \"127.0.0.1:{port}\" }}\n", index + 1))
        .collect();
    let text = format!(
        "id: {id}\nport: 0\ntls-port: {}\ntls-cert-file: {}\ntls-key-file: {}\ntls-ca-cert-file: {}\ntls-peers: yes\ntls-replication: yes\ndir: {}\npeers:\n{peers}masters:\n  - name: {GROUP}\n    address: 127.0.0.1:{master}\n    quorum: 2\n    down-after-milliseconds: 1000\n{group}",
        ports[id - 1],
        own.certificate.display(),
        own.key.display(),
        ca.ca.display(),
        home.display(),
    );
    let config = dir.join(format!("{name}.yaml"));
    fs::write(&config, text).unwrap();
    let args = vec!["sentinel".into(), "--config".into(), config.display().to_string()];
    let mut process =
        Process::new(name.clone(), ports[id - 1], vedette(), args, dir.join(format!("{name}.log")));
    process.start();
    process
}

pub(super) fn start(dir: &Path, ca: &Authority, program: &str) -> TlsFleet {
    let ports = free_ports(5);
    let own = |name: &str| ca.issue(name);
    let master = ports[3].to_string();
    let more = ["--replicaof", "127.0.0.1", &master];
    let data = vec![
        server(program, dir, "data-1", &ca.directives(&own("data-1"), ports[3]), &[]),
        server(program, dir, "data-2", &ca.directives(&own("data-2"), ports[4]), &more),
    ];
    let sentinels = (1..=3)
        .map(|id| sentinel(dir, ca, &own(&format!("s-{id}")), id, &ports[..3], ports[3], ""))
        .collect();
    TlsFleet { data, sentinels, flags: ca.cli(Some(&own("operator"))) }
}

impl TlsFleet {
    pub(super) fn logs(&self) -> String {
        self.data
            .iter()
            .chain(&self.sentinels)
            .map(|process| format!("--- {}\n{}", process.name, process.log()))
            .collect()
    }

    pub(super) fn await_ready(&self) {
        eventually_telling(
            "each sentinel sees the replica in sync",
            || self.logs(),
            || {
                self.sentinels.iter().all(|sentinel| {
                    let said = redis_cli(sentinel.port, &self.flags, &["SENTINEL", "REPLICAS", GROUP]);
                    said.contains("vedette-in-sync\nyes")
                })
            },
        );
    }

    pub(super) fn await_master(&self, port: u16) {
        eventually_telling(
            &format!("all name {port} as master"),
            || self.logs(),
            || {
                self.sentinels.iter().all(|sentinel| {
                    let said = redis_cli(
                        sentinel.port,
                        &self.flags,
                        &["SENTINEL", "GET-MASTER-ADDR-BY-NAME", GROUP],
                    );
                    said == format!("127.0.0.1\n{port}")
                })
            },
        );
    }
}

#[test]
fn stock_redis_by_tls_fails_over_and_no_word_is_in_plain_text() {
    let dir = tempfile::tempdir().unwrap();
    let ca = Authority::new(dir.path(), "ours");
    let mut fleet = start(dir.path(), &ca, "redis-server");
    fleet.await_ready();
    let status = |more: &[String]| {
        let output = Command::new(vedette())
            .args(["status", "--sentinel", &format!("127.0.0.1:{}", fleet.sentinels[0].port)])
            .args(more)
            .output()
            .unwrap();
        (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    };
    let (code, said) = status(&fleet.flags);
    assert!(code == Some(0) && said.contains(GROUP), "{said}");
    let (code, said) = status(&ca.cli(None));
    assert!(code == Some(1) && said.contains("--cert"), "{said}");
    let (code, said) = status(&Authority::new(dir.path(), "theirs").cli(None));
    assert!(code == Some(1) && said.contains("--cacert"), "{said}");
    let (code, said) = status(&[]);
    assert!(code == Some(1), "plain text is not answered: {said}");
    // A peer without TLS is not let in, however well it knows the protocol.
    assert!(fleet.sentinels.iter().all(|sentinel| !sentinel.log().contains("plain text")));

    let (old, new) = (fleet.data[0].port, fleet.data[1].port);
    fleet.await_master(old);
    fleet.data[0].kill();
    fleet.await_master(new);
    eventually("the new master takes writes", || redis_cli(new, &fleet.flags, &["SET", "k", "v"]) == "OK");
}

#[test]
fn bundled_servers_by_tls_fail_over_too() {
    let dir = tempfile::tempdir().unwrap();
    let ca = Authority::new(dir.path(), "ours");
    let mut fleet = start(dir.path(), &ca, "vedette");
    fleet.await_ready();
    fleet.data[0].kill();
    fleet.await_master(fleet.data[1].port);
    eventually("the new master takes writes", || {
        redis_cli(fleet.data[1].port, &fleet.flags, &["SET", "k", "v"]) == "OK"
    });
}

#[test]
fn a_master_that_cannot_be_verified_is_a_named_situation_and_no_failover() {
    let dir = tempfile::tempdir().unwrap();
    let (ours, theirs) = (Authority::new(dir.path(), "ours"), Authority::new(dir.path(), "theirs"));
    let ports = free_ports(2);
    let data =
        server("redis-server", dir.path(), "data", &theirs.directives(&theirs.issue("data"), ports[1]), &[]);
    let group = "    quorum: 1\n";
    let _ = group;
    let one = sentinel(dir.path(), &ours, &ours.issue("s"), 1, &ports[..1], ports[1], "");
    // A fleet of one: its quorum of 2 would be refused.
    drop(one);
    let config = dir.path().join("sentinel-1.yaml");
    let text = fs::read_to_string(&config).unwrap().replace("quorum: 2", "quorum: 1");
    fs::write(&config, text).unwrap();
    let args = vec!["sentinel".into(), "--config".into(), config.display().to_string()];
    let mut one = Process::new("one".into(), ports[0], vedette(), args, dir.path().join("one.log"));
    one.start();
    let flags = ours.cli(Some(&ours.issue("operator")));
    let status = || {
        let output = Command::new(vedette())
            .args(["status", "--json", "--sentinel", &format!("127.0.0.1:{}", one.port)])
            .args(&flags)
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    eventually_telling("the situation is named", || one.log(), || status().contains("master-tls"));
    let said = status();
    assert!(said.contains("not signed by a CA of ours"), "{said}");
    eventually("the log names it", || one.log().contains("not signed by a CA of ours"));
    assert!(!one.log().contains("+try-failover"), "{}", one.log());
    drop(data);
}
