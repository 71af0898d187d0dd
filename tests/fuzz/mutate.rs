//! Makes bytes wrong, the same way for the same seed.

use vedette::stdx::Rng;

/// Numbers that lie at the edge of something.
const NUMBERS: &[&str] = &[
    "0",
    "-1",
    "1",
    "127",
    "128",
    "255",
    "65535",
    "65536",
    "2147483647",
    "2147483648",
    "4294967296",
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775808",
    "18446744073709551615",
    "nan",
    "1e400",
    "-0",
    "",
];
const BYTES: &[u8] = &[
    0, 1, 0x3f, 0x40, 0x7f, 0x80, 0x81, 0xc0, 0xc3, 0xe0, 0xf0, 0xfe, 0xff, b'\r', b'\n', b'$', b'*', b' ',
    b'"',
];

/// A neighbour of `input`; `other` lends a piece now and then.
pub fn mutate(rng: &mut Rng, input: &[u8], other: &[u8]) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for _ in 0..1 + rng.usize(..4) {
        one(rng, &mut bytes, other);
    }
    bytes
}

fn piece(rng: &mut Rng, length: usize, longest: usize) -> std::ops::Range<usize> {
    let start = rng.usize(..=length);
    start..start + rng.usize(..=longest.min(length - start))
}

fn one(rng: &mut Rng, bytes: &mut Vec<u8>, other: &[u8]) {
    let at = rng.usize(..=bytes.len());
    match rng.u8(..9) {
        0 if at < bytes.len() => bytes[at] ^= 1 << rng.u8(..8),
        1 if at < bytes.len() => bytes[at] = BYTES[rng.usize(..BYTES.len())],
        2 => {
            let new: Vec<u8> = (0..=rng.usize(..8)).map(|_| rng.u8(..)).collect();
            drop(bytes.splice(at..at, new));
        }
        3 => drop(bytes.drain(piece(rng, bytes.len(), 64))),
        4 => {
            let copy = bytes[piece(rng, bytes.len(), 256)].to_vec();
            drop(bytes.splice(at..at, copy));
        }
        5 if rng.u8(..4) == 0 => bytes.truncate(at),
        6 => {
            let word = [u64::MAX, i64::MAX as u64, 1 << 32, (1 << 31) - 1, 0][rng.usize(..5)].to_le_bytes();
            let width = [1, 2, 4, 8][rng.usize(..4)].min(bytes.len() - at);
            bytes[at..at + width].copy_from_slice(&word[..width]);
        }
        7 => {
            let copy = other[piece(rng, other.len(), 256)].to_vec();
            drop(bytes.splice(at..at, copy));
        }
        _ => {
            let Some(start) = bytes[at..].iter().position(u8::is_ascii_digit).map(|found| at + found) else {
                return;
            };
            let end = start + bytes[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
            let number = NUMBERS[rng.usize(..NUMBERS.len())];
            drop(bytes.splice(start..end, number.bytes()));
        }
    }
}
