//! A fleet of real processes on loopback: data servers (ours or stock Redis) and our sentinels, each in
//! its own folder of a temporary directory. Everything is killed when it is dropped.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use vedette::resp::Reply;

use super::wire::Wire;
use crate::support::{all_threads_stopped, eventually, free_port};

pub const GROUP: &str = "mymaster";

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Data {
    Bundled,
    Stock,
}

/// One process that can be killed, stopped and started again with the same arguments.
pub struct Process {
    pub name: String,
    pub port: u16,
    program: PathBuf,
    args: Vec<String>,
    log: PathBuf,
    child: Option<Child>,
}

impl Process {
    pub fn new(name: String, port: u16, program: PathBuf, args: Vec<String>, log: PathBuf) -> Self {
        Process { name, port, program, args, log, child: None }
    }

    pub fn start(&mut self) {
        let log = fs::OpenOptions::new().create(true).append(true).open(&self.log).unwrap();
        let child = Command::new(&self.program)
            .args(&self.args)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|e| {
                panic!("{} cannot be started: {e} (tests/run installs it)", self.program.display())
            });
        self.child = Some(child);
    }

    pub fn pid(&self) -> rustix::process::Pid {
        let child = self.child.as_ref().expect("the process runs");
        rustix::process::Pid::from_child(child)
    }

    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Returns when it stands still: what it acknowledged before is no acknowledgement after the stop.
    pub fn stop(&self) {
        rustix::process::kill_process(self.pid(), rustix::process::Signal::STOP).unwrap();
        let pid = self.child.as_ref().expect("the process runs").id();
        eventually("every thread stands still", || all_threads_stopped(pid));
    }

    pub fn resume(&self) {
        rustix::process::kill_process(self.pid(), rustix::process::Signal::CONT).unwrap();
    }

    pub fn is_running(&self) -> bool {
        self.child.is_some()
    }

    /// Its exit status, if it ended by itself.
    pub fn ended(&mut self) -> Option<std::process::ExitStatus> {
        self.child.as_mut().and_then(|child| child.try_wait().ok().flatten())
    }

    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.child.is_some() {
            self.resume_quietly();
        }
        self.kill();
    }
}

impl Process {
    fn resume_quietly(&self) {
        let _ = rustix::process::kill_process(self.pid(), rustix::process::Signal::CONT);
    }
}

pub struct Fleet {
    pub dir: tempfile::TempDir,
    pub data: Vec<Process>,
    pub sentinels: Vec<Process>,
}

/// What a fleet is to be; tests change what they care about.
pub struct Plan {
    pub data: Data,
    pub nodes: usize,
    pub down_after_ms: u64,
    /// Lines appended to every sentinel.yaml.
    pub extra: String,
}

impl Default for Plan {
    fn default() -> Self {
        Plan { data: Data::Bundled, nodes: 3, down_after_ms: 1000, extra: String::new() }
    }
}

/// Ports that nobody listens on now, each given once.
pub fn free_ports(count: usize) -> Vec<u16> {
    (0..count).map(|_| free_port()).collect()
}

pub fn vedette() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_vedette"))
}

impl Fleet {
    /// Starts all and waits until every sentinel names the master and counts its replicas.
    pub fn start(plan: &Plan) -> Self {
        let fleet = Self::launch(plan);
        fleet.await_ready(plan.nodes - 1);
        fleet
    }

