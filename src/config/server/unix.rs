//! The socket in the file system: where, and who may open it.

use super::ServerConfig;
use super::directives::{Directive, start};
use super::values::{maybe, one};
use std::path::PathBuf;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnixConfig {
    /// `None`: there is none.
    pub path: Option<PathBuf>,
    /// Permissions of the file; `None`: as the umask has it.
    pub mode: Option<u32>,
}

fn set_mode(config: &mut ServerConfig, words: &[String]) -> Result<(), String> {
    let mode =
        u32::from_str_radix(one(words)?, 8).map_err(|_| "argument couldn't be parsed as an octal number")?;
    if mode > 0o777 {
        return Err("argument must be between 0 and 777 inclusive".into());
    }
    // As Redis has it: 0 leaves the file as it is made.
    config.unix.mode = (mode != 0).then_some(mode);
    Ok(())
}

pub(super) const ROWS: &[Directive] = &[
    start(
        "unixsocket",
        |c| c.unix.path.as_ref().map_or_else(String::new, |path| path.display().to_string()),
        |c, w| maybe(w).map(|v| c.unix.path = v.map(PathBuf::from)),
    ),
    start("unixsocketperm", |c| format!("{:o}", c.unix.mode.unwrap_or(0)), set_mode),
];
