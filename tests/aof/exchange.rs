//! Logs of Redis read here, logs of ours read by Redis, and those of older versions.

use super::{all_written, check_aof, files, rewrite};
use crate::replication::{ALL_TYPES, content};
use crate::support::{Process, eventually};
use std::path::Path;
use vedette::resp::encode;

const LATER: &[&str] = &[
    "APPEND text more",
    "INCRBY number 5",
    "LPOP list",
    "SREM ints 1",
    "HDEL hash f",
    "ZINCRBY zset 2 a",
    "PEXPIREAT passing 9999999999999",
    "RENAME words terms",
    "SET gone x",
    "DEL gone",
    "SELECT 5",
    "SET elsewhere 1",
    "SELECT 0",
    "MULTI",
    "SET together 1",
    "SET together 2",
    "EXEC",
];

/// Starts it again and waits until it has read its files.
fn start(server: &mut Process) {
    server.restart();
    eventually("it has loaded", || server.connect().line("PING").as_str() == Some("PONG"));
}

/// Starts `server` again with this directory in place of its log.
fn start_with(server: &mut Process, log: &Path) {
    server.kill();
    let own = server.path("appendonlydir");
    let _ = std::fs::remove_dir_all(&own);
    std::fs::create_dir(&own).unwrap();
    for entry in std::fs::read_dir(log).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), own.join(entry.file_name())).unwrap();
    }
    start(server);
}

fn tell(server: &Process, lines: &[&str]) {
    let mut wire = server.connect();
    for line in lines {
        assert!(wire.line(line).error().is_none(), "{line}");
    }
}

#[test]
fn redis_reads_ours_and_we_read_what_redis_made_of_it() {
    let mut redis = Process::redis(&["--appendonly", "yes"]);
    let mut server = Process::vedette(&["--appendonly", "yes", "--aof-timestamp-enabled", "yes"]);
    tell(&server, ALL_TYPES);
    rewrite(&mut server.connect());
    tell(&server, LATER);
    let before = content(&server);
    all_written(&mut server.connect());
    server.kill();
    check_aof(&server.path("appendonlydir/appendonly.aof.manifest"));
    start_with(&mut redis, &server.path("appendonlydir"));
    assert_eq!(content(&redis), before);
    // And back, with what Redis appended, and with a base that it wrote.
    tell(&redis, &["SET from redis", "SPOP terms"]);
    let theirs = content(&redis);
    // It puts writes off while a sync runs: a kill could take an answered one.
    assert_eq!(redis.terminate(), Some(0));
    start_with(&mut server, &redis.path("appendonlydir"));
    assert_eq!(content(&server), theirs);
    start(&mut redis);
    // A stream that is told as commands does not have all of its inner figures afterwards.
    tell(&redis, &["CONFIG SET aof-use-rdb-preamble no", "DEL stream"]);
    rewrite(&mut redis.connect());
    tell(&redis, &["SET from again"]);
    let theirs = content(&redis);
    redis.kill();
    assert!(files(&redis).iter().any(|name| name.ends_with(".base.aof")), "{:?}", files(&redis));
    start_with(&mut server, &redis.path("appendonlydir"));
    assert_eq!(content(&server), theirs);
}

#[test]
fn the_single_file_of_an_older_redis_becomes_the_base() {
    let mut server = Process::vedette(&["--appendonly", "yes"]);
    server.kill();
    std::fs::remove_dir_all(server.path("appendonlydir")).unwrap();
    let mut old = Vec::new();
    for line in ["SELECT 0", "SET a 1", "RPUSH list x y", "INCR a"] {
        encode::command(&mut old, &line.split(' ').collect::<Vec<_>>());
    }
    std::fs::write(server.path("appendonly.aof"), old).unwrap();
    server.restart();
    let mut wire = server.connect();
    assert_eq!(wire.line("GET a").as_str(), Some("2"));
    assert!(!server.path("appendonly.aof").exists());
    wire.line("INCR a");
    all_written(&mut wire);
    server.kill();
    server.restart();
    let mut wire = server.connect();
    assert_eq!(wire.line("GET a").as_str(), Some("3"));
    rewrite(&mut wire);
    assert_eq!(files(&server).len(), 3, "{:?}", files(&server));
}

#[test]
fn a_snapshot_with_commands_behind_it_is_read_to_its_end() {
    // What Redis 4 to 6 wrote: one file, a snapshot in front.
    let saved = Process::vedette(&[]);
    tell(&saved, ALL_TYPES);
    tell(&saved, &["SAVE"]);
    let mut file = std::fs::read(saved.path("dump.rdb")).unwrap();
    for line in ["SELECT 0", "APPEND text !"] {
        encode::command(&mut file, &line.split(' ').collect::<Vec<_>>());
    }
    let mut server = Process::vedette(&["--appendonly", "yes"]);
    server.kill();
    std::fs::remove_dir_all(server.path("appendonlydir")).unwrap();
    std::fs::write(server.path("appendonly.aof"), file).unwrap();
    server.restart();
    tell(&saved, &["APPEND text !"]);
    assert_eq!(content(&server), content(&saved));
}

/// A master before 7, and its log, may hold scripts as they were called.
#[test]
fn scripts_in_a_log_are_run() {
    let mut server = Process::vedette(&["--appendonly", "yes"]);
    server.kill();
    let mut bytes = Vec::new();
    let script = "return redis.call('SET', KEYS[1], ARGV[1])";
    encode::command(&mut bytes, &["SELECT", "0"]);
    encode::command(&mut bytes, &["EVAL", script, "1", "by:text", "one"]);
    encode::command(&mut bytes, &["SCRIPT", "LOAD", "redis.call('INCRBY', KEYS[1], 7) return 'x'"]);
    let digest = vedette::stdx::sha1::hex(b"redis.call('INCRBY', KEYS[1], 7) return 'x'");
    encode::command(&mut bytes, &["EVALSHA", &digest, "1", "by:digest"]);
    std::fs::write(super::last_increment(&server), bytes).unwrap();
    start(&mut server);
    let mut wire = server.connect();
    assert_eq!(wire.line("GET by:text").as_str(), Some("one"));
    assert_eq!(wire.line("GET by:digest").as_str(), Some("7"));
}
