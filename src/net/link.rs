//! Outbound links to data servers: one task per instance, and a handle to each.
//!
//! A link dials only when it is told to, logs in, names itself, and then carries requests whose
//! replies it matches in order. Promises: nothing the caller does here waits; every attempt ends
//! within its deadline; a reply larger than [`REPLY_BYTES_MAX`] ends the link; after `Down` no reply
//! to an earlier request arrives. Has never heard of masters, failovers or schedules.

use super::dial::{DialError, Ways};
use super::stream::Stream;
use super::tls::{Connector, fault_of};
use crate::model::Address;
use crate::resp::{Reply, encode, reply};
use crate::sentinel::request::RequestId;
use crate::sentinel::{Auth, LinkError};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::time::timeout;

/// No healthy server answers more to what we ask.
pub const REPLY_BYTES_MAX: usize = 1 << 20;
/// Requests that may wait for their replies; further ones are dropped, as on a link that is down.
const PENDING_MAX: usize = 256;

/// What a link tells its owner.
#[derive(Debug)]
pub enum LinkEvent {
    Up { instance: Address },
    Down { instance: Address, why: LinkError },
    Replied { instance: Address, request: RequestId, reply: Reply },
}

enum Order {
    Dial { timeout: Duration },
    Send { request: RequestId, argv: Vec<Vec<u8>> },
    Hangup,
}

/// The link to one instance. Dropping it closes it.
pub struct Link {
    orders: mpsc::UnboundedSender<Order>,
    auth: Arc<Mutex<Option<Auth>>>,
    task: tokio::task::AbortHandle,
}

impl Link {
    /// Starts the task; it does not dial yet. `name` is the eight hex digits that CLIENT LIST shows.
    pub fn start(
        instance: &Address,
        auth: Option<Auth>,
        route: Route,
        name: &str,
        events: mpsc::UnboundedSender<LinkEvent>,
    ) -> Self {
        let (orders, received) = mpsc::unbounded_channel();
        let auth = Arc::new(Mutex::new(auth));
        let task = LinkTask {
            instance: instance.clone(),
            auth: auth.clone(),
            client_name: format!("sentinel-{name}-cmd"),
            route,
            events,
        };
        Link { orders, auth, task: tokio::spawn(task.run(received)).abort_handle() }
    }

    /// Dials if the link is down; on one that is up or dialling it does nothing.
    pub fn dial(&self, timeout: Duration) {
        // The task ends only with its handle, so these sends cannot fail while we exist.
        let _ = self.orders.send(Order::Dial { timeout });
    }

    /// At the next login.
    pub fn log_in_with(&self, auth: Option<Auth>) {
        *self.auth.lock() = auth;
    }

    pub fn send(&self, request: RequestId, argv: Vec<Vec<u8>>) {
        let _ = self.orders.send(Order::Send { request, argv });
    }

