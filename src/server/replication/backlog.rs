//! The newest bytes of the replication stream, so that a replica whose link was cut goes on where
//! it stopped. A ring that grows to its size as bytes come; knows offsets and nothing else.

use crate::model::Offset;
use std::collections::VecDeque;

#[derive(Debug)]
pub struct Backlog {
    ring: VecDeque<u8>,
    bytes_max: usize,
    /// Bytes of the stream produced when the last byte of the ring was.
    end: Offset,
}

impl Backlog {
    pub fn new(bytes_max: usize, end: Offset) -> Self {
        Backlog { ring: VecDeque::new(), bytes_max: bytes_max.max(1), end }
    }

    pub fn append(&mut self, bytes: &[u8]) {
        self.end += bytes.len() as u64;
        let kept = &bytes[bytes.len().saturating_sub(self.bytes_max)..];
        let over = (self.ring.len() + kept.len()).saturating_sub(self.bytes_max);
        self.ring.drain(..over);
        self.ring.extend(kept);
    }

    pub fn resize(&mut self, bytes_max: usize) {
        self.bytes_max = bytes_max.max(1);
        let over = self.ring.len().saturating_sub(self.bytes_max);
        self.ring.drain(..over);
        self.ring.shrink_to(self.bytes_max);
    }

    /// All bytes after the first `offset` of the stream, or `None` when some of them are gone or
    /// were never produced.
    pub fn since(&self, offset: Offset) -> Option<Vec<u8>> {
        let missing = usize::try_from(self.end.checked_sub(offset)?).ok()?;
        let skip = self.ring.len().checked_sub(missing)?;
        Some(self.ring.range(skip..).copied().collect())
    }

    pub fn end(&self) -> Offset {
        self.end
    }

    pub fn len(&self) -> usize {
        self.ring.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ring.is_empty()
    }

    pub fn bytes_max(&self) -> usize {
        self.bytes_max
    }

    /// As INFO counts it: the first byte of the stream is number 1.
    pub fn first_byte_offset(&self) -> Offset {
        self.end - self.ring.len() as u64 + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serves_what_it_still_holds_and_refuses_the_rest() {
        let mut backlog = Backlog::new(8, 100);
        assert_eq!(backlog.since(100), Some(vec![]));
        assert_eq!(backlog.since(99), None);
        backlog.append(b"0123456");
        assert_eq!(backlog.since(100).as_deref(), Some(&b"0123456"[..]));
        backlog.append(b"789");
        assert_eq!(backlog.since(100), None);
        assert_eq!(backlog.since(102).as_deref(), Some(&b"23456789"[..]));
        assert_eq!(backlog.since(111), None);
        assert_eq!((backlog.first_byte_offset(), backlog.len()), (103, 8));
    }

    #[test]
    fn one_append_may_be_larger_than_the_ring() {
        let mut backlog = Backlog::new(4, 0);
        backlog.append(b"0123456789");
        assert_eq!(backlog.since(6).as_deref(), Some(&b"6789"[..]));
        assert_eq!(backlog.since(5), None);
        backlog.resize(2);
        assert_eq!(backlog.since(8).as_deref(), Some(&b"89"[..]));
        assert_eq!(backlog.since(7), None);
    }
}
