//! Starting, saving, stopping, and what a mistake at the start looks like.

use crate::support::{Process, Wire, eventually, free_port};
use std::process::{Command, Output};
use vedette::resp::Reply;

fn failing(arguments: &[&str]) -> (Output, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_vedette")).arg("server").args(arguments).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    (output, text)
}

#[test]
fn redis_cli_sets_and_gets() {
    let server = Process::vedette(&[]);
    let cli = |words: &[&str]| {
        let output = Command::new("redis-cli")
            .args(["-p", &server.port.to_string()])
            .args(words)
            .output()
            .expect("redis-cli must be installed for this test: apt-get install redis-tools");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    assert_eq!(cli(&["PING"]), "PONG");
    assert_eq!(cli(&["SET", "greeting", "hello"]), "OK");
    assert_eq!(cli(&["GET", "greeting"]), "hello");
    assert_eq!(cli(&["CONFIG", "GET", "save"]), "save");
    assert!(cli(&["INFO", "server"]).contains("redis_version:7.0.15"));
    assert!(cli(&["COMMAND", "COUNT"]).parse::<u32>().unwrap() > 100);
}

#[test]
fn a_port_in_use_is_named_with_its_remedy() {
    let first = Process::vedette(&[]);
    let dir = tempfile::tempdir().unwrap();
    let port = first.port.to_string();
    let (output, text) =
        failing(&["--port", &port, "--bind", "127.0.0.1", "--dir", dir.path().to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains(&port) && text.contains("--port"), "{text}");
}

#[test]
fn a_directory_that_is_not_there_is_named() {
    let port = free_port().to_string();
    let (output, text) = failing(&["--port", &port, "--dir", "/nonexistent/data"]);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("/nonexistent/data") && text.contains("--dir"), "{text}");
}

#[test]
fn what_was_saved_is_there_after_a_restart() {
    let mut server = Process::vedette(&[]);
    let mut wire = server.connect();
    for number in 0..2000 {
        wire.ask(&["SET", &format!("key:{number}"), &format!("value:{number}")]);
    }
    wire.line("RPUSH list a b c");
    assert!(wire.line("SAVE").is_ok());
    assert!(server.path("dump.rdb").exists() && !server.path("dump.rdb.part").exists());
    server.kill();
    server.restart();
    let mut wire = server.connect();
    assert_eq!(wire.line("DBSIZE"), Reply::Integer(2001));
    assert_eq!(wire.line("GET key:1999").as_str(), Some("value:1999"));
    assert_eq!(wire.line("LLEN list"), Reply::Integer(3));
}

#[test]
fn bgsave_tells_when_it_is_done_and_redis_loads_the_file() {
    let server = Process::vedette(&[]);
    let mut wire = server.connect();
    wire.line("SET a 1");
    wire.line("HSET h f v");
    let before = wire.line("LASTSAVE").as_integer();
    assert_eq!(wire.line("BGSAVE").as_str(), Some("Background saving started"));
    eventually("the snapshot is on disk", || {
        let info = wire.line("INFO persistence");
        let info = info.as_str().unwrap_or_default();
        info.contains("rdb_bgsave_in_progress:0") && info.contains("rdb_changes_since_last_save:0")
    });
    assert!(wire.line("LASTSAVE").as_integer() >= before);
    let output = Command::new("redis-check-rdb")
        .arg(server.path("dump.rdb"))
        .output()
        .expect("redis-check-rdb must be installed for this test: apt-get install redis-tools");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && text.contains("RDB looks OK"), "{text}");
}

#[test]
fn sigterm_saves_where_there_are_save_points_and_leaves_with_zero() {
    let mut server = Process::vedette(&["--save", "3600 1"]);
    server.connect().line("SET a 1");
    assert_eq!(server.terminate(), Some(0));
    server.restart();
    assert_eq!(server.connect().line("GET a").as_str(), Some("1"));
}

#[test]
fn shutdown_nosave_ends_without_a_file() {
    let server = Process::vedette(&["--save", "3600 1"]);
    let mut wire = server.connect();
    wire.line("SET a 1");
    assert!(wire.try_ask(&["SHUTDOWN", "NOSAVE"]).is_none());
    eventually("the port is closed", || Wire::try_connect(server.port).is_none());
    assert!(!server.path("dump.rdb").exists());
}

#[test]
fn a_damaged_snapshot_is_never_started_over() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("dump.rdb"), b"REDIS0011garbage").unwrap();
    let port = free_port().to_string();
    let (output, text) = failing(&["--port", &port, "--dir", dir.path().to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("dump.rdb") && text.contains("damaged"), "{text}");
}
