//! The hand on a throw-away fleet: real signals to real processes, a real cut in the wire.

use super::fleet::Processes;
use super::proxy::Proxy;
use crate::daemon::drill::Hand;
use crate::model::Address;
use crate::model::drill::Scenario;
use rustix::process::{Pid, Signal, kill_process};
use std::path::PathBuf;
use std::time::Duration;

/// Of down-after, how long a flapping master is silent at a time, and how often.
const FLAP_SHARE: f64 = 0.4;
const FLAPS: usize = 4;
const STANDS_WITHIN: Duration = Duration::from_secs(10);
const ENDS_WITHIN: Duration = Duration::from_secs(10);

pub(super) struct LocalHand {
    pub(super) scenario: Scenario,
    pub(super) processes: Processes,
    pub(super) down_after: Duration,
    /// By the announced port: the wire, and the port behind it.
    pub(super) wires: Vec<(u16, u16, Proxy)>,
    pub(super) sentinels: Vec<Address>,
    /// Stopped, and still to be resumed.
    stopped: Option<Pid>,
    group: String,
}

impl LocalHand {
    pub(super) fn new(
        scenario: Scenario,
        processes: Processes,
        down_after: Duration,
        wires: Vec<(u16, u16, Proxy)>,
        sentinels: Vec<Address>,
        group: &str,
    ) -> Self {
        let group = group.to_owned();
        LocalHand { scenario, processes, down_after, wires, sentinels, stopped: None, group }
    }

    /// The pid of whoever listens (or is announced) there.
    fn pid(&self, port: u16) -> Result<(String, Pid), String> {
        let (name, pid) =
            self.processes.running(port).ok_or(format!("no process is known at port {port}"))?;
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
        pid.map(|pid| (name, pid)).ok_or("a process without a number".to_owned())
    }

    fn signal(pid: Pid, signal: Signal) -> Result<(), String> {
        kill_process(pid, signal).map_err(|error| format!("cannot signal process {pid:?}: {error}"))
    }

    async fn stop(&mut self, pid: Pid) -> Result<(), String> {
        self.stopped = Some(pid);
        Self::signal(pid, Signal::STOP)?;
        let deadline = tokio::time::Instant::now() + STANDS_WITHIN;
        while !all_threads_stopped(pid) {
            if tokio::time::Instant::now() > deadline {
                return Err("the master does not stand still".to_owned());
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Ok(())
    }

    fn resume(&mut self) -> Result<(), String> {
        self.stopped.take().map_or(Ok(()), |pid| Self::signal(pid, Signal::CONT))
    }

    async fn leader_port(&self) -> Result<u16, String> {
        for sentinel in &self.sentinels {
            let asked = crate::daemon::drill::leader_of(sentinel, &self.sentinels).await;
            if let Some(leader) = asked {
                return Ok(leader.port);
            }
        }
        Err("no sentinel knows a leader".to_owned())
    }

    /// Back at once, without what it held: its directory is emptied before it is started again.
    async fn restart_empty(&mut self, port: u16) -> Result<String, String> {
        let (name, pid) = self.pid(port)?;
        let home = self.processes.home(&name);
        Self::signal(pid, Signal::KILL)?;
        let deadline = tokio::time::Instant::now() + ENDS_WITHIN;
        while self.processes.running(port).is_some_and(|(_, now)| Pid::from_raw(now as i32) == Some(pid)) {
            if tokio::time::Instant::now() > deadline {
                return Err(format!("{name} does not end"));
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        empty(home).await.map_err(|error| format!("cannot empty the directory of {name}: {error}"))?;
        self.processes.hurry(&name);
        Ok(format!("{name} was killed, its directory emptied, and started again at once"))
    }

    async fn flap(&mut self, port: u16) -> Result<String, String> {
        let (name, pid) = self.pid(port)?;
        let silence = self.down_after.mul_f64(FLAP_SHARE);
        for _ in 0..FLAPS {
            self.stop(pid).await?;
            tokio::time::sleep(silence).await;
            self.resume()?;
            tokio::time::sleep(silence).await;
        }
        Ok(format!("{name} stood still {FLAPS} times for {} ms", silence.as_millis()))
    }
}

impl Hand for LocalHand {
    async fn fault(&mut self, master: &Address) -> Result<String, String> {
        let port = master.port;
        match self.scenario {
            Scenario::Kill => {
                let (name, pid) = self.pid(port)?;
                Self::signal(pid, Signal::KILL)?;
                Ok(format!("{name} (pid {}) was killed", pid.as_raw_nonzero()))
            }
            Scenario::LeaderAndMaster => {
                let leader = self.leader_port().await?;
                let (name, pid) = self.pid(port)?;
                let (sentinel, other) = self.pid(leader)?;
                Self::signal(pid, Signal::KILL)?;
                Self::signal(other, Signal::KILL)?;
                Ok(format!("{name} and the leading {sentinel} were killed"))
            }
            Scenario::Hang => {
                let (name, pid) = self.pid(port)?;
                self.stop(pid).await?;
                Ok(format!("{name} (pid {}) stands still", pid.as_raw_nonzero()))
            }
            Scenario::Isolate => {
                let wire = self.wires.iter().find(|(outside, ..)| *outside == port);
                let (.., proxy) = wire.ok_or("the master has no wire to cut")?;
                proxy.cut(true);
                Ok(format!("{master} is cut off"))
            }
            Scenario::Planned => {
                crate::daemon::drill::switchover_of(&self.group, &self.sentinels).await?;
                Ok("a switchover is agreed on".to_owned())
            }
            Scenario::RestartEmpty => self.restart_empty(port).await,
            Scenario::Flap => self.flap(port).await,
        }
    }

    async fn heal(&mut self) -> Result<(), String> {
        self.wires.iter().for_each(|(.., proxy)| proxy.cut(false));
        self.resume()
    }

    /// Behind the wire.
    fn beside(&self, master: &Address) -> Address {
        let wire = self.wires.iter().find(|(outside, ..)| *outside == master.port);
        wire.map_or_else(|| master.clone(), |(_, inside, _)| Address::new(master.host.clone(), *inside))
    }
}

/// A process that was told to stop does so thread by thread.
fn all_threads_stopped(pid: Pid) -> bool {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{}/task", pid.as_raw_nonzero())) else { return false };
    let mut states = threads.flatten().map(|thread| {
        let stat = std::fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        stat.rsplit_once(')').and_then(|(_, rest)| rest.trim_start().chars().next())
    });
    states.all(|state| state.is_none_or(|state| matches!(state, 'T' | 'Z' | 'X')))
}

async fn empty(dir: PathBuf) -> std::io::Result<()> {
    tokio::fs::remove_dir_all(&dir).await?;
    tokio::fs::create_dir_all(&dir).await
}
