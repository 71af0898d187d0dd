//! One sentinel as a process: the core in the middle, its sockets, log and clock around it.
//!
//! Everything happens on one thread, in one loop: an input goes in, the actions that come out are
//! carried out strictly in their order, so what must be on disk before a message is sent is. Nothing
//! but the log's own commit is waited for. Has never heard of votes, masters or failovers.

mod announce;
mod asks;
mod clients;
mod connection;
mod drills;
mod errands;
mod founding;
mod identity;
mod material;
mod process;
mod rejoin;
mod secrets;
mod settling;
mod sources;
mod start;
mod view;
mod voters;

use crate::config::Secret;
use crate::config::sentinel::SentinelConfig;
use crate::consensus::Role;
use crate::daemon::acl_file;
use crate::daemon::alert_sender::AlertSender;
use crate::daemon::clock;
use crate::daemon::errand_runner::{ErrandRunner, News, Report};
use crate::daemon::logging;
use crate::daemon::shutdown::Shutdown;
use crate::daemon::small_text;
use crate::daemon::systemd::Notifier;
use crate::disk::raft_log::{AppendError, RaftLog};
use crate::model::event::{Event, Severity};
use crate::model::status::{Status, WebhookStatus};
use crate::model::webhook::Progress;
use crate::model::{Address, NodeId, TlsFault};
use crate::net::http::Door;
use crate::net::link::{LinkEvent, Links};
use crate::net::peer_link::{self, PeerLinks, Refusal};
use crate::net::served::{Arrived, Served};
use crate::net::stream::Stream;
use crate::sentinel::{Action, Auth, Input, LinkError, Sentinel};
use crate::session::{Outbox, acl};
use crate::stdx::time::{Duration, Instant, Now};
use asks::Asks;
use clients::{Clients, Wish};
use connection::Newcomer;
use material::Material;
use secrets::Secrets;
use slog::{Logger, debug, error, info, warn};
use sources::{Begun, Sources};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::{broadcast, mpsc, watch};
use view::{Answers, Cache};
use voters::Voters;

/// Why the process ends with status 1: one or two sentences with the remedy.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Fatal(pub String);

impl Fatal {
    fn because(error: impl std::fmt::Display) -> Self {
        Fatal(error.to_string())
    }
}

/// Messages to peers and to clients that were written last leave within this.
const LAST_WORDS: Duration = Duration::from_millis(100);
/// Inputs taken from one source before the others and the timer get their turn.
const TURN_INPUTS: usize = 64;
/// The page and the metrics are at most this old while nobody changes anything.
const STATUS_EVERY: Duration = Duration::from_secs(1);
/// What a start touches, and after it what a failover or an operator's command did.
const START: Duration = Duration::from_secs(5);
const SMALL_EVERY: Duration = Duration::from_secs(600);

/// Runs a sentinel until it is asked to stop (`Ok`) or cannot go on.
pub fn run(config: SentinelConfig, logger: Logger) -> Result<(), Fatal> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Fatal(format!("cannot start: {error}")))?;
    runtime.block_on(async {
        let shutdown = Shutdown::on_signals().map_err(Fatal::because)?;
        let Some((shell, first)) = start::start(config, logger, shutdown).await? else { return Ok(()) };
        // As a task: to wake the future that `block_on` drives, the runtime writes to itself each time.
        match tokio::spawn(shell.run(first)).await {
            Ok(ended) => ended,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(error) => Err(Fatal::because(error)),
            },
        }
    })
}

/// The core and everything around it.
struct Shell {
    logger: Logger,
    core: Sentinel,
    log: RaftLog,
    /// Actions that wait until those before them have left this thread.
    held: Vec<Action>,
    /// The cluster that the log is bound to; empty until the fleet has a name.
    cluster: String,
    links: Links<Address>,
    peers: PeerLinks,
    material: Material,
    fresh_secrets: mpsc::Receiver<Secrets>,
    secrets: Secrets,
    tls_told: BTreeMap<Address, TlsFault>,
    door: Arc<Door>,
    voters: Voters,
    to_peers: mpsc::Receiver<Stream>,
    peer_events: mpsc::Receiver<peer_link::LinkEvent>,
    clients: Clients,
    served: Served,
    newcomers: mpsc::Receiver<Newcomer>,
    /// What users of the HTTP side ask for.
    asks: Asks,
    alerts: AlertSender,
    alert_progress: mpsc::UnboundedReceiver<Progress>,
    alert_status: watch::Receiver<Vec<WebhookStatus>>,
    errands: ErrandRunner,
    errand_news: mpsc::UnboundedReceiver<News>,
    errand_reports: Vec<Report>,
    status: watch::Sender<Arc<Status>>,
    events: broadcast::Sender<Event>,
    cache: Cache,
    drills: drills::DrillRunner,
    notifier: Notifier,
    sources: Sources,
    started: Instant,
    status_due: Instant,
    small_due: Instant,
    told_role: Option<(Role, u64, Option<NodeId>)>,
    members_version: u64,
    told_removed: bool,
    stopping: Option<String>,
    /// The log could not be written and the others were told: nothing may be done any more.
    last_words_said: bool,
}

