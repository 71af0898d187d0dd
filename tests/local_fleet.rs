//! `vedette up` from outside: it comes up, survives the death of its master, and leaves nothing behind.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(90);

/// A running `vedette up` whose stdout is read line by line. Killed when dropped: its children end with it.
struct Up {
    child: Child,
    lines: mpsc::Receiver<String>,
    heard: Vec<String>,
}

impl Up {
    fn start(dir: &Path, port_base: u16) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_vedette"))
            .args(["up", "--down-after", "1000", "--port-base", &port_base.to_string(), "--dir"])
            .arg(dir)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            stdout.lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        Up { child, lines, heard: Vec::new() }
    }

    /// The first line from now on that contains `words`.
    fn wait_for(&mut self, words: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => {
                    self.heard.push(line.clone());
                    if line.contains(words) {
                        return line;
                    }
                }
                Err(error) => panic!("'{words}' was not said ({error}); heard:\n{}", self.heard.join("\n")),
            }
        }
    }

    /// `server-1` -> (role, port, pid), as the summary tells.
    fn summary(&mut self) -> BTreeMap<String, (String, u16, i32)> {
        self.wait_for("The fleet is up");
        self.wait_for("status page");
        let parse = |line: &String| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let [role, address, "pid", pid, name] = words[..] else { return None };
            let port = address.rsplit(':').next()?.parse().ok()?;
            Some((name.to_owned(), (role.to_owned(), port, pid.parse().ok()?)))
        };
        self.heard.iter().filter_map(parse).collect()
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn is_running(pid: i32) -> bool {
    // A zombie that init has not reaped yet is no running process.
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit(')').next().unwrap_or("").trim_start().starts_with('Z'))
}

fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn ask(port: u16, words: &[&str]) -> redis::RedisResult<String> {
    let client = redis::Client::open(format!("redis://127.0.0.1:{port}/"))?;
    let mut connection = client.get_connection_with_timeout(Duration::from_secs(2))?;
    connection.set_read_timeout(Some(Duration::from_secs(2)))?;
    let (command, arguments) = words.split_first().unwrap();
    redis::cmd(command).arg(arguments).query(&mut connection)
}

#[test]
fn a_killed_master_is_replaced_and_ctrl_c_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    // Somebody holds the first port: the fleet says so and moves.
    let base = port_base();
    let holder = TcpListener::bind(("127.0.0.1", base));
    let mut up = Up::start(dir.path(), base);
    let fleet = up.summary();
    assert_eq!(fleet.len(), 6, "{fleet:?}");
    let (_, old_port, old_pid) = fleet.values().find(|node| node.0 == "master").unwrap().clone();
    // Whether this test holds it or somebody else does.
    assert!(up.heard.iter().any(|line| line.contains(&format!("port {base} is taken"))), "{:?}", up.heard);
    drop(holder);

    assert_eq!(ask(old_port, &["SET", "greeting", "hello"]).unwrap(), "OK");
    rustix::process::kill_process(
        rustix::process::Pid::from_raw(old_pid).unwrap(),
        rustix::process::Signal::KILL,
    )
    .unwrap();
    up.wait_for("was killed (SIGKILL)");
    let line = up.wait_for("the master is now");
    let new_port: u16 = line.split([':', ' ']).filter_map(|word| word.parse().ok()).next().unwrap();
    assert_ne!(new_port, old_port);
    // A write with a fresh lease, and what was written before.
    wait_until("the new master takes writes", || ask(new_port, &["SET", "again", "1"]).is_ok());
    let sentinel = fleet.values().find(|node| node.0 == "sentinel").unwrap().1;
    let status = Command::new(env!("CARGO_BIN_EXE_vedette"))
        .args(["status", "--sentinel", &format!("127.0.0.1:{sentinel}")])
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&status.stdout).contains(&format!("127.0.0.1:{new_port}")));

    up.signal(rustix::process::Signal::INT);
    let ended = up.child.wait().unwrap();
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    for (name, (_, _, pid)) in &fleet {
        assert!(!is_running(*pid), "{name} (pid {pid}) is still running");
    }
    assert_eq!(leftovers(dir.path()), Vec::<i32>::new());
}

#[test]
fn not_even_sigkill_of_up_leaves_a_process_behind() {
    let dir = tempfile::tempdir().unwrap();
    let mut up = Up::start(dir.path(), port_base());
    let fleet = up.summary();
    up.signal(rustix::process::Signal::KILL);
    assert_eq!(up.child.wait().unwrap().signal(), Some(9));
    for (name, (_, _, pid)) in &fleet {
        wait_until(&format!("{name} ends with its parent"), || !is_running(*pid));
    }
    assert_eq!(leftovers(dir.path()), Vec::<i32>::new());
}

#[test]
fn a_client_library_finds_its_way_through_a_switchover() {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/venv/bin/python");
    assert!(python.exists(), "{} is missing; tests/run makes it", python.display());
    let dir = tempfile::tempdir().unwrap();
    let mut up = Up::start(dir.path(), port_base());
    let fleet = up.summary();
    let sentinels = fleet.values().filter(|node| node.0 == "sentinel").map(|node| node.1.to_string());
    let output = Command::new(python)
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/redis_py.py"))
        .args(sentinels)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.ends_with("ok\n"), "{said}{}", String::from_utf8_lossy(&output.stderr));
}

/// Fleets of tests that run side by side begin at different ports; each takes the next free ones.
fn port_base() -> u16 {
    static NEXT: std::sync::atomic::AtomicU16 = std::sync::atomic::AtomicU16::new(0);
    let place = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    12_000 + (std::process::id() % 100) as u16 * 100 + place * 20
}

/// Processes that name the fleet's directory on their command line.
fn leftovers(dir: &Path) -> Vec<i32> {
    let needle = dir.to_str().unwrap();
    std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok())
        .filter(|pid| {
            std::fs::read_to_string(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.contains(needle))
        })
        .filter(|pid| is_running(*pid))
        .collect()
}

/// A drill on it: the scorecard on stdout, its verdict as the exit status, and nothing left behind.
#[test]
fn a_drill_on_it_ends_with_its_verdict() {
    let drill = |more: &[&str]| {
        let base = crate::support::free_port().to_string();
        let output = Command::new(env!("CARGO_BIN_EXE_vedette"))
            .args(["up", "--down-after", "1000", "--port-base", &base, "--drill", "planned"])
            .args(more)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let told = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8_lossy(&told).into_owned())
    };
    let (code, told) = drill(&[]);
    assert!(code == Some(0) && told.contains("PASSED  planned"), "{code:?} {told}");
    // Nobody writes without any pause.
    let (code, told) = drill(&["--slo-gap-ms", "0"]);
    assert!(code == Some(1) && told.contains("SLO MISSED"), "{code:?} {told}");
}
