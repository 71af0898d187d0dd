//! Outbound links to data servers: one task per instance and purpose, and a handle to each.
//!
//! A link dials only when it is told to, logs in, names itself, and then carries requests whose
//! replies it matches in order. Promises: nothing the caller does here waits; every attempt ends
//! within its deadline; a reply larger than [`REPLY_BYTES_MAX`] ends the link; after `Down` no reply
//! to an earlier request arrives. Has never heard of masters, failovers or schedules.

use crate::model::Address;
use crate::resp::{Reply, encode, reply};
use crate::sentinel::request::RequestId;
use crate::sentinel::{Auth, LinkError};
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// No healthy server answers more to what we ask.
pub const REPLY_BYTES_MAX: usize = 1 << 20;
/// Requests that may wait for their replies; further ones are dropped, as on a link that is down.
const PENDING_MAX: usize = 256;
const HELLO_REDIAL: Duration = Duration::from_secs(5);
const HELLO_CHANNEL: &str = "__sentinel__:hello";

/// What a link is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    Command,
    /// Subscribed to the hello channel. Nothing rests on it, so once it was up it comes back on its
    /// own, at an easy pace.
    Hello,
}

/// What a link tells its owner.
#[derive(Debug)]
pub enum LinkEvent {
    Up { instance: Address },
    Down { instance: Address, why: LinkError },
    Replied { instance: Address, request: RequestId, reply: Reply },
    Hello { instance: Address, payload: String },
}

enum Order {
    Dial { timeout: Duration },
    Send { request: RequestId, argv: Vec<Vec<u8>> },
    Hangup,
}

/// Both links to one instance. Dropping it closes them.
pub struct Link {
    command: mpsc::UnboundedSender<Order>,
    hello: mpsc::UnboundedSender<Order>,
    tasks: [tokio::task::AbortHandle; 2],
}

impl Link {
    /// Starts both tasks; neither dials yet. `name` is the eight hex digits that CLIENT LIST shows.
    pub fn start(
        instance: &Address,
        auth: Option<Auth>,
        name: &str,
        events: mpsc::UnboundedSender<LinkEvent>,
    ) -> Self {
        let (command, command_orders) = mpsc::unbounded_channel();
        let (hello, hello_orders) = mpsc::unbounded_channel();
        let task = |purpose, suffix, orders| {
            let task = LinkTask {
                instance: instance.clone(),
                purpose,
                auth: auth.clone(),
                client_name: format!("sentinel-{name}-{suffix}"),
                last_good: None,
                events: events.clone(),
            };
            tokio::spawn(task.run(orders)).abort_handle()
        };
        let tasks =
            [task(Purpose::Command, "cmd", command_orders), task(Purpose::Hello, "pubsub", hello_orders)];
        Link { command, hello, tasks }
    }

    /// Dials the links that are down; on links that are up or dialling it does nothing.
    pub fn dial(&self, timeout: Duration) {
        // A task ends only with its handle, so these sends cannot fail while we exist.
        let _ = self.command.send(Order::Dial { timeout });
        let _ = self.hello.send(Order::Dial { timeout });
    }

    pub fn send(&self, request: RequestId, argv: Vec<Vec<u8>>) {
        let _ = self.command.send(Order::Send { request, argv });
    }

