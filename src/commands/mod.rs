//! Data commands: `(unit, argv, reply)`, leaving effects behind. One file a family: the functions,
//! then at its foot the table that is all the rest of the house knows of them. Knows keys and
//! words; has never heard of a connection, a role or a file.

pub mod effects;

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

/// Every family's table.
pub fn families() -> &'static [&'static [DataCommand]] {
    &[]
}
