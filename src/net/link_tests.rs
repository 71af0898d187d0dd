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

/// Accepts the two links of one dial and tells them apart by the name they give.
async fn accept_both(listener: &TcpListener) -> (Wire, Wire) {
    let (mut command, mut hello) = (None, None);
    while command.is_none() || hello.is_none() {
        let (stream, _) = listener.accept().await.unwrap();
        let mut wire = Wire { stream: stream.into(), buffer: Vec::new() };
        let words = words(wire.read().await.unwrap());
        assert_eq!(words[..2], ["CLIENT", "SETNAME"]);
        wire.stream.write_all(b"+OK\r\n").await.unwrap();
        match words[2].as_str() {
            "sentinel-0123abcd-cmd" => command = Some(wire),
            "sentinel-0123abcd-pubsub" => hello = Some(wire),
            other => panic!("unexpected name {other}"),
        }
    }
    (command.unwrap(), hello.unwrap())
}

fn words(request: Reply) -> Vec<String> {
    request.as_array().unwrap().iter().map(|word| word.as_str().unwrap().to_owned()).collect()
}

fn argv(words: &[&str]) -> Vec<Vec<u8>> {
    words.iter().map(|word| word.as_bytes().to_vec()).collect()
}

#[tokio::test]
async fn requests_are_answered_in_order_and_hellos_arrive() {
    let (listener, address) = listener().await;
    let (sender, mut events) = unbounded_channel();
    let link = Link::start(&address, None, route(), "0123abcd", sender);
    link.dial(PATIENCE);
    let (mut command, mut hello) = accept_both(&listener).await;
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

    assert_eq!(words(hello.read().await.unwrap()), ["SUBSCRIBE", HELLO_CHANNEL]);
    let message = "*3\r\n$9\r\nsubscribe\r\n$18\r\n__sentinel__:hello\r\n:1\r\n\
                   *3\r\n$7\r\nmessage\r\n$18\r\n__sentinel__:hello\r\n$3\r\na,b\r\n";
    hello.stream.write_all(message.as_bytes()).await.unwrap();
    assert!(matches!(next(&mut events).await, LinkEvent::Hello { payload, .. } if payload == "a,b"));
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
        for _ in 0..2 {
            let (stream, _) = listener.accept().await.unwrap();
            let mut wire = Wire { stream: stream.into(), buffer: Vec::new() };
            wire.read().await.unwrap();
            wire.stream.write_all(bytes).await.unwrap();
        }
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
    let (command, hello) = accept_both(&listener).await;
    assert!(matches!(next(&mut events).await, LinkEvent::Up { .. }));
    link.send(1, argv(&["PING"]));
    drop((command, hello));
    assert!(matches!(next(&mut events).await, LinkEvent::Down { why: LinkError::Reset, .. }));
    // Nobody said Dial: the next connection is the one that is asked for.
    assert!(timeout(Duration::from_millis(100), listener.accept()).await.is_err());
    link.dial(PATIENCE);
    let _second = accept_both(&listener).await;
    assert!(matches!(next(&mut events).await, LinkEvent::Up { .. }));
    link.hangup();
    assert!(matches!(next(&mut events).await, LinkEvent::Down { why: LinkError::Reset, .. }));
}

#[tokio::test]
async fn a_password_is_sent_first_and_a_refusal_is_named() {
    let (listener, address) = listener().await;
    let (sender, mut events) = unbounded_channel();
    let auth = Auth { user: Some("sentinel".into()), password: "pass".into() };
    let link = Link::start(&address, Some(auth), route(), "0123abcd", sender);
    link.dial(PATIENCE);
    for _ in 0..2 {
        let (stream, _) = listener.accept().await.unwrap();
        let mut wire = Wire { stream: stream.into(), buffer: Vec::new() };
        assert_eq!(words(wire.read().await.unwrap()), ["AUTH", "sentinel", "pass"]);
        wire.stream.write_all(b"-WRONGPASS invalid username-password pair\r\n").await.unwrap();
    }
    assert!(matches!(next(&mut events).await, LinkEvent::Down { why: LinkError::AuthRefused, .. }));
}
