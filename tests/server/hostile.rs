//! Bytes that no friend sends: malformed requests, other protocols, strangers without a password.

use crate::support::{Process, Wire};
use std::time::Duration;
use vedette::resp::Reply;

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What comes back for raw bytes until the server closes.
fn answer(server: &Process, bytes: &[u8]) -> String {
    let mut wire = server.connect();
    wire.send_raw(bytes);
    text(&wire.rest())
}

#[test]
fn malformed_requests_are_named_and_cost_only_their_connection() {
    let server = Process::vedette(&[]);
    for (bytes, said) in [
        (&b"*1\r\n:1\r\n"[..], "expected '$', got ':'"),
        (b"*9999999999\r\n", "invalid multibulk length"),
        (b"*1\r\n$-5\r\n", "invalid bulk length"),
        (b"*1\r\n$4\r\nPINGxx", "expected CRLF"),
        (b"SET a \"b\r\n", "unbalanced quotes"),
        (b"*0\r\n*2\r\n$3\r\nGET\r\n:1\r\n", "expected '$'"),
    ] {
        let got = answer(&server, bytes);
        assert!(got.starts_with("-ERR Protocol error") && got.contains(said), "{got:?} for {said}");
    }
    let got = answer(&server, b"PING\r\n*1\r\n:1\r\n");
    assert!(got.starts_with("+PONG\r\n-ERR Protocol error"), "what came before is answered: {got:?}");
    assert_eq!(server.connect().line("PING").as_str(), Some("PONG"));
}

#[test]
fn http_and_tls_get_no_answer() {
    let server = Process::vedette(&[]);
    for bytes in [
        &b"POST / HTTP/1.1\r\nHost: x\r\n\r\nSET a 1\r\n"[..],
        b"Host: evil\r\nFLUSHALL\r\n",
        b"\x16\x03\x01\x02\x00\x01",
    ] {
        assert_eq!(answer(&server, bytes), "");
    }
    assert_eq!(server.connect().line("DBSIZE"), Reply::Integer(0));
}

#[test]
fn requests_arrive_in_any_pieces() {
    let server = Process::vedette(&[]);
    let mut wire = server.connect();
    for byte in b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$5\r\nhello\r\nGET a\r\n" {
        wire.send_raw(&[*byte]);
    }
    assert!(wire.next().unwrap().is_ok());
    assert_eq!(wire.next().unwrap().as_str(), Some("hello"));
    let big = "x".repeat(3_000_000);
    assert!(wire.ask(&["SET", "big", &big]).is_ok());
    assert_eq!(wire.line("GET big").as_bytes().map(<[u8]>::len), Some(big.len()));
}

#[test]
fn strangers_may_do_little_before_auth() {
    let server = Process::vedette(&["--requirepass", "secret"]);
    let mut wire = server.connect();
    assert_eq!(wire.line("GET a").error(), Some("NOAUTH Authentication required."));
    assert!(wire.line("HELLO 3").error().unwrap().starts_with("NOAUTH HELLO must be called"));
    assert!(wire.line("AUTH wrong").error().unwrap().starts_with("WRONGPASS"));
    assert!(wire.line("NOSUCH").error().unwrap().starts_with("ERR unknown command 'NOSUCH'"));
    assert!(wire.line("AUTH secret").is_ok());
    assert!(wire.line("SET a 1").is_ok());

    let many = format!("*11\r\n{}", "$1\r\na\r\n".repeat(11));
    assert!(answer(&server, many.as_bytes()).contains("unauthenticated multibulk length"));
    assert!(answer(&server, b"*2\r\n$3\r\nGET\r\n$20000\r\n").contains("unauthenticated bulk length"));
    // Replies that nobody reads are not collected for a stranger.
    let mut wire = server.connect();
    wire.send_raw("ECHO\r\n".repeat(200_000).as_bytes().split_at(600_000).0);
    let mut wire = server.connect();
    wire.send_raw(b"AUTH default secret\r\nHELLO 3 SETNAME me\r\nCLIENT GETNAME\r\n");
    assert!(wire.next().unwrap().is_ok());
    assert!(matches!(wire.next(), Some(Reply::Map(_))));
    assert_eq!(wire.next().unwrap().as_str(), Some("me"));
}

#[test]
fn a_stranger_who_says_nothing_is_closed_after_the_deadline() {
    let server = Process::vedette(&["--requirepass", "secret"]);
    let mut wire = server.connect();
    let start = std::time::Instant::now();
    assert_eq!(text(&wire.rest()), "");
    assert!(start.elapsed() >= Duration::from_secs(9), "{:?}", start.elapsed());
}

#[test]
fn more_clients_than_allowed_are_told_so() {
    let server = Process::vedette(&["--maxclients", "2"]);
    let (mut first, _second) = (server.connect(), server.connect());
    crate::support::eventually("a third is refused", || {
        let mut third = Wire::connect(server.port);
        third.next().is_some_and(|reply| reply.error() == Some("ERR max number of clients reached"))
    });
    assert_eq!(first.line("PING").as_str(), Some("PONG"));
}

#[test]
fn a_listener_that_does_not_read_is_cut_off() {
    let server = Process::vedette(&["--client-output-buffer-limit", "pubsub 1mb 0 0"]);
    let mut lazy = server.connect();
    lazy.line("SUBSCRIBE news");
    let mut speaker = server.connect();
    let message = "x".repeat(100_000);
    crate::support::eventually("the lazy listener is gone", || {
        speaker.ask(&["PUBLISH", "news", &message]) == Reply::Integer(0)
    });
}
