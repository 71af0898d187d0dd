//! The command below a lock: started, told what this process is told, stopped when the lock ends.
//!
//! Promises: it does not outlive this process, even when that is killed by SIGKILL; when the lock is lost
//! it has got SIGTERM, and SIGKILL before the others may have the lock (as far as this process runs: see
//! docs/locks.md on pauses). With a terminal it stays in the foreground; without one it is a process group
//! of its own, and the whole group is signalled.

use super::Failure;
use crate::daemon::clock;
use crate::daemon::lock::{Keeper, State};
use crate::redlock::Loss;
use crate::stdx::time::Instant;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use std::ffi::OsString;
use std::io::{ErrorKind, IsTerminal};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::ExitStatus;
use std::time::Duration;
use tokio::signal::unix::{self, SignalKind, signal};

/// The lock was lost and the command stopped: a later try may do better (EX_TEMPFAIL).
pub(super) const LOST: u8 = 75;
const CANNOT_RUN: u8 = 126;
const NOT_FOUND: u8 = 127;

/// In the new process: `--parent` has bound it to ours, and now it becomes the command.
pub(super) fn become_command(words: &[OsString]) -> Failure {
    let Some((program, arguments)) = words.split_first() else { return Failure::usage("no command") };
    let error = std::process::Command::new(program).args(arguments).exec();
    let status = if error.kind() == ErrorKind::NotFound { NOT_FOUND } else { CANNOT_RUN };
    Failure { status, message: format!("cannot run {}: {error}", program.display()) }
}

/// Those that are for the command.
pub(super) struct Signals {
    terminate: unix::Signal,
    interrupt: unix::Signal,
    hangup: unix::Signal,
    quit: unix::Signal,
}

impl Signals {
    pub(super) fn listen() -> std::io::Result<Signals> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            quit: signal(SignalKind::quit())?,
        })
    }

    pub(super) async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.terminate.recv() => Signal::TERM,
            _ = self.interrupt.recv() => Signal::INT,
            _ = self.hangup.recv() => Signal::HUP,
            _ = self.quit.recv() => Signal::QUIT,
        }
    }
}

pub(super) fn status_of_signal(signal: i32) -> u8 {
    u8::try_from(signal).map_or(u8::MAX, |signal| 128_u8.saturating_add(signal))
}

pub(super) struct Child {
    process: tokio::process::Child,
    pid: Option<Pid>,
    own_group: bool,
}

impl Child {
    pub(super) fn start(argv: &[OsString], surroundings: &[(&str, String)]) -> Result<Child, Failure> {
        let program = std::env::current_exe()?;
        let mut command = tokio::process::Command::new(program);
        command.arg("--parent").arg(std::process::id().to_string()).arg("lock-child").arg("--").args(argv);
        command.envs(surroundings.iter().map(|(name, value)| (name, value)));
        let own_group = !std::io::stdin().is_terminal();
        if own_group {
            command.process_group(0);
        }
        let process = command.kill_on_drop(true).spawn().map_err(|error| Failure {
            status: CANNOT_RUN,
            message: format!("cannot start the command: {error}"),
        })?;
        let pid = process.id().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
        Ok(Child { process, pid, own_group })
    }

    /// To all of it. What has ended meanwhile needs no signal.
    fn signal(&self, signal: Signal) {
        let Some(pid) = self.pid else { return };
        let _ = if self.own_group { kill_process_group(pid, signal) } else { kill_process(pid, signal) };
    }

    /// Ctrl-C on a terminal has reached it already.
    fn pass_on(&self, signal: Signal) {
        let from_terminal = !self.own_group && (signal == Signal::INT || signal == Signal::QUIT);
        if !from_terminal {
            self.signal(signal);
        }
    }
}

/// Until the command ended: its status, and why it was stopped if it was.
pub(super) async fn watch(
    child: &mut Child,
    keeper: &mut Keeper,
    signals: &mut Signals,
    grace: Duration,
) -> Result<(u8, Option<Loss>), Failure> {
    let mut stopped: Option<Loss> = None;
    let mut kill_at: Option<Instant> = None;
    // The newest word may have come before the command was started.
    let mut state = keeper.state();
    loop {
        match &state {
            State::Expiring(_) if stopped.is_none() => {
                stopped = Some(Loss::Expired);
                child.signal(Signal::TERM);
            }
            State::Lost(loss) if kill_at.is_none() => {
                if *loss == Loss::Taken && stopped.is_none() {
                    child.signal(Signal::TERM);
                    kill_at = Some(clock::mono() + grace);
                } else {
                    kill_at = Some(clock::mono());
                }
                stopped.get_or_insert(*loss);
            }
            _ => {}
        }
        let left = kill_at.map(|at| at.since(clock::mono()));
        if left == Some(Duration::ZERO) {
            child.signal(Signal::KILL);
        }
        tokio::select! {
            status = child.process.wait() => {
                if stopped.is_some() && child.own_group {
                    // What it left behind worked under the same lock.
                    child.signal(Signal::KILL);
                }
                return Ok((status_of(status?), stopped));
            }
            signal = signals.next() => child.pass_on(signal),
            next = keeper.changed() => state = next,
            () = until(left) => {}
        }
    }
}

/// Once killed it is only waited for.
async fn until(left: Option<Duration>) {
    match left {
        Some(left) if !left.is_zero() => tokio::time::sleep(left).await,
        _ => std::future::pending().await,
    }
}

fn status_of(status: ExitStatus) -> u8 {
    match (status.code(), status.signal()) {
        (Some(code), _) => u8::try_from(code & 0xff).unwrap_or(u8::MAX),
        (None, signal) => status_of_signal(signal.unwrap_or(0)),
    }
}
