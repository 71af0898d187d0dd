//! Secrets from the files that the configuration names. A file that others may read is taken, and
//! warned about.

use crate::config::Secret;
use crate::config::http_users::HttpUser;
use crate::config::sentinel::SentinelConfig;
use crate::disk::atomic_file;
use crate::sentinel::Auth;
use crate::session::acl::Order;
use slog::{Logger, warn};
use std::collections::BTreeMap;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

const FILE_BYTES_MAX: u64 = 4096;

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
        Ok(Secrets {
            webhooks,
            http_users,
            users: config.aclfile.as_deref().map(read_users).transpose()?.map(Secret::new),
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

const ACL_FILE_BYTES_MAX: u64 = 16 << 20;

fn read_users(path: &Path) -> Result<String, String> {
    let shown = path.display();
    let bytes = atomic_file::read(path, ACL_FILE_BYTES_MAX)
        .map_err(|error| format!("aclfile: cannot read {shown}: {error}"))?
        .ok_or_else(|| format!("aclfile: {shown} is not there; create it, empty or with the users"))?;
    String::from_utf8(bytes).map_err(|_| format!("aclfile: {shown} is not text"))
}

/// What ACL LOAD or SAVE asked for.
pub(super) fn acl_file(path: Option<&Path>, order: &Order) -> Result<String, String> {
    let path = path.ok_or("no aclfile is configured")?;
    match order {
        Order::Load => read_users(path),
        Order::Save { text } => atomic_file::replace(path, text.as_bytes())
            .map(|()| String::new())
            .map_err(|error| format!("cannot write {}: {error}", path.display())),
    }
}

fn read(key: &str, path: &Path, logger: &Logger) -> Result<Secret, String> {
    let shown = path.display();
    let failed = |error: std::io::Error| format!("{key}: cannot read {shown}: {error}");
    let file = std::fs::File::open(path).map_err(failed)?;
    let mode = file.metadata().map_err(failed)?.permissions().mode();
    if mode & 0o077 != 0 {
        warn!(logger, "{key}: {shown} can be read by others (mode {:o}); make it 0600", mode & 0o777);
    }
    let mut text = String::new();
    file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(failed)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(format!("{key}: {shown} is longer than {FILE_BYTES_MAX} bytes; is it the right file?"));
    }
    Secret::from_file_text(&text).ok_or_else(|| format!("{key}: {shown} is empty; write the secret into it"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_a_secret_is_named() {
        let logger = Logger::root(slog::Discard, slog::o!());
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        assert!(read("k", &path, &logger).unwrap_err().contains("k: cannot read"));
        std::fs::write(&path, "\n").unwrap();
        assert!(read("k", &path, &logger).unwrap_err().contains("is empty"));
        std::fs::write(&path, "x".repeat(5000)).unwrap();
        assert!(read("k", &path, &logger).unwrap_err().contains("longer than"));
        std::fs::write(&path, "hunter2\n").unwrap();
        assert_eq!(read("k", &path, &logger).unwrap().expose(), "hunter2");
    }
}
