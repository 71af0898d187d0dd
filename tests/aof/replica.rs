//! A replica's own log: begun anew with each full sync, and good enough to go on from after a crash.

use super::{all_written, check_aof, info};
use crate::replication::{content, follow, follows, offset};
use crate::support::{Process, eventually};
use vedette::resp::Reply;

fn stat(server: &Process, field: &str) -> u64 {
    let reply = server.connect().line("INFO stats");
    let text = reply.as_str().unwrap_or_default().to_owned();
    let found = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    found.and_then(|number| number.trim().parse().ok()).unwrap_or(0)
}

#[test]
fn a_replica_goes_on_from_its_log_after_a_crash() {
    let master = Process::vedette(&[]);
    let mut writer = master.connect();
    for number in 0..300 {
        writer.line(&format!("SET key:{number} {number}"));
    }
    let port = master.port.to_string();
    let mut replica = Process::vedette(&["--appendonly", "yes", "--replicaof", &format!("127.0.0.1 {port}")]);
    eventually("the replica has it", || {
        follows(&replica) && replica.connect().line("DBSIZE") == Reply::Integer(300)
    });
    eventually("its log holds the new data set", || {
        let mut wire = replica.connect();
        info(&mut wire, "aof_pending_rewrite") == "0" && info(&mut wire, "aof_rewrites") != "0"
    });
    writer.line("SELECT 2");
    for _ in 0..50 {
        for line in ["INCR count", "MULTI", "RPUSH list x", "INCR count", "EXEC"] {
            writer.line(line);
        }
    }
    writer.line("SELECT 0");
    writer.line("INCR count");
    eventually("the replica caught up", || offset(&replica) == offset(&master));
    all_written(&mut replica.connect());
    replica.kill();
    check_aof(&replica.path("appendonlydir/appendonly.aof.manifest"));
    writer.line("INCR count");
    writer.line("SELECT 2");
    writer.line("INCR count");
    assert_eq!(stat(&master, "sync_full"), 1);
    replica.restart();
    eventually("it follows again", || follows(&replica) && offset(&replica) >= offset(&master));
    assert_eq!(content(&replica), content(&master));
    let mut wire = replica.connect();
    wire.line("SELECT 2");
    assert_eq!(wire.line("GET count").as_str(), Some("101"));
    assert_eq!((stat(&master, "sync_full"), stat(&master, "sync_partial_ok")), (1, 1), "without a full sync");
}

#[test]
fn waitaof_counts_replicas_that_have_it_on_their_disks() {
    let master = Process::vedette(&["--appendonly", "yes", "--appendfsync", "always"]);
    let replica = Process::vedette(&["--appendonly", "yes", "--appendfsync", "always"]);
    let forgetful = Process::vedette(&[]);
    follow(&replica, &master);
    follow(&forgetful, &master);
    let mut wire = master.connect();
    wire.line("SET a 1");
    assert_eq!(wire.line("WAITAOF 1 1 20000"), Reply::Array(vec![Reply::Integer(1), Reply::Integer(1)]));
    assert_eq!(wire.line("WAITAOF 1 2 50"), Reply::Array(vec![Reply::Integer(1), Reply::Integer(1)]));
    let refused = replica.connect().line("WAITAOF 0 0 0");
    assert!(format!("{refused:?}").contains("cannot be used with replica"), "{refused:?}");
}

#[test]
fn a_supervised_server_knows_its_place_in_history_after_a_crash() {
    let mut master = Process::vedette(&["--appendonly", "yes", "--appendfsync", "always"]);
    let place = |server: &Process, field: &str| crate::replication::info(&mut server.connect(), field);
    let lease = |server: &Process, epoch: &str| {
        let mut wire = server.connect();
        let mut stamp = "0".to_owned();
        // The second one echoes a stamp of the first.
        for _ in 0..2 {
            let reply = wire.ask(&["VEDETTE", "LEASE", "g", epoch, "60000", &stamp, "0", "1", ""]);
            stamp = reply.as_array().expect("a lease")[0].as_integer().unwrap().to_string();
        }
    };
    lease(&master, "3");
    let mut wire = master.connect();
    wire.line("SELECT 4");
    for _ in 0..20 {
        assert!(wire.line("INCR count").as_integer().is_some());
    }
    let history = place(&master, "master_replid");
    master.kill();
    master.restart();
    assert_eq!(place(&master, "vedette_role").as_deref(), Some("awaiting"));
    assert_eq!(place(&master, "vedette_synced").as_deref(), Some("1"), "what it holds can be vouched for");
    assert_eq!(place(&master, "master_replid"), history);
    assert_ne!(offset(&master), 0);
    let mut wire = master.connect();
    wire.line("SELECT 4");
    assert_eq!(wire.line("GET count").as_str(), Some("20"));
    assert!(wire.line("INCR count").error().is_some(), "no role, no writes");
    assert!(master.connect().line("VEDETTE PROMOTE g 4").is_ok());
    lease(&master, "4");
    assert_eq!(wire.line("INCR count"), Reply::Integer(21));
}
