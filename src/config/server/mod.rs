//! The data server's configuration: Redis directive names, from flags or a `redis.conf`-style file.
//! Every directive is one row of [`directives::DIRECTIVES`]; parsing, CONFIG GET and CONFIG SET read
//! nothing else. A directive that nobody knows is refused by name, with its place.

pub mod aof;
pub mod directives;
pub mod latency;
pub mod memory;
pub mod notify;
mod scripts;
pub mod stock;
pub mod sync;
pub mod unix;
mod values;

use crate::config::Secret;
use crate::config::tls::{AuthClients, ClientFiles, ServerFiles};
use crate::model::Address;
use crate::stdx::time::Duration;
use crate::stdx::words::split_words;
use aof::AofConfig;
pub use directives::{DIRECTIVES, Directive};
use memory::MemoryConfig;
use std::path::{Path, PathBuf};
use sync::SyncConfig;
pub use values::{ClientsMemory, OutputLimit, SavePoint};

#[derive(Clone, Debug, PartialEq)]
pub struct ServerConfig {
    pub bind: Vec<String>,
    /// 0: any free port, told in the log.
    pub port: u16,
    /// 0: off. `port 0` beside it turns plain text off.
    pub tls_port: u16,
    pub tls_cert_file: Option<PathBuf>,
    pub tls_key_file: Option<PathBuf>,
    /// Shown to a master instead of the two above.
    pub tls_client_cert_file: Option<PathBuf>,
    pub tls_client_key_file: Option<PathBuf>,
    pub tls_ca_cert_file: Option<PathBuf>,
    pub tls_auth_clients: AuthClients,
    /// The master is dialled by TLS.
    pub tls_replication: bool,
    /// Expected in the master's certificate instead of the host that is dialled.
    pub tls_server_name: Option<String>,
    pub unix: unix::UnixConfig,
    pub tcp_backlog: u32,
    pub tcp_keepalive_s: u64,
    /// Idle clients are closed after this; 0: never.
    pub timeout_s: u64,
    pub io_threads: usize,
    pub databases: usize,
    pub dir: PathBuf,
    pub dbfilename: String,
    pub save: Vec<SavePoint>,
    pub stop_writes_on_bgsave_error: bool,
    pub rdb_compression: bool,
    pub rdb_checksum: bool,
    pub aof: AofConfig,
    pub sync: SyncConfig,
    pub requirepass: Option<Secret>,
    /// Read in place of `requirepass` at the start, and again when it changes.
    pub requirepass_file: Option<PathBuf>,
    /// Where ACL LOAD and SAVE keep users.
    pub aclfile: Option<PathBuf>,
    /// Lines of `user`; they may hold passwords.
    pub users: Vec<Secret>,
    pub protected_mode: bool,
    pub clients_max: usize,
    /// Normal, replica, pubsub.
    pub output_limits: [OutputLimit; 3],
    pub memory: MemoryConfig,
    pub proto_max_bulk_bytes: u64,
    /// Of one request, and of all that a session has queued since MULTI.
    pub query_buffer_bytes_max: u64,
    pub replicaof: Option<Address>,
    pub masterauth: Option<Secret>,
    /// The same for `masterauth`.
    pub masterauth_file: Option<PathBuf>,
    pub masteruser: Option<String>,
    pub replica_read_only: bool,
    pub replica_serve_stale_data: bool,
    pub replica_priority: u32,
    pub replica_announce_ip: Option<String>,
    pub replica_announce_port: u16,
    pub repl_backlog_bytes: u64,
    pub repl_timeout_s: u64,
    pub repl_ping_period_s: u64,
    pub min_replicas_to_write: usize,
    pub min_replicas_max_lag_s: u64,
    /// Microseconds; negative: off.
    pub slowlog_slower_than_us: i64,
    pub slowlog_len_max: usize,
    pub scripts: scripts::ScriptConfig,
    pub hz: u32,
    pub latency: latency::LatencyConfig,
    /// Keys that CLIENT TRACKING remembers at most; 0: any number.
    pub tracking_keys_max: usize,
    pub clients_max_memory: ClientsMemory,
    /// What is told of keys over pub/sub.
    pub notify_events: notify::Classes,
    /// `no`, `yes` or `local`.
    pub enable_debug_command: String,
    /// Whether sentinels may have this server end or stand still for a drill: `no`, `yes`, or `local`
    /// for those on this machine.
    pub enable_drill_command: String,
    pub stock: stock::StockConfig,
    pub loglevel: String,
    pub logfile: String,
    /// The file that most of this was read from.
    pub file: Option<PathBuf>,
}