impl Shell {
    async fn run(mut self, first: Vec<Action>) -> Result<(), Fatal> {
        let ended = self.work(first).await;
        if ended.is_ok() || self.last_words_said {
            let words = async {
                loop {
                    self.served.next().await;
                }
            };
            // That it takes all its time is what is meant.
            let _ = tokio::time::timeout(LAST_WORDS, words).await;
        }
        ended
    }

    async fn work(&mut self, first: Vec<Action>) -> Result<(), Fatal> {
        self.carry_out(clock::now(), first)?;
        self.notifier.ready("in touch with nobody yet");
        loop {
            let now = clock::now();
            self.notifier.beat(now.mono);
            if self.core.next_wakeup().is_some_and(|at| at <= now.mono) {
                self.input(now, Input::Tick)?;
            }
            self.tend_errands(now)?;
            self.settle().await?;
            self.look_around(now)?;
            if let Some(reason) = self.stopping.take() {
                info!(self.logger, "stopping"; "reason" => reason);
                return self.stop().await;
            }
            self.links.flush();
            match self.begin_turn(now).await {
                Begun::Peer(event) => self.peer(event)?,
                Begun::PeerConnection(stream) => self.peers.accept(stream),
                Begun::Link(event) => self.link(event)?,
                Begun::Client(arrived) => self.client(arrived)?,
                Begun::Newcomer(newcomer) => self.accept(newcomer),
                Begun::Secrets(secrets) => self.take_up(*secrets)?,
                Begun::Webhook(progress) => self.input(clock::now(), Input::Webhook(progress))?,
                Begun::Ask(ask) => self.ask(ask)?,
                Begun::DrillEnded(card) => self.input(clock::now(), Input::DrillEnded { card })?,
                Begun::Errand(news) => self.errand_news(news)?,
                Begun::Stop(name) => self.stopping = Some(name.to_owned()),
                Begun::Time => {}
            }
            // What has arrived meanwhile, without a trip through the runtime for each.
            for _ in 0..TURN_INPUTS {
                if !self.held.is_empty() {
                    break;
                }
                if let Ok(event) = self.peer_events.try_recv() {
                    self.peer(event)?;
                } else if let Some(event) = self.links.told() {
                    self.link(event)?;
                } else {
                    break;
                }
            }
        }
    }

    fn input(&mut self, now: Now, input: Input) -> Result<(), Fatal> {
        let mut actions = Vec::new();
        self.core.handle(now, input, &mut actions);
        self.carry_out(now, actions)
    }

    fn peer(&mut self, event: peer_link::LinkEvent) -> Result<(), Fatal> {
        use peer_link::LinkEvent;
        let now = clock::now();
        match event {
            LinkEvent::Up { peer } => {
                info!(self.logger, "peer connected"; "peer" => peer.id);
                let peer_link::PeerIdentity { id, uuid, address, .. } = peer;
                let run_id = identity::my_id(&uuid);
                self.input(now, Input::PeerUp { id, uuid, run_id, address })
            }
            LinkEvent::Down { id, why } => {
                warn!(self.logger, "peer disconnected"; "peer" => id, "why" => why);
                self.input(now, Input::PeerDown { id })
            }
            LinkEvent::Message { from, message } => self.input(now, Input::Peer { from, message }),
            LinkEvent::Failed { whom, error, fatal: None } => {
                warn!(self.logger, "no link to {}: {}", whom, error);
                Ok(())
            }
            LinkEvent::Duplicate { id } => {
                warn!(self.logger, "another process claims the id of a living peer and was turned away";
                    "peer" => id);
                self.input(now, Input::PeerDuplicate { id })
            }
            LinkEvent::Failed { whom, fatal: Some(Refusal::Removed), .. } => {
                warn!(self.logger, "{} says that this sentinel was removed from the fleet", whom);
                self.input(now, Input::Removed)
            }
            LinkEvent::Failed { whom, fatal: Some(refusal), .. } => {
                let config = self.core.config();
                let dir = config.dir.display();
                let remedy = rejoin::remedy(config, self.core.ledger().membership.next_id());
                Err(Fatal(format!("{dir}: {whom} refuses this sentinel: {refusal}. {remedy}")))
            }
        }
    }

