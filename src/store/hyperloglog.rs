//! HyperLogLog: how many different elements were seen, in at most 12 KiB, as the bytes of a string
//! value. The bytes are Redis' own: a header, then 16384 registers of six bits, or their runs while
//! those take less room. Every GET, DUMP and replica sees what Redis would have written.

use std::ops::Range;

const MAGIC: &[u8; 4] = b"HYLL";
/// Magic, encoding, three unused, and the cardinality of the last count.
const HEADER_BYTES: usize = 16;
const CARDINALITY: Range<usize> = 8..16;
/// In the last byte of the cardinality: it is out of date.
const STALE: u8 = 0x80;
const DENSE: u8 = 0;
const SPARSE: u8 = 1;

pub const REGISTERS: usize = 1 << 14;
const REGISTER_BITS: usize = 6;
/// Hash bits that are left when the register is chosen.
const RANK_BITS: u32 = 50;
const DENSE_BYTES: usize = HEADER_BYTES + REGISTERS * REGISTER_BITS / 8;
const HASH_SEED: u64 = 0xadc8_3b19;

/// Redis' default of `hll-sparse-max-bytes`: beyond it runs become plain registers.
pub const SPARSE_BYTES_MAX: usize = 3000;
/// What a run can hold.
const RUN_VALUE_MAX: u8 = 32;
const RUN_LEN_MAX: usize = 4;
const ZEROS_LEN_MAX: usize = 64;

/// The runs do not add up to all registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Corrupt;

/// Nothing seen yet.
pub fn empty() -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER_BYTES + 32);
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&[SPARSE, 0, 0, 0]);
    bytes.extend_from_slice(&[0; 8]);
    Run::Zeros(REGISTERS).put(&mut bytes);
    bytes
}

/// Whether a string looks like one. Its runs are only seen to when they are used.
pub fn is_one(bytes: &[u8]) -> bool {
    bytes.len() >= HEADER_BYTES
        && bytes.starts_with(MAGIC)
        && (bytes[4] == SPARSE || bytes[4] == DENSE && bytes.len() == DENSE_BYTES)
}

pub fn is_dense(bytes: &[u8]) -> bool {
    bytes[4] == DENSE
}

/// The cardinality of the last count, unless something was added since.
pub fn cached(bytes: &[u8]) -> Option<u64> {
    let mut number = [0; 8];
    number.copy_from_slice(&bytes[CARDINALITY]);
    (number[7] & STALE == 0).then_some(u64::from_le_bytes(number))
}

/// The bytes of a cardinality, and where in the string they stand.
pub fn cache_bytes(cardinality: u64) -> (usize, [u8; 8]) {
    (CARDINALITY.start, cardinality.to_le_bytes())
}

pub fn forget_cached(bytes: &mut [u8]) {
    bytes[CARDINALITY.end - 1] |= STALE;
}

/// MurmurHash64A.
fn hash(element: &[u8]) -> u64 {
    const M: u64 = 0xc6a4_a793_5bd1_e995;
    let mut h = HASH_SEED ^ (element.len() as u64).wrapping_mul(M);
    let (words, tail) = element.as_chunks::<8>();
    for word in words {
        let mut k = u64::from_le_bytes(*word).wrapping_mul(M);
        k ^= k >> 47;
        h = (h ^ k.wrapping_mul(M)).wrapping_mul(M);
    }
    if !tail.is_empty() {
        let mut last = [0; 8];
        last[..tail.len()].copy_from_slice(tail);
        h = (h ^ u64::from_le_bytes(last)).wrapping_mul(M);
    }
    h ^= h >> 47;
    h = h.wrapping_mul(M);
    h ^ h >> 47
}

/// The register an element belongs to, and what it must at least hold then.
fn place(element: &[u8]) -> (usize, u8) {
    let hash = hash(element);
    let rest = hash >> 14 | 1 << RANK_BITS;
    (hash as usize % REGISTERS, rest.trailing_zeros() as u8 + 1)
}

/// Whether any register changed. After an error the bytes may have changed too.
pub fn add(bytes: &mut Vec<u8>, element: &[u8], sparse_max: usize) -> Result<bool, Corrupt> {
    let (index, value) = place(element);
    raise(bytes, index, value, sparse_max)
}

