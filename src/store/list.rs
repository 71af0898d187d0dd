//! A list value: pushes and pops at both ends cost the same however long it is.

use super::bytes::SmallBytes;
use std::collections::VecDeque;

/// Items in chunks, so that a long list never moves as a whole when it grows.
const CHUNK_ITEMS_MAX: usize = 256;

#[derive(Clone, Debug, Default)]
pub struct List {
    /// No chunk is empty.
    chunks: VecDeque<VecDeque<SmallBytes>>,
    len: usize,
}

impl List {
    pub fn new() -> Self {
        List::default()
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub fn push_back(&mut self, item: SmallBytes) {
        match self.chunks.back_mut() {
            Some(chunk) if chunk.len() < CHUNK_ITEMS_MAX => chunk.push_back(item),
            _ => self.chunks.push_back(VecDeque::from([item])),
        }
        self.len += 1;
    }

    pub fn push_front(&mut self, item: SmallBytes) {
        match self.chunks.front_mut() {
            Some(chunk) if chunk.len() < CHUNK_ITEMS_MAX => chunk.push_front(item),
            _ => self.chunks.push_front(VecDeque::from([item])),
        }
        self.len += 1;
    }

    pub fn pop_front(&mut self) -> Option<SmallBytes> {
        let item = self.chunks.front_mut()?.pop_front()?;
        if self.chunks.front().is_some_and(VecDeque::is_empty) {
            self.chunks.pop_front();
        }
        self.len -= 1;
        Some(item)
    }

    pub fn pop_back(&mut self) -> Option<SmallBytes> {
        let item = self.chunks.back_mut()?.pop_back()?;
        if self.chunks.back().is_some_and(VecDeque::is_empty) {
            self.chunks.pop_back();
        }
        self.len -= 1;
        Some(item)
    }

    /// The chunk and the place in it of the item at `index`, from the nearer end.
    fn seek(&self, index: usize) -> Option<(usize, usize)> {
        if index >= self.len {
            return None;
        }
        if index < self.len / 2 {
            let mut left = index;
            for (number, chunk) in self.chunks.iter().enumerate() {
                if left < chunk.len() {
                    return Some((number, left));
                }
                left -= chunk.len();
            }
        } else {
            let mut end = self.len;
            for (number, chunk) in self.chunks.iter().enumerate().rev() {
                let start = end - chunk.len();
                if index >= start {
                    return Some((number, index - start));
                }
                end = start;
            }
        }
        None
    }

    pub fn get(&self, index: usize) -> Option<&SmallBytes> {
        let (chunk, place) = self.seek(index)?;
        self.chunks[chunk].get(place)
    }

    pub fn set(&mut self, index: usize, item: SmallBytes) -> bool {
        let Some((chunk, place)) = self.seek(index) else { return false };
        self.chunks[chunk][place] = item;
        true
    }

    /// Puts `item` before the one at `index`; at the end when there is none.
    pub fn insert(&mut self, index: usize, item: SmallBytes) {
        let Some((number, place)) = self.seek(index) else { return self.push_back(item) };
        let chunk = &mut self.chunks[number];
        chunk.insert(place, item);
        if chunk.len() > CHUNK_ITEMS_MAX {
            let upper = chunk.split_off(CHUNK_ITEMS_MAX / 2);
            self.chunks.insert(number + 1, upper);
        }
        self.len += 1;
    }

    /// Removes up to `limit` items equal to `item`, from the front or from the back.
    pub fn remove_equal(&mut self, item: &[u8], limit: usize, from_back: bool) -> usize {
        let mut removed = 0;
        let mut number = if from_back { self.chunks.len() } else { 0 };
        while removed < limit {
            let index = if from_back {
                if number == 0 {
                    break;
                }
                number - 1
            } else {
                if number == self.chunks.len() {
                    break;
                }
                number
            };
            let chunk = &mut self.chunks[index];
            let before = removed;
            let mut keep = vec![true; chunk.len()];
            let matches = |place: &usize| chunk[*place].as_slice() == item;
            let places: Vec<usize> = if from_back {
                (0..chunk.len()).rev().filter(matches).take(limit - removed).collect()
            } else {
                (0..chunk.len()).filter(matches).take(limit - removed).collect()
            };
            for place in places {
                keep[place] = false;
                removed += 1;
            }
            if removed > before {
                let mut kept = keep.iter();
                chunk.retain(|_| *kept.next().unwrap_or(&true));
            }
            if chunk.is_empty() {
                self.chunks.remove(index);
                number = index;
            } else {
                number = if from_back { index } else { index + 1 };
            }
        }
        self.len -= removed;
        removed
    }

    /// Keeps `start..end` only.
    pub fn keep(&mut self, start: usize, end: usize) {
        for _ in end..self.len {
            self.pop_back();
        }
        for _ in 0..start.min(self.len) {
            self.pop_front();
        }
    }

    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &SmallBytes> {
        self.chunks.iter().flatten()
    }

    /// `count` items from `start` on.
    pub fn range(&self, start: usize, count: usize) -> impl Iterator<Item = &SmallBytes> {
        let (number, place) = self.seek(start).unwrap_or((self.chunks.len(), 0));
        self.chunks.range(number..).flatten().skip(place).take(count)
    }
}

impl FromIterator<SmallBytes> for List {
    fn from_iter<I: IntoIterator<Item = SmallBytes>>(items: I) -> Self {
        let mut list = List::new();
        for item in items {
            list.push_back(item);
        }
        list
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stdx::Rng;

    #[test]
    fn does_what_a_vector_would_do() {
        let mut rng = Rng::with_seed(5);
        let mut list = List::new();
        let mut model: Vec<SmallBytes> = Vec::new();
        for step in 0..20_000 {
            let item = SmallBytes::new(&[rng.u8(..8)]);
            match rng.u8(..12) {
                0..3 => {
                    list.push_back(item.clone());
                    model.push(item);
                }
                3..6 => {
                    list.push_front(item.clone());
                    model.insert(0, item);
                }
                6 => assert_eq!(list.pop_back(), model.pop()),
                7 => assert_eq!(list.pop_front(), (!model.is_empty()).then(|| model.remove(0))),
                8 => {
                    let index = rng.usize(..=model.len());
                    list.insert(index, item.clone());
                    model.insert(index, item);
                }
                9 if !model.is_empty() => {
                    let index = rng.usize(..model.len());
                    assert!(list.set(index, item.clone()));
                    model[index] = item;
                }
                10 if step % 50 == 0 => {
                    let limit = rng.usize(1..40);
                    let back = rng.bool();
                    let mut places: Vec<usize> = (0..model.len()).filter(|&i| model[i] == item).collect();
                    if back {
                        places.reverse();
                    }
                    places.truncate(limit);
                    assert_eq!(list.remove_equal(&item, limit, back), places.len());
                    places.sort_unstable();
                    for place in places.into_iter().rev() {
                        model.remove(place);
                    }
                }
                _ if step % 1000 == 0 => {
                    let start = rng.usize(..=model.len() / 4);
                    let end = model.len() - rng.usize(..=model.len() / 4);
                    list.keep(start, end);
                    model = model[start..end].to_vec();
                }
                _ => {}
            }
            assert_eq!(list.len(), model.len());
            if step % 100 == 0 {
                assert!(list.iter().eq(model.iter()));
                let start = rng.usize(..=model.len());
                assert!(list.range(start, 10).eq(model[start..].iter().take(10)));
            }
        }
    }
}
