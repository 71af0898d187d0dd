//! The keyspace and its values; knows no command and no reply.

/// Sixteen databases.
pub struct Keyspace {}
