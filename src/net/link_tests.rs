//! Real sockets against a server of a few lines that answers what the test tells it to.

use super::*;
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

const PATIENCE: Duration = Duration::from_secs(5);

async fn next(events: &mut UnboundedReceiver<LinkEvent>) -> LinkEvent {
    timeout(PATIENCE, events.recv()).await.expect("an event in time").expect("a live link")
}

fn route() -> Route {
    Route { ways: Ways::plain(), tls: None }
}

async fn listener() -> (TcpListener, Address) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, Address::new("127.0.0.1", port))
}

/// Accepts a connection that names itself.
async fn accept(listener: &TcpListener) -> Wire {
    let (stream, _) = listener.accept().await.unwrap();
    let mut wire = Wire { stream: stream.into(), buffer: Vec::new() };
    assert_eq!(words(wire.read().await.unwrap()), ["CLIENT", "SETNAME", "sentinel-0123abcd-cmd"]);
    wire.stream.write_all(b"+OK\r\n").await.unwrap();
    wire
}

fn words(request: Reply) -> Vec<String> {
    request.as_array().unwrap().iter().map(|word| word.as_str().unwrap().to_owned()).collect()
}

fn argv(words: &[&str]) -> Vec<Vec<u8>> {
    words.iter().map(|word| word.as_bytes().to_vec()).collect()
}

#[tokio::test]
async fn requests_leave_together_and_are_answered_in_order() {
    let (listener, address) = listener().await;
    let (sender, mut events) = unbounded_channel();
    let link = Link::start(&address, None, route(), "0123abcd", sender);
    link.dial(PATIENCE);
    let mut command = accept(&listener).await;
    assert!(matches!(next(&mut events).await, LinkEvent::Up { .. }));

    link.send(7, argv(&["PING"]));
    link.send(8, argv(&["INFO"]));
    assert_eq!(words(command.read().await.unwrap()), ["PING"]);
    assert_eq!(words(command.read().await.unwrap()), ["INFO"]);
    // The second answer is split in the middle: order and content must not suffer.
    command.stream.write_all(b"+PONG\r\n$4\r\nro").await.unwrap();
    tokio::task::yield_now().await;
    command.stream.write_all(b"le\r\n").await.unwrap();
    for (id, text) in [(7, "PONG"), (8, "role")] {
        match next(&mut events).await {
            LinkEvent::Replied { request, reply, .. } => {
                assert_eq!((request, reply.as_str()), (id, Some(text)));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn each_way_to_fail_has_its_name() {
    let (probe, address) = listener().await;
    drop(probe);
    let (sender, mut events) = unbounded_channel();
    let link = Link::start(&address, None, route(), "0123abcd", sender.clone());
    link.dial(PATIENCE);
    assert!(matches!(next(&mut events).await, LinkEvent::Down { why: LinkError::Refused, .. }));

    // Accepts and says nothing: the deadline covers login as well.
    let (silent, address) = listener().await;
    let link = Link::start(&address, None, route(), "0123abcd", sender.clone());
    link.dial(Duration::from_millis(50));
    assert!(matches!(next(&mut events).await, LinkEvent::Down { why: LinkError::Timeout, .. }));
    drop((link, silent));

    let unknown = Address::new("no-such-host.invalid", 1);
    let link = Link::start(&unknown, None, route(), "0123abcd", sender.clone());
    link.dial(PATIENCE);
    assert!(matches!(next(&mut events).await, LinkEvent::Down { why: LinkError::Unreachable, .. }));

    for (bytes, expected) in [
        (&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], LinkError::Malformed),
        (b"-NOAUTH Authentication required.\r\n", LinkError::AuthRefused),
        (b"$2000000\r\n", LinkError::Malformed),
        (b"", LinkError::Reset),
    ] {
        let (listener, address) = self::listener().await;
        let link = Link::start(&address, None, route(), "0123abcd", sender.clone());
        link.dial(PATIENCE);
        let (stream, _) = listener.accept().await.unwrap();
        let mut wire = Wire { stream: stream.into(), buffer: Vec::new() };
        wire.read().await.unwrap();
        wire.stream.write_all(bytes).await.unwrap();
        drop(wire);
        match next(&mut events).await {
            LinkEvent::Down { why, .. } => assert_eq!(why, expected),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_broken_link_is_reported_once_and_dialled_only_on_demand() {
    let (listener, address) = listener().await;
    let (sender, mut events) = unbounded_channel();
    let link = Link::start(&address, None, route(), "0123abcd", sender);
    link.dial(PATIENCE);
    let command = accept(&listener).await;
    assert!(matches!(next(&mut events).await, LinkEvent::Up { .. }));
    link.send(1, argv(&["PING"]));
    drop(command);
    assert!(matches!(next(&mut events).await, LinkEvent::Down { why: LinkError::Reset, .. }));
    // Nobody said Dial: the next connection is the one that is asked for.
    assert!(timeout(Duration::from_millis(100), listener.accept()).await.is_err());
    link.dial(PATIENCE);
    let _second = accept(&listener).await;
    assert!(matches!(next(&mut events).await, LinkEvent::Up { .. }));
    link.hangup();
    assert!(matches!(next(&mut events).await, LinkEvent::Down { why: LinkError::Reset, .. }));
}

#[tokio::test]
async fn a_password_is_sent_first_and_a_refusal_is_named() {
    let (listener, address) = listener().await;
    let (sender, mut events) = unbounded_channel();
    let auth = Auth { user: Some("sentinel".into()), password: "pass".into(), command: None };
    let link = Link::start(&address, Some(auth), route(), "0123abcd", sender);
    link.dial(PATIENCE);
    let (stream, _) = listener.accept().await.unwrap();
    let mut wire = Wire { stream: stream.into(), buffer: Vec::new() };
    assert_eq!(words(wire.read().await.unwrap()), ["AUTH", "sentinel", "pass"]);
    wire.stream.write_all(b"-WRONGPASS invalid username-password pair\r\n").await.unwrap();
    assert!(matches!(next(&mut events).await, LinkEvent::Down { why: LinkError::AuthRefused, .. }));
}
