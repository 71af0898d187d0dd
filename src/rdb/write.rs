//! The keyspace as an image that Redis 7.0 loads: the sink of a snapshot walk, drained in chunks.

use super::lzf::Packer;
use super::output::{Output, Plain};
use super::primitive::put_length;
use super::{VERSION_WRITTEN, kind, opcode};
use crate::model::Offset;
use crate::store::{SnapshotSink, Value};
use crc_fast::{CrcAlgorithm, Digest};

/// Where in which history an image stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    pub replid: String,
    pub offset: Offset,
    /// The database the stream had selected there.
    pub stream_db: usize,
}

/// How an image is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Manner {
    /// Long strings are compressed where that makes them shorter.
    pub compress: bool,
    /// It ends with a sum of its bytes; otherwise with none, which readers take as said.
    pub sum: bool,
}

impl Default for Manner {
    fn default() -> Self {
        Manner { compress: true, sum: true }
    }
}

/// Some of an image as it was written, before its long strings are packed and it is summed: that needs
/// nothing of the keyspace, and is done where nobody waits for it.
#[derive(Debug)]
pub struct Part {
    plain: Plain,
    manner: Manner,
    is_last: bool,
}

/// Makes the bytes of an image out of its parts, in their order.
pub struct Packing {
    packer: Packer,
    digest: Digest,
}

impl Default for Packing {
    fn default() -> Self {
        Packing { packer: Packer::default(), digest: Digest::new(CrcAlgorithm::Crc64Redis) }
    }
}

impl Packing {
    /// The bytes of the next part; those of the last one end with the sum of all.
    pub fn pack(&mut self, part: Part) -> Vec<u8> {
        let mut bytes = part.plain.pack(&mut self.packer);
        if part.manner.sum {
            self.digest.update(&bytes);
        }
        if part.is_last {
            let sum = if part.manner.sum { self.digest.finalize() } else { 0 };
            bytes.extend_from_slice(&sum.to_le_bytes());
        }
        bytes
    }
}

pub struct ImageWriter {
    out: Output,
    manner: Manner,
    packing: Packing,
    db: Option<usize>,
}

/// What a part holds, about: little enough to be written while clients wait.
pub const PART_BYTES: usize = 256 * 1024;

impl Part {
    /// Bytes that are written as they are.
    pub fn of(bytes: Vec<u8>) -> Self {
        Part { plain: Plain::of(bytes), manner: Manner { compress: false, sum: false }, is_last: false }
    }
}

impl ImageWriter {
    /// Begins with the magic and what readers may want to know first.
    pub fn new(manner: Manner, position: Option<&Position>, created_s: u64) -> Self {
        ImageWriter::begin(manner, position, created_s, false)
    }

    /// The same as the base of an append-only file, as it says of itself.
    pub fn base(manner: Manner, position: Option<&Position>, created_s: u64) -> Self {
        ImageWriter::begin(manner, position, created_s, true)
    }

    fn begin(manner: Manner, position: Option<&Position>, created_s: u64, is_base: bool) -> Self {
        let magic = format!("REDIS{VERSION_WRITTEN:04}").into_bytes();
        let mut out = Output::new(magic, manner.compress);
        let mut aux = |name: &str, value: &str| {
            out.push(opcode::AUX);
            out.put_string(name.as_bytes());
            out.put_string(value.as_bytes());
        };
        aux("redis-ver", "7.0.15");
        aux("redis-bits", "64");
        aux("ctime", &created_s.to_string());
        if let Some(position) = position {
            aux("repl-stream-db", &position.stream_db.to_string());
            aux("repl-id", &position.replid);
            aux("repl-offset", &position.offset.to_string());
        }
        aux("aof-base", if is_base { "1" } else { "0" });
        ImageWriter { out, manner, packing: Packing::default(), db: None }
    }