impl Default for ServerConfig {
    fn default() -> Self {
        ServerConfig {
            bind: vec!["127.0.0.1".into(), "-::1".into()],
            port: 6379,
            tls_port: 0,
            tls_cert_file: None,
            tls_key_file: None,
            tls_client_cert_file: None,
            tls_client_key_file: None,
            tls_ca_cert_file: None,
            tls_auth_clients: AuthClients::Yes,
            tls_replication: false,
            tls_server_name: None,
            unix: unix::UnixConfig::default(),
            tcp_backlog: 511,
            tcp_keepalive_s: 300,
            timeout_s: 0,
            io_threads: 1,
            databases: 16,
            dir: PathBuf::from("."),
            dbfilename: "dump.rdb".into(),
            save: SavePoint::defaults(),
            stop_writes_on_bgsave_error: true,
            rdb_compression: true,
            rdb_checksum: true,
            aof: AofConfig::default(),
            sync: SyncConfig::default(),
            requirepass: None,
            requirepass_file: None,
            aclfile: None,
            users: Vec::new(),
            protected_mode: true,
            clients_max: 10_000,
            output_limits: OutputLimit::defaults(),
            memory: MemoryConfig::default(),
            proto_max_bulk_bytes: 512 << 20,
            query_buffer_bytes_max: 1 << 30,
            replicaof: None,
            masterauth: None,
            masterauth_file: None,
            masteruser: None,
            replica_read_only: true,
            replica_serve_stale_data: true,
            replica_priority: 100,
            replica_announce_ip: None,
            replica_announce_port: 0,
            repl_backlog_bytes: 1 << 20,
            repl_timeout_s: 60,
            repl_ping_period_s: 10,
            min_replicas_to_write: 0,
            min_replicas_max_lag_s: 10,
            slowlog_slower_than_us: 10_000,
            slowlog_len_max: 128,
            scripts: scripts::ScriptConfig::default(),
            hz: 10,
            notify_events: 0,
            latency: latency::LatencyConfig::default(),
            tracking_keys_max: 1_000_000,
            clients_max_memory: ClientsMemory::Bytes(0),
            enable_debug_command: "local".into(),
            enable_drill_command: "local".into(),
            stock: stock::StockConfig::default(),
            loglevel: "notice".into(),
            logfile: String::new(),
            file: None,
        }
    }
}

/// What is wrong, where, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {what}")]
pub struct ConfigError {
    /// `redis.conf line 12` or `--port`.
    pub place: String,
    pub what: String,
}

const INCLUDE_DEPTH_MAX: usize = 16;
const REMEDY: &str = "; `CONFIG GET *` on a running server lists what it knows";

impl ServerConfig {
    /// `[file] [--directive value ...]...` as they stand after `vedette server`; flags win over the
    /// file. The caller reads the file.
    pub fn from_arguments(
        arguments: &[String],
        read: impl Fn(&Path) -> std::io::Result<String>,
    ) -> Result<Self, ConfigError> {
        let mut config = ServerConfig::default();
        let mut rest = arguments;
        if let Some((file, more)) = rest.split_first().filter(|(first, _)| !first.starts_with("--")) {
            rest = more;
            let text = read(Path::new(file)).map_err(|error| ConfigError {
                place: file.clone(),
                what: format!("cannot be read ({error}); the first argument is a configuration file"),
            })?;
            config.apply_file(&text, file, &read, 0)?;
            config.file = Some(PathBuf::from(file));
        }
        let mut fresh = true;
        while let Some((flag, more)) = rest.split_first() {
            let place = || flag.clone();
            let Some(name) = flag.strip_prefix("--").filter(|name| !name.is_empty()) else {
                let what = "is no flag; flags begin with --, and a value of several words is quoted".into();
                return Err(ConfigError { place: place(), what });
            };
            let count = more.iter().take_while(|word| !word.starts_with("--")).count();
            // As in a file: one quoted word may hold several (`--save "60 1"`).
            let mut words = Vec::new();
            for word in &more[..count] {
                if word.contains(' ') {
                    words.extend(word.split_whitespace().map(str::to_owned));
                } else {
                    words.push(word.clone());
                }
            }
            config.apply(name, &words, &mut fresh).map_err(|what| ConfigError { place: place(), what })?;
            rest = &more[count..];
        }
        Ok(config)
    }

