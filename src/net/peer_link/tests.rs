//! Handshakes and links over real loopback sockets, with friends, strangers and somebody in between.

use super::*;
use crate::model::Address;
use crate::sentinel::PeerMessage;
use std::sync::Arc;
use std::time::Instant;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

fn identity(id: NodeId) -> PeerIdentity {
    PeerIdentity {
        cluster: "c1".to_owned(),
        id,
        uuid: format!("uuid-{id}"),
        run_id: format!("run-{id}"),
        address: Some(Address::new("127.0.0.1", 26379)),
    }
}

fn secret(letter: u8) -> Secret {
    Secret::new(&[letter; 32]).unwrap()
}

fn anyone(_: &Hello) -> Result<(), Refusal> {
    Ok(())
}

async fn listener() -> (TcpListener, Address) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, Address::new("127.0.0.1", port))
}

type Outcome = Result<PeerConnection, HandshakeError>;

/// Node 1 dials node 2, each as described.
async fn meet(dialler: (PeerIdentity, Secret), acceptor: (PeerIdentity, Secret)) -> (Outcome, Outcome) {
    meet_checked(dialler, acceptor, &anyone, &anyone).await
}

async fn meet_checked(
    dialler: (PeerIdentity, Secret),
    acceptor: (PeerIdentity, Secret),
    check_acceptor: &Check<'_>,
    check_dialler: &Check<'_>,
) -> (Outcome, Outcome) {
    let (listener, address) = listener().await;
    let accepting = async {
        let (stream, _) = listener.accept().await.unwrap();
        accept(stream.into(), &acceptor.0, &acceptor.1, check_dialler).await
    };
    let way = PeerWay::plain();
    tokio::join!(connect(&address, &way, &dialler.0, &dialler.1, 2, check_acceptor), accepting)
}

fn error(outcome: Outcome) -> HandshakeError {
    outcome.err().expect("there must be no link")
}

fn beat(sequence: u64) -> PeerMessage {
    PeerMessage::Beat { term: 1, sequence, confirmed_ms_ago: 0, commit: 0, echo_us: 0 }
}

#[tokio::test]
async fn members_learn_who_the_other_is_and_talk() {
    for secret in [secret(b'a'), Secret::none()] {
        let (one, two) = meet((identity(1), secret.clone()), (identity(2), secret)).await;
        let (mut one, mut two) = (one.unwrap(), two.unwrap());
        assert_eq!((one.peer, two.peer), (identity(2), identity(1)));
        one.writer.send(&beat(1)).await.unwrap();
        one.writer.send(&beat(2)).await.unwrap();
        two.writer.send(&PeerMessage::Raft(vec![7; 500_000])).await.unwrap();
        assert_eq!(two.reader.read().await.unwrap(), Some(beat(1)));
        assert_eq!(two.reader.read().await.unwrap(), Some(beat(2)));
        assert_eq!(one.reader.read().await.unwrap(), Some(PeerMessage::Raft(vec![7; 500_000])));
    }
}

#[tokio::test]
async fn secrets_must_be_the_same_on_both_sides() {
    let (one, two) = meet((identity(1), secret(b'a')), (identity(2), secret(b'b'))).await;
    let (one, two) = (error(one), error(two));
    assert!(matches!(one, HandshakeError::Refused { refusal: Refusal::WrongSecret, proven: false }), "{one}");
    assert!(matches!(two, HandshakeError::Refusing(Refusal::WrongSecret)), "{two}");
    assert!(one.to_string().contains("give every sentinel the same cluster-secret-file"));
    for (first, second) in [(secret(b'a'), Secret::none()), (Secret::none(), secret(b'a'))] {
        let (one, two) = meet((identity(1), first), (identity(2), second)).await;
        let (one, two) = (error(one), error(two));
        assert!(
            matches!(one, HandshakeError::Refused { refusal: Refusal::OneSidedSecret, proven: false }),
            "{one}"
        );
        assert!(matches!(two, HandshakeError::Refusing(Refusal::OneSidedSecret)), "{two}");
    }
    assert!(Secret::new(b" short \n").is_err());
}

