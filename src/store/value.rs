//! What a key can hold.

use super::{Hash, List, Set, Str, Stream, ZSet};

#[derive(Clone, Debug)]
pub enum Value {
    Str(Str),
    List(Box<List>),
    Hash(Hash),
    Set(Set),
    ZSet(ZSet),
    Stream(Box<Stream>),
}

impl Value {
    /// As TYPE names it.
    pub fn type_name(&self) -> &'static str {
        match self {
            Value::Str(_) => "string",
            Value::List(_) => "list",
            Value::Hash(_) => "hash",
            Value::Set(_) => "set",
            Value::ZSet(_) => "zset",
            Value::Stream(_) => "stream",
        }
    }

    /// As OBJECT ENCODING of Redis 7.0 names it.
    pub fn encoding(&self) -> &'static str {
        match self {
            Value::Str(string) => string.encoding(),
            Value::List(_) => "quicklist",
            Value::Hash(hash) => hash.encoding(),
            Value::Set(set) => set.encoding(),
            Value::ZSet(zset) => zset.encoding(),
            Value::Stream(_) => "stream",
        }
    }

    /// About how many pieces of memory it is made of: what freeing it takes.
    pub fn parts(&self) -> usize {
        match self {
            Value::Str(_) => 1,
            Value::List(list) => list.parts(),
            Value::Hash(hash) => hash.parts(),
            Value::Set(set) => set.parts(),
            Value::ZSet(zset) => zset.parts(),
            Value::Stream(stream) => stream.nodes().len(),
        }
    }

    /// Nothing in it: a key must not hold such a value (a string and a stream may be empty).
    pub fn is_empty_collection(&self) -> bool {
        match self {
            Value::Str(_) | Value::Stream(_) => false,
            Value::List(list) => list.is_empty(),
            Value::Hash(hash) => hash.is_empty(),
            Value::Set(set) => set.is_empty(),
            Value::ZSet(zset) => zset.is_empty(),
        }
    }
}

const _: () = assert!(size_of::<Value>() == 24);
