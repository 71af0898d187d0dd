//! kill -9 at any moment.

use super::{all_written, check_aof, files, info, last_increment, rewrite};
use crate::replication::content;
use crate::support::{Process, Wire, free_port};
use std::io::Write;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use vedette::resp::Reply;

#[test]
fn nothing_that_was_acknowledged_with_always_is_lost_by_a_crash() {
    nothing_acknowledged_is_lost("always", 400);
    nothing_acknowledged_is_lost("always", 90);
}

#[test]
fn nothing_that_was_acknowledged_with_everysec_is_lost_by_a_crash_of_the_process_alone() {
    nothing_acknowledged_is_lost("everysec", 3000);
    nothing_acknowledged_is_lost("everysec", 700);
}

#[test]
fn nothing_that_was_acknowledged_without_syncing_is_lost_by_a_crash_of_the_process_alone() {
    nothing_acknowledged_is_lost("no", 2000);
}

/// A crash after so many acknowledged writes, and whatever the writers come to until it happens.
fn nothing_acknowledged_is_lost(fsync: &str, after: u64) {
    let threads = if after.is_multiple_of(200) { "2" } else { "1" };
    let mut server =
        Process::vedette(&["--appendonly", "yes", "--appendfsync", fsync, "--io-threads", threads]);
    let acknowledged: Vec<Arc<AtomicU64>> = (0..4).map(|_| Arc::default()).collect();
    let writers: Vec<_> = acknowledged
        .iter()
        .enumerate()
        .map(|(writer, count)| {
            let (mut wire, count) = (server.connect(), count.clone());
            std::thread::spawn(move || {
                // Until the crash takes the connection.
                for number in 0.. {
                    let key = format!("{writer}:{number}");
                    let done = match number % 3 {
                        0 => wire.try_ask(&["SET", &key, "x"]),
                        1 => wire.try_ask(&["RPUSH", &key, "a", "b"]),
                        _ => {
                            for words in [&["MULTI"][..], &["SET", &key, "x"], &["INCR", "sum"]] {
                                wire.send(words);
                            }
                            wire.send(&["EXEC"]);
                            (0..4).map(|_| wire.next()).last().flatten()
                        }
                    };
                    if done.is_none() {
                        return;
                    }
                    count.fetch_add(1, Ordering::SeqCst);
                }
            })
        })
        .collect();
    let total = || acknowledged.iter().map(|count| count.load(Ordering::SeqCst)).sum::<u64>();
    crate::support::eventually("some hundred writes", || total() > after);
    server.kill();
    writers.into_iter().for_each(|writer| writer.join().unwrap());
    server.restart();
    let mut wire = server.connect();
    for (writer, count) in acknowledged.iter().enumerate() {
        for number in 0..count.load(Ordering::SeqCst) {
            assert_eq!(
                wire.line(&format!("EXISTS {writer}:{number}")),
                Reply::Integer(1),
                "{writer}:{number}"
            );
        }
    }
    check_aof(&server.path("appendonlydir/appendonly.aof.manifest"));
}

#[test]
fn a_rewrite_under_writes_changes_nothing() {
    let mut server = Process::vedette(&["--appendonly", "yes"]);
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..2)
        .map(|writer| {
            let (mut wire, stop) = (server.connect(), stop.clone());
            std::thread::spawn(move || {
                for number in 0u64.. {
                    if stop.load(Ordering::SeqCst) {
                        return;
                    }
                    let key = number * 7919 % 997;
                    for line in [
                        format!("INCR number:{key}"),
                        format!("RPUSH list:{} {number}", key % 31),
                        format!("HSET hash:{} {key} {number}", key % 17),
                        format!("ZADD zset:{writer} {number} {key}"),
                        format!("SADD set:{} {key} {writer}", key % 13),
                        format!("SPOP set:{}", key % 13),
                        format!("SET passing:{key} x PX 100000000"),
                        format!("DEL list:{}", number % 31),
                    ] {
                        wire.line(&line);
                    }
                }
            })
        })
        .collect();
    let mut wire = server.connect();
    wire.line("SELECT 3");
    wire.line("SET elsewhere 1");
    for _ in 0..3 {
        rewrite(&mut wire);
    }
    stop.store(true, Ordering::SeqCst);
    writers.into_iter().for_each(|writer| writer.join().unwrap());
    all_written(&mut wire);
    let before = content(&server);
    assert_eq!(
        files(&server),
        ["appendonly.aof.4.base.rdb", "appendonly.aof.4.incr.aof", "appendonly.aof.manifest"]
    );
    server.kill();
    server.restart();
    assert_eq!(content(&server), before);
    let mut wire = server.connect();
    wire.line("SELECT 3");
    assert_eq!(wire.line("GET elsewhere").as_str(), Some("1"));
    check_aof(&server.path("appendonlydir/appendonly.aof.manifest"));
    assert!(!server.path("dump.rdb").exists(), "the log alone did it");
}

#[test]
fn a_torn_end_is_cut_off_or_refused_as_configured_and_a_damaged_middle_never_passes() {
    let mut server = Process::vedette(&["--appendonly", "yes"]);
    let mut wire = server.connect();
    wire.line("SET a 1");
    wire.line("SET b 2");
    all_written(&mut wire);
    server.kill();
    let path = last_increment(&server);
    let whole = std::fs::read(&path).unwrap();
    let tear = || {
        let mut file = std::fs::File::options().append(true).open(&path).unwrap();
        file.write_all(b"*1\r\n$5\r\nMULTI\r\n*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n9\r\n*1\r\n$4\r\nEX")
            .unwrap();
    };
    tear();
    let dir = server.dir().to_owned();
    let start = |truncated: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_vedette"))
            .args([
                "server",
                "--port",
                &free_port().to_string(),
                "--bind",
                "127.0.0.1",
                "--appendonly",
                "yes",
            ])
            .args(["--aof-load-truncated", truncated, "--dir"])
            .arg(&dir)
            .output()
            .unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, text) = start("no");
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("aof-load-truncated yes") && text.contains("incr.aof"), "{text}");
    server.restart();
    assert_eq!(std::fs::read(&path).unwrap(), whole, "cut where the last whole command ended");
    let mut wire = server.connect();
    assert_eq!(wire.line("MGET a b").as_array().unwrap().len(), 2);
    assert_eq!(wire.line("GET a").as_str(), Some("1"), "half a transaction is none");
    server.kill();
    let mut damaged = whole.clone();
    let middle = damaged.len() / 2;
    damaged[middle..middle + 4].copy_from_slice(b"\0\0\0\0");
    std::fs::write(&path, &damaged).unwrap();
    let (code, text) = start("yes");
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("byte") && text.contains("restore a good copy"), "{text}");
    assert_eq!(std::fs::read(&path).unwrap(), damaged, "left as it was");
}

#[test]
fn sigterm_leaves_nothing_behind_that_was_acknowledged() {
    let mut server = Process::vedette(&["--appendonly", "yes", "--appendfsync", "no"]);
    let mut wires: Vec<Wire> = (0..3).map(|_| server.connect()).collect();
    for number in 0..600 {
        let wire = &mut wires[number % 3];
        wire.line(&format!("SET key:{number} value"));
    }
    assert_eq!(info(&mut wires[0], "aof_enabled"), "1");
    assert_eq!(server.terminate(), Some(0));
    server.restart();
    assert_eq!(server.connect().line("DBSIZE"), Reply::Integer(600));
}
