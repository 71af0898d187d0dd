//! Who is there: five short messages, after which both sides know the other for a member.
//!
//! ```text
//! dialler                                   acceptor
//!   preface, hello(nonce, who, whom)  ->
//!                                      <-  preface, hello(nonce, who)
//!   proof                             ->       (a stranger is turned away here)
//!                                      <-  verdict, proven
//!   verdict, proven                   ->
//! ```
//!
//! Proofs are HMAC-SHA256 over a label of the side and both hellos whole: fresh nonces keep them from
//! being replayed, the labels from being reflected. The dialler proves first, so a stranger who dials
//! learns nothing he could guess a secret against.

use super::frame::{FrameKey, PeerReader, PeerWriter};
use super::{Check, HANDSHAKE, HandshakeError, Hello, PREFACE, PeerIdentity, Refusal, Secret};
use crate::model::{Address, NodeId};
use crate::net::dial::{DialError, Ways};
use crate::net::stream::Stream;
use crate::net::tls::Connector;
use crate::stdx::cursor::{Malformed, Put, Reader};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use subtle::ConstantTimeEq;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};

pub(super) const PROOF: usize = 32;
const MAX_MESSAGE: usize = 1024;
const MAX_TEXT: usize = 64;
/// A host name of 253, a port, brackets.
const MAX_ADDRESS: usize = 264;
/// How long a refused peer may take to hang up.
const DRAIN: Duration = Duration::from_millis(200);

const HELLO: u8 = 1;
const PROVE: u8 = 2;
const VERDICT: u8 = 3;
const REFUSAL: u8 = 4;

/// The id that a sentinel dials which knows nobody yet.
pub const ANYONE: NodeId = 0;

/// A link whose both ends are proven.
pub struct PeerConnection {
    pub peer: Hello,
    pub reader: PeerReader<ReadHalf<Stream>>,
    pub writer: PeerWriter<WriteHalf<Stream>>,
}

/// How peers are reached.
#[derive(Clone, Debug)]
pub struct PeerWay {
    pub ways: Ways,
    /// Then nothing is said to a peer, or heard of one, outside TLS.
    pub tls: Option<Arc<Connector>>,
}

impl PeerWay {
    pub fn plain() -> Self {
        PeerWay { ways: Ways::plain(), tls: None }
    }
}

/// Dials `address`, where `expected` should answer; [`ANYONE`]: whoever is there.
pub async fn connect(
    address: &Address,
    way: &PeerWay,
    identity: &PeerIdentity,
    secret: &Secret,
    expected: NodeId,
    check: &Check<'_>,
) -> Result<PeerConnection, HandshakeError> {
    within(async {
        // Without a secret nobody but this machine is even dialled.
        let allow = |ip: std::net::IpAddr| secret.is_set() || ip.to_canonical().is_loopback();
        let dialled = way.ways.dial_if(address, way.tls.as_deref(), allow).await;
        let mut stream = dialled.map_err(|error| match error {
            DialError::Io(error) => HandshakeError::Io(error),
            DialError::Name { .. } => HandshakeError::Io(std::io::Error::other(error.to_string())),
            DialError::NotAllowed => HandshakeError::Refusing(Refusal::SecretNeeded),
            DialError::Tls(fault) => HandshakeError::Tls(fault),
        })?;
        let dial = Side { identity, secret, check, dials: Some(expected) };
        let (peer, keys) = dial.dial(&mut stream).await?;
        established(stream, peer, keys)
    })
    .await
}

/// Takes a connection whose first byte was seen, but not taken, to be NUL.
pub async fn accept(
    mut stream: Stream,
    identity: &PeerIdentity,
    secret: &Secret,
    check: &Check<'_>,
) -> Result<PeerConnection, HandshakeError> {
    within(async {
        let here = Side { identity, secret, check, dials: None };
        let near = is_loopback(stream.peer_addr()?);
        let (peer, keys) = here.answer(&mut stream, near).await?;
        established(stream, peer, keys)
    })
    .await
}

async fn within<T>(work: impl Future<Output = Result<T, HandshakeError>>) -> Result<T, HandshakeError> {
    tokio::time::timeout(HANDSHAKE, work).await.unwrap_or(Err(HandshakeError::Timeout))
}

fn is_loopback(socket: SocketAddr) -> bool {
    socket.ip().to_canonical().is_loopback()
}

fn established(stream: Stream, peer: Hello, keys: Keys) -> Result<PeerConnection, HandshakeError> {
    stream.set_nodelay(true)?;
    let (read, write) = tokio::io::split(stream);
    let Keys { sending, receiving } = keys;
    Ok(PeerConnection {
        peer,
        reader: PeerReader::new(read, receiving),
        writer: PeerWriter::new(write, sending),
    })
}

pub(super) struct Keys {
    sending: FrameKey,
    receiving: FrameKey,
}

pub(super) struct Side<'a> {
    pub(super) identity: &'a PeerIdentity,
    pub(super) secret: &'a Secret,
    pub(super) check: &'a Check<'a>,
    /// The id that is dialled; `None` on the side that answers.
    pub(super) dials: Option<NodeId>,
}