    /// Lines of a `redis.conf`; later lines win, `save` lines add up.
    pub fn apply_text(&mut self, text: &str, name: &str) -> Result<(), ConfigError> {
        let none = |_: &Path| Err(std::io::Error::other("no further file is read here"));
        self.apply_file(text, name, &none, 0)
    }

    /// The same with the files that it includes, read by `read`.
    fn apply_file(
        &mut self,
        text: &str,
        name: &str,
        read: &dyn Fn(&Path) -> std::io::Result<String>,
        depth: usize,
    ) -> Result<(), ConfigError> {
        let mut fresh = true;
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let place = format!("{name} line {}", index + 1);
            let fail = |what: String| ConfigError { place: place.clone(), what };
            let words =
                split_words(line.as_bytes()).ok_or_else(|| fail("a quote is not closed".to_owned()))?;
            let words: Vec<String> =
                words.iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect();
            let (directive, values) = words.split_first().ok_or_else(|| fail("is empty".to_owned()))?;
            if directive.eq_ignore_ascii_case("include") {
                if depth >= INCLUDE_DEPTH_MAX {
                    return Err(fail("files include each other too deeply; is there a circle?".to_owned()));
                }
                for file in values {
                    let text = read(Path::new(file))
                        .map_err(|error| fail(format!("'include': {file} cannot be read ({error})")))?;
                    self.apply_file(&text, file, read, depth + 1)?;
                }
                continue;
            }
            self.apply(directive, values, &mut fresh).map_err(fail)?;
        }
        Ok(())
    }

    /// `fresh_save`: the next `save` replaces the default points instead of adding to them.
    fn apply(&mut self, name: &str, words: &[String], fresh_save: &mut bool) -> Result<(), String> {
        let directive =
            directives::find(name).ok_or_else(|| format!("unknown directive '{name}'{REMEDY}"))?;
        if directive.name == "save" && !std::mem::take(fresh_save) && !words.concat().is_empty() {
            let mut points = std::mem::take(&mut self.save);
            (directive.set)(self, words)?;
            points.append(&mut self.save);
            self.save = points;
            return Ok(());
        }
        (directive.set)(self, words).map_err(|what| format!("'{name}': {what}"))
    }

    /// What the TLS port is served with; `None`: there is none.
    pub fn tls_server(&self) -> Result<Option<ServerFiles>, String> {
        if self.tls_port == 0 {
            return Ok(None);
        }
        if self.port == self.tls_port {
            return Err("tls-port: the same as port; `port 0` takes TLS only".into());
        }
        let (Some(certificate), Some(key)) = (self.tls_cert_file.clone(), self.tls_key_file.clone()) else {
            return Err("tls-port: TLS needs a certificate; set tls-cert-file and tls-key-file".into());
        };
        if self.tls_auth_clients != AuthClients::No && self.tls_ca_cert_file.is_none() {
            return Err("tls-auth-clients: nothing says whose certificates are good; set tls-ca-cert-file, or tls-auth-clients no".into());
        }
        Ok(Some(ServerFiles { certificate, key, ca: self.tls_ca_cert_file.clone() }))
    }

    /// How a master, and the target of MIGRATE, is dialled as far as that is by TLS.
    pub fn tls_dialling(&self) -> Result<Option<ClientFiles>, String> {
        if !self.tls_replication && !self.stock.tls_cluster {
            return Ok(None);
        }
        let Some(ca) = self.tls_ca_cert_file.clone() else {
            let name = if self.tls_replication {
                "tls-replication: the master"
            } else {
                "tls-cluster: the target of MIGRATE"
            };
            return Err(format!("{name} is verified by its CA; set tls-ca-cert-file"));
        };
        let own = self.tls_client_cert_file.clone().zip(self.tls_client_key_file.clone());
        let identity = own.or_else(|| self.tls_cert_file.clone().zip(self.tls_key_file.clone()));
        Ok(Some(ClientFiles { ca, identity, server_name: self.tls_server_name.clone() }))
    }

    /// The port that others are told: masters and sentinels reach a server whose replication is TLS
    /// by TLS.
    pub fn announced_port(&self) -> u16 {
        match self.replica_announce_port {
            0 if self.tls_port != 0 && (self.tls_replication || self.port == 0) => self.tls_port,
            0 => self.port,
            port => port,
        }
    }

    /// Bytes that all clients together may take; 0: any number.
    pub fn clients_bytes_max(&self) -> u64 {
        match self.clients_max_memory {
            ClientsMemory::Bytes(count) => count,
            ClientsMemory::Percent(percent) => self.memory.max_bytes / 100 * percent,
        }
    }

    /// Bytes that may wait for a session: normal, replica, pubsub; 0: any number.
    pub fn output_bytes_max(&self) -> [usize; 3] {
        self.output_limits.map(|limit| usize::try_from(limit.hard_bytes).unwrap_or(usize::MAX))
    }

    /// Bytes that may wait for a session for so long: normal, replica, pubsub; 0: any number.
    pub fn output_soft(&self) -> [(usize, Duration); 3] {
        self.output_limits.map(|limit| {
            let bytes = usize::try_from(limit.soft_bytes).unwrap_or(usize::MAX);
            (bytes, Duration::from_secs(limit.soft_s))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(words: &[&str]) -> Result<ServerConfig, ConfigError> {
        let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
        ServerConfig::from_arguments(&words, |_| {
            Ok("# comment\nport 7000\nsave 60 1\nsave 900 2\n\nmaxmemory 1gb\nrequirepass \"a b\"\n".into())
        })
    }

    #[test]
    fn flags_win_over_the_file() {
        let config =
            arguments(&["my.conf", "--port", "7001", "--replicaof", "10.0.0.1 6379", "--save", ""]).unwrap();
        assert_eq!(config.port, 7001);
        assert_eq!(config.save, []);
        assert_eq!(config.memory.max_bytes, 1 << 30);
        assert_eq!(config.requirepass.as_ref().map(Secret::expose), Some("a b"));
        assert_eq!(config.replicaof, Some(Address::new("10.0.0.1", 6379)));
        assert_eq!(arguments(&["my.conf"]).unwrap().save.len(), 2, "save lines add up");
    }

    #[test]
    fn mistakes_are_named_with_their_place() {
        let error = |text: &str| ServerConfig::default().apply_text(text, "r.conf").unwrap_err().to_string();
        assert!(
            error("port 1\nprot 2").starts_with("r.conf line 2: unknown directive 'prot'"),
            "{}",
            error("port 1\nprot 2")
        );
        assert!(error("port 99999").contains("'port': argument must be between 0 and 65535 inclusive"));
        assert!(error("appendfilename a/b").contains("just a name"));
        assert!(error("appendfsync often").contains("everysec"));
        assert!(error("dir \"x").contains("quote"));
        assert!(arguments(&["--port"]).unwrap_err().to_string().contains("--port"));
    }

    #[test]
    fn passwords_are_in_no_debug_text_and_no_error() {
        let canary = "canary-7f3a";
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let read = |_: &Path| Ok(String::new());
        let line = format!("--requirepass {canary} --masterauth {canary}");
        let config = ServerConfig::from_arguments(&words(&line), read).unwrap();
        assert_eq!(config.requirepass.as_ref().map(Secret::expose), Some(canary));
        let text = format!("{config:?}");
        assert!(text.contains("redacted") && !text.contains(canary), "{text}");
        for mistake in
            ["requirepas CANARY", "requirepass CANARY b", "masterauth a CANARY", "requirepass \"CANARY"]
        {
            let line = mistake.replace("CANARY", canary);
            let error = ServerConfig::default().apply_text(&line, "r.conf").unwrap_err().to_string();
            assert!(error.contains("r.conf line 1") && !error.contains(canary), "{error}");
        }
    }

    #[test]
    fn every_row_reads_back_what_it_says() {
        for directive in DIRECTIVES {
            let mut config = ServerConfig::default();
            let text = (directive.get)(&config);
            let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
            (directive.set)(&mut config, &words).unwrap_or_else(|why| panic!("{}: {why}", directive.name));
            assert_eq!((directive.get)(&config), text, "{}", directive.name);
        }
    }
}
