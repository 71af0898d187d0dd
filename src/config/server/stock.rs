//! Directives of a stock `redis.conf` that have one answer here. A file as Redis ships it starts as it
//! is; another value is refused by name with the reason, never swallowed.
//!
//! Fixed rows take the one value that is true here. Kept rows take any value, because what
//! they are for does not exist here (a logo, a fork): it is shown again and changes nothing.

use super::directives::{Directive, live, renamed, start};
use super::values::{choice, maybe, number, yes_no, yes_no_text};
use std::collections::BTreeMap;
use std::path::PathBuf;

#[derive(Clone, Debug, PartialEq)]
pub struct StockConfig {
    /// Where the process id is written while it runs.
    pub pidfile: Option<PathBuf>,
    /// `no`, `auto`, `systemd` or `upstart`: who is told that it is ready. `auto`: who asks.
    pub supervised: String,
    /// Refused when it starts, so that a flag can still say otherwise.
    pub daemonize: bool,
    /// Entries that ACL LOG keeps.
    pub acl_log_max: usize,
    /// How long replicas are waited for when the process is asked to end.
    pub shutdown_timeout_s: u64,
    /// MIGRATE dials by TLS, as in Redis.
    pub tls_cluster: bool,
    /// See `daemon::machine`.
    pub huge_pages_disabled: bool,
    /// Values that change nothing.
    kept: BTreeMap<&'static str, String>,
}

impl Default for StockConfig {
    fn default() -> Self {
        StockConfig {
            pidfile: None,
            supervised: "auto".into(),
            daemonize: false,
            acl_log_max: 128,
            shutdown_timeout_s: 10,
            tls_cluster: false,
            huge_pages_disabled: true,
            kept: BTreeMap::new(),
        }
    }
}

/// Only this value is true here.
macro_rules! fixed {
    ($name:literal, $value:literal, $why:literal) => {
        live(
            $name,
            |_| $value.into(),
            |_, words| if words.join(" ").eq_ignore_ascii_case($value) { Ok(()) } else { Err($why.into()) },
        )
    };
}

/// Any value is as good as another.
macro_rules! kept {
    ($name:literal, $value:literal) => {
        live(
            $name,
            |c| c.stock.kept.get($name).cloned().unwrap_or_else(|| $value.into()),
            |c, words| {
                c.stock.kept.insert($name, words.join(" "));
                Ok(())
            },
        )
    };
}

/// One of yes and no is as good as the other.
macro_rules! kept_switch {
    ($name:literal, $value:literal) => {
        live(
            $name,
            |c| c.stock.kept.get($name).cloned().unwrap_or_else(|| $value.into()),
            |c, words| {
                let value = yes_no(words)?;
                c.stock.kept.insert($name, yes_no_text(value));
                Ok(())
            },
        )
    };
}

macro_rules! cluster {
    ($name:literal, $value:literal) => {
        fixed!($name, $value, "there is no cluster mode")
    };
}

macro_rules! pinned {
    ($name:literal) => {
        fixed!($name, "", "threads are not pinned to processors; let systemd's CPUAffinity or taskset do it")
    };
}