    fn link(&mut self, event: LinkEvent<Address>) -> Result<(), Fatal> {
        let input = match event {
            LinkEvent::Up { whom: instance } => {
                debug!(self.logger, "link up"; "instance" => %instance);
                self.tls_told.remove(&instance);
                Input::LinkUp { instance }
            }
            LinkEvent::Down { whom: instance, why } => {
                debug!(self.logger, "link down"; "instance" => %instance, "why" => ?why);
                self.tell_of_tls(&instance, why);
                Input::LinkDown { instance, why }
            }
            LinkEvent::Replied { whom: instance, request, reply } => {
                Input::Replied { instance, request, reply }
            }
        };
        // A link that was given up meanwhile may still have said something.
        let (Input::LinkUp { instance } | Input::LinkDown { instance, .. } | Input::Replied { instance, .. }) =
            &input
        else {
            return Ok(());
        };
        if !self.links.has(instance) {
            return Ok(());
        }
        self.input(clock::now(), input)
    }

    /// Once for each instance and fault: it is dialled again and again meanwhile.
    fn tell_of_tls(&mut self, instance: &Address, why: LinkError) {
        if let LinkError::Tls(fault) = why
            && self.tls_told.insert(instance.clone(), fault) != Some(fault)
        {
            error!(self.logger, "no TLS session with {}: {}", instance, fault);
        }
    }

    fn client(&mut self, arrived: Arrived) -> Result<(), Fatal> {
        let (id, count) = match arrived {
            Arrived::Bytes { id, count } => (id, count),
            Arrived::End { id } => {
                self.clients.close(id);
                return Ok(());
            }
        };
        let now = clock::now();
        let mut wishes = Vec::new();
        let Shell { core, cache, clients, errands, alert_status, served, .. } = self;
        let mut source = view::answers(core, cache, now, self.started, clients, errands, alert_status);
        clients.feed(now, id, served.bytes(count), &mut source, &mut wishes);
        served.answer(id);
        self.grant(now, wishes)
    }

    /// Everything there is to say, and those who ask: borrowed side by side.
    fn answers(&mut self, now: Now) -> (Answers<'_>, &mut Clients) {
        let Shell { core, cache, clients, errands, alert_status, .. } = self;
        let answers = view::answers(core, cache, now, self.started, clients, errands, alert_status);
        (answers, &mut self.clients)
    }

    fn accept(&mut self, Newcomer { stream, from }: Newcomer) {
        let local = stream.local_addr().unwrap_or(from);
        let outbox = Arc::new(Outbox::default());
        match self.clients.open(clock::now(), from, local, outbox.clone()) {
            Ok(id) => self.served.add(id, stream, outbox),
            Err(refusal) => connection::refuse(stream, refusal),
        }
    }

    /// What clients' requests ask of the core.
    fn grant(&mut self, now: Now, wishes: Vec<Wish>) -> Result<(), Fatal> {
        for wish in wishes {
            match wish {
                Wish::Shutdown { session } => self.stopping = Some(format!("SHUTDOWN of session {session}")),
                Wish::AclFile { session, order } => {
                    let result = acl_file::carry_out(self.core.config().aclfile.as_deref(), &order);
                    let text = match (&order, &result) {
                        (acl::Order::Save { text }, Ok(_)) | (acl::Order::Load, Ok(text)) => {
                            Some(text.clone())
                        }
                        _ => None,
                    };
                    let answer = self.clients.acl_file_done(&order, result);
                    // What was just written, or read, is no news: users that are set meanwhile would be lost.
                    if let Some(text) = text.filter(|_| answer.starts_with(b"+")) {
                        self.secrets.users = Some(Secret::new(text));
                    }
                    let mut more = Vec::new();
                    let (mut source, clients) = self.answers(now);
                    clients.respond(now, session, &answer, &mut source, &mut more);
                    self.grant(now, more)?;
                }
                Wish::Simulate { flags } => {
                    self.cache.forget();
                    self.core.simulate_failure(flags);
                }
                Wish::LogLevel(word) => {
                    self.cache.forget();
                    if let Some(level) = logging::level_named(&word) {
                        logging::set_level(level);
                    }
                }
                Wish::Submit { session, command } => {
                    let mut actions = Vec::new();
                    self.core.propose_command(now, session, &command, &mut actions);
                    self.carry_out(now, actions)?;
                }
            }
        }
        Ok(())
    }

