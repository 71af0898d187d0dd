//! Passwords that change while everything runs, and where they are never found.

use super::one::{One, sentinel};
use crate::processes::fleet::free_ports;
use crate::support::{Process, Wire, eventually};
use std::fs;
use std::path::Path;
use vedette::resp::Reply;

const PASSWORD: &str = "canary-5d1f-password";
const SECOND: &str = "canary-77aa-password";

fn stock(password: &str) -> Process {
    Process::redis(&["--requirepass", password, "--masterauth", password])
}

fn group(master: &Process, more: &str) -> String {
    format!(
        "masters:\n  - {{ name: m, address: \"{}\", quorum: 1, down-after-milliseconds: 1000{more} }}\n",
        master.address()
    )
}

fn is_well(one: &One) -> bool {
    let status = one.status();
    status.contains("\"situation\":\"no-replicas\"") || status.contains("\"situation\":\"ok\"")
}

/// Whether any file below holds this text.
fn holds(dir: &Path, text: &str) -> bool {
    fs::read_dir(dir).unwrap().flatten().any(|entry| {
        let path = entry.path();
        if path.is_dir() {
            return holds(&path, text);
        }
        fs::read(&path).unwrap_or_default().windows(text.len()).any(|window| window == text.as_bytes())
    })
}

#[test]
fn a_password_set_at_run_time_reaches_every_sentinel_and_no_disk() {
    let dir = tempfile::tempdir().unwrap();
    let master = stock(PASSWORD);
    let secret = dir.path().join("cluster.secret");
    fs::write(&secret, "a cluster secret that is long enough\n").unwrap();
    let text = format!("cluster-secret-file: {}\n{}", secret.display(), group(&master, ""));
    let ports = free_ports(3);
    let mut fleet: Vec<One> = (1..=3).map(|id| sentinel(dir.path(), id, &ports, &text)).collect();
    for one in &fleet {
        one.await_status("master-refuses-us");
    }
    let set = |one: &One| one.ask(&["SENTINEL", "SET", "m", "auth-pass", PASSWORD]);
    eventually("it is agreed on", || set(&fleet[1]) == Some(Reply::Simple("OK".into())));
    // Automation tells every sentinel the same.
    eventually("and again, harmlessly", || set(&fleet[2]) == Some(Reply::Simple("OK".into())));
    for one in &fleet {
        eventually("every sentinel logs in", || is_well(one));
        assert!(!one.status().contains(PASSWORD));
    }
    fleet[0].await_log("auth-pass ******");
    // A sentinel that starts anew knows it from the log.
    fleet[0].process.kill();
    fleet[0].process.start();
    eventually("after a restart too", || is_well(&fleet[0]));
    for one in &fleet {
        let log = one.process.log();
        assert!(!log.contains(PASSWORD), "{log}");
        assert!(!holds(&one.home, PASSWORD), "{}", one.home.display());
    }
}

#[test]
fn without_a_cluster_secret_a_password_is_not_taken_and_a_changed_file_is() {
    let dir = tempfile::tempdir().unwrap();
    let master = stock(PASSWORD);
    let file = dir.path().join("m.pass");
    fs::write(&file, "not yet\n").unwrap();
    let text = group(&master, &format!(", auth-pass-file: {}", file.display()));
    let one = sentinel(dir.path(), 1, &free_ports(1), &text);
    one.await_status("master-refuses-us");
    let refusal = one.ask(&["SENTINEL", "SET", "m", "auth-pass", PASSWORD]);
    let refusal = refusal.as_ref().and_then(Reply::error).unwrap_or_default();
    assert!(refusal.contains("cluster-secret-file") && !refusal.contains(PASSWORD), "{refusal}");

    fs::write(&file, format!("{PASSWORD}\n")).unwrap();
    eventually("the file is read again by itself", || is_well(&one));
    // The server's password changes under connections that are up, then they break.
    let mut admin = Wire::connect(master.port);
    admin.ask(&["AUTH", PASSWORD]);
    admin.ask(&["CONFIG", "SET", "requirepass", SECOND]);
    admin.ask(&["CLIENT", "KILL", "TYPE", "normal"]);
    one.await_status("master-refuses-us");
    fs::write(&file, "").unwrap();
    one.await_log("is empty; write the secret into it; the secrets read before stay in force");
    fs::write(&file, format!("{SECOND}\n")).unwrap();
    eventually("and again", || is_well(&one));
    let log = one.process.log();
    assert!(!log.contains(PASSWORD) && !log.contains(SECOND), "{log}");
    assert!(!log.contains("+try-failover"), "{log}");
}

#[test]
fn who_does_not_log_in_is_sent_away() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("pass");
    fs::write(&file, PASSWORD).unwrap();
    let one = sentinel(dir.path(), 1, &free_ports(1), &format!("requirepass-file: {}\n", file.display()));
    eventually("it answers", || one.ask(&["PING"]).is_some());
    let (mut stranger, mut member) = (Wire::connect(one.port), Wire::connect(one.port));
    assert!(stranger.ask(&["PING"]).error().is_some_and(|text| text.starts_with("NOAUTH")));
    assert_eq!(member.ask(&["AUTH", PASSWORD]), Reply::Simple("OK".into()));
    // Asking does not help.
    eventually("the stranger's connection ends", || stranger.try_ask(&["PING"]).is_none());
    assert_eq!(member.ask(&["PING"]), Reply::Simple("PONG".into()));
}
