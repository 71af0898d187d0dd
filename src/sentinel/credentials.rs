//! With what this sentinel logs in at the data servers of each group: the password files that its shell
//! read, and over them what operators set at run time, agreed on sealed ([`Vault`]).

use super::command::Command;
use super::node::Sentinel;
use super::registry::Instance;
use super::vault::{self, Vault};
use super::{Action, Auth};
use crate::config::Secret;
use crate::model::Address;
use std::collections::BTreeMap;

pub(super) const NO_KEY: &str = "ERR a password is only kept under the cluster secret, and there is none: set cluster-secret-file on every sentinel, or name the password in a file (auth-pass-file of the group, sentinel-pass-file)";
const TOO_LONG: &str = "ERR auth-pass is too long";

/// Credentials by group, from files and from the log.
#[derive(Debug, Default)]
pub struct Credentials {
    by_file: BTreeMap<String, Auth>,
    vault: Option<Vault>,
    /// What the links were told last.
    told: BTreeMap<String, Option<Auth>>,
}

impl Credentials {
    pub fn new(by_file: BTreeMap<String, Auth>) -> Self {
        Credentials { by_file, ..Credentials::default() }
    }
}

impl Sentinel {
    /// Secrets as the files hold them now. They count for logins from now on; links that are up stay.
    pub fn take_credentials(
        &mut self,
        by_group: BTreeMap<String, Auth>,
        cluster: Option<&Secret>,
        actions: &mut Vec<Action>,
    ) {
        self.credentials.by_file = by_group;
        self.credentials.vault = cluster.map(Vault::new);
        let groups: Vec<String> = self.ledger.groups.keys().cloned().collect();
        for group in groups {
            self.tell_credentials(&group, actions);
        }
    }

    /// Groups whose agreed password does not open: it was sealed under another cluster secret.
    pub fn unreadable_passwords(&self) -> Vec<&str> {
        let closed = |(name, group): &(&String, &super::ledger::Group)| {
            group.settings.sealed_pass.as_ref().is_some_and(|sealed| self.open(name, sealed).is_none())
        };
        self.ledger.groups.iter().filter(closed).map(|(name, _)| name.as_str()).collect()
    }

    pub(super) fn seal(&self, name: &str, text: &str) -> Option<String> {
        Some(self.credentials.vault.as_ref()?.seal(name, text))
    }

    pub(super) fn open(&self, group: &str, sealed: &str) -> Option<String> {
        self.credentials.vault.as_ref()?.open(group, sealed)
    }

    pub(super) fn auth_of(&self, group: &str) -> Option<Auth> {
        let by_file = self.credentials.by_file.get(group);
        let settings = self.ledger.group(group).map(|group| &group.settings);
        let sealed = settings.and_then(|settings| settings.sealed_pass.as_deref());
        let password = sealed.and_then(|sealed| self.open(group, sealed));
        let password = password.or_else(|| by_file.map(|auth| auth.password.clone()))?;
        let user = settings.and_then(|settings| settings.auth_user.clone());
        let command = settings.map(|settings| settings.renames.of("AUTH")).filter(|word| *word != "AUTH");
        let user = user.or_else(|| by_file.and_then(|auth| auth.user.clone()));
        Some(Auth { user, password, command: command.map(str::to_owned) })
    }

    /// The group is gone, and what it logged in with too.
    pub(super) fn forget_credentials(&mut self, group: &str) {
        self.credentials.told.remove(group);
    }

    /// Tells the links of a group when its credentials are others than before.
    pub(super) fn tell_credentials(&mut self, group: &str, actions: &mut Vec<Action>) {
        let auth = self.auth_of(group);
        let before = self.credentials.told.insert(group.to_owned(), auth.clone());
        if before.unwrap_or_default() == auth {
            return;
        }
        let of = |(_, instance): &(&Address, &Instance)| instance.group == group;
        for (address, _) in self.registry.iter().filter(of) {
            actions.push(Action::Watch { instance: address.clone(), auth: auth.clone() });
        }
    }

    /// The command as it may leave this process: passwords sealed.
    pub(super) fn sealed(&self, command: &Command) -> Result<Command, &'static str> {
        if let Command::Own { options, .. } = command {
            return self.own_command(options);
        }
        let Command::Set { name, options } = command else { return Ok(command.clone()) };
        let mut options = options.clone();
        for (option, value) in &mut options {
            if option != "auth-pass" || value.is_empty() {
                continue;
            }
            if value.len() > vault::BYTES_MAX {
                return Err(TOO_LONG);
            }
            let key = self.credentials.vault.as_ref().ok_or(NO_KEY)?;
            *value = key.seal(name, value);
        }
        Ok(Command::Set { name: name.clone(), options })
    }
}