impl Side<'_> {
    pub(super) async fn dial<S>(&self, stream: &mut S) -> Result<(Hello, Keys), HandshakeError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let ours = self.hello()?;
        write(stream, Some(PREFACE), HELLO, &ours).await?;
        read_preface(stream).await?;
        let theirs = expect(stream, HELLO).await?;
        let (peer, _, secured) = read_hello(&theirs).map_err(|_| HandshakeError::NotAPeer)?;
        if secured != self.secret.is_set() {
            return Err(refuse(stream, Refusal::OneSidedSecret).await);
        }
        let proofs = Proofs { secret: self.secret, dialler: &ours, acceptor: &theirs };
        write(stream, None, PROVE, &proofs.prove("dialler", &[])).await?;
        let verdict = expect(stream, VERDICT).await?;
        let verdict = match proofs.verdict("acceptor", &verdict) {
            Some(verdict) => verdict,
            None => return Err(refuse(stream, Refusal::WrongSecret).await),
        };
        if let Err(refusal) = verdict {
            return Err(HandshakeError::Refused { refusal, proven: true });
        }
        let judged = self.judge(&peer, self.identity.id, true);
        write(stream, None, VERDICT, &proofs.tell("dialler", judged)).await?;
        judged.map_err(HandshakeError::Refusing)?;
        let (sending, receiving) = proofs.frame_keys();
        Ok((peer, Keys { sending, receiving }))
    }

    pub(super) async fn answer<S>(&self, stream: &mut S, near: bool) -> Result<(Hello, Keys), HandshakeError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        if let Err(error) = read_preface(stream).await {
            if let HandshakeError::Refusing(Refusal::Version) = error {
                stream.write_all(PREFACE).await?;
                return Err(refuse(stream, Refusal::Version).await);
            }
            return Err(error);
        }
        let theirs = expect(stream, HELLO).await?;
        let Ok((peer, whom, secured)) = read_hello(&theirs) else {
            stream.write_all(PREFACE).await?;
            return Err(refuse(stream, Refusal::Malformed).await);
        };
        let refusal = if !near && !self.secret.is_set() {
            Some(Refusal::SecretNeeded)
        } else {
            (secured != self.secret.is_set()).then_some(Refusal::OneSidedSecret)
        };
        if let Some(refusal) = refusal {
            stream.write_all(PREFACE).await?;
            return Err(refuse(stream, refusal).await);
        }
        let ours = self.hello()?;
        write(stream, Some(PREFACE), HELLO, &ours).await?;
        let proofs = Proofs { secret: self.secret, dialler: &theirs, acceptor: &ours };
        let proof = expect(stream, PROVE).await?;
        if !equal(&proof, &proofs.prove("dialler", &[])) {
            return Err(refuse(stream, Refusal::WrongSecret).await);
        }
        let judged = self.judge(&peer, whom, false);
        write(stream, None, VERDICT, &proofs.tell("acceptor", judged)).await?;
        judged.map_err(HandshakeError::Refusing)?;
        let verdict = expect(stream, VERDICT).await?;
        match proofs.verdict("dialler", &verdict) {
            Some(Ok(())) => {}
            Some(Err(refusal)) => return Err(HandshakeError::Refused { refusal, proven: true }),
            None => return Err(HandshakeError::Refusing(Refusal::WrongSecret)),
        }
        let (receiving, sending) = proofs.frame_keys();
        Ok((peer, Keys { sending, receiving }))
    }

    /// The word on a proven peer; `whom` is the id it meant to reach.
    fn judge(&self, peer: &Hello, whom: NodeId, dialled: bool) -> Result<(), Refusal> {
        let ours = self.identity;
        if peer.id == ours.id {
            return Err(Refusal::SameId);
        }
        let dials = self.dials.filter(|_| dialled).unwrap_or(ANYONE);
        if (whom != ours.id && whom != ANYONE) || (dials != peer.id && dials != ANYONE) {
            return Err(Refusal::WrongId);
        }
        if !ours.cluster.is_empty() && !peer.cluster.is_empty() && ours.cluster != peer.cluster {
            return Err(Refusal::OtherCluster);
        }
        (self.check)(peer)
    }

    fn hello(&self) -> std::io::Result<Vec<u8>> {
        let mut nonce = [0u8; 32];
        getrandom::fill(&mut nonce).map_err(|error| std::io::Error::other(error.to_string()))?;
        let mut out = nonce.to_vec();
        out.put_u64(self.identity.id);
        out.put_u64(self.dials.unwrap_or(0));
        out.put_flag(self.secret.is_set());
        for text in [&self.identity.cluster, &self.identity.uuid, &self.identity.run_id] {
            out.put_bytes(text.as_bytes());
        }
        let address = self.identity.address.as_ref().map(Address::to_string).unwrap_or_default();
        out.put_bytes(address.as_bytes());
        Ok(out)
    }
}

