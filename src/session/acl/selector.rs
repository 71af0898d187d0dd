//! One set of rules: which commands, on which keys, over which channels. A user has one of its own
//! and may have more; a request needs one that allows all of it.

use super::RuleError;
use super::catalogue::{self, Access, R, W};
use crate::stdx::glob;
use std::collections::BTreeMap;

pub const COMMANDS_MAX: usize = 512;
const WORDS: usize = COMMANDS_MAX / 64;

#[derive(Clone, Debug, PartialEq, Eq)]
struct KeyPattern {
    pattern: Vec<u8>,
    access: Access,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector {
    keys: Vec<KeyPattern>,
    all_keys: bool,
    channels: Vec<Vec<u8>>,
    all_channels: bool,
    /// Begins with all commands rather than none.
    all_commands: bool,
    /// What was said since, as `+get` or `-@dangerous`; none without effect.
    rules: Vec<String>,
    /// What the two above come to.
    allowed: [u64; WORDS],
    /// `+select|0`: a command of which only these first arguments are allowed.
    first_arguments: BTreeMap<usize, Vec<Vec<u8>>>,
}

/// What of a request is not allowed: the position of the word for keys and channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Denied {
    Command,
    Key(usize),
    Channel(usize),
}

impl Selector {
    /// Everything.
    pub fn unlimited() -> Self {
        let mut selector = Selector { all_keys: true, all_channels: true, ..Selector::default() };
        selector.set_all_commands(true);
        selector
    }

    pub fn is_unlimited(&self) -> bool {
        self.all_keys && self.all_channels && self.all_commands && self.rules.is_empty()
    }

    fn set_all_commands(&mut self, all: bool) {
        self.all_commands = all;
        self.rules.clear();
        self.first_arguments.clear();
        self.allowed = [if all { u64::MAX } else { 0 }; WORDS];
    }

    /// Applies one rule that concerns commands, keys or channels.
    pub fn apply(&mut self, rule: &[u8]) -> Result<(), RuleError> {
        let is = |name: &str| rule.eq_ignore_ascii_case(name.as_bytes());
        if is("allkeys") || rule == b"~*" {
            self.all_keys = true;
            self.keys.clear();
        } else if is("resetkeys") {
            self.all_keys = false;
            self.keys.clear();
        } else if is("allchannels") || rule == b"&*" {
            self.all_channels = true;
            self.channels.clear();
        } else if is("resetchannels") {
            self.all_channels = false;
            self.channels.clear();
        } else if is("allcommands") || is("+@all") {
            self.set_all_commands(true);
        } else if is("nocommands") || is("-@all") {
            self.set_all_commands(false);
        } else {
            match rule {
                [b'~', pattern @ ..] => self.add_key(pattern, R | W)?,
                [b'%', rest @ ..] => self.add_limited_key(rest)?,
                [b'&', pattern @ ..] => {
                    if self.all_channels {
                        return Err(RuleError::AfterAllChannels);
                    }
                    printable(pattern)?;
                    if !self.channels.iter().any(|known| known == pattern) {
                        self.channels.push(pattern.to_vec());
                    }
                }
                [b'+' | b'-', ..] => self.command_rule(rule)?,
                _ => return Err(RuleError::Syntax),
            }
        }
        Ok(())
    }

    fn add_limited_key(&mut self, rest: &[u8]) -> Result<(), RuleError> {
        let tilde = rest.iter().position(|&byte| byte == b'~').ok_or(RuleError::Syntax)?;
        let mut access = 0;
        for letter in &rest[..tilde] {
            access |= match letter.to_ascii_uppercase() {
                b'R' if access & R == 0 => R,
                b'W' if access & W == 0 => W,
                _ => return Err(RuleError::Syntax),
            };
        }
        if access == 0 {
            return Err(RuleError::Syntax);
        }
        let pattern = &rest[tilde + 1..];
        if access == R | W && pattern == b"*" {
            self.all_keys = true;
            self.keys.clear();
            return Ok(());
        }
        self.add_key(pattern, access)
    }

    fn add_key(&mut self, pattern: &[u8], access: Access) -> Result<(), RuleError> {
        if self.all_keys {
            return Err(RuleError::AfterAllKeys);
        }
        printable(pattern)?;
        match self.keys.iter_mut().find(|known| known.pattern == pattern) {
            Some(known) => known.access |= access,
            None => self.keys.push(KeyPattern { pattern: pattern.to_vec(), access }),
        }
        Ok(())
    }

