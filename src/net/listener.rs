//! Listening sockets, and the threads among which accepted connections are dealt out.

use super::connection::{self, Origin};
use super::service::Service;
use super::tls::Acceptor;
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::{Notify, Semaphore};

/// After an accept failed for want of descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {why}")]
pub struct BindError {
    pub address: String,
    pub why: String,
}

/// Listens on every address of `hosts`, all on one port; port 0 takes any free one. A host with a `-`
/// before it may be missing on this machine. Needs no runtime.
pub fn bind(hosts: &[String], port: u16, backlog: u32) -> Result<Vec<std::net::TcpListener>, BindError> {
    let mut port = port;
    let mut listeners = Vec::new();
    for host in hosts {
        let (host, optional) = host.strip_prefix('-').map_or((host.as_str(), false), |host| (host, true));
        let fail = |why: String| BindError { address: format!("{host} port {port}"), why };
        let ip = match host {
            "*" => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            "::*" => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
            "localhost" => IpAddr::V4(Ipv4Addr::LOCALHOST),
            host => host.parse().map_err(|_| {
                fail("not an IP address of this machine; write it as 127.0.0.1, ::1 or *".to_owned())
            })?,
        };
        match listen(SocketAddr::new(ip, port), backlog) {
            Ok(listener) => {
                if let Ok(address) = listener.local_addr() {
                    port = address.port();
                }
                listeners.push(listener);
            }
            Err(error) if optional && error.kind() != io::ErrorKind::AddrInUse => {}
            Err(error) => return Err(fail(remedy(&error))),
        }
    }
    if listeners.is_empty() {
        let why = "none of these addresses exists on this machine".to_owned();
        return Err(BindError { address: hosts.join(" "), why });
    }
    Ok(listeners)
}

fn remedy(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            "another process has this port; stop it, or choose another with --port".to_owned()
        }
        io::ErrorKind::PermissionDenied => {
            "not permitted; ports below 1024 need privileges, choose another with --port".to_owned()
        }
        io::ErrorKind::AddrNotAvailable => {
            "this machine does not have that address; choose another with --bind".to_owned()
        }
        _ => error.to_string(),
    }
}

fn listen(address: SocketAddr, backlog: u32) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())?;
    socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// TLS handshakes that may be under way at once, for a port that takes so many clients; further
/// connections are closed unheard. Like clients that have not logged in: see `session`.
pub fn handshakes_max(clients_max: usize) -> usize {
    (clients_max / 4).clamp(1, 1000)
}

/// A connection that nobody serves yet.
pub enum Accepted {
    /// From whom, and the TLS that it is to begin with.
    Tcp(std::net::TcpStream, SocketAddr, Option<Arc<Acceptor>>),
    /// Over the socket at that path.
    Unix(std::os::unix::net::UnixStream, Arc<str>),
}

/// Threads that do nothing but serve connections, each with a runtime of its own.
pub struct IoThreads {
    handles: Vec<tokio::runtime::Handle>,
    next: AtomicUsize,
    stop: Arc<Notify>,
    handshakes: Arc<Semaphore>,
}

impl IoThreads {
    pub fn start(count: usize, name: &str, handshakes_max: usize) -> io::Result<Self> {
        let stop = Arc::new(Notify::new());
        let mut handles = Vec::new();
        for number in 0..count.max(1) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            handles.push(runtime.handle().clone());
            let stop = stop.clone();
            std::thread::Builder::new()
                .name(format!("{name}-{number}"))
                .spawn(move || runtime.block_on(stop.notified()))?;
        }
        let handshakes = Arc::new(Semaphore::new(handshakes_max));
        Ok(IoThreads { handles, next: AtomicUsize::new(0), stop, handshakes })
    }

    /// What has work done by each of the threads, for as long as they run.
    pub fn everywhere(&self) -> impl Fn(fn()) + Send + use<> {
        let handles = self.handles.clone();
        move |work| handles.iter().for_each(|thread| drop(thread.spawn(async move { work() })))
    }

    /// Gives a connection to the next thread.
    pub fn serve(&self, accepted: Accepted, service: Arc<impl Service>) {
        let index = self.next.fetch_add(1, Ordering::Relaxed) % self.handles.len();
        let handshakes = self.handshakes.clone();
        self.handles[index].spawn(async move {
            let (stream, peer, tls) = match accepted {
                Accepted::Tcp(stream, peer, tls) => (stream, peer, tls),
                Accepted::Unix(stream, path) => {
                    let Ok(stream) = UnixStream::from_std(stream) else { return };
                    connection::serve(stream.into(), Origin::Unix(path), service).await;
                    return;
                }
            };
            let Ok(stream) = TcpStream::from_std(stream) else { return };
            let stream = match tls {
                None => stream.into(),
                Some(acceptor) => {
                    let Ok(place) = handshakes.try_acquire() else { return };
                    let accepted = acceptor.accept(stream).await;
                    drop(place);
                    match accepted {
                        Ok(stream) => stream,
                        Err(error) => {
                            service.suspect(peer, &format!("no TLS session: {error}"));
                            return;
                        }
                    }
                }
            };
            connection::serve(stream, Origin::Tcp(peer), service).await;
        });
    }
}

impl Drop for IoThreads {
    fn drop(&mut self) {
        self.stop.notify_waiters();
    }
}

/// Accepts for ever.
pub async fn accept(
    listener: std::net::TcpListener,
    keepalive: Option<Duration>,
    threads: Arc<IoThreads>,
    tls: Option<Arc<Acceptor>>,
    service: Arc<impl Service>,
) -> io::Error {
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return error,
    };
    loop {
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => continue,
            Err(error) => {
                service.cannot_accept(&error);
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let _ = stream.set_nodelay(true);
        if let Some(idle) = keepalive {
            let keepalive = TcpKeepalive::new().with_time(idle).with_interval(idle / 3).with_retries(3);
            let _ = SockRef::from(&stream).set_tcp_keepalive(&keepalive);
        }
        if let Ok(stream) = stream.into_std() {
            threads.serve(Accepted::Tcp(stream, peer, tls.clone()), service.clone());
        }
    }
}
