//! Bytes of an image in order, counted and summed as they are used.

use super::error::RdbError;
use crc_fast::{CrcAlgorithm, Digest};
use std::io::Read;

const BUFFER_BYTES: usize = 64 * 1024;
/// A long string grows by at most this much at a time, so an announced length costs nothing.
const STEP_BYTES: usize = 1024 * 1024;

pub(super) struct Source<R> {
    from: R,
    buffer: Vec<u8>,
    position: usize,
    /// Where the bytes begin that the sum has not taken yet.
    unsummed: usize,
    end: usize,
    /// Bytes used before those in the buffer.
    before: u64,
    digest: Digest,
}

impl<R: Read> Source<R> {
    pub(super) fn new(from: R) -> Self {
        Source {
            from,
            buffer: vec![0; BUFFER_BYTES],
            position: 0,
            unsummed: 0,
            end: 0,
            before: 0,
            digest: Digest::new(CrcAlgorithm::Crc64Redis),
        }
    }

    pub(super) fn offset(&self) -> u64 {
        self.before + self.position as u64
    }

    /// The sum of all bytes used so far.
    pub(super) fn sum(&mut self) -> u64 {
        self.settle();
        self.digest.finalize()
    }

    pub(super) fn malformed(&self, what: &'static str) -> RdbError {
        RdbError::Malformed { at: self.offset(), what }
    }

    fn settle(&mut self) {
        self.digest.update(&self.buffer[self.unsummed..self.position]);
        self.unsummed = self.position;
    }

    fn refill(&mut self) -> Result<(), RdbError> {
        self.settle();
        self.before += self.position as u64;
        self.position = 0;
        self.unsummed = 0;
        self.end = 0;
        loop {
            match self.from.read(&mut self.buffer) {
                Ok(0) => return Err(RdbError::Truncated(self.before)),
                Ok(count) => {
                    self.end = count;
                    return Ok(());
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(RdbError::Io(error.to_string())),
            }
        }
    }

    pub(super) fn byte(&mut self) -> Result<u8, RdbError> {
        if self.position == self.end {
            self.refill()?;
        }
        let byte = self.buffer[self.position];
        self.position += 1;
        Ok(byte)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], RdbError> {
        let mut array = [0; N];
        for slot in &mut array {
            *slot = self.byte()?;
        }
        Ok(array)
    }

    pub(super) fn bytes(&mut self, length: u64) -> Result<Vec<u8>, RdbError> {
        let mut missing = usize::try_from(length).map_err(|_| self.malformed("length beyond memory"))?;
        let mut bytes = Vec::with_capacity(missing.min(STEP_BYTES));
        while missing > 0 {
            if self.position == self.end {
                self.refill()?;
            }
            let count = missing.min(self.end - self.position);
            bytes.extend_from_slice(&self.buffer[self.position..self.position + count]);
            self.position += count;
            missing -= count;
        }
        Ok(bytes)
    }
}
