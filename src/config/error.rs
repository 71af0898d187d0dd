//! What is wrong with a configuration, where, and what to do about it.

use std::fmt;

/// One complaint. Shown as `line 5 column 3: masters[0]: ...`; the caller puts the file name before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// Line and column, both from 1, when the text itself could not be read as configuration.
    pub at: Option<(usize, usize)>,
    /// The key as a path, `masters[1].quorum`; empty when the sentence names it.
    pub key: String,
    /// One sentence: what is wrong and the remedy.
    pub message: String,
}

impl ConfigError {
    pub fn key(key: impl Into<String>, message: impl Into<String>) -> Self {
        ConfigError { at: None, key: key.into(), message: message.into() }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((line, column)) = self.at {
            write!(f, "line {line} column {column}: ")?;
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for ConfigError {}
