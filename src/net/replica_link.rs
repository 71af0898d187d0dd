//! A replica's link to its master: dials, introduces itself, takes the image into a file, verifies
//! it, then carries the stream to the engine and acknowledgements back. One thread of its own, so
//! that reading an image never holds a client.
//!
//! Decides nothing about roles: before each attempt and with each piece it asks its [`Follower`]
//! whether its order still stands.

use super::dial::{DialError, Ways};
use super::stream::Stream;
use super::tls::Connector;
use crate::model::{Offset, ReplId};
use crate::rdb::{self, Loaded};
use crate::resp::encode;
use crate::server::replication::arrival::{Arrival, Form};
use crate::server::replication::follow::{Applied, LinkFault, LinkPhase};
use crate::server::replication::handshake::{Fault, Handshake, Outcome, Terms};
use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

const RETRY_FIRST: Duration = Duration::from_millis(50);
const RETRY_MAX: Duration = Duration::from_secs(1);
const DIAL_MAX: Duration = Duration::from_secs(5);
const ACK_PERIOD: Duration = Duration::from_secs(1);
const READ_BYTES: usize = 64 * 1024;
/// The longest line of a handshake.
const LINE_BYTES_MAX: usize = 16 * 1024;
/// The most that one command or transaction of the stream may take.
const STREAM_BYTES_MAX: usize = 1 << 30;

/// What the link's engine is to the link. Each call names the generation of the order it serves.
pub trait Follower: Send + Sync + 'static {
    fn terms(&self, generation: u64) -> Option<Terms>;
    fn phase(&self, generation: u64, phase: LinkPhase) -> Result<(), LinkFault>;
    /// The master said no in the handshake; [`Follower::down`] comes after it.
    fn refused(&self, generation: u64, fault: &Fault);
    fn down(&self, generation: u64, why: &str) -> Result<(), LinkFault>;
    fn resume(&self, generation: u64, replid: Option<ReplId>) -> Result<(), LinkFault>;
    fn install(&self, generation: u64, data: Loaded, replid: ReplId, offset: Offset)
    -> Result<(), LinkFault>;
    fn stream(&self, generation: u64, bytes: &[u8]) -> Result<Applied, LinkFault>;
    fn offset(&self, generation: u64) -> Result<Offset, LinkFault>;
    /// How much of it is on the disk; `None`: no log is kept.
    fn synced(&self, generation: u64) -> Result<Option<Offset>, LinkFault>;
    /// Seeds the hashing of a keyspace that is read from a stranger.
    fn hash_seed(&self) -> rdb::Ground;
}

/// The thread; ends when this is dropped.
pub struct ReplicaLink {
    orders: watch::Sender<Option<u64>>,
}

impl ReplicaLink {
    /// `spool`: where images are kept while they are read. `silence_max`: `repl-timeout`.
    pub fn start(
        follower: Arc<impl Follower>,
        spool: PathBuf,
        silence_max: Duration,
        tls: Option<Arc<Connector>>,
    ) -> std::io::Result<ReplicaLink> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (orders, mut inbox) = watch::channel(None::<u64>);
        std::thread::Builder::new().name("replica-link".into()).spawn(move || {
            runtime.block_on(async {
                let ways = Ways::plain();
                loop {
                    let order = *inbox.borrow_and_update();
                    let link = async {
                        match order {
                            Some(generation) => {
                                let follower = follower.clone();
                                let (spool, ways, tls) = (&*spool, &ways, tls.as_deref());
                                follow(Link { follower, generation, spool, silence_max, ways, tls }).await;
                            }
                            None => std::future::pending().await,
                        }
                        std::future::pending::<()>().await;
                    };
                    tokio::select! {
                        changed = inbox.changed() => if changed.is_err() { return },
                        () = link => {}
                    }
                }
            });
        })?;
        Ok(ReplicaLink { orders })
    }

    /// Follows by this order from now on, or nobody; an earlier link ends.
    pub fn order(&self, generation: Option<u64>) {
        self.orders.send_replace(generation);
    }
}

struct Link<'a, F> {
    follower: Arc<F>,
    generation: u64,
    spool: &'a Path,
    silence_max: Duration,
    ways: &'a Ways,
    tls: Option<&'a Connector>,
}

/// Why an attempt ended.
enum End {
    /// The order was replaced.
    Stale,
    /// To be told and tried again; `synced`: the stream had been flowing.
    Fault { why: String, synced: bool },
}

impl From<LinkFault> for End {
    fn from(fault: LinkFault) -> End {
        match fault {
            LinkFault::Stale => End::Stale,
            other => fault_of(other),
        }
    }
}

fn fault_of(why: impl std::fmt::Display) -> End {
    End::Fault { why: why.to_string(), synced: false }
}

