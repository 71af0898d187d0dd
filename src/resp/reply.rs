//! Replies as values: what links read from servers they probe, and what tests compare.
//!
//! Promise: total on hostile bytes. Nesting, counts and sizes are bounded by the caller's limit, and
//! nothing is allocated for bytes that have not arrived.

/// The answer as a value.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    Simple(String),
    Error(String),
    Integer(i64),
    Bulk(Vec<u8>),
    Null,
    Array(Vec<Reply>),
    Map(Vec<(Reply, Reply)>),
    Set(Vec<Reply>),
    Push(Vec<Reply>),
    Double(f64),
    Boolean(bool),
    /// Big numbers and verbatim strings, as their text.
    Text(String),
}

impl Reply {
    /// The bytes of a simple, bulk or verbatim string.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Reply::Simple(text) | Reply::Text(text) => Some(text.as_bytes()),
            Reply::Bulk(bytes) => Some(bytes),
            _ => None,
        }
    }

    pub fn as_str(&self) -> Option<&str> {
        std::str::from_utf8(self.as_bytes()?).ok()
    }

    /// An integer, or a string that is one.
    pub fn as_integer(&self) -> Option<i64> {
        match self {
            Reply::Integer(value) => Some(*value),
            other => other.as_str()?.parse().ok(),
        }
    }

    pub fn as_array(&self) -> Option<&[Reply]> {
        match self {
            Reply::Array(items) | Reply::Set(items) | Reply::Push(items) => Some(items),
            _ => None,
        }
    }

    pub fn is_ok(&self) -> bool {
        matches!(self, Reply::Simple(text) if text == "OK")
    }

    pub fn error(&self) -> Option<&str> {
        match self {
            Reply::Error(text) => Some(text),
            _ => None,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed reply: {0}")]
pub struct BadReply(pub &'static str);

const DEPTH_MAX: usize = 16;

/// Cuts one reply from the front of `buffer`: it and the bytes it took, or `None` when more must
/// arrive. A reply of more than `bytes_max` bytes is refused.
pub fn parse(buffer: &[u8], bytes_max: usize) -> Result<Option<(Reply, usize)>, BadReply> {
    let mut cursor = Cursor { buffer, position: 0, bytes_max };
    match cursor.reply(0) {
        Ok(reply) => Ok(Some((reply, cursor.position))),
        Err(Stop::Bad(what)) => Err(BadReply(what)),
        Err(Stop::More) if buffer.len() > bytes_max => Err(BadReply("longer than allowed")),
        Err(Stop::More) => Ok(None),
    }
}

enum Stop {
    More,
    Bad(&'static str),
}

struct Cursor<'a> {
    buffer: &'a [u8],
    position: usize,
    bytes_max: usize,
}

impl<'a> Cursor<'a> {
    fn reply(&mut self, depth: usize) -> Result<Reply, Stop> {
        if depth > DEPTH_MAX {
            return Err(Stop::Bad("nested too deep"));
        }
        let line = self.line()?;
        let (&kind, rest) = line.split_first().ok_or(Stop::Bad("empty line"))?;
        match kind {
            b'+' => Ok(Reply::Simple(text(rest))),
            b'-' => Ok(Reply::Error(text(rest))),
            b':' => Ok(Reply::Integer(number(rest)?)),
            b'$' => Ok(self.bulk(rest)?.map_or(Reply::Null, |bytes| Reply::Bulk(bytes.to_vec()))),
            b'!' => Ok(self.bulk(rest)?.map_or(Reply::Null, |bytes| Reply::Error(text(bytes)))),
            b'=' => Ok(self
                .bulk(rest)?
                .map_or(Reply::Null, |bytes| Reply::Text(text(bytes.get(4..).unwrap_or(b""))))),
            b'(' => Ok(Reply::Text(text(rest))),
            b'_' => Ok(Reply::Null),
            b'#' => Ok(Reply::Boolean(rest == b"t")),
            b',' => crate::stdx::number::parse_f64(rest).map(Reply::Double).ok_or(Stop::Bad("not a double")),
            b'*' => Ok(self.items(rest, depth)?.map_or(Reply::Null, Reply::Array)),
            b'~' => Ok(self.items(rest, depth)?.map_or(Reply::Null, Reply::Set)),
            b'>' => Ok(self.items(rest, depth)?.map_or(Reply::Null, Reply::Push)),
            b'%' => self.map(rest, depth),
            _ => Err(Stop::Bad("unknown type byte")),
        }
    }

    fn line(&mut self) -> Result<&'a [u8], Stop> {
        let rest = &self.buffer[self.position..];
        let end = memchr::memchr(b'\n', rest).ok_or(Stop::More)?;
        let line = rest[..end].strip_suffix(b"\r").ok_or(Stop::Bad("line without CRLF"))?;
        self.position += end + 1;
        Ok(line)
    }

    fn bulk(&mut self, header: &[u8]) -> Result<Option<&'a [u8]>, Stop> {
        let length = number(header)?;
        if length == -1 {
            return Ok(None);
        }
        let length = usize::try_from(length).map_err(|_| Stop::Bad("negative length"))?;
        if length > self.bytes_max {
            return Err(Stop::Bad("longer than allowed"));
        }
        let start = self.position;
        let bytes = self.buffer.get(start..start + length).ok_or(Stop::More)?;
        match self.buffer.get(start + length..start + length + 2) {
            None => Err(Stop::More),
            Some(b"\r\n") => {
                self.position = start + length + 2;
                Ok(Some(bytes))
            }
            Some(_) => Err(Stop::Bad("bulk without CRLF")),
        }
    }

    fn items(&mut self, header: &[u8], depth: usize) -> Result<Option<Vec<Reply>>, Stop> {
        let count = number(header)?;
        if count == -1 {
            return Ok(None);
        }
        let count = usize::try_from(count).map_err(|_| Stop::Bad("negative count"))?;
        if count > self.bytes_max {
            return Err(Stop::Bad("more items than allowed"));
        }
        let mut items = Vec::new();
        for _ in 0..count {
            items.push(self.reply(depth + 1)?);
        }
        Ok(Some(items))
    }

    fn map(&mut self, header: &[u8], depth: usize) -> Result<Reply, Stop> {
        let count = usize::try_from(number(header)?).map_err(|_| Stop::Bad("negative count"))?;
        if count > self.bytes_max {
            return Err(Stop::Bad("more items than allowed"));
        }
        let mut pairs = Vec::new();
        for _ in 0..count {
            let key = self.reply(depth + 1)?;
            pairs.push((key, self.reply(depth + 1)?));
        }
        Ok(Reply::Map(pairs))
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn number(bytes: &[u8]) -> Result<i64, Stop> {
    std::str::from_utf8(bytes).ok().and_then(|text| text.parse().ok()).ok_or(Stop::Bad("not a number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_shape_at_every_split() {
        let bytes = b"*6\r\n+OK\r\n$3\r\na\r\n\r\n:7\r\n$-1\r\n%1\r\n+k\r\n,1.5\r\n*-1\r\n";
        let (reply, used) = parse(bytes, 1000).unwrap().unwrap();
        assert_eq!(used, bytes.len());
        assert_eq!(reply.as_array().map(<[Reply]>::len), Some(6));
        for end in 0..bytes.len() {
            assert_eq!(parse(&bytes[..end], 1000), Ok(None), "{end}");
        }
    }

    #[test]
    fn hostile_lengths_cost_nothing() {
        assert!(parse(b"*1000000000\r\n", 1 << 20).is_err());
        assert!(parse(b"$99999999999\r\n", 1 << 20).is_err());
        assert!(parse("*1\r\n".repeat(100).as_bytes(), 1 << 20).is_err());
    }
}
