//! Connections that come in: told apart, clients from peers, by their first byte. What clients say
//! further is read by the loop itself (`net::served`).

use super::clients::CLIENTS_MAX;
use crate::net::listener::handshakes_max;
use crate::net::stream::Stream;
use crate::net::tls::{Acceptor, TlsError};
use slog::{Logger, debug};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::timeout;

const REFUSAL_PATIENCE: Duration = Duration::from_secs(1);
/// A connection that has not said a word by then, TLS included, is closed.
const FIRST_PATIENCE: Duration = Duration::from_secs(60);
/// Connections that have not sent a byte yet.
const SILENT_MAX: usize = 10_000;
/// The first byte of a peer's preface; no client begins with it.
const PEER_BYTE: u8 = 0;

/// A client that has begun to speak.
pub(super) struct Newcomer {
    pub(super) stream: Stream,
    pub(super) from: SocketAddr,
}

/// Takes connections in for as long as the process lives.
pub(super) async fn accept(
    listener: TcpListener,
    tls: Option<Arc<Acceptor>>,
    silent: Arc<AtomicUsize>,
    clients: mpsc::Sender<Newcomer>,
    peers: mpsc::Sender<Stream>,
    logger: Logger,
) {
    // Whoever begins a handshake has shown nothing yet.
    let handshakes = Arc::new(Semaphore::new(handshakes_max(CLIENTS_MAX)));
    loop {
        let (stream, from) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(_) => {
                // Out of file descriptors, or the connection is gone already: the next try may do.
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        if silent.load(Ordering::Relaxed) >= SILENT_MAX {
            continue;
        }
        let place = tls.is_some().then(|| handshakes.clone().try_acquire_owned());
        if matches!(place, Some(Err(_))) {
            continue;
        }
        silent.fetch_add(1, Ordering::Relaxed);
        let (clients, peers, silent) = (clients.clone(), peers.clone(), silent.clone());
        let (tls, logger) = (tls.clone(), logger.clone());
        tokio::spawn(async move {
            let greeted = timeout(FIRST_PATIENCE, greet(stream, tls, place.and_then(Result::ok))).await;
            silent.fetch_sub(1, Ordering::Relaxed);
            match greeted {
                Ok(Ok((stream, Some(PEER_BYTE)))) => drop(peers.send(stream).await),
                Ok(Ok((stream, Some(_)))) => drop(clients.send(Newcomer { stream, from }).await),
                // It said nothing.
                Err(_) | Ok(Ok((_, None)) | Err(TlsError::Io(_))) => {}
                Ok(Err(TlsError::Fault(fault))) => {
                    debug!(logger, "no TLS session with {}: {}", from, fault);
                }
            }
        });
    }
}

/// TLS where this port wants it, and the first byte.
async fn greet(
    stream: tokio::net::TcpStream,
    tls: Option<Arc<Acceptor>>,
    place: Option<OwnedSemaphorePermit>,
) -> Result<(Stream, Option<u8>), TlsError> {
    let mut stream = match tls {
        None => Stream::from(stream),
        Some(acceptor) => acceptor.accept(stream).await?,
    };
    drop(place);
    let first = stream.first_byte().await.map_err(TlsError::from)?;
    Ok((stream, first))
}

/// Tells a client why it is not taken, and closes.
pub(super) fn refuse(mut stream: Stream, refusal: String) {
    tokio::spawn(async move {
        let say = async {
            stream.write_all(refusal.as_bytes()).await?;
            stream.shutdown().await
        };
        let _ = timeout(REFUSAL_PATIENCE, say).await;
    });
}