#[tokio::test]
async fn who_does_not_fit_is_refused_by_a_proven_word() {
    let mut elsewhere = identity(2);
    elsewhere.cluster = "c2".to_owned();
    let cases =
        [(elsewhere, Refusal::OtherCluster), (identity(3), Refusal::WrongId), (identity(1), Refusal::SameId)];
    for (acceptor, expected) in cases {
        let (one, two) = meet((identity(1), secret(b'a')), (acceptor, secret(b'a'))).await;
        let (one, two) = (error(one), error(two));
        assert!(
            matches!(one, HandshakeError::Refused { refusal, proven: true } if refusal == expected),
            "{expected:?}: {one}"
        );
        assert!(matches!(two, HandshakeError::Refusing(refusal) if refusal == expected), "{two}");
    }
    // A cluster not known yet fits every other.
    let mut newcomer = identity(2);
    newcomer.cluster.clear();
    let (one, two) = meet((identity(1), secret(b'a')), (newcomer, secret(b'a'))).await;
    assert!(one.is_ok() && two.is_ok());
}

#[tokio::test]
async fn a_node_that_lost_its_log_is_told_so_whichever_side_dialled() {
    let lost = |_: &Hello| Err(Refusal::LostLog);
    let who = || ((identity(1), secret(b'a')), (identity(2), secret(b'a')));
    let (dialler, acceptor) = who();
    let (one, _) = meet_checked(dialler, acceptor, &anyone, &lost).await;
    assert_eq!(error(one).fatal(), Some(Refusal::LostLog));
    let (dialler, acceptor) = who();
    let (one, two) = meet_checked(dialler, acceptor, &lost, &anyone).await;
    assert_eq!(error(one).fatal(), None);
    let two = error(two);
    assert_eq!(two.fatal(), Some(Refusal::LostLog));
    assert!(two.to_string().contains("must not vote under this id again"), "{two}");
}

#[tokio::test]
async fn a_stranger_cannot_end_a_process_by_refusing_it() {
    let (listener, address) = listener().await;
    let stranger = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(PREFACE).await.unwrap();
        stream.write_all(&[2, 0, 4, Refusal::LostLog as u8]).await.unwrap();
        let _ = stream.read_to_end(&mut Vec::new()).await;
    };
    let (me, key) = (identity(1), secret(b'a'));
    let dialling = async { error(connect(&address, &PeerWay::plain(), &me, &key, 2, &anyone).await) };
    let (error, ()) = tokio::join!(dialling, stranger);
    assert!(matches!(error, HandshakeError::Refused { refusal: Refusal::LostLog, proven: false }), "{error}");
    assert_eq!(error.fatal(), None);
}

/// Dials `to` and gives the bytes of a dialler's first message, or what it is told to.
async fn raw(to: &Address, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect((to.host.as_str(), to.port)).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    answer
}

#[tokio::test]
async fn a_recorded_handshake_opens_nothing() {
    let (front, front_address) = listener().await;
    let (back, back_address) = listener().await;
    let (me, you, key) = (identity(1), identity(2), secret(b'a'));
    let recording = async {
        let (mut near, _) = front.accept().await.unwrap();
        let mut far = TcpStream::connect((back_address.host.as_str(), back_address.port)).await.unwrap();
        let (mut near_read, mut near_write) = near.split();
        let (mut far_read, mut far_write) = far.split();
        let up = async {
            let mut recorded = Vec::new();
            let mut chunk = [0; 1024];
            while let Ok(count @ 1..) = near_read.read(&mut chunk).await {
                recorded.extend_from_slice(&chunk[..count]);
                far_write.write_all(&chunk[..count]).await.unwrap();
            }
            far_write.shutdown().await.unwrap();
            recorded
        };
        let (recorded, _) = tokio::join!(up, tokio::io::copy(&mut far_read, &mut near_write));
        recorded
    };
    let accepting = async {
        let (stream, _) = back.accept().await.unwrap();
        accept(stream.into(), &you, &key, &anyone).await.map(drop)
    };
    let dialling =
        async { connect(&front_address, &PeerWay::plain(), &me, &key, 2, &anyone).await.map(drop) };
    let (recorded, accepted, dialled) = tokio::join!(recording, accepting, dialling);
    accepted.unwrap();
    dialled.unwrap();
    let again = async {
        let (stream, _) = back.accept().await.unwrap();
        error(accept(stream.into(), &you, &key, &anyone).await)
    };
    let (error, answer) = tokio::join!(again, raw(&back_address, &recorded));
    assert!(matches!(error, HandshakeError::Refusing(Refusal::WrongSecret)), "{error}");
    assert_eq!(answer.last(), Some(&(Refusal::WrongSecret as u8)));
}

#[tokio::test]
async fn a_mirror_is_no_peer() {
    let (listener, address) = listener().await;
    let mirror = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let (mut read, mut write) = stream.split();
        let _ = tokio::io::copy(&mut read, &mut write).await;
    };
    let (me, key) = (identity(1), secret(b'a'));
    let dialling = async { error(connect(&address, &PeerWay::plain(), &me, &key, 1, &anyone).await) };
    let (error, ()) = tokio::join!(dialling, mirror);
    assert!(matches!(error, HandshakeError::Refusing(Refusal::Malformed)), "{error}");
}

