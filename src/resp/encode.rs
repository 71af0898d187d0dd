//! Replies to bytes, straight into the session's output buffer. The writer knows the session's
//! protocol, so a handler says *map* or *null* once and each client gets its own shape.
//!
//! Promise: no reply can break the stream. Simple strings and errors lose CR, LF and NUL.

use crate::stdx::number::format_f64;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    #[default]
    Resp2,
    Resp3,
}

/// Writes replies of one session.
pub struct Writer<'a> {
    out: &'a mut Vec<u8>,
    protocol: Protocol,
}

impl<'a> Writer<'a> {
    pub fn new(out: &'a mut Vec<u8>, protocol: Protocol) -> Self {
        Writer { out, protocol }
    }

    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// From here on: HELLO answers in the protocol it has just agreed.
    pub fn set_protocol(&mut self, protocol: Protocol) {
        self.protocol = protocol;
    }

    /// Bytes in the buffer: a mark for [`Writer::truncate`].
    pub fn len(&self) -> usize {
        self.out.len()
    }

    pub fn is_empty(&self) -> bool {
        self.out.is_empty()
    }

    /// What was written since `mark`.
    pub fn since(&self, mark: usize) -> &[u8] {
        self.out.get(mark..).unwrap_or_default()
    }

    /// Takes back what was written since `mark`: an error replaces a half-written reply.
    pub fn truncate(&mut self, mark: usize) {
        self.out.truncate(mark);
    }

    /// Bytes that are already RESP.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    pub fn ok(&mut self) {
        self.raw(b"+OK\r\n");
    }

    pub fn simple(&mut self, text: &str) {
        self.line(b'+', text.as_bytes());
    }

    /// `text` begins with its code, as `ERR no such key`.
    pub fn error(&mut self, text: &str) {
        self.line(b'-', text.as_bytes());
    }

    pub fn integer(&mut self, value: i64) {
        self.number(b':', value);
    }

    pub fn bulk(&mut self, bytes: &[u8]) {
        self.number(b'$', bytes.len() as i64);
        self.raw(bytes);
        self.raw(b"\r\n");
    }

    pub fn bulk_integer(&mut self, value: i64) {
        let mut buffer = itoa::Buffer::new();
        self.bulk(buffer.format(value).as_bytes());
    }

    /// The null of a bulk position: `$-1` or `_`.
    pub fn null(&mut self) {
        self.raw(match self.protocol {
            Protocol::Resp2 => b"$-1\r\n",
            Protocol::Resp3 => b"_\r\n",
        });
    }

    /// The null of an array position: `*-1` or `_`.
    pub fn null_array(&mut self) {
        self.raw(match self.protocol {
            Protocol::Resp2 => b"*-1\r\n",
            Protocol::Resp3 => b"_\r\n",
        });
    }

    pub fn array(&mut self, len: usize) {
        self.number(b'*', len as i64);
    }

    /// `pairs` keys each with a value; a flat array in RESP2.
    pub fn map(&mut self, pairs: usize) {
        match self.protocol {
            Protocol::Resp2 => self.number(b'*', pairs as i64 * 2),
            Protocol::Resp3 => self.number(b'%', pairs as i64),
        }
    }

    pub fn set(&mut self, len: usize) {
        self.number(if self.protocol == Protocol::Resp3 { b'~' } else { b'*' }, len as i64);
    }

    /// Out-of-band data: a push in RESP3, an array in RESP2.
    pub fn push(&mut self, len: usize) {
        self.number(if self.protocol == Protocol::Resp3 { b'>' } else { b'*' }, len as i64);
    }

    pub fn boolean(&mut self, value: bool) {
        match (self.protocol, value) {
            (Protocol::Resp2, value) => self.integer(i64::from(value)),
            (Protocol::Resp3, true) => self.raw(b"#t\r\n"),
            (Protocol::Resp3, false) => self.raw(b"#f\r\n"),
        }
    }

    pub fn double(&mut self, value: f64) {
        let text = format_f64(value);
        match self.protocol {
            Protocol::Resp2 => self.bulk(text.as_bytes()),
            Protocol::Resp3 => self.line(b',', text.as_bytes()),
        }
    }

    /// Text with a format of three letters (`txt`); a bulk string in RESP2.
    pub fn verbatim(&mut self, format: &str, text: &str) {
        debug_assert_eq!(format.len(), 3);
        match self.protocol {
            Protocol::Resp2 => self.bulk(text.as_bytes()),
            Protocol::Resp3 => {
                self.number(b'=', text.len() as i64 + 4);
                self.raw(format.as_bytes());
                self.raw(b":");
                self.raw(text.as_bytes());
                self.raw(b"\r\n");
            }
        }
    }

    fn number(&mut self, kind: u8, value: i64) {
        let mut buffer = itoa::Buffer::new();
        self.out.push(kind);
        self.out.extend_from_slice(buffer.format(value).as_bytes());
        self.out.extend_from_slice(b"\r\n");
    }

    fn line(&mut self, kind: u8, text: &[u8]) {
        self.out.push(kind);
        if text.iter().any(|b| matches!(b, b'\r' | b'\n' | 0)) {
            self.out.extend(text.iter().map(|&b| if matches!(b, b'\r' | b'\n' | 0) { b' ' } else { b }));
        } else {
            self.out.extend_from_slice(text);
        }
        self.out.extend_from_slice(b"\r\n");
    }
}

/// A command as clients and links send it: an array of bulk strings.
pub fn command(out: &mut Vec<u8>, argv: &[impl AsRef<[u8]>]) {
    let mut writer = Writer::new(out, Protocol::Resp2);
    writer.array(argv.len());
    for word in argv {
        writer.bulk(word.as_ref());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_cannot_break_the_stream() {
        let mut out = Vec::new();
        Writer::new(&mut out, Protocol::Resp2).error("ERR bad\r\n+OK\0");
        assert_eq!(out, b"-ERR bad  +OK \r\n");
    }

    #[test]
    fn shapes_follow_the_protocol() {
        let write = |protocol| {
            let mut out = Vec::new();
            let mut writer = Writer::new(&mut out, protocol);
            writer.map(1);
            writer.null();
            writer.double(1.5);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(write(Protocol::Resp2), "*2\r\n$-1\r\n$3\r\n1.5\r\n");
        assert_eq!(write(Protocol::Resp3), "%1\r\n_\r\n,1.5\r\n");
    }
}
