//! One inbound connection's protocol life, shared by the data server and the sentinel: HELLO, AUTH,
//! CLIENT, subscriptions. Whoever stands behind a port owns a [`Hub`], gives it the requests of
//! the families in [`COMMANDS`], and keeps what else it knows of a session in its own tables.
//!
//! Knows no key, no role and no socket: a session is its id and the [`Outbox`] that reaches it.

pub mod acl;
pub mod auth;
pub mod client;
pub mod error;
pub mod guesses;
pub mod handshake;
pub mod help;
pub mod maintenance;
pub mod outbox;
pub mod pause;
pub mod pubsub;
pub mod subscribe;
pub mod tracking;
pub mod turn;

use crate::resp::spec::CommandSpec;
use crate::resp::{Protocol, Writer};
use crate::stdx::time::{Duration, Instant, Now};
pub use auth::Auth;
pub use error::SessionError;
pub use outbox::{Close, Outbox};
pub use pause::Pause;
pub use pubsub::PubSub;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
pub use turn::{Passage, Stop, Turn};

/// Connections that have not logged in, where they must; never more than a quarter of all.
const STRANGERS_MAX: usize = 1000;

/// Counts connections of one life of the process; never reused.
pub type SessionId = u64;

/// Decides how much may wait for it, and what CLIENT LIST calls it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Class {
    #[default]
    Normal,
    PubSub,
    Replica,
}

impl Class {
    /// Its place in lists of limits.
    fn index(self) -> usize {
        match self {
            Class::Normal => 0,
            Class::Replica => 1,
            Class::PubSub => 2,
        }
    }
}

/// CLIENT REPLY.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReplyMode {
    #[default]
    On,
    Off,
    /// The reply of the next request is dropped.
    SkipNext,
    /// The reply of this request is dropped.
    SkipThis,
}

/// Protocol state of one connection.
#[derive(Debug)]
pub struct Session {
    pub id: SessionId,
    pub peer: SocketAddr,
    pub local: SocketAddr,
    /// The socket in the file system that it came over; both addresses say loopback then.
    pub unix: Option<Arc<str>>,
    pub outbox: Arc<Outbox>,
    pub protocol: Protocol,
    pub authenticated: bool,
    /// Whose rules hold for it.
    pub user: String,
    /// The state of the rules in which that user was seen to be allowed everything; 0: none.
    pub unlimited_at: u64,
    pub db: usize,
    pub name: String,
    pub lib_name: String,
    pub lib_version: String,
    pub class: Class,
    pub created: Instant,
    pub last_interaction: Instant,
    pub last_command: &'static str,
    pub reply_mode: ReplyMode,
    pub channels: BTreeSet<Box<[u8]>>,
    pub patterns: BTreeSet<Box<[u8]>>,
    pub shard_channels: BTreeSet<Box<[u8]>>,
    /// CLIENT TRACKING is on.
    pub tracks: bool,
    /// It is told of planned switchovers.
    pub maintenance: bool,
    /// It is shown every command.
    pub monitors: bool,
    /// Requests queued since MULTI; `None` outside.
    pub multi: Option<usize>,
    /// Keys being WATCHed.
    pub watching: usize,
    pub blocked: bool,
    pub no_evict: bool,
    /// Told to leave the age of keys alone; kept and shown.
    pub no_touch: bool,
    /// More waits for it than the soft limit allows, since then.
    pub over_soft_since: Option<Instant>,
    /// The connection ends after the replies of this batch.
    pub close: bool,
    /// No connection: speaks for a script.
    pub in_script: bool,
}

impl Session {
    pub fn new(
        id: SessionId,
        peer: SocketAddr,
        local: SocketAddr,
        outbox: Arc<Outbox>,
        now: Instant,
    ) -> Self {
        Session {
            id,
            peer,
            local,
            unix: None,
            outbox,
            protocol: Protocol::Resp2,
            authenticated: false,
            user: "default".to_owned(),
            unlimited_at: 0,
            db: 0,
            name: String::new(),
            lib_name: String::new(),
            lib_version: String::new(),
            class: Class::Normal,
            created: now,
            last_interaction: now,
            last_command: "NULL",
            reply_mode: ReplyMode::On,
            channels: BTreeSet::new(),
            patterns: BTreeSet::new(),
            shard_channels: BTreeSet::new(),
            tracks: false,
            monitors: false,
            maintenance: false,
            multi: None,
            watching: 0,
            blocked: false,
            no_evict: false,
            no_touch: false,
            over_soft_since: None,
            close: false,
            in_script: false,
        }
    }

