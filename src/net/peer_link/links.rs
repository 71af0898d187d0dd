//! One link to every peer, kept alive.
//!
//! Of each two sentinels the one with the lower id dials, every 50 to 100 ms while it is down (once a
//! second after a refusal). The other one dials too when there was no link for a second: its peer may
//! not know yet where it is. A sentinel that knows nobody dials those that it was told to join. When a peer comes a second time the newer connection takes over, unless
//! the older one was heard a moment ago and belongs to another life of that id: then two processes
//! share an id, and the newcomer is refused.

use super::frame::FrameError;
use super::handshake::{self, PeerConnection, PeerWay};
use super::question;
use super::queue::SendQueue;
use super::{Check, HandshakeError, Hello, PeerIdentity, Refusal, Secret};
use crate::model::{Address, NodeId};
use crate::net::stream::Stream;
use crate::sentinel::{PeerMessage, peer_codec};
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};

/// A sign of life is sent this often, and a link on which nothing was heard for `SILENCE` is closed.
const LIFE: Duration = Duration::from_millis(250);
const SILENCE: Duration = Duration::from_secs(2);
/// Heard within this, a link is alive beyond doubt.
const ALIVE: Duration = Duration::from_secs(1);
const REDIAL_REFUSED: Duration = Duration::from_secs(1);
/// A peer that should dial us has not for this long.
const OVERDUE: Duration = Duration::from_secs(1);
/// Handshakes of strangers that may be under way at once.
const STRANGERS: usize = 32;
const WRITE_BATCH: usize = 256 * 1024;

pub struct LinkSettings {
    pub identity: PeerIdentity,
    pub secret: Secret,
    pub way: PeerWay,
    /// All peers, this node itself left out or not.
    pub peers: BTreeMap<NodeId, Address>,
    /// Whom to dial as long as there is no link to anybody.
    pub join: Vec<Address>,
    /// What one is answered that has no id and asks what stands here.
    pub statement: Vec<u8>,
    /// The daemon's word on a proven peer, such as [`Refusal::LostLog`] when the ledger knows its id
    /// under another uuid. Called on link tasks: it must not wait.
    pub check: Arc<Check<'static>>,
}

/// What happened on the links. `Up` and `Down` of one peer alternate.
#[derive(Debug)]
pub enum LinkEvent {
    Up {
        peer: Hello,
    },
    Down {
        id: NodeId,
        why: String,
    },
    Message {
        from: NodeId,
        message: PeerMessage,
    },
    /// A living peer's id was claimed by another process, which was turned away.
    Duplicate {
        id: NodeId,
    },
    /// No link came to be, for another reason than the last time; for the log. `fatal` is set when a
    /// proven peer said that this process must end.
    Failed {
        whom: String,
        error: String,
        fatal: Option<Refusal>,
    },
}

struct Live {
    number: u64,
    run_id: String,
    heard: Arc<Mutex<Instant>>,
    queue: Arc<SendQueue>,
    close: Arc<Notify>,
}

struct Shared {
    identity: Mutex<PeerIdentity>,
    secret: Mutex<Secret>,
    way: PeerWay,
    peers: Mutex<BTreeMap<NodeId, Address>>,
    /// It knows nobody and takes whoever proves to be of a fleet.
    joins: bool,
    statement: Mutex<Vec<u8>>,
    check: Arc<Check<'static>>,
    events: mpsc::Sender<LinkEvent>,
    live: Mutex<BTreeMap<NodeId, Live>>,
    /// The last failure told of each counterpart.
    told: Mutex<BTreeMap<NodeId, String>>,
    numbers: AtomicU64,
    strangers: Arc<Semaphore>,
    /// Held while `Up` or `Down` is told, so that they alternate.
    order: tokio::sync::Mutex<()>,
}

/// The set of links; dropping it closes all.
pub struct PeerLinks {
    shared: Arc<Shared>,
    tasks: Mutex<JoinSet<()>>,
    /// Whom a task dials; it ends by itself when its peer is gone.
    dialled: Mutex<BTreeSet<NodeId>>,
}

impl PeerLinks {
    /// Starts dialling. To be called on a tokio runtime.
    pub fn start(settings: LinkSettings, events: mpsc::Sender<LinkEvent>) -> Self {
        let LinkSettings { identity, secret, way, peers, join, statement, check } = settings;
        let shared = Arc::new(Shared {
            identity: Mutex::new(identity),
            secret: Mutex::new(secret),
            way,
            peers: Mutex::default(),
            joins: !join.is_empty(),
            statement: Mutex::new(statement),
            check,
            events,
            live: Mutex::default(),
            told: Mutex::default(),
            numbers: AtomicU64::new(0),
            strangers: Arc::new(Semaphore::new(STRANGERS)),
            order: tokio::sync::Mutex::default(),
        });
        let mut tasks = JoinSet::new();
        if !join.is_empty() {
            tasks.spawn(keep_joining(Arc::clone(&shared), join));
        }
        let links = PeerLinks { shared, tasks: Mutex::new(tasks), dialled: Mutex::default() };
        links.set_peers(peers);
        links
    }

