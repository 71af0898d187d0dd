//! `vedette server`: one engine behind a lock, the listeners and threads that bring it requests, and
//! the one loop that carries out its actions. Decides nothing.

use super::acl_file;
use super::aof_start;
use super::aof_writer::AofWriter;
use super::clock;
use super::freeing;
use super::loading::{self, Loader, Loading};
use super::machine::{self, cpu_seconds, machine_bytes, place_of, resident_bytes};
use super::memory_meter;
use super::migration;
use super::pid_file::PidFile;
use super::reload;
use super::secret_files::SecretFiles;
use super::shutdown::Shutdown;
use super::snapshot_writer::{self, Order};
use super::systemd::Notifier;
use super::tls_files::{self, Dialling, Serving};
use crate::config::server::ServerConfig;
use crate::disk::{divergent, state_file};
use crate::net::listener::{self, IoThreads};
use crate::net::replica_link::ReplicaLink;
use crate::net::service::Service;
use crate::net::tls::{Acceptor, Connector, Versions};
use crate::net::unix;
use crate::resp::{Batch, Limits};
use crate::server::evict::Meter;
use crate::server::gate::Proof;
use crate::server::migrate::{Carrier, Errand, Outcome};
use crate::server::replication::divergent::Content;
use crate::server::{Action, Gate, Input, Level, Server};
use crate::session::outbox::Hold;
use crate::session::{Outbox, Passage, Refusal, SessionId, Turn};
use crate::stdx::time::{Duration, Instant};
use crate::store::garbage::Garbage;
use parking_lot::Mutex;
use slog::{Logger, crit, debug, error, info, warn};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::mpsc::Sender;
use std::sync::{Arc, OnceLock};
use std::task::Waker;
use tokio::sync::Notify;

/// How long clients have to take what waits for them when the process ends.
const FAREWELL: Duration = Duration::from_millis(50);
/// Loading that takes no longer is over before the first client is heard.
const HEARD_AFTER: std::time::Duration = std::time::Duration::from_millis(200);
/// A condition that lasts is told this often.
const ACCEPT_TOLD_PERIOD: Duration = Duration::from_secs(5);
const SUSPECT_TOLD_PERIOD: Duration = Duration::from_millis(200);
const MEMORY_PERIOD: Duration = Duration::from_millis(100);

/// Certificates of the port and of the link to a master, and passwords, read again when they change.
struct Material {
    secrets: SecretFiles,
    serving: Option<Serving>,
    dialling: Option<Dialling>,
}

impl Material {
    /// Passwords that stand in files are in the configuration afterwards.
    fn read(config: &mut ServerConfig, logger: &Logger) -> Result<Self, String> {
        let secrets = SecretFiles::read_into(config, logger)?;
        let serving = config.tls_server()?;
        let serving = serving.map(|files| Serving::start(files, config.tls_auth_clients, None, logger));
        let dialling = config.tls_dialling()?;
        let dialling = dialling.map(|files| Dialling::start(files, Versions::All, logger));
        Ok(Material { secrets, serving: serving.transpose()?, dialling: dialling.transpose()? })
    }

    fn acceptor(&self) -> Option<Arc<Acceptor>> {
        self.serving.as_ref().map(|serving| serving.acceptor.clone())
    }

    fn connector(&self) -> Option<Arc<Connector>> {
        self.dialling.as_ref().map(|dialling| dialling.connector.clone())
    }