    /// In the order given: what must be on disk before a message leaves stands before it.
    fn carry_out_now(&mut self, now: Now, actions: Vec<Action>) -> Result<(), Fatal> {
        let mut wishes = Vec::new();
        for action in actions {
            match action {
                Action::Persist(persist) => {
                    if let Err(error) = self.log.append(&persist) {
                        return Err(self.say_last_words(&error));
                    }
                }
                // A peer that is away misses it; Raft and the beats expect that.
                Action::SendPeer { to, message } => drop(self.peers.send(to, &message)),
                Action::Watch { instance, auth } => self.watch(instance, auth),
                Action::Unwatch { instance } => self.links.remove(&instance),
                Action::Dial { instance, timeout_ms } => {
                    self.links.dial(&instance, Duration::from_millis(timeout_ms));
                }
                Action::Hangup { instance } => self.links.hangup(&instance),
                Action::Send { instance, request, argv } => self.links.send(&instance, request, &argv),
                Action::Emit { event, replayed } => self.emit(event, replayed),
                Action::Respond { session, bytes } => {
                    self.cache.forget();
                    if self.asks.answer(session, &bytes) {
                        continue;
                    }
                    let (mut source, clients) = self.answers(now);
                    clients.respond(now, session, &bytes, &mut source, &mut wishes);
                }
                Action::Webhook { name, office } => match office {
                    Some(office) => self.alerts.own(&name, office),
                    None => self.alerts.disown(&name),
                },
                Action::Errands { from } => self.own_errands(now, from),
                Action::AskHook { group, epoch, hook, body } => self.errands.ask(group, epoch, hook, body),
                Action::Exit { status, why } => {
                    // Not through the log: its writer would have to be waited for.
                    eprintln!("SIMULATE-FAILURE {why}: this process ends now with status {status}");
                    std::process::exit(status);
                }
                Action::Drill(drill) => self.drills.start(&drill, &self.core),
                Action::DrillAbort { id, reason } => self.drills.abort(id, reason),
                Action::Fatal { message, rejoin } => {
                    let next = self.core.ledger().membership.next_id();
                    let remedy = rejoin.then(|| rejoin::remedy(self.core.config(), next));
                    return Err(Fatal(
                        [Some(message), remedy].into_iter().flatten().collect::<Vec<_>>().join(". "),
                    ));
                }
            }
        }
        self.grant(now, wishes)
    }

    fn watch(&mut self, instance: Address, auth: Option<Auth>) {
        if self.links.has(&instance) {
            // Counts for the next login; a connection that is up has proven itself.
            return self.links.log_in_with(&instance, auth);
        }
        let group = self.core.ledger().group_of(&instance).map_or("", |group| &group.name);
        let route = self.material.route(group);
        self.links.add(instance.clone(), instance, auth, route);
    }

    /// Secrets that were read again: each counts where it is used from now on.
    fn take_up(&mut self, fresh: Secrets) -> Result<(), Fatal> {
        let mut news = Vec::new();
        if fresh.cluster != self.secrets.cluster {
            match start::cluster_secret(&fresh) {
                Ok(secret) => {
                    self.peers.set_secret(secret);
                    news.push("cluster-secret-file");
                }
                Err(Fatal(why)) => {
                    error!(self.logger, "{}; the cluster secret read before stays in force", why)
                }
            }
        }
        if fresh.requirepass != self.secrets.requirepass {
            self.clients.set_password(fresh.requirepass.as_ref());
            news.push("requirepass-file");
        }
        if fresh.sentinel_pass != self.secrets.sentinel_pass {
            news.push("sentinel-pass-file");
        }
        if fresh.users != self.secrets.users {
            match self.clients.load_users(fresh.users.as_ref(), &self.core.config().users) {
                Ok(()) => news.push("aclfile"),
                Err(why) => error!(self.logger, "{}; the users read before stay in force", why),
            }
        }
        if fresh.http_users != self.secrets.http_users {
            self.door.replace(fresh.http_users());
            news.push("http-users");
        }
        if fresh.masters != self.secrets.masters || fresh.cluster != self.secrets.cluster {
            if fresh.masters != self.secrets.masters {
                news.push("auth-pass-file");
            }
            let (by_group, cluster) = (fresh.masters.clone(), fresh.cluster.clone());
            let input = Input::Credentials { by_group, cluster };
            self.input(clock::now(), input)?;
            for group in self.core.unreadable_passwords() {
                error!(
                    self.logger,
                    "the password that was set for '{}' does not open with this cluster secret: set it again with SENTINEL SET {} auth-pass",
                    group,
                    group
                );
            }
        }
        for (webhook, text) in &fresh.webhooks {
            if self.secrets.webhooks.get(webhook) == Some(text) {
                continue;
            }
            match self.alerts.renew(webhook, text.expose()) {
                Ok(()) => news.push("secret-file of a webhook"),
                Err(why) => error!(self.logger, "{}; the secrets read before stay in force", why),
            }
        }
        if news.is_empty() {
            info!(self.logger, "the secrets are as they were");
        } else {
            info!(self.logger, "new secrets are in force: {}", news.join(", "));
        }
        self.drills.renew(&fresh);
        self.secrets = fresh;
        Ok(())
    }

