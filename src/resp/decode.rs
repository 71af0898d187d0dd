//! Requests cut from bytes: arrays of bulk strings, and inline commands as people type them.
//!
//! Promises: an answer depends only on the bytes, never on how they were split; memory follows the
//! bytes that arrived, never a length that was announced; line ends are CRLF (inline commands may
//! end with LF alone, as telnet sends them). After an error the connection is of no more use.

pub use crate::stdx::words::split_words;
use std::ops::Range;

/// What one request may hold. Stricter before AUTH.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub args_max: usize,
    pub bulk_bytes_max: usize,
    pub inline_bytes_max: usize,
    /// Of one whole request: the most that waits in the input buffer.
    pub request_bytes_max: usize,
}

impl Limits {
    pub const BEFORE_AUTH: Limits = Limits {
        args_max: 10,
        bulk_bytes_max: 16 * 1024,
        inline_bytes_max: 4 * 1024,
        request_bytes_max: 64 * 1024,
    };
    pub const AFTER_AUTH: Limits = Limits {
        args_max: 1024 * 1024,
        bulk_bytes_max: 512 * 1024 * 1024,
        inline_bytes_max: 64 * 1024,
        request_bytes_max: 1024 * 1024 * 1024,
    };
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    #[error("Protocol error: invalid multibulk length")]
    ArgumentCount,
    #[error("Protocol error: unauthenticated multibulk length")]
    ArgumentCountBeforeAuth,
    #[error("Protocol error: invalid bulk length")]
    BulkLength,
    #[error("Protocol error: unauthenticated bulk length")]
    BulkLengthBeforeAuth,
    #[error("Protocol error: expected '$', got '{0}'")]
    ExpectedBulk(char),
    #[error("Protocol error: expected CRLF")]
    ExpectedCrlf,
    #[error("Protocol error: too big mbulk count string")]
    LineTooLong,
    #[error("Protocol error: too big inline request")]
    InlineTooLong,
    #[error("Protocol error: too big request")]
    RequestTooLong,
    #[error("Protocol error: unbalanced quotes in request")]
    UnbalancedQuotes,
    /// A browser or a forged cross-protocol request: the connection is closed without an answer.
    #[error("HTTP is not spoken here")]
    Http,
    #[error("TLS is not spoken on this port")]
    Tls,
}

/// The longest `*count` or `$length` line.
const HEADER_BYTES_MAX: usize = 32;

/// Cuts one request at a time from the front of a buffer and remembers how far it got, so bytes
/// are looked at once however they were split.
#[derive(Debug, Default)]
pub struct Parser {
    /// Where each word stands in the buffer.
    words: Vec<Range<usize>>,
    /// Words of an inline command, unquoted; used instead of `words` when not empty.
    inline: Vec<Vec<u8>>,
    /// Words still to come; `None` between requests.
    missing: Option<usize>,
    /// Bytes already cut.
    position: usize,
}

impl Parser {
    /// Tries to cut one request from the front of `buffer`: how many bytes it took, or `None` when
    /// more must arrive. After `Some(n)` the words are read with [`Parser::words`] from the same
    /// buffer, then the caller drops `n` bytes. A request without words (`*0`) yields none.
    pub fn cut(&mut self, buffer: &[u8], limits: &Limits) -> Result<Option<usize>, ProtocolError> {
        if self.missing.is_none() {
            self.words.clear();
            self.inline.clear();
            self.position = 0;
            match buffer.first() {
                None => return Ok(None),
                Some(b'*') => {}
                Some(0x16) => return Err(ProtocolError::Tls),
                Some(_) => return self.cut_inline(buffer, limits),
            }
            let Some((count, next)) = header(buffer, 0, ProtocolError::ArgumentCount)? else {
                return Ok(None);
            };
            if count > limits.args_max as i64 {
                return Err(if limits.args_max <= Limits::BEFORE_AUTH.args_max {
                    ProtocolError::ArgumentCountBeforeAuth
                } else {
                    ProtocolError::ArgumentCount
                });
            }
            self.position = next;
            self.missing = Some(count.max(0) as usize);
        }
        while let Some(missing) = self.missing.filter(|&missing| missing > 0) {
            if !self.cut_bulk(buffer, limits)? {
                if buffer.len() > limits.request_bytes_max {
                    return Err(ProtocolError::RequestTooLong);
                }
                return Ok(None);
            }
            self.missing = Some(missing - 1);
        }
        self.missing = None;
        Ok(Some(self.position))
    }