    /// Closes the command link; it is reported down as reset by us.
    pub fn hangup(&self) {
        let _ = self.command.send(Order::Hangup);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

struct LinkTask {
    instance: Address,
    purpose: Purpose,
    auth: Option<Auth>,
    client_name: String,
    /// Where the name led when a connection last succeeded: a resolver that fails later does not
    /// make a healthy server look dead.
    last_good: Option<SocketAddr>,
    events: mpsc::UnboundedSender<LinkEvent>,
}

impl LinkTask {
    async fn run(mut self, mut orders: mpsc::UnboundedReceiver<Order>) {
        let mut redial = None;
        while let Some(deadline) = next_dial(&mut orders, redial).await {
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
            if self.purpose == Purpose::Hello {
                redial = Some(deadline);
            } else {
                self.tell(LinkEvent::Up { instance: self.instance.clone() });
            }
            let why = match self.purpose {
                Purpose::Command => self.carry(stream, &mut orders).await,
                Purpose::Hello => self.listen(stream).await,
            };
            // Orders that were given for the connection that is gone.
            while orders.try_recv().is_ok() {}
            self.down(why);
        }
    }

    /// Resolves, connects, logs in, names itself.
    async fn open(&mut self) -> Result<Wire, LinkError> {
        let address = self.resolve().await?;
        let stream = TcpStream::connect(address).await.map_err(|error| kind_of(&error))?;
        self.last_good = Some(address);
        // Only costs latency when refused; the link works all the same.
        let _ = stream.set_nodelay(true);
        let mut wire = Wire { stream, buffer: Vec::new() };
        if let Some(auth) = &self.auth {
            let mut argv = vec!["AUTH"];
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
        if self.purpose == Purpose::Hello {
            wire.write(&["SUBSCRIBE", HELLO_CHANNEL]).await?;
        }
        Ok(wire)
    }

    async fn resolve(&self) -> Result<SocketAddr, LinkError> {
        let Address { host, port } = &self.instance;
        if let Ok(ip) = host.parse() {
            return Ok(SocketAddr::new(ip, *port));
        }
        // Runs on the blocking pool: a slow resolver holds up this link alone.
        let found = tokio::net::lookup_host((host.as_str(), *port)).await.ok();
        let found = found.and_then(|mut addresses| addresses.next());
        found.or(self.last_good).ok_or(LinkError::Unreachable)
    }

    /// Requests out, replies in, until one side ends it.
    async fn carry(&self, mut wire: Wire, orders: &mut mpsc::UnboundedReceiver<Order>) -> LinkError {
        let mut pending: VecDeque<RequestId> = VecDeque::new();
        let mut outgoing: Vec<u8> = Vec::new();
        loop {
            // Whatever has arrived is answered before anything else is waited for.
            loop {
                match reply::parse(&wire.buffer, REPLY_BYTES_MAX) {
                    Ok(None) => break,
                    Ok(Some((reply, used))) => {
                        wire.buffer.drain(..used);
                        // Nothing was asked: a push message, or a server that is no Redis.
                        let Some(request) = pending.pop_front() else { return LinkError::Malformed };
                        self.tell(LinkEvent::Replied { instance: self.instance.clone(), request, reply });
                    }
                    Err(_) => return LinkError::Malformed,
                }
            }
            let (mut reading, mut writing) = wire.stream.split();
            tokio::select! {
                biased;
                got = reading.read_buf(&mut wire.buffer) => match got {
                    Ok(0) => return LinkError::Reset,
                    Ok(_) => {}
                    Err(error) => return kind_of(&error),
                },
                wrote = writing.write(&outgoing), if !outgoing.is_empty() => match wrote {
                    Ok(count) => drop(outgoing.drain(..count)),
                    Err(error) => return kind_of(&error),
                },
                order = orders.recv() => match order {
                    None | Some(Order::Hangup) => return LinkError::Reset,
                    Some(Order::Dial { .. }) => {}
                    Some(Order::Send { request, argv }) => {
                        if pending.len() < PENDING_MAX {
                            pending.push_back(request);
                            encode::command(&mut outgoing, &argv);
                        }
                    }
                },
            }
        }
    }

    /// Messages in, until one side ends it.
    async fn listen(&self, mut wire: Wire) -> LinkError {
        loop {
            match wire.read().await {
                Err(why) => return why,
                Ok(message) => {
                    if let Some([kind, _, payload]) = message.as_array()
                        && kind.as_str() == Some("message")
                        && let Some(payload) = payload.as_str()
                    {
                        let payload = payload.to_owned();
                        self.tell(LinkEvent::Hello { instance: self.instance.clone(), payload });
                    }
                }
            }
        }
    }

    fn down(&self, why: LinkError) {
        // Judgement rests on the command link; the subscription is for display.
        if self.purpose == Purpose::Command {
            self.tell(LinkEvent::Down { instance: self.instance.clone(), why });
        }
    }

    fn tell(&self, event: LinkEvent) {
        // The owner is gone only when the process ends.
        let _ = self.events.send(event);
    }
}

/// Waits for an order to dial, or for the time when `redial` is due; `None` when the owner is gone.
async fn next_dial(
    orders: &mut mpsc::UnboundedReceiver<Order>,
    redial: Option<Duration>,
) -> Option<Duration> {
    loop {
        let order = match redial {
            None => orders.recv().await?,
            Some(deadline) => match timeout(HELLO_REDIAL, orders.recv()).await {
                Err(_) => return Some(deadline),
                Ok(order) => order?,
            },
        };
        if let Order::Dial { timeout } = order {
            return Some(timeout);
        }
    }
}

/// A connection and what arrived on it.
struct Wire {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Wire {
    async fn write(&mut self, argv: &[&str]) -> Result<(), LinkError> {
        let mut bytes = Vec::new();
        encode::command(&mut bytes, argv);
        self.stream.write_all(&bytes).await.map_err(|error| kind_of(&error))
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
