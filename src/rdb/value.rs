//! One value of an image, read in any of the encodings Redis has used for it.

use super::error::{Bad, RdbError};
use super::kind;
use super::packed;
use super::source::Source;
use super::zipmap;
use std::io::Read;

/// Fields with their values.
pub type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

/// A value as the image gives it, before the store lays it out its own way.
#[derive(Clone, Debug, PartialEq)]
pub enum Decoded {
    String(Vec<u8>),
    List(Vec<Vec<u8>>),
    Set(Vec<Vec<u8>>),
    Hash(Pairs),
    SortedSet(Vec<(Vec<u8>, f64)>),
    /// The same, from one piece: there they stay in one however long their words are.
    PackedHash(Pairs),
    PackedSortedSet(Vec<(Vec<u8>, f64)>),
    Stream(Box<crate::store::Stream>),
}

impl Decoded {
    /// Redis keeps no empty aggregates, and neither does anyone who loads its files.
    pub fn is_empty_aggregate(&self) -> bool {
        match self {
            Decoded::String(_) | Decoded::Stream(_) => false,
            Decoded::List(items) | Decoded::Set(items) => items.is_empty(),
            Decoded::Hash(pairs) | Decoded::PackedHash(pairs) => pairs.is_empty(),
            Decoded::SortedSet(pairs) | Decoded::PackedSortedSet(pairs) => pairs.is_empty(),
        }
    }
}

/// The value of type `kind` whose bytes come next; `key` only names it in errors.
pub(super) fn read<R: Read>(source: &mut Source<R>, kind: u8, key: &[u8]) -> Result<Decoded, RdbError> {
    let unsupported = |what| RdbError::Unsupported { key: String::from_utf8_lossy(key).into_owned(), what };
    match kind {
        kind::STRING => Ok(Decoded::String(source.string()?)),
        kind::LIST => Ok(Decoded::List(strings(source)?)),
        kind::SET => Ok(Decoded::Set(strings(source)?)),
        kind::HASH => {
            let mut pairs = Vec::new();
            for _ in 0..source.length()? {
                let field = source.string()?;
                pairs.push((field, source.string()?));
            }
            Ok(Decoded::Hash(pairs))
        }
        kind::SORTED_SET | kind::SORTED_SET_2 => {
            let mut pairs = Vec::new();
            for _ in 0..source.length()? {
                let member = source.string()?;
                let score = match kind {
                    kind::SORTED_SET => source.text_double()?,
                    _ => source.binary_double()?,
                };
                pairs.push((member, score));
            }
            Ok(Decoded::SortedSet(pairs))
        }
        kind::LIST_ZIPLIST => blob(source, packed::ziplist).map(Decoded::List),
        kind::LIST_QUICKLIST => {
            let mut items = Vec::new();
            for _ in 0..source.length()? {
                items.extend(blob(source, packed::ziplist)?);
            }
            Ok(Decoded::List(items))
        }
        kind::LIST_QUICKLIST_2 => {
            let mut items = Vec::new();
            for _ in 0..source.length()? {
                match source.length()? {
                    1 => items.push(source.string()?),
                    2 => items.extend(blob(source, packed::listpack)?),
                    _ => return Err(source.malformed("unknown list node")),
                }
            }
            Ok(Decoded::List(items))
        }
        kind::SET_INTSET => blob(source, packed::intset).map(Decoded::Set),
        kind::SET_LISTPACK => blob(source, packed::listpack).map(Decoded::Set),
        kind::HASH_ZIPLIST => blob(source, |bytes| pairs(packed::ziplist(bytes)?)).map(Decoded::PackedHash),
        kind::HASH_LISTPACK => blob(source, |bytes| pairs(packed::listpack(bytes)?)).map(Decoded::PackedHash),
        kind::SORTED_SET_ZIPLIST => {
            blob(source, |bytes| scored(packed::ziplist(bytes)?)).map(Decoded::PackedSortedSet)
        }
        kind::SORTED_SET_LISTPACK => {
            blob(source, |bytes| scored(packed::listpack(bytes)?)).map(Decoded::PackedSortedSet)
        }
        kind::STREAM | kind::STREAM_2 | kind::STREAM_3 => {
            super::stream::read(source, kind).map(|stream| Decoded::Stream(Box::new(stream)))
        }
        kind::MODULE | kind::MODULE_2 => Err(unsupported("module's own type")),
        kind::HASH_ZIPMAP => blob(source, |bytes| pairs(zipmap::read(bytes)?)).map(Decoded::Hash),
        _ => Err(unsupported("type of an unknown number")),
    }
}

fn strings<R: Read>(source: &mut Source<R>) -> Result<Vec<Vec<u8>>, RdbError> {
    let mut items = Vec::new();
    for _ in 0..source.length()? {
        items.push(source.string()?);
    }
    Ok(items)
}

fn blob<R: Read, T>(
    source: &mut Source<R>,
    decode: impl FnOnce(&[u8]) -> Result<T, Bad>,
) -> Result<T, RdbError> {
    let bytes = source.string()?;
    decode(&bytes).map_err(|bad| bad.at(source.offset()))
}

fn pairs(items: Vec<Vec<u8>>) -> Result<Pairs, Bad> {
    if !items.len().is_multiple_of(2) {
        return Err(Bad("a field without its value"));
    }
    let mut pairs = Vec::with_capacity(items.len() / 2);
    let mut items = items.into_iter();
    while let (Some(field), Some(value)) = (items.next(), items.next()) {
        pairs.push((field, value));
    }
    Ok(pairs)
}

fn scored(items: Vec<Vec<u8>>) -> Result<Vec<(Vec<u8>, f64)>, Bad> {
    pairs(items)?
        .into_iter()
        .map(|(member, score)| {
            let score = crate::stdx::number::parse_f64(&score).ok_or(Bad("a score that is not a number"))?;
            Ok((member, score))
        })
        .collect()
}
