//! Runs scripts and hooks: child processes and requests around `sentinel::errands`.
//!
//! A child gets a process group of its own; at its limit the whole group is killed, and it is reaped in any
//! case. Requests follow the rules of webhooks (`alerts::reach`): no redirect, no proxy, no second look-up.
//! Nothing here waits for anything else: the sentinel's loop goes on while programs run.

use crate::alerts::target::Endpoint;
use crate::config::hooks::HookConfig;
use crate::daemon::guarded_resolver::GuardedResolver;
use crate::model::Epoch;
use crate::model::event::{Event, EventKind};
use crate::sentinel::Verdict;
use crate::sentinel::api::ScriptFacts;
use crate::sentinel::errands::{Action, Ending, Errands, Input, JobId, Pace, State};
use crate::sentinel::scripts::Errand;
use crate::stdx::time::{Duration, Instant};
use slog::{Logger, info, warn};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;
use tokio::sync::mpsc;

/// What comes back to the sentinel's loop.
#[derive(Debug)]
pub enum News {
    Started { job: JobId, pid: u32 },
    Ended { job: JobId, ending: Ending },
    Answered { group: String, epoch: Epoch, verdict: Verdict },
}

/// What the loop is to tell the core.
#[derive(Debug)]
pub enum Report {
    Progress { up_to: u64 },
    Told { kind: EventKind, payload: String },
}

/// Of what a hook says on its standard output, or answers, this much is read.
const ANSWER_BYTES_MAX: u64 = 4096;
/// What a program said right before its end has arrived within this.
const LAST_WORDS: Duration = Duration::from_millis(200);

pub struct ErrandRunner {
    errands: Errands,
    news: mpsc::UnboundedSender<News>,
    logger: Logger,
}

impl ErrandRunner {
    pub fn new(logger: Logger) -> (Self, mpsc::UnboundedReceiver<News>) {
        // A second installation is refused, and is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (news, queue) = mpsc::unbounded_channel();
        (ErrandRunner { errands: Errands::default(), news, logger }, queue)
    }

    pub fn next_wakeup(&self) -> Option<Instant> {
        self.errands.next_wakeup()
    }

    pub fn handle(&mut self, now: Instant, pace: Pace, input: Input) -> Vec<Report> {
        let mut actions = Vec::new();
        self.errands.handle(now, pace, input, &mut actions);
        let mut reports = Vec::new();
        for action in actions {
            match action {
                Action::Run { job, event, errand, limit } => self.run(job, &event, *errand, limit),
                Action::Progress { up_to } => reports.push(Report::Progress { up_to }),
                Action::Told { kind, payload } => {
                    warn!(self.logger, "{} {}", kind.name(), payload);
                    reports.push(Report::Told { kind, payload });
                }
            }
        }
        reports
    }

    fn run(&self, job: JobId, event: &Event, errand: Errand, limit: Duration) {
        let (news, logger) = (self.news.clone(), self.logger.clone());
        let body = serde_json::to_vec(event).unwrap_or_default();
        info!(logger, "running"; "program" => errand.name(), "event" => event.id, "what" => event.kind.name());
        tokio::spawn(async move {
            let started = |pid| drop(news.send(News::Started { job, pid }));
            let ending = match errand {
                Errand::Script { argv } => {
                    let (path, words) = argv.split_first().map_or(("", &argv[..]), |(p, w)| (p.as_str(), w));
                    ended(run_program(Path::new(path), words, &[], limit, started).await, &logger)
                }
                Errand::Hook { hook, .. } => match &hook.program {
                    Some(path) => ended(run_program(path, &[], &body, limit, started).await, &logger),
                    None => match post(&hook, body).await {
                        Ok((200..=299, _)) => Ending::Exit(0),
                        // Told plainly that it is not wanted: not again.
                        Ok((400..=499, _)) => Ending::Exit(2),
                        Ok(_) | Err(_) => Ending::Exit(1),
                    },
                },
            };
            // The loop that reads this ends only together with us.
            let _ = news.send(News::Ended { job, ending });
        });
    }

    /// Asks a pre-failover hook; its answer comes as [`News::Answered`], within its deadline.
    pub fn ask(&self, group: String, epoch: Epoch, hook: HookConfig, body: Vec<u8>) {
        let (news, logger) = (self.news.clone(), self.logger.clone());
        tokio::spawn(async move {
            let verdict = match &hook.program {
                Some(path) => match run_program(path, &[], &body, hook.deadline(), |_| {}).await {
                    Err(why) => Verdict::Failed(why),
                    Ok(Run { ending: Ending::Exit(0), .. }) => Verdict::Allow,
                    Ok(Run { ending: Ending::Exit(status), said }) => {
                        denied(&said, &format!("status {status}"))
                    }
                    Ok(Run { ending: Ending::Signal(signal), .. }) => {
                        Verdict::Failed(format!("ended by signal {signal}"))
                    }
                    Ok(Run { ending: Ending::TimedOut, .. }) => {
                        Verdict::Failed("no answer in time".to_owned())
                    }
                },
                None => match post(&hook, body).await {
                    Ok((200..=299, _)) => Verdict::Allow,
                    Ok((status @ 400..=499, said)) => denied(&said, &format!("HTTP status {status}")),
                    Ok((status, _)) => Verdict::Failed(format!("HTTP status {status}")),
                    Err(why) => Verdict::Failed(why),
                },
            };
            if verdict != Verdict::Allow {
                warn!(logger, "pre-failover hook"; "group" => &group, "epoch" => epoch, "verdict" => ?verdict);
            }
            let _ = news.send(News::Answered { group, epoch, verdict });
        });
    }

