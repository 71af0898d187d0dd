//! One row a directive: how it is written, read and changed.

use super::ServerConfig;
use super::aof::{Fsync, plain_name};
use super::memory;
use super::notify;
use super::stock;
use super::unix;
use super::values::*;
use crate::config::Secret;
use crate::config::tls::AuthClients;
use crate::model::Address;
use std::path::PathBuf;

#[derive(Clone, Copy)]
pub struct Directive {
    pub name: &'static str,
    /// The older name, also understood.
    pub alias: Option<&'static str>,
    /// May be changed by CONFIG SET.
    pub at_runtime: bool,
    pub get: fn(&ServerConfig) -> String,
    pub set: fn(&mut ServerConfig, &[String]) -> Result<(), String>,
}

pub fn find(name: &str) -> Option<&'static Directive> {
    DIRECTIVES.iter().find(|row| {
        row.name.eq_ignore_ascii_case(name) || row.alias.is_some_and(|alias| alias.eq_ignore_ascii_case(name))
    })
}

type Get = fn(&ServerConfig) -> String;
type Set = fn(&mut ServerConfig, &[String]) -> Result<(), String>;

pub(super) const fn live(name: &'static str, get: Get, set: Set) -> Directive {
    Directive { name, alias: None, at_runtime: true, get, set }
}

pub(super) const fn start(name: &'static str, get: Get, set: Set) -> Directive {
    Directive { name, alias: None, at_runtime: false, get, set }
}

pub(super) const fn renamed(mut row: Directive, alias: &'static str) -> Directive {
    row.alias = Some(alias);
    row
}

/// A choice of Redis that is made here: named in old files, and only this value is true.
/// CONFIG GET shows passwords to those who are let in, as Redis does.
fn shown(secret: &Option<Secret>) -> String {
    secret.as_ref().map(|secret| secret.expose().to_owned()).unwrap_or_default()
}

fn path_text(path: &Option<PathBuf>) -> String {
    path.as_ref().map_or_else(String::new, |path| path.display().to_string())
}

fn only(words: &[String], value: &str, why: &str) -> Result<(), String> {
    if one(words)?.eq_ignore_ascii_case(value) { Ok(()) } else { Err(why.to_owned()) }
}

pub(super) const COUNT_MAX: i64 = i32::MAX as i64;

pub const DIRECTIVES: &[Directive] = &joined::<
    { GENERAL.len() + memory::ROWS.len() + unix::ROWS.len() + stock::ROWS.len() },
>(&[GENERAL, memory::ROWS, unix::ROWS, stock::ROWS]);

/// The rows of several lists as one.
const fn joined<const COUNT: usize>(lists: &[&[Directive]]) -> [Directive; COUNT] {
    let mut rows = [GENERAL[0]; COUNT];
    let (mut list, mut at) = (0, 0);
    while list < lists.len() {
        let mut row = 0;
        while row < lists[list].len() {
            rows[at] = lists[list][row];
            (at, row) = (at + 1, row + 1);
        }
        list += 1;
    }
    rows
}

