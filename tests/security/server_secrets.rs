//! Passwords of the bundled server in files: renewed under a server that runs, and under its replica.

use super::redis_cli;
use super::tls_server::hangup;
use crate::processes::fleet::{Process, free_ports, vedette};
use crate::support::eventually;
use std::fs;
use std::path::Path;

fn server(dir: &Path, name: &str, port: u16, more: &[&str]) -> Process {
    let home = dir.join(name);
    fs::create_dir_all(&home).unwrap();
    let mut args: Vec<String> = ["server", "--bind", "127.0.0.1", "--save", ""].map(str::to_owned).to_vec();
    args.extend(["--port".to_owned(), port.to_string(), "--dir".to_owned(), home.display().to_string()]);
    args.extend(more.iter().map(|&word| word.to_owned()));
    let mut process = Process::new(name.into(), port, vedette(), args, dir.join(format!("{name}.log")));
    process.start();
    process
}

fn login(port: u16, password: &str, words: &[&str]) -> String {
    let flags = ["--no-auth-warning", "-a", password].map(str::to_owned);
    redis_cli(port, &flags, words)
}

#[test]
fn passwords_in_files_are_renewed_without_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let pass = dir.path().join("pass");
    let pass_text = pass.display().to_string();
    fs::write(&pass, "first\n").unwrap();
    let ports = free_ports(2);
    let (master_port, replica_port) = (ports[0], ports[1]);
    let master = server(dir.path(), "master", master_port, &["--requirepass-file", &pass_text]);
    let port_text = master_port.to_string();
    let replica = server(
        dir.path(),
        "replica",
        replica_port,
        &["--masterauth-file", &pass_text, "--replicaof", "127.0.0.1", &port_text],
    );
    let in_sync = || redis_cli(replica_port, &[], &["INFO", "replication"]).contains("master_link_status:up");
    let told = || format!("{}\n{}", master.log(), replica.log());
    eventually(&format!("the replica logs in\n{}", told()), in_sync);
    assert!(redis_cli(master_port, &[], &["GET", "k"]).contains("NOAUTH"));

    // A file that is no good changes nothing, and is told.
    fs::write(&pass, "\n").unwrap();
    hangup(&master);
    eventually("the empty file is told", || master.log().contains("is empty"));
    assert_eq!(login(master_port, "first", &["PING"]), "PONG");

    fs::write(&pass, "second\n").unwrap();
    hangup(&master);
    hangup(&replica);
    eventually("both have read it again", || {
        [&master, &replica].iter().all(|process| process.log().contains("new secrets are in force"))
    });
    eventually("the new password counts", || login(master_port, "second", &["PING"]) == "PONG");
    assert!(login(master_port, "first", &["PING"]).contains("WRONGPASS"));
    // A link that stands has proven itself; the next one logs in with what the file holds now.
    assert_eq!(login(master_port, "second", &["SET", "k", "v"]), "OK");
    login(master_port, "second", &["CLIENT", "KILL", "TYPE", "replica"]);
    eventually("the replica is back", in_sync);
    eventually("and has the key", || redis_cli(replica_port, &[], &["GET", "k"]) == "v");
    assert!(!told().contains("second") && !told().contains("first\n"), "no password in a log: {}", told());
}

#[test]
fn users_of_an_aclfile_are_read_again_when_asked() {
    let dir = tempfile::tempdir().unwrap();
    let users = dir.path().join("users.acl");
    fs::write(&users, "user default on nopass ~* &* +@all\n").unwrap();
    let port = free_ports(1)[0];
    let process = server(dir.path(), "data", port, &["--aclfile", &users.display().to_string()]);
    eventually("it answers", || redis_cli(port, &[], &["PING"]) == "PONG");
    fs::write(&users, "user default on nopass ~* &* +@all\nuser bob on >secret ~* +ping\n").unwrap();
    hangup(&process);
    eventually("bob is let in", || {
        redis_cli(
            port,
            &["--no-auth-warning", "--user", "bob", "--pass", "secret"].map(str::to_owned),
            &["PING"],
        ) == "PONG"
    });
    fs::write(&users, "nonsense\n").unwrap();
    hangup(&process);
    eventually("the mistake is told", || process.log().contains("stay in force"));
    assert!(redis_cli(port, &[], &["ACL", "USERS"]).contains("bob"));
}