    /// Who the peers are from now on, and where. A link to one that is gone ends; one to a peer that only
    /// moved lasts as long as it works.
    pub fn set_peers(&self, mut peers: BTreeMap<NodeId, Address>) {
        let shared = &self.shared;
        peers.remove(&shared.identity.lock().id);
        let before = std::mem::replace(&mut *shared.peers.lock(), peers.clone());
        let mut tasks = self.tasks.lock();
        for id in before.into_keys().filter(|id| !peers.contains_key(id)) {
            self.dialled.lock().remove(&id);
            tasks.spawn(Arc::clone(shared).end(id));
        }
        for id in peers.into_keys() {
            if self.dialled.lock().insert(id) {
                tasks.spawn(keep_dialling(Arc::clone(shared), id));
            }
        }
    }

    /// A connection to the sentinel port whose first byte, peeked at and not taken, is NUL.
    pub fn accept(&self, stream: impl Into<Stream>) {
        let stream = stream.into();
        let shared = Arc::clone(&self.shared);
        let Ok(permit) = Arc::clone(&shared.strangers).try_acquire_owned() else { return };
        let mut tasks = self.tasks.lock();
        while tasks.try_join_next().is_some() {}
        tasks.spawn(async move {
            let whom = stream.peer_addr().map_or_else(|_| "a stranger".to_owned(), |from| from.to_string());
            let identity = shared.identity.lock().clone();
            let check = |peer: &Hello| shared.judge(peer);
            let secret = shared.secret.lock().clone();
            let accepted = if shared.way.tls.is_some() && !stream.is_tls() {
                Err(HandshakeError::PlainText)
            } else {
                handshake::accept(stream, &identity, &secret, &check).await
            };
            drop(permit);
            match accepted {
                Ok(connection) if question::asks(&connection.peer) => {
                    let statement = shared.statement.lock().clone();
                    // It asks again if it did not get it.
                    let _ = question::answer(connection, &statement).await;
                }
                Ok(connection) => shared.carry(connection).await,
                Err(error) => shared.failed(0, whom, &error).await,
            }
        });
    }

    /// Best effort and never waiting; `false` when there is no link.
    pub fn send(&self, to: NodeId, message: &PeerMessage) -> bool {
        let live = self.shared.live.lock();
        let Some(link) = live.get(&to) else { return false };
        link.queue.push(matches!(message, PeerMessage::Raft(_)), peer_codec::encode(message));
        true
    }

    /// What is answered from now on to those who have no id.
    pub fn set_statement(&self, statement: Vec<u8>) {
        *self.shared.statement.lock() = statement;
    }

    /// For handshakes from now on; links that are up have proven themselves.
    pub fn set_secret(&self, secret: Secret) {
        *self.shared.secret.lock() = secret;
    }

    /// The cluster is known now; later handshakes name it.
    pub fn set_cluster(&self, cluster: &str) {
        cluster.clone_into(&mut self.shared.identity.lock().cluster);
    }

    pub fn connected(&self) -> Vec<NodeId> {
        self.shared.live.lock().keys().copied().collect()
    }

    /// Messages dropped for want of room on the link that is up.
    pub fn dropped(&self, id: NodeId) -> u64 {
        self.shared.live.lock().get(&id).map_or(0, |link| link.queue.dropped())
    }
}

/// Until the peer is none any more.
async fn keep_dialling(shared: Arc<Shared>, id: NodeId) {
    let mut down_since = Instant::now();
    loop {
        let Some(address) = shared.peers.lock().get(&id).cloned() else { return };
        let identity = shared.identity.lock().clone();
        let up = shared.live.lock().contains_key(&id);
        // It came to us, or it should.
        if up || (id < identity.id && down_since.elapsed() < OVERDUE) {
            if up {
                down_since = Instant::now();
            }
            tokio::time::sleep(OVERDUE / 2).await;
            continue;
        }
        let check = |peer: &Hello| shared.judge(peer);
        let secret = shared.secret.lock().clone();
        let pause = match handshake::connect(&address, &shared.way, &identity, &secret, id, &check).await {
            Ok(connection) => {
                shared.carry(connection).await;
                down_since = Instant::now();
                Duration::ZERO
            }
            Err(error) => {
                shared.failed(id, format!("peer {id} at {address}"), &error).await;
                match error {
                    HandshakeError::Refused { .. } | HandshakeError::Refusing(_) | HandshakeError::Tls(_) => {
                        REDIAL_REFUSED
                    }
                    _ => Duration::ZERO,
                }
            }
        };
        let jitter = Duration::from_millis(fastrand::u64(50..=100));
        // Two that dial each other in step would close each other's connection for ever.
        let pause = if id < identity.id { pause.max(OVERDUE) } else { pause };
        tokio::time::sleep(pause + jitter).await;
    }
}

