//! Entries beside each other in no order, in chunks that grow at one end: a place is a number, and stays
//! good until something is removed. No entry moves because others are added, and the room that is kept
//! in advance is that of a few entries. Has never heard of keys and hashes.

/// Entries of a full chunk. Of every size of entry this is a size that the allocator has, so nothing
/// is lost to rounding.
const CHUNK: usize = 32;

#[derive(Clone)]
pub struct Rows<T> {
    full: Vec<Box<[T; CHUNK]>>,
    /// Never as long as a chunk.
    tail: Vec<T>,
}

impl<T> Default for Rows<T> {
    fn default() -> Self {
        Rows { full: Vec::new(), tail: Vec::new() }
    }
}

impl<T> Rows<T> {
    #[inline]
    pub fn len(&self) -> usize {
        self.full.len() * CHUNK + self.tail.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    #[inline]
    pub fn get(&self, at: usize) -> Option<&T> {
        match self.full.get(at / CHUNK) {
            Some(chunk) => Some(&chunk[at % CHUNK]),
            None => self.tail.get(at - self.full.len() * CHUNK),
        }
    }

    #[inline]
    pub fn get_mut(&mut self, at: usize) -> Option<&mut T> {
        let before = self.full.len() * CHUNK;
        match self.full.get_mut(at / CHUNK) {
            Some(chunk) => Some(&mut chunk[at % CHUNK]),
            None => self.tail.get_mut(at - before),
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.full.iter().flat_map(|chunk| chunk.iter()).chain(&self.tail)
    }

    /// Where the entry stands now.
    pub fn push(&mut self, entry: T) -> usize {
        let (place, at) = (self.len(), self.tail.len());
        if at == self.tail.capacity() {
            let more = match at {
                _ if !self.full.is_empty() => 8,
                0 => 1,
                1..8 => 2,
                _ => 8,
            };
            self.tail.reserve_exact(more.min(CHUNK - at));
        }
        self.tail.push(entry);
        if self.tail.len() == CHUNK {
            match std::mem::take(&mut self.tail).into_boxed_slice().try_into() {
                Ok(chunk) => {
                    if self.full.len() == self.full.capacity() {
                        self.full.reserve_exact(2);
                    }
                    self.full.push(chunk);
                }
                // Not as long as it was just seen to be: nothing is lost all the same.
                Err(tail) => self.tail = tail.into_vec(),
            }
        }
        place
    }

    /// Takes one out; the last one takes its place.
    pub fn swap_remove(&mut self, at: usize) -> Option<T> {
        if at >= self.len() {
            return None;
        }
        if self.tail.is_empty() {
            let chunk: Box<[T]> = self.full.pop()?;
            self.tail = chunk.into_vec();
        }
        let last = self.tail.pop()?;
        let taken = match self.get_mut(at) {
            Some(entry) => std::mem::replace(entry, last),
            None => last,
        };
        let len = self.tail.len();
        if self.tail.capacity() > len + 16 {
            self.tail.shrink_to(len + 4);
        }
        Some(taken)
    }

    /// Hands all of them out, and frees chunk by chunk.
    pub fn take_apart(self, mut take: impl FnMut(T)) {
        for chunk in self.full {
            let chunk: Box<[T]> = chunk;
            chunk.into_vec().into_iter().for_each(&mut take);
        }
        self.tail.into_iter().for_each(take);
    }

    /// Memory set aside for it beside its own.
    pub fn heap_bytes(&self) -> usize {
        self.full.capacity() * size_of::<usize>()
            + (self.full.len() * CHUNK + self.tail.capacity()) * size_of::<T>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stdx::Rng;

    #[test]
    fn does_what_a_vector_would_do() {
        let mut rng = Rng::with_seed(11);
        let (mut rows, mut model) = (Rows::default(), Vec::new());
        for step in 0..20_000u32 {
            // Up, down, up: over the edges of chunks in both directions.
            if model.is_empty() || rng.u32(..100) < if step / 3000 % 2 == 0 { 70 } else { 35 } {
                assert_eq!(rows.push(step.to_string()), model.len());
                model.push(step.to_string());
            } else {
                let at = rng.usize(..model.len());
                assert_eq!(rows.swap_remove(at), Some(model.swap_remove(at)));
            }
            assert_eq!(rows.len(), model.len());
            assert_eq!(rows.get(model.len()), None);
            let at = rng.usize(..=model.len());
            assert_eq!(rows.get(at), model.get(at));
            assert_eq!(rows.get_mut(at), model.get_mut(at));
            if step % 500 == 0 {
                assert!(rows.iter().eq(&model));
                let mut all = Vec::new();
                rows.clone().take_apart(|entry| all.push(entry));
                assert_eq!(all, model);
                assert!(rows.heap_bytes() <= (model.len() + 24) * size_of::<String>() + model.len() + 16);
            }
        }
        assert!(rows.swap_remove(model.len()).is_none());
    }
}