/// Makes a register hold at least `value`; whether it did not.
pub fn raise(bytes: &mut Vec<u8>, index: usize, value: u8, sparse_max: usize) -> Result<bool, Corrupt> {
    if is_dense(bytes) {
        Ok(raise_dense(&mut bytes[HEADER_BYTES..], index, value))
    } else {
        raise_sparse(bytes, index, value, sparse_max)
    }
}

fn dense(registers: &[u8], index: usize) -> u8 {
    let bit = index * REGISTER_BITS;
    let (byte, shift) = (bit / 8, bit % 8);
    let pair = u16::from(registers[byte]) | u16::from(registers.get(byte + 1).copied().unwrap_or(0)) << 8;
    (pair >> shift) as u8 & 0x3f
}

fn raise_dense(registers: &mut [u8], index: usize, value: u8) -> bool {
    if dense(registers, index) >= value {
        return false;
    }
    let bit = index * REGISTER_BITS;
    let (byte, shift) = (bit / 8, bit % 8);
    let mask = 0x3fu16 << shift;
    let bits = u16::from(value) << shift;
    registers[byte] = registers[byte] & !mask as u8 | bits as u8;
    if let Some(next) = registers.get_mut(byte + 1) {
        *next = *next & !(mask >> 8) as u8 | (bits >> 8) as u8;
    }
    true
}

/// Registers beside each other that hold the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Run {
    Zeros(usize),
    Value(u8, usize),
}

impl Run {
    /// The run at the front, and how many bytes it takes. One cut off reads as if zeros followed.
    fn read(bytes: &[u8]) -> (Run, usize) {
        let first = bytes[0];
        match first >> 6 {
            0 => (Run::Zeros(usize::from(first & 0x3f) + 1), 1),
            1 => {
                let low = bytes.get(1).copied().unwrap_or(0);
                (Run::Zeros((usize::from(first & 0x3f) << 8 | usize::from(low)) + 1), 2)
            }
            _ => (Run::Value((first >> 2 & 0x1f) + 1, usize::from(first & 3) + 1), 1),
        }
    }

    fn put(self, out: &mut Vec<u8>) {
        match self {
            Run::Zeros(len) if len > ZEROS_LEN_MAX => {
                let len = (len - 1) as u16;
                out.extend_from_slice(&(0x4000 | len).to_be_bytes());
            }
            Run::Zeros(len) => out.push((len - 1) as u8),
            Run::Value(value, len) => out.push(value_byte(value, len)),
        }
    }

    fn len(self) -> usize {
        match self {
            Run::Zeros(len) | Run::Value(_, len) => len,
        }
    }

    fn value(self) -> u8 {
        match self {
            Run::Zeros(_) => 0,
            Run::Value(value, _) => value,
        }
    }
}

fn value_byte(value: u8, len: usize) -> u8 {
    0x80 | (value - 1) << 2 | (len - 1) as u8
}

/// The runs of a sparse one.
pub fn runs(bytes: &[u8]) -> impl Iterator<Item = (Run, bool)> {
    let mut rest = &bytes[HEADER_BYTES..];
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (run, used) = Run::read(rest);
        rest = &rest[used.min(rest.len())..];
        Some((run, used == 2))
    })
}

fn raise_sparse(bytes: &mut Vec<u8>, index: usize, value: u8, sparse_max: usize) -> Result<bool, Corrupt> {
    if value > RUN_VALUE_MAX {
        return promote(bytes, index, value);
    }
    // The run that the register is in, and the one before it.
    let (mut at, mut first, mut before) = (HEADER_BYTES, 0, None);
    let (run, used) = loop {
        if at >= bytes.len() {
            return Err(Corrupt);
        }
        let (run, used) = Run::read(&bytes[at..]);
        if index < first + run.len() {
            break (run, used);
        }
        before = Some(at);
        at += used;
        first += run.len();
    };
    if run.value() >= value {
        return Ok(false);
    }
    if run.len() == 1 && used == 1 {
        bytes[at] = value_byte(value, 1);
    } else {
        let around = |len: usize| match run {
            Run::Zeros(_) => Run::Zeros(len),
            Run::Value(value, _) => Run::Value(value, len),
        };
        let (ahead, behind) = (index - first, first + run.len() - 1 - index);
        let mut parts = Vec::with_capacity(5);
        if ahead > 0 {
            around(ahead).put(&mut parts);
        }
        Run::Value(value, 1).put(&mut parts);
        if behind > 0 {
            around(behind).put(&mut parts);
        }
        let end = (at + used).min(bytes.len());
        if parts.len() > end - at && bytes.len() + parts.len() - (end - at) > sparse_max {
            return promote(bytes, index, value);
        }
        bytes.splice(at..end, parts);
    }
    join(bytes, before.unwrap_or(HEADER_BYTES));
    forget_cached(bytes);
    Ok(true)
}

