//! The sockets of clients: taken in, told from peers by their first byte, read and written by one
//! task each. What the bytes mean is the loop's business.

use super::clients::{CLIENTS_MAX, FromClient};
use crate::net::listener::handshakes_max;
use crate::net::stream::Stream;
use crate::net::tls::{Acceptor, TlsError};
use crate::session::{Close, Outbox, SessionId};
use slog::{Logger, debug};
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::timeout;

const REFUSAL_PATIENCE: Duration = Duration::from_secs(1);
/// A client that takes nothing for this long is cut off.
const WRITE_PATIENCE: Duration = Duration::from_secs(10);
/// A connection that has not said a word by then, TLS included, is closed.
const FIRST_PATIENCE: Duration = Duration::from_secs(60);
/// Connections that have not sent a byte yet.
const SILENT_MAX: usize = 10_000;
/// Bytes read at a time.
const CHUNK_BYTES: usize = 16 * 1024;
/// The first byte of a peer's preface; no client begins with it.
const PEER_BYTE: u8 = 0;

/// Takes connections in for as long as the process lives.
pub(super) async fn accept(
    listener: TcpListener,
    tls: Option<Arc<Acceptor>>,
    silent: Arc<AtomicUsize>,
    clients: mpsc::Sender<FromClient>,
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
                Ok(Ok((stream, Some(_)))) => drop(clients.send(FromClient::Accepted { stream, from }).await),
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

/// Carries one client until either side ends it.
pub(super) async fn serve(
    id: SessionId,
    mut stream: Stream,
    outbox: Arc<Outbox>,
    to_loop: mpsc::Sender<FromClient>,
) {
    // Only costs latency when refused.
    let _ = stream.set_nodelay(true);
    let mut out = Vec::new();
    let mut input = Vec::new();
    loop {
        tokio::select! {
            biased;
            () = poll_fn(|context| outbox.poll_pending(context)) => {
                out.clear();
                let drained = outbox.drain(&mut out);
                if drained.close == Some(Close::Now) {
                    break;
                }
                let write = async {
                    stream.write_all(&out).await?;
                    stream.flush().await
                };
                if !matches!(timeout(WRITE_PATIENCE, write).await, Ok(Ok(()))) {
                    break;
                }
                if drained.close.is_some() {
                    // Says that all was sent, so the client reads it before it sees the end.
                    let _ = stream.shutdown().await;
                    break;
                }
            }
            read = async { input.reserve(CHUNK_BYTES); stream.read_buf(&mut input).await } => {
                if !matches!(read, Ok(1..)) {
                    break;
                }
                let bytes = std::mem::take(&mut input);
                // A loop that is busy is waited for: that is what holds a fast client back.
                if to_loop.send(FromClient::Bytes { id, bytes }).await.is_err() {
                    break;
                }
            }
        }
    }
    let _ = to_loop.send(FromClient::Closed { id }).await;
}
