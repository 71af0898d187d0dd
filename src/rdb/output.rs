//! Bytes of an image or of a DUMP on their way out; long strings are compressed if that is asked for.

use super::lzf::Packer;
use super::primitive::put_length;
use std::ops::{Deref, DerefMut};

/// Shorter ones are not worth it, as Redis has it.
const PACKED_BYTES_MIN: usize = 21;
/// A string that is packed this much at most is left as it is.
const SAVED_BYTES_MIN: usize = 4;

pub(super) struct Output {
    bytes: Vec<u8>,
    packs: bool,
    /// Made when the first string wants it.
    packer: Option<Box<Packer>>,
}

impl Output {
    pub(super) fn new(bytes: Vec<u8>, packs: bool) -> Self {
        Output { bytes, packs, packer: None }
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// A string; short canonical integers take their compact form, as Redis writes them.
    pub(super) fn put_string(&mut self, bytes: &[u8]) {
        if self.put_integer(bytes) {
            return;
        }
        if self.packs && bytes.len() >= PACKED_BYTES_MIN {
            let packer = self.packer.get_or_insert_with(Box::default);
            if let Some(packed) = packer.pack(bytes, bytes.len() - SAVED_BYTES_MIN) {
                self.bytes.push(0xc3);
                put_length(&mut self.bytes, packed.len() as u64);
                put_length(&mut self.bytes, bytes.len() as u64);
                self.bytes.extend_from_slice(packed);
                return;
            }
        }
        put_length(&mut self.bytes, bytes.len() as u64);
        self.bytes.extend_from_slice(bytes);
    }

    fn put_integer(&mut self, bytes: &[u8]) -> bool {
        if bytes.len() > 11 {
            return false;
        }
        let Some(integer) = crate::stdx::number::parse_i64(bytes) else { return false };
        if let Ok(value) = i8::try_from(integer) {
            self.bytes.extend_from_slice(&[0xc0, value as u8]);
        } else if let Ok(value) = i16::try_from(integer) {
            self.bytes.push(0xc1);
            self.bytes.extend_from_slice(&value.to_le_bytes());
        } else if let Ok(value) = i32::try_from(integer) {
            self.bytes.push(0xc2);
            self.bytes.extend_from_slice(&value.to_le_bytes());
        } else {
            return false;
        }
        true
    }
}

impl Deref for Output {
    type Target = Vec<u8>;

    fn deref(&self) -> &Vec<u8> {
        &self.bytes
    }
}

impl DerefMut for Output {
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }
}
