//! Programs that nobody here wrote, on `vedette server` and on Debian's redis-server: what they say must
//! be the same on both.

mod cli;
mod queues;

use crate::support::Process;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Programs start slowly on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

fn path(of: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(of)
}

/// Runs it to its end; what it said. Its complaints are shown when it fails.
fn run(command: &mut Command) -> String {
    let said = tempfile::NamedTempFile::new().expect("a temporary file");
    let complaints = tempfile::NamedTempFile::new().expect("a temporary file");
    let name = format!("{command:?}");
    let mut child = command
        .env("NODE_PATH", path("target/node/node_modules"))
        .stdin(Stdio::null())
        .stdout(said.reopen().expect("the temporary file again"))
        .stderr(complaints.reopen().expect("the temporary file again"))
        .spawn()
        .unwrap_or_else(|error| {
            panic!("{name} cannot be started: {error} (tests/run installs what it needs)")
        });
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait().expect("a child can be waited for") {
            let told = || format!("{}{}", read(said.path()), read(complaints.path()));
            assert!(status.success(), "{name} failed: {}", told());
            return read(said.path());
        }
        if start.elapsed() > PATIENCE {
            let _ = child.kill();
            let _ = child.wait();
            panic!("{name} does not end; so far: {}{}", read(said.path()), read(complaints.path()));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn read(path: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(path).expect("what it said")).into_owned()
}

/// What `run` says of our server, and of stock Redis, both at a time.
fn on_both<T: Send>(directives: &[&str], run: impl Fn(&Process) -> T + Sync) -> (T, T) {
    let (ours, theirs) = (Process::vedette(directives), Process::redis(directives));
    std::thread::scope(|scope| {
        let other = scope.spawn(|| run(&theirs));
        let own = run(&ours);
        (own, other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })
}