    pub fn is_loopback(&self) -> bool {
        is_loopback(self.peer.ip())
    }

    /// Where it comes from, as Redis shows it.
    pub fn peer_text(&self) -> String {
        self.unix.as_ref().map_or_else(|| self.peer.to_string(), |path| format!("{path}:0"))
    }

    /// The end of the connection that is ours.
    pub fn local_text(&self) -> String {
        self.unix.as_ref().map_or_else(|| self.local.to_string(), |path| format!("{path}:0"))
    }

    pub fn is_subscribed(&self) -> bool {
        !self.channels.is_empty() || !self.patterns.is_empty() || !self.shard_channels.is_empty()
    }

    /// RESP2 has no other place for messages: a subscribed session may do little else.
    pub fn is_in_subscribe_mode(&self) -> bool {
        self.protocol == Protocol::Resp2 && self.is_subscribed()
    }
}

/// Whether an address is this machine's own, also when IPv4 comes dressed as IPv6.
pub fn is_loopback(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_loopback(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.to_ipv4_mapped().is_some_and(|ip| ip.is_loopback()),
    }
}

/// What the process says of itself in HELLO, and what it asks of everyone who comes.
#[derive(Clone, Debug)]
pub struct HubSettings {
    /// `standalone` or `sentinel`.
    pub mode: &'static str,
    /// The version that clients see, as `7.0.15`.
    pub version: String,
    pub protected_mode: bool,
    pub clients_max: usize,
    /// Bytes that may wait for a session: normal, replica, pubsub. 0: any number.
    pub output_bytes_max: [usize; 3],
    /// Bytes that may wait for it for this long, of the same classes. 0: any number.
    pub output_soft: [(usize, Duration); 3],
    /// Databases that SELECT knows.
    pub databases: usize,
    pub port: PortFacts,
}

/// Which words of a request are keys; an error in Redis' words.
pub type KeysOf = fn(&[&[u8]]) -> Result<Vec<usize>, String>;

/// What ACL must know of the port that it guards.
#[derive(Clone, Copy, Debug, Default)]
pub struct PortFacts {
    /// Whether there is a command of this name; absent: every one is taken to be.
    pub knows: Option<fn(&str) -> bool>,
    /// The positions of a request's keys, or the error that the request would get.
    pub keys: Option<KeysOf>,
    /// Fills with bytes that nobody can guess; whether it did.
    pub entropy: Option<fn(&mut [u8]) -> bool>,
}

impl HubSettings {
    pub fn output_bytes_max(&self, class: Class) -> usize {
        let max = self.output_bytes_max[class.index()];
        if max == 0 { usize::MAX } else { max }
    }
}

/// All that sessions of one port share.
#[derive(Debug)]
pub struct Hub {
    pub settings: HubSettings,
    /// `master`, `replica` or `sentinel`; HELLO tells it.
    pub role: &'static str,
    pub auth: Auth,
    pub pubsub: PubSub,
    pub tracking: tracking::Tracking,
    pub pause: Option<Pause>,
    /// `None` for the one whose requests run at this moment: it is in its caller's hands.
    sessions: BTreeMap<SessionId, Option<Box<Session>>>,
    /// The one that was taken out, and how it is to be spoken to.
    running: Option<(SessionId, Protocol, bool)>,
    /// Messages about planned switchovers so far, and whether one is under way.
    announced: u64,
    announcing: bool,
    next_id: SessionId,
    /// Those that have not logged in where they must, and some that have meanwhile.
    strangers: BTreeSet<SessionId>,
    pub connections_received: u64,
    pub connections_rejected: u64,
}

