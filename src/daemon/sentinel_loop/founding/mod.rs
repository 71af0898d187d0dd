//! The time before there is a fleet (`--bootstrap-expect`): the founding core in the middle, the hello
//! channel, the questions to other sentinels and the clients' door around it.
//!
//! It ends with an id and the voters, which from then on stand in `founding.json`; the sentinel then starts
//! as one whose `peers` were written by hand, and never comes here again. Questions of others are answered by
//! [`statement`] for as long as it lives.

mod door;
mod file;
mod greeter;

use super::connection::Newcomer;
use super::material::Material;
use super::secrets::Secrets;
use super::{Fatal, start};
use crate::config::sentinel::{PeerConfig, SentinelConfig};
use crate::daemon::clock;
use crate::daemon::shutdown::Shutdown;
use crate::daemon::systemd::Notifier;
use crate::model::Address;
use crate::net::peer_link::{self, PeerIdentity, PeerWay, Refusal};
use crate::net::stream::Stream;
use crate::sentinel::Sentinel;
use crate::sentinel::founding::statement::VERSION;
use crate::sentinel::founding::{Action, Founder, Founding, Input, Kept, Stage, Statement};
use door::Door;
use file::Directory;
use greeter::{Heard, Master};
use slog::{Logger, info, warn};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;

const TICK: Duration = Duration::from_millis(100);
const QUEUE: usize = 256;
/// Questions of others that may be under way at once.
const ASKERS_MAX: usize = 32;

/// What reaches it while it waits.
pub(super) struct Doors<'a> {
    pub clients: &'a mut mpsc::Receiver<Newcomer>,
    pub peers: &'a mut mpsc::Receiver<Stream>,
    pub shutdown: &'a mut Shutdown,
    pub notifier: &'a mut Notifier,
}

/// Fills in `id` and `peers` as soon as the fleet is founded. `false`: the process was asked to end before.
pub(super) async fn found(
    config: &mut SentinelConfig,
    material: &Material,
    secrets: &Secrets,
    doors: Doors<'_>,
    logger: &Logger,
) -> Result<bool, Fatal> {
    let Some(expect) = config.bootstrap_expect.filter(|_| config.founds()) else { return Ok(true) };
    let directory = Directory::open(&config.dir).map_err(Fatal)?;
    let kept = match file::read(&config.dir).map_err(Fatal)? {
        Some(kept) => kept,
        None if directory.holds_a_log() => {
            return Err(Fatal(format!(
                "{} holds the log of a sentinel whose fleet stands, so there is nothing to found: start it with \
                 its --id, and with --peers or --join, in place of --bootstrap-expect",
                config.dir.display()
            )));
        }
        None => {
            let kept = Kept { run_id: new_run_id()?, ..Kept::default() };
            directory.keep(&kept).map_err(Fatal)?;
            kept
        }
    };
    let kept = if kept.founded {
        kept
    } else {
        let phase = Phase::start(config, expect, material, secrets, kept, directory, logger)?;
        match phase.run(doors).await? {
            Some(kept) => kept,
            None => return Ok(false),
        }
    };
    let Some((id, voters)) = kept.voters() else {
        return Err(Fatal(format!("{}: its founding does not name this sentinel", config.dir.display())));
    };
    config.id = id;
    config.peers = voters.into_iter().map(|(id, address)| PeerConfig { id, address }).collect();
    // It may have moved since: then this file knows better than the founding.
    let now = (configured_host(config), port(config));
    if let Some(own) = config.peers.iter_mut().find(|peer| peer.id == id) {
        own.address = Address::new(now.0.unwrap_or_else(|| own.address.host.clone()), now.1);
    }
    Ok(true)
}

/// What a sentinel of a fleet that stands says to those who would found one.
pub(super) fn statement(core: &Sentinel) -> Vec<u8> {
    let config = core.config();
    let kept = file::read(&config.dir).ok().flatten().filter(|kept| kept.founded);
    let run_id = kept.as_ref().map_or_else(|| core.identity().run_id.clone(), |kept| kept.run_id.clone());
    let next = core.ledger().membership.next_id().max(config.id + 1);
    let stage = kept.map_or(Stage::Stands, |kept| Stage::Founded { set: kept.promised });
    let statement = Statement {
        version: VERSION,
        who: Founder { run_id, address: core.address().clone() },
        expect: config.bootstrap_expect.unwrap_or(config.peers.len()),
        groups: Vec::new(),
        next_id: Some(next.max(config.peers.iter().map(|peer| peer.id + 1).max().unwrap_or(0))),
        stage,
    };
    statement.encode()
}

