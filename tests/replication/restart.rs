//! A clean restart of either side costs no full sync: the snapshot says where in which history it
//! stands. Bundled servers and Debian's redis-server in all pairs.

use super::*;

const SAVED: &[&str] = &["--save", "900", "1"];

fn field(process: &Process, name: &str) -> String {
    let reply = process.connect().line("INFO stats");
    let text = reply.as_str().unwrap_or_default();
    let found = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    found.unwrap_or_default().trim().to_owned()
}

fn bundled() -> Process {
    Process::vedette(SAVED)
}

fn redis() -> Process {
    Process::redis(&[SAVED, &["--repl-diskless-sync-delay", "0"]].concat())
}

/// What makes a replica of `master`, now and after its restart.
fn following(master: &Process) -> Vec<String> {
    let words = [SAVED, &["--replicaof", "127.0.0.1"]].concat();
    words.into_iter().map(str::to_owned).chain([master.port.to_string()]).collect()
}

fn change(master: &Process) {
    let mut wire = master.connect();
    for line in ["SELECT 3", "INCRBY n 2", "SELECT 0", "INCR n", "MULTI", "INCR n", "INCR m", "EXEC"] {
        assert!(wire.line(line).error().is_none(), "{line}");
    }
}

fn begin(master: &Process, replica: &Process) {
    let mut wire = master.connect();
    for line in ALL_TYPES {
        assert!(wire.line(line).error().is_none(), "{line}");
    }
    if info(&mut replica.connect(), "role").as_deref() == Some("master") {
        follow(replica, master);
    }
    eventually("the link comes up", || follows(replica));
    change(master);
    same_content(master, replica);
    assert_eq!(field(master, "sync_full"), "1");
}

fn replica_restarts(master: Process, start: fn(&[&str]) -> Process) {
    let words = following(&master);
    let mut replica = start(&words.iter().map(String::as_str).collect::<Vec<_>>());
    begin(&master, &replica);
    assert_eq!(replica.terminate(), Some(0));
    change(&master);
    replica.restart();
    eventually("the link comes up again", || follows(&replica));
    same_content(&master, &replica);
    assert_eq!(field(&master, "sync_full"), "1", "the rest of the stream was enough");
    assert_eq!(field(&master, "sync_partial_ok"), "1");
    change(&master);
    same_content(&master, &replica);
}

fn master_restarts(mut master: Process, replica: Process) {
    begin(&master, &replica);
    let history = info(&mut master.connect(), "master_replid");
    assert_eq!(master.terminate(), Some(0));
    master.restart();
    eventually("the replica is back", || follows(&replica));
    assert_eq!(field(&master, "sync_full"), "0", "its second history was enough");
    assert_eq!(info(&mut replica.connect(), "master_replid2"), history);
    change(&master);
    same_content(&master, &replica);
}

#[test]
fn a_bundled_replica_goes_on_after_its_restart() {
    replica_restarts(bundled(), Process::vedette);
    replica_restarts(redis(), Process::vedette);
}

#[test]
fn redis_goes_on_after_its_restart() {
    replica_restarts(bundled(), Process::redis);
}

#[test]
fn replicas_go_on_after_the_restart_of_a_bundled_master() {
    master_restarts(bundled(), bundled());
    master_restarts(bundled(), redis());
}

#[test]
fn a_bundled_replica_goes_on_after_the_restart_of_redis() {
    master_restarts(redis(), bundled());
}

#[test]
fn what_expired_while_the_master_was_down_goes_from_its_replicas_too() {
    let (mut master, replica) = (bundled(), bundled());
    begin(&master, &replica);
    assert!(master.connect().line("SET short x PX 300").is_ok());
    same_content(&master, &replica);
    assert_eq!(master.terminate(), Some(0));
    std::thread::sleep(std::time::Duration::from_millis(350));
    master.restart();
    eventually("the replica is back", || follows(&replica));
    let size = |process: &Process| process.connect().line("DBSIZE");
    eventually("both have let go of it", || {
        offset(&master) == offset(&replica) && size(&master) == size(&replica)
    });
    assert_eq!(field(&master, "sync_full"), "0");
}

/// A snapshot that began before is not the last word.
#[test]
fn sigterm_during_a_snapshot_loses_nothing_that_was_acknowledged() {
    let mut server = bundled();
    let mut wire = server.connect();
    let value = "x".repeat(100);
    for batch in 0..100 {
        for number in 0..500 {
            wire.send(&["SET", &format!("key:{batch}:{number}"), &value]);
        }
        for _ in 0..500 {
            assert!(wire.next().is_some_and(|reply| reply.is_ok()));
        }
    }
    assert!(wire.line("BGSAVE").error().is_none());
    let (port, pid) = (server.port, server.pid());
    let writer = std::thread::spawn(move || {
        let mut wire = Wire::connect(port);
        let mut acknowledged = 0;
        while wire.try_ask(&["SET", &format!("late:{acknowledged}"), "x"]).is_some_and(|reply| reply.is_ok())
        {
            acknowledged += 1;
            if acknowledged == 20 {
                let _ = std::process::Command::new("kill").args(["-TERM", &pid.to_string()]).status();
            }
        }
        acknowledged
    });
    let acknowledged = writer.join().unwrap();
    eventually("it ended", || Wire::try_connect(port).is_none());
    server.kill();
    server.restart();
    let mut wire = server.connect();
    assert_eq!(wire.line("DBSIZE"), Reply::Integer(50_000 + acknowledged));
}