    /// From now on. A file that is no good leaves the old in force, and is told.
    fn watch(mut self, engine: &Arc<Engine>, hands: &Hands) -> Result<(), ServerError> {
        let paths = self.serving.iter().flat_map(Serving::paths);
        let paths = paths.chain(self.dialling.iter().flat_map(Dialling::paths));
        let paths = paths.chain(self.secrets.paths()).collect();
        let mut due = reload::watch(paths)
            .map_err(|error| ServerError(format!("cannot listen to signals: {error}")))?;
        let (engine, aclfile) = (engine.clone(), hands.aclfile.clone());
        tokio::spawn(async move {
            while let Some(why) = due.recv().await {
                let (log, engine) = (engine.logger.clone(), engine.clone());
                // Only when it is asked for: rules that were set at run time may not be in the file.
                let aclfile = aclfile.clone().filter(|_| why == reload::Why::Signal);
                let read = move || {
                    if why == reload::Why::Signal {
                        info!(log, "asked to read certificates and secrets again");
                    }
                    let (news, wrong) = self.secrets.reload(&log);
                    for why in wrong {
                        error!(log, "{why}");
                    }
                    if !news.is_empty() {
                        let names =
                            [("requirepass-file", &news.requirepass), ("masterauth-file", &news.masterauth)];
                        let new: Vec<&str> = names
                            .iter()
                            .filter(|(_, secret)| secret.is_some())
                            .map(|(name, _)| *name)
                            .collect();
                        info!(log, "new secrets are in force: {}", new.join(", "));
                        engine.tell(Input::Secrets(news));
                    }
                    if let Some(path) = aclfile {
                        let loaded = acl_file::read(&path).and_then(|text| {
                            engine.server.lock().load_users(&text, &path.display().to_string())
                        });
                        match loaded {
                            Ok(()) => info!(log, "the users of aclfile are in force"),
                            Err(why) => error!(log, "aclfile: {why}; the users read before stay in force"),
                        }
                    }
                    let serving = self.serving.iter_mut().map(|serving| serving.reload(&log));
                    let results: Vec<_> =
                        serving.chain(self.dialling.iter_mut().map(Dialling::reload)).collect();
                    tls_files::tell_of_reload(results, &log);
                    self
                };
                match tokio::task::spawn_blocking(read).await {
                    Ok(material) => self = material,
                    Err(_) => return,
                }
            }
        });
        Ok(())
    }
}

/// Why the server could not start or go on; the text names place and remedy.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ServerError(pub String);

/// The engine as connections see it.
pub(super) struct Engine {
    pub(super) server: Mutex<Server>,
    pub(super) gate: Arc<Gate>,
    /// Set before anybody is served.
    pub(super) log: OnceLock<AofWriter>,
    limits: Limits,
    /// When it was last told that connections cannot be accepted.
    told_accept: Mutex<Instant>,
    /// And that a stranger knocked.
    told_suspect: Mutex<Instant>,
    /// Wakes the loop: actions wait, or an earlier deadline.
    pub(super) stirred: Notify,
    /// Inputs from other threads, for the loop to hand in.
    inbox: Mutex<Vec<Input>>,
    pub(super) logger: Logger,
}

impl Engine {
    pub(super) fn tell(&self, input: Input) {
        self.inbox.lock().push(input);
        self.stirred.notify_one();
    }

    /// What nobody's answer waits for is written too.
    pub(super) fn write_waiting(&self) {
        if let Some(log) = self.log.get() {
            log.write_if_waiting();
        }
    }
}

impl Service for Engine {
    fn open(
        &self,
        peer: SocketAddr,
        local: SocketAddr,
        outbox: Arc<Outbox>,
    ) -> Result<(SessionId, bool), Refusal> {
        let mut server = self.server.lock();
        let opened = server.open(clock::now(), peer, local, outbox);
        let stirred = server.is_stirred();
        drop(server);
        if stirred {
            self.stirred.notify_one();
        }
        opened
    }

    fn open_unix(&self, path: &Arc<str>, outbox: Arc<Outbox>) -> Result<(SessionId, bool), Refusal> {
        let mut server = self.server.lock();
        let opened = server.open_unix(clock::now(), path, outbox);
        let stirred = server.is_stirred();
        drop(server);
        if stirred {
            self.stirred.notify_one();
        }
        opened
    }

    fn run(&self, id: SessionId, batch: &Batch, buffer: &[u8], out: &mut Vec<u8>) -> Turn {
        let mut server = self.server.lock();
        // Read under the lock: time never goes back from one batch to the next.
        let turn = server.execute_batch(clock::now(), id, batch, buffer, &clock::mono, out);
        let stirred = server.is_stirred();
        drop(server);
        if stirred {
            self.stirred.notify_one();
        }
        turn
    }

