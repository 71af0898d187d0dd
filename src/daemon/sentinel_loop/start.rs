//! From a configuration to a running shell: everything that can be wrong before the first input is
//! found here, and said in a sentence with its remedy.

use super::asks::Asks;
use super::clients::Clients;
use super::drills::DrillRunner;
use super::identity::my_id;
use super::material::Material;
use super::secrets::Secrets;
use super::sources::Sources;
use super::view::Cache;
use super::voters::Voters;
use super::{Fatal, START, Shell, connection, founding, rejoin};
use crate::config::sentinel::SentinelConfig;
use crate::daemon::alert_sender::AlertSender;
use crate::daemon::clock;
use crate::daemon::errand_runner::ErrandRunner;
use crate::daemon::shutdown::Shutdown;
use crate::daemon::systemd::Notifier;
use crate::disk::raft_log;
use crate::model::RunId;
use crate::model::status::Status;
use crate::net::http;
use crate::net::link::Links;
use crate::net::peer_link::{self, PeerLinks};
use crate::net::served::Served;
use crate::sentinel::{Action, Identity, Sentinel};
use crate::stdx::Rng;
use crate::stdx::time::Instant;
use slog::{Logger, info, warn};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::{broadcast, mpsc, watch};

/// Chunks of clients' bytes that may wait for the loop.
const CLIENT_QUEUE: usize = 256;
/// Messages of peers that may wait; beyond it their links wait.
const PEER_QUEUE: usize = 1024;
const EVENT_QUEUE: usize = 1024;
const BACKLOG: u32 = 1024;

pub(super) async fn start(
    mut config: SentinelConfig,
    logger: Logger,
    mut shutdown: Shutdown,
) -> Result<Option<(Shell, Vec<Action>)>, Fatal> {
    for warning in crate::config::validate::warnings(&config) {
        warn!(logger, "{}", warning);
    }
    let secrets = Secrets::read(&config, &logger).map_err(Fatal)?;
    let material = Material::read(&config, &logger)?;
    // The ports first: a sentinel that runs already must not lose its log to a second one.
    let mut listeners = Vec::new();
    if config.port != 0 {
        listeners.push((listen("port", &config.bind, config.port).await?, None));
    }
    if let Some(acceptor) = &material.acceptor {
        listeners.push((listen("tls-port", &config.bind, config.tls_port).await?, Some(acceptor.clone())));
    }
    let (newcomer_sender, mut newcomers) = mpsc::channel(CLIENT_QUEUE);
    let (to_peers_sender, mut to_peers) = mpsc::channel(PEER_QUEUE);
    let silent = Arc::default();
    for (listener, tls) in listeners {
        let address = listener.local_addr().map_or_else(|_| "?".to_owned(), |address| address.to_string());
        info!(logger, "sentinel listens"; "address" => address, "tls" => tls.is_some(),
            "dir" => %config.dir.display());
        let (clients, peers) = (newcomer_sender.clone(), to_peers_sender.clone());
        tokio::spawn(connection::accept(listener, tls, Arc::clone(&silent), clients, peers, logger.clone()));
    }
    let mut notifier = Notifier::from_environment();
    let doors = founding::Doors {
        clients: &mut newcomers,
        peers: &mut to_peers,
        shutdown: &mut shutdown,
        notifier: &mut notifier,
    };
    if !founding::found(&mut config, &material, &secrets, doors, &logger).await? {
        return Ok(None);
    }
    let opened = if config.joins() {
        raft_log::open_to_join(&config.dir, config.id)
    } else {
        raft_log::open(&config.dir, config.id)
    };
    let (mut log, stored, node) = opened.map_err(|error| match error {
        raft_log::OpenError::Damaged { .. } => Fatal(format!("{error}. {}", rejoin::remedy(&config, 0))),
        other => Fatal::because(other),
    })?;
    let seed = getrandom::u64().map_err(|error| Fatal(format!("the system has no entropy: {error}")))?;
    let mut rng = Rng::with_seed(seed);
    // A number of this life, for peers; clients know the data directory.
    let life = RunId::random(&mut rng).to_string();
    let run_id = my_id(&node.uuid);
    let now = clock::now();
    let identity = Identity { uuid: node.uuid.clone(), run_id: run_id.clone() };
    let (mut core, mut first) =
        Sentinel::new(&config, identity, stored, rng.u64(..), now, secrets.masters.clone()).map_err(
            |error| {
                let remedy = error.must_rejoin().then(|| format!(". {}", rejoin::remedy(&config, 0)));
                Fatal(format!("{}: {error}{}", log.path().display(), remedy.unwrap_or_default()))
            },
        )?;
    core.take_credentials(secrets.masters.clone(), secrets.cluster.as_ref(), &mut first);
    for group in core.unreadable_passwords() {
        warn!(
            logger,
            "the password that was set for '{}' does not open with this cluster secret: set it again with SENTINEL SET {} auth-pass",
            group,
            group
        );
    }
    let cluster = core.ledger().cluster_id.clone();
    if !cluster.is_empty() {
        log.bind_cluster(&cluster).map_err(Fatal::because)?;
    }

    let (alerts, alert_progress) =
        AlertSender::start(&config.webhooks, cluster.clone(), logger.clone(), clock::now, rng.fork())
            .map_err(Fatal::because)?;
    let alert_status = alerts.status();
    let (errands, errand_news) = ErrandRunner::new(logger.clone());
    let (events, _) = broadcast::channel(EVENT_QUEUE);

    let voters = Voters::default();
    voters.update(&core);
    let (peer_sender, peer_events) = mpsc::channel(PEER_QUEUE);
    let links = peer_link::LinkSettings {
        identity: peer_link::PeerIdentity {
            cluster: cluster.clone(),
            id: config.id,
            uuid: node.uuid,
            run_id: life,
            address: core.announced(),
        },
        secret: cluster_secret(&secrets)?,
        way: material.peer_way(),
        peers: core.reach(),
        join: if core.is_joining() { config.join.clone() } else { Vec::new() },
        statement: founding::statement(&core),
        check: voters.check(),
    };
    let peers = PeerLinks::start(links, peer_sender);
    let (ask_sender, asks) = mpsc::channel(http::ASKS_MAX);
    let (status, status_reader) = watch::channel(Arc::new(Status::default()));
    let door = Arc::new(http::Door::new(secrets.http_users(), config.http_view));
    if let Some(http) = &config.http {
        let listener = listen("http", &http.host, http.port).await?;
        // Ends with the loop, whose snapshots it shows.
        let (door, tls) = (door.clone(), material.https.clone());
        tokio::spawn(http::serve(listener, status_reader, door, ask_sender, tls, std::future::pending()));
    }
    info!(logger, "sentinel starts"; "id" => config.id, "run_id" => &run_id);
    let mut clients = Clients::new(config.protected_mode, secrets.requirepass.as_ref());
    clients
        .load_users(secrets.users.as_ref(), &config.users)
        .map_err(|why| Fatal(format!("users: {why}")))?;
    let cache = Cache::telling(material.ways.names.clone());
    let fresh_secrets = material.watch(logger.clone())?;
    let shell = Shell {
        asks: Asks::new(asks),
        clients,
        drills: DrillRunner::new(&secrets, material.clone(), logger.clone()),
        logger,
        core,
        log,
        held: Vec::new(),
        cluster,
        links: Links::new(&run_id[..8]),
        material,
        fresh_secrets,
        secrets,
        tls_told: BTreeMap::new(),
        door,
        peers,
        peer_events,
        voters,
        to_peers,
        served: Served::default(),
        newcomers,
        alerts,
        alert_progress,
        alert_status,
        errands,
        errand_news,
        errand_reports: Vec::new(),
        status,
        events,
        cache,
        notifier,
        sources: Sources::new(shutdown),
        started: now.mono,
        status_due: Instant::ZERO,
        small_due: now.mono + START,
        told_role: None,
        members_version: 0,
        told_removed: false,
        stopping: None,
        last_words_said: false,
    };
    Ok(Some((shell, first)))
}

