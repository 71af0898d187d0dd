//! The SENTINEL subcommands that change something: checked here so that a mistake is answered at
//! once and word for word as Redis answers it; carried out by the leader, who checks again.

use super::family::Call;
use super::{Outcome, quoted};
use crate::config::validate::is_group_name;
use crate::model::Address;
use crate::sentinel::command::Command;
use crate::sentinel::settings::{SettingError, Settings};
use crate::stdx::glob;

pub(super) fn monitor(call: &mut Call<'_, '_>) -> Outcome {
    let [_, _, name, host, port, quorum] = *call.argv else { return Outcome::Replied };
    let Some(quorum) = number(quorum) else { return call.error("ERR Invalid quorum") };
    let Some(port) = number(port) else { return call.error("ERR Invalid port") };
    if quorum <= 0 {
        return call.error("ERR Quorum must be 1 or greater.");
    }
    if quorum > call.facts.voters() as i64 {
        let voters = call.facts.voters();
        return call.error(&format!("ERR Quorum can never be reached with {voters} sentinels."));
    }
    if address(host, 1).is_none() {
        return call.error("ERR Invalid IP address or hostname specified");
    }
    let Some(address) = address(host, port) else { return call.error("ERR Invalid port number.") };
    match std::str::from_utf8(name).ok().filter(|name| is_group_name(name)) {
        None => call.error("ERR Invalid master name: use letters, digits, '.', '-' and '_'"),
        Some(name) => submit(Command::Monitor { name: name.to_owned(), address, quorum: quorum as usize }),
    }
}

pub(super) fn remove(call: &mut Call<'_, '_>) -> Outcome {
    let removed = call.facts.removed.iter().find(|name| name.as_bytes() == call.argv[2]);
    if let Some(name) = removed.filter(|_| call.facts.group(call.argv[2]).is_none()) {
        return submit(Command::Remove { name: name.clone() });
    }
    match known_name(call) {
        Some(name) => submit(Command::Remove { name }),
        None => Outcome::Replied,
    }
}

/// Answers with the number of groups that match, as seen when it was asked.
pub(super) fn reset(call: &mut Call<'_, '_>) -> Outcome {
    let Ok(pattern) = std::str::from_utf8(call.argv[2]) else {
        return call.error("ERR The pattern is not text");
    };
    let matches = |name: &str| glob::matches(pattern.as_bytes(), name.as_bytes());
    let count = call.facts.groups.iter().filter(|group| matches(&group.name)).count();
    Outcome::Submit { command: Command::Reset { pattern: pattern.to_owned() }, count: Some(count as i64) }
}

pub(super) fn set(call: &mut Call<'_, '_>) -> Outcome {
    let Some(name) = known_name(call) else { return Outcome::Replied };
    let mut options = Vec::new();
    // A trial on throw-away settings: what is refused here would be refused by the leader.
    let mut trial = Settings::with_quorum(1);
    let mut words = &call.argv[3..];
    while let Some((option, rest)) = words.split_first() {
        let pair_of = option;
        let option = canonical(&String::from_utf8_lossy(option).to_ascii_lowercase());
        let taken = if option == "rename-command" { 2 } else { 1 };
        let script = matches!(option.as_str(), "notification-script" | "client-reconfig-script");
        if script && call.facts.deny_scripts_reconfig {
            return call.error("ERR Reconfiguration of scripts path is denied for security reasons. Check the deny-scripts-reconfig configuration directive in your Sentinel configuration");
        }
        let value = rest.get(..taken).and_then(value_of);
        words = rest.get(taken..).unwrap_or_default();
        let tried = match value {
            None => Err(SettingError::Unknown(quoted(pair_of))),
            // An empty one would say that nothing is renamed.
            Some(ref value)
                if taken == 2 && value.split(' ').filter(|word| !word.is_empty()).count() != 2 =>
            {
                Err(SettingError::Value { name: "rename-command", value: String::new(), expected: RENAME })
            }
            // It is sealed before anybody agrees on it; its form is of no matter here.
            Some(_) if option == "auth-pass" => Ok(()),
            Some(ref value) => trial.set(&option, value),
        };
        if let Err(error) = tried {
            return call.error(&format!("ERR {error}"));
        }
        options.push((option, value.unwrap_or_default()));
    }
    submit(Command::Set { name, options })
}

const RENAME: &str = "a command's name and what it is called on these servers";

/// The name by which a setting is kept, where it has another one too.
fn canonical(option: &str) -> String {
    match option {
        "primary-reboot-down-after-period" => "master-reboot-down-after-period".to_owned(),
        other => other.to_owned(),
    }
}

/// The words that one option takes, as one text; none of them may hold a space when there are several.
fn value_of(words: &[&[u8]]) -> Option<String> {
    let words: Option<Vec<&str>> = words.iter().map(|word| std::str::from_utf8(word).ok()).collect();
    Some(words?.join(" "))
}

pub(super) fn submit(command: Command) -> Outcome {
    Outcome::Submit { command, count: None }
}

pub(super) fn known_name(call: &mut Call<'_, '_>) -> Option<String> {
    let index = call.known_group()?;
    Some(call.facts.groups[index].name.clone())
}

fn number(word: &[u8]) -> Option<i64> {
    std::str::from_utf8(word).ok()?.parse().ok()
}

fn address(host: &[u8], port: i64) -> Option<Address> {
    let host = std::str::from_utf8(host).ok()?;
    let port = u16::try_from(port).ok()?;
    // Written and read again, so one place decides what an address is.
    Address::new(host, port).to_string().parse().ok()
}