    fn close(&self, id: SessionId) {
        self.server.lock().close(clock::now(), id);
    }

    fn passage(&self, hold: Hold) -> Passage {
        self.gate.passage(hold, clock::mono)
    }

    fn write_log(&self) {
        if let Some(log) = self.log.get() {
            log.write_now();
        }
    }

    fn on_passage(&self, waker: &Waker) {
        self.gate.register(waker);
    }

    fn limits(&self) -> Limits {
        self.limits
    }

    fn cannot_accept(&self, error: &std::io::Error) {
        let now = clock::mono();
        let mut told = self.told_accept.lock();
        if now.since(*told) >= ACCEPT_TOLD_PERIOD {
            *told = now;
            error!(
                self.logger,
                "cannot accept connections: {error}; if descriptors ran out, raise ulimit -n or lower maxclients"
            );
        }
    }

    fn suspect(&self, peer: SocketAddr, what: &str) {
        let now = clock::mono();
        let mut told = self.told_suspect.lock();
        // A stranger that knocks without end must not fill the disk.
        if now.since(*told) >= SUSPECT_TOLD_PERIOD {
            *told = now;
            warn!(self.logger, "closed a connection that speaks another protocol: {what}"; "peer" => %peer);
        }
    }
}

/// Runs until SIGTERM, SIGINT or SHUTDOWN.
pub fn run(mut config: ServerConfig, logger: Logger) -> Result<(), ServerError> {
    check_directory(&config)?;
    machine::raise_descriptor_limit(&config, &logger);
    if config.stock.huge_pages_disabled {
        machine::forgo_huge_pages(&logger);
    }
    let _pid_file = config.stock.pidfile.clone().map(PidFile::write).transpose().map_err(ServerError)?;
    let material = Material::read(&mut config, &logger).map_err(ServerError)?;
    let bind = |port| {
        listener::bind(&config.bind, port, config.tcp_backlog).map_err(|error| ServerError(error.to_string()))
    };
    let tls_listeners = if config.tls_port == 0 { Vec::new() } else { bind(config.tls_port)? };
    let unix = config.unix.path.as_ref().map(|path| unix::bind(path, config.unix.mode, config.tcp_backlog));
    let unix = unix.transpose().map_err(ServerError)?;
    // With another way in port 0 is none, else any free one.
    let is_reached = config.tls_port != 0 || unix.is_some();
    let listeners = if config.port == 0 && is_reached { Vec::new() } else { bind(config.port)? };
    let threads = IoThreads::start(config.io_threads, "io", listener::handshakes_max(config.clients_max))
        .map_err(|error| ServerError(format!("cannot start I/O threads: {error}")))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .on_thread_stop(memory_meter::flush)
        .build()
        .map_err(|error| ServerError(format!("cannot start the runtime: {error}")))?;
    let seed =
        getrandom::u64().map_err(|error| ServerError(format!("the system gives no entropy: {error}")))?;
    let keepalive = (config.tcp_keepalive_s > 0).then(|| Duration::from_secs(config.tcp_keepalive_s));
    let snapshot_path = config.dir.join(&config.dbfilename);
    let dir = config.dir.clone();
    let snapshot = config.dbfilename.clone();
    let silence_max = Duration::from_secs(config.repl_timeout_s);
    let limits = request_limits(&config);
    let (aclfile, users) = (config.aclfile.clone(), config.users.clone());
    let settings = config.clone();
    let mut server = Server::new(config, seed, clock::now());
    server.set_script_clock(clock::mono);
    let meter = Meter { used: memory_meter::allocated_bytes, peak: memory_meter::take_peak_bytes };
    server.set_meter(meter, machine_bytes());
    server.set_entropy(|bytes| getrandom::fill(bytes).is_ok());
    match &aclfile {
        Some(path) if users.is_empty() => {
            let text = acl_file::read(path).map_err(|why| ServerError(format!("aclfile: {why}")))?;
            server.load_users(&text, &path.display().to_string()).map_err(ServerError)?;
        }
        Some(_) => {
            return Err(ServerError(
                "aclfile: users are also defined with 'user'; keep them in one place".into(),
            ));
        }
        None => server.define_users(users.iter().map(crate::config::Secret::expose)).map_err(ServerError)?,
    }
    server.restore(clock::now(), state_file::read(&dir).map_err(ServerError)?);
    let progress = server.loading_begins(clock::now());
    let port_of = |listeners: &[std::net::TcpListener]| {
        listeners.first().and_then(|listener| listener.local_addr().ok()).map_or(0, |at| at.port())
    };
    server.introduce(port_of(&listeners), port_of(&tls_listeners), std::process::id());
    server.settle_in(place_of(&settings));
    let gate = server.gate();
    let queue = server.log_queue();
    let engine = Arc::new(Engine {
        server: Mutex::new(server),
        gate,
        log: OnceLock::new(),
        limits,
        told_accept: Mutex::new(Instant::ZERO),
        told_suspect: Mutex::new(Instant::ZERO),
        stirred: Notify::new(),
        inbox: Mutex::default(),
        logger: logger.clone(),
    });
    let orders = {
        let engine = engine.clone();
        let base_path = aof_start::folder(&settings).new_base_path();
        snapshot_writer::start(snapshot_path.clone(), base_path, move |input| engine.tell(input))
            .map_err(|error| ServerError(format!("cannot start the snapshot thread: {error}")))?
    };
    let is_supervised = settings.stock.supervised != "no";
    let carries_by_tls = settings.stock.tls_cluster;
    let carrier = migration::carrier(material.connector().filter(|_| carries_by_tls));
    engine.server.lock().set_carrier(carrier.clone());
    let to_master = material.connector().filter(|_| settings.tls_replication);
    let link = ReplicaLink::start(engine.clone(), dir.clone(), silence_max, to_master)
        .map_err(|error| ServerError(format!("cannot start the replica link's thread: {error}")))?;
    let garbage = {
        let engine = engine.clone();
        freeing::start(move || engine.stirred.notify_one(), threads.everywhere())
            .map_err(|error| ServerError(format!("cannot start the freeing thread: {error}")))?
    };
    let everywhere = Box::new(threads.everywhere());
    let hands = Hands { dir, snapshot, link, orders, garbage, everywhere, aclfile, carrier, is_supervised };
    let loader =
        Loader { engine: engine.clone(), config: settings, snapshot: snapshot_path, queue, progress };
    runtime.block_on(async {
        let mut loading = Loading::begin(loader)?;
        let mut shutdown = Shutdown::on_signals()
            .map_err(|error| ServerError(format!("cannot listen to signals: {error}")))?;
        // A small data set is there before the first client is heard.
        tokio::select! {
            result = loading.ended() => result?,
            () = tokio::time::sleep(HEARD_AFTER) => {
                info!(logger, "loading takes a while: clients are heard, and told so");
            }
            _ = shutdown.requested() => return Ok(()),
        }
        let threads = Arc::new(threads);
        let plain = listeners.into_iter().map(|listener| (listener, None));
        let encrypted = tls_listeners.into_iter().map(|listener| (listener, material.acceptor()));
        for (listener, tls) in plain.chain(encrypted) {
            if let Ok(address) = listener.local_addr() {
                info!(logger, "ready to accept connections"; "address" => %address, "tls" => tls.is_some());
            }
            tokio::spawn(listener::accept(listener, keepalive, threads.clone(), tls, engine.clone()));
        }
        // Until the end of the loop: then the file is removed.
        let mut _socket_file = None;
        if let Some(unix::Bound { listener, file }) = unix {
            let path = file.path.display().to_string();
            info!(logger, "ready to accept connections"; "unixsocket" => &path);
            tokio::spawn(unix::accept(listener, path.into(), threads.clone(), engine.clone()));
            _socket_file = Some(file);
        }
        material.watch(&engine, &hands)?;
        turn(&engine, &hands, shutdown, loading).await
    })
}