    /// Data servers with a master among them, and nobody who watches.
    pub fn data_only(plan: &Plan) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let ports = free_ports(plan.nodes);
        let data = start_data(dir.path(), plan, &ports);
        Fleet { dir, data, sentinels: Vec::new() }
    }

    pub fn launch(plan: &Plan) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let ports = free_ports(plan.nodes + 6);
        let (data_ports, rest) = ports.split_at(plan.nodes);
        let data = start_data(dir.path(), plan, data_ports);
        let (sentinel_ports, http) = rest.split_at(3);
        let sentinels = (0..3)
            .map(|index| {
                let mut process =
                    sentinel_process(dir.path(), plan, index, sentinel_ports, http, data_ports[0]);
                process.start();
                process
            })
            .collect();
        Fleet { dir, data, sentinels }
    }

    pub fn await_ready(&self, replicas: usize) {
        let ready = |sentinel: &Process| {
            self.named_by(sentinel).is_some()
                && Wire::once(sentinel.port, &["SENTINEL", "REPLICAS", GROUP])
                    .and_then(|reply| reply.as_array().map(<[Reply]>::len))
                    == Some(replicas)
        };
        self.wait("the fleet is ready", Duration::from_secs(20), || {
            self.sentinels.iter().all(ready) && self.sync_set_size() >= replicas
        });
    }

    /// How many replicas count for WAIT and promotion, as the master itself was told.
    fn sync_set_size(&self) -> usize {
        let reply = Wire::once(self.sentinels[0].port, &["SENTINEL", "REPLICAS", GROUP]);
        let in_set = |map: &Reply| field(map, "vedette-in-sync").as_deref() == Some("yes");
        reply
            .as_ref()
            .and_then(Reply::as_array)
            .map_or(0, |maps| maps.iter().filter(|map| in_set(map)).count())
    }

    /// The data port this sentinel names, or none.
    pub fn named_by(&self, sentinel: &Process) -> Option<u16> {
        let reply = Wire::once(sentinel.port, &["SENTINEL", "GET-MASTER-ADDR-BY-NAME", GROUP])?;
        reply.as_array()?.get(1)?.as_integer().map(|port| port as u16)
    }

    /// What a client would use: the first answer of any running sentinel.
    pub fn master(&self) -> Option<u16> {
        self.sentinels.iter().find_map(|sentinel| self.named_by(sentinel))
    }

    pub fn index_of(&self, port: u16) -> usize {
        self.data.iter().position(|process| process.port == port).expect("a data server of this fleet")
    }

    /// Waits until every running sentinel names another master than `old`; how long it took.
    pub fn await_switch(&self, old: u16, within: Duration) -> (u16, Duration) {
        let started = Instant::now();
        let mut named = None;
        self.wait("every sentinel names another master", within, || {
            let names: Vec<_> =
                self.sentinels.iter().filter(|s| s.child.is_some()).map(|s| self.named_by(s)).collect();
            named = names.first().copied().flatten();
            named.is_some_and(|port| port != old) && names.iter().all(|name| *name == named)
        });
        (named.unwrap(), started.elapsed())
    }

    /// Kills the master, waits for the next one, and starts the killed one again as its replica.
    pub fn fail_over(&mut self, within: Duration) {
        let master = self.master().expect("a master before the failover");
        let index = self.index_of(master);
        self.data[index].kill();
        let (successor, _) = self.await_switch(master, within);
        self.data[index].start();
        self.await_replicas(successor);
    }

    /// Which sentinel leads the Raft group.
    pub fn leader(&self) -> usize {
        let mut leader = None;
        self.wait("a Raft leader", Duration::from_secs(10), || {
            leader = self.sentinels.iter().position(|s| {
                s.child.is_some()
                    && Wire::once(s.port, &["INFO"])
                        .and_then(|reply| reply.as_str().map(|text| text.contains("raft_role:leader")))
                        == Some(true)
            });
            leader.is_some()
        });
        leader.unwrap()
    }

    /// Waits until all data servers but the master follow it with the link up.
    pub fn await_replicas(&self, master: u16) {
        self.wait("all others follow the master", Duration::from_secs(30), || {
            self.data.iter().filter(|process| process.port != master).all(|process| {
                Wire::once(process.port, &["INFO", "replication"]).is_some_and(|reply| {
                    let text = reply.as_str().unwrap_or("");
                    text.contains(&format!("master_port:{master}\r"))
                        && text.contains("master_link_status:up")
                })
            })
        });
    }

    pub fn wait(&self, what: &str, within: Duration, mut condition: impl FnMut() -> bool) {
        let deadline = Instant::now() + within;
        while !condition() {
            if Instant::now() >= deadline {
                panic!("not within {within:?}: {what}\n{}", self.logs());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The last lines of every process, for the report of a failed test.
    pub fn logs(&self) -> String {
        let mut text = String::new();
        for process in self.data.iter().chain(&self.sentinels) {
            let log = process.log();
            let lines: Vec<_> = log.lines().collect();
            text.push_str(&format!("--- {} (port {})\n", process.name, process.port));
            for line in &lines[lines.len().saturating_sub(25)..] {
                text.push_str(line);
                text.push('\n');
            }
        }
        text
    }
}

fn start_data(dir: &Path, plan: &Plan, ports: &[u16]) -> Vec<Process> {
    let one = |(index, &port): (usize, &u16)| {
        let master = (index > 0).then_some(ports[0]);
        let mut process = data_process(dir, plan.data, index, port, master);
        process.start();
        process
    };
    ports.iter().enumerate().map(one).collect()
}

fn data_process(dir: &Path, kind: Data, index: usize, port: u16, master: Option<u16>) -> Process {
    let name = format!("data-{}", index + 1);
    let home = dir.join(&name);
    fs::create_dir_all(&home).unwrap();
    let port_text = port.to_string();
    let mut args: Vec<String> = Vec::new();
    if kind == Data::Bundled {
        args.push("server".into());
    }
    for (key, value) in [
        ("--port", port_text.as_str()),
        ("--bind", "127.0.0.1"),
        ("--dir", home.to_str().unwrap()),
        ("--save", ""),
        ("--appendonly", "no"),
    ] {
        args.extend([key.to_owned(), value.to_owned()]);
    }
    if let Some(master) = master {
        args.extend(["--replicaof".to_owned(), format!("127.0.0.1 {master}")]);
    }
    let program = if kind == Data::Bundled { vedette() } else { "redis-server".into() };
    Process::new(name.clone(), port, program, args, dir.join(format!("{name}.log")))
}

fn sentinel_process(
    dir: &Path,
    plan: &Plan,
    index: usize,
    ports: &[u16],
    http: &[u16],
    master: u16,
) -> Process {
    let name = format!("sentinel-{}", index + 1);
    let home = dir.join(&name);
    let peers: String = ports
        .iter()
        .enumerate()
        .map(|(peer, port)| format!("  - {{ id: {}, address: \"127.0.0.1:{port}\" }}\n", peer + 1))
        .collect();
    let text = format!(
        "id: {}\nbind: 127.0.0.1\nport: {}\nhttp: 127.0.0.1:{}\ndir: {}\npeers:\n{peers}masters:\n  - name: {GROUP}\n    address: 127.0.0.1:{master}\n    quorum: 2\n    down-after-milliseconds: {}\n    failovers-max: 0\n    failover-timeout: 20000\n    parallel-syncs: 1\n    mode: safe\n{}",
        index + 1,
        ports[index],
        http[index],
        home.display(),
        plan.down_after_ms,
        plan.extra,
    );
    let config = dir.join(format!("{name}.yaml"));
    fs::write(&config, text).unwrap();
    let args = vec!["sentinel".into(), "--config".into(), config.display().to_string()];
    Process::new(name.clone(), ports[index], vedette(), args, dir.join(format!("{name}.log")))
}

/// A field of an instance map, RESP2 shape.
pub fn field(map: &Reply, name: &str) -> Option<String> {
    let items = map.as_array()?;
    let at = items.iter().step_by(2).position(|key| key.as_str() == Some(name))?;
    items.get(at * 2 + 1)?.as_str().map(str::to_owned)
}

/// Id, address and state of every sentinel, as the one at this port says in SENTINEL PEERS.
pub fn peers(port: u16) -> Vec<(u64, String, String)> {
    let Some(reply) = Wire::once(port, &["SENTINEL", "PEERS"]) else { return Vec::new() };
    let one =
        |map: &Reply| Some((field(map, "id")?.parse().ok()?, field(map, "address")?, field(map, "state")?));
    reply.as_array().map_or_else(Vec::new, |maps| maps.iter().filter_map(one).collect())
}
