//! Why bytes are not an RDB, and where.

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RdbError {
    #[error("not an RDB: it does not begin with REDIS and four digits")]
    NotRdb,
    #[error("RDB version {0} is newer than {max}, the newest this server reads", max = super::VERSION_READ_MAX)]
    Version(u16),
    #[error("RDB ends early, at byte {0}")]
    Truncated(u64),
    #[error("malformed RDB near byte {at}: {what}")]
    Malformed { at: u64, what: &'static str },
    #[error("key '{key}' holds a {what}, which this server does not keep; delete it at the source first")]
    Unsupported { key: String, what: &'static str },
    #[error("RDB checksum is {found:016x}, its bytes give {computed:016x}: it was damaged on the way")]
    Checksum { found: u64, computed: u64 },
    #[error("reading RDB: {0}")]
    Io(String),
}

/// A fault inside one packed blob, before its place in the image is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bad(pub(super) &'static str);

impl Bad {
    pub(super) fn at(self, at: u64) -> RdbError {
        RdbError::Malformed { at, what: self.0 }
    }
}
