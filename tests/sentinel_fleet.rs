//! A fleet of three real sentinels over stock Redis: ready within seconds from nothing, every client
//! told of the new master when the old one is killed, and a sentinel that lost its log refused.
//!
//! Needs `redis-server` on the PATH; without it the tests say so and pass.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(60);

/// A process that ends with its test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Ports that were free a moment ago, all different.
fn free_ports<const N: usize>() -> [u16; N] {
    std::array::from_fn(|_| crate::support::free_port())
}

fn redis(dir: &Path, port: u16, master: Option<u16>) -> Process {
    let mut command = Command::new("redis-server");
    // Without a fork and without the wait that Redis makes for more replicas to come.
    command.args(["--port", &port.to_string(), "--save", "", "--repl-diskless-sync-delay", "0"]);
    command.args(["--repl-ping-replica-period", "1"]);
    if let Some(master) = master {
        command.args(["--replicaof", &format!("127.0.0.1 {master}")]);
    }
    let child = command.arg("--dir").arg(dir).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    Process(child.expect("redis-server must be installed for this test: apt-get install redis-server"))
}

struct Fleet {
    dir: tempfile::TempDir,
    ports: [u16; 3],
    sentinels: Vec<Process>,
}

impl Fleet {
    fn start(master: u16) -> Fleet {
        let dir = tempfile::tempdir().unwrap();
        let ports = free_ports::<3>();
        let mut fleet = Fleet { dir, ports, sentinels: Vec::new() };
        for index in 0..3 {
            let config = fleet.write_config(index, master);
            fleet.sentinels.push(fleet.run(index, &config));
        }
        fleet
    }

    fn write_config(&self, index: usize, master: u16) -> PathBuf {
        let peers: String = (1..=3)
            .map(|id| format!("  - {{ id: {id}, address: \"127.0.0.1:{}\" }}\n", self.ports[id - 1]))
            .collect();
        let text = format!(
            "id: {}\nport: {}\ndir: {}\npeers:\n{peers}masters:\n  - {{ name: mymaster, address: \
             \"127.0.0.1:{master}\", down-after-milliseconds: 1000 }}\n",
            index + 1,
            self.ports[index],
            self.home(index).display(),
        );
        let path = self.dir.path().join(format!("{index}.yaml"));
        std::fs::write(&path, text).unwrap();
        path
    }

    fn home(&self, index: usize) -> PathBuf {
        self.dir.path().join(format!("sentinel-{index}"))
    }

    fn run(&self, index: usize, config: &Path) -> Process {
        let log = std::fs::File::create(self.log(index)).unwrap();
        let command = Command::new(env!("CARGO_BIN_EXE_vedette"))
            .args(["sentinel", "--config"])
            .arg(config)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn();
        Process(command.unwrap())
    }

    fn log(&self, index: usize) -> PathBuf {
        self.dir.path().join(format!("{index}.log"))
    }

