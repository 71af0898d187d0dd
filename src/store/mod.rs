//! The keyspace and its values; knows no command and no reply.
//!
//! Reading order: [`bytes`] and [`seed`] are the ground, [`table`] is the one hash table of the
//! house (many small ones, so that no insert stalls), the value types stand one a file, `entry` puts a
//! name and a time on a value, [`keyspace`] holds them by name, and [`snapshot`] writes one point in time while the data changes.

pub mod access;
mod ahead;
pub mod bytes;
mod entry;
pub mod eviction;
pub mod footprint;
pub mod garbage;
pub mod hash;
pub mod hyperloglog;
mod index;
pub mod ints;
pub mod keyspace;
pub mod limits;
pub mod list;
pub mod list_node;
pub mod listpack;
pub mod packed;
mod rows;
pub mod seed;
pub mod set;
pub mod snapshot;
pub mod stream;
pub mod stream_group;
pub mod stream_id;
pub mod stream_node;
pub mod string;
pub mod table;
pub mod tree;
mod uses;
pub mod value;
pub mod zset;

#[cfg(test)]
mod tests;

pub use bytes::SmallBytes;
pub use entry::Entry;
pub use garbage::Lazy;
pub use hash::Hash;
pub use keyspace::{DATABASES, Keyspace, Place};
pub use limits::Limits;
pub use list::List;
pub use packed::Word;
pub use seed::HashSeed;
pub use set::Set;
pub use snapshot::SnapshotSink;
pub use stream::Stream;
pub use stream_id::StreamId;
pub use string::Str;
pub use table::AHEAD_MAX;
pub use value::Value;
pub use zset::ZSet;
