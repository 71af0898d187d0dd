//! The sentinel's HTTP side: accepts connections, bounds them, and hands questions to `observe`.
//! Who may look and who may act is told by its [`Door`]. Decides nothing.
//!
//! The publisher sends a snapshot at least every second; one that is older than
//! `observe::STALE_AFTER_MS` is shown as not fresh, so a sentinel whose loop stands still does not
//! keep on vouching for what it last saw.

pub mod access;
mod actions;
mod routes;
mod snapshots;
mod stream;

use crate::model::status::Status;
use crate::net::stream::Stream;
use crate::net::tls::Acceptor;
pub use access::Door;
pub use actions::{ASKS_MAX, Ask};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use snapshots::Snapshots;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Further connections wait in the listener's backlog.
const CONNECTIONS_MAX: usize = 256;
/// From the start of a connection, or the end of a request, to the end of the next request's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
const HEAD_BYTES_MAX: usize = 16 * 1024;
const HEADERS_MAX: usize = 64;
/// Nobody keeps a place for ever; pages reconnect by themselves.
const CONNECTION_LIFE: Duration = Duration::from_secs(15 * 60);
/// How long answers under way may take to end at shutdown.
const DRAIN: Duration = Duration::from_secs(2);

/// Serves until `shutdown` resolves or `status` has no sender any more, then lets the answers under
/// way end.
pub async fn serve(
    listener: TcpListener,
    status: watch::Receiver<Arc<Status>>,
    door: Arc<Door>,
    asks: mpsc::Sender<Ask>,
    tls: Option<Arc<Acceptor>>,
    shutdown: impl Future<Output = ()>,
) {
    let stop = CancellationToken::new();
    let snapshots = Arc::new(Snapshots::new(status.borrow().clone()));
    let mut follower = tokio::spawn(snapshots::follow(snapshots.clone(), status));
    let router = routes::router(snapshots, door, asks, stop.clone());
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    tokio::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            _ = &mut follower => break,
            Some(_) = connections.join_next() => continue,
            accepted = accept(&listener, places.clone()) => accepted,
        };
        let Some((stream, from, place)) = accepted else { break };
        let service = TowerToHyperService::new(router.clone().layer(axum::Extension(access::Peer(from))));
        let (stop, tls) = (stop.clone(), tls.clone());
        connections.spawn(async move {
            let stream = match tls {
                None => Stream::from(stream),
                Some(acceptor) => match acceptor.accept(stream).await {
                    Ok(stream) => stream,
                    Err(_) => return,
                },
            };
            converse(stream, service, stop).await;
            drop(place);
        });
    }
    stop.cancel();
    follower.abort();
    let ended = async { while connections.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(DRAIN, ended).await;
}

/// A place first, then a connection, so that the backlog is the queue.
async fn accept(
    listener: &TcpListener,
    places: Arc<Semaphore>,
) -> Option<(TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit)> {
    let place = places.acquire_owned().await.ok()?;
    loop {
        match listener.accept().await {
            Ok((stream, from)) => return Some((stream, from, place)),
            // One connection that failed early, or no file descriptors for now: neither ends the service.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

async fn converse(stream: Stream, service: TowerToHyperService<axum::Router>, stop: CancellationToken) {
    let _ = stream.set_nodelay(true);
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    tokio::select! {
        // What a client does wrong is its own affair; hyper has answered what can be answered.
        _ = connection.as_mut() => {}
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
        () = tokio::time::sleep(CONNECTION_LIFE) => {}
    }
}

#[cfg(test)]
mod tests;
