//! `vedette server` and `vedette sentinel`: configuration read, logging started, the daemon run.

use super::{Failure, ProcessOptions, small_heap};
use crate::config::ConfigError;
use crate::config::sentinel::{PeerConfig, SentinelConfig};
use crate::config::sentinel_conf::{self, Fleet};
use crate::config::server::ServerConfig;
use crate::daemon::logging::{self, LogFormat, LogLevel};
use crate::daemon::{agent_loop, sentinel_loop, server_loop};
use crate::model::{Address, NodeId};
use slog::{Level, crit, warn};
use std::path::{Path, PathBuf};

/// `[redis.conf] [--directive value ...]`, as redis-server takes them.
pub(super) fn server(process: &ProcessOptions, words: &[String]) -> Result<(), Failure> {
    let (process, words) = take_process_options(process, words)?;
    let config = ServerConfig::from_arguments(&words, |path| std::fs::read_to_string(path))
        .map_err(|error| Failure::usage(error.to_string()))?;
    if config.stock.daemonize {
        return Err(Failure::usage(
            "'daemonize': the server stays in the foreground; start it with --daemonize no, and let systemd or the shell put it behind".to_owned(),
        ));
    }
    let level = match process.log_level {
        Some(level) => level,
        None => config.loglevel.parse().map_err(Failure::usage)?,
    };
    let (logger, _guard) = logging::start(process.log_format, level);
    if !config.logfile.is_empty() {
        warn!(logger, "logfile is not used: log lines go to stderr, where systemd or a shell collects them");
    }
    server_loop::run(config, logger.clone()).map_err(|error| {
        crit!(logger, "{error}");
        Failure::said(1)
    })
}

/// How a sentinel is started: its file, and what takes the place of what stands there.
#[derive(clap::Args, Clone, Debug)]
pub(super) struct SentinelStart {
    /// Its sentinel.yaml, or an unmodified sentinel.conf of Redis (then with --id and --peers, or --bootstrap-expect)
    #[arg(value_name = "FILE", required_unless_present = "config", conflicts_with = "config")]
    file: Option<PathBuf>,
    /// The same
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    fleet: FleetOptions,
    /// File with the secret by which the sentinels prove themselves to each other
    #[arg(long, value_name = "FILE")]
    cluster_secret_file: Option<PathBuf>,
}

/// Who the sentinels are, in place of what the file says.
#[derive(clap::Args, Clone, Debug)]
pub(super) struct FleetOptions {
    /// Which of them this is
    #[arg(long, value_name = "N")]
    id: Option<NodeId>,
    /// All that found the fleet, the same list on each
    #[arg(long, value_name = "N=HOST:PORT,...", value_delimiter = ',', value_parser = peer)]
    peers: Vec<(NodeId, Address)>,
    /// Sentinels of a fleet that stands, which this new one joins (see vedette peer add)
    #[arg(long, value_name = "HOST:PORT,...", value_delimiter = ',')]
    join: Vec<Address>,
    /// Found the fleet when N sentinels of the same masters see each other, the same N on each (instead of --peers)
    #[arg(long, value_name = "N", conflicts_with = "peers")]
    bootstrap_expect: Option<usize>,
}

fn peer(text: &str) -> Result<(NodeId, Address), String> {
    let parts =
        text.split_once('=').and_then(|(id, address)| Some((id.parse().ok()?, address.parse().ok()?)));
    parts.ok_or_else(|| "expected N=HOST:PORT, as 1=10.0.0.1:26379".to_owned())
}

impl FleetOptions {
    pub(super) fn as_fleet(&self) -> Fleet {
        Fleet {
            id: self.id,
            peers: self.peers.clone(),
            join: self.join.clone(),
            bootstrap_expect: self.bootstrap_expect,
        }
    }
}

/// A file of Redis, not of ours.
pub(super) fn is_conf(file: &Path) -> bool {
    file.extension().is_some_and(|extension| extension == "conf")
}

