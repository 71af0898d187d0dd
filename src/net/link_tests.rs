//! Real sockets against a server of a few lines that answers what the test tells it to.

use super::*;
use tokio::net::TcpListener;

const PATIENCE: Duration = Duration::from_secs(5);

async fn next(links: &mut Links<u8>) -> LinkEvent<u8> {
    timeout(PATIENCE, links.next()).await.expect("an event in time")
}

/// One link, dialling.
fn dial(address: &Address, auth: Option<Auth>, limit: Duration) -> Links<u8> {
    let mut links = Links::new("0123abcd");
    links.add(1, address.clone(), auth, route());
    links.dial(&1, limit);
    links
}

/// What a server of a few lines does while the links are looked after.
async fn meanwhile<T>(links: &mut Links<u8>, server: impl Future<Output = T>) -> (T, LinkEvent<u8>) {
    tokio::join!(server, next(links))
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
    let mut links = dial(&address, None, PATIENCE);
    let (mut command, up) = meanwhile(&mut links, accept(&listener)).await;
    assert!(matches!(up, LinkEvent::Up { whom: 1 }));

    links.send(&1, 7, &argv(&["PING"]));
    links.send(&1, 8, &argv(&["INFO"]));
    links.flush();
    assert_eq!(words(command.read().await.unwrap()), ["PING"]);
    assert_eq!(words(command.read().await.unwrap()), ["INFO"]);
    // The second answer is split in the middle: order and content must not suffer.
    command.stream.write_all(b"+PONG\r\n$4\r\nro").await.unwrap();
    let first = next(&mut links).await;
    let rest = async { command.stream.write_all(b"le\r\n").await.unwrap() };
    let ((), second) = meanwhile(&mut links, rest).await;
    for ((id, text), event) in [(7, "PONG"), (8, "role")].into_iter().zip([first, second]) {
        match event {
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
    let mut links = dial(&address, None, PATIENCE);
    assert!(matches!(next(&mut links).await, LinkEvent::Down { why: LinkError::Refused, .. }));

    // Accepts and says nothing: the deadline covers login as well.
    let (silent, address) = listener().await;
    let mut links = dial(&address, None, Duration::from_millis(50));
    assert!(matches!(next(&mut links).await, LinkEvent::Down { why: LinkError::Timeout, .. }));
    drop((links, silent));

    let unknown = Address::new("no-such-host.invalid", 1);
    let mut links = dial(&unknown, None, PATIENCE);
    assert!(matches!(next(&mut links).await, LinkEvent::Down { why: LinkError::Unreachable, .. }));

    for (bytes, expected) in [
        (&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], LinkError::Malformed),
        (b"-NOAUTH Authentication required.\r\n", LinkError::AuthRefused),
        (b"$2000000\r\n", LinkError::Malformed),
        (b"", LinkError::Reset),
    ] {
        let (listener, address) = self::listener().await;
        let mut links = dial(&address, None, PATIENCE);
        let server = async {
            let (stream, _) = listener.accept().await.unwrap();
            let mut wire = Wire { stream: stream.into(), buffer: Vec::new() };
            wire.read().await.unwrap();
            wire.stream.write_all(bytes).await.unwrap();
        };
        match meanwhile(&mut links, server).await.1 {
            LinkEvent::Down { why, .. } => assert_eq!(why, expected),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_broken_link_is_reported_once_and_dialled_only_on_demand() {
    let (listener, address) = listener().await;
    let mut links = dial(&address, None, PATIENCE);
    let (command, up) = meanwhile(&mut links, accept(&listener)).await;
    assert!(matches!(up, LinkEvent::Up { .. }));
    links.send(&1, 1, &argv(&["PING"]));
    links.flush();
    drop(command);
    assert!(matches!(next(&mut links).await, LinkEvent::Down { why: LinkError::Reset, .. }));
    // Nobody said Dial: the next connection is the one that is asked for.
    links.send(&1, 2, &argv(&["PING"]));
    links.flush();
    assert!(timeout(Duration::from_millis(100), listener.accept()).await.is_err());
    links.dial(&1, PATIENCE);
    let (_second, up) = meanwhile(&mut links, accept(&listener)).await;
    assert!(matches!(up, LinkEvent::Up { .. }));
    links.hangup(&1);
    assert!(matches!(next(&mut links).await, LinkEvent::Down { why: LinkError::Reset, .. }));
}

/// More than a socket takes at once, both ways; and what is left of a link that is taken away.
#[tokio::test]
async fn a_full_socket_is_waited_for_and_a_link_taken_away_is_silent() {
    const BYTES: usize = 900_000;
    let (listener, address) = listener().await;
    let mut links = dial(&address, None, PATIENCE);
    let (mut wire, _) = meanwhile(&mut links, accept(&listener)).await;
    for id in 0..32 {
        links.send(&1, id, &[vec![b'x'; BYTES]]);
    }
    links.flush();
    let server = async {
        for _ in 0..32 {
            assert_eq!(words(wire.read().await.unwrap())[0].len(), BYTES);
        }
        let mut answer = format!("${BYTES}\r\n").into_bytes();
        answer.resize(answer.len() + BYTES, b'y');
        answer.extend(b"\r\n");
        for _ in 0..2 {
            wire.stream.write_all(&answer).await.unwrap();
        }
    };
    let hear = async {
        for id in 0..2 {
            match next(&mut links).await {
                LinkEvent::Replied { request, reply, .. } => {
                    assert_eq!((request, reply.as_bytes().map(<[u8]>::len)), (id, Some(BYTES)));
                }
                other => panic!("{other:?}"),
            }
        }
    };
    tokio::join!(server, hear);
    wire.stream.write_all(b"+LATE\r\n").await.unwrap();
    links.remove(&1);
    assert!(timeout(Duration::from_millis(50), links.next()).await.is_err());
}

#[tokio::test]
async fn a_password_is_sent_first_and_a_refusal_is_named() {
    let (listener, address) = listener().await;
    let auth = Auth { user: Some("sentinel".into()), password: "pass".into(), command: None };
    let mut links = dial(&address, Some(auth), PATIENCE);
    let server = async {
        let (stream, _) = listener.accept().await.unwrap();
        let mut wire = Wire { stream: stream.into(), buffer: Vec::new() };
        assert_eq!(words(wire.read().await.unwrap()), ["AUTH", "sentinel", "pass"]);
        wire.stream.write_all(b"-WRONGPASS invalid username-password pair\r\n").await.unwrap();
    };
    assert!(matches!(
        meanwhile(&mut links, server).await.1,
        LinkEvent::Down { why: LinkError::AuthRefused, .. }
    ));
}
