//! What dials by TLS besides links: `vedette lock` with its servers, and MIGRATE with `tls-cluster`.

use super::certificates::Authority;
use super::redis_cli;
use super::tls_server::server;
use crate::processes::fleet::{Process, free_ports, vedette};
use crate::support::eventually_telling;
use std::path::Path;
use std::process::{Command, Output};

fn started(program: &str, dir: &Path, name: &str, ca: &Authority, more: &[&str]) -> Process {
    let port = free_ports(1)[0];
    let own = ca.issue(name);
    let process = server(program, dir, name, &ca.directives(&own, port), more);
    let flags = ca.cli(Some(&own));
    eventually_telling(
        &format!("{name} answers"),
        || process.log(),
        || redis_cli(port, &flags, &["PING"]) == "PONG",
    );
    process
}

#[test]
fn a_lock_is_held_over_tls_and_not_with_strangers() {
    let dir = tempfile::tempdir().unwrap();
    let ours = Authority::new(dir.path(), "ours");
    let theirs = Authority::new(dir.path(), "theirs");
    let client = ours.issue("client");
    let servers: Vec<Process> = ["one", "two", "three"]
        .iter()
        .zip(["vedette", "redis-server", "vedette"])
        .map(|(name, program)| started(program, dir.path(), name, &ours, &[]))
        .collect();
    let addresses: Vec<String> = servers.iter().map(|one| format!("127.0.0.1:{}", one.port)).collect();
    let lock = |authority: &Authority, more: &[&str]| -> Output {
        Command::new(vedette())
            .args(["lock", "job", "--server", &addresses.join(","), "--restart-guard", "0", "--tls"])
            .args(["--cacert".as_ref(), authority.ca.as_os_str()])
            .args(["--cert".as_ref(), client.certificate.as_os_str()])
            .args(["--key".as_ref(), client.key.as_os_str()])
            .args(more)
            .env("SHELL", "/bin/sh")
            .output()
            .unwrap()
    };
    let told = |output: &Output| {
        String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned()
    };
    let held = lock(&ours, &["-c", "echo held"]);
    assert!(held.status.success() && told(&held).contains("held"), "{}", told(&held));
    let code = lock(&ours, &["-c", "exit 7"]);
    assert_eq!(code.status.code(), Some(7), "{}", told(&code));
    // Their certificates are signed by nobody that is trusted.
    let strangers = lock(&theirs, &["--nonblock", "-c", "echo held"]);
    assert!(!strangers.status.success() && !told(&strangers).contains("held\n"), "{}", told(&strangers));
    // It was given back each time.
    let again = lock(&ours, &["--nonblock", "-c", "true"]);
    assert!(again.status.success(), "{}", told(&again));
}

#[test]
fn migrate_goes_by_tls_where_redis_would() {
    let dir = tempfile::tempdir().unwrap();
    let ca = Authority::new(dir.path(), "ours");
    let flags = ca.cli(Some(&ca.issue("client")));
    let redis = started("redis-server", dir.path(), "redis", &ca, &["--tls-cluster", "yes"]);
    let by_tls = started("vedette", dir.path(), "by-tls", &ca, &["--tls-cluster", "yes"]);
    let in_plain = started("vedette", dir.path(), "in-plain", &ca, &[]);
    let ask = |process: &Process, words: &[&str]| redis_cli(process.port, &flags, words);
    let migrate = |from: &Process, to: &Process| {
        let port = to.port.to_string();
        ask(from, &["MIGRATE", "127.0.0.1", &port, "key", "0", "5000"])
    };
    assert_eq!(ask(&by_tls, &["SET", "key", "value"]), "OK");
    assert_eq!(migrate(&by_tls, &redis), "OK", "{}", by_tls.log());
    assert_eq!(ask(&redis, &["GET", "key"]), "value");
    assert_eq!(migrate(&redis, &by_tls), "OK");
    assert_eq!(ask(&by_tls, &["GET", "key"]), "value");
    // Plain text is not understood on a port of TLS, and nothing is lost by the attempt.
    assert_eq!(ask(&in_plain, &["SET", "key", "mine"]), "OK");
    assert!(migrate(&in_plain, &redis).contains("IOERR"));
    assert_eq!(ask(&in_plain, &["GET", "key"]), "mine");
    assert_eq!(ask(&redis, &["EXISTS", "key"]), "0");
}
