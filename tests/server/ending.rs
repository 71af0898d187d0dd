//! SHUTDOWN: its words as Redis has them, and how it waits for replicas and is taken back.

use crate::support::{Process, Wire, eventually};
use std::process::Command;

fn signal(process: &Process, name: &str) {
    assert!(Command::new("kill").args([name, &process.pid().to_string()]).status().unwrap().success());
}

fn follow(replica: &Process, master: &Process) {
    assert!(replica.connect().line(&format!("REPLICAOF 127.0.0.1 {}", master.port)).is_ok());
    let mut wire = master.connect();
    eventually("the replica has everything", || {
        wire.line("SET filled 1");
        wire.line("WAIT 1 100").as_integer() == Some(1)
    });
}

#[test]
fn its_words_are_those_of_redis() {
    let (ours, theirs) = (Process::vedette(&[]), Process::redis(&[]));
    for line in [
        "SHUTDOWN ABORT",
        "SHUTDOWN SAVE NOSAVE",
        "SHUTDOWN NOSAVE SAVE",
        "SHUTDOWN ABORT NOW",
        "SHUTDOWN FORCE ABORT",
        "SHUTDOWN bogus",
        "CONFIG GET shutdown-timeout",
        "CONFIG SET shutdown-timeout -1",
    ] {
        assert_eq!(ours.connect().line(line), theirs.connect().line(line), "{line}");
    }
    for server in [&ours, &theirs] {
        let mut wire = server.connect();
        assert!(wire.line("MULTI").is_ok());
        assert!(wire.line("SHUTDOWN").error().is_some_and(|why| why.contains("not allowed inside")));
        assert!(wire.line("DISCARD").is_ok());
        assert!(wire.try_ask(&["SHUTDOWN", "NOSAVE", "NOW", "FORCE", "NOSAVE"]).is_none());
        eventually("it has ended", || Wire::try_connect(server.port).is_none());
    }
}

/// The same on both: a replica that stands still holds the end up, writes wait, ABORT takes it back, and NOW
/// does not wait.
#[test]
fn a_master_waits_for_its_replicas_and_the_end_can_be_taken_back() {
    for start in [Process::vedette as fn(&[&str]) -> Process, Process::redis] {
        let (master, replica) = (start(&["--shutdown-timeout", "120"]), Process::vedette(&[]));
        follow(&replica, &master);
        signal(&replica, "-STOP");
        eventually("it stands still", || crate::support::all_threads_stopped(replica.pid()));
        let mut wire = master.connect();
        assert!(wire.line("SET late 1").is_ok());
        let (mut asking, mut writing) = (master.connect(), master.connect());
        asking.send(&["SHUTDOWN", "NOSAVE"]);
        eventually("it is on its way", || {
            let clients = wire.line("CLIENT LIST");
            clients.as_str().is_some_and(|list| list.contains("cmd=shutdown"))
        });
        writing.send(&["SET", "held", "1"]);
        assert_eq!(wire.line("GET late").as_str(), Some("1"), "reads go on");
        assert!(wire.line("SHUTDOWN ABORT").is_ok());
        let told = asking.next().expect("who asked is told");
        assert_eq!(told.error(), Some("ERR Errors trying to SHUTDOWN. Check logs."));
        assert!(writing.next().expect("writes go on").is_ok());
        // With the replica awake it ends by itself, with everything over there.
        asking.send(&["SHUTDOWN", "NOSAVE"]);
        signal(&replica, "-CONT");
        eventually("it has ended", || Wire::try_connect(master.port).is_none());
        let mut there = replica.connect();
        eventually("the replica has what was acknowledged", || {
            there.line("GET held").as_str() == Some("1") && there.line("GET late").as_str() == Some("1")
        });
    }
}

#[test]
fn now_does_not_wait_and_force_ends_without_a_snapshot() {
    let (master, replica) = (Process::vedette(&["--shutdown-timeout", "120"]), Process::vedette(&[]));
    follow(&replica, &master);
    signal(&replica, "-STOP");
    eventually("it stands still", || crate::support::all_threads_stopped(replica.pid()));
    assert!(master.connect().line("SET late 1").is_ok());
    assert!(master.connect().try_ask(&["SHUTDOWN", "NOSAVE", "NOW"]).is_none());
    eventually("it has ended", || Wire::try_connect(master.port).is_none());
    signal(&replica, "-CONT");

    let server = Process::vedette(&["--save", "3600 1"]);
    let mut wire = server.connect();
    assert!(wire.line("SET a 1").is_ok());
    // A directory stands where the snapshot is to be.
    std::fs::create_dir_all(server.path("dump.rdb/in-the-way")).unwrap();
    let refused = server.connect().line("SHUTDOWN");
    assert_eq!(refused.error(), Some("ERR Errors trying to SHUTDOWN. Check logs."));
    eventually("it serves on", || wire.line("SET a 2").is_ok() || wire.line("PING").error().is_some());
    assert!(server.connect().try_ask(&["SHUTDOWN", "SAVE", "FORCE"]).is_none());
    eventually("it has ended", || Wire::try_connect(server.port).is_none());
}