const GENERAL: &[Directive] = &[
    start(
        "bind",
        |c| c.bind.join(" "),
        |c, w| {
            if w.is_empty() || w.iter().any(String::is_empty) {
                return Err("expected at least one address".into());
            }
            c.bind = w.to_vec();
            Ok(())
        },
    ),
    start("port", |c| c.port.to_string(), |c, w| number(w, 0, 65_535).map(|v| c.port = v as u16)),
    start("aclfile", |c| path_text(&c.aclfile), |c, w| maybe(w).map(|v| c.aclfile = v.map(PathBuf::from))),
    // Never shown: ACL LIST shows users to those who may see them.
    start(
        "user",
        |_| String::new(),
        |c, w| {
            if !w.is_empty() {
                c.users.push(Secret::new(w.join(" ")));
            }
            Ok(())
        },
    ),
    start("tls-port", |c| c.tls_port.to_string(), |c, w| number(w, 0, 65_535).map(|v| c.tls_port = v as u16)),
    start(
        "tls-cert-file",
        |c| path_text(&c.tls_cert_file),
        |c, w| maybe(w).map(|v| c.tls_cert_file = v.map(PathBuf::from)),
    ),
    start(
        "tls-key-file",
        |c| path_text(&c.tls_key_file),
        |c, w| maybe(w).map(|v| c.tls_key_file = v.map(PathBuf::from)),
    ),
    start(
        "tls-client-cert-file",
        |c| path_text(&c.tls_client_cert_file),
        |c, w| maybe(w).map(|v| c.tls_client_cert_file = v.map(PathBuf::from)),
    ),
    start(
        "tls-client-key-file",
        |c| path_text(&c.tls_client_key_file),
        |c, w| maybe(w).map(|v| c.tls_client_key_file = v.map(PathBuf::from)),
    ),
    start(
        "tls-ca-cert-file",
        |c| path_text(&c.tls_ca_cert_file),
        |c, w| maybe(w).map(|v| c.tls_ca_cert_file = v.map(PathBuf::from)),
    ),
    start(
        "tls-auth-clients",
        |c| c.tls_auth_clients.name().to_owned(),
        |c, w| {
            c.tls_auth_clients =
                AuthClients::parse(one(w)?).ok_or("argument must be 'yes', 'no' or 'optional'")?;
            Ok(())
        },
    ),
    start(
        "tls-replication",
        |c| yes_no_text(c.tls_replication),
        |c, w| yes_no(w).map(|v| c.tls_replication = v),
    ),
    start(
        "tls-server-name",
        |c| c.tls_server_name.clone().unwrap_or_default(),
        |c, w| maybe(w).map(|v| c.tls_server_name = v),
    ),
    start(
        "tcp-backlog",
        |c| c.tcp_backlog.to_string(),
        |c, w| number(w, 1, 65_535).map(|v| c.tcp_backlog = v as u32),
    ),
    start(
        "tcp-keepalive",
        |c| c.tcp_keepalive_s.to_string(),
        |c, w| number(w, 0, COUNT_MAX).map(|v| c.tcp_keepalive_s = v as u64),
    ),
    live(
        "timeout",
        |c| c.timeout_s.to_string(),
        |c, w| number(w, 0, COUNT_MAX).map(|v| c.timeout_s = v as u64),
    ),
    start(
        "io-threads",
        |c| c.io_threads.to_string(),
        |c, w| number(w, 1, 128).map(|v| c.io_threads = v as usize),
    ),
    start(
        "databases",
        |c| c.databases.to_string(),
        |c, w| number(w, 1, 16).map(|v| c.databases = v as usize),
    ),
    // Where files are written is never changed by whoever reaches the port.
    start(
        "dir",
        |c| c.dir.display().to_string(),
        |c, w| {
            c.dir = PathBuf::from(one(w)?);
            Ok(())
        },
    ),
    start(
        "dbfilename",
        |c| c.dbfilename.clone(),
        |c, w| {
            let name = one(w)?;
            if name.is_empty() || name.contains('/') {
                return Err("dbfilename can't be a path, just a filename".into());
            }
            c.dbfilename = name.to_owned();
            Ok(())
        },
    ),
    live("save", |c| save_text(&c.save), |c, w| save_points(w).map(|v| c.save = v)),
    live(
        "stop-writes-on-bgsave-error",
        |c| yes_no_text(c.stop_writes_on_bgsave_error),
        |c, w| yes_no(w).map(|v| c.stop_writes_on_bgsave_error = v),
    ),
    live(
        "rdbcompression",
        |c| yes_no_text(c.rdb_compression),
        |c, w| yes_no(w).map(|v| c.rdb_compression = v),
    ),
    start("rdbchecksum", |c| yes_no_text(c.rdb_checksum), |c, w| yes_no(w).map(|v| c.rdb_checksum = v)),
    live("appendonly", |c| yes_no_text(c.aof.enabled), |c, w| yes_no(w).map(|v| c.aof.enabled = v)),
    start(
        "appenddirname",
        |c| c.aof.directory.clone(),
        |c, w| plain_name(w, "appenddirname").map(|v| c.aof.directory = v),
    ),
    start(
        "appendfilename",
        |c| c.aof.filename.clone(),
        |c, w| plain_name(w, "appendfilename").map(|v| c.aof.filename = v),
    ),
    live(
        "appendfsync",
        |c| c.aof.fsync.name().to_owned(),
        |c, w| {
            c.aof.fsync = Fsync::parse(one(w)?)
                .ok_or("argument(s) must be one of the following: everysec, always, no")?;
            Ok(())
        },
    ),
    live(
        "auto-aof-rewrite-percentage",
        |c| c.aof.rewrite_percentage.to_string(),
        |c, w| number(w, 0, COUNT_MAX).map(|v| c.aof.rewrite_percentage = v as u64),
    ),
    live(
        "auto-aof-rewrite-min-size",
        |c| c.aof.rewrite_min_bytes.to_string(),
        |c, w| bytes(w).map(|v| c.aof.rewrite_min_bytes = v),
    ),
    live(
        "no-appendfsync-on-rewrite",
        |c| yes_no_text(c.aof.no_fsync_on_rewrite),
        |c, w| yes_no(w).map(|v| c.aof.no_fsync_on_rewrite = v),
    ),
    live(
        "aof-load-truncated",
        |c| yes_no_text(c.aof.load_truncated),
        |c, w| yes_no(w).map(|v| c.aof.load_truncated = v),
    ),
    live(
        "aof-timestamp-enabled",
        |c| yes_no_text(c.aof.timestamps),
        |c, w| yes_no(w).map(|v| c.aof.timestamps = v),
    ),
    live(
        "aof-use-rdb-preamble",
        |c| yes_no_text(c.aof.rdb_preamble),
        |c, w| yes_no(w).map(|v| c.aof.rdb_preamble = v),
    ),
    live(
        "aof-disable-auto-gc",
        |c| yes_no_text(c.aof.keep_history),
        |c, w| yes_no(w).map(|v| c.aof.keep_history = v),
    ),
    live(
        "aof-rewrite-incremental-fsync",
        |_| "yes".into(),
        |_, w| only(w, "yes", "a base is always synced on the way, so that its end stalls no disk"),
    ),
    live(
        "requirepass",
        |c| shown(&c.requirepass),
        |c, w| maybe(w).map(|v| c.requirepass = v.map(Secret::new)),
    ),
    start(
        "requirepass-file",
        |c| path_text(&c.requirepass_file),
        |c, w| maybe(w).map(|v| c.requirepass_file = v.map(PathBuf::from)),
    ),
    start(
        "masterauth-file",
        |c| path_text(&c.masterauth_file),
        |c, w| maybe(w).map(|v| c.masterauth_file = v.map(PathBuf::from)),
    ),
    live("protected-mode", |c| yes_no_text(c.protected_mode), |c, w| yes_no(w).map(|v| c.protected_mode = v)),
    live(
        "maxclients",
        |c| c.clients_max.to_string(),
        |c, w| number(w, 1, 1_000_000).map(|v| c.clients_max = v as usize),
    ),
    live(
        "client-output-buffer-limit",
        |c| output_limits_text(&c.output_limits),
        |c, w| output_limits(&mut c.output_limits, w),
    ),
    start(
        "proto-max-bulk-len",
        |c| c.proto_max_bulk_bytes.to_string(),
        |c, w| match bytes(w)? {
            v if (1 << 20..=512 << 20).contains(&v) => {
                c.proto_max_bulk_bytes = v;
                Ok(())
            }
            _ => Err("argument must be between 1mb and 512mb".into()),
        },
    ),
    start(
        "client-query-buffer-limit",
        |c| c.query_buffer_bytes_max.to_string(),
        |c, w| match bytes(w)? {
            v if (1 << 20..=1 << 30).contains(&v) => {
                c.query_buffer_bytes_max = v;
                Ok(())
            }
            _ => Err("argument must be between 1mb and 1gb".into()),
        },
    ),
    renamed(
        start(
            "replicaof",
            |c| c.replicaof.as_ref().map_or(String::new(), |a| format!("{} {}", a.host, a.port)),
            |c, w| {
                c.replicaof = match w {
                    [] => None,
                    [word] if word.is_empty() => None,
                    [host, port] if host.eq_ignore_ascii_case("no") && port.eq_ignore_ascii_case("one") => {
                        None
                    }
                    [host, port] => match port.parse() {
                        Ok(port) if port != 0 => Some(Address::new(host.as_str(), port)),
                        _ => return Err("Invalid master port".into()),
                    },
                    _ => return Err("expected <host> <port>".into()),
                };
                Ok(())
            },
        ),
        "slaveof",
    ),
    live("masterauth", |c| shown(&c.masterauth), |c, w| maybe(w).map(|v| c.masterauth = v.map(Secret::new))),
    live(
        "masteruser",
        |c| c.masteruser.clone().unwrap_or_default(),
        |c, w| maybe(w).map(|v| c.masteruser = v),
    ),
    renamed(
        live(
            "replica-read-only",
            |c| yes_no_text(c.replica_read_only),
            |_, w| only(w, "yes", "a replica never takes writes of its own here"),
        ),
        "slave-read-only",
    ),
    renamed(
        live(
            "replica-serve-stale-data",
            |c| yes_no_text(c.replica_serve_stale_data),
            |c, w| yes_no(w).map(|v| c.replica_serve_stale_data = v),
        ),
        "slave-serve-stale-data",
    ),
    renamed(
        live(
            "replica-priority",
            |c| c.replica_priority.to_string(),
            |c, w| number(w, 0, COUNT_MAX).map(|v| c.replica_priority = v as u32),
        ),
        "slave-priority",
    ),
    renamed(
        live(
            "replica-announce-ip",
            |c| c.replica_announce_ip.clone().unwrap_or_default(),
            |c, w| maybe(w).map(|v| c.replica_announce_ip = v),
        ),
        "slave-announce-ip",
    ),
    renamed(
        live(
            "replica-announce-port",
            |c| c.replica_announce_port.to_string(),
            |c, w| number(w, 0, 65_535).map(|v| c.replica_announce_port = v as u16),
        ),
        "slave-announce-port",
    ),
    live(
        "repl-backlog-size",
        |c| c.repl_backlog_bytes.to_string(),
        |c, w| {
            let v = bytes(w)?;
            if v < 16 << 10 {
                return Err("argument must be at least 16kb".into());
            }
            c.repl_backlog_bytes = v;
            Ok(())
        },
    ),
    live(
        "repl-timeout",
        |c| c.repl_timeout_s.to_string(),
        |c, w| number(w, 1, COUNT_MAX).map(|v| c.repl_timeout_s = v as u64),
    ),
    renamed(
        live(
            "repl-ping-replica-period",
            |c| c.repl_ping_period_s.to_string(),
            |c, w| number(w, 1, COUNT_MAX).map(|v| c.repl_ping_period_s = v as u64),
        ),
        "repl-ping-slave-period",
    ),
    live(
        "repl-diskless-sync",
        |_| "yes".into(),
        |_, w| only(w, "yes", "a full sync is always sent without a file on the way"),
    ),
    live(
        "repl-diskless-sync-delay",
        |c| c.sync.delay_s.to_string(),
        |c, w| number(w, 0, COUNT_MAX).map(|v| c.sync.delay_s = v as u64),
    ),
    live(
        "repl-diskless-sync-max-replicas",
        |c| c.sync.replicas_max.to_string(),
        |c, w| number(w, 0, COUNT_MAX).map(|v| c.sync.replicas_max = v as usize),
    ),
    live(
        "repl-diskless-load",
        |c| c.sync.load.clone(),
        |c, w| choice(w, &["disabled", "on-empty-db", "swapdb"]).map(|v| c.sync.load = v),
    ),
    live(
        "repl-backlog-ttl",
        |c| c.sync.backlog_ttl_s.to_string(),
        |c, w| number(w, 0, COUNT_MAX).map(|v| c.sync.backlog_ttl_s = v as u64),
    ),
    renamed(
        live(
            "min-replicas-to-write",
            |c| c.min_replicas_to_write.to_string(),
            |c, w| number(w, 0, COUNT_MAX).map(|v| c.min_replicas_to_write = v as usize),
        ),
        "min-slaves-to-write",
    ),
    renamed(
        live(
            "min-replicas-max-lag",
            |c| c.min_replicas_max_lag_s.to_string(),
            |c, w| number(w, 0, COUNT_MAX).map(|v| c.min_replicas_max_lag_s = v as u64),
        ),
        "min-slaves-max-lag",
    ),
    renamed(
        live(
            "busy-reply-threshold",
            |c| c.scripts.busy_reply_threshold_ms.to_string(),
            |c, w| number(w, 0, i64::MAX).map(|v| c.scripts.busy_reply_threshold_ms = v as u64),
        ),
        "lua-time-limit",
    ),
    live(
        "slowlog-log-slower-than",
        |c| c.slowlog_slower_than_us.to_string(),
        |c, w| number(w, -1, i64::MAX).map(|v| c.slowlog_slower_than_us = v),
    ),
    live(
        "slowlog-max-len",
        |c| c.slowlog_len_max.to_string(),
        |c, w| number(w, 0, 1_000_000).map(|v| c.slowlog_len_max = v as usize),
    ),
    live(
        "tracking-table-max-keys",
        |c| c.tracking_keys_max.to_string(),
        |c, w| number(w, 0, i64::MAX).map(|v| c.tracking_keys_max = v as usize),
    ),
    live(
        "maxmemory-clients",
        |c| c.clients_max_memory.text(),
        |c, w| ClientsMemory::parse(w).map(|v| c.clients_max_memory = v),
    ),
    live(
        "latency-monitor-threshold",
        |c| c.latency.threshold_ms.to_string(),
        |c, w| number(w, 0, i64::MAX).map(|v| c.latency.threshold_ms = v as u64),
    ),
    live(
        "latency-tracking",
        |c| yes_no_text(c.latency.tracking),
        |c, w| yes_no(w).map(|v| c.latency.tracking = v),
    ),
    live(
        "latency-tracking-info-percentiles",
        |c| c.latency.percentiles_text(),
        |c, w| c.latency.set_percentiles(w),
    ),
    live(
        "notify-keyspace-events",
        |c| notify::text(c.notify_events),
        |c, w| notify::parse(&w.concat()).map(|v| c.notify_events = v),
    ),
    live("hz", |c| c.hz.to_string(), |c, w| number(w, 1, 500).map(|v| c.hz = v as u32)),
    start(
        "enable-drill-command",
        |c| c.enable_drill_command.clone(),
        |c, w| choice(w, &["no", "yes", "local"]).map(|v| c.enable_drill_command = v),
    ),
    start(
        "enable-debug-command",
        |c| c.enable_debug_command.clone(),
        |c, w| choice(w, &["no", "yes", "local"]).map(|v| c.enable_debug_command = v),
    ),
    start(
        "loglevel",
        |c| c.loglevel.clone(),
        |c, w| choice(w, &["debug", "verbose", "notice", "warning", "nothing"]).map(|v| c.loglevel = v),
    ),
    start("logfile", |c| c.logfile.clone(), |c, w| maybe(w).map(|v| c.logfile = v.unwrap_or_default())),
];
