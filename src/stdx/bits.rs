//! Bytes as a row of bits, the highest of each byte first, as Redis' bitmaps number them: counting,
//! searching, and integers of any width at any place. What lies beyond the end reads as zero.

use std::ops::Range;

pub fn get(bytes: &[u8], offset: u64) -> bool {
    let byte = usize::try_from(offset / 8).ok().and_then(|at| bytes.get(at)).copied().unwrap_or(0);
    byte & (0x80 >> (offset % 8)) != 0
}

/// The byte must be there.
pub fn set(bytes: &mut [u8], offset: u64, on: bool) {
    let mask = 0x80u8 >> (offset % 8);
    let byte = &mut bytes[(offset / 8) as usize];
    *byte = if on { *byte | mask } else { *byte & !mask };
}

/// A range of bits as whole bytes and the masks of its two ends: `None` when it is empty.
fn ends(bytes: &[u8], range: &Range<u64>) -> Option<(Range<usize>, u8, u8)> {
    let end = range.end.min(bytes.len() as u64 * 8);
    if range.start >= end {
        return None;
    }
    let whole = (range.start / 8) as usize..(end.div_ceil(8)) as usize;
    let first = 0xffu8 >> (range.start % 8);
    let last = 0xffu8 << ((8 - end % 8) % 8);
    Some((whole, first, last))
}

/// How many bits of a range are set.
pub fn count(bytes: &[u8], range: Range<u64>) -> u64 {
    let Some((whole, first, last)) = ends(bytes, &range) else { return 0 };
    let bytes = &bytes[whole];
    let ones = |byte: u8| u64::from(byte.count_ones());
    let (words, rest) = bytes.as_chunks::<8>();
    let all = words.iter().map(|word| u64::from(u64::from_ne_bytes(*word).count_ones())).sum::<u64>()
        + rest.iter().map(|&byte| ones(byte)).sum::<u64>();
    all - ones(bytes[0] & !first) - ones(bytes[bytes.len() - 1] & !last)
}

/// The first bit of a range that is `bit`.
pub fn find(bytes: &[u8], bit: bool, range: Range<u64>) -> Option<u64> {
    let (whole, first, last) = ends(bytes, &range)?;
    // What is looked for shows as ones.
    let turned = |byte: u8| if bit { byte } else { !byte };
    let at = |index: usize, byte: u8| Some(index as u64 * 8 + u64::from(byte.leading_zeros()));
    let final_byte = whole.end - 1;
    let head = turned(bytes[whole.start]) & first & if whole.len() == 1 { last } else { 0xff };
    if head != 0 {
        return at(whole.start, head);
    }
    if whole.len() == 1 {
        return None;
    }
    let middle = &bytes[whole.start + 1..final_byte];
    let nothing = if bit { 0 } else { 0xff };
    // Eight at a time over what cannot hold it.
    let (words, _) = middle.as_chunks::<8>();
    let skipped = words.iter().position(|word| *word != [nothing; 8]).unwrap_or(words.len()) * 8;
    if let Some(found) = middle[skipped..].iter().position(|&byte| byte != nothing) {
        let index = skipped + found;
        return at(whole.start + 1 + index, turned(middle[index]));
    }
    let tail = turned(bytes[final_byte]) & last;
    if tail != 0 { at(final_byte, tail) } else { None }
}

/// Bytes that an integer of 64 bits at any offset can touch.
const WINDOW_BYTES: usize = 9;

fn window(bytes: &[u8], offset: u64) -> (Range<usize>, u128) {
    let start = usize::try_from(offset / 8).unwrap_or(usize::MAX).min(bytes.len());
    let range = start..bytes.len().min(start.saturating_add(WINDOW_BYTES));
    let mut wide = [0; 16];
    wide[..range.len()].copy_from_slice(&bytes[range.clone()]);
    (range, u128::from_be_bytes(wide))
}

/// The unsigned integer of `width` bits (1 to 64) at `offset`.
pub fn integer(bytes: &[u8], offset: u64, width: u32) -> u64 {
    let (_, wide) = window(bytes, offset);
    ((wide << (offset % 8)) >> (128 - width)) as u64
}

/// Overwrites the integer of `width` bits at `offset` with the low bits of `value`; its bytes must
/// be there.
pub fn set_integer(bytes: &mut [u8], offset: u64, width: u32, value: u64) {
    let (range, wide) = window(bytes, offset);
    let shift = 128 - width - (offset % 8) as u32;
    let mask = (u128::MAX >> (128 - width)) << shift;
    let wide = wide & !mask | (u128::from(value) << shift) & mask;
    let len = range.len();
    bytes[range].copy_from_slice(&wide.to_be_bytes()[..len]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stdx::Rng;

    /// Against the same questions asked bit by bit.
    #[test]
    fn ranges_agree_with_single_bits() {
        let mut rng = Rng::with_seed(7);
        for _ in 0..3000 {
            let fill = [0u8, 0xff, 0x10][rng.usize(..3)];
            let mut bytes = vec![fill; rng.usize(..40)];
            for _ in 0..rng.usize(..3) {
                if !bytes.is_empty() {
                    let at = rng.usize(..bytes.len());
                    bytes[at] = rng.u8(..);
                }
            }
            let (start, end) = (rng.u64(..340), rng.u64(..340));
            let real = |at: &u64| *at < bytes.len() as u64 * 8;
            let ones = (start..end).filter(real).filter(|&at| get(&bytes, at)).count() as u64;
            assert_eq!(count(&bytes, start..end), ones);
            for bit in [false, true] {
                let first = (start..end).filter(real).find(|&at| get(&bytes, at) == bit);
                assert_eq!(find(&bytes, bit, start..end), first, "{bytes:?} {bit} {start}..{end}");
            }
        }
    }

    #[test]
    fn integers_are_read_and_written_in_place() {
        let mut rng = Rng::with_seed(8);
        for _ in 0..3000 {
            let mut bytes: Vec<u8> = (0..20).map(|_| rng.u8(..)).collect();
            let (offset, width) = (rng.u64(..90), rng.u32(1..=64));
            let before = bytes.clone();
            let value = rng.u64(..) & (u64::MAX >> (64 - width));
            set_integer(&mut bytes, offset, width, value);
            assert_eq!(integer(&bytes, offset, width), value);
            let inside = offset..offset + u64::from(width);
            assert!((0..160).filter(|at| !inside.contains(at)).all(|at| get(&before, at) == get(&bytes, at)));
            let by_bits = inside.fold(0, |sum, at| sum << 1 | u64::from(get(&bytes, at)));
            assert_eq!(by_bits, value);
        }
        assert_eq!(integer(&[0xff], 4, 8), 0xf0);
        assert_eq!(integer(&[0xff], u64::MAX, 8), 0);
    }
}
