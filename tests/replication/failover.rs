//! FAILOVER: a master hands its role to a replica that has everything, beside Debian's redis-server.

use super::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

fn role(process: &Process) -> Option<String> {
    info(&mut process.connect(), "role")
}

fn state(process: &Process) -> Option<String> {
    info(&mut process.connect(), "master_failover_state")
}

/// Hands the role from one to the other while somebody writes.
fn handed_over(master: Process, replica: Process) {
    follow(&replica, &master);
    let (acknowledged, stop) = (Arc::new(AtomicI64::new(0)), Arc::new(AtomicBool::new(false)));
    let writer = {
        let (mut wire, acknowledged, stop) = (master.connect(), acknowledged.clone(), stop.clone());
        std::thread::spawn(move || {
            while !stop.load(Ordering::SeqCst) {
                match wire.try_ask(&["INCR", "count"]) {
                    Some(reply) if reply.error().is_none() => acknowledged.fetch_add(1, Ordering::SeqCst),
                    // READONLY: it is no master any more.
                    _ => return,
                };
            }
        })
    };
    eventually("some writes", || acknowledged.load(Ordering::SeqCst) > 50);
    eventually("the replica is online to its master", || {
        let text = master.connect().line("INFO replication");
        text.as_str().is_some_and(|text| text.contains("state=online"))
    });
    let port = replica.port.to_string();
    let reply = master.connect().ask(&["FAILOVER", "TO", "127.0.0.1", &port, "TIMEOUT", "20000"]);
    assert!(reply.is_ok(), "{reply:?}");
    eventually("the roles changed", || {
        role(&replica).as_deref() == Some("master") && role(&master).as_deref() == Some("slave")
    });
    eventually("the old master follows", || follows(&master));
    stop.store(true, Ordering::SeqCst);
    writer.join().unwrap();
    assert_eq!(state(&master).as_deref(), Some("no-failover"));
    same_content(&replica, &master);
    let count = replica.connect().line("GET count").as_str().unwrap().parse::<i64>().unwrap();
    assert_eq!(count, acknowledged.load(Ordering::SeqCst), "what was acknowledged, and nothing else");
    assert!(replica.connect().line("SET after handover").is_ok());
    same_content(&replica, &master);
    let stats = replica.connect().line("INFO stats");
    assert!(stats.as_str().unwrap().contains("sync_full:0"), "the old master goes on from where it is");
}

#[test]
fn a_bundled_master_hands_over_to_a_bundled_replica() {
    handed_over(Process::vedette(&[]), Process::vedette(&[]));
}

#[test]
fn a_bundled_master_hands_over_to_redis() {
    handed_over(Process::vedette(&[]), Process::redis(&["--repl-diskless-sync-delay", "0"]));
}

#[test]
fn redis_hands_over_to_a_bundled_replica() {
    handed_over(Process::redis(&["--repl-diskless-sync-delay", "0"]), Process::vedette(&[]));
}

#[test]
fn what_cannot_be_handed_over_is_refused_in_the_words_of_redis() {
    let (ours, theirs) = (Process::vedette(&[]), Process::redis(&[]));
    let same = |lines: &[&str]| {
        for line in lines {
            assert_eq!(ours.connect().line(line), theirs.connect().line(line), "{line}");
        }
    };
    let lines = [
        "FAILOVER",
        "FAILOVER ABORT",
        "FAILOVER TO 127.0.0.1 1",
        "FAILOVER TO 127.0.0.1",
        "FAILOVER FORCE",
        "FAILOVER TIMEOUT 0",
        "FAILOVER TIMEOUT -5",
        "FAILOVER TIMEOUT x",
        "FAILOVER TIMEOUT 5 TIMEOUT 6",
        "FAILOVER ABORT TIMEOUT 5",
        "FAILOVER bogus",
        "PSYNC a 1 FAILOVER",
    ];
    same(&lines);
    let (our_replica, their_replica) = (Process::vedette(&[]), Process::redis(&[]));
    follow(&our_replica, &ours);
    follow(&their_replica, &theirs);
    same(&[
        "FAILOVER FORCE",
        "FAILOVER FORCE TIMEOUT 5",
        "FAILOVER TO 127.0.0.1 1",
        "FAILOVER TO 127.0.0.1 1 FORCE",
    ]);
    for line in ["FAILOVER", "FAILOVER TO 127.0.0.1 1", "PSYNC a 1 FAILOVER"] {
        assert_eq!(our_replica.connect().line(line), their_replica.connect().line(line), "{line}");
    }
}

#[test]
fn a_replica_that_does_not_catch_up_leaves_the_role_where_it_was() {
    let master = Process::vedette(&[]);
    // It asks for everything and then says nothing.
    let mut silent = master.connect();
    silent.line("REPLCONF listening-port 7777 capa eof capa psync2");
    silent.send(&["PSYNC", "?", "-1"]);
    let mut wire = master.connect();
    eventually("it is there", || info(&mut wire, "connected_slaves").as_deref() == Some("1"));
    for (begin, end) in [("FAILOVER", Some("FAILOVER ABORT")), ("FAILOVER TIMEOUT 300", None)] {
        assert!(wire.line(begin).is_ok());
        assert_eq!(state(&master).as_deref(), Some("waiting-for-sync"));
        let again = wire.line("FAILOVER");
        assert_eq!(again.error(), Some("ERR FAILOVER already in progress."));
        let mut writer = master.connect();
        writer.send(&["SET", "key", begin]);
        assert!(wire.line("GET key").error().is_none(), "reads go on");
        if let Some(end) = end {
            assert_ne!(wire.line("GET key").as_str(), Some(begin), "a write waits");
            assert!(wire.line(end).is_ok());
        }
        assert!(writer.next().is_some_and(|reply| reply.is_ok()), "it is carried out afterwards");
        assert_eq!(state(&master).as_deref(), Some("no-failover"));
        assert_eq!(wire.line("GET key").as_str(), Some(begin));
    }
}
