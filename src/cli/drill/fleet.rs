//! The throw-away fleet: the processes of `vedette up` in a directory of its own, one fleet per
//! scenario, gone when it was judged.

use super::hand::LocalHand;
use super::proxy::Proxy;
use super::{FleetOptions, show};
use crate::cli::Failure;
use crate::cli::up::child::{Keeper, News, NewsKind};
use crate::cli::up::plan::{self, GROUP, Node, Plan, Wish};
use crate::daemon::drill::{Field, Order, conduct, whole};
use crate::daemon::shutdown::Shutdown;
use crate::model::Address;
use crate::model::drill::{Scenario, Scorecard, Verdict};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;

const READY_WITHIN: Duration = Duration::from_secs(60);
/// Somebody else may take a port between looking and listening.
const TRIES: usize = 3;
const PACE: Duration = Duration::from_millis(2);

/// Runs them one after the other. An interruption ends the one that runs and leaves out the rest.
pub(super) async fn drill(
    options: &FleetOptions,
    slo_gap_ms: Option<u64>,
    scenarios: &[Scenario],
) -> Result<Vec<Scorecard>, Failure> {
    let mut shutdown = Shutdown::on_signals()?;
    let (abort, wish) = watch::channel(None);
    tokio::spawn(async move {
        let name = shutdown.requested().await;
        abort.send_replace(Some(format!("interrupted by {name}")));
    });
    let mut cards = Vec::new();
    for (index, scenario) in scenarios.iter().enumerate() {
        let order = Order {
            id: index as u64 + 1,
            name: String::new(),
            scenario: *scenario,
            live: false,
            slo_gap_ms,
            pace: PACE,
            go_back: false,
        };
        let card = one(options, &order, &wish).await;
        let interrupted = wish.borrow().is_some();
        cards.push(card);
        if interrupted {
            break;
        }
    }
    Ok(cards)
}

async fn one(options: &FleetOptions, order: &Order, wish: &watch::Receiver<Option<String>>) -> Scorecard {
    let mut why = String::new();
    for _ in 0..TRIES {
        match try_one(options, order, wish).await {
            Ok(card) => return card,
            Err(failure) => why = failure.message,
        }
        if wish.borrow().is_some() {
            break;
        }
        show::note(&format!("{}: {why}", order.scenario.name()));
    }
    Scorecard::aborted(GROUP, order.scenario, order.id, &why)
}

async fn try_one(
    options: &FleetOptions,
    order: &Order,
    wish: &watch::Receiver<Option<String>>,
) -> Result<Scorecard, Failure> {
    let home = Home::make(options, order.scenario)?;
    let base = options.port_base.unwrap_or_else(|| fastrand::u16(10_000..30_000));
    let wanted = Wish {
        port_base: base,
        replicas: options.replicas.into(),
        sentinels: options.sentinels.into(),
        down_after_ms: options.down_after,
    };
    let (plan, _) = Plan::choose(wanted, plan::is_free)?;
    plan.lay_out(&home.dir)?;
    let mut nodes = plan.nodes(&home.dir);
    let wires = match order.scenario {
        Scenario::Isolate => wire(&mut nodes, &plan).await?,
        _ => Vec::new(),
    };
    let fleet = Fleet::start(nodes, &home.dir)?;
    let sentinels: Vec<Address> =
        plan.sentinels.iter().map(|ports| Address::new("127.0.0.1", ports.port)).collect();
    let servers: Vec<Address> = plan.data.iter().map(|port| Address::new("127.0.0.1", *port)).collect();
    let field = Field::open(GROUP, &sentinels);
    let result = match ready(&field, &servers, &fleet.processes, wish).await {
        Err(failure) => Err(failure),
        Ok(()) => {
            let mut hand = LocalHand::new(
                order.scenario,
                fleet.processes.clone(),
                Duration::from_millis(options.down_after),
                wires,
                field.sentinels.clone(),
                GROUP,
            );
            let (progress, lines) = mpsc::unbounded_channel();
            let telling = tokio::spawn(show::tell(order.scenario.name().to_owned(), lines));
            let card = conduct(&field, order, &mut hand, &progress, wish.clone()).await;
            drop(progress);
            // It ends with its sender.
            let _ = telling.await;
            Ok(card)
        }
    };
    fleet.end().await;
    let well = result.as_ref().is_ok_and(|card| !matches!(card.verdict, Verdict::Failed | Verdict::Aborted));
    home.leave(well);
    result
}

/// Each server behind a wire that can be cut: it is announced where the wire begins.
async fn wire(nodes: &mut [Node], plan: &Plan) -> Result<Vec<(u16, u16, Proxy)>, Failure> {
    let mut wires = Vec::new();
    for (node, outside) in nodes.iter_mut().zip(plan.data.iter().copied()) {
        let taken: Vec<u16> = plan.ports().chain(wires.iter().map(|(_, inside, _)| *inside)).collect();
        let inside = (outside.saturating_add(1000)..u16::MAX)
            .find(|port| !taken.contains(port) && plan::is_free(*port))
            .ok_or_else(|| {
                Failure::usage("no free port for a server behind its wire; give a lower --port-base")
            })?;
        let at = node.argv.iter().position(|word| word == "--port").map(|at| at + 1);
        if let Some(word) = at.and_then(|at| node.argv.get_mut(at)) {
            *word = inside.to_string();
        }
        let announce =
            ["--replica-announce-ip", "127.0.0.1", "--replica-announce-port", &outside.to_string()]
                .map(str::to_owned);
        node.argv.extend(announce);
        wires.push((outside, inside, Proxy::start(outside, inside).await?));
    }
    Ok(wires)
}