/// Joins runs of the same value near a change; Redis looks at five.
fn join(bytes: &mut Vec<u8>, from: usize) {
    let mut at = from;
    for _ in 0..5 {
        if at >= bytes.len() {
            return;
        }
        let (run, used) = Run::read(&bytes[at..]);
        if let Run::Value(value, len) = run
            && at + 1 < bytes.len()
            && let (Run::Value(next, more), _) = Run::read(&bytes[at + 1..])
            && next == value
            && len + more <= RUN_LEN_MAX
        {
            bytes[at + 1] = value_byte(value, len + more);
            bytes.remove(at);
            continue;
        }
        at += used;
    }
}

fn promote(bytes: &mut Vec<u8>, index: usize, value: u8) -> Result<bool, Corrupt> {
    make_dense(bytes)?;
    raise(bytes, index, value, SPARSE_BYTES_MAX)
}

/// Plain registers from now on; whether they were runs before.
pub fn make_dense(bytes: &mut Vec<u8>) -> Result<bool, Corrupt> {
    if is_dense(bytes) {
        return Ok(false);
    }
    let mut plain = vec![0; DENSE_BYTES];
    plain[..HEADER_BYTES].copy_from_slice(&bytes[..HEADER_BYTES]);
    plain[4] = DENSE;
    each_run(bytes, |first, run| {
        if run.value() > 0 {
            (first..first + run.len()).for_each(|index| {
                raise_dense(&mut plain[HEADER_BYTES..], index, run.value());
            });
        }
    })?;
    *bytes = plain;
    Ok(true)
}

/// Every run with its first register; none reaches beyond the last.
fn each_run(bytes: &[u8], mut visit: impl FnMut(usize, Run)) -> Result<(), Corrupt> {
    let mut first = 0;
    for (run, _) in runs(bytes) {
        if first + run.len() > REGISTERS {
            return Err(Corrupt);
        }
        visit(first, run);
        first += run.len();
    }
    if first == REGISTERS { Ok(()) } else { Err(Corrupt) }
}

/// How many different elements were added, within about 0.8 %.
pub fn count(bytes: &[u8]) -> Result<u64, Corrupt> {
    let mut histogram = [0u32; 64];
    if is_dense(bytes) {
        // Three bytes are four registers.
        for three in bytes[HEADER_BYTES..].as_chunks::<3>().0 {
            let word = u32::from_le_bytes([three[0], three[1], three[2], 0]);
            for shift in [0, 6, 12, 18] {
                histogram[(word >> shift & 0x3f) as usize] += 1;
            }
        }
    } else {
        each_run(bytes, |_, run| histogram[usize::from(run.value())] += run.len() as u32)?;
    }
    Ok(estimate(&histogram))
}

/// One byte a register: where several are merged.
pub struct Registers(Box<[u8; REGISTERS]>);

impl Default for Registers {
    fn default() -> Self {
        Registers(Box::new([0; REGISTERS]))
    }
}

impl Registers {
    pub fn merge(&mut self, bytes: &[u8]) -> Result<(), Corrupt> {
        if is_dense(bytes) {
            for (index, register) in self.0.iter_mut().enumerate() {
                *register = (*register).max(dense(&bytes[HEADER_BYTES..], index));
            }
            return Ok(());
        }
        each_run(bytes, |first, run| {
            self.0[first..first + run.len()].iter_mut().for_each(|r| *r = (*r).max(run.value()));
        })
    }

    pub fn count(&self) -> u64 {
        let mut histogram = [0u32; 64];
        self.0.iter().for_each(|&value| histogram[usize::from(value & 0x3f)] += 1);
        estimate(&histogram)
    }

