//! `vedette up`: a local fleet of real processes in one directory, shown live until it is stopped.
//!
//! Promises: no process outlives this one and no file is written outside the directory; a process
//! that dies is started again and that is said; a port that is taken is replaced and that is said.

pub(super) mod child;
pub(super) mod plan;
mod show;

use super::Failure;
use super::client::Client;
use super::drill;
use super::render;
use crate::daemon::shutdown::Shutdown;
use crate::model::Address;
use crate::model::drill::Scenario;
use crate::model::status::Status;
use child::{Keeper, News};
use plan::{Node, Plan, Wish};
use show::Show;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};

const READY_WITHIN: Duration = Duration::from_secs(60);
const REFRESH: Duration = Duration::from_millis(200);
const ASK_DEADLINE: Duration = Duration::from_millis(300);

/// What `vedette up` takes.
#[derive(clap::Args, Clone, Debug)]
pub(super) struct UpOptions {
    /// Where the fleet lives; started again with the same directory it is the same fleet [default: a
    /// temporary directory, removed at the end]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Port of the first server; the sentinels listen 20000 above
    #[arg(long, default_value_t = 6379, value_name = "PORT")]
    port_base: u16,
    /// Replicas beside the one master
    #[arg(long, default_value_t = 2, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=16))]
    replicas: u8,
    /// Sentinels; an odd number
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=9))]
    sentinels: u8,
    /// Silence after which a server counts as down
    #[arg(long, default_value_t = 2000, value_name = "MILLISECONDS")]
    down_after: u64,
    /// Run this failover drill on the fleet, print its scorecard and stop (see vedette drill --help)
    #[arg(long, value_name = "SCENARIO", value_parser = drill::scenario)]
    drill: Option<Scenario>,
    /// With --drill: the longest time without an acknowledged write that is good enough
    #[arg(long, value_name = "MILLISECONDS", requires = "drill")]
    slo_gap_ms: Option<u64>,
}

pub(super) fn run(options: &UpOptions) -> Result<(), Failure> {
    if let Some(scenario) = options.drill {
        let fleet = drill::FleetOptions {
            replicas: options.replicas,
            sentinels: options.sentinels,
            down_after: options.down_after,
            dir: options.dir.clone(),
            port_base: Some(options.port_base),
        };
        let report = drill::ReportOptions { slo_gap_ms: options.slo_gap_ms, ..Default::default() };
        return drill::on_fleet(&fleet, &report, scenario);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (dir, temporary) = directory(options)?;
        let result = match Lock::take(&dir) {
            Ok(_lock) => fleet(options, &dir).await,
            Err(failure) => return Err(failure),
        };
        if temporary && result.is_ok() {
            std::fs::remove_dir_all(&dir)
                .map_err(|error| Failure::new(format!("cannot remove {}: {error}", dir.display())))?;
        }
        result
    })
}

/// The fleet's directory, absolute, and whether it is ours to remove.
fn directory(options: &UpOptions) -> Result<(PathBuf, bool), Failure> {
    let (dir, temporary) = match &options.dir {
        Some(dir) => (dir.clone(), false),
        None => {
            let name = format!("vedette-up-{}-{:08x}", std::process::id(), fastrand::u32(..));
            (std::env::temp_dir().join(name), true)
        }
    };
    let cannot = |error: std::io::Error| Failure::usage(format!("cannot use {}: {error}", dir.display()));
    std::fs::create_dir_all(&dir).map_err(cannot)?;
    Ok((dir.canonicalize().map_err(cannot)?, temporary))
}

/// One fleet per directory at a time.
struct Lock {
    _file: std::fs::File,
}

impl Lock {
    fn take(dir: &Path) -> Result<Self, Failure> {
        let file = std::fs::File::create(dir.join("fleet.lock"))?;
        file.try_lock().map_err(|_| {
            Failure::new(format!(
                "another `vedette up` runs in {}; stop it or give another --dir",
                dir.display()
            ))
        })?;
        Ok(Lock { _file: file })
    }
}

async fn fleet(options: &UpOptions, dir: &Path) -> Result<(), Failure> {
    let shutdown = Shutdown::on_signals()?;
    let (plan, moved) = plan(options, dir)?;
    plan.lay_out(dir)
        .map_err(|error| Failure::usage(format!("cannot write into {}: {error}", dir.display())))?;
    for sentence in moved {
        println!("{sentence}");
    }

    let nodes = plan.nodes(dir);
    let (news, heard) = mpsc::unbounded_channel();
    let (ask_stop, stop) = watch::channel(false);
    let program = std::env::current_exe()?;
    let mut keepers = JoinSet::new();
    for (index, node) in nodes.iter().cloned().enumerate() {
        let log = log_path(dir, &node);
        let keeper = Keeper {
            index,
            node,
            program: program.clone(),
            log,
            news: news.clone(),
            stop: stop.clone(),
            hurry: Arc::default(),
        };
        keepers.spawn(keeper.keep());
    }
    let running = Running { plan: &plan, dir, show: Show::new(&nodes), nodes, heard, shutdown };
    let result = running.run().await;
    // Nobody listens any more only when every keeper has ended already.
    let _ = ask_stop.send(true);
    while keepers.join_next().await.is_some() {}
    if result.is_ok() {
        println!("stopped; no process is left");
    }
    result
}