/// Why a connection is not taken. The text is written and the connection closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("-ERR max number of clients reached\r\n")]
    TooMany,
    #[error(
        "-DENIED Redis is running in protected mode because protected mode is enabled and no password is set for the default user. In this mode connections are only accepted from the loopback interface. If you want to connect from external computers to Redis you may adopt one of the following solutions: 1) Just disable protected mode sending the command 'CONFIG SET protected-mode no' from the loopback interface by connecting to Redis from the same host the server is running, however MAKE SURE Redis is not publicly accessible from internet if you do so. Use CONFIG REWRITE to make this change permanent. 2) Alternatively you can just disable the protected mode by editing the Redis configuration file, and setting the protected mode option to 'no', and then restarting the server. 3) If you started the server manually just for testing, restart it with the '--protected-mode no' option. 4) Setup a an authentication password for the default user. NOTE: You only need to do one of the above things in order for the server to start accepting connections from the outside.\r\n"
    )]
    Protected,
}

impl Hub {
    pub fn new(settings: HubSettings, password: Option<Vec<u8>>) -> Self {
        Hub {
            settings,
            role: "master",
            auth: Auth::new(password),
            pubsub: PubSub::default(),
            tracking: tracking::Tracking::default(),
            running: None,
            announced: 0,
            announcing: false,
            pause: None,
            sessions: BTreeMap::new(),
            next_id: 1,
            strangers: BTreeSet::new(),
            connections_received: 0,
            connections_rejected: 0,
        }
    }

    /// Takes a connection in, or says why not.
    pub fn open(
        &mut self,
        now: Now,
        peer: SocketAddr,
        local: SocketAddr,
        outbox: Arc<Outbox>,
    ) -> Result<SessionId, Refusal> {
        self.connections_received += 1;
        let strangers_max = STRANGERS_MAX.min(self.settings.clients_max / 4).max(1);
        if self.strangers.len() >= strangers_max {
            let sessions = &self.sessions;
            // The one whose requests run is in its caller's hands and counts on.
            self.strangers.retain(|id| match sessions.get(id) {
                Some(Some(session)) => !session.authenticated,
                Some(None) => true,
                None => false,
            });
        }
        let crowded = self.auth.is_required() && self.strangers.len() >= strangers_max;
        let refusal = if crowded || self.sessions.len() >= self.settings.clients_max {
            Some(Refusal::TooMany)
        } else if self.settings.protected_mode && !self.auth.is_required() && !is_loopback(peer.ip()) {
            Some(Refusal::Protected)
        } else {
            None
        };
        if let Some(refusal) = refusal {
            self.connections_rejected += 1;
            return Err(refusal);
        }
        let id = self.next_id;
        self.next_id += 1;
        let mut session = Session::new(id, peer, local, outbox, now.mono);
        session.authenticated = !self.auth.is_required();
        if !session.authenticated {
            self.strangers.insert(id);
        }
        self.sessions.insert(id, Some(Box::new(session)));
        Ok(id)
    }

    /// The same for one that came over the socket at `path`, which protected mode has nothing against.
    pub fn open_unix(
        &mut self,
        now: Now,
        path: &Arc<str>,
        outbox: Arc<Outbox>,
    ) -> Result<SessionId, Refusal> {
        let here = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let id = self.open(now, here, here, outbox)?;
        if let Some(Some(session)) = self.sessions.get_mut(&id) {
            session.unix = Some(path.clone());
        }
        Ok(id)
    }

    /// Forgets a session and its subscriptions.
    pub fn close(&mut self, id: SessionId) -> Option<Box<Session>> {
        self.strangers.remove(&id);
        let session = self.sessions.remove(&id)??;
        self.pubsub.forget(&session);
        self.tracking.forget(id);
        Some(session)
    }

    /// Takes a session out while its requests run; [`Hub::put_back`] ends that.
    pub fn take(&mut self, id: SessionId) -> Option<Box<Session>> {
        let session = self.sessions.get_mut(&id)?.take()?;
        self.running = Some((id, session.protocol, session.is_subscribed()));
        Some(session)
    }

    pub fn put_back(&mut self, session: Box<Session>) {
        self.running = None;
        if let Some(place) = self.sessions.get_mut(&session.id) {
            *place = Some(session);
        }
    }

    pub fn session(&self, id: SessionId) -> Option<&Session> {
        self.sessions.get(&id)?.as_deref()
    }

    pub fn session_mut(&mut self, id: SessionId) -> Option<&mut Session> {
        self.sessions.get_mut(&id)?.as_deref_mut()
    }

    /// In order of their ids, without the one whose requests run.
    pub fn others(&self) -> impl Iterator<Item = &Session> {
        self.sessions.values().filter_map(|session| session.as_deref())
    }

