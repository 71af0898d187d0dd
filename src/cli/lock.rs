//! `vedette lock NAME -- CMD`: a command that runs while a lock is held, with the manners of flock(1).
//!
//! | status | when |
//! |---|---|
//! | the command's | it ran, and the lock was held all the time (128 + N: ended by signal N) |
//! | 1, or `-E N` | somebody else has the lock (`-n`, or `-w` ran out) |
//! | 2 | the command line is wrong |
//! | 69 | no majority of the servers could be asked (`-n`, or `-w` ran out) |
//! | 75 | the lock was lost while the command ran; it was stopped |
//! | 126, 127 | the command could not be run, or was not found |

use super::lock_child::{Child, Signals};
use super::transport::TlsOptions;
use super::{Failure, lock_child};
use crate::daemon::lock::{Access, Auth, Keeper, NotHeld, Place, State};
use crate::model::Address;
use crate::net::dial::Ways;
use crate::net::link::Route;
use crate::redlock::{Plan, Wait};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

const UNAVAILABLE: u8 = 69;

#[derive(clap::Args, Clone, Debug)]
#[command(override_usage = "vedette lock [OPTIONS] NAME -- COMMAND [ARGUMENT...]\n       \
                            vedette lock [OPTIONS] NAME -c 'COMMAND LINE'")]
pub(super) struct LockOptions {
    /// What is locked: a key on every server
    name: String,
    /// The command, and its arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND")]
    words: Vec<OsString>,
    /// A command line for the shell ($SHELL, or /bin/sh) instead
    #[arg(short, long, value_name = "LINE", conflicts_with = "words")]
    command: Option<OsString>,
    /// Independent masters, three or five of them
    #[arg(
        long,
        env = "VEDETTE_LOCK_SERVERS",
        value_name = "HOST:PORT,...",
        value_delimiter = ',',
        conflicts_with = "group"
    )]
    server: Vec<Address>,
    /// Instead: groups whose masters are asked for from the sentinels, and followed after a failover
    #[arg(long, value_name = "NAME,...", value_delimiter = ',')]
    group: Vec<String>,
    /// Sentinels of those groups
    #[arg(
        long,
        short,
        env = "VEDETTE_SENTINEL",
        value_name = "HOST:PORT,...",
        value_delimiter = ',',
        default_value = "127.0.0.1:26379"
    )]
    sentinel: Vec<Address>,
    /// How long others are kept out when this process and its machine fall silent; renewed every third of it
    #[arg(long, default_value = "30", value_name = "SECONDS", value_parser = seconds)]
    ttl: Duration,
    /// Do not wait when somebody else has it
    #[arg(short, long, visible_alias = "nb", conflicts_with = "wait")]
    nonblock: bool,
    /// Wait so long at most; without -w and -n as long as it takes
    #[arg(short, long, visible_alias = "timeout", value_name = "SECONDS", value_parser = seconds)]
    wait: Option<Duration>,
    /// Exit status when somebody else has it
    #[arg(short = 'E', long, default_value_t = 1, value_name = "STATUS")]
    conflict_exit_code: u8,
    /// From SIGTERM to SIGKILL when the lock is about to be lost [default: a sixth of the ttl]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    grace: Option<Duration>,
    /// A server that started later than this does not count, because it may have forgotten a lock: the longest ttl
    /// that anybody uses for this name; 0 when no server ever forgets [default: the ttl]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    restart_guard: Option<Duration>,
    /// So many replicas of each server must have the key before it counts [default: 0, with --group 1]
    #[arg(long, value_name = "N")]
    replicas: Option<usize>,
    /// Say on stderr when the lock is held and given back
    #[arg(short, long)]
    verbose: bool,
    /// File with the password of the servers
    #[arg(long, env = "VEDETTE_LOCK_PASSWORD_FILE", value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Log in to the servers as this user instead of the default one
    #[arg(long, env = "VEDETTE_LOCK_USER", value_name = "NAME", requires = "password_file")]
    user: Option<String>,
    /// File with the password that the sentinels want
    #[arg(long, env = "VEDETTE_PASSWORD_FILE", value_name = "FILE")]
    sentinel_password_file: Option<PathBuf>,
    /// Log in to the sentinels as this user
    #[arg(long, env = "VEDETTE_USER", value_name = "NAME")]
    sentinel_user: Option<String>,
    #[command(flatten)]
    tls: TlsOptions,
}

/// `30`, `0.5`.
fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "expected seconds, as 30 or 0.5".to_owned())?;
    Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|duration| *duration <= Duration::from_secs(366 * 24 * 3600))
        .ok_or_else(|| "expected seconds from 0 to a year".to_owned())
}

impl LockOptions {
    fn argv(&self) -> Result<Vec<OsString>, Failure> {
        match &self.command {
            Some(line) => {
                let shell = std::env::var_os("SHELL").filter(|shell| !shell.is_empty());
                Ok(vec![shell.unwrap_or_else(|| "/bin/sh".into()), "-c".into(), line.clone()])
            }
            None if self.words.is_empty() => {
                Err(Failure::usage("no command: vedette lock NAME -- COMMAND [ARGUMENT...], or -c 'LINE'"))
            }
            None => Ok(self.words.clone()),
        }
    }