/// As long as nobody else dials: one of the fleet is enough to be told what to do.
async fn keep_joining(shared: Arc<Shared>, join: Vec<Address>) {
    for address in join.iter().cycle() {
        if shared.live.lock().is_empty() {
            let identity = shared.identity.lock().clone();
            let check = |peer: &Hello| shared.judge(peer);
            let anyone = handshake::ANYONE;
            let secret = shared.secret.lock().clone();
            match handshake::connect(address, &shared.way, &identity, &secret, anyone, &check).await {
                Ok(connection) => shared.carry(connection).await,
                Err(error) => shared.failed(anyone, format!("the fleet at {address}"), &error).await,
            }
        }
        tokio::time::sleep(REDIAL_REFUSED).await;
    }
}

impl Shared {
    fn judge(&self, peer: &Hello) -> Result<(), Refusal> {
        if question::asks(peer) {
            return Ok(());
        }
        // One that is not known here may be known to the fleet: what is known here may be behind.
        let ours = self.identity.lock().cluster.clone();
        let known = self.peers.lock().contains_key(&peer.id);
        let of_our_fleet = !ours.is_empty() && ours == peer.cluster;
        let joining = self.joins && ours.is_empty();
        if !(known || of_our_fleet || joining) {
            // It may have been removed, which is worth another word.
            (self.check)(peer)?;
            return Err(Refusal::UnknownPeer);
        }
        let rival = self
            .live
            .lock()
            .get(&peer.id)
            .is_some_and(|link| link.run_id != peer.run_id && link.heard.lock().elapsed() < ALIVE);
        if rival {
            // Best effort: it tries again within a second.
            let _ = self.events.try_send(LinkEvent::Duplicate { id: peer.id });
            return Err(Refusal::Duplicate);
        }
        (self.check)(peer)
    }

    async fn failed(&self, id: NodeId, whom: String, error: &HandshakeError) {
        let text = error.to_string();
        let fatal = error.fatal();
        // Strangers all count as one: a scan of the port is one line, not thousands.
        let known = self.told.lock().insert(id, text.clone());
        if fatal.is_some() || known.as_deref() != Some(&text) {
            let _ = self.events.send(LinkEvent::Failed { whom, error: text, fatal }).await;
        }
    }

    /// The peer is none any more: its link ends, and `Down` is told.
    async fn end(self: Arc<Self>, id: NodeId) {
        let _order = self.order.lock().await;
        let live = self.live.lock().remove(&id);
        if let Some(live) = live {
            live.close.notify_one();
            let why = "it is no member any more".to_owned();
            let _ = self.events.send(LinkEvent::Down { id, why }).await;
        }
    }

    /// Carries a link until it ends.
    async fn carry(&self, connection: PeerConnection) {
        let PeerConnection { peer, mut reader, mut writer } = connection;
        let id = peer.id;
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let live = Live {
            number,
            run_id: peer.run_id.clone(),
            heard: Arc::new(Mutex::new(Instant::now())),
            queue: Arc::default(),
            close: Arc::default(),
        };
        let (heard, queue, close) =
            (Arc::clone(&live.heard), Arc::clone(&live.queue), Arc::clone(&live.close));
        {
            let _order = self.order.lock().await;
            let older = self.live.lock().insert(id, live);
            if let Some(older) = older {
                older.close.notify_one();
                let why = "a newer connection of the same peer took over".to_owned();
                let _ = self.events.send(LinkEvent::Down { id, why }).await;
            }
            self.told.lock().remove(&id);
            if self.events.send(LinkEvent::Up { peer }).await.is_err() {
                return;
            }
        }
        let reading = async {
            loop {
                match reader.read().await {
                    Ok(message) => {
                        *heard.lock() = Instant::now();
                        let Some(message) = message else { continue };
                        if self.events.send(LinkEvent::Message { from: id, message }).await.is_err() {
                            return "this process is ending".to_owned();
                        }
                        // Counted anew: waiting for our own core is not the peer's silence.
                        *heard.lock() = Instant::now();
                    }
                    Err(FrameError::Io(error)) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                        return "the peer closed the connection".to_owned();
                    }
                    Err(error) => return error.to_string(),
                }
            }
        };
        let writing = async {
            let mut life = tokio::time::interval(LIFE);
            life.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    frames = queue.take(WRITE_BATCH) => frames.iter().for_each(|frame| writer.put(frame)),
                    _ = life.tick() => writer.put(&[]),
                }
                if let Err(error) = writer.flush().await {
                    return error.to_string();
                }
            }
        };
        let silence = async {
            loop {
                let last = *heard.lock();
                if last.elapsed() >= SILENCE {
                    return format!("nothing was heard for {} seconds", SILENCE.as_secs());
                }
                tokio::time::sleep_until(last + SILENCE).await;
            }
        };
        // In this order: after a pause of this process what has arrived counts before the silence does.
        let why = tokio::select! {
            biased;
            why = reading => why,
            why = writing => why,
            why = silence => why,
            () = close.notified() => return,
        };
        let _order = self.order.lock().await;
        let ours = {
            let mut live = self.live.lock();
            let ours = live.get(&id).is_some_and(|link| link.number == number);
            if ours {
                live.remove(&id);
            }
            ours
        };
        if ours {
            let _ = self.events.send(LinkEvent::Down { id, why }).await;
        }
    }
}
