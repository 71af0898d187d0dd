//! How the host agent dials by TLS: its server and the sentinels may each want it or not.

use super::ConfigError;
use super::agent::AgentConfig;
use super::tls::ClientFiles;

impl AgentConfig {
    /// `None`: in plain text.
    pub fn tls_to_server(&self) -> Option<ClientFiles> {
        self.tls_server.then_some(())?;
        self.files(self.tls_server_name.clone())
    }

    pub fn tls_to_sentinels(&self) -> Option<ClientFiles> {
        self.tls_sentinels.then_some(())?;
        self.files(self.tls_sentinel_name.clone())
    }

    fn files(&self, server_name: Option<String>) -> Option<ClientFiles> {
        Some(ClientFiles {
            ca: self.tls_ca_cert_file.clone()?,
            identity: self.tls_cert_file.clone().zip(self.tls_key_file.clone()),
            server_name,
        })
    }
}

pub fn validate(config: &AgentConfig, errors: &mut Vec<ConfigError>) {
    if config.tls_cert_file.is_some() != config.tls_key_file.is_some() {
        let text = "a certificate and its key go together: set tls-cert-file and tls-key-file";
        errors.push(ConfigError::key("tls-cert-file", text));
    }
    if (config.tls_server || config.tls_sentinels) && config.tls_ca_cert_file.is_none() {
        let text = "what is dialled by TLS is verified by its CA: set tls-ca-cert-file";
        errors.push(ConfigError::key("tls-ca-cert-file", text));
    }
}