    fn access(&self) -> Result<Access, Failure> {
        let places: Vec<Place> = match (self.server.as_slice(), self.group.as_slice()) {
            ([], []) => {
                return Err(Failure::usage(
                    "no servers: name three or five independent masters with --server HOST:PORT, or groups with --group NAME",
                ));
            }
            ([], groups) => {
                let place =
                    |name: &String| Place::Group { name: name.clone(), sentinels: self.sentinel.clone() };
                groups.iter().map(place).collect()
            }
            (servers, _) => servers.iter().cloned().map(Place::Server).collect(),
        };
        let mut access = Access::open(places);
        let route = Route { ways: Ways::plain(), tls: self.tls.connector()?.map(Arc::new) };
        access.data_auth = login(self.password_file.as_deref(), self.user.as_deref())?;
        access.sentinel_auth = login(self.sentinel_password_file.as_deref(), self.sentinel_user.as_deref())?;
        access.data_route = route.clone();
        access.sentinel_route = route;
        access.replicas = self.replicas.unwrap_or(access.replicas);
        Ok(access)
    }

    fn plan(&self, servers: usize) -> Result<Plan, Failure> {
        let usage = |error: crate::redlock::BadPlan| Failure::usage(error.to_string());
        let mut plan = Plan::new(servers, self.ttl).map_err(usage)?;
        plan.restart_guard = self.restart_guard.unwrap_or(self.ttl);
        plan.stop_margin = self.grace.unwrap_or(plan.stop_margin);
        plan.wait = match self.wait {
            _ if self.nonblock => Wait::No,
            Some(wait) => Wait::For(wait),
            None => Wait::Forever,
        };
        plan.check().map_err(usage)?;
        Ok(plan)
    }

    fn say(&self, text: &str) {
        if self.verbose {
            eprintln!("vedette: {}: {text}", self.name);
        }
    }
}

fn login(file: Option<&Path>, user: Option<&str>) -> Result<Option<Auth>, Failure> {
    let Some(file) = file else { return Ok(None) };
    let text = std::fs::read_to_string(file)
        .map_err(|error| Failure::usage(format!("cannot read {}: {error}", file.display())))?;
    let password = text.trim_end_matches(['\r', '\n']).to_owned();
    Ok(Some(Auth { user: user.map(str::to_owned), password, command: None }))
}

pub(super) fn run(options: &LockOptions) -> Result<(), Failure> {
    let (argv, access) = (options.argv()?, options.access()?);
    let plan = options.plan(access.places.len())?;
    // The command ends with the thread that started it: this one, which stays to the end.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let status = runtime.block_on(hold(options, access, plan, &argv))?;
    if status == 0 { Ok(()) } else { Err(Failure::said(status)) }
}

async fn hold(options: &LockOptions, access: Access, plan: Plan, argv: &[OsString]) -> Result<u8, Failure> {
    let mut signals = Signals::listen()?;
    let grace = plan.stop_margin;
    let usage = |error: crate::daemon::lock::StartError| Failure::usage(error.to_string());
    let mut keeper = Keeper::start(access, &options.name, plan).map_err(usage)?;
    if let Some(status) = wait(options, &mut keeper, &mut signals).await? {
        keeper.release().await;
        return Ok(status);
    }
    let (State::Held(grant) | State::Expiring(grant)) = keeper.state() else {
        keeper.release().await;
        return Err(lost(options, "before the command began"));
    };
    options.say(&format!("held, fencing token {}", grant.fence));
    let surroundings = [
        ("VEDETTE_LOCK_NAME", options.name.clone()),
        ("VEDETTE_LOCK_TOKEN", grant.token),
        ("VEDETTE_FENCING_TOKEN", grant.fence.to_string()),
    ];
    let mut child = Child::start(argv, &surroundings)?;
    let ended = lock_child::watch(&mut child, &mut keeper, &mut signals, grace).await;
    keeper.release().await;
    let (status, stopped) = ended?;
    if let Some(why) = stopped {
        return Err(lost(options, &format!("{why}; the command was stopped")));
    }
    options.say("given back");
    Ok(status)
}

fn lost(options: &LockOptions, how: &str) -> Failure {
    Failure { status: lock_child::LOST, message: format!("the lock {} was lost: {how}", options.name) }
}

/// Until it is held; or the status to end with.
async fn wait(
    options: &LockOptions,
    keeper: &mut Keeper,
    signals: &mut Signals,
) -> Result<Option<u8>, Failure> {
    let mut told: Vec<String> = Vec::new();
    while let State::Waiting(troubles) = keeper.state() {
        for trouble in troubles {
            // Each once: who waits for long must see why, not how often.
            if !options.nonblock && !told.contains(&trouble) && told.len() < 64 {
                eprintln!("vedette: {}: {trouble}", options.name);
                told.push(trouble);
            }
        }
        tokio::select! {
            _ = keeper.changed() => {}
            signal = signals.next() => return Ok(Some(lock_child::status_of_signal(signal.as_raw()))),
        }
    }
    match keeper.acquired().await {
        Ok(_) => Ok(None),
        Err(NotHeld::Conflict) => {
            options.say("somebody else has it");
            Ok(Some(options.conflict_exit_code))
        }
        Err(error @ NotHeld::Unreachable(_)) => {
            Err(Failure { status: UNAVAILABLE, message: format!("{}: {error}", options.name) })
        }
        Err(NotHeld::Over) => Err(lost(options, "before the command began")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_may_have_a_fraction_and_an_end() {
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        for bad in ["", "-1", "soon", "inf", "NaN", "1e300", "99999999"] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
    }
}
