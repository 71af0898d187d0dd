//! MIGRATE between bundled servers and Debian's redis-server.

use super::*;

fn move_all(from: &Process, to: &Process) {
    let (mut source, mut target) = (from.connect(), to.connect());
    for line in ALL_TYPES {
        assert!(source.line(line).error().is_none(), "{line}");
    }
    let long = "long and long and long and ".repeat(40);
    assert!(source.ask(&["SET", "compressed", &long]).is_ok());
    let before = content(from);
    let port = to.port.to_string();
    let all = [
        "text",
        "number",
        "passing",
        "list",
        "ints",
        "words",
        "hash",
        "zset",
        "stream",
        "compressed",
        "none",
    ];
    let head = ["MIGRATE", "127.0.0.1", &port, "", "0", "20000"];
    let moved = |wire: &mut Wire, more: &[&str]| wire.ask(&[&head[..], more, &["KEYS"], &all].concat());
    assert!(moved(&mut source, &["COPY"]).is_ok());
    assert_eq!(content(from), before, "a copy leaves them");
    let again = moved(&mut source, &[]);
    let busy = "ERR Target instance replied with error: BUSYKEY Target key name already exists.";
    assert_eq!(again.error(), Some(busy));
    assert_eq!(content(from), before, "what was refused stays");
    assert!(moved(&mut source, &["REPLACE"]).is_ok());
    assert_eq!(source.line("DBSIZE"), Reply::Integer(0));
    assert_eq!(target.line("DBSIZE"), Reply::Integer(before.len() as i64));
    assert_eq!(target.line("GET compressed").as_str(), Some(long.as_str()));
    let without_times = |lines: Vec<String>| -> Vec<String> {
        lines.into_iter().filter(|line| !line.starts_with("passing")).collect()
    };
    assert_eq!(without_times(content(to)), without_times(before));
    let left = target.line("PTTL passing").as_integer().unwrap();
    assert!(left > 90_000_000 && left <= 100_000_000, "{left}");
    assert_eq!(moved(&mut source, &[]).as_str(), Some("NOKEY"));
}

#[test]
fn keys_of_all_types_move_between_bundled_servers_and_to_redis_and_back() {
    move_all(&Process::vedette(&[]), &Process::vedette(&[]));
    move_all(&Process::vedette(&[]), &Process::redis(&[]));
    move_all(&Process::redis(&[]), &Process::vedette(&[]));
}

#[test]
fn what_cannot_be_moved_stays_and_the_reply_is_that_of_redis() {
    let (ours, theirs) = (Process::vedette(&[]), Process::redis(&[]));
    let locked = Process::redis(&["--requirepass", "secret"]);
    for server in [&ours, &theirs] {
        assert!(server.connect().line("SET key value").is_ok());
    }
    let port = locked.port;
    let mut target = locked.connect();
    assert!(target.line("AUTH secret").is_ok());
    for line in [
        "MIGRATE 127.0.0.1 1 key 0 1000".to_owned(),
        format!("MIGRATE 127.0.0.1 {port} key 0 1000"),
        format!("MIGRATE 127.0.0.1 {port} key 0 1000 AUTH wrong"),
        format!("MIGRATE 127.0.0.1 {port} key 99 1000 AUTH secret"),
        format!("MIGRATE 127.0.0.1 {port} key 0 x"),
        format!("MIGRATE 127.0.0.1 {port} key 0 1000 KEYS a"),
        format!("MIGRATE 127.0.0.1 {port} key 0 1000 bogus"),
        format!("MIGRATE 127.0.0.1 {port} none 0 1000"),
        "MIGRATE 127.0.0.1".to_owned(),
    ] {
        let said = ours.connect().line(&line);
        assert_eq!(target.line("DBSIZE"), Reply::Integer(0), "nothing is left where it was refused: {line}");
        assert_eq!(said, theirs.connect().line(&line), "{line}");
        // Redis sends the keys even when the database was refused.
        assert!(target.line("FLUSHALL").is_ok());
        assert_eq!(ours.connect().line("GET key").as_str(), Some("value"), "{line}");
    }
    let moved = ours.connect().line(&format!("MIGRATE 127.0.0.1 {port} key 0 20000 AUTH2 default secret"));
    assert!(moved.is_ok(), "{moved:?}");
    assert_eq!(ours.connect().line("EXISTS key"), Reply::Integer(0));
    assert!(ours.connect().line("SET key again").is_ok(), "writes go on");
}

/// Inside MULTI and scripts nothing comes between: it is over when the next command runs.
#[test]
fn in_a_transaction_and_in_a_script_it_is_what_redis_does() {
    let said = |server: &Process, target: &Process| {
        let (mut wire, mut other) = (server.connect(), target.connect());
        let port = target.port.to_string();
        let mut said = Vec::new();
        for line in [
            "SET a 1",
            "SET b 2",
            "MULTI",
            "SET c 3",
            &format!("MIGRATE 127.0.0.1 {port} a 0 20000"),
            "GET a",
            "MIGRATE 127.0.0.1 1 b 0 300",
            &format!("MIGRATE 127.0.0.1 {port} none 0 300"),
            &format!("MIGRATE 127.0.0.1 {port} c 0 x"),
            &format!("MIGRATE 127.0.0.1 {port} c 0 20000 COPY"),
            &format!("MIGRATE 127.0.0.1 {port} c 0 20000"),
            "SET d 4",
            "EXEC",
        ] {
            said.push(wire.line(line));
        }
        let script = "return redis.call('MIGRATE','127.0.0.1',ARGV[1],'d','0','20000')";
        said.push(wire.ask(&["EVAL", script, "0", &port]));
        said.push(wire.ask(&["EVAL", "return redis.pcall('MIGRATE','127.0.0.1','1','b','0','300')", "0"]));
        for line in ["GET a", "GET b", "GET c", "GET d"] {
            said.extend([wire.line(line), other.line(line)]);
        }
        assert!(other.line("FLUSHALL").is_ok());
        said
    };
    let (ours, theirs, target) = (Process::vedette(&[]), Process::redis(&[]), Process::vedette(&[]));
    assert_eq!(said(&ours, &target), said(&theirs, &target));
    // What went is gone from a replica and from the log as well, which saw one transaction.
    assert_eq!(ours.connect().line("DBSIZE"), Reply::Integer(2));
}
