//! Libraries of functions as FUNCTION DUMP gives them: each as in an image, then the version and the
//! checksum that DUMP of a key ends with, too.

use super::load::DUMP_FOOT_BYTES;
use super::output::Output;
use super::source::Source;
use super::{VERSION_READ_MAX, VERSION_WRITTEN, opcode};
use crc_fast::CrcAlgorithm;

pub fn dump_functions<'a>(texts: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut out = Output::new(Vec::new(), true);
    for text in texts {
        out.push(opcode::FUNCTION);
        out.put_string(text);
    }
    let mut out = out.into_bytes();
    out.extend_from_slice(&VERSION_WRITTEN.to_le_bytes());
    let sum = crc_fast::checksum(CrcAlgorithm::Crc64Redis, &out);
    out.extend_from_slice(&sum.to_le_bytes());
    out
}

/// The texts in such a payload, or what is wrong with it, in Redis' words.
pub fn restore_functions(payload: &[u8]) -> Result<Vec<Vec<u8>>, &'static str> {
    const DAMAGED: &str = "DUMP payload version or checksum are wrong";
    let body = payload.len().checked_sub(DUMP_FOOT_BYTES).ok_or(DAMAGED)?;
    let (body, foot) = payload.split_at_checked(body).ok_or(DAMAGED)?;
    let (version, sum) = foot.split_at_checked(2).ok_or(DAMAGED)?;
    let version = version.try_into().map(u16::from_le_bytes).map_err(|_| DAMAGED)?;
    let sum = sum.try_into().map(u64::from_le_bytes).map_err(|_| DAMAGED)?;
    let summed = payload.get(..body.len() + 2).ok_or(DAMAGED)?;
    if version > VERSION_READ_MAX || sum != crc_fast::checksum(CrcAlgorithm::Crc64Redis, summed) {
        return Err(DAMAGED);
    }
    let mut source = Source::new(body);
    let mut texts = Vec::new();
    while source.offset() < body.len() as u64 {
        match source.byte() {
            Ok(opcode::FUNCTION) => {}
            Ok(opcode::FUNCTION_PRE_RELEASE) => return Err("Pre-GA function format not supported"),
            Ok(_) => return Err("given type is not a function"),
            Err(_) => return Err("failed loading library data type"),
        }
        texts.push(source.string().map_err(|_| "Failed loading library code")?);
    }
    Ok(texts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dump_is_read_back_and_a_damaged_one_refused() {
        let texts = [&b"#!lua name=a\nx"[..], b"#!lua name=b\ny"];
        let mut dump = dump_functions(texts.iter().copied());
        assert_eq!(restore_functions(&dump).unwrap(), texts);
        assert!(restore_functions(&dump_functions(std::iter::empty())).unwrap().is_empty());
        dump[3] ^= 1;
        assert_eq!(restore_functions(&dump), Err("DUMP payload version or checksum are wrong"));
        assert_eq!(restore_functions(b"x"), Err("DUMP payload version or checksum are wrong"));
    }
}
