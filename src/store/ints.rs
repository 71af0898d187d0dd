//! A sorted set of integers, each in as few bytes as the widest of them needs: two, four or eight.
//! One allocation, exactly as long as it must be.

/// The width stands in front; nothing at all is the empty set.
#[derive(Clone, Default)]
pub struct Ints(Box<[u8]>);

fn width_of(value: i64) -> usize {
    if i16::try_from(value).is_ok() {
        2
    } else if i32::try_from(value).is_ok() {
        4
    } else {
        8
    }
}

/// A slice of exactly `width` bytes as a number.
fn read(bytes: &[u8]) -> i64 {
    match *bytes {
        [a, b] => i64::from(i16::from_le_bytes([a, b])),
        [a, b, c, d] => i64::from(i32::from_le_bytes([a, b, c, d])),
        _ => bytes.first_chunk().map_or(0, |bytes| i64::from_le_bytes(*bytes)),
    }
}

impl Ints {
    fn width(&self) -> usize {
        self.0.first().map_or(2, |&width| usize::from(width))
    }

    fn body(&self) -> &[u8] {
        self.0.get(1..).unwrap_or_default()
    }

    pub fn len(&self) -> usize {
        self.body().len() / self.width()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn heap_bytes(&self) -> usize {
        self.0.len()
    }

    pub fn get(&self, index: usize) -> Option<i64> {
        let width = self.width();
        self.body().get(index * width..(index + 1) * width).map(read)
    }

    pub fn iter(&self) -> impl DoubleEndedIterator<Item = i64> + ExactSizeIterator {
        self.body().chunks_exact(self.width()).map(read)
    }

    /// Where the value is, or where it would stand.
    fn search(&self, value: i64) -> Result<usize, usize> {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = (low + high) / 2;
            match self.get(middle) {
                Some(found) if found == value => return Ok(middle),
                Some(found) if found < value => low = middle + 1,
                _ => high = middle,
            }
        }
        Err(low)
    }

    pub fn contains(&self, value: i64) -> bool {
        width_of(value) <= self.width() && self.search(value).is_ok()
    }

    /// Whether the value is new.
    pub fn insert(&mut self, value: i64) -> bool {
        let Err(place) = self.search(value) else { return false };
        let width = width_of(value);
        if self.is_empty() || width > self.width() {
            let mut wide = Vec::with_capacity(1 + (self.len() + 1) * width);
            wide.push(width as u8);
            for old in self.iter() {
                wide.extend_from_slice(&old.to_le_bytes()[..width]);
            }
            let at = 1 + place * width;
            wide.splice(at..at, value.to_le_bytes()[..width].iter().copied());
            self.0 = wide.into_boxed_slice();
        } else {
            let width = self.width();
            let mut bytes = std::mem::take(&mut self.0).into_vec();
            let (at, end) = (1 + place * width, bytes.len());
            bytes.reserve_exact(width);
            bytes.resize(end + width, 0);
            bytes.copy_within(at..end, at + width);
            bytes[at..at + width].copy_from_slice(&value.to_le_bytes()[..width]);
            self.0 = bytes.into_boxed_slice();
        }
        true
    }

    pub fn remove(&mut self, value: i64) -> bool {
        let Ok(place) = self.search(value) else { return false };
        let width = self.width();
        let mut bytes = std::mem::take(&mut self.0).into_vec();
        let at = 1 + place * width;
        bytes.drain(at..at + width);
        if bytes.len() > 1 {
            self.0 = bytes.into_boxed_slice();
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stdx::Rng;
    use std::collections::BTreeSet;

    #[test]
    fn does_what_a_tree_would_do() {
        let mut rng = Rng::with_seed(8);
        for bits in [4, 15, 16, 31, 33, 63] {
            let (mut ints, mut model) = (Ints::default(), BTreeSet::new());
            for _ in 0..3000 {
                let value = match rng.u32(..20) {
                    0 => [i64::MIN, i64::MAX, 32_767, 32_768, -32_768, -32_769][rng.usize(..6)],
                    _ => rng.i64(-(1 << (bits - 1))..1 << (bits - 1)) % 500,
                };
                if rng.u32(..3) == 0 {
                    assert_eq!(ints.remove(value), model.remove(&value));
                } else {
                    assert_eq!(ints.insert(value), model.insert(value));
                }
                assert_eq!(ints.len(), model.len());
                assert_eq!(ints.contains(value), model.contains(&value));
            }
            assert!(ints.iter().eq(model.iter().copied()));
            assert!((0..model.len()).all(|at| ints.get(at) == model.iter().nth(at).copied()));
        }
    }
}