    /// Closes the connection; it is reported down as reset by us.
    pub fn hangup(&self) {
        let _ = self.orders.send(Order::Hangup);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// How the instance is reached.
#[derive(Clone, Debug)]
pub struct Route {
    pub ways: Ways,
    pub tls: Option<Arc<Connector>>,
}

struct LinkTask {
    instance: Address,
    auth: Arc<Mutex<Option<Auth>>>,
    client_name: String,
    route: Route,
    events: mpsc::UnboundedSender<LinkEvent>,
}

impl LinkTask {
    async fn run(self, mut orders: mpsc::UnboundedReceiver<Order>) {
        while let Some(deadline) = next_dial(&mut orders).await {
            let stream = match timeout(deadline, self.open()).await {
                Ok(Ok(stream)) => stream,
                Ok(Err(why)) => {
                    self.down(why);
                    continue;
                }
                Err(_) => {
                    self.down(LinkError::Timeout);
                    continue;
                }
            };
            self.tell(LinkEvent::Up { instance: self.instance.clone() });
            let why = self.carry(stream, &mut orders).await;
            // Orders that were given for the connection that is gone.
            while orders.try_recv().is_ok() {}
            self.down(why);
        }
    }

    /// Resolves, connects, logs in, names itself.
    async fn open(&self) -> Result<Wire, LinkError> {
        let dialled = self.route.ways.dial(&self.instance, self.route.tls.as_deref()).await;
        let stream = dialled.map_err(|error| match error {
            DialError::Io(error) => kind_of(&error),
            DialError::Name { .. } | DialError::NotAllowed => LinkError::Unreachable,
            DialError::Tls(fault) => LinkError::Tls(fault),
        })?;
        let mut wire = Wire { stream, buffer: Vec::new() };
        let auth = self.auth.lock().clone();
        if let Some(auth) = &auth {
            let mut argv = vec![auth.command.as_deref().unwrap_or("AUTH")];
            argv.extend(auth.user.as_deref());
            argv.push(&auth.password);
            wire.write(&argv).await?;
            if wire.read().await?.error().is_some_and(refuses_login) {
                return Err(LinkError::AuthRefused);
            }
        }
        wire.write(&["CLIENT", "SETNAME", &self.client_name]).await?;
        // A server that knows no CLIENT SETNAME is none the worse for it.
        if wire.read().await?.error().is_some_and(|text| text.starts_with("NOAUTH")) {
            return Err(LinkError::AuthRefused);
        }
        Ok(wire)
    }

    /// Requests out, replies in, until one side ends it.
    async fn carry(&self, wire: Wire, orders: &mut mpsc::UnboundedReceiver<Order>) -> LinkError {
        let mut pending: VecDeque<RequestId> = VecDeque::new();
        let mut outgoing: Vec<u8> = Vec::new();
        let Wire { stream, mut buffer } = wire;
        let (mut reading, mut writing) = tokio::io::split(stream);
        let mut unflushed = false;
        loop {
            // Whatever has arrived is answered before anything else is waited for.
            loop {
                match reply::parse(&buffer, REPLY_BYTES_MAX) {
                    Ok(None) => break,
                    Ok(Some((reply, used))) => {
                        buffer.drain(..used);
                        // Nothing was asked: a push message, or a server that is no Redis.
                        let Some(request) = pending.pop_front() else { return LinkError::Malformed };
                        self.tell(LinkEvent::Replied { instance: self.instance.clone(), request, reply });
                    }
                    Err(_) => return LinkError::Malformed,
                }
            }
            tokio::select! {
                biased;
                got = reading.read_buf(&mut buffer) => match got {
                    Ok(0) => return LinkError::Reset,
                    Ok(_) => {}
                    Err(error) => return kind_of(&error),
                },
                wrote = write_some(&mut writing, &outgoing), if !outgoing.is_empty() || unflushed => match wrote {
                    Ok(count) => {
                        unflushed = !outgoing.is_empty();
                        outgoing.drain(..count);
                    }
                    Err(error) => return kind_of(&error),
                },
                order = orders.recv() => {
                    // What falls due together leaves together: one system call, one wakeup there.
                    let mut next = order;
                    loop {
                        match next {
                            None | Some(Order::Hangup) => return LinkError::Reset,
                            Some(Order::Dial { .. }) => {}
                            Some(Order::Send { request, argv }) => {
                                if pending.len() < PENDING_MAX {
                                    pending.push_back(request);
                                    encode::command(&mut outgoing, &argv);
                                }
                            }
                        }
                        match orders.try_recv() {
                            Ok(order) => next = Some(order),
                            Err(_) => break,
                        }
                    }
                }
            }
        }
    }

    fn down(&self, why: LinkError) {
        self.tell(LinkEvent::Down { instance: self.instance.clone(), why });
    }

    fn tell(&self, event: LinkEvent) {
        // The owner is gone only when the process ends.
        let _ = self.events.send(event);
    }
}

/// Some of the bytes, or, when there are none, whatever TLS holds back. May be cancelled.
async fn write_some(writing: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> io::Result<usize> {
    if bytes.is_empty() { writing.flush().await.map(|()| 0) } else { writing.write(bytes).await }
}

/// Waits for an order to dial; `None` when the owner is gone.
async fn next_dial(orders: &mut mpsc::UnboundedReceiver<Order>) -> Option<Duration> {
    loop {
        if let Order::Dial { timeout } = orders.recv().await? {
            return Some(timeout);
        }
    }
}

/// A connection and what arrived on it.
struct Wire {
    stream: Stream,
    buffer: Vec<u8>,
}

impl Wire {
    async fn write(&mut self, argv: &[&str]) -> Result<(), LinkError> {
        let mut bytes = Vec::new();
        encode::command(&mut bytes, argv);
        self.stream.write_all(&bytes).await.map_err(|error| kind_of(&error))?;
        self.stream.flush().await.map_err(|error| kind_of(&error))
    }

    async fn read(&mut self) -> Result<Reply, LinkError> {
        loop {
            match reply::parse(&self.buffer, REPLY_BYTES_MAX) {
                Ok(Some((reply, used))) => {
                    self.buffer.drain(..used);
                    return Ok(reply);
                }
                Ok(None) => {}
                Err(_) => return Err(LinkError::Malformed),
            }
            match self.stream.read_buf(&mut self.buffer).await {
                Ok(0) => return Err(LinkError::Reset),
                Ok(_) => {}
                Err(error) => return Err(kind_of(&error)),
            }
        }
    }
}

/// A server without any password answers AUTH with an error that is no refusal: the default user
/// is let in anyway.
fn refuses_login(text: &str) -> bool {
    text.starts_with("WRONGPASS") || text.starts_with("NOAUTH") || text.contains("invalid password")
}

fn kind_of(error: &io::Error) -> LinkError {
    if let Some(fault) = fault_of(error) {
        return LinkError::Tls(fault);
    }
    match error.kind() {
        io::ErrorKind::ConnectionRefused => LinkError::Refused,
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::UnexpectedEof => LinkError::Reset,
        io::ErrorKind::TimedOut => LinkError::Timeout,
        _ => LinkError::Unreachable,
    }
}

#[cfg(test)]
#[path = "link_tests.rs"]
mod tests;
