//! The sockets of clients: taken in, told from peers by their first byte, read and written by one
//! task each. What the bytes mean is the loop's business.

use super::clients::FromClient;
use crate::session::{Close, Outbox, SessionId};
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;

/// A client that takes nothing for this long is cut off.
const WRITE_PATIENCE: Duration = Duration::from_secs(10);
/// Connections that have not sent a byte yet.
const SILENT_MAX: usize = 10_000;
/// Bytes read at a time.
const CHUNK_BYTES: usize = 16 * 1024;
/// The first byte of a peer's preface; no client begins with it.
const PEER_BYTE: u8 = 0;

/// Takes connections in for as long as the process lives.
pub(super) async fn accept(
    listener: TcpListener,
    clients: mpsc::Sender<FromClient>,
    peers: mpsc::Sender<TcpStream>,
) {
    let silent = Arc::new(AtomicUsize::new(0));
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
        silent.fetch_add(1, Ordering::Relaxed);
        let (clients, peers, silent) = (clients.clone(), peers.clone(), silent.clone());
        tokio::spawn(async move {
            let mut first = [0u8; 1];
            let seen = stream.peek(&mut first).await;
            silent.fetch_sub(1, Ordering::Relaxed);
            match seen {
                Ok(1) if first[0] == PEER_BYTE => drop(peers.send(stream).await),
                Ok(1) => drop(clients.send(FromClient::Accepted { stream, from }).await),
                _ => {}
            }
        });
    }
}

/// Carries one client until either side ends it.
pub(super) async fn serve(
    id: SessionId,
    mut stream: TcpStream,
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
                if !matches!(timeout(WRITE_PATIENCE, stream.write_all(&out)).await, Ok(Ok(()))) {
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