/// The loop: what is due is handled, what was asked for is carried out, then it sleeps.
async fn turn(
    engine: &Arc<Engine>,
    hands: &Hands,
    mut shutdown: Shutdown,
    mut loading: Loading,
) -> Result<(), ServerError> {
    let mut notifier = if hands.is_supervised { Notifier::from_environment() } else { Notifier::silent() };
    let mut extended = Instant::ZERO;
    if loading.is_over() {
        notifier.ready("serving");
    }
    let mut input = Input::Tick;
    let mut memory_at = Instant::ZERO;
    let mut stopping = false;
    loop {
        let now = clock::now();
        notifier.beat(now.mono);
        if !loading.is_over() && now.mono.since(extended) >= loading::EXTENSION / 2 {
            extended = now.mono;
            notifier.still_starting(loading::EXTENSION);
        }
        let mut actions = Vec::new();
        let waiting = std::mem::take(&mut *engine.inbox.lock());
        let resident_bytes = if now.mono >= memory_at { resident_bytes() } else { 0 };
        let wakeup = {
            let mut server = engine.server.lock();
            server.handle(now, input, &mut actions);
            for input in waiting {
                server.handle(now, input, &mut actions);
            }
            if now.mono >= memory_at {
                memory_at = now.mono + MEMORY_PERIOD;
                server.handle(now, Input::Memory { resident_bytes }, &mut actions);
                server.handle(now, Input::Cpu { seconds: cpu_seconds() }, &mut actions);
            }
            server.next_wakeup(now)
        };
        engine.write_waiting();
        if let Some(code) = carry_out(engine, hands, actions) {
            finish_log(engine);
            tokio::time::sleep(FAREWELL).await;
            return if code == 0 { Ok(()) } else { Err(ServerError(format!("ended with code {code}"))) };
        }
        let wakeup = wakeup.map_or(memory_at, |wakeup| wakeup.min(memory_at));
        let nap = wakeup.since(clock::mono());
        input = tokio::select! {
            () = engine.stirred.notified() => Input::Tick,
            result = loading.ended(), if !loading.is_over() => {
                result?;
                notifier.ready("serving");
                Input::Tick
            }
            _ = shutdown.requested(), if !stopping => {
                stopping = true;
                Input::Terminate
            }
            () = tokio::time::sleep(nap) => Input::Tick,
        };
    }
}