    /// The words of the request just cut, borrowed from the buffer it was cut from.
    pub fn words<'b>(&'b self, buffer: &'b [u8], into: &mut smallvec::SmallVec<[&'b [u8]; 8]>) {
        into.clear();
        if self.inline.is_empty() {
            into.extend(self.words.iter().map(|range| &buffer[range.clone()]));
        } else {
            into.extend(self.inline.iter().map(Vec::as_slice));
        }
    }

    /// Where the words of the request just cut stand; empty for an inline command.
    pub(super) fn word_ranges(&self) -> &[Range<usize>] {
        &self.words
    }

    /// The words of the inline command just cut; empty for an array.
    pub(super) fn inline_words(&self) -> &[Vec<u8>] {
        &self.inline
    }

    /// How many bytes the request being cut is known to need in all: a hint for the read buffer.
    pub fn is_between_requests(&self) -> bool {
        self.missing.is_none()
    }

    fn cut_bulk(&mut self, buffer: &[u8], limits: &Limits) -> Result<bool, ProtocolError> {
        match buffer.get(self.position) {
            None => return Ok(false),
            Some(b'$') => {}
            Some(&other) => return Err(ProtocolError::ExpectedBulk(printable(other))),
        }
        let Some((length, start)) = header(buffer, self.position, ProtocolError::BulkLength)? else {
            return Ok(false);
        };
        let length = usize::try_from(length).map_err(|_| ProtocolError::BulkLength)?;
        if length > limits.bulk_bytes_max {
            return Err(if limits.bulk_bytes_max <= Limits::BEFORE_AUTH.bulk_bytes_max {
                ProtocolError::BulkLengthBeforeAuth
            } else {
                ProtocolError::BulkLength
            });
        }
        let end = start + length;
        match buffer.get(end..end + 2) {
            None => return Ok(false),
            Some(b"\r\n") => {}
            Some(_) => return Err(ProtocolError::ExpectedCrlf),
        }
        self.words.push(start..end);
        self.position = end + 2;
        Ok(true)
    }

    fn cut_inline(&mut self, buffer: &[u8], limits: &Limits) -> Result<Option<usize>, ProtocolError> {
        let head = &buffer[..buffer.len().min(limits.inline_bytes_max + 2)];
        let Some(newline) = memchr::memchr(b'\n', head) else {
            return if head.len() > limits.inline_bytes_max {
                Err(ProtocolError::InlineTooLong)
            } else {
                Ok(None)
            };
        };
        let line = &buffer[..newline];
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        self.inline = split_words(line).ok_or(ProtocolError::UnbalancedQuotes)?;
        if self.inline.len() > limits.args_max {
            return Err(ProtocolError::ArgumentCountBeforeAuth);
        }
        if self.inline.first().is_some_and(|word| is_http(word)) {
            return Err(ProtocolError::Http);
        }
        Ok(Some(newline + 1))
    }
}

/// Words by which HTTP shows itself; Redis closes on `POST` and `Host:` for the same reason.
fn is_http(word: &[u8]) -> bool {
    const VERBS: [&[u8]; 8] =
        [b"post", b"host:", b"put", b"head", b"options", b"connect", b"patch", b"delete"];
    VERBS.iter().any(|verb| word.eq_ignore_ascii_case(verb))
}

fn printable(byte: u8) -> char {
    if byte.is_ascii_graphic() { byte as char } else { '?' }
}