pub(super) const ROWS: &[Directive] = &[
    start(
        "pidfile",
        |c| c.stock.pidfile.as_ref().map_or_else(String::new, |path| path.display().to_string()),
        |c, w| maybe(w).map(|v| c.stock.pidfile = v.map(PathBuf::from)),
    ),
    start(
        "supervised",
        |c| c.stock.supervised.clone(),
        |c, w| choice(w, &["no", "auto", "systemd", "upstart"]).map(|v| c.stock.supervised = v),
    ),
    start("daemonize", |c| yes_no_text(c.stock.daemonize), |c, w| yes_no(w).map(|v| c.stock.daemonize = v)),
    live(
        "acllog-max-len",
        |c| c.stock.acl_log_max.to_string(),
        |c, w| number(w, 0, 1_000_000).map(|v| c.stock.acl_log_max = v as usize),
    ),
    live(
        "shutdown-timeout",
        |c| c.stock.shutdown_timeout_s.to_string(),
        |c, w| number(w, 0, i64::from(i32::MAX)).map(|v| c.stock.shutdown_timeout_s = v as u64),
    ),
    start(
        "tls-cluster",
        |c| yes_no_text(c.stock.tls_cluster),
        |c, w| yes_no(w).map(|v| c.stock.tls_cluster = v),
    ),
    fixed!(
        "acl-pubsub-default",
        "resetchannels",
        "a new user may use no channel until it is said; write allchannels in its rules"
    ),
    fixed!("activedefrag", "no", "memory is not moved by a thread; MEMORY PURGE gives back what is unused"),
    kept!("active-defrag-cycle-min", "1"),
    kept!("active-defrag-cycle-max", "25"),
    kept!("active-defrag-ignore-bytes", "104857600"),
    kept!("active-defrag-max-scan-fields", "1000"),
    kept!("active-defrag-threshold-lower", "10"),
    kept!("active-defrag-threshold-upper", "100"),
    fixed!(
        "active-expire-effort",
        "1",
        "expired keys are found by their time, so there is no effort to choose"
    ),
    kept_switch!("activerehashing", "yes"),
    kept_switch!("always-show-logo", "no"),
    kept_switch!("dynamic-hz", "yes"),
    start(
        "disable-thp",
        |c| yes_no_text(c.stock.huge_pages_disabled),
        |c, w| yes_no(w).map(|v| c.stock.huge_pages_disabled = v),
    ),
    kept_switch!("set-proc-title", "yes"),
    kept!("proc-title-template", "{title} {listen-addr} {server-mode}"),
    kept_switch!("rdb-del-sync-files", "no"),
    kept_switch!("jemalloc-bg-thread", "yes"),
    kept!("ignore-warnings", ""),
    kept_switch!("crash-log-enabled", "yes"),
    kept_switch!("crash-memcheck-enabled", "yes"),
    fixed!(
        "rdb-save-incremental-fsync",
        "yes",
        "a snapshot is always synced on the way, so that its end stalls no disk"
    ),
    fixed!("io-threads-do-reads", "yes", "every I/O thread reads as well as it writes"),
    fixed!("repl-disable-tcp-nodelay", "no", "the stream to replicas is never held back to fill packets"),
    renamed(
        fixed!(
            "replica-announced",
            "yes",
            "a replica is always shown; set replica-priority 0 to keep it from being promoted"
        ),
        "slave-announced",
    ),
    fixed!(
        "replica-ignore-disk-write-errors",
        "no",
        "a replica whose log cannot be written says so and begins a new one"
    ),
    fixed!(
        "propagation-error-behavior",
        "ignore",
        "what a replica cannot apply breaks its link and is told in the log"
    ),
    fixed!("sanitize-dump-payload", "yes", "what RESTORE and a full sync bring is always checked"),
    fixed!("oom-score-adj", "no", "let systemd's OOMScoreAdjust do it"),
    kept!("oom-score-adj-values", "0 200 800"),
    fixed!(
        "shutdown-on-sigint",
        "default",
        "SIGINT saves if there are save points; use SHUTDOWN with its words"
    ),
    fixed!(
        "shutdown-on-sigterm",
        "default",
        "SIGTERM saves if there are save points; use SHUTDOWN with its words"
    ),
    fixed!(
        "enable-protected-configs",
        "no",
        "where files are written is never changed by whoever reaches the port"
    ),
    fixed!("enable-module-command", "no", "there are no modules"),
    fixed!("syslog-enabled", "no", "log lines go to stderr, where systemd or a shell collects them"),
    kept!("syslog-ident", "redis"),
    kept!("syslog-facility", "local0"),
    fixed!("bind-source-addr", "", "links go out from the address that the system chooses"),
    fixed!("socket-mark-id", "0", "sockets are not marked"),
    pinned!("server_cpulist"),
    pinned!("bio_cpulist"),
    pinned!("aof_rewrite_cpulist"),
    pinned!("bgsave_cpulist"),
    fixed!("tls-protocols", "", "TLS 1.2 and 1.3 are spoken, the newer where both can"),
    fixed!("tls-ciphers", "", "the cipher suites of rustls are used; none of them is weak"),
    fixed!("tls-ciphersuites", "", "the cipher suites of rustls are used; none of them is weak"),
    fixed!("tls-dh-params-file", "", "key exchange is by elliptic curves only"),
    fixed!("tls-ca-cert-dir", "", "name one file with tls-ca-cert-file; it may hold many certificates"),
    fixed!("tls-key-file-pass", "", "the key file must not be encrypted; keep it readable by this user only"),
    fixed!(
        "tls-client-key-file-pass",
        "",
        "the key file must not be encrypted; keep it readable by this user only"
    ),
    fixed!("tls-prefer-server-ciphers", "no", "the client's order counts; none of the suites is weak"),
    kept_switch!("tls-session-caching", "yes"),
    kept!("tls-session-cache-size", "20480"),
    kept!("tls-session-cache-timeout", "300"),
    cluster!("cluster-enabled", "no"),
    cluster!("cluster-config-file", "nodes.conf"),
    cluster!("cluster-node-timeout", "15000"),
    cluster!("cluster-port", "0"),
    cluster!("cluster-announce-bus-port", "0"),
    cluster!("cluster-announce-hostname", ""),
    cluster!("cluster-announce-ip", ""),
    cluster!("cluster-announce-port", "0"),
    cluster!("cluster-announce-tls-port", "0"),
    cluster!("cluster-allow-pubsubshard-when-down", "yes"),
    cluster!("cluster-allow-reads-when-down", "no"),
    cluster!("cluster-allow-replica-migration", "yes"),
    cluster!("cluster-link-sendbuf-limit", "0"),
    cluster!("cluster-migration-barrier", "1"),
    cluster!("cluster-preferred-endpoint-type", "ip"),
    renamed(cluster!("cluster-replica-no-failover", "no"), "cluster-slave-no-failover"),
    renamed(cluster!("cluster-replica-validity-factor", "10"), "cluster-slave-validity-factor"),
    cluster!("cluster-require-full-coverage", "yes"),
    // Not shown by Redis either: what a file may say of what is not here.
    start(
        "rename-command",
        |_| String::new(),
        |_, words| match words {
            [name, ..] => Err(format!("commands keep their names; take '{name}' from users with ACL rules")),
            [] => Ok(()),
        },
    ),
    start(
        "loadmodule",
        |_| String::new(),
        |_, words| match words {
            [] => Ok(()),
            [name, ..] => Err(format!("there are no modules, so '{name}' cannot be loaded")),
        },
    ),
];
