//! Outbound links to data servers, all carried by the task that owns them.
//!
//! A link dials only when it is told to, logs in, names itself, and then carries requests whose
//! replies it matches in order. Dialling is a task of its own; a link that is up has none: what was
//! sent leaves with [`Links::flush`], and all that has arrived is read in one go.
//! Promises: nothing the caller does here waits; every attempt ends within its deadline; a reply
//! larger than [`REPLY_BYTES_MAX`] ends the link; after `Down` no reply to an earlier request arrives;
//! a link at rest holds no buffer. Has never heard of masters, failovers or schedules.

use super::dial::{DialError, Ways};
use super::ready::Ready;
use super::stream::Stream;
use super::tls::{Connector, fault_of};
use crate::model::Address;
use crate::resp::{Reply, encode, reply};
use crate::sentinel::request::RequestId;
use crate::sentinel::{Auth, LinkError};
use std::collections::{BTreeMap, VecDeque};
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::timeout;

/// No healthy server answers more to what we ask.
pub const REPLY_BYTES_MAX: usize = 1 << 20;
/// Requests that may wait for their replies; further ones are dropped, as on a link that is down.
const PENDING_MAX: usize = 256;
/// Read at a time, into one place for all links.
const SCRATCH_BYTES: usize = 16 * 1024;

/// What a link tells its owner; `K` is the owner's name for it.
#[derive(Debug)]
pub enum LinkEvent<K> {
    Up { whom: K },
    Down { whom: K, why: LinkError },
    Replied { whom: K, request: RequestId, reply: Reply },
}

impl<K> LinkEvent<K> {
    fn whom(&self) -> &K {
        let (LinkEvent::Up { whom } | LinkEvent::Down { whom, .. } | LinkEvent::Replied { whom, .. }) = self;
        whom
    }
}

/// How an instance is reached.
#[derive(Clone, Debug)]
pub struct Route {
    pub ways: Ways,
    pub tls: Option<Arc<Connector>>,
}

/// Every link of one process. Dropping it closes them.
pub struct Links<K> {
    /// Eight hex digits, or a word, that CLIENT LIST shows.
    name: String,
    numbers: BTreeMap<K, u64>,
    links: BTreeMap<u64, Link<K>>,
    next: u64,
    ready: Arc<Ready<u64>>,
    dialled: mpsc::UnboundedReceiver<Dialled>,
    on_dialled: mpsc::UnboundedSender<Dialled>,
    /// Have something to write.
    unsent: Vec<u64>,
    woken: Vec<u64>,
    scratch: Box<[u8]>,
    events: VecDeque<LinkEvent<K>>,
}

/// How an attempt ended: of which link, which attempt.
struct Dialled {
    number: u64,
    attempt: u64,
    result: Result<Wire, LinkError>,
}

struct Link<K> {
    whom: K,
    address: Address,
    auth: Option<Auth>,
    route: Route,
    attempts: u64,
    state: State,
}

enum State {
    Down,
    Dialing(AbortHandle),
    Up(Box<Carrier>),
}

impl Drop for State {
    fn drop(&mut self) {
        if let State::Dialing(task) = self {
            task.abort();
        }
    }
}

impl<K: Ord + Clone> Links<K> {
    pub fn new(name: &str) -> Self {
        let (on_dialled, dialled) = mpsc::unbounded_channel();
        Links {
            name: name.to_owned(),
            numbers: BTreeMap::new(),
            links: BTreeMap::new(),
            next: 0,
            ready: Arc::default(),
            dialled,
            on_dialled,
            unsent: Vec::new(),
            woken: Vec::new(),
            scratch: vec![0; SCRATCH_BYTES].into(),
            events: VecDeque::new(),
        }
    }

    pub fn has(&self, whom: &K) -> bool {
        self.numbers.contains_key(whom)
    }

    /// A new link; it does not dial yet. One of that name that was there is closed.
    pub fn add(&mut self, whom: K, address: Address, auth: Option<Auth>, route: Route) {
        self.remove(&whom);
        self.next += 1;
        self.numbers.insert(whom.clone(), self.next);
        let link = Link { whom, address, auth, route, attempts: 0, state: State::Down };
        self.links.insert(self.next, link);
    }

    /// Closes it without a word.
    pub fn remove(&mut self, whom: &K) {
        if let Some(number) = self.numbers.remove(whom) {
            self.links.remove(&number);
            self.events.retain(|event| event.whom() != whom);
        }
    }

    /// At the next login: what proved itself stays connected.
    pub fn log_in_with(&mut self, whom: &K, auth: Option<Auth>) {
        if let Some((_, link)) = self.find(whom) {
            link.auth = auth;
        }
    }

