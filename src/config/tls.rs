//! TLS as configured: which files, and who must show a certificate. The same words for the sentinel's
//! keys and the server's directives, as Redis names them.

use super::ConfigError;
use super::sentinel::{MasterConfig, SentinelConfig};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// `tls-auth-clients`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AuthClients {
    #[default]
    #[serde(alias = "true")]
    Yes,
    /// Asked for, and judged where it is shown.
    Optional,
    #[serde(alias = "false")]
    No,
}

impl AuthClients {
    pub fn name(self) -> &'static str {
        match self {
            AuthClients::Yes => "yes",
            AuthClients::Optional => "optional",
            AuthClients::No => "no",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [AuthClients::Yes, AuthClients::Optional, AuthClients::No]
            .into_iter()
            .find(|mode| mode.name().eq_ignore_ascii_case(text))
    }
}

/// A side that takes connections.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ServerFiles {
    pub certificate: PathBuf,
    pub key: PathBuf,
    pub ca: Option<PathBuf>,
}

/// A side that makes them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClientFiles {
    pub ca: PathBuf,
    pub identity: Option<(PathBuf, PathBuf)>,
    /// Expected in the other side's certificate instead of the host that is dialled.
    pub server_name: Option<String>,
}

impl SentinelConfig {
    /// What the TLS port and HTTPS are served with.
    pub fn tls_server(&self) -> Option<ServerFiles> {
        Some(ServerFiles {
            certificate: self.tls_cert_file.clone()?,
            key: self.tls_key_file.clone()?,
            ca: self.tls_ca_cert_file.clone(),
        })
    }

    /// How peers are dialled; `None`: in plain text.
    pub fn tls_to_peers(&self) -> Option<ClientFiles> {
        self.tls_peers.then_some(())?;
        Some(ClientFiles {
            ca: self.tls_ca_cert_file.clone()?,
            identity: self.tls_cert_file.clone().zip(self.tls_key_file.clone()),
            server_name: self.tls_peer_name.clone(),
        })
    }

    /// How the data servers of a group are dialled; `None`: in plain text. A group that no file
    /// describes follows `tls-replication`.
    pub fn tls_to_group(&self, name: &str) -> Option<ClientFiles> {
        let group = self.masters.iter().find(|master| master.name == name);
        group.and_then(|group| group.tls).unwrap_or(self.tls_replication).then_some(())?;
        let own = |pick: fn(&MasterConfig) -> &Option<PathBuf>| group.and_then(|group| pick(group).clone());
        let identity = own(|group| &group.tls_cert_file).zip(own(|group| &group.tls_key_file));
        Some(ClientFiles {
            ca: own(|group| &group.tls_ca_cert_file).or_else(|| self.tls_ca_cert_file.clone())?,
            identity: identity.or_else(|| self.tls_cert_file.clone().zip(self.tls_key_file.clone())),
            server_name: group.and_then(|group| group.tls_server_name.clone()),
        })
    }
}

pub fn validate(config: &SentinelConfig, errors: &mut Vec<ConfigError>) {
    let mut refuse = |key: &str, message: &str| errors.push(ConfigError::key(key, message));
    if config.port == 0 && config.tls_port == 0 {
        refuse("port", "0 turns plain text off, then `tls-port` is needed; the usual one is 26379");
    }
    if config.port != 0 && config.port == config.tls_port {
        refuse("tls-port", "the same as `port`; set `port: 0` to take TLS only, or give it another number");
    }
    if config.tls_cert_file.is_some() != config.tls_key_file.is_some() {
        refuse("tls-cert-file", "a certificate and its key go together: set tls-cert-file and tls-key-file");
    }
    let serves = config.tls_port != 0 || config.tls_http;
    if serves && config.tls_server().is_none() {
        refuse("tls-port", "TLS needs a certificate: set tls-cert-file and tls-key-file");
    }
    if config.tls_port != 0 && config.tls_auth_clients != AuthClients::No && config.tls_ca_cert_file.is_none()
    {
        refuse(
            "tls-auth-clients",
            "clients are to show a certificate, and nothing says which are good: set tls-ca-cert-file, or `tls-auth-clients: no`",
        );
    }
    if config.tls_peers && config.tls_ca_cert_file.is_none() {
        refuse("tls-peers", "peers are verified by their CA: set tls-ca-cert-file");
    }
    if config.tls_peers && config.tls_port == 0 {
        refuse("tls-peers", "peers then come by TLS, so this sentinel needs a `tls-port`");
    }
    for (index, master) in config.masters.iter().enumerate() {
        let wants = master.tls.unwrap_or(config.tls_replication);
        if wants && config.tls_to_group(&master.name).is_none() {
            errors.push(ConfigError::key(
                format!("masters[{index}].tls"),
                "its servers are verified by their CA: set tls-ca-cert-file for the group or for all",
            ));
        }
        if master.tls_cert_file.is_some() != master.tls_key_file.is_some() {
            errors.push(ConfigError::key(
                format!("masters[{index}].tls-cert-file"),
                "a certificate and its key go together: set tls-cert-file and tls-key-file",
            ));
        }
    }
}
