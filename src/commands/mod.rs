//! Data commands: `(unit, argv, reply)`, leaving effects behind. One file a family: the functions,
//! then at its foot the table that is all the rest of the house knows of them. Knows keys and
//! words; has never heard of a connection, a role or a file.

mod access;
mod args;
mod bitfield;
mod bitmap;
pub mod effects;
mod expire;
mod flush;
mod generic;
mod geo;
mod geo_search;
mod hashes;
mod hyperloglog;
mod lcs;
mod list_search;
pub mod lists;
mod long_double;
mod object;
mod scan;
mod serialize;
mod set_algebra;
mod sets;
mod sort;
mod stream_claims;
mod stream_groups;
mod stream_ids;
mod stream_info;
mod stream_pending;
mod stream_range;
pub mod stream_read;
mod stream_trim;
mod streams;
mod string_range;
mod strings;
mod zset_algebra;
mod zset_range;
pub mod zsets;

use crate::resp::Writer;
use crate::resp::spec::CommandSpec;
use crate::stdx::Rng;
use crate::stdx::time::Now;
pub use effects::{Effects, Propagate};

/// One unit of execution: a plain command, or one command of an EXEC.
pub struct Unit<'a> {
    pub now: Now,
    pub keyspace: &'a mut crate::store::Keyspace,
    /// The selected database.
    pub db: usize,
    pub rng: &'a mut Rng,
    pub effects: &'a mut Effects,
    /// On a replica a key past its time is hidden but stays until the master says DEL.
    pub keep_expired: bool,
    /// `proto-max-bulk-len`: how long a command may make a string.
    pub string_bytes_max: usize,
}

/// Reads argv, changes or reads the keyspace, writes one reply. An error takes back what was
/// written of the reply; a handler that returns one must not have changed data.
pub type Handler = fn(&mut Unit<'_>, &[&[u8]], &mut Writer<'_>) -> Result<(), CommandError>;

/// A line of a family's table.
#[derive(Clone, Copy)]
pub struct DataCommand {
    pub spec: CommandSpec,
    pub handler: Handler,
}

/// The error texts that several commands share, word for word as Redis 7 gives them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    #[error("WRONGTYPE Operation against a key holding the wrong kind of value")]
    WrongType,
    #[error("ERR syntax error")]
    Syntax,
    #[error("ERR value is not an integer or out of range")]
    NotInteger,
    #[error("ERR value is not a valid float")]
    NotFloat,
    #[error("ERR no such key")]
    NoSuchKey,
    #[error("ERR index out of range")]
    IndexOutOfRange,
    #[error("ERR value is out of range, must be positive")]
    NotPositive,
    #[error("ERR wrong number of arguments for '{0}' command")]
    Arity(String),
    /// Code and text, as `ERR ...`.
    #[error("{0}")]
    Text(String),
}

impl From<&'static str> for CommandError {
    fn from(text: &'static str) -> Self {
        CommandError::Text(text.to_owned())
    }
}

/// What a handler gives back.
pub(crate) type Done = Result<(), CommandError>;

/// Every family's table.
pub fn families() -> &'static [&'static [DataCommand]] {
    &[
        strings::COMMANDS,
        string_range::COMMANDS,
        lcs::COMMANDS,
        bitmap::COMMANDS,
        bitfield::COMMANDS,
        hyperloglog::COMMANDS,
        generic::COMMANDS,
        flush::COMMANDS,
        expire::COMMANDS,
        object::COMMANDS,
        scan::COMMANDS,
        sort::COMMANDS,
        serialize::COMMANDS,
        lists::COMMANDS,
        list_search::COMMANDS,
        hashes::COMMANDS,
        sets::COMMANDS,
        set_algebra::COMMANDS,
        zsets::COMMANDS,
        zset_range::COMMANDS,
        zset_algebra::COMMANDS,
        geo::COMMANDS,
        geo_search::COMMANDS,
        streams::COMMANDS,
        stream_range::COMMANDS,
        stream_read::COMMANDS,
        stream_groups::COMMANDS,
        stream_claims::COMMANDS,
        stream_pending::COMMANDS,
        stream_info::COMMANDS,
    ]
}

/// A line of a table.
const fn row(
    name: &'static str,
    arity: crate::resp::spec::Arity,
    flags: crate::resp::spec::Flags,
    keys: crate::resp::spec::Keys,
    category: &'static str,
    summary: &'static str,
    handler: Handler,
) -> DataCommand {
    DataCommand { spec: CommandSpec { name, arity, flags, keys, category, summary }, handler }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_stands_in_one_row() {
        let mut names: Vec<&str> =
            families().iter().flat_map(|rows| rows.iter()).map(|c| c.spec.name).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
        let plain = |b: u8| b.is_ascii_lowercase() || b"_-".contains(&b);
        assert!(names.iter().all(|name| name.bytes().all(plain)));
    }
}
