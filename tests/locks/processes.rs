//! `vedette lock` over three redis-servers and three bundled ones: contention, dying servers, dying and
//! standing holders, signals, statuses.

use crate::processes::fleet::{Fleet, GROUP, Plan};
use crate::support::{Process, all_threads_stopped, eventually, eventually_telling};
use rustix::process::{Pid, Signal, kill_process};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::Duration;

fn three(start: fn(&[&str]) -> Process) -> Vec<Process> {
    (0..3).map(|_| start(&[])).collect()
}

/// `vedette lock NAME --server ... OPTIONS`, trusting servers that the test has just started.
fn lock(servers: &[Process], name: &str, options: &[&str]) -> Command {
    guarded_lock(servers, name, &[&["--restart-guard", "0"], options].concat())
}

fn guarded_lock(servers: &[Process], name: &str, options: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vedette"));
    let addresses: Vec<String> = servers.iter().map(Process::address).collect();
    command.args(["lock", name, "--server", &addresses.join(",")]).args(options).stdin(Stdio::null());
    command.env("SHELL", "/bin/sh");
    command
}

/// Held by a command that runs until it is stopped; ended with the test.
struct Holder(Child);

impl Holder {
    fn start(mut command: Command, script: &str, log: &Path) -> Holder {
        let script = format!("echo held >> {0}; {script}", log.display());
        let stderr = std::fs::File::create(log.with_extension("err")).unwrap();
        let holder = Holder(command.args(["-c", &script]).stderr(stderr).spawn().unwrap());
        let told = || std::fs::read_to_string(log.with_extension("err")).unwrap_or_default();
        eventually_telling("the lock is held", told, || {
            lines(log).first().is_some_and(|line| line == "held")
        });
        holder
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).unwrap();
    }

    fn ended(&mut self) -> ExitStatus {
        let mut status = None;
        eventually("the holder ends", || {
            status = self.0.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn lines(path: &Path) -> Vec<String> {
    std::fs::read_to_string(path).unwrap_or_default().lines().map(str::to_owned).collect()
}

fn code(output: &Output) -> Option<i32> {
    output.status.code()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Many processes read, add one and write back, each under the lock: nothing is lost, and the fences grow.
fn nobody_loses_an_update(servers: &[Process]) {
    const WORKERS: usize = 5;
    const ROUNDS: usize = 4;
    let dir = tempfile::tempdir().unwrap();
    let (count, fences) = (dir.path().join("count"), dir.path().join("fences"));
    std::fs::write(&count, "0").unwrap();
    let script = format!(
        "n=$(cat {0}); sleep 0.02; echo $((n + 1)) > {0}; echo $VEDETTE_FENCING_TOKEN >> {1}",
        count.display(),
        fences.display()
    );
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                for _ in 0..ROUNDS {
                    let output = lock(servers, "count", &["-c", &script]).output().unwrap();
                    assert_eq!(code(&output), Some(0), "{}", said(&output));
                }
            });
        }
    });
    assert_eq!(lines(&count), [(WORKERS * ROUNDS).to_string()]);
    let fences: Vec<u64> = lines(&fences).iter().map(|line| line.parse().unwrap()).collect();
    assert!(fences.len() == WORKERS * ROUNDS && fences.is_sorted_by(|a, b| a < b), "{fences:?}");
    for server in servers {
        assert_eq!(
            server.connect().ask(&["EXISTS", "count"]).as_integer(),
            Some(0),
            "it is given back everywhere"
        );
    }
}

#[test]
fn many_processes_count_without_a_lost_update_on_redis() {
    nobody_loses_an_update(&three(Process::redis));
}

#[test]
fn many_processes_count_without_a_lost_update_on_bundled_servers() {
    nobody_loses_an_update(&three(Process::vedette));
}

/// As flock(1): the command's status, conflicts, waiting, what cannot be run.
#[test]
fn it_ends_as_flock_does() {
    let servers = three(Process::redis);
    let status = |options: &[&str]| code(&lock(&servers, "job", options).output().unwrap());
    assert_eq!(status(&["-c", "exit 7"]), Some(7));
    assert_eq!(status(&["-c", "kill -9 $$"]), Some(137));
    assert_eq!(status(&["--", "/nonexistent"]), Some(127));
    assert_eq!(status(&["--", "/"]), Some(126));
    assert_eq!(status(&[]), Some(2));
    let dir = tempfile::tempdir().unwrap();
    let (log, go) = (dir.path().join("log"), dir.path().join("go"));
    let script = format!("while ! [ -e {} ]; do sleep 0.05; done", go.display());
    let mut holder = Holder::start(lock(&servers, "job", &[]), &script, &log);
    assert_eq!(status(&["-n", "--", "true"]), Some(1));
    assert_eq!(status(&["-n", "-E", "9", "--", "true"]), Some(9));
    assert_eq!(status(&["-w", "0.3", "--", "true"]), Some(1));
    assert_eq!(status(&["-w", "0.3", "-E", "0", "--", "false"]), Some(0), "the command did not run");
    let waiter = lock(&servers, "job", &["-w", "60", "-c", "exit 4"]).spawn().unwrap();
    std::fs::write(&go, "").unwrap();
    assert_eq!(waiter.wait_with_output().unwrap().status.code(), Some(4));
    assert_eq!(holder.ended().code(), Some(0));
}

