//! What a key takes of memory: itself, its place in the table, and its value, of which only some
//! parts may be looked at. For operators; nothing is decided by it.

use super::entry::Entry;
use super::value::Value;

/// Of the index of a table and of what holds its entries, for each.
const INDEX_BYTES: usize = 4;

/// `samples` parts of a value stand for all.
pub fn of_entry(entry: &Entry, samples: usize) -> usize {
    size_of::<Entry>() + INDEX_BYTES + entry.key_heap_bytes() + of_value(entry.value(), samples)
}

/// Without the place it stands in.
pub fn of_value(value: &Value, samples: usize) -> usize {
    match value {
        Value::Str(string) => string.heap_bytes(),
        Value::List(list) => size_of_val(&**list) + list.heap_bytes(),
        Value::Hash(hash) => hash.heap_bytes(samples),
        Value::Set(set) => set.heap_bytes(samples),
        Value::ZSet(zset) => zset.heap_bytes(samples),
        Value::Stream(stream) => size_of_val(&**stream) + stream.heap_bytes(),
    }
}

/// What `len` parts take, told from the first `samples` of them.
pub(super) fn estimate(len: usize, samples: usize, parts: impl Iterator<Item = usize>) -> usize {
    let (mut seen, mut bytes) = (0, 0);
    for part in parts.take(samples) {
        seen += 1;
        bytes += part;
    }
    (bytes * len).checked_div(seen).unwrap_or(0)
}
