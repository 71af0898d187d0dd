//! A string value: a number, a few bytes inside the entry, or bytes on the heap.

use crate::stdx::number::parse_i64;

const INLINE_BYTES_MAX: usize = 15;
/// Up to here Redis calls a string that was never changed in place `embstr`.
const EMBSTR_BYTES_MAX: usize = 44;

/// 24 bytes. Reads back exactly the bytes it was made of.
#[derive(Debug)]
pub struct Str(Repr);

#[derive(Clone, Debug)]
enum Repr {
    Int(i64),
    Inline {
        len: u8,
        data: [u8; INLINE_BYTES_MAX],
    },
    /// Has spare capacity once it was changed in place: that is how Redis' encoding name is known.
    Raw(Vec<u8>),
}

impl Clone for Str {
    /// A copy of what was changed in place counts as that too.
    fn clone(&self) -> Self {
        let mut copy = Str(self.0.clone());
        if self.encoding() == "raw" {
            copy.make_raw();
        }
        copy
    }
}

impl Str {
    /// As SET stores it: canonical integers become numbers.
    #[inline]
    pub fn new(bytes: &[u8]) -> Self {
        if bytes.len() <= 20
            && let Some(value) = parse_i64(bytes)
        {
            return Str(Repr::Int(value));
        }
        Str::text(bytes)
    }

    /// Never a number.
    #[inline]
    pub fn text(bytes: &[u8]) -> Self {
        if bytes.len() <= INLINE_BYTES_MAX {
            let mut data = [0; INLINE_BYTES_MAX];
            data[..bytes.len()].copy_from_slice(bytes);
            Str(Repr::Inline { len: bytes.len() as u8, data })
        } else {
            Str(Repr::Raw(bytes.to_vec()))
        }
    }

    pub fn int(value: i64) -> Self {
        Str(Repr::Int(value))
    }

    /// Takes the place of the old content, in its memory when that fits.
    #[inline]
    pub fn assign(&mut self, bytes: &[u8]) {
        if let Repr::Raw(old) = &mut self.0
            && bytes.len() > EMBSTR_BYTES_MAX
            && bytes.len() <= old.capacity()
            && old.capacity() / 2 <= bytes.len()
        {
            old.clear();
            old.extend_from_slice(bytes);
        } else {
            *self = Str::new(bytes);
        }
    }

    #[inline]
    pub fn as_int(&self) -> Option<i64> {
        match &self.0 {
            Repr::Int(value) => Some(*value),
            _ => None,
        }
    }

    /// The content; `scratch` lends room for a number's digits.
    #[inline]
    pub fn bytes<'a>(&'a self, scratch: &'a mut itoa::Buffer) -> &'a [u8] {
        match &self.0 {
            Repr::Int(value) => scratch.format(*value).as_bytes(),
            Repr::Inline { len, data } => &data[..usize::from(*len)],
            Repr::Raw(bytes) => bytes,
        }
    }

    /// What of it lies elsewhere.
    #[inline]
    pub(super) fn far_bytes(&self) -> Option<&[u8]> {
        match &self.0 {
            Repr::Raw(bytes) => Some(bytes),
            _ => None,
        }
    }

    pub fn to_vec(&self) -> Vec<u8> {
        self.bytes(&mut itoa::Buffer::new()).to_vec()
    }

    pub fn len(&self) -> usize {
        self.bytes(&mut itoa::Buffer::new()).len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The content as bytes to be changed in place.
    pub fn make_raw(&mut self) -> &mut Vec<u8> {
        if !matches!(self.0, Repr::Raw(_)) {
            let bytes = self.to_vec();
            self.0 = Repr::Raw(bytes);
        }
        let Repr::Raw(bytes) = &mut self.0 else { unreachable!("made raw above") };
        bytes.reserve(1);
        bytes
    }

    /// As the keeper of this value changed it in place: never `embstr` again.
    pub fn grown(bytes: Vec<u8>) -> Self {
        let mut string = Str(Repr::Raw(bytes));
        string.make_raw();
        string
    }

    pub fn append(&mut self, bytes: &[u8]) {
        let raw = self.make_raw();
        raw.reserve(bytes.len() + 1);
        raw.extend_from_slice(bytes);
    }

    /// Redis' encoding name.
    pub fn encoding(&self) -> &'static str {
        match &self.0 {
            Repr::Int(_) => "int",
            Repr::Inline { .. } => "embstr",
            Repr::Raw(bytes) if bytes.len() <= EMBSTR_BYTES_MAX && bytes.capacity() == bytes.len() => {
                "embstr"
            }
            Repr::Raw(_) => "raw",
        }
    }

    pub fn heap_bytes(&self) -> usize {
        match &self.0 {
            Repr::Raw(bytes) => bytes.capacity(),
            _ => 0,
        }
    }
}

impl PartialEq for Str {
    fn eq(&self, other: &Self) -> bool {
        self.bytes(&mut itoa::Buffer::new()) == other.bytes(&mut itoa::Buffer::new())
    }
}

const _: () = assert!(size_of::<Str>() == 24);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back_what_it_was_made_of() {
        for text in ["", "0", "-1", "007", "9223372036854775807", "9223372036854775808", "hello"] {
            assert_eq!(Str::new(text.as_bytes()).to_vec(), text.as_bytes());
        }
        let long = vec![b'x'; 100];
        let mut string = Str::new(&long);
        string.assign(&long[..80]);
        assert_eq!(string.to_vec(), &long[..80]);
        string.assign(b"12");
        assert_eq!(string.as_int(), Some(12));
    }

    #[test]
    fn encodings_follow_redis() {
        assert_eq!(Str::new(b"12").encoding(), "int");
        assert_eq!(Str::new(&[b'x'; 44]).encoding(), "embstr");
        assert_eq!(Str::new(&[b'x'; 45]).encoding(), "raw");
        let mut string = Str::new(b"1");
        string.append(b"2");
        assert_eq!((string.to_vec(), string.encoding()), (b"12".to_vec(), "raw"));
    }
}