#[tokio::test]
async fn another_version_and_plain_garbage_are_told_apart() {
    let (listener, address) = listener().await;
    let (you, key) = (identity(2), secret(b'a'));
    let mut huge = PREFACE.to_vec();
    huge.extend([0xff; 700]);
    for (bytes, told) in [
        (b"\0VEDETTE-PEER/9\nand then something".to_vec(), Some(Refusal::Version)),
        (huge, Some(Refusal::Malformed)),
        (vec![0; 300], None),
    ] {
        let accepting = async {
            let (stream, _) = listener.accept().await.unwrap();
            error(accept(stream.into(), &you, &key, &anyone).await)
        };
        let (error, answer) = tokio::join!(accepting, raw(&address, &bytes));
        match told {
            Some(refusal) => {
                assert!(matches!(error, HandshakeError::Refusing(found) if found == refusal), "{error}");
                assert_eq!(answer.last(), Some(&(refusal as u8)));
            }
            None => assert!(matches!(error, HandshakeError::NotAPeer), "{error}"),
        }
    }
}

#[tokio::test]
async fn a_peer_that_says_nothing_is_let_go_in_time() {
    let (listener, address) = listener().await;
    let began = Instant::now();
    let _silent = TcpStream::connect((address.host.as_str(), address.port)).await.unwrap();
    let (stream, _) = listener.accept().await.unwrap();
    let error = error(accept(stream.into(), &identity(2), &secret(b'a'), &anyone).await);
    assert!(matches!(error, HandshakeError::Timeout), "{error}");
    assert!(began.elapsed() < HANDSHAKE * 2);
}

#[tokio::test]
async fn without_a_secret_nobody_off_loopback_is_dialled() {
    let far = Address::new("192.0.2.1", 26379);
    let error = error(connect(&far, &PeerWay::plain(), &identity(1), &Secret::none(), 2, &anyone).await);
    assert!(matches!(error, HandshakeError::Refusing(Refusal::SecretNeeded)), "{error}");
}

type Meddle = fn(&mut Vec<u8>);

/// A connected pair whose bytes from 1 to 2 pass through `meddle`, once, after the handshake.
async fn meddled(meddle: Meddle) -> (PeerConnection, PeerConnection) {
    let (front, front_address) = listener().await;
    let (back, back_address) = listener().await;
    tokio::spawn(async move {
        let (near, _) = front.accept().await.unwrap();
        let far = TcpStream::connect((back_address.host.as_str(), back_address.port)).await.unwrap();
        let (mut near_read, mut near_write) = near.into_split();
        let (mut far_read, mut far_write) = far.into_split();
        tokio::spawn(async move { tokio::io::copy(&mut far_read, &mut near_write).await });
        let mut chunk = vec![0; 4096];
        while let Ok(count @ 1..) = near_read.read(&mut chunk).await {
            let mut bytes = chunk[..count].to_vec();
            // The frame under test is longer than any message of the handshake.
            if count > 1000 {
                meddle(&mut bytes);
            }
            far_write.write_all(&bytes).await.unwrap();
        }
    });
    let (me, you, key) = (identity(1), identity(2), secret(b'a'));
    let accepting = async {
        let (stream, _) = back.accept().await.unwrap();
        accept(stream.into(), &you, &key, &anyone).await
    };
    let way = PeerWay::plain();
    let (one, two) = tokio::join!(connect(&front_address, &way, &me, &key, 2, &anyone), accepting);
    (one.unwrap(), two.unwrap())
}

#[tokio::test]
async fn nobody_in_between_changes_repeats_or_invents_a_frame() {
    let meddlers: [(Meddle, &str); 4] = [
        (|bytes| bytes[700] ^= 1, "seal is wrong"),
        (|bytes| bytes.extend(bytes.clone()), "seal is wrong"),
        (|bytes| bytes.splice(..4, u32::MAX.to_le_bytes()).for_each(drop), "larger than"),
        (|bytes| bytes.iter_mut().for_each(|byte| *byte = 1), "larger than"),
    ];
    for (meddle, expected) in meddlers {
        let (mut one, mut two) = meddled(meddle).await;
        one.writer.send(&PeerMessage::Raft(vec![7; 1500])).await.unwrap();
        // A repeated frame is itself fine the first time.
        let text = loop {
            match two.reader.read().await {
                Ok(message) => assert_eq!(message, Some(PeerMessage::Raft(vec![7; 1500]))),
                Err(error) => break error.to_string(),
            }
        };
        assert!(text.contains(expected), "{expected:?} is not in {text:?}");
    }
}

