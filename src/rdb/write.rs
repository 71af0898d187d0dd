//! The keyspace as an image that Redis 7.0 loads: the sink of a snapshot walk, drained in chunks.

use super::output::Output;
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

pub struct ImageWriter {
    out: Output,
    sums: bool,
    /// Bytes of `out` that the sum has not taken yet begin here.
    unsummed: usize,
    digest: Digest,
    db: Option<usize>,
    entries: u64,
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
        let digest = Digest::new(CrcAlgorithm::Crc64Redis);
        ImageWriter { out, sums: manner.sum, unsummed: 0, digest, db: None, entries: 0 }
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

    /// Bytes that wait to be drained.
    pub fn len(&self) -> usize {
        self.out.len()
    }

    pub fn is_empty(&self) -> bool {
        self.out.is_empty()
    }

    /// Keys written so far.
    pub fn entries(&self) -> u64 {
        self.entries
    }

    /// What was written since the last drain.
    pub fn drain(&mut self) -> Vec<u8> {
        if self.sums {
            self.digest.update(&self.out[self.unsummed..]);
        }
        self.unsummed = 0;
        std::mem::take(&mut *self.out)
    }

    /// The end and the checksum, after what still waited.
    pub fn finish(mut self) -> Vec<u8> {
        self.out.push(opcode::EOF);
        let mut last = self.drain();
        let sum = if self.sums { self.digest.finalize() } else { 0 };
        last.extend_from_slice(&sum.to_le_bytes());
        last
    }
}

impl SnapshotSink for ImageWriter {
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
        self.entries += 1;
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