    fn find(&mut self, whom: &K) -> Option<(u64, &mut Link<K>)> {
        let number = *self.numbers.get(whom)?;
        Some((number, self.links.get_mut(&number)?))
    }

    /// Dials if the link is down; on one that is up or dialling it does nothing.
    pub fn dial(&mut self, whom: &K, limit: Duration) {
        let client_name = format!("sentinel-{}-cmd", self.name);
        let on_dialled = self.on_dialled.clone();
        let Some((number, link)) = self.find(whom) else { return };
        if !matches!(link.state, State::Down) {
            return;
        }
        link.attempts += 1;
        let attempt = link.attempts;
        let (address, auth, route) = (link.address.clone(), link.auth.clone(), link.route.clone());
        let task = tokio::spawn(async move {
            let opened = timeout(limit, open(&address, auth.as_ref(), &route, &client_name)).await;
            let result = opened.unwrap_or(Err(LinkError::Timeout));
            // The owner is gone only when the process ends.
            let _ = on_dialled.send(Dialled { number, attempt, result });
        });
        link.state = State::Dialing(task.abort_handle());
    }

    /// Leaves with the next [`Links::flush`]; on a link that is not up it is dropped.
    pub fn send(&mut self, whom: &K, request: RequestId, argv: &[Vec<u8>]) {
        let Some((number, link)) = self.find(whom) else { return };
        let State::Up(carrier) = &mut link.state else { return };
        if carrier.pending.len() < PENDING_MAX {
            carrier.pending.push_back(request);
            let idle = carrier.outgoing.is_empty();
            encode::command(&mut carrier.outgoing, argv);
            if idle {
                self.unsent.push(number);
            }
        }
    }

    /// Closes the connection; it is reported down as reset by us.
    pub fn hangup(&mut self, whom: &K) {
        if let Some((number, Link { state: State::Up(_), .. })) = self.find(whom) {
            self.down(number, LinkError::Reset);
        }
    }

    /// Writes what was sent since: one system call for each link, whatever fell due together.
    pub fn flush(&mut self) {
        let mut unsent = std::mem::take(&mut self.unsent);
        for number in unsent.drain(..) {
            if let Some(Link { state: State::Up(carrier), .. }) = self.links.get_mut(&number)
                && let Err(why) = carrier.write()
            {
                self.down(number, why);
            }
        }
        self.unsent = unsent;
    }

    /// What happened next. Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> LinkEvent<K> {
        poll_fn(|context| self.poll(context)).await
    }

    /// What happened and was not told yet, without looking at any socket.
    pub fn told(&mut self) -> Option<LinkEvent<K>> {
        self.events.pop_front()
    }

    /// [`next`](Self::next), for who polls by hand.
    pub fn poll(&mut self, context: &mut Context<'_>) -> Poll<LinkEvent<K>> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Poll::Ready(event);
            }
            while let Poll::Ready(Some(dialled)) = self.dialled.poll_recv(context) {
                self.dialled(dialled);
            }
            let mut woken = std::mem::take(&mut self.woken);
            let any = self.ready.poll(context, &mut woken).is_ready();
            for number in woken.drain(..) {
                self.look_at(number);
            }
            self.woken = woken;
            if !any && self.events.is_empty() {
                return Poll::Pending;
            }
        }
    }

    fn dialled(&mut self, Dialled { number, attempt, result }: Dialled) {
        let Some(link) = self.links.get_mut(&number).filter(|link| link.attempts == attempt) else { return };
        match result {
            Ok(wire) => {
                link.state = State::Up(Box::new(Carrier::new(wire, self.ready.bell(number))));
                self.events.push_back(LinkEvent::Up { whom: link.whom.clone() });
            }
            Err(why) => self.down(number, why),
        }
    }

    fn look_at(&mut self, number: u64) {
        let Some(Link { whom, state: State::Up(carrier), .. }) = self.links.get_mut(&number) else { return };
        let events = &mut self.events;
        let tell =
            |request, reply| events.push_back(LinkEvent::Replied { whom: whom.clone(), request, reply });
        let done = carrier.read(&mut self.scratch, tell).and_then(|()| carrier.write());
        if let Err(why) = done {
            self.down(number, why);
        }
    }

    fn down(&mut self, number: u64, why: LinkError) {
        let Some(link) = self.links.get_mut(&number) else { return };
        link.state = State::Down;
        self.events.push_back(LinkEvent::Down { whom: link.whom.clone(), why });
    }
}

/// A connection that is up.
struct Carrier {
    stream: Stream,
    waker: Waker,
    pending: VecDeque<RequestId>,
    /// Of a reply whose end has not arrived.
    incoming: Vec<u8>,
    outgoing: Vec<u8>,
    /// TLS may hold written bytes back.
    unflushed: bool,
}

