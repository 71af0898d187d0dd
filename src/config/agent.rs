//! `agent.yaml`: which server the agent stands beside, and whom it asks.

use super::ConfigError;
use crate::model::Address;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct AgentConfig {
    pub group: String,
    /// Where the agent reaches the server: on this host.
    pub server: Address,
    /// The server as the sentinels know it; `server` when absent.
    #[serde(default)]
    pub announced: Option<Address>,
    pub sentinels: Vec<Address>,
    #[serde(default = "lease_ms")]
    pub lease_milliseconds: u64,
    #[serde(default)]
    pub auth_user: Option<String>,
    #[serde(default)]
    pub auth_pass_file: Option<PathBuf>,
    /// Password of the sentinels (`requirepass-file` there).
    #[serde(default)]
    pub sentinel_pass_file: Option<PathBuf>,
    /// A user of the sentinels other than `default`.
    #[serde(default)]
    pub sentinel_user: Option<String>,
    /// The server is dialled by TLS, the sentinels are.
    #[serde(default, with = "super::yes_no")]
    pub tls_server: bool,
    #[serde(default, with = "super::yes_no")]
    pub tls_sentinels: bool,
    #[serde(default)]
    pub tls_ca_cert_file: Option<PathBuf>,
    #[serde(default)]
    pub tls_cert_file: Option<PathBuf>,
    #[serde(default)]
    pub tls_key_file: Option<PathBuf>,
    /// Expected in the certificates instead of the host that is dialled.
    #[serde(default)]
    pub tls_server_name: Option<String>,
    #[serde(default)]
    pub tls_sentinel_name: Option<String>,
    /// Commands that were renamed on the server, and what they are called there.
    #[serde(default)]
    pub rename_commands: BTreeMap<String, String>,
}

fn lease_ms() -> u64 {
    2000
}

const LEASE_MS: std::ops::RangeInclusive<u64> = 200..=60_000;
const SENTINELS_MAX: usize = 64;

pub fn parse(text: &str) -> Result<AgentConfig, Vec<ConfigError>> {
    let config: AgentConfig = serde_yaml::from_str(text).map_err(|error| {
        let at = error.location().map(|location| (location.line(), location.column()));
        vec![ConfigError { at, key: String::new(), message: error.to_string() }]
    })?;
    let mut errors = Vec::new();
    if config.group.is_empty() {
        errors.push(ConfigError::key("group", "is empty; give the name that the sentinels watch it under"));
    }
    if config.sentinels.is_empty() || config.sentinels.len() > SENTINELS_MAX {
        let text = format!("name every sentinel of the fleet, 1 to {SENTINELS_MAX} addresses host:port");
        errors.push(ConfigError::key("sentinels", text));
    }
    if !LEASE_MS.contains(&config.lease_milliseconds) {
        let text = format!("must be from {} to {}", LEASE_MS.start(), LEASE_MS.end());
        errors.push(ConfigError::key("lease-milliseconds", text));
    }
    if config.auth_user.is_some() && config.auth_pass_file.is_none() {
        errors.push(ConfigError::key("auth-user", "needs a password: set auth-pass-file"));
    }
    if config.sentinel_user.is_some() && config.sentinel_pass_file.is_none() {
        errors.push(ConfigError::key("sentinel-user", "needs a password: set sentinel-pass-file"));
    }
    super::agent_tls::validate(&config, &mut errors);
    super::renames::validate("rename-commands".to_owned(), &config.rename_commands, &mut errors);
    if errors.is_empty() { Ok(config) } else { Err(errors) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shortest_file_has_three_keys_and_mistakes_are_named() {
        let text = "group: m\nserver: 127.0.0.1:6379\nsentinels: [\"10.0.0.1:26379\"]\n";
        let config = parse(text).unwrap();
        assert_eq!((config.lease_milliseconds, config.announced), (2000, None));
        for (text, key) in [
            ("group: ''\nserver: 127.0.0.1:6379\nsentinels: [\"h:1\"]\n", "group"),
            ("group: m\nserver: 127.0.0.1:6379\nsentinels: []\n", "sentinels"),
            (
                "group: m\nserver: 127.0.0.1:6379\nsentinels: [\"h:1\"]\nlease-milliseconds: 1\n",
                "lease-milliseconds",
            ),
            ("group: m\nserver: 127.0.0.1:6379\nsentinels: [\"h:1\"]\nauth-user: u\n", "auth-user"),
            ("group: m\nserver: 127.0.0.1:6379\nsentinels: [\"h:1\"]\ntls-server: yes\n", "tls-ca-cert-file"),
            ("group: m\nserver: 127.0.0.1:6379\nsentinels: [\"h:1\"]\ncolour: red\n", ""),
        ] {
            let errors = parse(text).unwrap_err();
            assert_eq!(errors[0].key, key, "{errors:?}");
        }
    }
}