struct Node {
    links: Arc<PeerLinks>,
    events: mpsc::Receiver<LinkEvent>,
    accepting: tokio::task::AbortHandle,
}

impl Node {
    fn new(identity: PeerIdentity, listener: TcpListener, peers: &[(NodeId, Address)]) -> Self {
        let (sender, events) = mpsc::channel(64);
        let settings = LinkSettings {
            identity,
            way: PeerWay::plain(),
            secret: secret(b'a'),
            peers: peers.iter().cloned().collect(),
            join: Vec::new(),
            statement: b"it stands".to_vec(),
            check: Arc::new(anyone),
        };
        let links = Arc::new(PeerLinks::start(settings, sender));
        let accepting = {
            let links = Arc::clone(&links);
            tokio::spawn(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    links.accept(stream);
                }
            })
        };
        Node { links, events, accepting: accepting.abort_handle() }
    }

    /// The next event that is no failure to connect.
    async fn event(&mut self) -> LinkEvent {
        loop {
            let next = tokio::time::timeout(Duration::from_secs(10), self.events.recv()).await;
            match next.expect("an event within ten seconds").unwrap() {
                LinkEvent::Failed { error, fatal, .. } => assert_eq!(fatal, None, "{error}"),
                event => return event,
            }
        }
    }

    async fn up(&mut self, id: NodeId) {
        let event = self.event().await;
        assert!(matches!(&event, LinkEvent::Up { peer } if peer.id == id), "{event:?}");
    }

    fn stop(self) {
        self.accepting.abort();
    }
}

#[tokio::test]
async fn links_come_up_carry_messages_and_come_back() {
    let ((first, first_at), (second, second_at)) = (listener().await, listener().await);
    let peers = [(1, first_at), (2, second_at.clone())];
    let mut one = Node::new(identity(1), first, &peers);
    let mut two = Node::new(identity(2), second, &peers);
    one.up(2).await;
    two.up(1).await;
    assert!(one.links.send(2, &beat(1)) && two.links.send(1, &beat(2)));
    let event = two.event().await;
    assert!(matches!(&event, LinkEvent::Message { from: 1, message } if *message == beat(1)), "{event:?}");
    let event = one.event().await;
    assert!(matches!(&event, LinkEvent::Message { from: 2, message } if *message == beat(2)), "{event:?}");

    two.stop();
    let event = one.event().await;
    assert!(matches!(event, LinkEvent::Down { id: 2, .. }), "{event:?}");
    assert!(!one.links.send(2, &beat(3)));

    let again = TcpListener::bind(("127.0.0.1", second_at.port)).await.unwrap();
    let mut life = identity(2);
    life.run_id = "run-2-again".to_owned();
    let mut two = Node::new(life.clone(), again, &peers);
    two.up(1).await;
    let event = one.event().await;
    assert!(matches!(&event, LinkEvent::Up { peer } if *peer == life), "{event:?}");
}

#[tokio::test]
async fn a_second_process_with_a_living_id_and_an_unknown_one_stay_outside() {
    let ((first, first_at), (second, second_at)) = (listener().await, listener().await);
    let peers = [(1, first_at), (2, second_at.clone())];
    let mut one = Node::new(identity(1), first, &peers);
    let mut two = Node::new(identity(2), second, &peers);
    one.up(2).await;
    two.up(1).await;
    let mut clone = identity(1);
    clone.run_id = "run-of-a-clone".to_owned();
    // One of the same fleet may be known to the others and is let in; one of no fleet is not.
    let mut unknown = identity(9);
    unknown.cluster.clear();
    for (stranger, expected) in [(clone, Refusal::Duplicate), (unknown, Refusal::UnknownPeer)] {
        let error = error(connect(&second_at, &PeerWay::plain(), &stranger, &secret(b'a'), 2, &anyone).await);
        assert!(
            matches!(error, HandshakeError::Refused { refusal, proven: true } if refusal == expected),
            "{expected:?}: {error}"
        );
    }
    // And the link of the first is untouched.
    assert!(one.links.send(2, &beat(1)));
    let event = loop {
        match two.events.recv().await.unwrap() {
            // What it tells of the two strangers.
            LinkEvent::Failed { .. } | LinkEvent::Duplicate { .. } => {}
            event => break event,
        }
    };
    assert!(matches!(event, LinkEvent::Message { from: 1, .. }), "{event:?}");
}
