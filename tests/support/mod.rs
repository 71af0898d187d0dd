//! Real processes for tests: the bundled server and Debian's redis-server on free ports in
//! temporary directories, killed when dropped, and a blunt RESP connection.
//!
//! Everything waits for a condition with a deadline; nothing sleeps and hopes.

// Each test file uses its share of this.
#![allow(dead_code)]

pub mod wire;

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
pub use wire::Wire;

pub const DEADLINE: Duration = Duration::from_secs(20);

/// A port on which nothing listens at this moment. Another process may take it before it is used, so
/// starters try again with another one.
pub fn free_port() -> u16 {
    // Below the ports that the kernel gives to outgoing connections: one of those may sit on the port of a
    // killed process when it is to be started again. Counted, so that no two tests are given the same.
    const FIRST: u32 = 11_000;
    const COUNT: u32 = 14_000;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let start = std::process::id().wrapping_mul(131);
    for _ in 0..COUNT {
        let step = start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = u16::try_from(FIRST + step % COUNT).expect("the range ends below 65536");
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("none of {COUNT} ports of loopback is free");
}

/// Asks again until it says yes.
#[track_caller]
pub fn eventually(what: &str, is_so: impl FnMut() -> bool) {
    eventually_telling(what, String::new, is_so);
}

/// The same; when it never did, `logs` says what was written until then.
#[track_caller]
pub fn eventually_telling(what: &str, logs: impl Fn() -> String, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < DEADLINE, "never happened: {what}\n{}", logs());
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Whether no thread of the process runs any more. SIGSTOP is delivered to one thread and stops the
/// others only when that one gets to run: on a busy machine they go on serving for milliseconds
/// after `kill` has returned.
pub fn all_threads_stopped(pid: u32) -> bool {
    let Ok(tasks) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return false };
    tasks.flatten().all(|task| {
        let stat = std::fs::read_to_string(task.path().join("stat")).unwrap_or_default();
        stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T'))
    })
}

/// A server process and its directory; both end with it.
pub struct Process {
    child: Child,
    pub port: u16,
    dir: tempfile::TempDir,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Vedette,
    Redis,
}

impl Process {
    /// `vedette server` with these further directives, answering PING.
    pub fn vedette(directives: &[&str]) -> Process {
        Process::start(Kind::Vedette, directives, &[])
    }

    /// The same with these variables around it.
    pub fn vedette_with(directives: &[&str], environment: &[(&str, &str)]) -> Process {
        Process::start(Kind::Vedette, directives, environment)
    }

    /// Debian's redis-server likewise.
    #[track_caller]
    pub fn redis(directives: &[&str]) -> Process {
        let present = Command::new("redis-server").arg("--version").stdout(Stdio::null()).status();
        assert!(
            present.is_ok_and(|status| status.success()),
            "redis-server must be installed for this test: apt-get install redis-server"
        );
        Process::start(Kind::Redis, directives, &[])
    }

    #[track_caller]
    fn start(kind: Kind, directives: &[&str], environment: &[(&str, &str)]) -> Process {
        for _ in 0..5 {
            let mut process = Process {
                child: Command::new("true").spawn().expect("`true` runs"),
                port: free_port(),
                dir: tempfile::tempdir().expect("a temporary directory"),
                arguments: directives.iter().map(|&word| word.to_owned()).collect(),
                environment: environment.iter().map(|&(name, value)| (name.into(), value.into())).collect(),
                kind,
            };
            let _ = process.child.wait();
            if process.spawn() {
                return process;
            }
        }
        panic!("the server did not start: {directives:?}");
    }

    /// Whether it answers; not when another process took its port.
    fn spawn(&mut self) -> bool {
        let mut command = match self.kind {
            Kind::Vedette => {
                let mut command = Command::new(env!("CARGO_BIN_EXE_vedette"));
                command.arg("server");
                command
            }
            Kind::Redis => Command::new("redis-server"),
        };
        command.args(["--port", &self.port.to_string(), "--bind", "127.0.0.1", "--dir"]).arg(self.dir.path());
        if !self.arguments.iter().any(|word| word == "--save") {
            command.args(["--save", ""]);
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.args(&self.arguments).stdin(Stdio::null()).stdout(Stdio::null());
        if std::env::var_os("VEDETTE_TEST_LOG").is_none() {
            command.stderr(Stdio::null());
        }
        self.child = command.spawn().expect("the binary runs");
        let start = Instant::now();
        while start.elapsed() < DEADLINE {
            if self.child.try_wait().expect("a child can be waited for").is_some() {
                return false;
            }
            // NOAUTH is an answer too, LOADING is not yet.
            let answer = Wire::try_connect(self.port).and_then(|mut wire| wire.try_ask(&["PING"]));
            if answer.is_some_and(|reply| !reply.error().is_some_and(|why| why.starts_with("LOADING"))) {
                return true;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        false
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    #[track_caller]
    pub fn connect(&self) -> Wire {
        Wire::connect(self.port)
    }

    /// SIGKILL, as a crash.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// SIGTERM; the exit code.
    pub fn terminate(&mut self) -> Option<i32> {
        let _ = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        let start = Instant::now();
        while start.elapsed() < DEADLINE {
            if let Ok(Some(status)) = self.child.try_wait() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("SIGTERM did not end it");
    }

    /// Starts again on the same port and directory, after a kill or terminate.
    pub fn restart(&mut self) {
        assert!(self.spawn(), "it did not start again on port {}", self.port);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