    fn command_rule(&mut self, rule: &[u8]) -> Result<(), RuleError> {
        let text = std::str::from_utf8(rule).map_err(|_| RuleError::Unknown)?;
        let adds = text.starts_with('+');
        let name = text[1..].to_ascii_lowercase();
        if let Some(category) = name.strip_prefix('@') {
            catalogue::category(category).ok_or(RuleError::Unknown)?;
            self.say(adds, &name);
            return Ok(());
        }
        if catalogue::find(&name).is_some() {
            self.say(adds, &name);
            return Ok(());
        }
        // The first argument of a command that has no subcommand of that name.
        let (command, argument) = name.split_once('|').ok_or(RuleError::Unknown)?;
        let index = catalogue::find(command).ok_or(RuleError::Unknown)?;
        // Sentinels learn new subcommands; everything else with subcommands has them all in the list.
        if catalogue::subcommands(index).next().is_some() && command != "sentinel" {
            return Err(if catalogue::find(command).is_some() && argument.contains('|') {
                RuleError::FirstArgument
            } else {
                RuleError::Unknown
            });
        }
        if !adds || argument.is_empty() {
            return Err(RuleError::Syntax);
        }
        self.say(true, &name);
        Ok(())
    }

    /// Adds a rule behind those that it does not make void, and nothing that changes nothing.
    fn say(&mut self, adds: bool, name: &str) {
        self.rules.retain(|rule| {
            let known = &rule[1..];
            known != name && !known.strip_prefix(name).is_some_and(|rest| rest.starts_with('|'))
        });
        let (before, arguments) = self.replay();
        self.rules.push(format!("{}{name}", if adds { '+' } else { '-' }));
        let after = self.replay();
        if after == (before, arguments.clone()) {
            self.rules.pop();
        }
        (self.allowed, self.first_arguments) = after;
    }

    fn replay(&self) -> ([u64; WORDS], BTreeMap<usize, Vec<Vec<u8>>>) {
        let mut allowed = [if self.all_commands { u64::MAX } else { 0 }; WORDS];
        let mut arguments: BTreeMap<usize, Vec<Vec<u8>>> = BTreeMap::new();
        for rule in &self.rules {
            let (adds, name) = (rule.starts_with('+'), &rule[1..]);
            let mut set = |index: usize| {
                let bit = 1 << (index % 64);
                if adds { allowed[index / 64] |= bit } else { allowed[index / 64] &= !bit }
            };
            if let Some(bits) = name.strip_prefix('@').and_then(catalogue::category) {
                let of = |(_, entry): &(usize, &catalogue::Entry)| entry.categories & bits != 0;
                catalogue::entries().iter().enumerate().filter(of).for_each(|(index, _)| {
                    set(index);
                    arguments.remove(&index);
                });
            } else if let Some(index) = catalogue::find(name) {
                set(index);
                catalogue::subcommands(index).for_each(set);
                arguments.remove(&index);
            } else if let Some((command, argument)) = name.split_once('|')
                && let Some(index) = catalogue::find(command)
            {
                arguments.entry(index).or_default().push(argument.as_bytes().to_vec());
            }
        }
        (allowed, arguments)
    }

    fn allows_command(&self, index: Option<usize>, argv: &[&[u8]]) -> bool {
        // A command of our own that no category names is for those who may do everything.
        let Some(index) = index else { return self.all_commands };
        if self.allowed[index / 64] & (1 << (index % 64)) != 0 {
            return true;
        }
        let firsts = self.first_arguments.get(&index);
        let first = argv.get(1);
        firsts
            .zip(first)
            .is_some_and(|(list, word)| list.iter().any(|known| word.eq_ignore_ascii_case(known)))
    }

    pub fn allows_key(&self, key: &[u8], access: Access) -> bool {
        let fits = |known: &KeyPattern| known.access & access == access && glob::matches(&known.pattern, key);
        self.all_keys || self.keys.iter().any(fits)
    }

    /// `is_pattern`: of PSUBSCRIBE, where the pattern itself must be among ours.
    pub fn allows_channel(&self, channel: &[u8], is_pattern: bool) -> bool {
        let fits =
            |known: &Vec<u8>| if is_pattern { known == channel } else { glob::matches(known, channel) };
        self.all_channels || self.channels.iter().any(fits)
    }

