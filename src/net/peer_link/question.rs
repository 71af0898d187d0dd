//! One question and one answer between sentinels that may have no ids yet: after the same handshake as any
//! link's, each side sends one frame, and that is all.
//!
//! Who asks bears a number above all ids, so it is never taken for a member. What is asked and answered
//! are bytes to this file.

use super::frame::FrameError;
use super::handshake::{self, PeerConnection, PeerWay};
use super::{Check, HANDSHAKE, HandshakeError, Hello, PeerIdentity, Secret};
use crate::model::{Address, NodeId};
use std::time::Duration;
use tokio::time::timeout;

/// Ids are below; see the ledger of members.
const NO_ID_FROM: NodeId = 1 << 32;
/// The asker hangs up first, or is no longer waited for.
const LINGER: Duration = Duration::from_secs(1);

/// A number for one who has no id, from dice.
pub fn id_of_asker(dice: u64) -> NodeId {
    dice | 1 << 63
}

/// Whether this peer wants an answer and no link.
pub fn asks(peer: &Hello) -> bool {
    peer.id >= NO_ID_FROM
}

#[derive(Debug, thiserror::Error)]
pub enum QuestionError {
    #[error(transparent)]
    Handshake(#[from] HandshakeError),
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error("no answer within two seconds")]
    Late,
}

impl From<std::io::Error> for QuestionError {
    fn from(error: std::io::Error) -> Self {
        QuestionError::Handshake(error.into())
    }
}

/// Says `ours` to whoever answers at `address`, and brings what is said there.
pub async fn ask(
    address: &Address,
    way: &PeerWay,
    identity: &PeerIdentity,
    secret: &Secret,
    ours: &[u8],
) -> Result<Vec<u8>, QuestionError> {
    let anyone: &Check<'_> = &|_| Ok(());
    let connection = handshake::connect(address, way, identity, secret, handshake::ANYONE, anyone).await?;
    let PeerConnection { mut reader, mut writer, .. } = connection;
    let talk = async {
        writer.put(ours);
        writer.flush().await?;
        Ok(reader.read_body().await?)
    };
    timeout(HANDSHAKE, talk).await.unwrap_or(Err(QuestionError::Late))
}

/// The other side of it, on a connection whose peer [`asks`]; brings what was said.
pub async fn answer(connection: PeerConnection, ours: &[u8]) -> Result<Vec<u8>, QuestionError> {
    let PeerConnection { mut reader, mut writer, .. } = connection;
    let talk = async {
        let theirs = reader.read_body().await?;
        writer.put(ours);
        writer.flush().await?;
        Ok(theirs)
    };
    let theirs = timeout(HANDSHAKE, talk).await.unwrap_or(Err(QuestionError::Late))?;
    // Closing first could reset the connection under the answer.
    let _ = timeout(LINGER, reader.read_body()).await;
    Ok(theirs)
}