/// Who, whom, and whether with a secret.
fn read_hello(bytes: &[u8]) -> Result<(Hello, NodeId, bool), Malformed> {
    let mut reader = Reader::new(bytes);
    reader.array::<32>()?;
    let (id, whom, secured) = (reader.u64()?, reader.u64()?, reader.flag()?);
    let mut text = || {
        let text = reader.text(MAX_TEXT)?;
        // These reach logs and pages.
        if text.bytes().all(|byte| byte.is_ascii_graphic()) {
            Ok(text.to_owned())
        } else {
            Err(Malformed::Meaningless)
        }
    };
    let (cluster, uuid, run_id) = (text()?, text()?, text()?);
    let address = match reader.text(MAX_ADDRESS)? {
        "" => None,
        text => Some(text.parse().map_err(|_| Malformed::Meaningless)?),
    };
    let hello = Hello { id, cluster, uuid, run_id, address };
    reader.end()?;
    Ok((hello, whom, secured))
}

struct Proofs<'a> {
    secret: &'a Secret,
    dialler: &'a [u8],
    acceptor: &'a [u8],
}

impl Proofs<'_> {
    fn prove(&self, label: &str, word: &[u8]) -> [u8; PROOF] {
        let mut text = Vec::with_capacity(512);
        text.put(PREFACE);
        for part in [label.as_bytes(), self.dialler, self.acceptor, word] {
            text.put_bytes(part);
        }
        hmac(&self.secret.0, &[&text])
    }

    fn tell(&self, label: &str, verdict: Result<(), Refusal>) -> Vec<u8> {
        let code = verdict.err().map_or(0, |refusal| refusal as u8);
        let mut out = vec![code];
        out.put(&self.prove(&format!("verdict of the {label}"), &[code]));
        out
    }

    /// `None`: it is not proven.
    fn verdict(&self, label: &str, bytes: &[u8]) -> Option<Result<(), Refusal>> {
        let (code, proof) = bytes.split_first()?;
        if !equal(proof, &self.prove(&format!("verdict of the {label}"), &[*code])) {
            return None;
        }
        // A number of a later version is still a refusal.
        Some(if *code == 0 { Ok(()) } else { Err(Refusal::from_code(*code).unwrap_or(Refusal::Version)) })
    }

    /// Of the dialler's frames, and of the acceptor's.
    fn frame_keys(&self) -> (FrameKey, FrameKey) {
        let key = |label| FrameKey::new(self.prove(label, &[]));
        (key("frames of the dialler"), key("frames of the acceptor"))
    }
}

pub(super) fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; PROOF] {
    // HMAC takes keys of any length; the error type has no case.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return [0; PROOF] };
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

pub(super) fn equal(one: &[u8], two: &[u8]) -> bool {
    one.ct_eq(two).into()
}

async fn read_preface<S: AsyncRead + Unpin>(stream: &mut S) -> Result<(), HandshakeError> {
    let mut preface = [0u8; PREFACE.len()];
    stream.read_exact(&mut preface).await?;
    if preface == *PREFACE {
        return Ok(());
    }
    let same_family = preface[..14] == PREFACE[..14];
    Err(if same_family { HandshakeError::Refusing(Refusal::Version) } else { HandshakeError::NotAPeer })
}

async fn write<S: AsyncWrite + Unpin>(
    stream: &mut S,
    preface: Option<&[u8; 16]>,
    kind: u8,
    body: &[u8],
) -> std::io::Result<()> {
    let mut out = preface.map_or_else(Vec::new, |preface| preface.to_vec());
    // Bodies are made here and stay far below the limit.
    out.put_u16(u16::try_from(body.len() + 1).unwrap_or(u16::MAX));
    out.put_u8(kind);
    out.put(body);
    stream.write_all(&out).await?;
    stream.flush().await
}

/// Reads a message of this kind, or the refusal in its place.
async fn expect<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    kind: u8,
) -> Result<Vec<u8>, HandshakeError> {
    let length = usize::from(stream.read_u16_le().await?);
    if length == 0 || length > MAX_MESSAGE {
        return Err(refuse(stream, Refusal::Malformed).await);
    }
    let mut message = vec![0; length];
    stream.read_exact(&mut message).await?;
    let body = message.split_off(1);
    match (message[0], body.as_slice()) {
        (found, _) if found == kind => Ok(body),
        (REFUSAL, [code]) => {
            let refusal = Refusal::from_code(*code).unwrap_or(Refusal::Version);
            Err(HandshakeError::Refused { refusal, proven: false })
        }
        _ => Err(refuse(stream, Refusal::Malformed).await),
    }
}

/// Tells the other side, unproven, why there will be no link.
async fn refuse<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, refusal: Refusal) -> HandshakeError {
    // It may be gone already; our own log has the refusal anyway.
    let _ = write(stream, None, REFUSAL, &[refusal as u8]).await;
    let _ = stream.shutdown().await;
    // Closing on unread bytes would reset the connection and may take the refusal with it.
    let mut rest = [0; MAX_MESSAGE];
    let drain = async { while stream.read(&mut rest).await.is_ok_and(|count| count > 0) {} };
    let _ = tokio::time::timeout(DRAIN, drain).await;
    HandshakeError::Refusing(refusal)
}