/// What was acknowledged is on the disk before the process ends; what comes now is not acknowledged.
fn finish_log(engine: &Engine) {
    if !engine.server.lock().is_log_on() {
        return;
    }
    engine.gate.require(Proof::Synced);
    if engine.log.get().is_some_and(|log| !log.finish()) {
        error!(
            engine.logger,
            "the disk took the rest of the append-only file too slowly; its end may be missing"
        );
    }
}

/// What the loop does things with.
struct Hands {
    dir: std::path::PathBuf,
    /// The name of the snapshot in there.
    snapshot: String,
    link: ReplicaLink,
    orders: Sender<Order>,
    garbage: Sender<Vec<Garbage>>,
    /// Has the threads of connections do something.
    everywhere: Box<dyn Fn(fn()) + Send>,
    aclfile: Option<PathBuf>,
    carrier: Carrier,
    /// Whoever started it is told that it is ready.
    is_supervised: bool,
}

/// In order; the exit code when the process is to end.
fn carry_out(engine: &Arc<Engine>, hands: &Hands, actions: Vec<Action>) -> Option<u8> {
    let logger = &engine.logger;
    for action in actions {
        match action {
            Action::Log { level, message } => match level {
                Level::Debug => debug!(logger, "{message}"),
                Level::Info => info!(logger, "{message}"),
                Level::Warning => warn!(logger, "{message}"),
                Level::Error => error!(logger, "{message}"),
            },
            Action::Respond { session, reply } => engine.server.lock().respond(session, reply),
            // The thread lives as long as its sender, so these cannot fail.
            Action::SnapshotBegin => drop(hands.orders.send(Order::Begin)),
            Action::BaseBegin => drop(hands.orders.send(Order::BeginBase)),
            Action::SnapshotPart { part } => drop(hands.orders.send(Order::Part(part))),
            Action::SnapshotEnd => drop(hands.orders.send(Order::End)),
            Action::Free(garbage) => {
                // The thread lives as long as the loop; without it this one frees.
                if let Err(unsent) = hands.garbage.send(garbage) {
                    drop(unsent);
                }
            }
            Action::PurgeMemory => {
                memory_meter::purge();
                (hands.everywhere)(memory_meter::purge);
            }
            Action::Stall { duration } => {
                let _held = engine.server.lock();
                std::thread::sleep(duration);
            }
            Action::Migrate { session, errand } => migrate(engine, hands.carrier.clone(), session, errand),
            Action::Crash => crash(logger),
            Action::AclFile { session, order } => {
                let result = acl_file::carry_out(hands.aclfile.as_deref(), &order);
                engine.server.lock().acl_file_done(session, &order, result);
            }
            Action::Keep { ticket, record } => {
                // Rare and small: the loop waits for the disk, connections do not.
                let result = state_file::keep(&hands.dir, &record);
                let mut more = Vec::new();
                engine.server.lock().handle(clock::now(), Input::Kept { ticket, result }, &mut more);
                if let Some(code) = carry_out(engine, hands, more) {
                    return Some(code);
                }
            }
            Action::KeepDivergent { report, content } => {
                // Before the link to the new master: the loop waits for the disk.
                let result = match &content {
                    Content::Commands(bytes) => divergent::write(&hands.dir, &report.file, bytes),
                    Content::Snapshot => divergent::link(&hands.dir, &hands.snapshot, &report.file),
                };
                let result = result.map_err(|error| format!("{} cannot be written ({error})", report.file));
                let mut more = Vec::new();
                engine.server.lock().handle(clock::now(), Input::DivergentKept { report, result }, &mut more);
                if let Some(code) = carry_out(engine, hands, more) {
                    return Some(code);
                }
            }
            Action::Follow { generation } => hands.link.order(Some(generation)),
            Action::Unfollow => hands.link.order(None),
            Action::Exit { code } => return Some(code),
        }
    }
    None
}

