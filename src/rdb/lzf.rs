//! LZF, read only: Redis compresses long strings with it.

use super::error::Bad;

/// The `length` bytes that `packed` stands for. Memory follows what `packed` really yields.
pub(super) fn unpack(packed: &[u8], length: usize) -> Result<Vec<u8>, Bad> {
    // A reference of three bytes yields at most 264, so no honest blob announces more than this.
    if length > packed.len().saturating_mul(264) {
        return Err(Bad("compressed string announces more than it can hold"));
    }
    let mut out = Vec::with_capacity(length.min(packed.len() * 4));
    let mut rest = packed;
    while let Some((&control, after)) = rest.split_first() {
        rest = after;
        let control = usize::from(control);
        if control < 32 {
            let run = rest.split_at_checked(control + 1).ok_or(Bad("compressed string ends early"))?;
            out.extend_from_slice(run.0);
            rest = run.1;
        } else {
            let mut count = control >> 5;
            if count == 7 {
                count += usize::from(take(&mut rest)?);
            }
            let distance = ((control & 0x1f) << 8 | usize::from(take(&mut rest)?)) + 1;
            let from =
                out.len().checked_sub(distance).ok_or(Bad("compressed string refers before its start"))?;
            // Source and target may overlap: byte by byte is what the format means.
            for index in from..from + count + 2 {
                out.push(out[index]);
            }
        }
        if out.len() > length {
            return Err(Bad("compressed string is longer than announced"));
        }
    }
    if out.len() == length { Ok(out) } else { Err(Bad("compressed string is shorter than announced")) }
}

fn take(rest: &mut &[u8]) -> Result<u8, Bad> {
    let (&byte, after) = rest.split_first().ok_or(Bad("compressed string ends early"))?;
    *rest = after;
    Ok(byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_and_overlapping_references_unpack() {
        // "abc", then nine bytes from three back: abcabcabcabc.
        assert_eq!(unpack(&[2, b'a', b'b', b'c', 0xe0, 0, 2], 12), Ok(b"abcabcabcabc".to_vec()));
        assert_eq!(unpack(&[0, b'x', 0x20, 0], 4), Ok(b"xxxx".to_vec()));
    }

    #[test]
    fn lies_are_refused() {
        assert!(unpack(&[2, b'a'], 3).is_err());
        assert!(unpack(&[0x20, 5], 3).is_err());
        assert!(unpack(&[0, b'x'], usize::MAX).is_err());
        assert!(unpack(&[0, b'x', 0x20, 0], 3).is_err());
    }
}
