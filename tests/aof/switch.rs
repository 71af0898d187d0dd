//! Turning it on, off, and letting it rewrite itself.

use super::{all_written, check_aof, info, rewrite, rewrites};
use crate::replication::content;
use crate::support::{Process, eventually};
use vedette::resp::Reply;

#[test]
fn turned_on_while_running_it_holds_what_was_there_before() {
    let mut server = Process::vedette(&["--appendonly", "yes"]);
    let mut wire = server.connect();
    wire.line("SET old 1");
    assert!(wire.line("CONFIG SET appendonly no").is_ok());
    assert_eq!(info(&mut wire, "aof_enabled"), "0");
    for number in 0..2000 {
        wire.line(&format!("SET key:{number} {number}"));
    }
    assert!(wire.line("CONFIG SET appendonly yes").is_ok());
    wire.line("SET new 1");
    eventually("its base is done", || info(&mut wire, "aof_pending_rewrite") == "0");
    wire.line("SET newer 1");
    all_written(&mut wire);
    let before = content(&server);
    server.kill();
    check_aof(&server.path("appendonlydir/appendonly.aof.manifest"));
    server.restart();
    assert_eq!(content(&server), before);
}

#[test]
fn a_snapshot_is_not_forgotten_when_the_log_begins() {
    let saved = Process::vedette(&[]);
    let mut wire = saved.connect();
    for number in 0..500 {
        wire.line(&format!("SET key:{number} {number}"));
    }
    wire.line("SAVE");
    let mut server = Process::vedette(&["--appendonly", "yes"]);
    server.kill();
    std::fs::remove_dir_all(server.path("appendonlydir")).unwrap();
    std::fs::copy(saved.path("dump.rdb"), server.path("dump.rdb")).unwrap();
    server.restart();
    let mut wire = server.connect();
    assert_eq!(wire.line("DBSIZE"), Reply::Integer(500));
    wire.line("SET after 1");
    all_written(&mut wire);
    server.kill();
    server.restart();
    assert_eq!(server.connect().line("DBSIZE"), Reply::Integer(501));
}

#[test]
fn it_rewrites_itself_when_it_has_grown() {
    let server = Process::vedette(&[
        "--appendonly",
        "yes",
        "--auto-aof-rewrite-min-size",
        "64kb",
        "--auto-aof-rewrite-percentage",
        "50",
    ]);
    let mut wire = server.connect();
    let value = "x".repeat(1000);
    let mut number = 0;
    eventually("two rewrites nobody asked for", || {
        for _ in 0..100 {
            wire.ask(&["SET", "same", &value]);
            number += 1;
        }
        rewrites(&mut wire) >= 2
    });
    let size: u64 = info(&mut wire, "aof_current_size").parse().unwrap();
    assert!(size < number * 1000, "{size} bytes after {number} writes");
}

#[test]
fn waitaof_tells_when_it_is_on_the_disk() {
    let server = Process::vedette(&["--appendonly", "yes", "--appendfsync", "everysec"]);
    let mut wire = server.connect();
    wire.line("SET a 1");
    assert_eq!(wire.line("WAITAOF 1 0 20000"), Reply::Array(vec![Reply::Integer(1), Reply::Integer(0)]));
    assert_eq!(wire.line("WAITAOF 0 1 10"), Reply::Array(vec![Reply::Integer(1), Reply::Integer(0)]));
    assert!(wire.line("WAITAOF 2 0 0").error().is_some());
    assert!(wire.line("WAITAOF 1 -1 0").error().is_some());
    wire.line("CONFIG SET appendonly no");
    let refused = wire.line("WAITAOF 1 0 0");
    assert!(format!("{refused:?}").contains("appendonly is disabled"), "{refused:?}");
}

#[test]
fn a_rewrite_by_hand_works_without_a_log_and_begins_none() {
    let server = Process::vedette(&[]);
    let mut wire = server.connect();
    for round in 1..=2 {
        assert!(wire.line(&format!("SET key:{round} value")).is_ok());
        rewrite(&mut wire);
        assert_eq!(info(&mut wire, "aof_enabled"), "0");
        check_aof(&server.path("appendonlydir/appendonly.aof.manifest"));
    }
    assert!(wire.line("SET later value").is_ok());
    assert!(wire.line("CONFIG SET appendonly yes").is_ok());
    eventually("the log counts", || info(&mut wire, "aof_enabled") == "1");
}
