//! The bundled server behind TLS: Debian's redis-cli asks it, Debian's redis-server follows it and is
//! followed by it, and its certificate is renewed under it.

use super::certificates::{Authority, Pair};
use super::redis_cli;
use crate::processes::fleet::{Process, free_ports, vedette};
use crate::support::{eventually, eventually_telling};
use std::fs;
use std::path::Path;

pub fn server(program: &str, dir: &Path, name: &str, tls: &[String], more: &[&str]) -> Process {
    let home = dir.join(name);
    fs::create_dir_all(&home).unwrap();
    let mut args: Vec<String> = Vec::new();
    if program == "vedette" {
        args.push("server".into());
    }
    let at = tls.iter().position(|word| word == "--tls-port").unwrap();
    let port = tls[at + 1].parse().unwrap();
    for word in ["--port", "0", "--bind", "127.0.0.1", "--save", "", "--dir"] {
        args.push(word.into());
    }
    args.push(home.display().to_string());
    args.extend(tls.iter().cloned());
    args.extend(more.iter().map(|&word| word.to_owned()));
    let program = if program == "vedette" { vedette() } else { program.into() };
    let mut process = Process::new(name.into(), port, program, args, dir.join(format!("{name}.log")));
    process.start();
    process
}

fn answers(process: &Process, flags: &[String]) {
    eventually_telling(
        &format!("{} answers", process.name),
        || process.log(),
        || redis_cli(process.port, flags, &["PING"]) == "PONG",
    );
}

pub fn hangup(process: &Process) {
    rustix::process::kill_process(process.pid(), rustix::process::Signal::HUP).unwrap();
}

#[test]
fn redis_cli_speaks_tls_with_it_and_nobody_else_gets_in() {
    let dir = tempfile::tempdir().unwrap();
    let ours = Authority::new(dir.path(), "ours");
    let theirs = Authority::new(dir.path(), "theirs");
    let (own, client, stranger) = (ours.issue("server"), ours.issue("client"), theirs.issue("stranger"));
    let port = free_ports(1)[0];
    let process = server("vedette", dir.path(), "data", &ours.directives(&own, port), &[]);
    let member = ours.cli(Some(&client));
    answers(&process, &member);
    assert_eq!(redis_cli(port, &member, &["SET", "k", "v"]), "OK");
    // More than one TLS record, both ways.
    let long = "x".repeat(100_000);
    assert_eq!(redis_cli(port, &member, &["SET", "long", &long]), "OK");
    assert_eq!(redis_cli(port, &member, &["GET", "long"]), long);
    let plain = redis_cli(port, &[], &["GET", "k"]);
    assert!(!plain.contains('v') || plain.contains("Error"), "plain text: {plain}");
    for (what, flags) in [
        ("without a certificate", ours.cli(None)),
        ("with a stranger's", ours.cli(Some(&stranger))),
        ("expecting another CA", theirs.cli(Some(&client))),
    ] {
        let said = redis_cli(port, &flags, &["GET", "k"]);
        assert!(said != "v" && !said.is_empty(), "{what}: {said}");
    }
    // Strangers that come in a row share a line.
    eventually("the log names the strangers", || {
        redis_cli(port, &ours.cli(None), &["GET", "k"]);
        let log = process.log();
        log.contains("no TLS session") && log.contains("certificate")
    });
}

#[test]
fn a_renewed_certificate_counts_at_once_and_a_bad_one_never() {
    let dir = tempfile::tempdir().unwrap();
    let ca = Authority::new(dir.path(), "ours");
    let expired = ca.issue_for("server", &["127.0.0.1"], 2002);
    let port = free_ports(1)[0];
    let process =
        server("vedette", dir.path(), "data", &ca.directives(&expired, port), &["--tls-auth-clients", "no"]);
    let flags = ca.cli(None);
    eventually("it serves", || process.log().contains("ready to accept"));
    assert!(process.log().contains("has expired"), "{}", process.log());
    assert_ne!(redis_cli(port, &flags, &["PING"]), "PONG", "nobody believes an expired certificate");

    ca.issue("server");
    hangup(&process);
    answers(&process, &flags);

    // Half a file: what was good stays in force, and the log says so.
    fs::write(&expired.certificate, "-----BEGIN CERTIFICATE-----\nnonsense").unwrap();
    eventually("the change is seen and refused", || process.log().contains("stay in force"));
    assert_eq!(redis_cli(port, &flags, &["PING"]), "PONG");
    assert_eq!(process.log().matches("new certificates are in force").count(), 1, "{}", process.log());
}

#[test]
fn stock_redis_follows_it_by_tls_and_it_follows_stock_redis() {
    let dir = tempfile::tempdir().unwrap();
    let ca = Authority::new(dir.path(), "ours");
    let own: Vec<Pair> = (0..4).map(|index| ca.issue(&format!("server-{index}"))).collect();
    let ports = free_ports(4);
    let tls = |index: usize| ca.directives(&own[index], ports[index]);
    let flags = ca.cli(Some(&own[0]));
    let pairs = [("vedette", "redis-server", 0), ("redis-server", "vedette", 2)];
    let mut kept = Vec::new();
    for (master, replica, at) in pairs {
        let master = server(master, dir.path(), &format!("master-{at}"), &tls(at), &[]);
        answers(&master, &flags);
        let of = format!("127.0.0.1 {}", ports[at]);
        let of: Vec<&str> = of.split(' ').collect();
        let more = vec!["--replicaof", of[0], of[1]];
        let replica = server(replica, dir.path(), &format!("replica-{at}"), &tls(at + 1), &more);
        answers(&replica, &flags);
        assert_eq!(redis_cli(master.port, &flags, &["SET", "k", "over-tls"]), "OK");
        eventually_telling(
            "the replica has it",
            || master.log() + &replica.log(),
            || redis_cli(replica.port, &flags, &["GET", "k"]) == "over-tls",
        );
        let info = redis_cli(master.port, &flags, &["INFO", "replication"]);
        assert!(info.contains(&format!("port={},", replica.port)), "it is told by its TLS port: {info}");
        kept.push((master, replica));
    }
    // A master whose certificate nobody vouches for is not followed.
    let strangers = Authority::new(dir.path(), "theirs");
    let own = strangers.issue("stranger");
    let port = free_ports(1)[0];
    let more = ["--replicaof", "127.0.0.1", &ports[0].to_string()];
    let mut tls = strangers.directives(&own, port);
    tls.extend(["--tls-auth-clients".to_owned(), "no".to_owned()]);
    let lost = server("vedette", dir.path(), "lost", &tls, &more);
    eventually("it says why it does not follow", || lost.log().contains("not signed by a CA of ours"));
    assert_eq!(redis_cli(port, &strangers.cli(None), &["GET", "k"]), "");
}
