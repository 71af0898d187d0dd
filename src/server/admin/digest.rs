//! DEBUG DIGEST: a signature of what is held, the one that Redis would give for the same data. However it
//! is laid out, the same data have the same signature. Changes nothing.

use crate::stdx::number::format_f64;
use crate::stdx::sha1;
use crate::store::{DATABASES, Entry, Keyspace, StreamId, Value};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Digest([u8; 20]);

impl Digest {
    /// Order does not matter among what is added.
    fn add(&mut self, bytes: &[u8]) {
        let sum = sha1::bytes(bytes);
        self.0.iter_mut().zip(sum).for_each(|(byte, other)| *byte ^= other);
    }

    /// Order matters among what is mixed in.
    fn mix(&mut self, bytes: &[u8]) {
        self.add(bytes);
        self.0 = sha1::bytes(&self.0);
    }

    pub fn hex(self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

fn type_number(value: &Value) -> u32 {
    match value {
        Value::Str(_) => 0,
        Value::List(_) => 1,
        Value::Set(_) => 2,
        Value::ZSet(_) => 3,
        Value::Hash(_) => 4,
        Value::Stream(_) => 6,
    }
}

fn mix_entry(digest: &mut Digest, entry: &Entry) {
    let value = entry.value();
    digest.mix(&type_number(value).to_be_bytes());
    let pair = |digest: &mut Digest, one: &[u8], other: &[u8]| {
        let mut both = Digest::default();
        both.mix(one);
        both.mix(other);
        digest.add(&both.0);
    };
    match value {
        Value::Str(text) => digest.mix(&text.to_vec()),
        Value::List(list) => list.iter().for_each(|word| digest.mix(word.as_slice())),
        Value::Set(set) => set.iter().for_each(|member| digest.add(&member)),
        Value::Hash(hash) => {
            hash.iter().for_each(|(name, value)| pair(digest, name.as_slice(), value.as_slice()));
        }
        Value::ZSet(zset) => zset.visit(0..zset.len(), &mut |scored| {
            pair(digest, &scored.member, format_f64(scored.score).as_bytes());
        }),
        Value::Stream(stream) => {
            for entry in stream.range(StreamId::default(), StreamId::MAX) {
                digest.mix(format!("{}.{}", entry.id.ms, entry.id.seq).as_bytes());
                for (name, value) in entry.pairs() {
                    digest.mix(name.bytes(&mut itoa::Buffer::new()));
                    digest.mix(value.bytes(&mut itoa::Buffer::new()));
                }
            }
        }
    }
    if entry.expire_at_ms().is_some() {
        digest.add(b"!!expire!!");
    }
}

/// Of one value; of no key nothing but zeros.
pub fn of_entry(entry: Option<&Entry>) -> Digest {
    let mut digest = Digest::default();
    if let Some(entry) = entry {
        mix_entry(&mut digest, entry);
    }
    digest
}

pub fn of_keyspace(keyspace: &Keyspace) -> Digest {
    let mut whole = Digest::default();
    for db in (0..DATABASES).filter(|&db| keyspace.len(db) > 0) {
        whole.mix(&(db as u32).to_be_bytes());
        for entry in keyspace.iter(db) {
            let mut digest = Digest::default();
            digest.mix(entry.key());
            mix_entry(&mut digest, entry);
            whole.add(&digest.0);
        }
    }
    whole
}
