//! Passwords of the bundled server that stand in files (`requirepass-file`, `masterauth-file`): read at
//! the start, and again on SIGHUP or when one of them changed.
//!
//! Promises: a file that is no good ends the start, and later leaves the old password in force; what is
//! wrong is told without a word of what the file holds.

use super::secret_file::read;
use crate::config::Secret;
use crate::config::server::ServerConfig;
use crate::server::NewSecrets;
use slog::Logger;
use std::path::PathBuf;

/// The files, and what was read of them last.
pub struct SecretFiles {
    requirepass: Option<(PathBuf, Secret)>,
    masterauth: Option<(PathBuf, Secret)>,
}

impl SecretFiles {
    /// Puts what the files hold into the configuration.
    pub fn read_into(config: &mut ServerConfig, logger: &Logger) -> Result<Self, String> {
        let first = |key: &str, path: &Option<PathBuf>, inline: &Option<Secret>| match path {
            None => Ok(None),
            Some(_) if inline.is_some() => Err(format!(
                "{key}: the password is also given with '{}'; keep it in one place",
                inline_of(key)
            )),
            Some(path) => read(key, path, logger).map(|secret| Some((path.clone(), secret))),
        };
        let files = SecretFiles {
            requirepass: first("requirepass-file", &config.requirepass_file, &config.requirepass)?,
            masterauth: first("masterauth-file", &config.masterauth_file, &config.masterauth)?,
        };
        let take = |own: &Option<(PathBuf, Secret)>, into: &mut Option<Secret>| {
            if let Some((_, secret)) = own {
                *into = Some(secret.clone());
            }
        };
        take(&files.requirepass, &mut config.requirepass);
        take(&files.masterauth, &mut config.masterauth);
        Ok(files)
    }

    /// What is new since the last time. What cannot be read is told in the second half.
    pub fn reload(&mut self, logger: &Logger) -> (NewSecrets, Vec<String>) {
        let mut wrong = Vec::new();
        let mut again = |key: &str, own: &mut Option<(PathBuf, Secret)>| {
            let (path, known) = own.as_mut()?;
            match read(key, path, logger) {
                Ok(secret) if secret == *known => None,
                Ok(secret) => {
                    known.clone_from(&secret);
                    Some(secret)
                }
                Err(why) => {
                    wrong.push(format!("{why}; the password read before stays in force"));
                    None
                }
            }
        };
        let requirepass = again("requirepass-file", &mut self.requirepass);
        let masterauth = again("masterauth-file", &mut self.masterauth);
        (NewSecrets { requirepass, masterauth }, wrong)
    }

    pub fn paths(&self) -> impl Iterator<Item = PathBuf> + '_ {
        self.requirepass.iter().chain(&self.masterauth).map(|(path, _)| path.clone())
    }
}

fn inline_of(key: &str) -> &str {
    key.strip_suffix("-file").unwrap_or(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_changed_is_new_and_a_bad_file_changes_nothing() {
        let logger = Logger::root(slog::Discard, slog::o!());
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pass");
        std::fs::write(&path, "one\n").unwrap();
        let mut config = ServerConfig { requirepass_file: Some(path.clone()), ..ServerConfig::default() };
        let mut files = SecretFiles::read_into(&mut config, &logger).unwrap();
        assert_eq!(config.requirepass.as_ref().map(Secret::expose), Some("one"));
        assert!(files.reload(&logger).0.is_empty());
        std::fs::write(&path, "\n").unwrap();
        let (news, wrong) = files.reload(&logger);
        assert!(news.is_empty() && wrong[0].contains("is empty"), "{wrong:?}");
        std::fs::write(&path, "two\n").unwrap();
        let (news, wrong) = files.reload(&logger);
        assert_eq!((news.requirepass.as_ref().map(Secret::expose), wrong.len()), (Some("two"), 0));
        // Given twice: which one counts would be a guess.
        let again = SecretFiles::read_into(&mut config, &logger).map(|_| ()).unwrap_err();
        assert!(again.contains("keep it in one place") && !again.contains("one\n"), "{again}");
    }
}