async fn follow<F: Follower>(link: Link<'_, F>) {
    let mut pause = RETRY_FIRST;
    while let Some(terms) = link.follower.terms(link.generation) {
        let End::Fault { why, synced } = link.attempt(terms).await else { return };
        if link.follower.down(link.generation, &why).is_err() {
            return;
        }
        if synced {
            pause = RETRY_FIRST;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(RETRY_MAX);
    }
}

/// A connection with what was read of it and not used.
struct Wire {
    stream: Stream,
    buffer: Vec<u8>,
    silence_max: Duration,
}

impl Wire {
    /// More bytes from the master.
    async fn fill(&mut self) -> Result<(), End> {
        self.buffer.reserve(READ_BYTES);
        let read = timeout(self.silence_max, self.stream.read_buf(&mut self.buffer)).await;
        match read {
            Err(_) => Err(fault_of("the master was silent for repl-timeout")),
            Ok(Err(error)) => Err(fault_of(format!("connection lost: {error}"))),
            Ok(Ok(0)) => Err(fault_of("the master closed the connection")),
            Ok(Ok(_)) => Ok(()),
        }
    }

    async fn send(&mut self, words: &[Vec<u8>]) -> Result<(), End> {
        let mut bytes = Vec::new();
        encode::command(&mut bytes, words);
        self.send_bytes(&bytes).await
    }

    async fn send_bytes(&mut self, bytes: &[u8]) -> Result<(), End> {
        let write = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        match timeout(self.silence_max, write).await {
            Err(_) => Err(fault_of("the master does not read")),
            Ok(result) => result.map_err(|error| fault_of(format!("connection lost: {error}"))),
        }
    }

    /// The next line that is not empty: masters send empty ones to show that they live.
    async fn line(&mut self) -> Result<Vec<u8>, End> {
        loop {
            if let Some(end) = memchr::memchr(b'\n', &self.buffer) {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                let line = line.trim_ascii_end().to_vec();
                if !line.is_empty() {
                    return Ok(line);
                }
                continue;
            }
            if self.buffer.len() > LINE_BYTES_MAX {
                return Err(fault_of("the master's answer is longer than any answer"));
            }
            self.fill().await?;
        }
    }
}

impl<F: Follower> Link<'_, F> {
    /// One connection from dialling to its end.
    async fn attempt(&self, terms: Terms) -> End {
        match self.connect(terms).await {
            Err(end) => end,
            Ok(wire) => {
                let Err(end) = self.stream(wire).await;
                match end {
                    End::Fault { why, .. } => End::Fault { why, synced: true },
                    End::Stale => End::Stale,
                }
            }
        }
    }

    async fn connect(&self, terms: Terms) -> Result<Wire, End> {
        let dial = timeout(DIAL_MAX.min(self.silence_max), self.ways.dial(&terms.master, self.tls)).await;
        let stream = match dial {
            Err(_) => return Err(fault_of("no answer to the connection attempt")),
            Ok(stream) => stream.map_err(|error| match error {
                DialError::Io(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
                    fault_of("cannot connect: connection refused, nothing listens there")
                }
                DialError::Tls(fault) => fault_of(format!("no TLS session with the master: {fault}")),
                error => fault_of(format!("cannot connect: {error}")),
            })?,
        };
        let mut wire = Wire { stream, buffer: Vec::new(), silence_max: self.silence_max };
        self.follower.phase(self.generation, LinkPhase::Handshake)?;
        let mut handshake = Handshake::new(terms);
        let mut outcome = handshake.start();
        loop {
            match outcome {
                Outcome::Send(words) => {
                    wire.send(&words).await?;
                    let line = wire.line().await?;
                    outcome = handshake.answer(&line);
                }
                Outcome::Continue { replid } => {
                    self.follower.resume(self.generation, replid)?;
                    break;
                }
                Outcome::Full { replid, offset } => {
                    self.full_sync(&mut wire, replid, offset).await?;
                    break;
                }
                Outcome::Failed(fault) => {
                    self.follower.refused(self.generation, &fault);
                    return Err(fault_of(fault));
                }
            }
        }
        self.acknowledge(&mut wire).await?;
        Ok(wire)
    }

    async fn full_sync(&self, wire: &mut Wire, replid: ReplId, offset: Offset) -> Result<(), End> {
        self.follower.phase(self.generation, LinkPhase::Sync { received: 0, total: None })?;
        let head = wire.line().await?;
        let form = Form::parse(&head).ok_or_else(|| {
            fault_of(format!("the master announced no image but: {}", String::from_utf8_lossy(&head)))
        })?;
        let mut file = spool_file(self.spool)
            .map_err(|error| fault_of(format!("no image file in {}: {error}", self.spool.display())))?;
        let mut arrival = Arrival::new(form);
        let mut told = Instant::now();
        loop {
            let took = arrival.take(&wire.buffer);
            wire.buffer.clear();
            file.write_all(&took.image).map_err(|error| {
                fault_of(format!("writing the image to {}: {error}", self.spool.display()))
            })?;
            if let Some(rest) = took.rest {
                wire.buffer = rest;
                break;
            }
            if told.elapsed() > Duration::from_millis(100) {
                told = Instant::now();
                let (received, total) = (arrival.received(), arrival.total());
                self.follower.phase(self.generation, LinkPhase::Sync { received, total })?;
            }
            wire.fill().await?;
        }
        let seed = self.follower.hash_seed();
        let mut load = tokio::task::spawn_blocking(move || {
            file.seek(SeekFrom::Start(0)).map_err(|error| rdb::RdbError::Io(error.to_string()))?;
            rdb::load(file, seed, None)
        });
        // While it is decoded the master sees that we live.
        let loaded = loop {
            match timeout(ACK_PERIOD, &mut load).await {
                Ok(loaded) => break loaded,
                Err(_) => wire.send_bytes(b"\n").await?,
            }
        };
        let loaded = loaded
            .map_err(|error| fault_of(format!("reading the image failed: {error}")))?
            .map_err(|error| fault_of(format!("the master's image is not taken: {error}")))?;
        self.follower.install(self.generation, loaded, replid, offset)?;
        Ok(())
    }

    async fn acknowledge(&self, wire: &mut Wire) -> Result<(), End> {
        let offset = self.follower.offset(self.generation)?;
        self.send_ack(wire, offset).await
    }

    async fn send_ack(&self, wire: &mut Wire, offset: Offset) -> Result<(), End> {
        let mut words = vec![b"REPLCONF".to_vec(), b"ACK".to_vec(), offset.to_string().into_bytes()];
        if let Some(synced) = self.follower.synced(self.generation)? {
            words.extend([b"FACK".to_vec(), synced.to_string().into_bytes()]);
        }
        wire.send(&words).await
    }

    /// The stream, until something ends it.
    async fn stream(&self, mut wire: Wire) -> Result<std::convert::Infallible, End> {
        let mut next_ack = Instant::now() + ACK_PERIOD;
        let mut heard = Instant::now();
        // How much of a transaction was looked at in vain.
        let mut vain = 0_usize;
        loop {
            // A long transaction is not cut into words again for every piece of it that comes.
            let from = std::mem::take(&mut vain);
            if from > 0 && !holds_exec(&wire.buffer[from.saturating_sub(EXEC_BYTES)..]) {
                vain = wire.buffer.len();
            } else if !wire.buffer.is_empty() {
                let applied = self.follower.stream(self.generation, &wire.buffer)?;
                wire.buffer.drain(..applied.consumed);
                if applied.awaits_exec {
                    vain = wire.buffer.len();
                }
                if wire.buffer.len() > STREAM_BYTES_MAX {
                    return Err(fault_of("one command of the master is larger than 1 GB"));
                }
                if let Some(offset) = applied.acknowledge {
                    self.send_ack(&mut wire, offset).await?;
                }
            }
            wire.buffer.reserve(READ_BYTES);
            tokio::select! {
                read = wire.stream.read_buf(&mut wire.buffer) => match read {
                    Ok(0) => return Err(fault_of("the master closed the connection")),
                    Ok(_) => heard = Instant::now(),
                    Err(error) => return Err(fault_of(format!("connection lost: {error}"))),
                },
                () = tokio::time::sleep_until(next_ack) => {
                    next_ack = Instant::now() + ACK_PERIOD;
                    if heard.elapsed() > self.silence_max {
                        return Err(fault_of("the master was silent for repl-timeout"));
                    }
                    self.acknowledge(&mut wire).await?;
                }
            }
        }
    }
}

/// Of the end of EXEC that may have been cut off.
const EXEC_BYTES: usize = 5;

/// Whether EXEC may stand there, in whatever case.
fn holds_exec(bytes: &[u8]) -> bool {
    memchr::memchr2_iter(b'x', b'X', bytes).any(|at| {
        let word = at.checked_sub(1).and_then(|from| bytes.get(from..from + 5));
        word.is_some_and(|word| word.eq_ignore_ascii_case(b"exec\r"))
    })
}

/// A file without a name: whatever happens, nothing is left behind.
fn spool_file(dir: &Path) -> std::io::Result<File> {
    let path = dir.join(format!("full-sync-{}.part", std::process::id()));
    let mut options = File::options();
    options.read(true).write(true).create(true).truncate(true);
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(&path)?;
    std::fs::remove_file(&path)?;
    Ok(file)
}
