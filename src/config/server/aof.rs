//! What is configured of the append-only file. Has never heard of a file being written.

use super::values::one;

/// When bytes of the log are forced to the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fsync {
    /// Before a write is acknowledged.
    Always,
    EverySecond,
    /// When the kernel likes to.
    Never,
}

impl Fsync {
    pub fn name(self) -> &'static str {
        match self {
            Fsync::Always => "always",
            Fsync::EverySecond => "everysec",
            Fsync::Never => "no",
        }
    }

    pub fn parse(text: &str) -> Option<Fsync> {
        let all = [Fsync::Always, Fsync::EverySecond, Fsync::Never];
        all.into_iter().find(|policy| policy.name().eq_ignore_ascii_case(text))
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AofConfig {
    pub enabled: bool,
    /// `appenddirname`, inside `dir`.
    pub directory: String,
    /// `appendfilename`: what the names of its files begin with.
    pub filename: String,
    pub fsync: Fsync,
    /// A rewrite begins by itself when it has grown by this much; 0: never.
    pub rewrite_percentage: u64,
    pub rewrite_min_bytes: u64,
    pub no_fsync_on_rewrite: bool,
    /// A torn end is cut off instead of being refused.
    pub load_truncated: bool,
    pub timestamps: bool,
    /// A base is a snapshot; otherwise commands.
    pub rdb_preamble: bool,
    /// Files that a base took the place of stay, and the manifest names them.
    pub keep_history: bool,
}

impl Default for AofConfig {
    fn default() -> Self {
        AofConfig {
            enabled: false,
            directory: "appendonlydir".into(),
            filename: "appendonly.aof".into(),
            fsync: Fsync::EverySecond,
            rewrite_percentage: 100,
            rewrite_min_bytes: 64 << 20,
            no_fsync_on_rewrite: false,
            load_truncated: true,
            timestamps: false,
            rdb_preamble: true,
            keep_history: false,
        }
    }
}

/// A name inside a directory, never a way out of it.
pub(super) fn plain_name(words: &[String], directive: &str) -> Result<String, String> {
    let name = one(words)?;
    if name.is_empty() || name == "." || name == ".." || name.contains(['/', '\n', '\r', '\0']) {
        return Err(format!("{directive} can't be a path, just a name"));
    }
    Ok(name.to_owned())
}