/// The configuration and what a sentinel.conf had that was left out; complaints name the file.
fn read_sentinel(options: &SentinelStart) -> Result<(SentinelConfig, Vec<String>), Failure> {
    // One of them is there: the command line says so.
    let file = options.file.as_ref().or(options.config.as_ref()).cloned().unwrap_or_default();
    let shown = file.display();
    let text = std::fs::read_to_string(&file)
        .map_err(|error| Failure::usage(format!("cannot read {shown}: {error}")))?;
    let complain = |errors: Vec<ConfigError>| {
        errors.iter().for_each(|error| eprintln!("{shown}: {error}"));
        Failure::said(2)
    };
    let FleetOptions { id, peers, join, bootstrap_expect } = &options.fleet;
    let secret = options.cluster_secret_file.as_deref();
    let (mut config, left_out) = if is_conf(&file) {
        sentinel_conf::read(&text, &options.fleet.as_fleet(), secret).map_err(complain)?
    } else {
        let adjust = |config: &mut SentinelConfig| {
            config.id = id.unwrap_or(config.id);
            if !peers.is_empty() {
                let named = peers.iter().cloned();
                config.peers = named.map(|(id, address)| PeerConfig { id, address }).collect();
            }
            if bootstrap_expect.is_some() {
                config.bootstrap_expect = *bootstrap_expect;
            }
            if !join.is_empty() {
                config.join.clone_from(join);
            }
            if let Some(secret) = secret {
                config.cluster_secret_file = Some(secret.to_owned());
            }
        };
        (SentinelConfig::read(&text, adjust).map_err(complain)?, Vec::new())
    };
    config.file = file;
    Ok((config, left_out))
}

/// A sentinel from its `sentinel.yaml`; complaints about the file name it, and all come at once.
pub(super) fn sentinel(process: &ProcessOptions, options: &SentinelStart) -> Result<(), Failure> {
    small_heap::ensure();
    let (config, left_out) = read_sentinel(options)?;
    let level = process.log_level.unwrap_or(LogLevel(Level::Info));
    let (logger, _guard) = logging::start(process.log_format, level);
    for line in left_out {
        warn!(logger, "{}: left out: {line}", config.file.display());
    }
    sentinel_loop::run(config, logger.clone()).map_err(|error| {
        crit!(logger, "{error}");
        Failure::said(1)
    })
}

/// A host agent from its `agent.yaml`.
pub(super) fn agent(process: &ProcessOptions, file: &std::path::Path) -> Result<(), Failure> {
    let shown = file.display();
    let text = std::fs::read_to_string(file)
        .map_err(|error| Failure::usage(format!("cannot read {shown}: {error}")))?;
    let config = crate::config::agent::parse(&text).map_err(|errors| {
        errors.iter().for_each(|error| eprintln!("{shown}: {error}"));
        Failure::said(2)
    })?;
    let level = process.log_level.unwrap_or(LogLevel(Level::Info));
    let (logger, _guard) = logging::start(process.log_format, level);
    agent_loop::run(config, logger.clone()).map_err(|error| {
        crit!(logger, "{error}");
        Failure::said(1)
    })
}

/// Everything after `server` is a Redis directive, but `--log-level` and `--log-format` mean the
/// same there as before it.
fn take_process_options(
    process: &ProcessOptions,
    words: &[String],
) -> Result<(ProcessOptions, Vec<String>), Failure> {
    let mut process = process.clone();
    let mut rest = Vec::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let (name, glued) = match word.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (word.as_str(), None),
        };
        if name != "--log-level" && name != "--log-format" {
            rest.push(word.clone());
            continue;
        }
        let value = glued
            .or_else(|| words.next().cloned())
            .ok_or_else(|| Failure::usage(format!("{name} needs a value; see vedette server --help")))?;
        if name == "--log-level" {
            process.log_level = Some(value.parse().map_err(Failure::usage)?);
        } else {
            process.log_format = <LogFormat as clap::ValueEnum>::from_str(&value, true)
                .map_err(|_| Failure::usage(format!("'{value}' is no log format; see vedette --help")))?;
        }
    }
    Ok((process, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::logging::LogLevel;

    #[test]
    fn log_options_are_understood_among_directives() {
        let process = ProcessOptions { log_level: None, log_format: LogFormat::Auto, parent: None };
        let words =
            ["--port", "1", "--log-level", "debug", "--log-format=json", "--save", ""].map(String::from);
        let (process, rest) = take_process_options(&process, &words).unwrap();
        assert_eq!(rest, ["--port", "1", "--save", ""]);
        assert_eq!(process.log_level, Some(LogLevel(slog::Level::Debug)));
        assert_eq!(process.log_format, LogFormat::Json);
        let bad = take_process_options(&process, &["--log-format".into(), "loud".into()]).unwrap_err();
        assert!(bad.status == 2 && bad.message.contains("loud"));
    }
}