/// Neither a minority that is away nor a server without scripts and with a password is in the way.
#[test]
fn a_minority_of_the_servers_may_die_while_it_is_held() {
    let dir = tempfile::tempdir().unwrap();
    let (log, go, password) = (dir.path().join("log"), dir.path().join("go"), dir.path().join("password"));
    std::fs::write(&password, "secret\n").unwrap();
    let directives = ["--requirepass", "secret", "--rename-command", "EVAL", ""];
    let mut servers: Vec<Process> = (0..3).map(|_| Process::redis(&directives)).collect();
    let options = ["--ttl", "6", "--password-file", password.to_str().unwrap()];
    let script = format!("while ! [ -e {} ]; do sleep 0.05; done; exit 3", go.display());
    let mut holder = Holder::start(lock(&servers, "job", &options), &script, &log);
    servers[0].kill();
    let mut wire = servers[1].connect();
    wire.ask(&["AUTH", "secret"]);
    // Renewed four times is held for longer than the ttl.
    let (mut left, mut renewed) = (i64::MAX, 0);
    eventually("it is renewed beyond its ttl", || {
        let now = wire.ask(&["PTTL", "job"]).as_integer().unwrap();
        renewed += usize::from(now > left);
        left = now;
        renewed >= 4
    });
    // A server that returns with nothing is given the key again.
    servers[0].restart();
    let mut back = servers[0].connect();
    back.ask(&["AUTH", "secret"]);
    eventually("it has the key again, and the fence", || {
        back.ask(&["EXISTS", "job", "{job}:fence"]).as_integer() == Some(2)
    });
    std::fs::write(&go, "").unwrap();
    assert_eq!(holder.ended().code(), Some(3));
    assert_eq!(back.ask(&["GET", "{job}:fence"]).as_integer(), Some(1));
}

/// The majority dies: the command is stopped, also one that does not want to, and only then somebody else's begins.
#[test]
fn a_lost_majority_stops_the_command_before_somebody_else_can_hold_it() {
    let mut servers = three(Process::vedette);
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    // They have lived long enough to be trusted.
    let output = guarded_lock(&servers, "other", &["--ttl", "1", "-w", "60", "--", "true"]).output().unwrap();
    assert_eq!(code(&output), Some(0), "{}", said(&output));
    // It would not stop by itself when asked politely.
    let script = format!("trap '' TERM; while :; do echo A >> {}; sleep 0.02; done", log.display());
    let mut holder = Holder::start(lock(&servers, "job", &["--ttl", "3"]), &script, &log);
    servers[..2].iter_mut().for_each(Process::kill);
    assert_eq!(holder.ended().code(), Some(75));
    servers[..2].iter_mut().for_each(Process::restart);
    let after = format!("echo B >> {}", log.display());
    let output = guarded_lock(&servers, "job", &["--ttl", "3", "-w", "60", "-c", &after]).output().unwrap();
    assert_eq!(code(&output), Some(0), "{}", said(&output));
    let error = std::fs::read_to_string(log.with_extension("err")).unwrap();
    assert!(error.contains("the lock job was lost") && error.contains("stopped"), "{error}");
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(lines(&log).last().map(String::as_str), Some("B"), "it went on under somebody else's lock");
}

/// A holder that stands still cannot stop its command: somebody else gets the lock, and the fence tells.
#[test]
fn a_holder_that_stands_still_is_told_by_its_fence() {
    let servers = three(Process::redis);
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let script = format!("while :; do echo $VEDETTE_FENCING_TOKEN >> {}; sleep 0.05; done", log.display());
    let mut holder = Holder::start(lock(&servers, "job", &["--ttl", "1"]), &script, &log);
    holder.signal(Signal::STOP);
    eventually("it stands still", || all_threads_stopped(holder.0.id()));
    let second_log = dir.path().join("second");
    let second = format!("echo $VEDETTE_FENCING_TOKEN $VEDETTE_LOCK_TOKEN >> {}", second_log.display());
    let output = lock(&servers, "job", &["--ttl", "10", "-w", "60", "-c", &second]).output().unwrap();
    assert_eq!(code(&output), Some(0), "{}", said(&output));
    let ours: u64 = lines(&log)[1].parse().unwrap();
    let second = lines(&second_log).join(" ");
    let (fence, token) = second.split_once(' ').unwrap();
    assert!(fence.parse::<u64>().unwrap() > ours, "{fence} after {ours}");
    assert!(token.len() >= 40, "160 bits: {token}");
    holder.signal(Signal::CONT);
    assert_eq!(holder.ended().code(), Some(75));
    let written = lines(&log).len();
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(lines(&log).len(), written, "the command outlived its lock");
}