    /// Libraries of functions; they stand in front of the keys.
    #[must_use]
    pub fn with_functions<'a>(mut self, texts: impl Iterator<Item = &'a [u8]>) -> Self {
        for text in texts {
            self.out.push(opcode::FUNCTION);
            self.out.put_string(text);
        }
        self
    }

    /// What was written since the last one, for a [`Packing`] elsewhere.
    pub fn take_part(&mut self) -> Part {
        Part { plain: self.out.take(), manner: self.manner, is_last: false }
    }

    /// The rest and the end.
    pub fn take_last_part(mut self) -> Part {
        self.end()
    }

    fn end(&mut self) -> Part {
        self.out.push(opcode::EOF);
        Part { is_last: true, ..self.take_part() }
    }

    /// What was written since the last drain, packed here and now.
    pub fn drain(&mut self) -> Vec<u8> {
        let part = self.take_part();
        self.packing.pack(part)
    }

    /// The end and the checksum, after what still waited.
    pub fn finish(mut self) -> Vec<u8> {
        let part = self.end();
        self.packing.pack(part)
    }
}

impl SnapshotSink for ImageWriter {
    fn is_full(&self) -> bool {
        self.out.len() >= PART_BYTES
    }

    fn entry(&mut self, db: usize, key: &[u8], value: &Value, expire_at_ms: Option<u64>) {
        if self.db != Some(db) {
            self.out.push(opcode::SELECT_DB);
            put_length(&mut self.out, db as u64);
            self.db = Some(db);
        }
        if let Some(at_ms) = expire_at_ms {
            self.out.push(opcode::EXPIRE_MS);
            self.out.extend_from_slice(&at_ms.to_le_bytes());
        }
        self.out.push(kind_of(value));
        self.out.put_string(key);
        put_value(&mut self.out, value);
    }
}

/// The plain encodings: every Redis reads them and lays them out its own way.
fn kind_of(value: &Value) -> u8 {
    match value {
        Value::Str(_) => kind::STRING,
        Value::List(_) => kind::LIST,
        Value::Set(_) => kind::SET,
        Value::Hash(_) => kind::HASH,
        Value::ZSet(_) => kind::SORTED_SET_2,
        Value::Stream(_) => kind::STREAM_2,
    }
}

fn put_value(out: &mut Output, value: &Value) {
    match value {
        Value::Str(string) => out.put_string(string.bytes(&mut itoa::Buffer::new())),
        Value::List(list) => {
            put_length(out, list.len() as u64);
            for item in list.iter() {
                out.put_string(&item);
            }
        }
        Value::Set(set) => {
            put_length(out, set.len() as u64);
            for member in set.iter() {
                out.put_string(&member);
            }
        }
        Value::Hash(hash) => {
            put_length(out, hash.len() as u64);
            for (field, value) in hash.iter() {
                out.put_string(&field);
                out.put_string(&value);
            }
        }
        Value::ZSet(zset) => {
            put_length(out, zset.len() as u64);
            // From the highest down, as Redis writes: its loader then appends.
            zset.visit_back(0..zset.len(), &mut |scored| {
                out.put_string(&scored.member);
                out.extend_from_slice(&scored.score.to_le_bytes());
            });
        }
        Value::Stream(stream) => super::stream::put(out, stream),
    }
}

/// One value as DUMP gives it: type, value, version, checksum.
pub fn dump(value: &Value) -> Vec<u8> {
    let mut out = plain(value, true);
    out.extend_from_slice(&VERSION_WRITTEN.to_le_bytes());
    let sum = crc_fast::checksum(CrcAlgorithm::Crc64Redis, &out);
    out.extend_from_slice(&sum.to_le_bytes());
    out
}

/// How long a value is as it is, in no need of anybody's reading it.
pub fn plain_length(value: &Value) -> usize {
    plain(value, false).len() + super::DUMP_FOOT_BYTES
}

fn plain(value: &Value, compress: bool) -> Vec<u8> {
    let mut out = Output::new(vec![kind_of(value)], compress);
    put_value(&mut out, value);
    out.into_bytes()
}