fn new_run_id() -> Result<String, Fatal> {
    let mut rng = crate::stdx::Rng::with_seed(dice()?);
    Ok(crate::model::RunId::random(&mut rng).to_string())
}

fn dice() -> Result<u64, Fatal> {
    getrandom::u64().map_err(|error| Fatal(format!("the system has no entropy: {error}")))
}

/// Where others are told that this sentinel is; `None`: that shows on the way to a master.
fn configured_host(config: &SentinelConfig) -> Option<String> {
    let bound: Option<IpAddr> = config.bind.parse().ok();
    match &config.announce_ip {
        Some(host) => Some(host.clone()),
        None if bound.is_some_and(|ip| ip.is_unspecified()) => None,
        None => Some(config.bind.clone()),
    }
}

fn port(config: &SentinelConfig) -> u16 {
    let dialled = if config.tls_peers || config.port == 0 { config.tls_port } else { config.port };
    config.announce_port.unwrap_or(dialled)
}

enum News {
    Answered {
        address: Address,
        answer: Result<Statement, String>,
    },
    /// Somebody asked us, who is there.
    Asked {
        address: Address,
    },
}

struct Phase {
    expect: usize,
    config: SentinelConfig,
    kept: Kept,
    directory: Directory,
    logger: Logger,
    way: PeerWay,
    secret: peer_link::Secret,
    identity: PeerIdentity,
    core: Option<Founding>,
    /// What is said to whoever asks; behind what is on disk, never before it.
    said: watch::Sender<Vec<u8>>,
    own: watch::Sender<Option<Founder>>,
    heard: mpsc::Receiver<Heard>,
    news: mpsc::Receiver<News>,
    to_news: mpsc::Sender<News>,
    askers: Arc<Semaphore>,
    tasks: JoinSet<()>,
}

impl Phase {
    fn start(
        config: &SentinelConfig,
        expect: usize,
        material: &Material,
        secrets: &Secrets,
        kept: Kept,
        directory: Directory,
        logger: &Logger,
    ) -> Result<Self, Fatal> {
        let (own, _) = watch::channel(None);
        let (to_heard, heard) = mpsc::channel(QUEUE);
        let (to_news, news) = mpsc::channel(QUEUE);
        let mut tasks = JoinSet::new();
        for master in &config.masters {
            let group = master.name.clone();
            let master = Master {
                address: master.address.clone(),
                auth: secrets.masters.get(&group).cloned(),
                route: material.route(&group),
                group,
            };
            tasks.spawn(greeter::greet(master, own.subscribe(), to_heard.clone()));
        }
        let identity = PeerIdentity {
            cluster: String::new(),
            id: peer_link::id_of_asker(dice()?),
            uuid: kept.run_id.clone(),
            run_id: kept.run_id.clone(),
            address: None,
        };
        info!(logger, "no fleet yet: it is founded when {} sentinels of these masters see each other", expect;
            "run_id" => &kept.run_id);
        Ok(Phase {
            expect,
            config: config.clone(),
            kept,
            directory,
            logger: logger.clone(),
            way: material.peer_way(),
            secret: start::cluster_secret(secrets)?,
            identity,
            core: None,
            said: watch::channel(Vec::new()).0,
            own,
            heard,
            news,
            to_news,
            askers: Arc::new(Semaphore::new(ASKERS_MAX)),
            tasks,
        })
    }