/// SIGTERM is the command's; a killed holder takes its command along, and the lock ends by itself.
#[test]
fn signals_reach_the_command_and_nothing_outlives_its_holder() {
    let servers = three(Process::vedette);
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let script = "trap 'exit 5' TERM; while :; do sleep 0.02; done";
    let mut holder = Holder::start(lock(&servers, "job", &[]), script, &log);
    holder.signal(Signal::TERM);
    assert_eq!(holder.ended().code(), Some(5));
    let output = lock(&servers, "job", &["-n", "--", "true"]).output().unwrap();
    assert_eq!(code(&output), Some(0), "it was given back: {}", said(&output));

    let log = dir.path().join("killed");
    let script = format!("while :; do echo A >> {}; sleep 0.02; done", log.display());
    let mut holder = Holder::start(lock(&servers, "job", &["--ttl", "2"]), &script, &log);
    holder.signal(Signal::KILL);
    holder.ended();
    let output = lock(&servers, "job", &["-w", "60", "--", "true"]).output().unwrap();
    assert_eq!(code(&output), Some(0), "{}", said(&output));
    let written = lines(&log).len();
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(lines(&log).len(), written, "the command outlived its holder");

    // Who waits is told too, and leaves nothing behind.
    let mut first =
        Holder::start(lock(&servers, "job", &[]), "while :; do sleep 0.02; done", &dir.path().join("first"));
    let mut waiter = Holder(lock(&servers, "job", &["--", "true"]).spawn().unwrap());
    std::thread::sleep(Duration::from_millis(300));
    waiter.signal(Signal::TERM);
    assert_eq!(waiter.ended().code(), Some(143));
    first.signal(Signal::INT);
    first.ended();
}

/// Servers that cannot be asked are named, with why.
#[test]
fn without_a_majority_it_says_who_is_missing() {
    let mut servers = three(Process::redis);
    servers[0].kill();
    servers[1].kill();
    let output = lock(&servers, "job", &["-n", "--", "true"]).output().unwrap();
    assert_eq!(code(&output), Some(69), "{}", said(&output));
    assert!(
        said(&output).contains(&servers[0].address()) && said(&output).contains("refused"),
        "{}",
        said(&output)
    );
    let fresh = three(Process::redis);
    let output = guarded_lock(&fresh, "job", &["-n", "--", "true"]).output().unwrap();
    assert_eq!(code(&output), Some(69), "{}", said(&output));
    assert!(said(&output).contains("may have forgotten a lock"), "{}", said(&output));
}

/// The master of a group dies while it carries the lock: its successor has the key, and is followed.
#[test]
fn a_groups_lock_survives_the_failover_of_its_master() {
    let mut fleet = Fleet::start(&Plan::default());
    let old = fleet.master().unwrap();
    fleet.await_replicas(old);
    let sentinels: Vec<String> =
        fleet.sentinels.iter().map(|sentinel| format!("127.0.0.1:{}", sentinel.port)).collect();
    let dir = tempfile::tempdir().unwrap();
    let (log, go) = (dir.path().join("log"), dir.path().join("go"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_vedette"));
    command.args(["lock", "job", "--group", GROUP, "--sentinel", &sentinels.join(","), "--ttl", "20"]);
    command.args(["--restart-guard", "0"]).env("SHELL", "/bin/sh").stdin(Stdio::null());
    let script = format!("while ! [ -e {} ]; do sleep 0.05; done; exit 6", go.display());
    let mut holder = Holder::start(command, &script, &log);
    let index = fleet.index_of(old);
    fleet.data[index].kill();
    let (new, _) = fleet.await_switch(old, Duration::from_secs(30));
    let mut left = i64::MAX;
    fleet.wait("it is renewed at the new master", Duration::from_secs(30), || {
        let now = crate::processes::wire::Wire::once(new, &["PTTL", "job"]);
        let now = now.and_then(|reply| reply.as_integer()).unwrap_or(i64::MAX);
        let renewed = now > left;
        left = now;
        renewed
    });
    std::fs::write(&go, "").unwrap();
    assert_eq!(holder.ended().code(), Some(6));
}
