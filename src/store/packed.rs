//! Small collections in one piece of memory: elements one after the other, encoded as in a listpack
//! but without what only reading backwards needs. One allocation, exactly as long as it must be.
//! Has never heard of fields, members or scores.

use super::bytes::SmallBytes;
use super::listpack::{self, Element};
use crate::stdx::number::parse_i64;
use smallvec::SmallVec;
use std::ops::Deref;

/// The number of elements stands in front of them.
const HEAD_BYTES: usize = 2;

/// More pairs than these cannot be counted there, whatever the configuration says.
pub const PAIRS_MAX: usize = 32_000;

/// An element on its way in; few are longer.
pub type Encoded = SmallVec<[u8; 96]>;

/// An element on its way out: bytes where they lie, or the digits of a number.
#[derive(Clone, Debug)]
pub enum Word<'a> {
    Text(&'a [u8]),
    Digits(SmallBytes),
}

impl Word<'_> {
    pub fn as_slice(&self) -> &[u8] {
        match self {
            Word::Text(text) => text,
            Word::Digits(digits) => digits,
        }
    }

    pub fn to_small(&self) -> SmallBytes {
        match self {
            Word::Text(text) => SmallBytes::new(text),
            Word::Digits(digits) => digits.clone(),
        }
    }
}

impl<'a> From<Element<'a>> for Word<'a> {
    fn from(element: Element<'a>) -> Self {
        match element {
            Element::Text(text) => Word::Text(text),
            Element::Integer(value) => {
                Word::Digits(SmallBytes::new(itoa::Buffer::new().format(value).as_bytes()))
            }
        }
    }
}

impl<'a> From<&'a SmallBytes> for Word<'a> {
    fn from(bytes: &'a SmallBytes) -> Self {
        Word::Text(bytes)
    }
}

impl Deref for Word<'_> {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        self.as_slice()
    }
}

/// An element as it is kept: one encoding for each, so that equal words are equal bytes.
pub fn encode(word: &[u8]) -> Encoded {
    match parse_i64(word) {
        Some(value) => encode_integer(value),
        None => encode_bytes(word),
    }
}

pub fn encode_integer(value: i64) -> Encoded {
    Encoded::from_slice(&listpack::integer_bytes(value))
}

/// Never as a number.
pub fn encode_bytes(bytes: &[u8]) -> Encoded {
    let mut out = Encoded::from_slice(&listpack::text_head(bytes.len()));
    out.extend_from_slice(bytes);
    out
}

#[derive(Clone, Default)]
pub struct Packed(Box<[u8]>);

impl Packed {
    /// Where the first element stands.
    pub const FIRST: usize = HEAD_BYTES;

    /// How many elements.
    pub fn len(&self) -> usize {
        self.0.first_chunk().map_or(0, |head| usize::from(u16::from_le_bytes(*head)))
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn heap_bytes(&self) -> usize {
        self.0.len()
    }

    /// The element at `at`, and where the next one stands; `None` at the end.
    #[inline]
    pub fn element(&self, at: usize) -> Option<(Element<'_>, usize)> {
        let (element, length) = listpack::decode(self.0.get(at..)?)?;
        Some((element, at + length))
    }

    pub fn get(&self, at: usize) -> Option<(Word<'_>, usize)> {
        let (element, next) = self.element(at)?;
        Some((element.into(), next))
    }

    /// Where the element stands that comes `count` after the one at `at`.
    pub fn skip(&self, mut at: usize, count: usize) -> Option<usize> {
        for _ in 0..count {
            at += listpack::encoded_bytes(self.0.get(at..)?)?;
        }
        Some(at)
    }

    /// Where a pair stands whose first element is this, and its number among the pairs.
    pub fn find_pair(&self, encoded: &[u8]) -> Option<(usize, usize)> {
        let (mut at, mut number) = (Self::FIRST, 0);
        while at < self.0.len() {
            if self.0[at..].starts_with(encoded) {
                return Some((at, number));
            }
            at = self.skip(at, 2)?;
            number += 1;
        }
        None
    }

    /// All elements, from one on.
    pub fn words(&self, mut at: usize) -> impl Iterator<Item = Word<'_>> {
        std::iter::from_fn(move || {
            let (word, next) = self.get(at)?;
            at = next;
            Some(word)
        })
    }

    pub fn end(&self) -> usize {
        self.0.len().max(Self::FIRST)
    }

    /// Puts `parts` in the place of the bytes from `at` to `end`; `elements` more than before.
    pub fn replace(&mut self, at: usize, end: usize, parts: &[&[u8]], elements: isize) {
        let mut bytes = std::mem::take(&mut self.0).into_vec();
        if bytes.is_empty() {
            bytes.reserve_exact(HEAD_BYTES + parts.iter().map(|part| part.len()).sum::<usize>());
            bytes.extend_from_slice(&[0; HEAD_BYTES]);
        }
        let (old, new) = (end - at, parts.iter().map(|part| part.len()).sum::<usize>());
        let tail = bytes.len() - end;
        if new > old {
            bytes.reserve_exact(new - old);
            bytes.resize(bytes.len() + new - old, 0);
        }
        bytes.copy_within(end..end + tail, at + new);
        let mut to = at;
        for part in parts {
            bytes[to..to + part.len()].copy_from_slice(part);
            to += part.len();
        }
        bytes.truncate(to + tail);
        let count = u16::from_le_bytes([bytes[0], bytes[1]]).wrapping_add_signed(elements as i16);
        bytes[..HEAD_BYTES].copy_from_slice(&count.to_le_bytes());
        self.0 = bytes.into_boxed_slice();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stdx::Rng;

    #[test]
    fn does_what_a_vector_of_pairs_would_do() {
        let mut rng = Rng::with_seed(3);
        let (mut packed, mut model) = (Packed::default(), Vec::<(Vec<u8>, Vec<u8>)>::new());
        for _ in 0..5000 {
            let name = match rng.u32(..3) {
                0 => rng.u32(..50).to_string().into_bytes(),
                1 => vec![b'x'; rng.usize(..100)],
                _ => format!("-{}", rng.u32(..50)).into_bytes(),
            };
            let value = vec![b'0' + rng.u8(..10); rng.usize(..30)];
            let encoded = encode(&name);
            let found = packed.find_pair(&encoded);
            let place = model.iter().position(|(other, _)| *other == name);
            assert_eq!(found.map(|(_, number)| number), place);
            match (found, rng.bool()) {
                (Some((at, number)), true) => {
                    let end = packed.skip(at, 2).unwrap();
                    packed.replace(at, end, &[], -2);
                    model.remove(number);
                }
                (Some((at, number)), false) => {
                    let from = packed.skip(at, 1).unwrap();
                    let end = packed.skip(from, 1).unwrap();
                    packed.replace(from, end, &[&encode(&value)], 0);
                    model[number].1 = value;
                }
                (None, _) => {
                    let end = packed.end();
                    packed.replace(end, end, &[&encoded, &encode(&value)], 2);
                    model.push((name, value));
                }
            }
            assert_eq!(packed.len(), 2 * model.len());
            let flat = model.iter().flat_map(|(name, value)| [name, value]);
            assert!(packed.words(Packed::FIRST).map(|word| word.to_vec()).eq(flat.cloned()));
        }
    }
}
