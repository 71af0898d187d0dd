//! Who may do what on the HTTP side: the keys `http-users` and `http-view` of `sentinel.yaml`.

use super::ConfigError;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::PathBuf;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct HttpUser {
    pub name: String,
    /// Holds the one secret that is this user's password (Basic) and token (Bearer).
    pub secret_file: PathBuf,
    #[serde(default)]
    pub may: HttpRight,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HttpRight {
    /// Look at everything, change nothing.
    #[default]
    View,
    /// Look, and do what the page and the API offer.
    Act,
}

/// Who may look without being a user. Health answers are for everybody in either case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HttpView {
    #[default]
    Anybody,
    Users,
}

pub fn validate(users: &[HttpUser], view: HttpView, errors: &mut Vec<ConfigError>) {
    let mut names = BTreeSet::new();
    for (index, user) in users.iter().enumerate() {
        let key = format!("http-users[{index}].name");
        let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b'@');
        if user.name.is_empty() || user.name.len() > 64 || !user.name.bytes().all(fits) {
            let message =
                format!("'{}' is no user name; use letters, digits, '.', '-', '_' and '@'", user.name);
            errors.push(ConfigError::key(key.clone(), message));
        }
        if !names.insert(&user.name) {
            errors.push(ConfigError::key(key, format!("two users are named '{}'; rename one", user.name)));
        }
    }
    if view == HttpView::Users && users.is_empty() {
        errors.push(ConfigError::key(
            "http-view",
            "nobody could look: add http-users, or write `http-view: anybody`",
        ));
    }
}