/// The plan of the directory's earlier fleet, or a new one.
fn plan(options: &UpOptions, dir: &Path) -> Result<(Plan, Vec<String>), Failure> {
    let Some(plan) = Plan::load(dir)? else {
        let wish = Wish {
            port_base: options.port_base,
            replicas: options.replicas.into(),
            sentinels: options.sentinels.into(),
            down_after_ms: options.down_after,
        };
        return Plan::choose(wish, plan::is_free);
    };
    let held = plan.ports().find(|port| !plan::is_free(*port));
    match held {
        None => Ok((plan, vec![format!("starting the fleet of {} again", dir.display())])),
        Some(port) => Err(Failure::new(format!(
            "port {port} belongs to the fleet of {} but another process holds it; stop that process or give another --dir",
            dir.display()
        ))),
    }
}

fn log_path(dir: &Path, node: &Node) -> PathBuf {
    dir.join("log").join(format!("{}.log", node.name))
}

struct Running<'a> {
    plan: &'a Plan,
    dir: &'a Path,
    nodes: Vec<Node>,
    show: Show,
    heard: mpsc::UnboundedReceiver<News>,
    shutdown: Shutdown,
}

impl Running<'_> {
    /// Until the user wants to stop.
    async fn run(mut self) -> Result<(), Failure> {
        println!("starting {} processes in {}", self.nodes.len(), self.dir.display());
        if !self.wait_until_ready().await? {
            return Ok(());
        }
        print!("{}", self.show.summary(self.plan, self.dir));
        self.show.open()?;
        let mut tick = tokio::time::interval(REFRESH);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = self.shutdown.requested() => break,
                Some(news) = self.heard.recv() => self.show.hear(news),
                _ = tick.tick() => {
                    let status = self.ask().await;
                    self.show.status(status);
                    if self.show.refresh()? {
                        break;
                    }
                }
            }
        }
        self.show.close();
        Ok(())
    }

    /// True when every process runs and the sentinels agree that all is well; false when the user
    /// wants to stop; an error with the logs' last lines when it takes too long.
    async fn wait_until_ready(&mut self) -> Result<bool, Failure> {
        let deadline = Instant::now() + READY_WITHIN;
        let mut tick = tokio::time::interval(REFRESH);
        loop {
            tokio::select! {
                _ = self.shutdown.requested() => return Ok(false),
                Some(news) = self.heard.recv() => self.show.hear(news),
                _ = tick.tick() => {
                    let status = self.ask().await;
                    let ready = status.as_ref().is_some_and(|status| self.is_ready(status));
                    self.show.status(status);
                    if ready {
                        return Ok(true);
                    }
                    self.show.refresh()?;
                }
            }
            if Instant::now() > deadline {
                return Err(Failure::new(self.why_not_ready()));
            }
        }
    }

    fn is_ready(&self, status: &Status) -> bool {
        let group = status.groups.iter().find(|group| group.name == plan::GROUP);
        let all_data = group.is_some_and(|group| {
            group.replicas.len() + 1 == self.plan.data.len()
                && render::instances(group).all(|instance| instance.reachable && !instance.sdown)
                && group.replicas.iter().all(|replica| replica.link_up == Some(true))
        });
        let all_peers = status.peers.iter().all(|peer| peer.connected || peer.id == status.node);
        render::is_well(status) && all_data && all_peers && self.show.all_running()
    }

    fn why_not_ready(&self) -> String {
        let mut text = format!("the fleet was not ready within {} s; ", READY_WITHIN.as_secs());
        text.push_str(&self.show.doubts());
        for node in &self.nodes {
            let log = std::fs::read_to_string(log_path(self.dir, node)).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            for line in &lines[lines.len().saturating_sub(2)..] {
                text.push_str(&format!("\n  {}: {line}", node.name));
            }
        }
        text.push_str(&format!("\nWhole logs: {}", self.dir.join("log").display()));
        text
    }

    /// The status from the first sentinel that is in touch with the majority, else from any.
    async fn ask(&self) -> Option<Status> {
        let ports: Vec<u16> = self.plan.sentinels.iter().map(|ports| ports.port).collect();
        let asked = tokio::task::spawn_blocking(move || {
            let mut stale = None;
            for port in ports {
                let address = Address::new("127.0.0.1", port);
                let status = Client::dial(&address, ASK_DEADLINE).and_then(|mut client| client.status());
                match status {
                    Ok(status) if status.fresh => return Some(status),
                    Ok(status) => stale = stale.or(Some(status)),
                    Err(_) => {}
                }
            }
            stale
        });
        asked.await.ok().flatten()
    }
}