    fn emit(&mut self, event: Event, replayed: bool) {
        self.cache.forget();
        if !replayed {
            match event.kind.row().severity {
                Severity::Warning => warn!(self.logger, "{} {}", event.kind.name(), event.payload;
                    "event" => event.id, "epoch" => event.epoch),
                Severity::Notice => info!(self.logger, "{} {}", event.kind.name(), event.payload;
                    "event" => event.id, "epoch" => event.epoch),
                Severity::Verbose => debug!(self.logger, "{} {}", event.kind.name(), event.payload;
                    "event" => event.id, "epoch" => event.epoch),
            }
            self.clients.publish(&event);
            // Nobody may be listening.
            let _ = self.events.send(event.clone());
            self.status_due = Instant::ZERO;
        }
        self.run_errands(&event);
        self.alerts.event(event);
    }

    /// What follows from the core's state and is no action: the log's name, the log line, the page.
    fn look_around(&mut self, now: Now) -> Result<(), Fatal> {
        let cluster = &self.core.ledger().cluster_id;
        if *cluster != self.cluster {
            self.log.bind_cluster(cluster).map_err(Fatal::because)?;
            self.peers.set_cluster(cluster);
            self.alerts.named(cluster);
            self.cluster.clone_from(cluster);
        }
        if self.members_version != self.core.members_version() {
            self.members_version = self.core.members_version();
            self.voters.update(&self.core);
            self.peers.set_peers(self.core.reach());
            self.peers.set_statement(founding::statement(&self.core));
            if self.core.is_removed() && !std::mem::replace(&mut self.told_removed, true) {
                self.cache.forget();
                warn!(self.logger, "this sentinel was removed from the fleet: it votes no more and names no \
                    master; stop it, and remove its directory"; "id" => self.core.id());
            }
        }
        let role = (self.core.role(), self.core.term(), self.core.leader());
        if self.told_role != Some(role) {
            self.told_role = Some(role);
            self.cache.forget();
            self.status_due = now.mono;
            let leader = role.2.map_or_else(|| "none".to_owned(), |id| id.to_string());
            info!(self.logger, "{}", role.0.name(); "term" => role.1, "leader" => leader);
        }
        if self.small_due <= now.mono {
            self.small_due = now.mono + SMALL_EVERY;
            small_text::let_go();
        }
        if self.status_due <= now.mono {
            self.status_due = now.mono + STATUS_EVERY;
            self.clients.send_strangers_away(now);
            self.served.cut_off_the_stuck();
            // Made for those who look: the page and the metrics, and systemd's status line.
            if self.core.config().http.is_some() || self.notifier.is_heard() {
                let status = self.answers(now).0.status();
                self.notifier.status(&summary(&status));
                self.status.send_replace(Arc::new(status));
            }
        }
        Ok(())
    }

    /// What was not written did not happen, so no vote and no acknowledgement leaves after this.
    fn say_last_words(&mut self, error: &AppendError) -> Fatal {
        for (to, message) in self.core.last_words() {
            let _ = self.peers.send(to, &message);
        }
        self.last_words_said = true;
        Fatal::because(error)
    }
}

/// The line of `systemctl status`.
fn summary(status: &Status) -> String {
    let sick: Vec<String> = status
        .groups
        .iter()
        .filter(|group| group.situation != "ok")
        .map(|group| format!("{}: {}", group.name, group.situation))
        .collect();
    let groups = status.groups.len();
    let health = if sick.is_empty() { "all well".to_owned() } else { sick.join(", ") };
    let touch = if status.fresh { "" } else { ", out of touch with the majority" };
    format!("{}{touch}; {groups} groups, {health}", status.raft_role)
}
