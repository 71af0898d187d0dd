//! Clients that know nothing of Vedette go through a failover: redis-py, redis-rs and redis-cli, each
//! with its own idea of how to ask a sentinel.

use super::fleet::{Fleet, GROUP, Plan};
use redis::sentinel::{SentinelClient, SentinelServerType};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const SWITCH_MAX: Duration = Duration::from_secs(15);

/// The interpreter that tests/run prepared with redis-py in it.
fn python() -> PathBuf {
    let venv = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/venv/bin/python");
    assert!(venv.exists(), "{} is missing: tests/run makes it, with redis-py", venv.display());
    venv
}

const PYTHON_STORY: &str = r#"
import sys, time
from redis.sentinel import Sentinel, MasterNotFoundError
import redis
ports = [int(p) for p in sys.argv[2:]]
protocol = int(sys.argv[1])
sentinel = Sentinel([("127.0.0.1", p) for p in ports], socket_timeout=0.5, min_other_sentinels=1,
                    sentinel_kwargs={"protocol": protocol, "socket_timeout": 0.5})
master = sentinel.master_for("mymaster", socket_timeout=0.5, protocol=protocol)
replica = sentinel.slave_for("mymaster", socket_timeout=0.5, protocol=protocol)
master.set("story", "before")
first = sentinel.discover_master("mymaster")
assert len(sentinel.discover_slaves("mymaster")) == 2, sentinel.discover_slaves("mymaster")
print("ready", first[1], flush=True)
sys.stdin.readline()
deadline = time.monotonic() + 15
while True:
    try:
        master.set("story", "after")
        second = sentinel.discover_master("mymaster")
        if second != first:
            break
    except (redis.RedisError, MasterNotFoundError):
        pass
    assert time.monotonic() < deadline, "the client did not find the new master"
    time.sleep(0.02)
master.set("story", "after")
assert master.get("story") == b"after"
deadline = time.monotonic() + 15
while True:
    try:
        if replica.get("story") == b"after":
            break
    except redis.RedisError:
        pass
    assert time.monotonic() < deadline, "no replica has the write"
    time.sleep(0.02)
print("switched", second[1], flush=True)
"#;

fn python_goes_through(protocol: u8) {
    let mut fleet = Fleet::start(&Plan::default());
    let old = fleet.master().unwrap();
    let ports: Vec<_> = fleet.sentinels.iter().map(|sentinel| sentinel.port.to_string()).collect();
    let mut client = Command::new(python())
        .arg("-c")
        .arg(PYTHON_STORY)
        .arg(protocol.to_string())
        .args(&ports)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = std::io::BufReader::new(client.stdout.take().unwrap());
    let mut line = String::new();
    std::io::BufRead::read_line(&mut stdout, &mut line).unwrap();
    if line.trim() != format!("ready {old}") {
        let output = client.wait_with_output().unwrap();
        panic!(
            "redis-py before the failover said '{line}': {}\n{}",
            String::from_utf8_lossy(&output.stderr),
            fleet.logs()
        );
    }
    let index = fleet.index_of(old);
    fleet.data[index].kill();
    std::io::Write::write_all(client.stdin.as_mut().unwrap(), b"go\n").unwrap();
    line.clear();
    std::io::BufRead::read_line(&mut stdout, &mut line).unwrap();
    let output = client.wait_with_output().unwrap();
    assert!(output.status.success(), "{}\n{}", String::from_utf8_lossy(&output.stderr), fleet.logs());
    let (successor, _) = fleet.await_switch(old, SWITCH_MAX);
    assert_eq!(line.trim(), format!("switched {successor}"));
}

#[test]
fn redis_py_goes_through_a_failover_in_resp2() {
    python_goes_through(2);
}

#[test]
fn redis_py_goes_through_a_failover_in_resp3() {
    python_goes_through(3);
}

