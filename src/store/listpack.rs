//! Redis' listpack: strings and integers one after the other in one piece of memory, the form in
//! which stream entries are kept, saved and sent. Written here exactly as Redis writes it, so that
//! a node of a stream goes to an RDB as it is. Promises: what was taken in by [`Listpack::parse`]
//! is whole, and reading never goes past the end. Has never heard of a stream.

use smallvec::SmallVec;

const HEAD_BYTES: usize = 6;
const END: u8 = 0xff;

/// One element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Element<'a> {
    Integer(i64),
    Text(&'a [u8]),
}

impl<'a> Element<'a> {
    /// As a client wrote it; `buffer` serves integers.
    pub fn bytes<'b>(&'b self, buffer: &'b mut itoa::Buffer) -> &'b [u8] {
        match self {
            Element::Integer(value) => buffer.format(*value).as_bytes(),
            Element::Text(text) => text,
        }
    }

    pub fn integer(self) -> Option<i64> {
        match self {
            Element::Integer(value) => Some(value),
            Element::Text(_) => None,
        }
    }

    pub fn equals(&self, word: &[u8]) -> bool {
        self.bytes(&mut itoa::Buffer::new()) == word
    }
}

#[derive(Clone, PartialEq, Eq)]
pub struct Listpack {
    bytes: Vec<u8>,
}

impl Default for Listpack {
    fn default() -> Self {
        Listpack { bytes: vec![HEAD_BYTES as u8 + 1, 0, 0, 0, 0, 0, END] }
    }
}

impl Listpack {
    /// Where the first element stands.
    pub const FIRST: usize = HEAD_BYTES;

    /// Takes a listpack in, if it is one in every byte.
    pub fn parse(bytes: Vec<u8>) -> Result<Self, &'static str> {
        let Some(([a, b, c, d, e, f], body)) = bytes.split_first_chunk() else {
            return Err("listpack ends early");
        };
        if u32::from_le_bytes([*a, *b, *c, *d]) as usize != bytes.len() || body.last() != Some(&END) {
            return Err("listpack length is not its size");
        }
        let announced = u16::from_le_bytes([*e, *f]);
        let pack = Listpack { bytes };
        let (mut at, mut count) = (Self::FIRST, 0usize);
        while at + 1 < pack.bytes.len() {
            let (_, length) = decode(&pack.bytes[at..]).ok_or("listpack element is broken")?;
            let mut back = [0; 5];
            let back = back_length(length, &mut back);
            if pack.bytes.get(at + length..at + length + back.len()) != Some(back) {
                return Err("listpack element is not as long as it says");
            }
            at += length + back.len();
            count += 1;
        }
        if at + 1 != pack.bytes.len() || (announced != u16::MAX && usize::from(announced) != count) {
            return Err("listpack count is not its elements");
        }
        Ok(pack)
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Memory set aside for it.
    pub fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    pub fn shrink(&mut self) {
        self.bytes.shrink_to_fit();
    }

    /// The element at `at`, and where the next one stands; `None` at the end.
    pub fn get(&self, at: usize) -> Option<(Element<'_>, usize)> {
        let (element, length) = decode(self.bytes.get(at..)?)?;
        Some((element, at + length + back_length_bytes(length)))
    }

    /// The integer at `at`, and where the next element stands.
    pub fn integer(&self, at: usize) -> Option<(i64, usize)> {
        let (element, next) = self.get(at)?;
        Some((element.integer()?, next))
    }

    /// Where the element stands that comes `count` after the one at `at`.
    pub fn skip(&self, mut at: usize, count: usize) -> Option<usize> {
        for _ in 0..count {
            at = self.get(at)?.1;
        }
        Some(at)
    }

    pub fn push_integer(&mut self, value: i64) {
        self.append(|out| out.extend_from_slice(&integer_bytes(value)));
    }

    /// A word; one that is a canonical integer is kept as such.
    pub fn push(&mut self, word: &[u8]) {
        match crate::stdx::number::parse_i64(word) {
            Some(value) => self.push_integer(value),
            None => self.append(|out| {
                out.extend_from_slice(&text_head(word.len()));
                out.extend_from_slice(word);
            }),
        }
    }