    /// What PENDING-SCRIPTS shows.
    /// `done`: up to which event the fleet knows that all has been run.
    pub fn facts(&self, now: Instant, done: u64) -> Vec<ScriptFacts> {
        let scripts = self.errands.jobs().map(|job| {
            let (pid, time) = match job.state {
                State::Running { since, pid } => (Some(pid), now.since(since)),
                State::Waiting { until } => (None, until.since(now)),
            };
            let argv = words(&job.errand);
            ScriptFacts { argv, pid, time_ms: time.as_millis() as u64, retries: job.retries }
        });
        // How far it is with each, only the leader knows.
        let others = self.errands.of_others(done).map(|(_, errand)| ScriptFacts {
            argv: words(errand),
            pid: None,
            time_ms: 0,
            retries: 0,
        });
        scripts.chain(others).collect()
    }
}

fn words(errand: &Errand) -> Vec<String> {
    match errand {
        Errand::Script { argv } => argv.clone(),
        Errand::Hook { .. } => vec![errand.name().to_owned()],
    }
}

fn ended(run: Result<Run, String>, logger: &Logger) -> Ending {
    match run {
        Ok(run) => run.ending,
        Err(why) => {
            warn!(logger, "{}", why);
            // As Redis: what cannot be executed is not tried again.
            Ending::Exit(2)
        }
    }
}

/// The first line is the reason; without one, what it did.
fn denied(said: &str, otherwise: &str) -> Verdict {
    let line = said.lines().map(str::trim).find(|line| !line.is_empty());
    Verdict::Deny(line.unwrap_or(otherwise).to_owned())
}

struct Run {
    ending: Ending,
    said: String,
}

/// Kills a whole process group unless told that it ended.
struct Group(Option<rustix::process::Pid>);

impl Group {
    fn kill(&mut self) {
        if let Some(pid) = self.0.take() {
            // It may have ended meanwhile.
            let _ = rustix::process::kill_process_group(pid, rustix::process::Signal::KILL);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

async fn run_program(
    path: &Path,
    words: &[String],
    input: &[u8],
    limit: Duration,
    started: impl FnOnce(u32),
) -> Result<Run, String> {
    let failed = |error: std::io::Error| format!("cannot run {}: {error}", path.display());
    let mut child = Command::new(path)
        .args(words)
        .stdin(if input.is_empty() { Stdio::null() } else { Stdio::piped() })
        .stdout(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(failed)?;
    let pid = child.id().unwrap_or(0);
    started(pid);
    let mut group = Group(i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw));
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let mut said = Vec::new();
    let talk = async {
        let write = async {
            if let Some(mut stdin) = stdin {
                // A program that does not want it may close its end.
                let _ = stdin.write_all(input).await;
            }
        };
        let read = async {
            if let Some(stdout) = stdout {
                let _ = stdout.take(ANSWER_BYTES_MAX).read_to_end(&mut said).await;
            }
        };
        tokio::join!(write, read);
    };
    let work = async {
        let mut talk = std::pin::pin!(talk);
        let mut talks = true;
        let status = loop {
            tokio::select! {
                () = &mut talk, if talks => talks = false,
                status = child.wait() => break status,
            }
        };
        if talks {
            // Its end counts, and not that of whoever inherited its output.
            let _ = tokio::time::timeout(LAST_WORDS, talk).await;
        }
        status
    };
    let status = match tokio::time::timeout(limit, work).await {
        Err(_) => {
            group.kill();
            // Reaped: a killed child ends at once.
            let _ = child.wait().await;
            return Ok(Run { ending: Ending::TimedOut, said: String::new() });
        }
        Ok(status) => status.map_err(failed)?,
    };
    // What it left behind in its group is its own business: a script may start a daemon.
    group.0 = None;
    let ending = status.code().map_or_else(|| Ending::Signal(status.signal().unwrap_or(0)), Ending::Exit);
    Ok(Run { ending, said: String::from_utf8_lossy(&said).into_owned() })
}

/// POSTs JSON; the status and the beginning of the answer. Errors never hold the URL.
async fn post(hook: &HookConfig, body: Vec<u8>) -> Result<(u16, String), String> {
    let endpoint = Endpoint::parse(hook.url.as_deref().unwrap_or_default()).map_err(str::to_owned)?;
    let resolver = GuardedResolver { host: endpoint.host().clone(), allow_private: hook.allow_private };
    let client = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .timeout(hook.deadline())
        .pool_max_idle_per_host(0)
        .dns_resolver(Arc::new(resolver))
        .build()
        .map_err(|error| plain(&error))?;
    let request = client
        .post(endpoint.reveal())
        .header("content-type", "application/json")
        .header("user-agent", concat!("vedette/", env!("CARGO_PKG_VERSION")))
        .body(body);
    let mut response = request.send().await.map_err(|error| plain(&error))?;
    let status = response.status().as_u16();
    let mut said = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        said.extend_from_slice(&chunk);
        if said.len() as u64 >= ANSWER_BYTES_MAX {
            break;
        }
    }
    Ok((status, String::from_utf8_lossy(&said).into_owned()))
}

fn plain(error: &reqwest::Error) -> String {
    match () {
        () if error.is_timeout() => "no answer in time".to_owned(),
        () if error.is_connect() => "cannot connect".to_owned(),
        () => "the request failed".to_owned(),
    }
}

#[cfg(test)]
#[path = "errand_runner_tests.rs"]
mod tests;