/// The number of a `*` or `$` line that begins at `at`, and where the next line begins.
fn header(buffer: &[u8], at: usize, bad: ProtocolError) -> Result<Option<(i64, usize)>, ProtocolError> {
    let line = &buffer[at + 1..];
    // Most headers are one or two digits: a hand-made loop beats a search.
    let mut value: i64 = 0;
    let mut digits = 0;
    let mut index = 0;
    let negative = line.first() == Some(&b'-');
    if negative {
        index = 1;
    }
    loop {
        match line.get(index) {
            None => {
                return if index >= HEADER_BYTES_MAX { Err(ProtocolError::LineTooLong) } else { Ok(None) };
            }
            Some(digit @ b'0'..=b'9') => {
                value = value
                    .checked_mul(10)
                    .and_then(|v| v.checked_add(i64::from(digit - b'0')))
                    .ok_or(bad.clone())?;
                digits += 1;
                index += 1;
            }
            Some(b'\r') => break,
            Some(_) => return Err(bad),
        }
    }
    if digits == 0 {
        return Err(bad);
    }
    match line.get(index + 1) {
        None => Ok(None),
        Some(b'\n') => Ok(Some((if negative { -value } else { value }, at + 1 + index + 2))),
        Some(_) => Err(bad),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Requests = Vec<Vec<Vec<u8>>>;

    /// Feeds `bytes` in pieces of `step` and returns all requests, or the error.
    fn run(bytes: &[u8], step: usize, limits: &Limits) -> Result<Requests, ProtocolError> {
        let mut parser = Parser::default();
        let mut buffer = Vec::new();
        let mut requests = Vec::new();
        for piece in bytes.chunks(step) {
            buffer.extend_from_slice(piece);
            while let Some(used) = parser.cut(&buffer, limits)? {
                {
                    let mut words = smallvec::SmallVec::new();
                    parser.words(&buffer, &mut words);
                    requests.push(words.iter().map(|word| word.to_vec()).collect());
                }
                buffer.drain(..used);
            }
        }
        Ok(requests)
    }

    #[test]
    fn splitting_changes_nothing() {
        let bytes =
            b"*2\r\n$3\r\nGET\r\n$0\r\n\r\nPING \"a b\\x41\"\r\n*0\r\n*1\r\n$4\r\nPING\r\nset k 'v'\n";
        let whole = run(bytes, bytes.len(), &Limits::AFTER_AUTH).unwrap();
        assert_eq!(whole.len(), 5);
        assert_eq!(whole[1][1], b"a bA");
        for step in 1..bytes.len() {
            assert_eq!(run(bytes, step, &Limits::AFTER_AUTH).unwrap(), whole, "pieces of {step}");
        }
    }

    #[test]
    fn bad_bytes_are_refused_by_name() {
        for (bytes, error) in [
            (&b"*x\r\n"[..], ProtocolError::ArgumentCount),
            (b"*9999999999999999999999\r\n", ProtocolError::ArgumentCount),
            (b"*1\r\n:1\r\n", ProtocolError::ExpectedBulk(':')),
            (b"*1\r\n$-1\r\n", ProtocolError::BulkLength),
            (b"*1\r\n$9223372036854775807\r\n", ProtocolError::BulkLength),
            (b"*1\r\n$4\r\nPINGxx", ProtocolError::ExpectedCrlf),
            (b"*1\n$4\r\nPING\r\n", ProtocolError::ArgumentCount),
            (b"POST / HTTP/1.1\r\n", ProtocolError::Http),
            (b"Host: x\r\n", ProtocolError::Http),
            (b"set k \"v\r\n", ProtocolError::UnbalancedQuotes),
            (b"\x16\x03\x01", ProtocolError::Tls),
        ] {
            assert_eq!(
                run(bytes, 1, &Limits::AFTER_AUTH),
                Err(error),
                "{:?}",
                String::from_utf8_lossy(bytes)
            );
        }
    }

    #[test]
    fn before_auth_the_caps_are_small() {
        let before = &Limits::BEFORE_AUTH;
        assert_eq!(run(b"*11\r\n", 9, before), Err(ProtocolError::ArgumentCountBeforeAuth));
        assert_eq!(run(b"*1\r\n$16385\r\n", 9, before), Err(ProtocolError::BulkLengthBeforeAuth));
        assert_eq!(run(&[b'a'; 5000], 100, before), Err(ProtocolError::InlineTooLong));
    }
}