    pub fn len(&self) -> usize {
        self.sessions.len()
    }

    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// Closes those for which more than the soft limit waited for too long; who they were. To be called
    /// several times a second. Replicas are watched by replication, which also knows what it holds back.
    pub fn close_over_soft_limit(&mut self, now: Instant) -> Vec<String> {
        let mut closed = Vec::new();
        for session in self.sessions.values_mut().filter_map(|session| session.as_deref_mut()) {
            let (bytes_max, period) = self.settings.output_soft[session.class.index()];
            let is_over = bytes_max > 0
                && session.class != Class::Replica
                && session.outbox.has_pending()
                && session.outbox.len() > bytes_max;
            if !is_over {
                session.over_soft_since = None;
            } else if now.since(*session.over_soft_since.get_or_insert(now)) >= period {
                session.outbox.close(Close::Now);
                closed.push(session.peer_text());
            }
        }
        closed
    }

    /// Closes those for whom most waits until all together take no more than this; who they were. Replicas
    /// and those that asked for NO-EVICT stay. 0: any number of bytes.
    pub fn close_over_total(&mut self, bytes_max: u64) -> Vec<String> {
        if bytes_max == 0 {
            return Vec::new();
        }
        let size = |session: &Session| (size_of::<Session>() + session.outbox.len()) as u64;
        let may_go = |session: &&Session| session.class != Class::Replica && !session.no_evict;
        let mut total: u64 = self.others().filter(|session| session.class != Class::Replica).map(size).sum();
        let mut all: Vec<&Session> = self.others().filter(may_go).collect();
        all.sort_by_key(|session| std::cmp::Reverse(size(session)));
        let mut closed = Vec::new();
        for session in all {
            if total <= bytes_max {
                break;
            }
            total = total.saturating_sub(size(session));
            session.outbox.close(Close::Now);
            closed.push(session.peer_text());
        }
        closed
    }

    /// Closes those that `which` picks; how many.
    pub fn close_where(&self, mut which: impl FnMut(&Session) -> bool) -> usize {
        let mut count = 0;
        for session in self.others().filter(|session| which(session)) {
            session.outbox.close(Close::Now);
            count += 1;
        }
        count
    }
}

/// Reads argv, changes the session or the hub, writes one reply.
pub type Handler = fn(&mut Hub, &mut Session, Now, &[&[u8]], &mut Writer<'_>) -> Result<(), SessionError>;

/// A row of a family's table.
#[derive(Clone, Copy)]
pub struct SessionCommand {
    pub spec: CommandSpec,
    pub handler: Handler,
}

/// Every family's table.
pub const COMMANDS: [&[SessionCommand]; 4] =
    [handshake::COMMANDS, client::COMMANDS, subscribe::COMMANDS, acl::command::COMMANDS];

/// What the port of a data server has besides.
pub const DATA_COMMANDS: &[SessionCommand] = subscribe::SHARDED;

/// The row of a command, or `None` when the name is not a session's.
pub fn find(name: &[u8]) -> Option<&'static SessionCommand> {
    COMMANDS.iter().copied().flatten().find(|command| name.eq_ignore_ascii_case(command.spec.name.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_not_logged_in_gets_a_quarter_of_the_places() {
        let settings = HubSettings {
            mode: "standalone",
            version: String::new(),
            protected_mode: false,
            clients_max: 40,
            output_bytes_max: [0; 3],
            output_soft: Default::default(),
            databases: 1,
            port: PortFacts::default(),
        };
        let mut hub = Hub::new(settings, Some(b"secret".to_vec()));
        let address: SocketAddr = ([10, 0, 0, 1], 5).into();
        let now = Now::at_millis(0);
        let knock = |hub: &mut Hub| hub.open(now, address, address, Arc::default());
        let first: Vec<_> = (0..10).map(|_| knock(&mut hub).unwrap()).collect();
        assert_eq!(knock(&mut hub), Err(Refusal::TooMany));
        // One of them logs in, one leaves: two places.
        hub.session_mut(first[0]).unwrap().authenticated = true;
        hub.close(first[1]);
        assert!(knock(&mut hub).is_ok() && knock(&mut hub).is_ok());
        assert_eq!(knock(&mut hub), Err(Refusal::TooMany));
    }
}