    fn append(&mut self, encode: impl FnOnce(&mut Vec<u8>)) {
        let at = self.bytes.len() - 1;
        self.bytes.truncate(at);
        encode(&mut self.bytes);
        let mut back = [0; 5];
        let back = back_length(self.bytes.len() - at, &mut back);
        self.bytes.extend_from_slice(back);
        self.bytes.push(END);
        let count = u16::from_le_bytes([self.bytes[4], self.bytes[5]]).saturating_add(1);
        self.bytes[4..6].copy_from_slice(&count.to_le_bytes());
        self.write_length();
    }

    /// Puts an integer in the place of the element at `at`.
    pub fn set_integer(&mut self, at: usize, value: i64) {
        let Some((_, next)) = self.get(at) else { return };
        let mut element = integer_bytes(value).to_vec();
        let mut back = [0; 5];
        let back = back_length(element.len(), &mut back);
        element.extend_from_slice(back);
        if element.len() == next - at {
            self.bytes[at..next].copy_from_slice(&element);
        } else {
            self.bytes.splice(at..next, element);
            self.write_length();
        }
    }

    fn write_length(&mut self) {
        let length = u32::try_from(self.bytes.len()).unwrap_or(u32::MAX);
        self.bytes[..4].copy_from_slice(&length.to_le_bytes());
    }
}

/// The element at the front and its length; `None` at the end and where it is cut off.
pub(super) fn decode(bytes: &[u8]) -> Option<(Element<'_>, usize)> {
    let &head = bytes.first()?;
    let number = |count: usize| -> Option<(Element<'_>, usize)> {
        // Little endian with the sign in the last byte.
        let mut wide = [0; 8];
        wide[8 - count..].copy_from_slice(bytes.get(1..1 + count)?);
        Some((Element::Integer(i64::from_le_bytes(wide) >> (64 - 8 * count)), 1 + count))
    };
    let text = |from: usize, length: usize| -> Option<(Element<'_>, usize)> {
        Some((Element::Text(bytes.get(from..from.checked_add(length)?)?), from + length))
    };
    match head {
        0x00..=0x7f => Some((Element::Integer(i64::from(head)), 1)),
        0x80..=0xbf => text(1, usize::from(head & 0x3f)),
        0xc0..=0xdf => {
            let bits = u16::from(head & 0x1f) << 8 | u16::from(*bytes.get(1)?);
            Some((Element::Integer(i64::from((bits << 3) as i16) >> 3), 2))
        }
        0xe0..=0xef => text(2, usize::from(head & 0x0f) << 8 | usize::from(*bytes.get(1)?)),
        0xf0 => {
            let length: [u8; 4] = bytes.get(1..5)?.try_into().ok()?;
            text(5, u32::from_le_bytes(length) as usize)
        }
        0xf1 => number(2),
        0xf2 => number(3),
        0xf3 => number(4),
        0xf4 => number(8),
        _ => None,
    }
}

/// An integer's encoding, or what stands before a text.
pub(super) type Head = SmallVec<[u8; 12]>;

pub(super) fn integer_bytes(value: i64) -> Head {
    let bytes = value.to_le_bytes();
    let mut out = Head::new();
    let mut wide = |head: u8, bytes: &[u8]| {
        out.push(head);
        out.extend_from_slice(bytes);
    };
    match value {
        0..=127 => out.push(value as u8),
        -4096..=4095 => {
            let bits = (value as u16) & 0x1fff;
            wide(0xc0 | (bits >> 8) as u8, &[bits as u8]);
        }
        -32_768..=32_767 => wide(0xf1, &bytes[..2]),
        -8_388_608..=8_388_607 => wide(0xf2, &bytes[..3]),
        -2_147_483_648..=2_147_483_647 => wide(0xf3, &bytes[..4]),
        _ => wide(0xf4, &bytes),
    }
    out
}

/// What stands before a text of this length.
pub(super) fn text_head(length: usize) -> Head {
    let mut out = Head::new();
    match length {
        0..=63 => out.push(0x80 | length as u8),
        64..=4095 => out.extend_from_slice(&[0xe0 | (length >> 8) as u8, length as u8]),
        _ => {
            out.push(0xf0);
            out.extend_from_slice(&(length as u32).to_le_bytes());
        }
    }
    out
}

