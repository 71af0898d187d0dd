//! LZF, both ways: Redis compresses long strings with it. Made of runs of up to 32 bytes as they are,
//! and references of 3 to 264 bytes to what stands at most 8 KB before.

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

const TABLE_BITS: u32 = 13;
const RUN_BYTES_MAX: usize = 32;
const REFERENCE_BYTES_MAX: usize = 264;
const DISTANCE_MAX: usize = 1 << 13;

/// Compresses one string after another; what it remembers of earlier ones is not used.
pub(super) struct Packer {
    /// Where three bytes with this hash stood last, counted from the first string on.
    table: Vec<u32>,
    /// Where this string begins in that count.
    base: u32,
    out: Vec<u8>,
}

impl Default for Packer {
    fn default() -> Self {
        Packer { table: vec![0; 1 << TABLE_BITS], base: 1, out: Vec::new() }
    }
}

impl Packer {
    /// `None`: it does not fit into `bytes_max`.
    pub(super) fn pack(&mut self, bytes: &[u8], bytes_max: usize) -> Option<&[u8]> {
        let length = u32::try_from(bytes.len()).ok()?;
        if self.base.checked_add(length).is_none() {
            self.table.fill(0);
            self.base = 1;
        }
        self.base.checked_add(length)?;
        self.out.clear();
        let (mut at, mut run) = (0, 0);
        while let Some(&[a, b, c]) = bytes.get(at..).and_then(|rest| rest.first_chunk::<3>()) {
            let hash = u32::from_le_bytes([a, b, c, 0]).wrapping_mul(0x9e37_79b1) >> (32 - TABLE_BITS);
            let slot = &mut self.table[hash as usize];
            let before = std::mem::replace(slot, self.base + at as u32);
            let candidate = before.checked_sub(self.base).map(|before| before as usize);
            let candidate =
                candidate.filter(|&from| at - from <= DISTANCE_MAX && bytes[from..from + 3] == [a, b, c]);
            let Some(from) = candidate else {
                at += 1;
                continue;
            };
            let limit = (bytes.len() - at).min(REFERENCE_BYTES_MAX);
            let count = 3 + (3..limit).take_while(|&ahead| bytes[from + ahead] == bytes[at + ahead]).count();
            self.put_run(&bytes[run..at]);
            self.put_reference(at - from - 1, count - 2);
            if self.out.len() > bytes_max {
                break;
            }
            at += count;
            run = at;
        }
        if self.out.len() <= bytes_max {
            self.put_run(&bytes[run..]);
        }
        // What a later string finds here lies before its base.
        self.base += length;
        if self.out.capacity() > 1 << 20 && self.out.len() > bytes_max {
            self.out = Vec::new();
            return None;
        }
        (self.out.len() <= bytes_max).then_some(&self.out[..])
    }

    fn put_run(&mut self, bytes: &[u8]) {
        for run in bytes.chunks(RUN_BYTES_MAX) {
            self.out.push(run.len() as u8 - 1);
            self.out.extend_from_slice(run);
        }
    }

    fn put_reference(&mut self, distance: usize, count: usize) {
        let high = (distance >> 8) as u8;
        if count < 7 {
            self.out.push((count as u8) << 5 | high);
        } else {
            self.out.extend_from_slice(&[7 << 5 | high, (count - 7) as u8]);
        }
        self.out.push(distance as u8);
    }
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

    #[test]
    fn what_was_packed_unpacks_whatever_was_packed_before() {
        let mut packer = Packer::default();
        let mut random = crate::stdx::Rng::with_seed(7);
        for round in 0..400 {
            let letters = 1 + round % 40;
            let bytes: Vec<u8> =
                (0..random.usize(3..20_000)).map(|_| b'a' + random.u8(0..letters as u8)).collect();
            match packer.pack(&bytes, bytes.len() - 3) {
                Some(packed) => assert_eq!(unpack(packed, bytes.len()).as_ref(), Ok(&bytes)),
                None => assert!(letters > 8 || bytes.len() < 100, "{} of {letters} letters", bytes.len()),
            }
        }
        let same = vec![b'x'; 100_000];
        assert!(packer.pack(&same, 1300).is_some());
        packer.base = u32::MAX - 10;
        let packed = packer.pack(&same, 1300).map(<[u8]>::to_vec);
        assert_eq!(unpack(&packed.unwrap(), same.len()), Ok(same), "the count began anew");
    }
}