    async fn run(mut self, doors: Doors<'_>) -> Result<Option<Kept>, Fatal> {
        let Doors { clients, peers, shutdown, notifier } = doors;
        let mut door = Door::new(self.expect);
        let mut tick = tokio::time::interval(TICK);
        notifier.ready("waiting for the sentinels that found the fleet");
        if let Some(host) = configured_host(&self.config) {
            self.begin(Address::new(host, port(&self.config)));
        }
        while !self.kept.founded {
            notifier.beat(clock::now().mono);
            while self.tasks.try_join_next().is_some() {}
            tokio::select! {
                name = shutdown.requested() => {
                    info!(self.logger, "stopping"; "reason" => name);
                    return Ok(None);
                }
                Some(newcomer) = clients.recv() => door.take(newcomer.stream),
                Some(stream) = peers.recv() => self.take_question(stream),
                Some(heard) = self.heard.recv() => self.hear(heard)?,
                Some(news) = self.news.recv() => match news {
                    News::Answered { address, answer } => self.input(Input::Answered { address, answer })?,
                    News::Asked { address } => self.input(Input::Hello { address })?,
                },
                _ = tick.tick() => self.input(Input::Tick)?,
            }
        }
        Ok(Some(self.kept))
    }

    fn begin(&mut self, address: Address) {
        let groups = self.config.masters.iter().map(|master| master.name.clone()).collect();
        let core = Founding::new(address, self.expect, groups, self.kept.clone(), clock::now().mono);
        self.identity.address = Some(core.own().address.clone());
        self.said.send_replace(core.statement().encode());
        self.own.send_replace(Some(core.own().clone()));
        self.core = Some(core);
    }

    fn hear(&mut self, heard: Heard) -> Result<(), Fatal> {
        match heard {
            Heard::From(ip) if self.core.is_none() => {
                self.begin(Address::new(ip.to_string(), port(&self.config)));
                Ok(())
            }
            Heard::From(_) => Ok(()),
            Heard::At(address) => self.input(Input::Hello { address }),
            Heard::State { group, trouble: None } => {
                info!(self.logger, "greets and listens at the master of {}", group);
                Ok(())
            }
            Heard::State { trouble: Some(trouble), .. } => {
                warn!(self.logger, "cannot look for other sentinels at {}", trouble);
                Ok(())
            }
        }
    }

    fn input(&mut self, input: Input) -> Result<(), Fatal> {
        let Some(core) = &mut self.core else { return Ok(()) };
        let mut actions = Vec::new();
        core.handle(clock::now().mono, input, &mut actions);
        for action in actions {
            match action {
                Action::Keep(kept) => {
                    self.directory.keep(&kept).map_err(Fatal)?;
                    self.kept = kept;
                }
                Action::Tell(sentence) => warn!(self.logger, "{}", sentence),
                Action::Founded => info!(self.logger, "the fleet is founded"; "sentinels" => self.expect),
                Action::Ask(address) => self.ask(address),
            }
        }
        if let Some(core) = &self.core {
            self.said.send_replace(core.statement().encode());
        }
        Ok(())
    }

    fn ask(&mut self, address: Address) {
        let (way, identity, secret) = (self.way.clone(), self.identity.clone(), self.secret.clone());
        let (said, news) = (self.said.subscribe(), self.to_news.clone());
        self.tasks.spawn(async move {
            let ours = said.borrow().clone();
            let answer = match peer_link::ask(&address, &way, &identity, &secret, &ours).await {
                Ok(bytes) => Statement::decode(&bytes),
                Err(error) => Err(error.to_string()),
            };
            let _ = news.send(News::Answered { address, answer }).await;
        });
    }

    /// A peer that came to us: one like us gets its answer, a member of a fleet has to wait.
    fn take_question(&mut self, stream: Stream) {
        let Ok(place) = Arc::clone(&self.askers).try_acquire_owned() else { return };
        if self.core.is_none() || (self.way.tls.is_some() && !stream.is_tls()) {
            return;
        }
        let (identity, secret) = (self.identity.clone(), self.secret.clone());
        let (said, news) = (self.said.subscribe(), self.to_news.clone());
        self.tasks.spawn(async move {
            let check = |peer: &peer_link::Hello| match peer_link::asks(peer) {
                true => Ok(()),
                false => Err(Refusal::NotFounded),
            };
            let Ok(connection) = peer_link::accept(stream, &identity, &secret, &check).await else { return };
            let ours = said.borrow().clone();
            let asked = peer_link::answer(connection, &ours).await;
            drop(place);
            if let Some(address) =
                asked.ok().and_then(|bytes| Some(Statement::decode(&bytes).ok()?.who.address))
            {
                let _ = news.send(News::Asked { address }).await;
            }
        });
    }
}
