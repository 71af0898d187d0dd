//! Everyone who talks to the sentinel port as a client: their bytes cut into requests, each answered
//! by the session layer or by `sentinel::api`, in order. A request that waits for the leader holds
//! back what the same client sent after it, and nobody else.

use crate::config::Secret;
use crate::config::acl_users::UserLine;
use crate::model::Address;
use crate::model::event::{Event, EventKind};
use crate::resp::spec::NO_AUTH;
use crate::resp::{Limits, Parser, Protocol, Writer};
use crate::sentinel::api::{self, DrillQuery, Facts, Outcome, ProcessFacts};
use crate::sentinel::command::Command;
use crate::sentinel::ledger::Ledger;
use crate::session::acl::Order;
use crate::session::{self, Close, Hub, HubSettings, Outbox, PortFacts, Session, SessionId};
use crate::stdx::time::{Duration, Now};
use smallvec::SmallVec;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

/// What a request asks of the core or of the process.
#[derive(Debug)]
pub(super) enum Wish {
    Submit { session: SessionId, command: Command },
    Shutdown { session: SessionId },
    AclFile { session: SessionId, order: Order },
    Simulate { flags: u8 },
    LogLevel(String),
}

/// What answers are made from, made at most once for a run of requests and only if needed.
pub(super) trait Source {
    fn facts(&mut self) -> &Facts;
    /// The whole answer to SENTINEL MASTERS.
    fn masters(&mut self, protocol: Protocol) -> &[u8];
    /// Where a group's master is, if that may be said.
    fn master_of(&self, group: &[u8]) -> Option<Cow<'_, Address>>;
    fn status_json(&mut self) -> Vec<u8>;
    fn ledger(&self) -> &Ledger;
    fn explain_json(&mut self, group: &str) -> Vec<u8>;
    /// What is known of drills; nothing when there is no such one.
    fn drill_json(&mut self, query: DrillQuery) -> Option<Vec<u8>>;
}

/// Who must log in does so within this.
const LOGIN_PATIENCE: Duration = Duration::from_secs(10);
pub(super) const CLIENTS_MAX: usize = 10_000;
const OUTPUT_BYTES_MAX: usize = 32 << 20;
const PUBSUB_BYTES_MAX: usize = 8 << 20;
/// No SENTINEL command needs more; an operator's longest line is far below it.
const LIMITS: Limits = Limits {
    args_max: 4096,
    bulk_bytes_max: 64 * 1024,
    inline_bytes_max: 64 * 1024,
    request_bytes_max: 1 << 20,
};
/// What may wait behind a request that is at the leader.
const WAITING_BYTES_MAX: usize = 2 << 20;

pub(super) struct Clients {
    hub: Hub,
    clients: BTreeMap<SessionId, Client>,
    pub commands_total: u64,
    input_bytes_total: u64,
    output_bytes_total: u64,
    reads_total: u64,
    writes_total: u64,
    errors_total: u64,
    /// Clients whose request is at the leader.
    waiting: usize,
}

#[derive(Default)]
struct Client {
    input: Vec<u8>,
    parser: Parser,
    waiting: Option<Waiting>,
}

struct Waiting {
    /// RESET answers with a number.
    count: Option<i64>,
}

impl Clients {
    pub(super) fn new(protected_mode: bool, password: Option<&Secret>) -> Self {
        let settings = HubSettings {
            mode: "sentinel",
            version: api::info::REDIS_VERSION.to_owned(),
            protected_mode,
            clients_max: CLIENTS_MAX,
            output_bytes_max: [OUTPUT_BYTES_MAX, OUTPUT_BYTES_MAX, PUBSUB_BYTES_MAX],
            output_soft: Default::default(),
            databases: 1,
            port: PortFacts {
                knows: Some(|name| session::find(name.as_bytes()).is_some() || api::general::knows(name)),
                keys: None,
                entropy: Some(|bytes| getrandom::fill(bytes).is_ok()),
            },
        };
        let mut hub = Hub::new(settings, password.map(|secret| secret.expose().as_bytes().to_vec()));
        hub.role = "sentinel";
        Clients {
            hub,
            clients: BTreeMap::new(),
            commands_total: 0,
            input_bytes_total: 0,
            output_bytes_total: 0,
            reads_total: 0,
            writes_total: 0,
            errors_total: 0,
            waiting: 0,
        }
    }