#[test]
fn redis_rs_goes_through_a_failover() {
    let mut fleet = Fleet::start(&Plan::default());
    let old = fleet.master().unwrap();
    let nodes: Vec<String> =
        fleet.sentinels.iter().map(|sentinel| format!("redis://127.0.0.1:{}/", sentinel.port)).collect();
    let mut client =
        SentinelClient::build(nodes, GROUP.to_owned(), None, SentinelServerType::Master).unwrap();
    let mut connection = client.get_connection().unwrap();
    redis::cmd("SET").arg("story").arg("before").exec(&mut connection).unwrap();
    let index = fleet.index_of(old);
    fleet.data[index].kill();
    let deadline = Instant::now() + SWITCH_MAX;
    loop {
        let written = client.get_connection().and_then(|mut connection| {
            redis::cmd("SET").arg("story").arg("after").exec(&mut connection)?;
            redis::cmd("GET").arg("story").query::<String>(&mut connection)
        });
        match written {
            Ok(value) => {
                assert_eq!(value, "after");
                break;
            }
            Err(error) => assert!(Instant::now() < deadline, "still failing: {error}\n{}", fleet.logs()),
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    fleet.await_switch(old, SWITCH_MAX);
}

#[test]
fn redis_cli_asks_and_watches_a_failover() {
    let mut fleet = Fleet::start(&Plan::default());
    let old = fleet.master().unwrap();
    let cli = |port: u16, words: &[&str]| {
        let output = Command::new("redis-cli").arg("-p").arg(port.to_string()).args(words).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let sentinel = fleet.sentinels[1].port;
    for alias in ["get-master-addr-by-name", "get-master-addr", "get-primary-addr-by-name"] {
        assert_eq!(cli(sentinel, &["sentinel", alias, GROUP]), format!("127.0.0.1\n{old}\n"), "{alias}");
    }
    assert!(cli(sentinel, &["sentinel", "ckquorum", GROUP]).starts_with("OK 3 usable Sentinels"));
    assert_eq!(cli(sentinel, &["role"]), format!("sentinel\n{GROUP}\n"));
    assert!(cli(sentinel, &["info", "sentinel"]).contains("status=ok"));
    let mut subscriber = Command::new("redis-cli")
        .args(["-p", &sentinel.to_string(), "psubscribe", "*"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (lines, received) = std::sync::mpsc::channel();
    let stdout = std::io::BufReader::new(subscriber.stdout.take().unwrap());
    let reader = std::thread::spawn(move || {
        for line in std::io::BufRead::lines(stdout).map_while(Result::ok) {
            if lines.send(line).is_err() {
                break;
            }
        }
    });
    // The subscription is confirmed before the fault, so that nothing is missed.
    assert_eq!(received.recv_timeout(Duration::from_secs(5)).as_deref(), Ok("psubscribe"));
    let index = fleet.index_of(old);
    fleet.data[index].kill();
    let (successor, _) = fleet.await_switch(old, SWITCH_MAX);
    let mut story = Vec::new();
    let wanted = format!("{GROUP} 127.0.0.1 {old} 127.0.0.1 {successor}");
    while !story.contains(&wanted) {
        match received.recv_timeout(Duration::from_secs(5)) {
            Ok(line) => story.push(line),
            Err(_) => panic!("+switch-master did not come; seen: {story:#?}"),
        }
    }
    let _ = subscriber.kill();
    let _ = subscriber.wait();
    let _ = reader.join();
    let at = |name: &str| {
        story.iter().position(|line| line == name).unwrap_or_else(|| panic!("no {name} in {story:#?}"))
    };
    let order = [
        "+sdown",
        "+odown",
        "+new-epoch",
        "+try-failover",
        "+elected-leader",
        "+failover-state-select-slave",
        "+selected-slave",
        "+failover-state-send-slaveof-noone",
        "+failover-state-wait-promotion",
        "+promoted-slave",
        "+failover-state-reconf-slaves",
        "+switch-master",
    ];
    for pair in order.windows(2) {
        assert!(at(pair[0]) < at(pair[1]), "{} before {} in {story:#?}", pair[0], pair[1]);
    }
}