impl Carrier {
    fn new(wire: Wire, waker: Waker) -> Self {
        Carrier {
            stream: wire.stream,
            waker,
            pending: VecDeque::new(),
            incoming: Vec::new(),
            outgoing: Vec::new(),
            unflushed: false,
        }
    }

    /// Everything that has arrived, cut into replies.
    fn read(&mut self, scratch: &mut [u8], mut tell: impl FnMut(RequestId, Reply)) -> Result<(), LinkError> {
        let waker = self.waker.clone();
        let mut context = Context::from_waker(&waker);
        loop {
            let mut buffer = ReadBuf::new(scratch);
            match Pin::new(&mut self.stream).poll_read(&mut context, &mut buffer) {
                Poll::Pending => return Ok(()),
                Poll::Ready(Err(error)) => return Err(kind_of(&error)),
                Poll::Ready(Ok(())) if buffer.filled().is_empty() => return Err(LinkError::Reset),
                Poll::Ready(Ok(())) => {}
            }
            if self.incoming.is_empty() {
                let used = cut(buffer.filled(), &mut self.pending, &mut tell)?;
                self.incoming.extend_from_slice(&buffer.filled()[used..]);
            } else {
                self.incoming.extend_from_slice(buffer.filled());
                let used = cut(&self.incoming, &mut self.pending, &mut tell)?;
                self.incoming.drain(..used);
            }
            if self.incoming.is_empty() {
                self.incoming = Vec::new();
            }
        }
    }

    /// As much as the socket takes; it wakes us for the rest.
    fn write(&mut self) -> Result<(), LinkError> {
        if self.outgoing.is_empty() && !self.unflushed {
            return Ok(());
        }
        let waker = self.waker.clone();
        let mut context = Context::from_waker(&waker);
        while !self.outgoing.is_empty() {
            match Pin::new(&mut self.stream).poll_write(&mut context, &self.outgoing) {
                Poll::Pending => return Ok(()),
                Poll::Ready(Err(error)) => return Err(kind_of(&error)),
                Poll::Ready(Ok(0)) => return Err(LinkError::Reset),
                Poll::Ready(Ok(count)) => {
                    self.outgoing.drain(..count);
                    self.unflushed = true;
                }
            }
        }
        self.outgoing = Vec::new();
        match Pin::new(&mut self.stream).poll_flush(&mut context) {
            Poll::Pending => Ok(()),
            Poll::Ready(Err(error)) => Err(kind_of(&error)),
            Poll::Ready(Ok(())) => {
                self.unflushed = false;
                Ok(())
            }
        }
    }
}

/// Tells the whole replies at the front of `bytes`, and how many bytes they were.
fn cut(
    bytes: &[u8],
    pending: &mut VecDeque<RequestId>,
    tell: &mut impl FnMut(RequestId, Reply),
) -> Result<usize, LinkError> {
    let mut used = 0;
    while let Some((reply, count)) =
        reply::parse(&bytes[used..], REPLY_BYTES_MAX).map_err(|_| LinkError::Malformed)?
    {
        used += count;
        // Nothing was asked: a push message, or a server that is no Redis.
        let request = pending.pop_front().ok_or(LinkError::Malformed)?;
        tell(request, reply);
    }
    Ok(used)
}

/// Resolves, connects, logs in, names itself.
async fn open(
    address: &Address,
    auth: Option<&Auth>,
    route: &Route,
    client_name: &str,
) -> Result<Wire, LinkError> {
    let dialled = route.ways.dial(address, route.tls.as_deref()).await;
    let stream = dialled.map_err(|error| match error {
        DialError::Io(error) => kind_of(&error),
        DialError::Name { .. } | DialError::NotAllowed => LinkError::Unreachable,
        DialError::Tls(fault) => LinkError::Tls(fault),
    })?;
    let mut wire = Wire { stream, buffer: Vec::new() };
    if let Some(auth) = auth {
        let mut argv = vec![auth.command.as_deref().unwrap_or("AUTH")];
        argv.extend(auth.user.as_deref());
        argv.push(&auth.password);
        wire.write(&argv).await?;
        if wire.read().await?.error().is_some_and(refuses_login) {
            return Err(LinkError::AuthRefused);
        }
    }
    wire.write(&["CLIENT", "SETNAME", client_name]).await?;
    // A server that knows no CLIENT SETNAME is none the worse for it.
    if wire.read().await?.error().is_some_and(|text| text.starts_with("NOAUTH")) {
        return Err(LinkError::AuthRefused);
    }
    // Nothing was asked that is not answered.
    if !wire.buffer.is_empty() {
        return Err(LinkError::Malformed);
    }
    Ok(wire)
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