    /// The password of the default user from now on; who is logged in stays so.
    pub(super) fn set_password(&mut self, password: Option<&Secret>) {
        self.hub.auth.set_password(password.map(|secret| secret.expose().as_bytes()));
    }

    /// Closes those that should have logged in by now. To be called now and then.
    pub(super) fn send_strangers_away(&self, now: Now) {
        let late = |session: &Session| now.mono.since(session.created) > LOGIN_PATIENCE;
        self.hub.close_where(|session| !session.authenticated && late(session));
    }

    /// Users of the configuration, or of the file that it names.
    pub(super) fn load_users(&mut self, text: Option<&Secret>, lines: &[UserLine]) -> Result<(), String> {
        let acl = &mut self.hub.auth.acl;
        match text {
            Some(text) => {
                acl.has_file = true;
                acl.load(text.expose(), "aclfile")
            }
            None => acl.define(lines.iter().map(|line| line.0.as_str())),
        }
    }

    /// The file was read or written: what the one who asked is told.
    pub(super) fn acl_file_done(&mut self, order: &Order, result: Result<String, String>) -> Vec<u8> {
        match self.hub.acl_file_done(order, result) {
            Ok(()) => b"+OK\r\n".to_vec(),
            Err(why) => format!("-{}\r\n", why.replace(['\r', '\n'], " ")).into_bytes(),
        }
    }

    /// Takes a connection in; without an id it is refused with these bytes.
    pub(super) fn open(
        &mut self,
        now: Now,
        from: SocketAddr,
        local: SocketAddr,
        outbox: Arc<Outbox>,
    ) -> Result<SessionId, String> {
        let id = self.hub.open(now, from, local, outbox).map_err(|refusal| refusal.to_string())?;
        self.clients.insert(id, Client::default());
        Ok(id)
    }

    pub(super) fn close(&mut self, id: SessionId) {
        self.hub.close(id);
        let gone = self.clients.remove(&id);
        self.waiting -= usize::from(gone.is_some_and(|client| client.waiting.is_some()));
    }

    /// What INFO says of clients.
    pub(super) fn facts(&self) -> ProcessFacts {
        ProcessFacts {
            clients: self.clients.len(),
            clients_max: CLIENTS_MAX,
            clients_waiting: self.waiting,
            connections_total: self.hub.connections_received,
            connections_rejected: self.hub.connections_rejected,
            commands_total: self.commands_total,
            errors_total: self.errors_total,
            input_bytes_total: self.input_bytes_total,
            output_bytes_total: self.output_bytes_total,
            reads_total: self.reads_total,
            writes_total: self.writes_total,
            pubsub_channels: self.hub.pubsub.channel_count(),
            pubsub_patterns: self.hub.pubsub.pattern_count(),
            ..ProcessFacts::default()
        }
    }

    /// Bytes of a client: every whole request in them is answered or put to the leader.
    pub(super) fn feed(
        &mut self,
        now: Now,
        id: SessionId,
        bytes: &[u8],
        source: &mut dyn Source,
        wishes: &mut Vec<Wish>,
    ) {
        self.reads_total += 1;
        self.input_bytes_total += bytes.len() as u64;
        let Some(client) = self.clients.get_mut(&id) else { return };
        client.input.extend_from_slice(bytes);
        if client.waiting.is_some() {
            if client.input.len() > WAITING_BYTES_MAX
                && let Some(session) = self.hub.session(id)
            {
                session.outbox.close(Close::Now);
            }
            return;
        }
        self.run(now, id, source, wishes);
    }

