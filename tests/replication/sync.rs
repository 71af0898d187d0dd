//! Full and partial syncs, chains, WAIT, slow readers.

use super::*;

fn fill(master: &Process) {
    let mut wire = master.connect();
    for line in ALL_TYPES {
        assert!(wire.line(line).error().is_none(), "{line}");
    }
    for n in 0..300 {
        wire.ask(&["SET", &format!("key:{n}"), &"v".repeat(n)]);
    }
}

/// Cuts the links of all replicas at the master's side.
fn cut(master: &Process) {
    let killed = master.connect().line("CLIENT KILL TYPE replica");
    assert!(killed.as_integer().is_some_and(|count| count > 0), "{killed:?}");
}

/// Where a replica's own record of the stream begins: a full sync begins it anew.
fn record_begins(process: &Process) -> Option<String> {
    info(&mut process.connect(), "repl_backlog_first_byte_offset")
}

fn change(master: &Process) {
    let mut wire = master.connect();
    let lines = [
        "INCRBY number 5",
        "RPUSH list more",
        "SPOP words",
        "EXPIRE text 1000",
        "DEL zset",
        "XADD stream * field 5",
        "XADD stream MAXLEN ~ 3 9000000000000-* another 6",
        "XREADGROUP GROUP group first COUNT 2 STREAMS stream >",
        "XCLAIM stream group second 0 3-0",
        "XTRIM stream MINID 3-0",
    ];
    for line in lines {
        assert!(wire.line(line).error().is_none(), "{line}");
    }
}

fn both_ways(master: &Process, replica: &Process) {
    fill(master);
    follow(replica, master);
    same_content(master, replica);
    change(master);
    same_content(master, replica);
    let began = record_begins(replica);
    cut(master);
    change_a_little(master);
    same_content(master, replica);
    assert_eq!(record_begins(replica), began, "a cut needs no full sync");
    assert_eq!(master.connect().line("WAIT 1 5000"), Reply::Integer(1));
}

#[test]
fn a_bundled_replica_follows_a_bundled_master() {
    let (master, replica) = (Process::vedette(&[]), Process::vedette(&[]));
    both_ways(&master, &replica);
    let refused = replica.connect().line("SET a 1");
    assert!(refused.error().is_some_and(|text| text.starts_with("READONLY")), "{refused:?}");
}

#[test]
fn redis_follows_a_bundled_master() {
    let replica = Process::redis(&[]);
    both_ways(&Process::vedette(&[]), &replica);
}

#[test]
fn a_bundled_replica_follows_redis() {
    let master = Process::redis(&["--repl-diskless-sync-delay", "0"]);
    both_ways(&master, &Process::vedette(&[]));
}

#[test]
fn after_a_cut_the_stream_goes_on_where_it_stopped() {
    let (master, middle, last) = (Process::vedette(&[]), Process::vedette(&[]), Process::vedette(&[]));
    fill(&master);
    follow(&middle, &master);
    follow(&last, &middle);
    let replid = |process: &Process| info(&mut process.connect(), "master_replid");
    assert_eq!(replid(&master), replid(&last), "a chain has one history");
    let began = (record_begins(&middle), record_begins(&last));
    for _ in 0..3 {
        cut(&master);
        change_a_little(&master);
        same_content(&master, &middle);
        same_content(&master, &last);
    }
    assert_eq!((record_begins(&middle), record_begins(&last)), began, "a cut needs no full sync");
}

fn change_a_little(master: &Process) {
    let mut wire = master.connect();
    for line in ["SELECT 3", "INCRBY n 2", "SELECT 0", "INCR n", "MULTI", "INCR n", "INCR m", "EXEC"] {
        assert!(wire.line(line).error().is_none(), "{line}");
    }
}

#[test]
fn after_a_promotion_the_others_go_on_by_the_second_history() {
    let (master, first, second) = (Process::vedette(&[]), Process::vedette(&[]), Process::vedette(&[]));
    fill(&master);
    follow(&first, &master);
    follow(&second, &master);
    same_content(&master, &second);
    let old = info(&mut master.connect(), "master_replid");
    assert!(first.connect().line("REPLICAOF NO ONE").is_ok());
    assert_eq!(info(&mut first.connect(), "master_replid2"), old);
    first.connect().line("SET after promotion");
    follow(&second, &first);
    same_content(&first, &second);
    assert_eq!(info(&mut second.connect(), "master_replid2"), old, "it did not need a full sync");
}

#[test]
fn wait_tells_how_many_have_it_and_no_more() {
    let (master, mut replica) = (Process::vedette(&[]), Process::vedette(&[]));
    follow(&replica, &master);
    let mut wire = master.connect();
    wire.line("SET a 1");
    assert_eq!(wire.line("WAIT 1 0"), Reply::Integer(1));
    replica.kill();
    eventually("the master notices", || {
        wire.line("INFO replication").as_str().is_some_and(|t| t.contains("connected_slaves:0"))
    });
    wire.line("SET a 2");
    let start = std::time::Instant::now();
    assert_eq!(wire.line("WAIT 1 200"), Reply::Integer(0));
    assert!(start.elapsed().as_millis() >= 200);
}

#[test]
fn a_replica_that_does_not_read_is_cut_off_and_the_master_stays() {
    let limit = "replica 4mb 4mb 0";
    let master = Process::vedette(&["--client-output-buffer-limit", limit]);
    let mut slow = master.connect();
    slow.line("REPLCONF capa eof capa psync2");
    slow.send(&["PSYNC", "?", "-1"]);
    let mut wire = master.connect();
    let value = "x".repeat(1 << 20);
    eventually("it is cut off", || {
        assert!(wire.ask(&["SET", "big", &value]).is_ok());
        wire.line("INFO replication").as_str().is_some_and(|text| text.contains("connected_slaves:0"))
    });
}

#[test]
fn a_transaction_of_many_megabytes_arrives_whole() {
    let (master, middle, last) = (Process::vedette(&[]), Process::vedette(&[]), Process::vedette(&[]));
    follow(&middle, &master);
    follow(&last, &middle);
    let mut wire = master.connect();
    let value = "exec\r\n".repeat(1500);
    wire.send(&["MULTI"]);
    for number in 0..1000 {
        wire.send(&["SET", &format!("key:{}", number % 7), &format!("{number}{value}")]);
    }
    wire.send(&["EXEC"]);
    for _ in 0..1002 {
        assert!(wire.next().is_some_and(|reply| reply.error().is_none()));
    }
    same_content(&master, &last);
}

#[test]
fn a_stream_that_nobody_follows_is_given_up_after_its_time() {
    let (master, mut replica) = (Process::vedette(&["--repl-backlog-ttl", "1"]), Process::vedette(&[]));
    fill(&master);
    follow(&replica, &master);
    let mut wire = master.connect();
    let before = info(&mut wire, "master_replid");
    replica.kill();
    eventually("it is given up", || info(&mut wire, "repl_backlog_active").as_deref() == Some("0"));
    assert_ne!(info(&mut wire, "master_replid"), before, "what comes now is another history");
    change_a_little(&master);
    replica.restart();
    follow(&replica, &master);
    same_content(&master, &replica);
}
