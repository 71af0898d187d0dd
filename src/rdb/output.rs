//! Bytes of an image or of a DUMP on their way out. Long strings are noted, and compressed later if that
//! is asked for: whoever writes a value holds up others, whoever packs it need not.

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
    long: Vec<LongString>,
}

/// Where its length begins, where it begins itself, and where it ends.
#[derive(Debug)]
struct LongString {
    head: usize,
    begin: usize,
    end: usize,
}

/// What was written, with its long strings as they are.
#[derive(Debug, Default)]
pub(super) struct Plain {
    bytes: Vec<u8>,
    long: Vec<LongString>,
}

impl Plain {
    pub(super) fn of(bytes: Vec<u8>) -> Self {
        Plain { bytes, long: Vec::new() }
    }

    /// With its long strings packed where that makes them shorter.
    pub(super) fn pack(self, packer: &mut Packer) -> Vec<u8> {
        if self.long.is_empty() {
            return self.bytes;
        }
        let mut out = Vec::with_capacity(self.bytes.len());
        let mut taken = 0;
        for LongString { head, begin, end } in self.long {
            let length = end - begin;
            if let Some(packed) = packer.pack(&self.bytes[begin..end], length - SAVED_BYTES_MIN) {
                out.extend_from_slice(&self.bytes[taken..head]);
                out.push(0xc3);
                put_length(&mut out, packed.len() as u64);
                put_length(&mut out, length as u64);
                out.extend_from_slice(packed);
                taken = end;
            }
        }
        out.extend_from_slice(&self.bytes[taken..]);
        out
    }
}

impl Output {
    pub(super) fn new(bytes: Vec<u8>, packs: bool) -> Self {
        Output { bytes, packs, long: Vec::new() }
    }

    /// All of it, packed here and now.
    pub(super) fn into_bytes(mut self) -> Vec<u8> {
        let plain = self.take();
        if plain.long.is_empty() { plain.bytes } else { plain.pack(&mut Packer::default()) }
    }

    /// What was written since the last time.
    pub(super) fn take(&mut self) -> Plain {
        Plain { bytes: std::mem::take(&mut self.bytes), long: std::mem::take(&mut self.long) }
    }

    /// A string; short canonical integers take their compact form, as Redis writes them.
    pub(super) fn put_string(&mut self, bytes: &[u8]) {
        if self.put_integer(bytes) {
            return;
        }
        let head = self.bytes.len();
        put_length(&mut self.bytes, bytes.len() as u64);
        let begin = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        if self.packs && bytes.len() >= PACKED_BYTES_MIN {
            self.long.push(LongString { head, begin, end: self.bytes.len() });
        }
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
