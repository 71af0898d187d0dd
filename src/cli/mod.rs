//! What a person types: the command line, and what each command prints.
//!
//! Promises: results go to stdout and everything else to stderr; a failure is one sentence with its
//! remedy; the exit status is 0 (done), 1 (it could not be done, or the fleet is not well) or 2 (the
//! command line or a configuration is wrong); `vedette lock` ends as its command did.

mod check;
mod client;
mod daemons;
mod drill;
mod events;
mod explain;
mod failover;
mod import;
mod incidents;
mod lock;
mod lock_child;
mod peer;
mod policy;
mod render;
mod screen;
mod small_heap;
mod status;
mod transport;
mod up;
mod watch;
mod webhooks;

use crate::daemon::logging::{LogFormat, LogLevel};
use crate::model::Address;
use clap::{CommandFactory, Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Parser)]
#[command(name = "vedette", version, about, max_term_width = 100)]
#[command(after_help = "Try it: vedette up")]
struct Cli {
    #[command(flatten)]
    process: ProcessOptions,
    #[command(subcommand)]
    command: Command,
}

/// What every long-running command takes.
#[derive(clap::Args, Clone, Debug)]
struct ProcessOptions {
    /// error, warning, info, debug or trace [default: info]
    #[arg(long, global = true, display_order = 900, env = "VEDETTE_LOG_LEVEL", value_name = "LEVEL")]
    log_level: Option<LogLevel>,
    /// How log lines are written to stderr
    #[arg(
        long,
        global = true,
        display_order = 900,
        default_value = "auto",
        env = "VEDETTE_LOG_FORMAT",
        value_name = "FORMAT"
    )]
    log_format: LogFormat,
    /// End with this parent process, however it ends
    #[arg(long, hide = true, value_name = "PID")]
    parent: Option<i32>,
}

/// How an operator's command reaches the fleet.
#[derive(clap::Args, Clone, Debug)]
struct SentinelOptions {
    /// Any sentinel of the fleet
    #[arg(
        long,
        short,
        default_value = "127.0.0.1:26379",
        env = "VEDETTE_SENTINEL",
        value_name = "HOST:PORT"
    )]
    sentinel: Address,
    /// File with the password that the sentinel wants (requirepass-file)
    #[arg(long, env = "VEDETTE_PASSWORD_FILE", value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Log in as this user instead of the default one
    #[arg(long, env = "VEDETTE_USER", value_name = "NAME")]
    user: Option<String>,
    #[command(flatten)]
    tls: transport::TlsOptions,
}

