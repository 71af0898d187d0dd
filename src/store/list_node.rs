//! A run of list items in one piece of memory, each encoded as in a listpack with its length behind
//! it, so that both ends can be read. Room is kept where items were added last. Has never heard of
//! the chain that nodes stand in.

use super::listpack::{self, Element, Head};
use crate::stdx::number::parse_i64;

/// Up to here no room is kept in advance: most lists are short.
const EXACT_BYTES: usize = 128;

#[derive(Clone, Default)]
pub struct Node {
    bytes: Vec<u8>,
    /// Where the first item stands.
    head: u32,
    count: u32,
}

/// An item on its way in.
pub struct Item<'a> {
    head: Head,
    body: &'a [u8],
    back: [u8; 5],
    back_bytes: usize,
}

impl<'a> Item<'a> {
    #[inline]
    pub fn new(word: &'a [u8]) -> Self {
        let (head, body) = match parse_i64(word) {
            Some(value) => (listpack::integer_bytes(value), &[][..]),
            None => (listpack::text_head(word.len()), word),
        };
        let mut back = [0; 5];
        let back_bytes = listpack::back_length(head.len() + body.len(), &mut back).len();
        Item { head, body, back, back_bytes }
    }

    pub fn bytes(&self) -> usize {
        self.head.len() + self.body.len() + self.back_bytes
    }

    #[inline]
    fn write(&self, to: &mut [u8]) {
        let (head, rest) = to.split_at_mut(self.head.len());
        let (body, back) = rest.split_at_mut(self.body.len());
        head.copy_from_slice(&self.head);
        body.copy_from_slice(self.body);
        back.copy_from_slice(&self.back[..self.back_bytes]);
    }

    fn is_at(&self, bytes: &[u8]) -> bool {
        bytes.starts_with(&self.head) && bytes[self.head.len()..].starts_with(self.body)
    }
}

impl Node {
    pub fn of(item: &Item<'_>) -> Self {
        let mut node = Node::default();
        node.push_back(item);
        node
    }

