//! What a session may take of the server's memory, and what happens to who takes more.

use crate::support::{Process, Wire, eventually};
use vedette::resp::Reply;

fn client_line(server: &Process, name: &str) -> Option<String> {
    let list = server.connect().line("CLIENT LIST");
    let text = list.as_str().unwrap_or_default();
    text.lines().find(|line| line.contains(&format!("name={name} "))).map(str::to_owned)
}

fn named(server: &Process, name: &str) -> Wire {
    let mut wire = server.connect();
    assert!(wire.line(&format!("CLIENT SETNAME {name}")).is_ok());
    wire
}

#[test]
fn a_value_longer_than_proto_max_bulk_len_is_refused_before_it_is_read() {
    let server = Process::vedette(&["--proto-max-bulk-len", "1mb"]);
    let mut wire = server.connect();
    wire.send_raw(b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1048577\r\n");
    let said = String::from_utf8_lossy(&wire.rest()).into_owned();
    assert!(said.contains("invalid bulk length"), "{said}");
    let mut wire = server.connect();
    assert!(wire.ask(&["SET", "a", &"x".repeat(1 << 20)]).is_ok(), "exactly as long is allowed");
    for growing in [&["APPEND", "a", "y"][..], &["SETRANGE", "a", "1048576", "y"]] {
        let refused = wire.ask(growing);
        assert!(refused.error().is_some_and(|text| text.contains("proto-max-bulk-len")), "{refused:?}");
    }
    assert_eq!(wire.line("STRLEN a"), Reply::Integer(1 << 20));
}

#[test]
fn a_transaction_that_grows_too_large_aborts_and_leaves_the_session_usable() {
    let server = Process::vedette(&["--client-query-buffer-limit", "1mb"]);
    let mut wire = server.connect();
    let value = "x".repeat(300_000);
    assert!(wire.line("MULTI").is_ok());
    for key in ["a", "b", "c"] {
        assert_eq!(wire.ask(&["SET", key, &value]).as_str(), Some("QUEUED"));
    }
    let refused = wire.ask(&["SET", "d", &value]);
    assert!(refused.error().is_some_and(|text| text.contains("client-query-buffer-limit")), "{refused:?}");
    assert_eq!(wire.ask(&["SET", "e", &value]).as_str(), Some("QUEUED"), "as Redis after an error");
    assert!(wire.line("EXEC").error().is_some_and(|text| text.starts_with("EXECABORT")));
    assert_eq!(wire.line("DBSIZE"), Reply::Integer(0));
    for line in ["MULTI", "SET a 1", "EXEC"] {
        assert!(wire.line(line).error().is_none());
    }
    assert_eq!(wire.line("DBSIZE"), Reply::Integer(1));
}

#[test]
fn a_request_larger_than_the_query_buffer_costs_its_connection() {
    let server = Process::vedette(&["--client-query-buffer-limit", "1mb"]);
    let mut wire = server.connect();
    let mut bytes = b"*3\r\n$4\r\nMSET\r\n$700000\r\n".to_vec();
    bytes.extend("k".repeat(700_000).bytes());
    bytes.extend(b"\r\n$700000\r\n");
    bytes.extend("v".repeat(600_000).bytes());
    wire.send_raw(&bytes);
    let said = String::from_utf8_lossy(&wire.rest()).into_owned();
    assert!(said.contains("too big request"), "{said}");
}

#[test]
fn a_listener_over_the_soft_limit_is_closed_when_its_time_is_over_and_a_reader_is_not() {
    let server = Process::vedette(&["--client-output-buffer-limit", "pubsub 0 1mb 1"]);
    let mut lazy = named(&server, "lazy");
    let mut reader = named(&server, "reader");
    for wire in [&mut lazy, &mut reader] {
        assert!(wire.line("SUBSCRIBE news").error().is_none());
    }
    let mut publisher = server.connect();
    let message = "m".repeat(100_000);
    // What the kernel holds for it does not count: until it is over the limit here.
    let omem = |name: &str| {
        let line = client_line(&server, name)?;
        line.split(' ').find_map(|field| field.strip_prefix("omem=")?.parse::<usize>().ok())
    };
    eventually("more waits for the lazy one than the soft limit", || {
        publisher.ask(&["PUBLISH", "news", &message]);
        assert!(reader.next().is_some());
        omem("lazy").is_none_or(|bytes| bytes > 1 << 20)
    });
    eventually("the lazy one is closed", || client_line(&server, "lazy").is_none());
    assert!(client_line(&server, "reader").is_some());
    assert_eq!(publisher.ask(&["PUBLISH", "news", "last"]), Reply::Integer(1));
}

#[test]
fn a_reply_larger_than_the_hard_limit_closes_its_session_after_the_replies_before_it() {
    let server = Process::vedette(&["--client-output-buffer-limit", "normal 1mb 0 0"]);
    let mut wire = server.connect();
    assert!(wire.ask(&["SET", "half", &"x".repeat(600_000)]).is_ok());
    // Many replies that are read are no reason, however large together.
    wire.send_raw("GET half\r\n".repeat(8).as_bytes());
    for _ in 0..8 {
        assert!(wire.next().is_some_and(|reply| reply.as_bytes().map(<[u8]>::len) == Some(600_000)));
    }
    wire.send_raw(b"PING\r\nMGET half half\r\nPING\r\n");
    assert_eq!(wire.rest(), b"+PONG\r\n");
    assert_eq!(server.connect().line("PING").as_str(), Some("PONG"));
}

#[test]
fn a_pipeline_of_large_reads_is_answered_to_its_end() {
    let server = Process::vedette(&[]);
    let mut wire = server.connect();
    assert!(wire.ask(&["SET", "large", &"x".repeat(700_000)]).is_ok());
    // The replies go out in parts, and nothing more arrives that would remind the server of the rest.
    wire.send_raw("GET large\r\n".repeat(20).as_bytes());
    for number in 0..20 {
        let reply = wire.next().unwrap_or_else(|| panic!("reply {number} never came"));
        assert_eq!(reply.as_bytes().map(<[u8]>::len), Some(700_000));
    }
}

#[test]
fn no_touch_and_no_evict_are_two_things() {
    let server = Process::vedette(&[]);
    let mut wire = named(&server, "me");
    let flags = || {
        let line = client_line(&server, "me").expect("it is listed");
        line.split(' ').find_map(|field| field.strip_prefix("flags=").map(str::to_owned)).expect("flags")
    };
    assert!(wire.line("CLIENT NO-TOUCH ON").is_ok());
    assert_eq!(flags(), "T");
    assert!(wire.line("CLIENT NO-EVICT ON").is_ok());
    assert_eq!(flags(), "eT");
    assert!(wire.line("CLIENT NO-TOUCH OFF").is_ok());
    assert_eq!(flags(), "e");
    assert!(wire.line("RESET").error().is_none());
    assert!(wire.line("CLIENT SETNAME me").is_ok());
    assert_eq!(flags(), "N");
    assert!(wire.line("CLIENT NO-TOUCH").error().is_some_and(|text| text.contains("client|no-touch")));
}
