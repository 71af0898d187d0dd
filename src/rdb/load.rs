//! An image into a keyspace, whole or not at all.

use super::VERSION_READ_MAX;
use super::error::RdbError;
use super::read::{Item, Reader};
use super::source::Source;
use super::value::{self, Decoded};
use super::write::Position;
use crate::store::{DATABASES, Hash, HashSeed, Keyspace, Limits, List, Set, Str, Value, ZSet};
use crc_fast::CrcAlgorithm;
use std::io::Read;

/// What an image held.
pub struct Loaded {
    pub keyspace: Keyspace,
    /// Where it stood, if it says so.
    pub position: Option<Position>,
    /// Keys whose time had passed and that were left out.
    pub expired: u64,
    /// The texts of its libraries of functions.
    pub functions: Vec<Vec<u8>>,
}

/// What the keyspace of an image grows on.
#[derive(Clone, Copy, Debug)]
pub struct Ground {
    /// Of its hash tables.
    pub seed: u64,
    /// Up to where collections stay in one piece there.
    pub limits: Limits,
}

/// With the limits of a server that was told none.
impl From<u64> for Ground {
    fn from(seed: u64) -> Self {
        Ground { seed, limits: Limits::default() }
    }
}

/// Reads an image to its end. `expire_before_ms` leaves out keys whose time passed, unless the image
/// stands in a history: then replicas may go on from it, and must be told which keys go. A replica keeps
/// them too, because only its master may say when they go.
pub fn load(
    from: impl Read,
    ground: impl Into<Ground>,
    expire_before_ms: Option<u64>,
) -> Result<Loaded, RdbError> {
    load_front(from, ground, expire_before_ms).map(|(loaded, _)| loaded)
}

/// The same of a file that goes on behind its image; and how many bytes the image took.
pub fn load_front(
    from: impl Read,
    ground: impl Into<Ground>,
    expire_before_ms: Option<u64>,
) -> Result<(Loaded, u64), RdbError> {
    let mut reader = Reader::new(from)?;
    let Ground { seed, limits } = ground.into();
    let mut keyspace = Keyspace::new(seed);
    keyspace.set_limits(limits);
    let mut expired = 0;
    let mut functions = Vec::new();
    let (mut replid, mut offset, mut stream_db) = (None, None, 0);
    loop {
        match reader.next_item()? {
            Item::Aux { name, value } => {
                let text = std::str::from_utf8(&value).unwrap_or_default();
                match name.as_slice() {
                    b"repl-id" if value.len() == 40 => replid = Some(text.to_owned()),
                    b"repl-offset" => offset = text.parse().ok(),
                    b"repl-stream-db" => stream_db = text.parse().unwrap_or(0),
                    _ => {}
                }
            }
            Item::Entry(entry) => {
                if let (Some(now_ms), Some(at_ms)) = (expire_before_ms, entry.expires_at_ms)
                    && at_ms < now_ms
                    && replid.is_none()
                {
                    expired += 1;
                    continue;
                }
                let db = usize::try_from(entry.db).ok().filter(|&db| db < DATABASES).ok_or(
                    RdbError::Unsupported {
                        key: String::from_utf8_lossy(&entry.key).into_owned(),
                        what: "place in a database beyond the sixteenth",
                    },
                )?;
                let value = to_store(entry.value, keyspace.seed());
                keyspace.insert_loaded(db, &entry.key, value, entry.expires_at_ms);
            }
            Item::Function(text) => functions.push(text),
            Item::End => break,
        }
    }
    let position = match (replid, offset) {
        (Some(replid), Some(offset)) if stream_db < DATABASES => Some(Position { replid, offset, stream_db }),
        _ => None,
    };
    Ok((Loaded { keyspace, position, expired, functions }, reader.offset()))
}

/// Version and checksum behind the value of a DUMP.
pub const DUMP_FOOT_BYTES: usize = 10;

/// The value in a DUMP payload, for RESTORE.
pub fn restore(payload: &[u8], seed: &HashSeed) -> Result<Value, RdbError> {
    let cut_off = || RdbError::Truncated(payload.len() as u64);
    let body = payload.len().checked_sub(DUMP_FOOT_BYTES).ok_or_else(cut_off)?;
    let (value, foot) = payload.split_at(body);
    let version = u16::from_le_bytes([foot[0], foot[1]]);
    if version > VERSION_READ_MAX {
        return Err(RdbError::Version(version));
    }
    let found = u64::from_le_bytes([foot[2], foot[3], foot[4], foot[5], foot[6], foot[7], foot[8], foot[9]]);
    let computed = crc_fast::checksum(CrcAlgorithm::Crc64Redis, &payload[..body + 2]);
    if found != computed {
        return Err(RdbError::Checksum { found, computed });
    }
    // A foot alone is no value, but its version and checksum are looked at first, as Redis does.
    let (kind, rest) = value.split_first().ok_or_else(cut_off)?;
    let mut source = Source::new(rest);
    let decoded = value::read(&mut source, *kind, b"")?;
    if source.offset() != rest.len() as u64 || decoded.is_empty_aggregate() {
        return Err(source.malformed("payload is not exactly one value"));
    }
    Ok(to_store(decoded, seed))
}

fn to_store(decoded: Decoded, seed: &HashSeed) -> Value {
    match decoded {
        Decoded::String(bytes) => Value::Str(Str::new(&bytes)),
        Decoded::List(items) => {
            let mut list = List::new(seed);
            for item in items {
                list.push_back(&item);
            }
            Value::List(Box::new(list))
        }
        Decoded::Set(members) => {
            let mut set = Set::default();
            for member in members {
                set.insert(seed, &member);
            }
            Value::Set(set)
        }
        Decoded::Hash(pairs) => {
            let mut hash = Hash::default();
            for (field, value) in pairs {
                hash.set(seed, &field, &value);
            }
            Value::Hash(hash)
        }
        Decoded::SortedSet(pairs) => {
            let mut zset = ZSet::default();
            for (member, score) in pairs {
                zset.insert(seed, score, &member);
            }
            Value::ZSet(zset)
        }
        Decoded::PackedHash(pairs) => {
            let mut hash = Hash::default();
            for (field, value) in pairs {
                hash.set_as_it_is(seed, &field, &value);
            }
            Value::Hash(hash)
        }
        Decoded::PackedSortedSet(pairs) => {
            let mut zset = ZSet::default();
            for (member, score) in pairs {
                zset.insert_as_it_is(seed, score, &member);
            }
            Value::ZSet(zset)
        }
        Decoded::Stream(stream) => Value::Stream(stream),
    }
}
