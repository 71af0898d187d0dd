//! What dials a fleet beside the sentinels themselves, by TLS: the host agent of a stock server, and the
//! canary of a live drill.

use super::certificates::Authority;
use super::redis_cli;
use super::tls_fleet::start;
use crate::processes::fleet::{GROUP, Process, vedette};
use crate::support::eventually;
use std::fs;
use std::process::Command;

#[test]
fn an_agent_vouches_and_fences_by_tls() {
    let dir = tempfile::tempdir().unwrap();
    let ca = Authority::new(dir.path(), "ours");
    let mut fleet = start(dir.path(), &ca, "redis-server");
    fleet.await_ready();
    let (master, own) = (fleet.data[0].port, ca.issue("agent"));
    let sentinels: Vec<String> =
        fleet.sentinels.iter().map(|sentinel| format!("\"127.0.0.1:{}\"", sentinel.port)).collect();
    let text = format!(
        "group: {GROUP}\nserver: 127.0.0.1:{master}\nsentinels: [{}]\nlease-milliseconds: 2000\ntls-server: yes\ntls-sentinels: yes\ntls-ca-cert-file: {}\ntls-cert-file: {}\ntls-key-file: {}\n",
        sentinels.join(", "),
        ca.ca.display(),
        own.certificate.display(),
        own.key.display(),
    );
    let config = dir.path().join("agent.yaml");
    fs::write(&config, text).unwrap();
    let args = vec!["agent".into(), "--config".into(), config.display().to_string()];
    let mut agent = Process::new("agent".into(), 0, vedette(), args, dir.path().join("agent.log"));
    agent.start();
    let flags = fleet.flags.clone();
    // A fenced server holds it back for as long as it is asked to wait.
    let writes = || {
        let output = Command::new("timeout")
            .args(["3", "redis-cli", "-h", "127.0.0.1", "-p", &master.to_string()])
            .args(&flags)
            .args(["SET", "k", "v"])
            .output();
        output.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).trim() == "OK")
    };
    eventually(&format!("a vouched server takes writes\n{}", agent.log()), writes);
    for sentinel in &mut fleet.sentinels {
        sentinel.kill();
    }
    eventually("its writes wait", || !writes());
    eventually("and the agent says why", || agent.log().contains("nobody vouches"));
    for sentinel in &mut fleet.sentinels {
        sentinel.start();
    }
    eventually(&format!("it is vouched for again\n{}", agent.log()), writes);
}

#[test]
fn the_canary_of_a_live_drill_writes_by_tls() {
    let dir = tempfile::tempdir().unwrap();
    let ca = Authority::new(dir.path(), "ours");
    let fleet = start(dir.path(), &ca, "vedette");
    fleet.await_ready();
    let at = format!("127.0.0.1:{}", fleet.sentinels[0].port);
    let output = Command::new(vedette())
        .args(["drill", "planned", "--live", "--yes", "--json", "--group", GROUP, "--sentinel", &at])
        .args(&fleet.flags)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let told = format!("{text}\n{}\n{}", String::from_utf8_lossy(&output.stderr), fleet.logs());
    // On a machine with no time to spare a switchover is undone; what the canary reached is the same.
    assert!(matches!(output.status.code(), Some(0 | 1)), "{told}");
    let cards: serde_json::Value = serde_json::from_str(&text).expect("it prints JSON");
    let card = cards.as_array().and_then(|cards| cards.first()).unwrap_or(&cards);
    assert!(card["writes"]["promised"].as_u64().is_some_and(|count| count > 0), "{told}");
    assert!(redis_cli(fleet.sentinels[0].port, &fleet.flags, &["PING"]) == "PONG");
}