pub(super) fn cluster_secret(secrets: &Secrets) -> Result<peer_link::Secret, Fatal> {
    match &secrets.cluster {
        None => Ok(peer_link::Secret::none()),
        Some(secret) => peer_link::Secret::new(secret.expose().as_bytes())
            .map_err(|error| Fatal(format!("cluster-secret-file: {error}"))),
    }
}

async fn listen(key: &str, bind: &str, port: u16) -> Result<TcpListener, Fatal> {
    let failed = |error: std::io::Error| {
        Fatal(match error.kind() {
            std::io::ErrorKind::AddrInUse => {
                format!("port {port} of {bind} is in use by another process: stop it, or set another `{key}`")
            }
            std::io::ErrorKind::AddrNotAvailable => {
                format!(
                    "this machine has no address {bind}: set `bind` (for the page, `http`) to one of its own"
                )
            }
            std::io::ErrorKind::PermissionDenied => {
                format!("port {port} needs rights that this process has not: set a `{key}` above 1023")
            }
            _ => format!("cannot listen on {bind} port {port}: {error}"),
        })
    };
    let found = tokio::net::lookup_host((bind, port)).await.map_err(failed)?.next();
    let address = found.ok_or_else(|| Fatal(format!("`bind`: {bind} names no address")))?;
    let socket = if address.is_ipv6() { TcpSocket::new_v6() } else { TcpSocket::new_v4() }.map_err(failed)?;
    // A port in TIME_WAIT after a restart is ours to take; one that is listened on still is not.
    socket.set_reuseaddr(true).map_err(failed)?;
    socket.bind(address).map_err(failed)?;
    socket.listen(BACKLOG).map_err(failed)
}