    /// The leader's answer to a submitted command; the client's next requests follow.
    pub(super) fn respond(
        &mut self,
        now: Now,
        id: SessionId,
        answer: &[u8],
        source: &mut dyn Source,
        wishes: &mut Vec<Wish>,
    ) {
        let Some(waiting) = self.clients.get_mut(&id).and_then(|client| client.waiting.take()) else {
            return;
        };
        self.waiting -= 1;
        let mut out = Vec::new();
        let mut writer = Writer::new(&mut out, Protocol::Resp2);
        match waiting.count.filter(|_| answer == b"+OK\r\n") {
            Some(count) => writer.integer(count),
            None => writer.raw(answer),
        }
        if let Some(session) = self.hub.session(id) {
            session.outbox.push(out.into(), OUTPUT_BYTES_MAX);
        }
        self.run(now, id, source, wishes);
    }

    /// An agreed event on its channel, and on the two that some clients listen to instead.
    pub(super) fn publish(&self, event: &Event) {
        let also = match event.kind {
            EventKind::SwitchMaster => Some("switch-master"),
            EventKind::ReconfDone => Some("+replica-reconf-done"),
            _ => None,
        };
        for channel in std::iter::once(event.kind.name()).chain(also) {
            self.hub.pubsub.publish(channel.as_bytes(), event.payload.as_bytes(), PUBSUB_BYTES_MAX);
        }
    }

    fn run(&mut self, now: Now, id: SessionId, source: &mut dyn Source, wishes: &mut Vec<Wish>) {
        let Some(mut session) = self.hub.take(id) else { return };
        let Some(mut client) = self.clients.remove(&id) else {
            self.hub.put_back(session);
            return;
        };
        let mut out = Vec::new();
        let mut used = 0;
        while client.waiting.is_none() && !session.close {
            let limits = if session.authenticated { &LIMITS } else { &Limits::BEFORE_AUTH };
            let rest = &client.input[used..];
            let length = match client.parser.cut(rest, limits) {
                Ok(None) => break,
                Ok(Some(length)) => length,
                Err(error) => {
                    Writer::new(&mut out, session.protocol).error(&format!("ERR {error}"));
                    session.close = true;
                    break;
                }
            };
            let mut argv: SmallVec<[&[u8]; 8]> = SmallVec::new();
            client.parser.words(rest, &mut argv);
            if !argv.is_empty() {
                self.commands_total += 1;
                let mark = out.len();
                let mut request = Request { hub: &mut self.hub, session: &mut session, now, wishes };
                client.waiting = request.run(&argv, &mut out, source);
                self.waiting += usize::from(client.waiting.is_some());
                self.errors_total += u64::from(out.get(mark) == Some(&b'-'));
            }
            used += length;
        }
        client.input.drain(..used);
        if !out.is_empty() {
            self.writes_total += 1;
            self.output_bytes_total += out.len() as u64;
            session.outbox.push(out.into(), OUTPUT_BYTES_MAX);
        }
        if session.close {
            session.outbox.close(Close::AfterFlush);
        }
        self.clients.insert(id, client);
        self.hub.put_back(session);
    }
}

/// One request of one session.
struct Request<'a> {
    hub: &'a mut Hub,
    session: &'a mut Session,
    now: Now,
    wishes: &'a mut Vec<Wish>,
}

