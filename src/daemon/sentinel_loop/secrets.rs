//! Secrets from the files that the configuration names. A file that others may read is taken, and
//! warned about.

use crate::config::Secret;
use crate::config::http_users::HttpUser;
use crate::config::sentinel::SentinelConfig;
use crate::daemon::acl_file;
use crate::daemon::secret_file::read;
use crate::sentinel::Auth;
use slog::Logger;
use std::collections::BTreeMap;

#[derive(Clone, Debug, Default)]
pub(super) struct Secrets {
    pub cluster: Option<Secret>,
    pub requirepass: Option<Secret>,
    /// With what it logs in as a client of sentinels.
    pub sentinel_pass: Option<Secret>,
    /// By group name.
    pub masters: BTreeMap<String, Auth>,
    /// By name: what signs their requests.
    pub webhooks: BTreeMap<String, Secret>,
    /// The text of `aclfile`.
    pub users: Option<Secret>,
    /// With the secret of each.
    pub http_users: Vec<(HttpUser, Secret)>,
}

impl Secrets {
    pub(super) fn read(config: &SentinelConfig, logger: &Logger) -> Result<Self, String> {
        let optional = |key: &str, path: &Option<std::path::PathBuf>| {
            path.as_deref().map(|path| read(key, path, logger)).transpose()
        };
        let mut masters = BTreeMap::new();
        for master in &config.masters {
            if let Some((user, password)) = config.inline.masters.get(&master.name) {
                let auth = Auth { user: user.clone(), password: password.expose().to_owned(), command: None };
                masters.insert(master.name.clone(), auth);
            }
            let key = format!("auth-pass-file of '{}'", master.name);
            if let Some(password) = optional(&key, &master.auth_pass_file)? {
                let auth = Auth {
                    user: master.auth_user.clone(),
                    password: password.expose().to_owned(),
                    command: None,
                };
                masters.insert(master.name.clone(), auth);
            }
        }
        let mut http_users = Vec::new();
        for user in &config.http_users {
            let key = format!("secret-file of the http user '{}'", user.name);
            http_users.push((user.clone(), read(&key, &user.secret_file, logger)?));
        }
        let mut webhooks = BTreeMap::new();
        for webhook in &config.webhooks {
            let key = format!("secret-file of the webhook '{}'", webhook.name);
            if let Some(secret) = optional(&key, &webhook.secret_file)? {
                webhooks.insert(webhook.name.clone(), secret);
            }
        }
        let users = config.aclfile.as_deref().map(acl_file::read);
        Ok(Secrets {
            webhooks,
            http_users,
            users: users.transpose().map_err(|why| format!("aclfile: {why}"))?.map(Secret::new),
            cluster: optional("cluster-secret-file", &config.cluster_secret_file)?,
            sentinel_pass: optional("sentinel-pass-file", &config.sentinel_pass_file)?
                .or_else(|| config.inline.sentinel_pass.clone()),
            requirepass: optional("requirepass-file", &config.requirepass_file)?
                .or_else(|| config.inline.requirepass.clone()),
            masters,
        })
    }
}

impl Secrets {
    /// The files that `read` reads.
    pub(super) fn paths(config: &SentinelConfig) -> Vec<std::path::PathBuf> {
        let masters = config.masters.iter().filter_map(|master| master.auth_pass_file.clone());
        let users = config.http_users.iter().map(|user| user.secret_file.clone());
        let webhooks = config.webhooks.iter().filter_map(|webhook| webhook.secret_file.clone());
        let own = [
            &config.cluster_secret_file,
            &config.requirepass_file,
            &config.sentinel_pass_file,
            &config.aclfile,
        ];
        own.into_iter().flatten().cloned().chain(masters).chain(users).chain(webhooks).collect()
    }

    pub(super) fn http_users(&self) -> Vec<crate::net::http::access::User> {
        let user = |(user, secret): &(HttpUser, Secret)| crate::net::http::access::User {
            name: user.name.clone(),
            secret: secret.clone(),
            right: user.may,
        };
        self.http_users.iter().map(user).collect()
    }
}
