//! Users and what they may do, as Redis' ACL: the rules, their texts and their errors.
//!
//! The port's [`Auth`](super::Auth) holds one [`Acl`]; every request of a session is judged by its
//! user's rules before it runs. Promises: passwords are kept as hashes and compared in constant time;
//! a change counts for the next request of every session; nothing here is longer than its bounds.
//! Has never heard of files: what is to be read or written is an [`Order`] for the shell.

pub mod catalogue;
pub mod command;
mod judge;
pub mod log;
pub mod selector;
pub mod user;

pub use log::Log;
pub use selector::{Denied, Selector};
use std::collections::BTreeMap;
pub use user::User;

/// Users of one port; far above what anybody keeps by hand.
const USERS_MAX: usize = 10_000;

/// What is wrong with a rule, in Redis' words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    #[error("Syntax error")]
    Syntax,
    #[error("Unknown command or category name in ACL")]
    Unknown,
    #[error("Allowing first-arg of a subcommand is not supported")]
    FirstArgument,
    #[error(
        "Adding a pattern after the * pattern (or the 'allkeys' flag) is not valid and does not have any effect. Try 'resetkeys' to start with an empty list of patterns"
    )]
    AfterAllKeys,
    #[error(
        "Adding a pattern after the * pattern (or the 'allchannels' flag) is not valid and does not have any effect. Try 'resetchannels' to start with an empty list of channels"
    )]
    AfterAllChannels,
    #[error("The password you are trying to remove from the user does not exist")]
    NoSuchPassword,
    #[error(
        "The password hash must be exactly 64 characters and contain only lowercase hexadecimal characters"
    )]
    BadHash,
}

/// What the shell is to do with the ACL file, for the session that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    Load,
    Save { text: String },
}

#[derive(Debug)]
pub struct Acl {
    users: BTreeMap<String, User>,
    pub log: Log,
    /// Whether there is a file for ACL LOAD and SAVE.
    pub has_file: bool,
    /// Asked for by the request that runs.
    pub order: Option<Order>,
    /// Changes whenever anybody's rules do.
    version: u64,
}

impl Default for Acl {
    fn default() -> Self {
        let default = User::default_user();
        Acl {
            users: BTreeMap::from([(default.name.clone(), default)]),
            log: Log::default(),
            has_file: false,
            order: None,
            version: 1,
        }
    }
}

impl Acl {
    pub fn version(&self) -> u64 {
        self.version
    }

    pub fn user(&self, name: &str) -> Option<&User> {
        self.users.get(name)
    }

    /// In the order of their names.
    pub fn users(&self) -> impl Iterator<Item = &User> {
        self.users.values()
    }

    /// The user that connections begin as: needs a password unless it has none to give.
    pub fn default_needs_password(&self) -> bool {
        !self.users.get("default").is_some_and(|user| user.enabled && user.no_password)
    }

    pub fn set_default_password(&mut self, password: Option<&[u8]>) {
        self.version += 1;
        self.users.entry("default".to_owned()).or_insert_with(User::default_user).set_password(password);
    }

    /// ACL SETUSER: all rules or none.
    pub fn set_user(&mut self, name: &str, rules: &[Vec<u8>]) -> Result<(), String> {
        check_name(name)?;
        let known = self.users.get(name);
        if known.is_none() && self.users.len() >= USERS_MAX {
            return Err(format!("No more than {USERS_MAX} users"));
        }
        let mut user = known.cloned().unwrap_or_else(|| User::new(name));
        apply_all(&mut user, rules, "ACL SETUSER modifier")?;
        self.users.insert(name.to_owned(), user);
        self.version += 1;
        Ok(())
    }

    /// Whether there was such a user. The default one stays.
    pub fn delete(&mut self, name: &str) -> bool {
        self.version += 1;
        name != "default" && self.users.remove(name).is_some()
    }