/// The network is waited for elsewhere.
fn migrate(engine: &Arc<Engine>, carrier: Carrier, session: SessionId, errand: Errand) {
    let teller = engine.clone();
    let carry = move || {
        let outcome = carrier(&errand);
        teller.tell(Input::Migrated { session, outcome });
    };
    if let Err(error) = std::thread::Builder::new().name("migrate".into()).spawn(carry) {
        let failed = Some(format!("IOERR no thread to carry the keys: {error}"));
        engine.tell(Input::Migrated { session, outcome: Outcome { failed, ..Outcome::default() } });
    }
}

/// The end that a drill asks for: the real one.
fn crash(logger: &Logger) {
    crit!(logger, "a failover drill ends this process by SIGKILL");
    let own = rustix::process::getpid();
    if let Err(error) = rustix::process::kill_process(own, rustix::process::Signal::KILL) {
        error!(logger, "cannot end this process: {error}");
    }
}

/// What one request may hold, as configured.
fn request_limits(config: &ServerConfig) -> Limits {
    let bytes = |bytes| usize::try_from(bytes).unwrap_or(usize::MAX);
    Limits {
        bulk_bytes_max: bytes(config.proto_max_bulk_bytes),
        request_bytes_max: bytes(config.query_buffer_bytes_max),
        ..Limits::AFTER_AUTH
    }
}

fn check_directory(config: &ServerConfig) -> Result<(), ServerError> {
    let dir = &config.dir;
    std::fs::read_dir(dir).map(|_| ()).map_err(|error| {
        ServerError(format!(
            "dir '{}' cannot be read ({error}); create it, give this user access, or point --dir elsewhere",
            dir.display()
        ))
    })
}
