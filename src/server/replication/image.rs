//! A full sync on its way: the chunks of one walk through the keyspace, shared by all replicas that
//! asked before its first chunk was dropped.
//!
//! Promise: memory is bounded by the slowest reader's window plus what the walk must write out
//! early; a reader that does not read is cut off by `repl-timeout`, so it cannot stop the walk.

use super::replica::{OutputLimit, Phase, Replica};
use crate::model::Offset;
use bytes::Bytes;
use std::collections::VecDeque;

/// What may wait on one connection; the rest stays here, where it is shared.
const OUTBOX_BYTES: usize = 1024 * 1024;
const CHUNK_BYTES_MAX: usize = 256 * 1024;
/// How far the walk may be ahead of its slowest reader. Late comers can share the walk as long as
/// all of its chunks fit in half of it.
const AHEAD_BYTES: usize = 16 * 1024 * 1024;
/// The largest image for a reader that must be told its length first (no `capa eof`).
const WHOLE_BYTES: usize = 256 * 1024 * 1024;
/// Of the mark that ends an image whose length was not announced.
pub const MARK_BYTES: usize = 40;

#[derive(Debug)]
pub struct Image {
    /// The stream offset that the image stands for.
    pub offset: Offset,
    mark: [u8; MARK_BYTES],
    chunks: VecDeque<Bytes>,
    /// Number of the first chunk kept.
    first: u64,
    bytes: usize,
    /// Of the whole image so far.
    produced_bytes: u64,
    complete: bool,
}

impl Image {
    pub fn new(offset: Offset, mark: [u8; MARK_BYTES]) -> Self {
        Image {
            offset,
            mark,
            chunks: VecDeque::new(),
            first: 0,
            bytes: 0,
            produced_bytes: 0,
            complete: false,
        }
    }

    /// In pieces: what writes made the walk write out early may be more at once than a connection may hold.
    pub fn push(&mut self, bytes: Vec<u8>) {
        self.bytes += bytes.len();
        self.produced_bytes += bytes.len() as u64;
        let mut rest = Bytes::from(bytes);
        while !rest.is_empty() {
            let chunk = rest.split_to(rest.len().min(CHUNK_BYTES_MAX));
            self.chunks.push_back(chunk);
        }
    }

    pub fn finish(&mut self) {
        self.complete = true;
    }

    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// The walk should go on: readers could soon be out of work, or wait for all of it (`whole`).
    pub fn is_hungry(&self, whole: bool) -> bool {
        !self.complete && self.bytes < if whole { WHOLE_BYTES } else { AHEAD_BYTES }
    }

    /// Too big for a reader that must be told its length first.
    pub fn is_beyond_whole(&self) -> bool {
        self.bytes >= WHOLE_BYTES
    }

    /// A replica may still read it from its beginning.
    pub fn is_whole(&self) -> bool {
        self.first == 0
    }

    /// The line that announces the image.
    pub fn head(&self, replica: &Replica) -> Option<Bytes> {
        if replica.takes_eof_mark {
            let mut head = b"$EOF:".to_vec();
            head.extend_from_slice(&self.mark);
            head.extend_from_slice(b"\r\n");
            Some(head.into())
        } else {
            // Old readers must be told the length first, so the whole image waits for them here.
            self.complete.then(|| format!("${}\r\n", self.produced_bytes).into())
        }
    }

    /// Puts what fits on the connection of `replica`; moves it on when all is sent.
    pub fn serve(&self, replica: &mut Replica, limit: &OutputLimit) {
        let Phase::Image { mut next_chunk } = replica.phase else { return };
        if next_chunk == 0 {
            // Chunk 0 is the head; the image's own chunks count from 1.
            let Some(head) = self.head(replica) else { return };
            replica.send(head, limit);
            next_chunk = 1;
        }
        while replica.outbox_bytes() < OUTBOX_BYTES && !replica.is_closed {
            let Some(index) = (next_chunk - 1).checked_sub(self.first) else {
                replica.close();
                return;
            };
            let Some(chunk) = self.chunks.get(index as usize) else { break };
            replica.send(chunk.clone(), limit);
            next_chunk += 1;
        }
        replica.phase = Phase::Image { next_chunk };
        if self.complete && next_chunk > self.first + self.chunks.len() as u64 {
            if replica.takes_eof_mark {
                replica.send(Bytes::copy_from_slice(&self.mark), limit);
            }
            replica.has_image(limit);
        }
    }

    /// Drops chunks that every reader has, once the image is too big to be kept for late comers.
    /// `slowest`: the lowest `next_chunk` of all readers.
    pub fn trim(&mut self, slowest: Option<u64>) {
        let upto = slowest.unwrap_or(0).saturating_sub(1);
        while self.bytes > AHEAD_BYTES / 2 && self.first < upto {
            let Some(chunk) = self.chunks.pop_front() else { return };
            self.bytes -= chunk.len();
            self.first += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Found with a gigabyte under load: writes had made the walk write out more than a replica's connection
    /// may hold, as one chunk, so every replica was cut off and every sync began again.
    #[test]
    fn what_comes_at_once_goes_in_pieces() {
        let mut image = Image::new(0, [b'x'; MARK_BYTES]);
        image.push(vec![1; 3 * CHUNK_BYTES_MAX + 1]);
        image.push(Vec::new());
        let lengths: Vec<usize> = image.chunks.iter().map(Bytes::len).collect();
        assert_eq!(lengths, [CHUNK_BYTES_MAX, CHUNK_BYTES_MAX, CHUNK_BYTES_MAX, 1]);
        assert_eq!(image.bytes, 3 * CHUNK_BYTES_MAX + 1);
    }
}