/// Every process runs, and the sentinels agree that all is well.
async fn ready(
    field: &Field,
    servers: &[Address],
    processes: &Processes,
    wish: &watch::Receiver<Option<String>>,
) -> Result<(), Failure> {
    let deadline = tokio::time::Instant::now() + READY_WITHIN;
    loop {
        let doubts = match processes.ended() {
            Some(text) => return Err(Failure::new(format!("the fleet does not start: {text}"))),
            None => whole(field, servers).await,
        };
        if doubts.is_empty() {
            return Ok(());
        }
        if wish.borrow().is_some() {
            return Err(Failure::new("interrupted while the fleet was starting"));
        }
        if tokio::time::Instant::now() > deadline {
            return Err(Failure::new(format!(
                "the fleet was not ready within {} s: {}",
                READY_WITHIN.as_secs(),
                doubts.join("; ")
            )));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// The fleet's directory; removed unless the user named one, or something is to be looked at.
struct Home {
    dir: PathBuf,
    ours: bool,
}

impl Home {
    fn make(options: &FleetOptions, scenario: Scenario) -> Result<Self, Failure> {
        let dir = match &options.dir {
            Some(dir) => dir.join(scenario.name()),
            None => {
                let name = format!("vedette-drill-{}-{:08x}", std::process::id(), fastrand::u32(..));
                std::env::temp_dir().join(name)
            }
        };
        let cannot = |error: std::io::Error| Failure::usage(format!("cannot use {}: {error}", dir.display()));
        if dir.join("fleet.json").exists() {
            return Err(Failure::usage(format!(
                "{} holds a fleet already; a drill wants a directory of its own",
                dir.display()
            )));
        }
        std::fs::create_dir_all(&dir).map_err(cannot)?;
        let dir = dir.canonicalize().map_err(cannot)?;
        Ok(Home { dir, ours: options.dir.is_none() })
    }

    fn leave(&self, well: bool) {
        if !self.ours {
            return;
        }
        if !well {
            show::note("give --dir DIR to keep the logs of a drill");
        }
        if let Err(error) = std::fs::remove_dir_all(&self.dir) {
            show::note(&format!("cannot remove {}: {error}", self.dir.display()));
        }
    }
}

/// Who runs under which number, told by the keepers.
#[derive(Clone, Default)]
pub(super) struct Processes {
    known: Arc<Mutex<BTreeMap<u16, Process>>>,
    dir: PathBuf,
    hurry: BTreeMap<String, Arc<Notify>>,
}

struct Process {
    name: String,
    pid: Option<u32>,
    /// Ended before it was ever whole.
    ended: Option<String>,
}

impl Processes {
    fn with<T>(&self, read: impl FnOnce(&mut BTreeMap<u16, Process>) -> T) -> T {
        read(&mut self.known.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Name and number of the process that is announced at this port.
    pub(super) fn running(&self, port: u16) -> Option<(String, u32)> {
        self.with(|known| known.get(&port).and_then(|process| Some((process.name.clone(), process.pid?))))
    }

    pub(super) fn home(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Start it again now instead of after the usual pause.
    pub(super) fn hurry(&self, name: &str) {
        if let Some(hurry) = self.hurry.get(name) {
            hurry.notify_one();
        }
    }

    fn ended(&self) -> Option<String> {
        self.with(|known| known.values().find_map(|process| process.ended.clone()))
    }
}

struct Fleet {
    processes: Processes,
    keepers: JoinSet<()>,
    stop: watch::Sender<bool>,
    listener: tokio::task::JoinHandle<()>,
}

impl Fleet {
    fn start(nodes: Vec<Node>, dir: &Path) -> Result<Self, Failure> {
        let program = std::env::current_exe()?;
        let (news, mut heard) = mpsc::unbounded_channel::<News>();
        let (stop, asked) = watch::channel(false);
        let mut keepers = JoinSet::new();
        let mut processes = Processes { dir: dir.to_owned(), ..Processes::default() };
        let ports: Vec<u16> = nodes.iter().map(|node| node.port).collect();
        for (index, node) in nodes.into_iter().enumerate() {
            let hurry = Arc::new(Notify::new());
            processes.hurry.insert(node.name.clone(), hurry.clone());
            let process = Process { name: node.name.clone(), pid: None, ended: None };
            processes.with(|known| known.insert(node.port, process));
            let log = dir.join("log").join(format!("{}.log", node.name));
            let keeper = Keeper {
                index,
                node,
                program: program.clone(),
                log,
                news: news.clone(),
                stop: asked.clone(),
                hurry,
            };
            keepers.spawn(keeper.keep());
        }
        let told = processes.clone();
        let listener = tokio::spawn(async move {
            while let Some(News { index, kind }) = heard.recv().await {
                told.with(|known| {
                    let Some(process) = ports.get(index).and_then(|port| known.get_mut(port)) else { return };
                    match kind {
                        NewsKind::Started { pid } => process.pid = Some(pid),
                        NewsKind::Ended { how, .. } => {
                            process.pid = None;
                            process.ended = Some(format!("{} {how}", process.name));
                        }
                        NewsKind::CannotStart { why, .. } => {
                            process.ended = Some(format!("{} cannot be started: {why}", process.name));
                        }
                    }
                });
            }
        });
        Ok(Fleet { processes, keepers, stop, listener })
    }

    /// No process is left when it returns.
    async fn end(mut self) {
        self.stop.send_replace(true);
        while self.keepers.join_next().await.is_some() {}
        self.listener.abort();
    }
}