    /// Waits until `good` holds on every sentinel; the logs are shown when it does not come.
    fn wait_for(&self, what: &str, good: impl Fn(u16) -> bool) {
        let started = Instant::now();
        while !self.ports.iter().all(|port| good(*port)) {
            if started.elapsed() > PATIENCE {
                let logs: Vec<String> =
                    (0..3).map(|i| std::fs::read_to_string(self.log(i)).unwrap_or_default()).collect();
                panic!("not in time: {what}\n{}", logs.join("\n---\n"));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// The raw reply to one inline command; empty while nobody listens.
fn ask(port: u16, line: &str) -> String {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return String::new() };
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let mut reply = String::new();
    // QUIT ends the connection, so the reply is whole when it ends.
    let asked = stream.write_all(format!("{line}\r\nQUIT\r\n").as_bytes());
    if asked.and_then(|()| stream.read_to_string(&mut reply)).is_err() {
        return String::new();
    }
    reply
}

fn master_is(sentinel: u16, port: u16) -> bool {
    let reply = ask(sentinel, "SENTINEL GET-MASTER-ADDR-BY-NAME mymaster");
    reply.contains(&format!("\r\n{port}\r\n"))
}

#[test]
fn three_sentinels_tell_every_client_of_the_new_master() {
    let [master, replica] = free_ports::<2>();
    let home = tempfile::tempdir().unwrap();
    let mut first = redis(home.path(), master, None);
    let _second = redis(home.path(), replica, Some(master));
    let fleet = Fleet::start(master);

    fleet.wait_for("an answer", |port| ask(port, "PING").starts_with("+PONG"));
    fleet.wait_for("the master's address", |port| master_is(port, master));
    fleet.wait_for("a replica in sync", |port| {
        let text = ask(port, "SENTINEL MASTER mymaster");
        text.contains("flags\r\n$6\r\nmaster\r\n") && text.contains(&format!("\r\n127.0.0.1:{replica}\r\n"))
    });
    assert!(ask(fleet.ports[0], "SENTINEL CKQUORUM mymaster").starts_with("+OK 3 usable Sentinels"));
    assert!(ask(fleet.ports[1], "ROLE").starts_with("*2\r\n$8\r\nsentinel\r\n*1\r\n$8\r\nmymaster"));

    let listeners: Vec<BufReader<TcpStream>> = fleet
        .ports
        .iter()
        .map(|port| {
            let mut stream = TcpStream::connect(("127.0.0.1", *port)).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            stream.write_all(b"SUBSCRIBE +switch-master\r\n").unwrap();
            let mut lines = BufReader::new(stream);
            // *3 $9 subscribe $14 +switch-master :1
            (0..6).for_each(|_| assert!(lines.read_line(&mut String::new()).unwrap() > 0));
            lines
        })
        .collect();

    first.0.kill().unwrap();
    first.0.wait().unwrap();
    let expected = format!("mymaster 127.0.0.1 {master} 127.0.0.1 {replica}");
    for mut lines in listeners {
        let mut message = String::new();
        // *3 $7 message $14 +switch-master $n payload
        (0..7).for_each(|_| {
            message.clear();
            lines.read_line(&mut message).unwrap();
        });
        assert_eq!(message.trim_end(), expected);
    }
    // Whoever heard of the switch is told of the new master.
    assert!(fleet.ports.iter().all(|port| master_is(*port, replica)));
    assert!(ask(replica, "ROLE").contains("master"));

    // The old master comes back and is made a replica.
    let _again = redis(home.path(), master, None);
    let started = Instant::now();
    while !ask(master, "ROLE").contains(&format!("slave\r\n$9\r\n127.0.0.1\r\n:{replica}")) {
        assert!(started.elapsed() < PATIENCE, "the old master was not demoted");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_sentinel_that_lost_its_log_is_refused_and_says_what_to_do() {
    let [master] = free_ports::<1>();
    let mut fleet = Fleet::start(master);
    fleet.wait_for("a leader", |port| {
        let raft = ask(port, "INFO raft");
        raft.contains("vedette_fresh:yes") && ask(port, "INFO sentinel").contains("sentinel_masters:1")
    });
    // Every voter is bound to its directory once its +sentinel is agreed.
    fleet.wait_for("three bound voters", |port| {
        ask(port, "SENTINEL SENTINELS mymaster").matches("runid").count() == 2
    });

    let mut lost = fleet.sentinels.pop().unwrap();
    lost.0.kill().unwrap();
    lost.0.wait().unwrap();
    std::fs::remove_dir_all(fleet.home(2)).unwrap();
    let config = fleet.write_config(2, master);
    let mut reborn = fleet.run(2, &config);
    let started = Instant::now();
    let status = loop {
        if let Some(status) = reborn.0.try_wait().unwrap() {
            break status;
        }
        assert!(started.elapsed() < PATIENCE, "it goes on under an id that may have voted");
        std::thread::sleep(Duration::from_millis(20));
    };
    let log = std::fs::read_to_string(fleet.log(2)).unwrap();
    assert_eq!(status.code(), Some(1), "{log}");
    assert!(log.contains("its log was lost or replaced") && log.contains("vedette peer replace"), "{log}");

    // And a second process on a port that is taken says so.
    let taken = fleet.run(2, &fleet.dir.path().join("0.yaml"));
    let mut taken = taken;
    assert_eq!(taken.0.wait().unwrap().code(), Some(1));
    assert!(std::fs::read_to_string(fleet.log(2)).unwrap().contains("in use by another process"));
}
