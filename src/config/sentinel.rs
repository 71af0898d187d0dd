//! `sentinel.yaml` as types. Names are kebab-case as Redis users know them; unknown keys are errors.
//!
//! Promise: what `parse` returns has passed every check of `validate`.

use super::ConfigError;
use super::acl_users::UserLine;
use super::addresses::NatRule;
use super::drills::DrillConfig;
use super::hooks::HooksConfig;
use super::http_users::{HttpUser, HttpView};
use super::policy::Policy;
use super::tls::AuthClients;
use super::validate::validate;
pub use super::webhook::WebhookConfig;
use super::yes_no;
use crate::model::{Address, NodeId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, expecting = "settings, as `port: 26379`")]
pub struct SentinelConfig {
    /// This voter; unique in the fleet, never 0. Absent while `bootstrap-expect` is to give it.
    #[serde(default)]
    pub id: NodeId,
    #[serde(default = "defaults::bind")]
    pub bind: String,
    #[serde(default = "defaults::port")]
    pub port: u16,
    /// TLS for clients, operators and peers; 0: off. `port: 0` then turns plain text off.
    #[serde(default)]
    pub tls_port: u16,
    #[serde(default)]
    pub tls_cert_file: Option<PathBuf>,
    #[serde(default)]
    pub tls_key_file: Option<PathBuf>,
    #[serde(default)]
    pub tls_ca_cert_file: Option<PathBuf>,
    #[serde(default)]
    pub tls_auth_clients: AuthClients,
    /// Peers talk by TLS, and by nothing else.
    #[serde(default, with = "yes_no")]
    pub tls_peers: bool,
    /// Expected in peers' certificates instead of the host that is dialled.
    #[serde(default)]
    pub tls_peer_name: Option<String>,
    /// Data servers are dialled by TLS; a group may say otherwise.
    #[serde(default, with = "yes_no")]
    pub tls_replication: bool,
    /// The HTTP side is HTTPS.
    #[serde(default, with = "yes_no")]
    pub tls_http: bool,
    /// What peers and clients are told, where it is not the address in `peers`.
    #[serde(default)]
    pub announce_ip: Option<String>,
    #[serde(default)]
    pub announce_port: Option<u16>,
    #[serde(default)]
    pub nat_map: Vec<NatRule>,
    /// Host names are allowed where an address stands.
    #[serde(default = "defaults::yes", with = "yes_no")]
    pub resolve_hostnames: bool,
    /// Clients are given names as they were written, not the addresses they lead to.
    #[serde(default = "defaults::yes", with = "yes_no")]
    pub announce_hostnames: bool,
    /// Status page, metrics, health, JSON; absent: off.
    #[serde(default)]
    pub http: Option<Address>,
    /// Who may act there, and who may look.
    #[serde(default)]
    pub http_users: Vec<HttpUser>,
    #[serde(default)]
    pub http_view: HttpView,
    pub dir: PathBuf,
    /// Needed as soon as a peer is not on loopback.
    #[serde(default)]
    pub cluster_secret_file: Option<PathBuf>,
    /// With what this sentinel logs in as a client of sentinels, where that is not `requirepass-file`:
    /// the canary of a live drill does.
    #[serde(default)]
    pub sentinel_user: Option<String>,
    #[serde(default)]
    pub sentinel_pass_file: Option<PathBuf>,
    /// Clients' password (Redis' directive).
    #[serde(default)]
    pub requirepass_file: Option<PathBuf>,
    /// Users of this port, each as ACL LIST writes one (without the word `user`).
    #[serde(default)]
    pub users: Vec<UserLine>,
    /// Users in a file instead, for ACL LOAD and SAVE.
    #[serde(default)]
    pub aclfile: Option<PathBuf>,
    #[serde(default = "defaults::yes", with = "yes_no")]
    pub protected_mode: bool,
    /// The voters that found the fleet; afterwards the agreed log knows them.
    #[serde(default)]
    pub peers: Vec<PeerConfig>,
    /// Sentinels of a fleet that stands, which this one joins when it is new.
    #[serde(default)]
    pub join: Vec<Address>,
    /// Found the fleet as soon as so many sentinels of the same masters see each other, instead of `peers`.
    #[serde(default)]
    pub bootstrap_expect: Option<usize>,
    #[serde(default)]
    pub masters: Vec<MasterConfig>,
    #[serde(default)]
    pub webhooks: Vec<WebhookConfig>,
    /// Failover drills on a schedule.
    #[serde(default)]
    pub drills: Vec<DrillConfig>,
    #[serde(default)]
    pub raft: RaftConfig,
    /// How long a master's lease lasts.
    #[serde(default = "defaults::lease_ms")]
    pub lease_milliseconds: u64,
    /// When more than this part of all groups lose their master together, automatic failovers are
    /// held. 0: off.
    #[serde(default)]
    pub blast_radius_percent: u64,
    /// SENTINEL SET may not name scripts (Redis' directive).
    #[serde(default = "defaults::yes", with = "yes_no")]
    pub deny_scripts_reconfig: bool,
    /// For every group that has none of its own.
    #[serde(default)]
    pub hooks: HooksConfig,
    /// Passwords of a sentinel.conf, which holds them itself.
    #[serde(skip)]
    pub inline: super::sentinel_conf::InlineSecrets,
    /// Where this was read from, for people.
    #[serde(skip)]
    pub file: PathBuf,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PeerConfig {
    pub id: NodeId,
    pub address: Address,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Refuse rather than lose a write that WAIT promised.
    #[default]
    Safe,
    /// Promote the best replica seen and mark the event.
    Available,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct MasterConfig {
    pub name: String,
    pub address: Address,
    #[serde(default = "defaults::quorum")]
    pub quorum: usize,
    #[serde(default = "defaults::down_after_ms")]
    pub down_after_milliseconds: u64,
    /// How long a refused or reset connection, seen by a quorum and by the replicas, is waited for
    /// before the master counts as dead. 0: off, silence alone counts.
    #[serde(default = "defaults::crash_grace_ms")]
    pub crash_grace_milliseconds: u64,
    #[serde(default = "defaults::failover_timeout_ms")]
    pub failover_timeout: u64,
    #[serde(default = "defaults::parallel_syncs")]
    pub parallel_syncs: usize,
    #[serde(default)]
    pub mode: Mode,
    /// A stock master's `min-replicas-to-write` follows the replicas that are in sync.
    #[serde(default = "defaults::yes", with = "yes_no")]
    pub manage_min_replicas: bool,
    #[serde(default)]
    pub auth_user: Option<String>,
    #[serde(default)]
    pub auth_pass_file: Option<PathBuf>,
    /// Commands that were renamed on its servers, and what they are called there.
    #[serde(default)]
    pub rename_commands: BTreeMap<String, String>,
    /// Milliseconds that a master may load its data after a reboot; 0: no longer than down-after.
    #[serde(default, alias = "primary-reboot-down-after-period")]
    pub master_reboot_down_after_period: u64,
    /// Run for every event of severity warning with its name and payload (Redis' directive).
    #[serde(default)]
    pub notification_script: Option<PathBuf>,
    /// Run when the master has changed (Redis' directive).
    #[serde(default)]
    pub client_reconfig_script: Option<PathBuf>,
    #[serde(default)]
    pub hooks: HooksConfig,
    /// Absent: as `tls-replication` says.
    #[serde(default, with = "yes_no::option")]
    pub tls: Option<bool>,
    /// These three are those of the sentinel where they are absent.
    #[serde(default)]
    pub tls_ca_cert_file: Option<PathBuf>,
    #[serde(default)]
    pub tls_cert_file: Option<PathBuf>,
    #[serde(default)]
    pub tls_key_file: Option<PathBuf>,
    /// Expected in the servers' certificates instead of the host that is dialled.
    #[serde(default)]
    pub tls_server_name: Option<String>,
    /// Automatic failovers per window before this group's are held; 0: no limit.
    #[serde(default = "defaults::failovers_max")]
    pub failovers_max: u64,
    /// Milliseconds.
    #[serde(default = "defaults::failovers_window_ms")]
    pub failovers_window: u64,
    #[serde(default)]
    pub max_loss_bytes: Option<u64>,
    #[serde(default)]
    pub max_loss_seconds: Option<u64>,
    #[serde(default, with = "super::policy::auto_or_number")]
    pub sync_quorum: Option<usize>,
    #[serde(default)]
    pub prefer_zone: Option<String>,
    /// Address to zone.
    #[serde(default)]
    pub zones: BTreeMap<Address, String>,
    #[serde(default = "defaults::yes", with = "yes_no")]
    pub prefer_handover: bool,
    /// Milliseconds; 0: never.
    #[serde(default = "defaults::forget_replicas_after_ms")]
    pub forget_replicas_after: u64,
}

impl MasterConfig {
    /// The keys that limit and steer its failovers.
    pub fn policy(&self) -> Policy {
        Policy {
            failovers_max: self.failovers_max,
            failovers_window_ms: self.failovers_window,
            max_loss_bytes: self.max_loss_bytes,
            max_loss_seconds: self.max_loss_seconds,
            sync_quorum: self.sync_quorum,
            prefer_zone: self.prefer_zone.clone(),
            zones: self.zones.clone(),
            prefer_handover: self.prefer_handover,
            forget_replicas_after_ms: self.forget_replicas_after,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct RaftConfig {
    pub heartbeat_milliseconds: u64,
    pub election_milliseconds_min: u64,
    pub election_milliseconds_max: u64,
}

impl Default for RaftConfig {
    fn default() -> Self {
        RaftConfig {
            heartbeat_milliseconds: 50,
            election_milliseconds_min: 300,
            election_milliseconds_max: 600,
        }
    }
}

/// No sensible file is longer; a longer one is not a configuration but a mistake.
const TEXT_BYTES_MAX: usize = 1 << 20;

/// A whole `sentinel.yaml`: every complaint at once, the unreadable ones with line and column.
pub fn parse(text: &str) -> Result<SentinelConfig, Vec<ConfigError>> {
    SentinelConfig::read(text, |_| {})
}

/// The parser's own sentence. It repeats the position for nested keys and lacks it for top-level
/// ones, so the position is always taken from the error itself and cut from the text.
fn unreadable(error: &serde_yaml::Error, text: &str) -> ConfigError {
    let mut at = error.location().map(|location| (location.line(), location.column()));
    let mut message = error.to_string();
    if let Some((line, column)) = at
        && let Some(end) = message.find(&format!(" at line {line} column {column}"))
    {
        message.truncate(end);
    }
    // 1:1 means "somewhere at the top level": the key that the sentence names knows better.
    if at == Some((1, 1)) {
        let is_named = |line: &str| {
            let after = named_key(&message).and_then(|key| line.strip_prefix(key));
            after.is_some_and(|rest| rest.trim_start().starts_with(':'))
        };
        // Or the value that it quotes.
        let value = message.split('\'').nth(1).filter(|value| !value.is_empty());
        let has_value = |line: &str| value.is_some_and(|value| line.ends_with(&format!(": {value}")));
        let line = text.lines().position(|line| is_named(line) || has_value(line));
        at = line.map(|line| (line + 1, 1));
    }
    ConfigError { at, key: String::new(), message }
}

/// The first word in backticks or double quotes.
fn named_key(message: &str) -> Option<&str> {
    let start = message.find(['`', '"'])? + 1;
    let end = message[start..].find(['`', '"'])? + start;
    Some(&message[start..end])
}

impl SentinelConfig {
    /// Text, with what the command line says in place of it, checked as a whole.
    pub fn read(text: &str, adjust: impl FnOnce(&mut Self)) -> Result<Self, Vec<ConfigError>> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(vec![ConfigError::key("", "the file is larger than 1 MB; is it the right one?")]);
        }
        let mut config: SentinelConfig =
            serde_yaml::from_str(text).map_err(|error| vec![unreadable(&error, text)])?;
        adjust(&mut config);
        let errors = validate(&config);
        if errors.is_empty() { Ok(config) } else { Err(errors) }
    }

    pub fn own_peer(&self) -> Option<&PeerConfig> {
        self.peers.iter().find(|peer| peer.id == self.id)
    }

    /// A new sentinel that founds nothing and waits to be added.
    pub fn joins(&self) -> bool {
        !self.join.is_empty()
    }

    pub fn all_peers_on_loopback(&self) -> bool {
        self.peers.iter().all(|peer| peer.address.is_loopback())
    }
}

/// Defaults, each a named function because serde wants them so.
pub mod defaults {
    pub fn bind() -> String {
        "127.0.0.1".to_owned()
    }
    pub fn port() -> u16 {
        26379
    }
    pub fn yes() -> bool {
        true
    }
    pub fn quorum() -> usize {
        2
    }
    pub fn down_after_ms() -> u64 {
        5000
    }
    pub fn crash_grace_ms() -> u64 {
        300
    }
    pub fn failover_timeout_ms() -> u64 {
        60_000
    }
    pub fn parallel_syncs() -> usize {
        1
    }
    pub fn failovers_max() -> u64 {
        super::Policy::default().failovers_max
    }
    pub fn failovers_window_ms() -> u64 {
        super::Policy::default().failovers_window_ms
    }
    pub fn forget_replicas_after_ms() -> u64 {
        super::Policy::default().forget_replicas_after_ms
    }
    pub fn lease_ms() -> u64 {
        500
    }
    pub fn webhook_format() -> String {
        "generic".to_owned()
    }
}

#[cfg(test)]
#[path = "sentinel_tests.rs"]
mod tests;
