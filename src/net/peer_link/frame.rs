//! Frames of a proven link: length, body, seal. The seal is an HMAC over a count and the body under a
//! key of this link and direction, so no frame can be added, changed, repeated, left out or moved.
//! An empty body is a sign of life.

use super::handshake::{equal, hmac};
use crate::sentinel::PeerMessage;
use crate::sentinel::peer_codec::{self, MAX_FRAME};
use crate::stdx::cursor::{Malformed, Put};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};

const SEAL: usize = 16;

pub(super) struct FrameKey {
    key: [u8; 32],
    count: u64,
}

impl FrameKey {
    pub(super) fn new(key: [u8; 32]) -> Self {
        FrameKey { key, count: 0 }
    }

    fn seal(&mut self, body: &[u8]) -> [u8; SEAL] {
        let whole = hmac(&self.key, &[&self.count.to_le_bytes(), body]);
        self.count += 1;
        let mut seal = [0; SEAL];
        seal.copy_from_slice(&whole[..SEAL]);
        seal
    }
}

/// Why a link that was up is not to be read from any more.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    #[error("the connection ended: {0}")]
    Io(#[from] std::io::Error),
    #[error("a frame of {bytes} bytes is larger than {MAX_FRAME}")]
    TooLarge { bytes: usize },
    #[error("a frame's seal is wrong: somebody between the two changed it")]
    Seal,
    #[error("a frame holds no message: {0}")]
    Malformed(#[from] Malformed),
}

pub struct PeerReader<R> {
    /// A frame is a few short fields: read together they are one system call.
    stream: BufReader<R>,
    key: FrameKey,
}

impl<R: AsyncRead + Unpin> PeerReader<R> {
    pub(super) fn new(stream: R, key: FrameKey) -> Self {
        PeerReader { stream: BufReader::new(stream), key }
    }

    /// The next message; `None` is a sign of life. Not to be cancelled and then called again.
    pub async fn read(&mut self) -> Result<Option<PeerMessage>, FrameError> {
        let body = self.read_body().await?;
        if body.is_empty() {
            return Ok(None);
        }
        Ok(Some(peer_codec::decode(&body)?))
    }

    /// The next frame, whatever it holds.
    pub async fn read_body(&mut self) -> Result<Vec<u8>, FrameError> {
        let bytes = self.stream.read_u32_le().await? as usize;
        if bytes > MAX_FRAME {
            return Err(FrameError::TooLarge { bytes });
        }
        // The buffer grows with what arrives, not with what is announced.
        let mut body = Vec::new();
        let mut limited = (&mut self.stream).take(bytes as u64);
        if limited.read_to_end(&mut body).await? < bytes {
            return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into());
        }
        let mut seal = [0; SEAL];
        self.stream.read_exact(&mut seal).await?;
        if !equal(&seal, &self.key.seal(&body)) {
            return Err(FrameError::Seal);
        }
        Ok(body)
    }
}

pub struct PeerWriter<W> {
    stream: W,
    key: FrameKey,
    buffer: Vec<u8>,
}

impl<W: AsyncWrite + Unpin> PeerWriter<W> {
    pub(super) fn new(stream: W, key: FrameKey) -> Self {
        PeerWriter { stream, key, buffer: Vec::new() }
    }

    /// Puts a frame behind those not yet flushed. One larger than the limit is left out: the other
    /// side would end the link over it.
    pub fn put(&mut self, body: &[u8]) {
        if body.len() > MAX_FRAME {
            return;
        }
        self.buffer.put_bytes(body);
        let seal = self.key.seal(body);
        self.buffer.put(&seal);
    }

    /// Bytes waiting for `flush`.
    pub fn waiting(&self) -> usize {
        self.buffer.len()
    }

    pub async fn flush(&mut self) -> std::io::Result<()> {
        self.stream.write_all(&self.buffer).await?;
        self.stream.flush().await?;
        self.buffer.clear();
        self.buffer.shrink_to(64 * 1024);
        Ok(())
    }

    pub async fn send(&mut self, message: &PeerMessage) -> std::io::Result<()> {
        self.put(&peer_codec::encode(message));
        self.flush().await
    }
}
