//! `vedette server` and `vedette sentinel`: configuration read, logging started, the daemon run.

use super::{Failure, ProcessOptions};
use crate::config::sentinel::SentinelConfig;
use crate::config::server::ServerConfig;
use crate::daemon::logging::{self, LogFormat, LogLevel};
use crate::daemon::{sentinel_loop, server_loop};
use crate::model::{Address, NodeId};
use slog::{Level, crit, warn};
use std::path::PathBuf;

/// `[redis.conf] [--directive value ...]`, as redis-server takes them.
pub(super) fn server(process: &ProcessOptions, words: &[String]) -> Result<(), Failure> {
    let (process, words) = take_process_options(process, words)?;
    let config = ServerConfig::from_arguments(&words, |path| std::fs::read_to_string(path))
        .map_err(|error| Failure::usage(error.to_string()))?;
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
    /// Its sentinel.yaml
    #[arg(long, short, value_name = "FILE")]
    config: PathBuf,
    /// Its id, in place of the file's
    #[arg(long, value_name = "N")]
    id: Option<NodeId>,
    /// Sentinels of a fleet that stands, which this new one joins (see vedette peer add)
    #[arg(long, value_name = "HOST:PORT,...", value_delimiter = ',')]
    join: Vec<Address>,
}

/// A sentinel from its `sentinel.yaml`; complaints about the file name it, and all come at once.
pub(super) fn sentinel(process: &ProcessOptions, options: &SentinelStart) -> Result<(), Failure> {
    let file = &options.config;
    let shown = file.display();
    let text = std::fs::read_to_string(file)
        .map_err(|error| Failure::usage(format!("cannot read {shown}: {error}")))?;
    let adjust = |config: &mut SentinelConfig| {
        config.id = options.id.unwrap_or(config.id);
        if !options.join.is_empty() {
            config.join.clone_from(&options.join);
        }
    };
    let mut config = SentinelConfig::read(&text, adjust).map_err(|errors| {
        errors.iter().for_each(|error| eprintln!("{shown}: {error}"));
        Failure::said(2)
    })?;
    config.file = file.to_owned();
    let level = process.log_level.unwrap_or(LogLevel(Level::Info));
    let (logger, _guard) = logging::start(process.log_format, level);
    sentinel_loop::run(config, logger.clone()).map_err(|error| {
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
