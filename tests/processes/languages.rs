//! Clients of other languages go through a failover while they write: ioredis, node-redis, phpredis,
//! Ruby's redis, and fred. Each finds the master through the sentinels, loses it to a SIGKILL, and must have a
//! write acknowledged by the successor. The programs are in tests/clients; what they say is checked
//! against the servers.

use super::fleet::{Fleet, GROUP, Plan};
use super::wire::Wire;
use fred::prelude::{
    Builder, ClientLike, Config, ConnectionConfig, KeysInterface, PerformanceConfig, ReconnectPolicy, Server,
    ServerConfig,
};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// Clients start slowly on a busy machine.
const START_MAX: Duration = Duration::from_secs(40);
/// Generous against the second that the failover takes.
const SWITCH_MAX: Duration = Duration::from_secs(20);
const KEY: &str = "client:key";

/// A client's process; killed when dropped.
struct Client {
    child: Child,
    lines: Receiver<String>,
    errors: tempfile::NamedTempFile,
}

impl Client {
    fn start(interpreter: &str, package: &str, script: &str, fleet: &Fleet) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let errors = tempfile::NamedTempFile::new().unwrap();
        let mut child = Command::new(interpreter)
            .arg(root.join("tests/clients").join(script))
            .args(fleet.sentinels.iter().map(|sentinel| sentinel.port.to_string()))
            .env("NODE_PATH", root.join("target/node/node_modules"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(errors.reopen().unwrap())
            .spawn()
            .unwrap_or_else(|error| {
                panic!("{interpreter} cannot be started: {error} (tests/run installs {package})")
            });
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        // Ends with the process, whose end closes the pipe.
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Client { child, lines, errors }
    }

    /// The numbers of the next line, which must begin with `word`.
    fn says(&self, word: &str, within: Duration, fleet: &Fleet) -> Vec<u64> {
        let line = self.lines.recv_timeout(within).unwrap_or_default();
        let mut words = line.split(' ');
        if words.next() != Some(word) {
            let errors = std::fs::read_to_string(self.errors.path()).unwrap_or_default();
            panic!("the client said '{line}' and not '{word} ...'\n{errors}\n{}", fleet.logs());
        }
        words.map(|number| number.parse().unwrap()).collect()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn value_at(port: u16, key: &str) -> Option<String> {
    Wire::once(port, &["GET", key])?.as_str().map(str::to_owned)
}

fn goes_through(interpreter: &str, package: &str, script: &str) {
    let mut fleet = Fleet::start(&Plan::default());
    let old = fleet.master().unwrap();
    let client = Client::start(interpreter, package, script, &fleet);
    assert_eq!(client.says("writing", START_MAX, &fleet), [u64::from(old)]);
    let index = fleet.index_of(old);
    fleet.data[index].kill();
    let switched = client.says("switched", SWITCH_MAX, &fleet);
    let (successor, _) = fleet.await_switch(old, SWITCH_MAX);
    // The client ends with that write, so that it is the last.
    let written = value_at(successor, KEY).expect("the successor serves");
    assert_eq!(switched, [u64::from(successor), written.parse().unwrap()], "{}", fleet.logs());
}

#[test]
fn ioredis_goes_through_a_failover() {
    goes_through("node", "nodejs, and ioredis into target/node", "ioredis.js");
}

#[test]
fn node_redis_goes_through_a_failover() {
    goes_through("node", "nodejs, and redis into target/node", "node_redis.js");
}

#[test]
fn phpredis_goes_through_a_failover() {
    goes_through("php", "php-cli and php-redis", "phpredis.php");
}

#[test]
fn ruby_goes_through_a_failover() {
    goes_through("ruby", "ruby-redis", "redis_rb.rb");
}

#[test]
fn fred_goes_through_a_failover() {
    let mut fleet = Fleet::start(&Plan::default());
    let old = fleet.master().unwrap();
    let config = Config {
        server: ServerConfig::Sentinel {
            hosts: fleet.sentinels.iter().map(|sentinel| Server::new("127.0.0.1", sentinel.port)).collect(),
            service_name: GROUP.to_owned(),
            username: None,
            password: None,
        },
        ..Config::default()
    };
    let client = Builder::from_config(config)
        .with_connection_config(|connection: &mut ConnectionConfig| {
            connection.connection_timeout = Duration::from_secs(1);
            connection.internal_command_timeout = Duration::from_secs(1);
        })
        .with_performance_config(|performance: &mut PerformanceConfig| {
            performance.default_command_timeout = Duration::from_secs(1);
        })
        .set_policy(ReconnectPolicy::new_constant(0, 50))
        .build()
        .unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    // A key each: a write that failed may still come through after the next one.
    let key = |number: u64| format!("{KEY}:{number}");
    let write = |number: u64| {
        runtime.block_on(client.set::<(), _, _>(key(number), number.to_string(), None, None, false))
    };
    runtime
        .block_on(async { tokio::time::timeout(START_MAX, client.init()).await })
        .expect("fred connects in time")
        .unwrap();
    write(0).unwrap();
    assert_eq!(value_at(old, &key(0)).as_deref(), Some("0"), "fred writes to the master");
    let index = fleet.index_of(old);
    fleet.data[index].kill();
    let deadline = Instant::now() + SWITCH_MAX;
    let mut number = 1;
    while let Err(error) = write(number) {
        assert!(Instant::now() < deadline, "still failing: {error}\n{}", fleet.logs());
        number += 1;
        std::thread::sleep(Duration::from_millis(20));
    }
    let (successor, _) = fleet.await_switch(old, SWITCH_MAX);
    assert_eq!(value_at(successor, &key(number)), Some(number.to_string()), "{}", fleet.logs());
    let _ = runtime.block_on(client.quit());
}
