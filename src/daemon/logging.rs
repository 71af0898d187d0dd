//! Where log records go: one asynchronous drain per process, made once at the start.
//!
//! Promises: a slow terminal or a full pipe never stops a loop (records beyond the queue are counted
//! and the count is logged); nothing is coloured unless a person looks; everything goes to stderr, so
//! stdout stays free for what a command prints. Has never heard of what is logged.

use slog::{Drain, Level, Logger, Never, OwnedKVList, Record, o};
use std::io::{self, Write};
use std::str::FromStr;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Records that wait for the writer; about a second of a very talkative minute.
const QUEUE_RECORDS: usize = 4096;

/// How a record is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// `journal` when started by systemd with its journal on stderr, else `terminal`.
    Auto,
    /// A line for people; coloured only on a terminal.
    Terminal,
    /// One JSON object a line.
    Json,
    /// A line with the `<N>` priority prefix that journald reads.
    Journal,
}

/// What is worth writing. Redis' own words (`debug`, `verbose`, `notice`, `warning`) are taken too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogLevel(pub Level);

impl FromStr for LogLevel {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let level = match text.to_ascii_lowercase().as_str() {
            "critical" => Level::Critical,
            "error" => Level::Error,
            "warning" | "warn" => Level::Warning,
            "notice" | "info" => Level::Info,
            "verbose" | "debug" => Level::Debug,
            "trace" => Level::Trace,
            other => {
                return Err(format!(
                    "'{other}' is no log level; choose error, warning, info, debug or trace"
                ));
            }
        };
        Ok(LogLevel(level))
    }
}

/// The one level of the process, so that it can be changed while it runs.
static LEVEL: AtomicUsize = AtomicUsize::new(4);

pub fn set_level(level: LogLevel) {
    LEVEL.store(level.0.as_usize(), Ordering::Relaxed);
}

/// As Redis calls the level that holds.
pub fn level_name() -> &'static str {
    match Level::from_usize(LEVEL.load(Ordering::Relaxed)) {
        None | Some(Level::Critical | Level::Error) => "nothing",
        Some(Level::Warning) => "warning",
        Some(Level::Info) => "notice",
        Some(Level::Debug) => "verbose",
        Some(Level::Trace) => "debug",
    }
}

/// The level of Redis' word: its `debug` is more than its `verbose`.
pub fn level_named(word: &str) -> Option<LogLevel> {
    Some(LogLevel(match word.to_ascii_lowercase().as_str() {
        "debug" => Level::Trace,
        "verbose" => Level::Debug,
        "notice" => Level::Info,
        "warning" => Level::Warning,
        "nothing" => Level::Critical,
        _ => return None,
    }))
}

/// Writes what still waits when it is dropped; keep it until the process ends.
#[must_use = "records that still wait are lost without it"]
pub struct LogGuard {
    _writer: slog_async::AsyncGuard,
}

/// Starts the process' one writer.
pub fn start(format: LogFormat, level: LogLevel) -> (Logger, LogGuard) {
    let format = match format {
        LogFormat::Auto if stderr_is_the_journal() => LogFormat::Journal,
        LogFormat::Auto => LogFormat::Terminal,
        chosen => chosen,
    };
    match format {
        LogFormat::Json => spawn(slog_json::Json::default(io::stderr()).ignore_res(), level),
        LogFormat::Journal => spawn(Journal::new(io::stderr()).ignore_res(), level),
        LogFormat::Terminal | LogFormat::Auto => {
            let decorator = slog_term::TermDecorator::new().stderr().build();
            let lines =
                slog_term::FullFormat::new(decorator).use_utc_timestamp().use_original_order().build();
            spawn(lines.ignore_res(), level)
        }
    }
}

fn spawn<D>(drain: D, level: LogLevel) -> (Logger, LogGuard)
where
    D: Drain<Ok = (), Err = Never> + Send + 'static,
{
    let (queue, writer) = slog_async::Async::new(drain)
        .chan_size(QUEUE_RECORDS)
        .overflow_strategy(slog_async::OverflowStrategy::DropAndReport)
        .thread_name("log".to_owned())
        .build_with_guard();
    set_level(level);
    let drain = slog::Filter::new(queue, |record: &Record| {
        record.level().as_usize() <= LEVEL.load(Ordering::Relaxed)
    });
    (Logger::root(drain.ignore_res(), o!()), LogGuard { _writer: writer })
}

/// systemd names the journal's socket by device and inode; an unrelated variable that leaked in from
/// a parent names another file.
fn stderr_is_the_journal() -> bool {
    let Ok(named) = std::env::var("JOURNAL_STREAM") else { return false };
    let Ok(stat) = rustix::fs::fstat(rustix::stdio::stderr()) else { return false };
    named == format!("{}:{}", stat.st_dev, stat.st_ino)
}

/// `<N>message key=value ...`: N is the syslog priority.
struct Journal<W> {
    out: std::cell::RefCell<W>,
}

impl<W: Write> Journal<W> {
    fn new(out: W) -> Self {
        Journal { out: std::cell::RefCell::new(out) }
    }
}

impl<W: Write> Drain for Journal<W> {
    type Ok = ();
    type Err = io::Error;

    fn log(&self, record: &Record, values: &OwnedKVList) -> io::Result<()> {
        let priority = match record.level() {
            Level::Critical => 2,
            Level::Error => 3,
            Level::Warning => 4,
            Level::Info => 6,
            Level::Debug | Level::Trace => 7,
        };
        let mut line = format!("<{priority}>{}", record.msg());
        let mut pairs = Pairs(&mut line);
        slog::KV::serialize(&record.kv(), record, &mut pairs).map_err(io::Error::other)?;
        slog::KV::serialize(values, record, &mut pairs).map_err(io::Error::other)?;
        // A line break would start a record without priority.
        let mut line = line.replace('\n', "\\n");
        line.push('\n');
        self.out.borrow_mut().write_all(line.as_bytes())
    }
}

struct Pairs<'a>(&'a mut String);

impl slog::Serializer for Pairs<'_> {
    fn emit_arguments(&mut self, key: slog::Key, value: &std::fmt::Arguments) -> slog::Result {
        use std::fmt::Write;
        write!(self.0, " {key}={value}").map_err(|_| slog::Error::Other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn journal_lines_carry_priority_and_never_break() {
        let out = Shared::default();
        let (logger, guard) = spawn(Journal::new(out.clone()).ignore_res(), LogLevel(Level::Info));
        slog::warn!(logger, "two\nlines"; "master" => "127.0.0.1:1");
        slog::debug!(logger, "not wanted");
        drop(logger);
        drop(guard);
        let text = String::from_utf8(out.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text, "<4>two\\nlines master=127.0.0.1:1\n");
    }

    #[test]
    fn levels_are_read_in_both_dialects() {
        assert_eq!("notice".parse(), Ok(LogLevel(Level::Info)));
        assert_eq!("WARN".parse(), Ok(LogLevel(Level::Warning)));
        assert!("loud".parse::<LogLevel>().unwrap_err().contains("choose"));
    }
}
