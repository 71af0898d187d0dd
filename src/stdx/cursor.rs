//! Bytes read front to back, and written the same way: little-endian numbers, lengths before what
//! they measure. Total on any bytes: every read checks what is left and what the caller allows, and
//! nothing is reserved on the word of a length that was read.

/// Why bytes were refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    #[error("it ends in the middle of a value")]
    Short,
    #[error("bytes are left over at its end")]
    Trailing,
    #[error("a length is larger than allowed")]
    TooLong,
    #[error("it holds a value that has no meaning here")]
    Meaningless,
}

/// What is still to be read.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Reader { rest: bytes }
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (head, rest) = self.rest.split_at_checked(count).ok_or(Malformed::Short)?;
        self.rest = rest;
        Ok(head)
    }

    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        self.take(N)?.try_into().map_err(|_| Malformed::Short)
    }

    pub fn u8(&mut self) -> Result<u8, Malformed> {
        Ok(self.array::<1>()?[0])
    }

    pub fn u16(&mut self) -> Result<u16, Malformed> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    pub fn u32(&mut self) -> Result<u32, Malformed> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub fn u64(&mut self) -> Result<u64, Malformed> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    pub fn flag(&mut self) -> Result<bool, Malformed> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Malformed::Meaningless),
        }
    }

    /// A value that may be absent, read by `read` when it is there.
    pub fn option<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, Malformed>,
    ) -> Result<Option<T>, Malformed> {
        if self.flag()? { read(self).map(Some) } else { Ok(None) }
    }

    /// How many items follow: at most `max`, and no more than could fit in what is left when each
    /// takes at least `least_bytes`.
    pub fn count(&mut self, max: usize, least_bytes: usize) -> Result<usize, Malformed> {
        let count = self.u32()? as usize;
        if count > max {
            return Err(Malformed::TooLong);
        }
        if count.saturating_mul(least_bytes) > self.rest.len() {
            return Err(Malformed::Short);
        }
        Ok(count)
    }

    pub fn bytes(&mut self, max: usize) -> Result<&'a [u8], Malformed> {
        let length = self.u32()? as usize;
        if length > max {
            return Err(Malformed::TooLong);
        }
        self.take(length)
    }

    pub fn text(&mut self, max: usize) -> Result<&'a str, Malformed> {
        std::str::from_utf8(self.bytes(max)?).map_err(|_| Malformed::Meaningless)
    }

    /// Everything must have been read.
    pub fn end(self) -> Result<(), Malformed> {
        if self.rest.is_empty() { Ok(()) } else { Err(Malformed::Trailing) }
    }
}

/// Writes what [`Reader`] reads.
pub trait Put {
    fn put(&mut self, bytes: &[u8]);

    fn put_u8(&mut self, value: u8) {
        self.put(&[value]);
    }

    fn put_u16(&mut self, value: u16) {
        self.put(&value.to_le_bytes());
    }

    fn put_u32(&mut self, value: u32) {
        self.put(&value.to_le_bytes());
    }

    fn put_u64(&mut self, value: u64) {
        self.put(&value.to_le_bytes());
    }

    fn put_flag(&mut self, value: bool) {
        self.put_u8(u8::from(value));
    }

    /// Lengths are 32 bits wide; no frame of ours comes near that.
    fn put_count(&mut self, count: usize) {
        self.put_u32(u32::try_from(count).unwrap_or(u32::MAX));
    }

    fn put_bytes(&mut self, bytes: &[u8]) {
        self.put_count(bytes.len());
        self.put(bytes);
    }

    fn put_option<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T))
    where
        Self: Sized,
    {
        self.put_flag(value.is_some());
        if let Some(value) = value {
            write(self, value);
        }
    }
}

impl Put for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_back_and_nothing_may_be_left() {
        let mut bytes = Vec::new();
        bytes.put_u16(7);
        bytes.put_bytes("päar".as_bytes());
        bytes.put_option(Some(9u64), |out, value| out.put_u64(value));
        bytes.put_flag(true);
        let mut reader = Reader::new(&bytes);
        assert_eq!(reader.u16(), Ok(7));
        assert_eq!(reader.text(10), Ok("päar"));
        assert_eq!(reader.option(Reader::u64), Ok(Some(9)));
        assert_eq!(reader.end(), Err(Malformed::Trailing));
        assert_eq!(reader.flag(), Ok(true));
        assert_eq!(reader.end(), Ok(()));
    }

    #[test]
    fn a_length_is_believed_only_within_bounds_and_bytes_at_hand() {
        let mut bytes = Vec::new();
        bytes.put_u32(u32::MAX);
        assert_eq!(Reader::new(&bytes).bytes(16), Err(Malformed::TooLong));
        assert_eq!(Reader::new(&bytes).bytes(usize::MAX), Err(Malformed::Short));
        assert_eq!(Reader::new(&bytes).count(usize::MAX, 8), Err(Malformed::Short));
        assert_eq!(Reader::new(&[2]).flag(), Err(Malformed::Meaningless));
    }
}