    pub fn len(&self) -> usize {
        self.count as usize
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// What the items take.
    pub fn used_bytes(&self) -> usize {
        self.bytes.len() - self.first()
    }

    pub fn heap_bytes(&self) -> usize {
        self.bytes.capacity()
    }

    /// Where the first item stands.
    pub fn first(&self) -> usize {
        self.head as usize
    }

    pub fn end(&self) -> usize {
        self.bytes.len()
    }

    fn slack(used: usize, needed: usize) -> usize {
        if used + needed <= EXACT_BYTES {
            (used + needed).next_multiple_of(16) - used
        } else {
            needed + used / 4
        }
    }

    #[inline]
    pub fn push_back(&mut self, item: &Item<'_>) {
        let (at, needed) = (self.bytes.len(), item.bytes());
        if self.bytes.capacity() - at < needed {
            self.bytes.reserve_exact(Self::slack(at, needed));
        }
        self.bytes.resize(at + needed, 0);
        item.write(&mut self.bytes[at..]);
        self.count += 1;
    }

    #[inline]
    pub fn push_front(&mut self, item: &Item<'_>) {
        let needed = item.bytes();
        if self.first() < needed {
            let used = self.used_bytes();
            let front = Self::slack(used, needed);
            let mut bytes = Vec::with_capacity(front + used);
            bytes.resize(front, 0);
            bytes.extend_from_slice(&self.bytes[self.first()..]);
            self.bytes = bytes;
            self.head = front as u32;
        }
        let at = self.first() - needed;
        item.write(&mut self.bytes[at..at + needed]);
        self.head = at as u32;
        self.count += 1;
    }

    /// The item at `at`, and where the next one stands; `None` at the end.
    #[inline]
    pub fn get(&self, at: usize) -> Option<(Element<'_>, usize)> {
        let (element, length) = listpack::decode(self.bytes.get(at..)?)?;
        Some((element, at + length + listpack::back_length_bytes(length)))
    }

    /// Where the item stands that ends at `end`; `None` at the front.
    pub fn before(&self, end: usize) -> Option<usize> {
        if end <= self.first() {
            return None;
        }
        let (mut length, mut shift, mut at) = (0usize, 0, end);
        loop {
            at -= 1;
            let byte = *self.bytes.get(at)?;
            length |= usize::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 || shift > 28 {
                break;
            }
        }
        at.checked_sub(length)
    }

    /// Where the item of this number stands, sought from the nearer end.
    pub fn seek(&self, number: usize) -> usize {
        if number <= self.len() / 2 {
            let mut at = self.first();
            for _ in 0..number {
                let Some(length) = self.bytes.get(at..).and_then(listpack::encoded_bytes) else { break };
                at += length + listpack::back_length_bytes(length);
            }
            at
        } else {
            let mut at = self.end();
            for _ in number..self.len() {
                let Some(before) = self.before(at) else { break };
                at = before;
            }
            at
        }
    }

    /// Takes the first so many items away.
    pub fn drop_front(&mut self, count: usize) {
        self.head = self.seek(count) as u32;
        self.count -= count.min(self.len()) as u32;
        self.give_back();
    }

    /// Takes the last so many items away.
    pub fn drop_back(&mut self, count: usize) {
        let at = self.seek(self.len().saturating_sub(count));
        self.bytes.truncate(at);
        self.count -= count.min(self.len()) as u32;
        self.give_back();
    }

    /// When most of the memory is not used any more.
    #[inline]
    fn give_back(&mut self) {
        if self.bytes.capacity() > 2 * EXACT_BYTES && self.used_bytes() < self.bytes.capacity() / 4 {
            self.shrink();
        }
    }

    /// No more memory than the items need.
    pub fn shrink(&mut self) {
        if self.bytes.capacity() > self.used_bytes() {
            self.bytes = self.bytes[self.first()..].to_vec();
            self.head = 0;
        }
    }

    /// Puts an item before the one at `at`.
    pub fn insert(&mut self, at: usize, item: &Item<'_>) {
        let (end, needed) = (self.bytes.len(), item.bytes());
        self.bytes.resize(end + needed, 0);
        self.bytes.copy_within(at..end, at + needed);
        item.write(&mut self.bytes[at..at + needed]);
        self.count += 1;
    }

    /// Puts an item in the place of the one at `at`.
    pub fn set(&mut self, at: usize, item: &Item<'_>) {
        let next = self.get(at).map_or(at, |(_, next)| next);
        if next - at != item.bytes() {
            self.bytes.drain(at..next);
            self.count -= 1;
            self.insert(at, item);
        } else {
            item.write(&mut self.bytes[at..next]);
        }
    }

    /// The upper half of the items as a node of its own.
    pub fn split(&mut self) -> Node {
        let keep = self.len() / 2;
        let at = self.seek(keep);
        let upper = Node { bytes: self.bytes[at..].to_vec(), head: 0, count: self.count - keep as u32 };
        self.bytes.truncate(at);
        self.count = keep as u32;
        self.shrink();
        upper
    }

    /// Removes up to `limit` items equal to this one, the first or the last of them; how many.
    pub fn remove_equal(&mut self, item: &Item<'_>, limit: usize, from_back: bool) -> usize {
        let mut found: Vec<(usize, usize)> = Vec::new();
        let mut at = self.first();
        while let Some(length) = self.bytes.get(at..).and_then(listpack::encoded_bytes) {
            let next = at + length + listpack::back_length_bytes(length);
            if item.is_at(&self.bytes[at..]) {
                found.push((at, next));
                if !from_back && found.len() == limit {
                    break;
                }
            }
            at = next;
        }
        let gone = found.split_off(if from_back { found.len().saturating_sub(limit) } else { 0 });
        if gone.is_empty() {
            return 0;
        }
        let mut kept = Vec::with_capacity(self.used_bytes());
        let mut from = self.first();
        for &(at, next) in &gone {
            kept.extend_from_slice(&self.bytes[from..at]);
            from = next;
        }
        kept.extend_from_slice(&self.bytes[from..]);
        self.bytes = kept;
        self.head = 0;
        self.count -= gone.len() as u32;
        gone.len()
    }
}

const _: () = assert!(size_of::<Node>() == 32);