    /// Users written as `name rules...` (sentinel.yaml, the directive `user`), added to what is there.
    /// Each must be new in this text but `default`.
    pub fn define<'a>(&mut self, lines: impl IntoIterator<Item = &'a str>) -> Result<(), String> {
        let mut seen: Vec<String> = Vec::new();
        for line in lines {
            let words = split(line);
            let (name, rules) = words.split_first().ok_or("a user needs a name")?;
            let name = String::from_utf8_lossy(name).into_owned();
            if seen.contains(&name) {
                return Err(format!(
                    "user '{name}': Duplicate user found. A user can only be defined once in config files"
                ));
            }
            let mut fresh = User::new(&name);
            check_name(&name)?;
            apply_all(&mut fresh, rules, "rule").map_err(|why| format!("user '{name}': {why}"))?;
            self.users.insert(name.clone(), fresh);
            seen.push(name);
        }
        self.version += 1;
        Ok(())
    }

    /// The whole of an ACL file in the place of all users; on a mistake nothing changes and every
    /// mistake is named with its line.
    pub fn load(&mut self, text: &str, file: &str) -> Result<(), String> {
        let mut fresh = Acl::default();
        let mut errors = Vec::new();
        let mut seen: Vec<String> = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let Some(rest) = line.strip_prefix("user ") else {
                errors.push(format!(
                    "{file}:{}: line should start with user keyword followed by the username.",
                    index + 1
                ));
                continue;
            };
            let name = rest.split_whitespace().next().unwrap_or_default().to_owned();
            if seen.contains(&name) {
                errors.push(format!("{file}:{}: duplicate user '{name}'", index + 1));
                continue;
            }
            seen.push(name);
            if let Err(why) = fresh.define([rest]) {
                errors.push(format!("{file}:{}: {why}", index + 1));
            }
        }
        if !errors.is_empty() {
            return Err(errors.join(" "));
        }
        self.users = fresh.users;
        self.version += 1;
        Ok(())
    }

    /// As ACL SAVE writes it.
    pub fn text(&self) -> String {
        self.users.values().map(|user| user.text() + "\n").collect()
    }
}

fn check_name(name: &str) -> Result<(), String> {
    if name.is_empty() || name.bytes().any(|byte| byte.is_ascii_whitespace() || byte == 0) {
        return Err("Usernames can't contain spaces or null characters".to_owned());
    }
    Ok(())
}

fn apply_all(user: &mut User, rules: &[Vec<u8>], what: &str) -> Result<(), String> {
    for rule in merge(rules)? {
        user.apply(&rule).map_err(|error| format!("Error in {what} '{}': {error}", shown(&rule)))?;
    }
    Ok(())
}

/// A rule as it may be repeated to people: passwords are not.
fn shown(rule: &[u8]) -> String {
    match rule {
        [mark @ (b'>' | b'<'), ..] => format!("{}(redacted)", char::from(*mark)),
        rule => String::from_utf8_lossy(rule).chars().take(128).collect(),
    }
}

/// Selectors may be written with spaces: `(+get ~a)` may come as two words.
fn merge(rules: &[Vec<u8>]) -> Result<Vec<Vec<u8>>, String> {
    let mut merged: Vec<Vec<u8>> = Vec::new();
    let mut open: Option<Vec<u8>> = None;
    for rule in rules {
        if let Some(inside) = &mut open {
            inside.push(b' ');
            inside.extend_from_slice(rule);
        } else if rule.first() == Some(&b'(') {
            open = Some(rule.clone());
        } else {
            merged.push(rule.clone());
        }
        if open.as_ref().is_some_and(|inside| inside.last() == Some(&b')')) {
            merged.extend(open.take());
        }
    }
    match open {
        None => Ok(merged),
        Some(inside) => {
            let start = String::from_utf8_lossy(&inside).split(' ').next().unwrap_or_default().to_owned();
            Err(format!("Unmatched parenthesis in acl selector starting at '{start}'."))
        }
    }
}

fn split(line: &str) -> Vec<Vec<u8>> {
    line.split_whitespace().map(|word| word.as_bytes().to_vec()).collect()
}

#[cfg(test)]
mod tests;
