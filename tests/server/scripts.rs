//! Scripts on real servers: the same answers as redis-server, their effects on a stock replica and in
//! the log, and a long one that lets others know.

use crate::replication::{content, offset};
use crate::support::{Process, eventually};
use vedette::resp::Reply;

/// A line a script (`\n` is a line's end in it), or behind `> ` a request of words.
const LINES: &str = include_str!("scripts.txt");

fn request(line: &str) -> Vec<String> {
    match line.strip_prefix("> ") {
        Some(words) => words.split(' ').map(|word| word.replace("return_1", "return 1")).collect(),
        None => vec!["EVAL".into(), line.replace("\\n", "\n").replace("\\r", "\r"), "0".into()],
    }
}

#[test]
fn scripts_answer_as_those_of_redis() {
    let (ours, stock) = (Process::vedette(&[]), Process::redis(&[]));
    for protocol in ["2", "3"] {
        let (mut left, mut right) = (ours.connect(), stock.connect());
        for wire in [&mut left, &mut right] {
            wire.ask(&["HELLO", protocol]);
            wire.ask(&["FLUSHALL"]);
            wire.ask(&["SCRIPT", "FLUSH"]);
        }
        let mut different = Vec::new();
        for line in LINES.lines() {
            let words = request(line);
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            let (ours, theirs) = (left.ask(&words), right.ask(&words));
            if ours != theirs {
                different.push(format!("{line}\n  Redis   {theirs:?}\n  Vedette {ours:?}"));
            }
        }
        assert!(
            different.is_empty(),
            "RESP{protocol}, {} differ:\n{}",
            different.len(),
            different.join("\n")
        );
    }
}

const WRITES: &[&str] = &[
    "redis.call('set', 'one', 1)",
    "for i = 1, 20 do redis.call('rpush', 'list', i) redis.call('incr', 'count') end",
    "redis.call('set', 'gone', 1, 'px', 1) redis.call('set', 'kept', 1, 'ex', 1000)",
    "redis.call('sadd', 's', 1, 2, 3, 4, 5, 6, 7, 8) for i = 1, 4 do redis.call('spop', 's') end",
    "redis.call('select', 3) redis.call('set', 'in-three', 1) redis.call('select', 0) redis.call('set', 'in-zero', 1)",
    "redis.call('set', 'before', 1) error('half is done')",
    "redis.call('xadd', 'x', '*', 'f', 'v') redis.call('hset', 'h', 'f', redis.call('time')[1])",
    "return redis.pcall('lpush', 'one', 1)",
];

#[test]
fn what_scripts_did_reaches_a_stock_replica_and_the_log() {
    let mut master = Process::vedette(&["--appendonly", "yes"]);
    let port = master.port.to_string();
    let replica = Process::redis(&["--replicaof", &format!("127.0.0.1 {port}")]);
    eventually("the replica is there", || {
        let info = replica.connect().line("INFO replication");
        info.as_str().is_some_and(|text| text.contains("master_link_status:up"))
    });
    let mut wire = master.connect();
    for script in WRITES {
        wire.ask(&["EVAL", script, "0"]);
    }
    for line in ["MULTI", "INCR count"] {
        wire.line(line);
    }
    wire.ask(&["EVAL", "redis.call('incr', 'count') redis.call('incr', 'count')", "0"]);
    wire.line("EXEC");
    // Neither the log nor the replica gets what was kept from both.
    wire.ask(&["EVAL", "redis.set_repl(redis.REPL_NONE) redis.call('set', 'here', 1)", "0"]);
    wire.ask(&["DEL", "here"]);
    eventually("the replica caught up", || offset(&replica) == offset(&master));
    eventually("the key that lives for a millisecond is gone", || wire.line("GET gone") == Reply::Null);
    eventually("the replica knows", || offset(&replica) == offset(&master));
    assert_eq!(content(&replica), content(&master));
    assert_eq!(wire.line("GET count").as_str(), Some("23"));
    let before = content(&master);
    assert_eq!(master.terminate(), Some(0));
    master.restart();
    assert_eq!(content(&master), before);
}

#[test]
fn a_long_script_lets_others_know_and_can_be_ended() {
    let server = Process::vedette(&["--busy-reply-threshold", "50"]);
    let (mut caller, mut other) = (server.connect(), server.connect());
    let busy = |reply: &Reply| reply.error().is_some_and(|text| text.starts_with("BUSY"));
    for in_transaction in [false, true] {
        if in_transaction {
            for line in ["MULTI", "SET before 1"] {
                caller.line(line);
            }
        }
        caller.send(&["EVAL", "while true do pcall(redis.call, 'get', 'a') end", "0"]);
        if in_transaction {
            assert_eq!(caller.next(), Some(Reply::Simple("QUEUED".into())));
            caller.line("SET after 1");
            caller.send(&["EXEC"]);
        }
        eventually("others are told BUSY", || busy(&other.line("PING")));
        assert!(busy(&other.line("SHUTDOWN")), "half a script is not saved");
        assert_eq!(other.line("SCRIPT KILL"), Reply::Simple("OK".into()));
        let end = caller.next().expect("an answer");
        let killed = |reply: &Reply| {
            reply.error().is_some_and(|text| text.contains("killed by user with SCRIPT KILL"))
        };
        match (&end, in_transaction) {
            (reply, false) => assert!(killed(reply), "{reply:?}"),
            (Reply::Array(replies), true) => {
                assert!(replies.len() == 3 && killed(&replies[1]) && replies[2].is_ok(), "{end:?}");
            }
            _ => panic!("{end:?}"),
        }
        assert_eq!(other.line("PING"), Reply::Simple("PONG".into()));
    }
    assert_eq!(other.line("GET after").as_str(), Some("1"));
    // One that has written is waited for, or goes with the process.
    caller.send(&["EVAL", "redis.call('set', 'a', 1) while true do end", "0"]);
    eventually("others are told BUSY", || busy(&other.line("PING")));
    let refused = other.line("SCRIPT KILL");
    assert!(refused.error().is_some_and(|text| text.starts_with("UNKILLABLE")), "{refused:?}");
    other.send(&["SHUTDOWN", "NOSAVE"]);
    assert_eq!(other.next(), None, "the process ends");
}
