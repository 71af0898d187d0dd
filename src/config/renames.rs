//! Commands that a data server knows by other names (`rename-command` in its redis.conf): a table from
//! the name that is meant to the word that is sent.
//!
//! Has never heard of what the commands do.

use super::ConfigError;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// More commands than anybody is sent.
pub const RENAMES_MAX: usize = 64;
const NAME_BYTES_MAX: usize = 128;

/// By the upper-case name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Renames(BTreeMap<String, String>);

impl Renames {
    /// `OLD NEW`, as `rename-command` says it; a command under its own name is none. `None`: no such
    /// words, or too many of them.
    pub fn take(&mut self, old: &str, new: &str) -> Option<()> {
        if !is_word(old) || !is_word(new) {
            return None;
        }
        self.0.remove(&old.to_ascii_uppercase());
        if !old.eq_ignore_ascii_case(new) {
            if self.0.len() >= RENAMES_MAX {
                return None;
            }
            self.0.insert(old.to_ascii_uppercase(), new.to_owned());
        }
        Some(())
    }

    /// Pairs of words with spaces between them.
    pub fn take_text(&mut self, text: &str) -> Option<()> {
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        if !words.len().is_multiple_of(2) {
            return None;
        }
        words.chunks(2).try_for_each(|pair| self.take(pair[0], pair[1]))
    }

    /// Reads back with [`Renames::take_text`].
    pub fn text(&self) -> String {
        let pairs: Vec<String> = self.0.iter().map(|(old, new)| format!("{old} {new}")).collect();
        pairs.join(" ")
    }

    /// What is to be said for this command.
    pub fn of<'a>(&'a self, command: &'a str) -> &'a str {
        self.get(command).unwrap_or(command)
    }

    /// Redis Sentinel says SLAVEOF where we say REPLICAOF, so what a file of its time knows counts here too.
    fn get(&self, command: &str) -> Option<&str> {
        let other = if command == "REPLICAOF" { "SLAVEOF" } else { command };
        self.0.get(command).or_else(|| self.0.get(other)).map(String::as_str)
    }

    /// A request in the words of that server.
    pub fn apply(&self, argv: &mut [Vec<u8>]) {
        if self.0.is_empty() {
            return;
        }
        if let Some(first) = argv.first_mut()
            && let Some(new) =
                std::str::from_utf8(first).ok().and_then(|command| self.get(command)).map(str::to_owned)
        {
            *first = new.into_bytes();
        }
    }

    /// What a file says, in any case.
    pub fn from_file(map: &BTreeMap<String, String>) -> Self {
        let mut renames = Renames::default();
        for (old, new) in map {
            // Checked by `validate`.
            let _ = renames.take(old, new);
        }
        renames
    }
}

fn is_word(text: &str) -> bool {
    (1..=NAME_BYTES_MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
}

pub fn validate(key: String, map: &BTreeMap<String, String>, errors: &mut Vec<ConfigError>) {
    let mut renames = Renames::default();
    if map.iter().any(|(old, new)| renames.take(old, new).is_none()) {
        errors.push(ConfigError::key(
            key,
            format!("give command names without spaces and what they are called there, as {{ CONFIG: \"b840fc02\" }} (at most {RENAMES_MAX})"),
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_goes_out_under_the_name_that_is_known_there() {
        let mut renames = Renames::default();
        renames.take_text("config GUESSME slaveof x").unwrap();
        let argv = |text: &str| text.split(' ').map(|word| word.as_bytes().to_vec()).collect::<Vec<_>>();
        let mut words = argv("CONFIG GET min-replicas-*");
        renames.apply(&mut words);
        assert_eq!(words, argv("GUESSME GET min-replicas-*"));
        let mut words = argv("INFO");
        renames.apply(&mut words);
        assert_eq!(words, argv("INFO"));
        assert_eq!((renames.of("CONFIG"), renames.of("AUTH")), ("GUESSME", "AUTH"));
        assert_eq!(renames.of("REPLICAOF"), "x");
        assert_eq!(renames.text(), "CONFIG GUESSME SLAVEOF x");
        renames.take("CONFIG", "config").unwrap();
        assert_eq!(renames.text(), "SLAVEOF x", "its own name again");
        for bad in ["config", "a b c", "a \u{1}b"] {
            assert_eq!(renames.clone().take_text(bad), None, "{bad}");
        }
        assert_eq!(renames.take("", "x").or(renames.take("a b", "x")), None);
    }
}
