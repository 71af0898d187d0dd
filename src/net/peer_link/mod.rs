//! Links between sentinels, on the port that clients use.
//!
//! A peer begins with [`PREFACE`], whose first byte, NUL, can never begin a RESP request. Then both
//! sides prove that they know the cluster secret and say who they are ([`handshake`]), and only then
//! are frames read ([`frame`]): bounded, and each sealed, so that nobody between the two can add,
//! change, repeat or reorder one. Without TLS
//! (`tls-peers`) what is sent is not hidden from who listens on the network.
//!
//! [`links`] keeps one link to every peer: of each two, the one with the lower id dials, and the other
//! does when that took too long.
//! Promises: no peer is believed before its proof; a refusal that may end a process is itself proven;
//! whatever a stranger sends costs at most [`HANDSHAKE`] and a few kilobytes; sending never waits.

pub mod frame;
pub mod handshake;
pub mod links;
mod question;
mod queue;

use crate::model::{Address, NodeId, TlsFault};
use std::time::Duration;

pub use frame::{PeerReader, PeerWriter};
pub use handshake::{PeerConnection, PeerWay, accept, connect};
pub use links::{LinkEvent, LinkSettings, PeerLinks};
pub use question::{answer, ask, asks, id_of_asker};

/// First bytes of either side; the digit is the version of all that follows.
pub const PREFACE: &[u8; 16] = b"\0VEDETTE-PEER/1\n";
/// Within this the whole handshake is done, or nothing.
pub const HANDSHAKE: Duration = Duration::from_secs(2);

/// The cluster secret. Never printed: it has neither `Debug` nor `Display`.
#[derive(Clone)]
pub struct Secret(Vec<u8>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the cluster secret has {bytes} bytes; use at least 16, such as `head -c 32 /dev/urandom | base64`")]
pub struct SecretTooShort {
    bytes: usize,
}

impl Secret {
    /// No secret: enough for a fleet on one machine, refused for any other.
    pub fn none() -> Self {
        Secret(Vec::new())
    }

    /// As read from a file: white space around it does not count.
    pub fn new(text: &[u8]) -> Result<Self, SecretTooShort> {
        let trimmed = text.trim_ascii();
        if trimmed.len() < 16 {
            return Err(SecretTooShort { bytes: trimmed.len() });
        }
        Ok(Secret(trimmed.to_vec()))
    }

    pub fn is_set(&self) -> bool {
        !self.0.is_empty()
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.fill(0);
        // Keeps the line above from being removed as dead.
        std::hint::black_box(&self.0);
    }
}

/// Who a sentinel says it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerIdentity {
    /// Empty until known.
    pub cluster: String,
    pub id: NodeId,
    /// Of the data directory.
    pub uuid: String,
    /// Of this life of the process.
    pub run_id: String,
    /// Where it is to be reached, if it was told; else where the fleet says.
    pub address: Option<Address>,
}

/// Who the other side proved to be: what the daemon's check sees.
pub type Hello = PeerIdentity;

/// The daemon's word on a proven peer.
pub type Check<'a> = dyn Fn(&Hello) -> Result<(), Refusal> + Send + Sync + 'a;

macro_rules! refusals {
    ($($name:ident = $code:literal $text:literal;)*) => {
        /// Why a peer is not let in. Travels as its number; each side has the sentence for its log.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Refusal { $(#[doc = $text] $name = $code,)* }

        impl Refusal {
            pub const ALL: &[Refusal] = &[$(Refusal::$name,)*];

            pub fn sentence(self) -> &'static str {
                match self { $(Refusal::$name => $text,)* }
            }
        }
    };
}

refusals! {
    Version = 1 "the two sentinels speak different versions of the peer protocol; upgrade the older one";
    WrongSecret = 2 "the cluster secrets differ; give every sentinel the same cluster-secret-file";
    OneSidedSecret = 3 "one sentinel has a cluster secret and the other has none; give both the same cluster-secret-file";
    SecretNeeded = 4 "a peer that is not on loopback needs a cluster secret; set cluster-secret-file on every sentinel";
    OtherCluster = 5 "the sentinel belongs to another cluster; correct `peers`, or give it an empty directory if it is to move";
    WrongId = 6 "another node id than expected answers at this address; correct `id` or `peers`";
    SameId = 7 "both sentinels are configured with the same id; every sentinel needs its own";
    UnknownPeer = 8 "the fleet does not know this node id; add it with: vedette peer add ID HOST:PORT --sentinel ANY-MEMBER";
    LostLog = 9 "the node id is known to the fleet under another data directory: its log was lost or replaced, so it must not vote under this id again";
    Duplicate = 10 "another living process with the same node id is connected; stop one of the two";
    Malformed = 11 "what was sent is no peer handshake";
    Removed = 12 "the sentinel was removed from the fleet, and its id is never used again";
    NotFounded = 13 "the sentinel there waits until its fleet is founded";
}

impl Refusal {
    fn from_code(code: u8) -> Option<Self> {
        Self::ALL.iter().copied().find(|refusal| *refusal as u8 == code)
    }

    /// Whether the side that is refused must take part no more. Only what the whole fleet agrees on is: a
    /// sentinel of another cluster refuses everybody, and must not bring a healthy fleet down by doing so.
    pub fn is_fatal(self) -> bool {
        matches!(self, Refusal::LostLog | Refusal::Removed)
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.sentence())
    }
}

/// Why there is no link.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    #[error("cannot reach it: {0}")]
    Io(#[from] std::io::Error),
    #[error("no TLS session with it: {0}")]
    Tls(TlsFault),
    /// One that came without TLS where it is wanted.
    #[error(
        "it came in plain text and this sentinel wants TLS (tls-peers); set tls-peers on every sentinel and name TLS ports in `peers`"
    )]
    PlainText,
    #[error("it did not finish the handshake within two seconds")]
    Timeout,
    #[error("what answers there is no sentinel of this kind")]
    NotAPeer,
    /// The peer's word. Only a proven one came from a member and may end a process.
    #[error("refused by the peer: {refusal}")]
    Refused { refusal: Refusal, proven: bool },
    /// Ours, told to the peer.
    #[error("refused: {0}")]
    Refusing(Refusal),
}

impl HandshakeError {
    /// The refusal after which this process takes part no more, if that is what it is.
    pub fn fatal(&self) -> Option<Refusal> {
        match self {
            HandshakeError::Refused { refusal, proven: true } if refusal.is_fatal() => Some(*refusal),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