    /// The first thing of the request that these rules do not allow.
    pub fn denies(&self, index: Option<usize>, argv: &[&[u8]], keys: &[usize]) -> Option<Denied> {
        if !self.allows_command(index, argv) {
            return Some(Denied::Command);
        }
        let name = index.map_or("", |index| catalogue::entries()[index].name);
        let access = match index {
            // Only with GET does it tell what was there.
            Some(_)
                if name == "set" && !argv.iter().skip(3).any(|word| word.eq_ignore_ascii_case(b"get")) =>
            {
                [W; 2]
            }
            Some(index) => catalogue::entries()[index].access,
            None => [R | W; 2],
        };
        for (order, &at) in keys.iter().enumerate() {
            if !self.allows_key(argv.get(at)?, access[usize::from(order > 0)]) {
                return Some(Denied::Key(at));
            }
        }
        if matches!(name, "sort" | "sort_ro")
            && !self.all_keys
            && let Some(at) = names_keys_by_pattern(argv)
        {
            return Some(Denied::Key(at));
        }
        let (channels, is_pattern) = match name {
            "publish" | "spublish" => (1..2, false),
            "subscribe" | "ssubscribe" => (1..argv.len(), false),
            "psubscribe" => (1..argv.len(), true),
            _ => return None,
        };
        let refused = |&at: &usize| !argv.get(at).is_some_and(|name| self.allows_channel(name, is_pattern));
        channels.into_iter().find(refused).map(Denied::Channel)
    }

    pub fn commands_text(&self) -> String {
        let mut text = if self.all_commands { "+@all" } else { "-@all" }.to_owned();
        for rule in &self.rules {
            text.push(' ');
            text.push_str(rule);
        }
        text
    }

    pub fn keys_text(&self) -> String {
        if self.all_keys {
            return "~*".to_owned();
        }
        let one = |key: &KeyPattern| {
            let mark = match key.access {
                R => "%R~",
                W => "%W~",
                _ => "~",
            };
            format!("{mark}{}", String::from_utf8_lossy(&key.pattern))
        };
        self.keys.iter().map(one).collect::<Vec<_>>().join(" ")
    }

    pub fn channels_text(&self) -> String {
        if self.all_channels {
            return "&*".to_owned();
        }
        let one = |channel: &Vec<u8>| format!("&{}", String::from_utf8_lossy(channel));
        self.channels.iter().map(one).collect::<Vec<_>>().join(" ")
    }

    /// As ACL LIST and an ACL file write it.
    pub fn text(&self) -> String {
        let mut parts = vec![self.keys_text()];
        if !self.all_channels {
            parts.push("resetchannels".to_owned());
        }
        parts.extend([self.channels_text(), self.commands_text()]);
        parts.retain(|part| !part.is_empty());
        parts.join(" ")
    }
}

/// What an ACL file can hold.
fn printable(pattern: &[u8]) -> Result<(), RuleError> {
    let bad = |byte: &u8| byte.is_ascii_whitespace() || *byte == 0;
    if pattern.iter().any(bad) || std::str::from_utf8(pattern).is_err() {
        return Err(RuleError::Syntax);
    }
    Ok(())
}

/// BY and GET of SORT read keys that others' data names: whoever may not read all keys may not.
fn names_keys_by_pattern(argv: &[&[u8]]) -> Option<usize> {
    let mut at = 2;
    while at + 1 < argv.len() {
        let is = |name: &[u8]| argv[at].eq_ignore_ascii_case(name);
        if (is(b"by") || is(b"get")) && argv[at + 1].contains(&b'*') {
            return Some(at + 1);
        }
        at += match () {
            () if is(b"limit") => 3,
            () if is(b"by") || is(b"get") || is(b"store") => 2,
            () => 1,
        };
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_of_sort_need_all_keys() {
        let at = |line: &str| names_keys_by_pattern(&line.split(' ').map(str::as_bytes).collect::<Vec<_>>());
        assert_eq!(at("SORT l LIMIT 0 1 GET secret_*"), Some(6));
        assert_eq!(at("SORT l BY w_*->f"), Some(3));
        assert_eq!(at("SORT l BY nosort GET # STORE *"), None);
    }
}
