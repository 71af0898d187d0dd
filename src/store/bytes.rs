//! Short byte strings without an allocation. Keys, fields, members and list items are this: most of
//! them are short, and what lies inside its table entry costs no second cache miss.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::ops::Deref;

const INLINE_BYTES_MAX: usize = 22;

/// An immutable byte string in 24 bytes; up to 22 of them lie inside.
#[derive(Clone)]
pub struct SmallBytes(Repr);

#[derive(Clone)]
enum Repr {
    Inline { len: u8, data: [u8; INLINE_BYTES_MAX] },
    Heap(Box<[u8]>),
}

impl SmallBytes {
    #[inline]
    pub fn new(bytes: &[u8]) -> Self {
        if bytes.len() <= INLINE_BYTES_MAX {
            let mut data = [0; INLINE_BYTES_MAX];
            data[..bytes.len()].copy_from_slice(bytes);
            SmallBytes(Repr::Inline { len: bytes.len() as u8, data })
        } else {
            SmallBytes(Repr::Heap(bytes.into()))
        }
    }

    #[inline]
    pub fn as_slice(&self) -> &[u8] {
        match &self.0 {
            Repr::Inline { len, data } => &data[..usize::from(*len)],
            Repr::Heap(bytes) => bytes,
        }
    }

    /// Bytes on the heap besides its own 24.
    pub fn heap_bytes(&self) -> usize {
        match &self.0 {
            Repr::Inline { .. } => 0,
            Repr::Heap(bytes) => bytes.len(),
        }
    }
}

impl Deref for SmallBytes {
    type Target = [u8];
    #[inline]
    fn deref(&self) -> &[u8] {
        self.as_slice()
    }
}

impl AsRef<[u8]> for SmallBytes {
    fn as_ref(&self) -> &[u8] {
        self.as_slice()
    }
}

impl Borrow<[u8]> for SmallBytes {
    fn borrow(&self) -> &[u8] {
        self.as_slice()
    }
}

impl From<&[u8]> for SmallBytes {
    fn from(bytes: &[u8]) -> Self {
        SmallBytes::new(bytes)
    }
}

impl PartialEq for SmallBytes {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}
impl Eq for SmallBytes {}
impl PartialOrd for SmallBytes {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for SmallBytes {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_slice().cmp(other.as_slice())
    }
}

impl std::fmt::Debug for SmallBytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "\"{}\"", self.as_slice().escape_ascii())
    }
}

const _: () = assert!(size_of::<SmallBytes>() == 24);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_shapes_read_back() {
        for len in [0, 1, 22, 23, 200] {
            let bytes = vec![7u8; len];
            assert_eq!(SmallBytes::new(&bytes).as_slice(), bytes);
        }
        assert!(SmallBytes::new(b"a") < SmallBytes::new(&[b'b'; 40]));
    }
}
