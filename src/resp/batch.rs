//! All requests that stand complete in a connection's buffer, cut in one go, so that whoever runs
//! them is asked once per batch and not once per request.
//!
//! Holds positions, not bytes: the allocation is reused however long the connection lives.

use super::{Limits, Parser, ProtocolError};
use smallvec::SmallVec;
use std::ops::Range;

/// One request: its words, the name first.
pub type Argv<'b> = SmallVec<[&'b [u8]; 8]>;

/// Most requests of one batch; keeps one pipelining session from holding the engine for long.
pub const BATCH_REQUESTS_MAX: usize = 1024;

#[derive(Debug, Default)]
pub struct Batch {
    /// Words of all requests, in the buffer or (inline commands) in `unquoted`.
    words: Vec<Range<usize>>,
    /// Words of inline commands, whose quotes are gone.
    unquoted: Vec<u8>,
    requests: Vec<Request>,
}

#[derive(Debug)]
struct Request {
    words: Range<usize>,
    inline: bool,
    /// Where the next request begins in the buffer.
    end: usize,
}

impl Batch {
    pub fn len(&self) -> usize {
        self.requests.len()
    }

    pub fn is_empty(&self) -> bool {
        self.requests.is_empty()
    }

    /// Replaces the content by the complete requests at the front of `buffer`, at most `max` of
    /// them. On an error the requests before it stand and may be run.
    pub fn fill(
        &mut self,
        parser: &mut Parser,
        buffer: &[u8],
        limits: &Limits,
        max: usize,
    ) -> Result<(), ProtocolError> {
        self.words.clear();
        self.unquoted.clear();
        self.requests.clear();
        let mut at = 0;
        while self.requests.len() < max {
            let Some(used) = parser.cut(&buffer[at..], limits)? else { return Ok(()) };
            let first = self.words.len();
            let inline = parser.inline_words();
            if inline.is_empty() {
                self.words.extend(parser.word_ranges().iter().map(|word| at + word.start..at + word.end));
            } else {
                for word in inline {
                    let start = self.unquoted.len();
                    self.unquoted.extend_from_slice(word);
                    self.words.push(start..self.unquoted.len());
                }
            }
            let inline = !inline.is_empty();
            at += used;
            self.requests.push(Request { words: first..self.words.len(), inline, end: at });
        }
        Ok(())
    }

    /// The words of request `index`; empty for a request without words, which is to be skipped.
    pub fn argv<'b>(&'b self, index: usize, buffer: &'b [u8]) -> Argv<'b> {
        let request = &self.requests[index];
        let from = if request.inline { &self.unquoted[..] } else { buffer };
        self.words[request.words.clone()].iter().map(|word| &from[word.clone()]).collect()
    }

    /// One word of one request, if both are there.
    pub fn word<'b>(&'b self, index: usize, word: usize, buffer: &'b [u8]) -> Option<&'b [u8]> {
        let request = self.requests.get(index)?;
        let from = if request.inline { &self.unquoted[..] } else { buffer };
        self.words[request.words.clone()].get(word).map(|range| &from[range.clone()])
    }

    /// Bytes of the buffer that the first `count` requests take.
    pub fn bytes_of(&self, count: usize) -> usize {
        count.checked_sub(1).map_or(0, |last| self.requests[last].end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_what_is_complete_and_no_more() {
        let buffer = b"*2\r\n$3\r\nGET\r\n$1\r\na\r\nset 'x y' 1\r\n*1\r\n$4\r\nPI";
        let (mut batch, mut parser) = (Batch::default(), Parser::default());
        batch.fill(&mut parser, buffer, &Limits::AFTER_AUTH, 10).unwrap();
        assert_eq!(batch.len(), 2);
        assert_eq!(batch.argv(0, buffer).as_slice(), [&b"GET"[..], b"a"]);
        assert_eq!(batch.argv(1, buffer).as_slice(), [&b"set"[..], b"x y", b"1"]);
        assert_eq!((batch.word(1, 2, buffer), batch.word(0, 1, buffer)), (Some(&b"1"[..]), Some(&b"a"[..])));
        assert_eq!((batch.word(1, 3, buffer), batch.word(2, 0, buffer)), (None, None));
        assert_eq!(batch.bytes_of(0), 0);
        assert_eq!(&buffer[batch.bytes_of(2)..], b"*1\r\n$4\r\nPI");
    }
}
