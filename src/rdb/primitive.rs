//! Lengths, strings and doubles as RDB writes them; both directions.

use super::error::RdbError;
use super::lzf;
use super::source::Source;
use std::io::Read;

/// What a length byte announces.
enum Length {
    Plain(u64),
    /// A string in special clothes: 0..2 an integer, 3 compressed.
    Encoded(u8),
}

impl<R: Read> Source<R> {
    fn length_or_encoding(&mut self) -> Result<Length, RdbError> {
        let first = self.byte()?;
        Ok(match first >> 6 {
            0 => Length::Plain(u64::from(first & 0x3f)),
            1 => Length::Plain(u64::from(first & 0x3f) << 8 | u64::from(self.byte()?)),
            2 if first == 0x80 => Length::Plain(u64::from(u32::from_be_bytes(self.array()?))),
            2 if first == 0x81 => Length::Plain(u64::from_be_bytes(self.array()?)),
            3 => Length::Encoded(first & 0x3f),
            _ => return Err(self.malformed("unknown length form")),
        })
    }

    pub(super) fn length(&mut self) -> Result<u64, RdbError> {
        match self.length_or_encoding()? {
            Length::Plain(length) => Ok(length),
            Length::Encoded(_) => Err(self.malformed("a string encoding stands where a length belongs")),
        }
    }

    pub(super) fn string(&mut self) -> Result<Vec<u8>, RdbError> {
        let integer = match self.length_or_encoding()? {
            Length::Plain(length) => return self.bytes(length),
            Length::Encoded(0) => i64::from(i8::from_le_bytes(self.array()?)),
            Length::Encoded(1) => i64::from(i16::from_le_bytes(self.array()?)),
            Length::Encoded(2) => i64::from(i32::from_le_bytes(self.array()?)),
            Length::Encoded(3) => {
                let packed = self.length()?;
                let length = self.length()?;
                let length = usize::try_from(length).map_err(|_| self.malformed("length beyond memory"))?;
                let packed = self.bytes(packed)?;
                return lzf::unpack(&packed, length).map_err(|bad| bad.at(self.offset()));
            }
            Length::Encoded(_) => return Err(self.malformed("unknown string encoding")),
        };
        Ok(itoa::Buffer::new().format(integer).as_bytes().to_vec())
    }

    /// A score as text, from before RDB version 8.
    pub(super) fn text_double(&mut self) -> Result<f64, RdbError> {
        let value = match self.byte()? {
            253 => f64::NAN,
            254 => f64::INFINITY,
            255 => f64::NEG_INFINITY,
            length => {
                let text = self.bytes(u64::from(length))?;
                crate::stdx::number::parse_f64(&text).ok_or_else(|| self.malformed("not a number"))?
            }
        };
        self.score(value)
    }

    pub(super) fn binary_double(&mut self) -> Result<f64, RdbError> {
        let value = f64::from_le_bytes(self.array()?);
        self.score(value)
    }

    fn score(&self, value: f64) -> Result<f64, RdbError> {
        if value.is_nan() { Err(self.malformed("a score that is not a number")) } else { Ok(value) }
    }
}

pub(super) fn put_length(out: &mut Vec<u8>, length: u64) {
    match length {
        0..=0x3f => out.push(length as u8),
        0x40..=0x3fff => out.extend_from_slice(&(0x4000 | length as u16).to_be_bytes()),
        0x4000..=0xffff_ffff => {
            out.push(0x80);
            out.extend_from_slice(&(length as u32).to_be_bytes());
        }
        _ => {
            out.push(0x81);
            out.extend_from_slice(&length.to_be_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::output::Output;
    use super::*;

    const LONG: &str = "one and one and one and one and one and one";

    #[test]
    fn strings_and_lengths_come_back() {
        for text in ["", "0", "-1", "127", "128", "-32768", "65536", "2147483648", "007", "word", LONG] {
            let mut out = Output::new(Vec::new(), true);
            out.put_string(text.as_bytes());
            let bytes = out.into_bytes();
            assert_eq!(Source::new(&bytes[..]).string().unwrap(), text.as_bytes(), "{text}");
        }
        for length in [0, 63, 64, 16_383, 16_384, u64::from(u32::MAX), u64::MAX] {
            let mut out = Vec::new();
            put_length(&mut out, length);
            assert_eq!(Source::new(&out[..]).length().unwrap(), length);
        }
    }

    #[test]
    fn an_announced_length_costs_nothing() {
        let mut out = Vec::new();
        put_length(&mut out, u64::MAX / 2);
        out.extend_from_slice(b"short");
        assert!(Source::new(&out[..]).string().is_err());
    }
}
