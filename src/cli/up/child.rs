//! One process of the fleet, kept alive: started, waited for, started again with growing patience.
//!
//! Promises: when asked to stop, the process is gone before [`keep`] returns, by force if it must be;
//! it also ends with this process, however that ends (`--parent`). Never signals anything but the
//! process it started.

use super::plan::Node;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tokio::process::{Child, Command};
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::Instant;

/// Pause before the first restart.
const RESTART_MIN: Duration = Duration::from_secs(1);
const RESTART_MAX: Duration = Duration::from_secs(30);
/// A process that lived this long starts again with the first pause.
const LIVED: Duration = Duration::from_secs(20);
/// From the polite signal to SIGKILL.
const STOP_GRACE: Duration = Duration::from_secs(5);

/// What the screen is told.
#[derive(Debug)]
pub(in crate::cli) struct News {
    /// Its place in the list of nodes.
    pub(in crate::cli) index: usize,
    pub(in crate::cli) kind: NewsKind,
}

#[derive(Debug)]
pub(in crate::cli) enum NewsKind {
    Started { pid: u32 },
    CannotStart { why: String, again: Duration },
    Ended { how: String, again: Duration },
}

pub(in crate::cli) struct Keeper {
    pub(in crate::cli) index: usize,
    pub(in crate::cli) node: Node,
    pub(in crate::cli) program: PathBuf,
    pub(in crate::cli) log: PathBuf,
    pub(in crate::cli) news: mpsc::UnboundedSender<News>,
    pub(in crate::cli) stop: watch::Receiver<bool>,
    /// Ends the pause before a restart.
    pub(in crate::cli) hurry: Arc<Notify>,
}

impl Keeper {
    /// Returns only when asked to stop.
    pub(in crate::cli) async fn keep(mut self) {
        let mut pause = RESTART_MIN;
        loop {
            let started = Instant::now();
            let kind = match self.start() {
                Err(error) => NewsKind::CannotStart { why: error.to_string(), again: pause },
                Ok(mut child) => {
                    self.tell(NewsKind::Started { pid: child.id().unwrap_or(0) });
                    tokio::select! {
                        status = child.wait() => {
                            if started.elapsed() >= LIVED {
                                pause = RESTART_MIN;
                            }
                            let how = status.map_or_else(|error| error.to_string(), describe);
                            NewsKind::Ended { how, again: pause }
                        }
                        () = asked(&mut self.stop) => return end(&mut child).await,
                    }
                }
            };
            self.tell(kind);
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.hurry.notified() => {}
                () = asked(&mut self.stop) => return,
            }
            pause = (pause * 2).min(RESTART_MAX);
        }
    }

    fn start(&self) -> std::io::Result<Child> {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(&self.log)?;
        let mut command = Command::new(&self.program);
        command.arg("--parent").arg(std::process::id().to_string()).args(&self.node.argv);
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        // Ctrl-C on the terminal is for this process alone: it stops the fleet in order.
        command.process_group(0).kill_on_drop(true).spawn()
    }

    fn tell(&self, kind: NewsKind) {
        // Without a screen nobody has to know.
        let _ = self.news.send(News { index: self.index, kind });
    }
}

/// Returns when the fleet is to stop; an asker that is gone means the same.
async fn asked(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// SIGTERM, then SIGKILL: a stopped (SIGSTOP) or stuck process ends too.
async fn end(child: &mut Child) {
    let pid = child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(rustix::process::Pid::from_raw);
    if let Some(pid) = pid {
        // The child is not reaped yet, so the pid is still its own.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
    }
    if tokio::time::timeout(STOP_GRACE, child.wait()).await.is_err() {
        let _ = child.kill().await;
    }
}

/// `was killed (SIGKILL)`, `ended with status 1`.
fn describe(status: ExitStatus) -> String {
    match (status.signal(), status.code()) {
        (Some(9), _) => "was killed (SIGKILL)".to_owned(),
        (Some(15), _) => "was terminated (SIGTERM)".to_owned(),
        (Some(11), _) => "crashed (SIGSEGV)".to_owned(),
        (Some(6), _) => "aborted (SIGABRT)".to_owned(),
        (Some(signal), _) => format!("was ended by signal {signal}"),
        (None, Some(0)) => "ended".to_owned(),
        (None, code) => format!("ended with status {}", code.unwrap_or(-1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A keeper of `sh -c SCRIPT`: `--parent PID` becomes `$0` and `$1` of a script run by `/bin/sh`.
    fn keeper(
        script: &str,
    ) -> (Keeper, mpsc::UnboundedReceiver<News>, watch::Sender<bool>, tempfile::TempDir) {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("program");
        std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o700)).unwrap();
        let (news, heard) = mpsc::unbounded_channel();
        let (ask, stop) = watch::channel(false);
        let node = Node { name: "x".into(), port: 1, argv: Vec::new() };
        let log = dir.path().join("log");
        (Keeper { index: 0, node, program, log, news, stop, hurry: Arc::default() }, heard, ask, dir)
    }

    async fn hear(heard: &mut mpsc::UnboundedReceiver<News>) -> NewsKind {
        tokio::time::timeout(Duration::from_secs(20), heard.recv()).await.expect("news in time").unwrap().kind
    }

    #[tokio::test]
    async fn a_process_that_dies_is_started_again_and_its_end_is_named() {
        let (keeper, mut heard, ask, _dir) = keeper("exit 3");
        let kept = tokio::spawn(keeper.keep());
        assert!(matches!(hear(&mut heard).await, NewsKind::Started { .. }));
        assert!(matches!(hear(&mut heard).await, NewsKind::Ended { how, again }
            if how == "ended with status 3" && again == RESTART_MIN));
        assert!(matches!(hear(&mut heard).await, NewsKind::Started { .. }));
        assert!(matches!(hear(&mut heard).await, NewsKind::Ended { again, .. } if again == RESTART_MIN * 2));
        ask.send(true).unwrap();
        kept.await.unwrap();
    }

    #[tokio::test]
    async fn stopping_leaves_no_process_even_when_it_does_not_listen() {
        let (keeper, mut heard, ask, _dir) = keeper("trap '' TERM; while :; do sleep 0.1; done");
        let kept = tokio::spawn(keeper.keep());
        let NewsKind::Started { pid } = hear(&mut heard).await else { panic!("not started") };
        ask.send(true).unwrap();
        kept.await.unwrap();
        let pid = rustix::process::Pid::from_raw(pid as i32).unwrap();
        assert!(rustix::process::test_kill_process(pid).is_err(), "process {pid:?} is still there");
    }
}