/// How long the element at the front is, without looking into it.
pub(super) fn encoded_bytes(bytes: &[u8]) -> Option<usize> {
    let &head = bytes.first()?;
    let length = match head {
        0x00..=0x7f => 1,
        0x80..=0xbf => 1 + usize::from(head & 0x3f),
        0xc0..=0xdf => 2,
        0xe0..=0xef => 2 + (usize::from(head & 0x0f) << 8 | usize::from(*bytes.get(1)?)),
        0xf0 => {
            let length: [u8; 4] = bytes.get(1..5)?.try_into().ok()?;
            5 + u32::from_le_bytes(length) as usize
        }
        0xf1 => 3,
        0xf2 => 4,
        0xf3 => 5,
        0xf4 => 9,
        _ => return None,
    };
    (length <= bytes.len()).then_some(length)
}

/// How many bytes an element's own length takes behind it, seven bits each; the odd bounds are
/// Redis'.
pub(crate) fn back_length_bytes(length: usize) -> usize {
    match length {
        0..=127 => 1,
        128..=16_382 => 2,
        16_383..=2_097_150 => 3,
        2_097_151..=268_435_454 => 4,
        _ => 5,
    }
}

/// The length behind an element, to be read from the end: the high seven bits stand first, and
/// every byte but the first has its top bit set.
pub(super) fn back_length(length: usize, buffer: &mut [u8; 5]) -> &[u8] {
    let count = back_length_bytes(length);
    for (at, byte) in buffer[..count].iter_mut().enumerate() {
        let bits = (length >> (7 * (count - 1 - at))) as u8 & 0x7f;
        *byte = if at == 0 { bits } else { bits | 0x80 };
    }
    &buffer[..count]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_in_comes_back_and_is_whole() {
        let long = [b'x'; 70_000];
        let words: Vec<Vec<u8>> = [0i64, 1, 127, 128, -1, 4095, -4096, 4096, -4097, 32_767, -32_768, 32_768]
            .iter()
            .chain(&[8_388_607, -8_388_608, 8_388_608, 2_147_483_648, -2_147_483_649, i64::MAX, i64::MIN])
            .map(|n| n.to_string().into_bytes())
            .chain(
                [0, 1, 63, 64, 125, 126, 127, 4095, 4096, 16_376, 16_377, 16_378, 16_379, 16_380, 70_000]
                    .map(|n| long[..n].to_vec()),
            )
            .chain([b"007".to_vec(), b"-0".to_vec(), b"+1".to_vec()])
            .collect();
        let mut pack = Listpack::default();
        words.iter().for_each(|word| pack.push(word));
        let pack = Listpack::parse(pack.as_bytes().to_vec()).unwrap();
        let mut at = Listpack::FIRST;
        for word in &words {
            let (element, next) = pack.get(at).unwrap();
            assert!(element.equals(word), "{}", word.len());
            at = next;
        }
        assert!(pack.get(at).is_none());
    }

    #[test]
    fn an_integer_is_replaced_by_a_longer_one() {
        let mut pack = Listpack::default();
        pack.push(b"1");
        pack.push(b"word");
        pack.set_integer(Listpack::FIRST, 100);
        pack.set_integer(Listpack::FIRST, 1_000_000);
        let pack = Listpack::parse(pack.as_bytes().to_vec()).unwrap();
        let (value, next) = pack.integer(Listpack::FIRST).unwrap();
        assert_eq!(value, 1_000_000);
        assert_eq!(pack.get(next).unwrap().0, Element::Text(b"word"));
    }

    #[test]
    fn damage_is_refused_or_other_data() {
        let mut pack = Listpack::default();
        [&b"1"[..], b"field", b"300", b"value"].iter().for_each(|word| pack.push(word));
        for at in 0..pack.as_bytes().len() {
            assert!(Listpack::parse(pack.as_bytes()[..at].to_vec()).is_err());
            for bits in 1..=255 {
                let mut bytes = pack.as_bytes().to_vec();
                bytes[at] ^= bits;
                let _ = Listpack::parse(bytes);
            }
        }
    }
}