    pub fn iter(&self) -> impl Iterator<Item = u8> {
        self.0.iter().copied()
    }
}

/// Otmar Ertl's estimator: no bias to correct, no tables.
fn estimate(histogram: &[u32; 64]) -> u64 {
    /// 1 / (2 ln 2).
    const ALPHA: f64 = 0.721_347_520_444_481_7;
    let m = REGISTERS as f64;
    let mut z = m * tau((m - f64::from(histogram[RANK_BITS as usize + 1])) / m);
    for rank in (1..=RANK_BITS as usize).rev() {
        z += f64::from(histogram[rank]);
        z *= 0.5;
    }
    z += m * sigma(f64::from(histogram[0]) / m);
    (ALPHA * m * m / z).round() as u64
}

fn sigma(mut x: f64) -> f64 {
    if x == 1.0 {
        return f64::INFINITY;
    }
    let (mut y, mut z) = (1.0, x);
    loop {
        x *= x;
        let before = z;
        z += x * y;
        y += y;
        if before == z {
            return z;
        }
    }
}

fn tau(mut x: f64) -> f64 {
    if x == 0.0 || x == 1.0 {
        return 0.0;
    }
    let (mut y, mut z) = (1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        let before = z;
        y *= 0.5;
        z -= (1.0 - x) * (1.0 - x) * y;
        if before == z {
            return z / 3.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(count: u32) -> Vec<u8> {
        let mut bytes = empty();
        for n in 0..count {
            add(&mut bytes, n.to_string().as_bytes(), SPARSE_BYTES_MAX).unwrap();
        }
        bytes
    }

    #[test]
    fn counts_are_near() {
        assert_eq!(count(&empty()), Ok(0));
        for n in [1, 10, 100, 1000, 20_000, 200_000] {
            let counted = count(&numbers(n)).unwrap() as f64;
            assert!((counted - f64::from(n)).abs() <= f64::from(n) * 0.03, "{counted} instead of {n}");
        }
    }

    #[test]
    fn runs_and_registers_agree() {
        let (mut sparse, mut plain) = (empty(), empty());
        make_dense(&mut plain).unwrap();
        for n in 0..1500u32 {
            let element = (n * 7919 % 1201).to_string();
            let added = add(&mut sparse, element.as_bytes(), SPARSE_BYTES_MAX);
            assert_eq!(added, add(&mut plain, element.as_bytes(), SPARSE_BYTES_MAX), "{n}");
            if n % 100 == 0 {
                assert_eq!(count(&sparse), count(&plain));
            }
        }
        assert!(!is_dense(&sparse) && sparse.len() <= SPARSE_BYTES_MAX);
        let (mut a, mut b) = (Registers::default(), Registers::default());
        a.merge(&sparse).unwrap();
        b.merge(&plain).unwrap();
        assert!(a.iter().eq(b.iter()) && a.count() == count(&sparse).unwrap());
        make_dense(&mut sparse).unwrap();
        assert_eq!(sparse[HEADER_BYTES..], plain[HEADER_BYTES..]);
    }

    #[test]
    fn what_does_not_add_up_is_seen() {
        let mut bytes = numbers(50);
        assert!(is_one(&bytes));
        bytes.push(value_byte(3, 4));
        assert_eq!(count(&bytes), Err(Corrupt));
        assert_eq!(make_dense(&mut bytes), Err(Corrupt));
        bytes.truncate(HEADER_BYTES + 1);
        assert_eq!(raise(&mut bytes, REGISTERS - 1, 1, SPARSE_BYTES_MAX), Err(Corrupt));
        // Arbitrary runs: an error or a number, never a panic.
        let mut rng = crate::stdx::Rng::with_seed(1);
        for _ in 0..2000 {
            let mut bytes = empty();
            bytes.truncate(HEADER_BYTES);
            (0..rng.usize(..40)).for_each(|_| bytes.push(rng.u8(..)));
            let _ = count(&bytes);
            let _ = raise(&mut bytes, rng.usize(..REGISTERS), rng.u8(1..52), SPARSE_BYTES_MAX);
            assert!(is_one(&bytes));
        }
        assert!(!is_one(b"HYLL") && !is_one(&[b'x'; 40]));
        let mut short = empty();
        short[4] = DENSE;
        assert!(!is_one(&short));
    }
}