impl Request<'_> {
    fn run(&mut self, argv: &[&[u8]], out: &mut Vec<u8>, source: &mut dyn Source) -> Option<Waiting> {
        self.session.last_interaction = self.now.mono;
        let mut reply = Writer::new(out, self.session.protocol);
        // PUBLISH is the sentinel's own: it takes hello messages only.
        let own = argv[0].eq_ignore_ascii_case(b"PUBLISH");
        let row = session::find(argv[0]).filter(|_| !own);
        if !self.session.authenticated && !row.is_some_and(|row| row.spec.has(NO_AUTH)) {
            reply.error("NOAUTH Authentication required.");
            return None;
        }
        let always = row.is_some_and(|row| row.spec.has(NO_AUTH));
        if !always && let Some(refusal) = self.hub.refuses(self.session, self.now, argv, Vec::new) {
            reply.error(&refusal);
            return None;
        }
        if self.session.is_in_subscribe_mode() && !allowed_while_subscribed(argv[0]) {
            let name: String = String::from_utf8_lossy(argv[0]).chars().take(64).collect();
            reply.error(&format!(
                "ERR Can't execute '{}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context",
                name.to_ascii_lowercase()
            ));
            return None;
        }
        if let Some(row) = row {
            self.session.last_command = row.spec.name;
            if !row.spec.arity.accepts(argv.len()) {
                reply.error(&format!("ERR wrong number of arguments for '{}' command", row.spec.name));
                return None;
            }
            let mark = reply.len();
            if let Err(error) = (row.handler)(self.hub, self.session, self.now, argv, &mut reply) {
                reply.truncate(mark);
                reply.error(&error.to_string());
            }
            let order = self.hub.auth.acl.order.take()?;
            self.wishes.push(Wish::AclFile { session: self.session.id, order });
            return Some(Waiting { count: None });
        }
        self.session.last_command = "sentinel";
        if often_asked(argv, source, &mut reply) {
            return None;
        }
        match api::execute(source.facts(), argv, &mut reply) {
            Outcome::Replied => None,
            Outcome::Close => {
                self.session.close = true;
                None
            }
            Outcome::Publish => {
                self.hub.pubsub.publish(argv[1], argv[2], PUBSUB_BYTES_MAX);
                None
            }
            Outcome::Simulate { flags } => {
                self.wishes.push(Wish::Simulate { flags });
                None
            }
            Outcome::LogLevel(word) => {
                self.wishes.push(Wish::LogLevel(word));
                None
            }
            Outcome::Status => {
                reply.bulk(&source.status_json());
                None
            }
            Outcome::Incidents { group } => {
                let incidents = &source.ledger().incidents;
                let chosen: Vec<_> = match &group {
                    Some(group) => incidents.of(group).collect(),
                    None => incidents.iter().collect(),
                };
                // Every key of a record is text, so writing it cannot fail.
                reply.bulk(&serde_json::to_vec(&chosen).unwrap_or_default());
                None
            }
            Outcome::Incident { id } => {
                match source.ledger().incidents.get(&id) {
                    Some(incident) => reply.bulk(&serde_json::to_vec(incident).unwrap_or_default()),
                    None => reply.error("ERR No such incident; SENTINEL INCIDENTS lists them"),
                }
                None
            }
            Outcome::Explain { group } => {
                reply.bulk(&source.explain_json(&group));
                None
            }
            Outcome::Drill(query) => {
                match source.drill_json(query) {
                    Some(json) => reply.bulk(&json),
                    None => reply.null(),
                }
                None
            }
            Outcome::Shutdown => {
                self.wishes.push(Wish::Shutdown { session: self.session.id });
                self.session.close = true;
                None
            }
            Outcome::Submit { command, count } => {
                self.wishes.push(Wish::Submit { session: self.session.id, command });
                Some(Waiting { count })
            }
        }
    }
}

/// The two questions that clients ask on every new connection, answered without making anything.
fn often_asked(argv: &[&[u8]], source: &mut dyn Source, reply: &mut Writer<'_>) -> bool {
    let is = |word: &[u8], names: &[&[u8]]| names.iter().any(|name| word.eq_ignore_ascii_case(name));
    if !is(argv[0], &[b"SENTINEL"]) {
        return false;
    }
    match argv[1..] {
        [word] if is(word, &[b"MASTERS", b"PRIMARIES"]) => {
            let protocol = reply.protocol();
            reply.raw(source.masters(protocol));
            true
        }
        [word, group] if is(word, &[b"GET-MASTER-ADDR-BY-NAME", b"GET-PRIMARY-ADDR-BY-NAME"]) => {
            api::write_address(source.master_of(group).as_deref(), reply);
            true
        }
        _ => false,
    }
}

fn allowed_while_subscribed(name: &[u8]) -> bool {
    const NAMES: [&[u8]; 9] = [
        b"SUBSCRIBE",
        b"UNSUBSCRIBE",
        b"PSUBSCRIBE",
        b"PUNSUBSCRIBE",
        b"SSUBSCRIBE",
        b"SUNSUBSCRIBE",
        b"PING",
        b"QUIT",
        b"RESET",
    ];
    NAMES.iter().any(|allowed| name.eq_ignore_ascii_case(allowed))
}