#[derive(Subcommand)]
enum Command {
    /// Start a local fleet (a master, replicas and sentinels as real processes) and show it live
    Up(up::UpOptions),
    /// Run a data server: `vedette server [redis.conf] [--DIRECTIVE VALUE ...]`
    ///
    /// Directives are those of Redis: --port 6379 --bind 127.0.0.1 --dir DIR --save "" --replicaof "HOST PORT"
    #[command(override_usage = "vedette server [FILE] [--DIRECTIVE VALUE ...]")]
    Server {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
        words: Vec<String>,
    },
    /// Run one sentinel of the fleet: it watches the groups, and agrees with the others who is master
    Sentinel {
        #[command(flatten)]
        options: daemons::SentinelStart,
    },
    /// Show, add, replace and remove sentinels of a running fleet
    Peer {
        #[command(subcommand)]
        action: peer::PeerAction,
    },
    /// Show every group, its master and replicas, and the sentinels; status 1 when one is not well
    Status {
        #[command(flatten)]
        to: SentinelOptions,
        /// The whole snapshot for machines
        #[arg(long)]
        json: bool,
    },
    /// Show the fleet live; without a terminal, one line per event
    Watch {
        #[command(flatten)]
        to: SentinelOptions,
    },
    /// Move a group's master to a replica without losing a write, and follow the events to the end
    Failover(failover::FailoverOptions),
    /// List the last failovers, newest first: when, from where to where, how long, what was lost
    Incidents {
        /// Only those of this group
        name: Option<String>,
        #[command(flatten)]
        to: SentinelOptions,
        /// The whole records for machines
        #[arg(long)]
        json: bool,
    },
    /// Show one failover step by step: what was seen, who decided, which offsets, what was lost
    Incident {
        /// As `vedette incidents` lists it: `mymaster-17`
        id: String,
        #[command(flatten)]
        to: SentinelOptions,
        /// The whole record for machines
        #[arg(long)]
        json: bool,
    },
    /// Say who would be promoted if the master were lost now, why nobody else, and what would block
    Explain {
        /// The group, as `mymaster`
        name: String,
        #[command(flatten)]
        to: SentinelOptions,
        /// For machines
        #[arg(long)]
        json: bool,
    },
    /// Begin maintenance of a group or a replica: no automatic failover, nothing is re-pointed
    Pause(policy::PauseOptions),
    /// End maintenance
    Resume(policy::ResumeOptions),
    /// Say that a group's failovers are known, or that a held fleet may go on
    Acknowledge(policy::AcknowledgeOptions),
    /// Show the webhooks; test one, enable one that was gone, send again what was given up
    Webhooks {
        #[command(flatten)]
        to: SentinelOptions,
        #[command(subcommand)]
        wish: webhooks::Wish,
    },
    /// Practise a failover and keep the score: on a throw-away fleet, or on one that serves
    Drill(drill::DrillOptions),
    /// Run a command while holding a lock on a majority of independent servers; like flock(1), for many machines
    Lock(lock::LockOptions),
    /// Ends with its parent, and becomes the command.
    #[command(hide = true)]
    LockChild {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
        words: Vec<std::ffi::OsString>,
    },
    /// Run beside a stock server: it holds writes back while nobody says that it is master
    Agent {
        /// Its agent.yaml
        #[arg(long, short, value_name = "FILE")]
        config: PathBuf,
    },
    /// Turn a sentinel.conf of Redis into a sentinel.yaml, and say what was left out
    Import {
        /// The sentinel.conf; it is only read
        #[arg(value_name = "FILE")]
        file: PathBuf,
        #[command(flatten)]
        fleet: daemons::FleetOptions,
        /// Write it here, and passwords into files beside it (mode 0600); without it, to stdout
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Read a sentinel.yaml (or a sentinel.conf) and say everything that is wrong with it
    Check {
        /// The sentinel.yaml
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Print shell completions
    #[command(hide = true)]
    Completions { shell: clap_complete::Shell },
    /// Print the manual page (roff)
    #[command(hide = true)]
    Man,
}

/// Why a command ends with another status than 0.
#[derive(Debug)]
struct Failure {
    status: u8,
    /// Empty: the output already says it.
    message: String,
}

impl Failure {
    /// It could not be done.
    fn new(message: impl Into<String>) -> Self {
        Failure { status: 1, message: message.into() }
    }

    /// The command line or a file is wrong.
    fn usage(message: impl Into<String>) -> Self {
        Failure { status: 2, message: message.into() }
    }

    /// The output already says what is wrong.
    fn said(status: u8) -> Self {
        Failure { status, message: String::new() }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Failure::new(error.to_string())
    }
}

pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if !failure.message.is_empty() {
                eprintln!("vedette: {}", failure.message);
            }
            ExitCode::from(failure.status)
        }
    }
}

fn run(cli: Cli) -> Result<(), Failure> {
    if let Some(parent) = cli.process.parent {
        die_with(parent)?;
    }
    match cli.command {
        Command::Up(options) => up::run(&options),
        Command::Server { words } => daemons::server(&cli.process, &words),
        Command::Sentinel { options } => daemons::sentinel(&cli.process, &options),
        Command::Peer { action } => peer::run(&action),
        Command::Status { to, json } => status::run(&to, json),
        Command::Watch { to } => watch::run(&to),
        Command::Failover(options) => failover::run(&options),
        Command::Incidents { name, to, json } => incidents::list(&to, name.as_deref(), json),
        Command::Incident { id, to, json } => incidents::show(&to, &id, json),
        Command::Explain { name, to, json } => explain::run(&to, &name, json),
        Command::Pause(options) => policy::pause(&options),
        Command::Resume(options) => policy::resume(&options),
        Command::Acknowledge(options) => policy::acknowledge(&options),
        Command::Webhooks { to, wish } => webhooks::run(&to, &wish),
        Command::Drill(options) => drill::run(&options),
        Command::Lock(options) => lock::run(&options),
        Command::LockChild { words } => Err(lock_child::become_command(&words)),
        Command::Agent { config } => daemons::agent(&cli.process, &config),
        Command::Import { file, fleet, output } => import::run(&file, &fleet, output.as_ref()),
        Command::Check { file } => check::run(&file),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "vedette", &mut script);
            print(&script)
        }
        Command::Man => {
            let mut page = Vec::new();
            clap_mangen::Man::new(Cli::command()).render(&mut page)?;
            print(&page)
        }
    }
}

/// The kernel kills this process when its parent ends, even by SIGKILL; a parent that ended before
/// this line is seen by the changed parent id.
fn die_with(parent: i32) -> Result<(), Failure> {
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))
        .map_err(|error| Failure::new(format!("cannot ask to end with the parent process: {error}")))?;
    let now = rustix::process::getppid().map_or(0, |pid| pid.as_raw_nonzero().get());
    if now == parent {
        Ok(())
    } else {
        Err(Failure::new(format!("the parent process {parent} is gone; not starting")))
    }
}

/// To stdout; a reader that has gone away (`| head`) is no failure.
fn print(bytes: impl AsRef<[u8]>) -> Result<(), Failure> {
    use std::io::Write;
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(bytes.as_ref()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
