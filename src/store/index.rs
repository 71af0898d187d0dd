//! Where entries stand, found by their hashes: two bytes a slot, seven bits of the hash and nine of the
//! place. Slots are searched by sixteen, which is half a cache line and one comparison, before an entry
//! is looked at. Holds no keys; who asks says whether an entry is the one that is meant.

/// Places that can be told apart.
pub const PLACES_MAX: usize = 448;

const PLACE_BITS: u32 = 9;
const PLACE_MASK: u16 = (1 << PLACE_BITS) - 1;
/// No place is as high as those of these two.
const EMPTY: u16 = u16::MAX;
const GONE: u16 = u16::MAX - 1;

const GROUP: usize = 16;
type Group = [[u16; 8]; 2];

/// Whoever seeks goes on to the next group only from one that was full, and a group that was stays so:
/// what is removed from it is marked as gone, and elsewhere a slot becomes empty again. As the lowest
/// empty slot is taken first, the last slot tells whether a group was ever full.
#[derive(Clone, Default)]
pub struct Index {
    groups: Box<[Group]>,
    /// Slots that are not empty.
    taken: u16,
}

#[inline]
fn tag(hash: u64) -> u16 {
    ((hash >> 57) as u16) << PLACE_BITS
}

/// Which slots of a group are of a kind, a bit for each. Halves and bits are such that the compiler
/// makes a few vector instructions of it: an eighth of the time of a loop that ends early.
#[inline]
fn which(group: &Group, is: impl Fn(u16) -> bool) -> u16 {
    let half = |slots: &[u16; 8]| {
        let mut bits = 0u16;
        for (number, &slot) in slots.iter().enumerate() {
            bits |= if is(slot) { 2 << number } else { 0 };
        }
        bits
    };
    half(&group[0]) >> 1 | half(&group[1]) << 7
}

#[inline]
fn was_full(group: &Group) -> bool {
    group[1][7] != EMPTY
}

/// The slot of the lowest bit.
#[inline]
fn lowest(bits: u16) -> (usize, usize) {
    let slot = bits.trailing_zeros() as usize;
    (slot / 8 % 2, slot % 8)
}

impl Index {
    /// With room for so many and some more, in a size that the allocator has.
    pub fn with_room(entries: usize) -> Self {
        let bytes = (entries.min(PLACES_MAX) * 3).max(size_of::<Group>());
        let step = (bytes.next_power_of_two() / 8).max(size_of::<Group>());
        let groups = bytes.next_multiple_of(step) / size_of::<Group>();
        Index { groups: vec![[[EMPTY; 8]; 2]; groups].into(), taken: 0 }
    }

    /// It was never made: nothing is indexed.
    #[inline]
    pub fn is_absent(&self) -> bool {
        self.groups.is_empty()
    }

    /// Whether one more may be put in.
    #[inline]
    pub fn has_room(&self) -> bool {
        (usize::from(self.taken) + 1) * 5 <= self.groups.len() * GROUP * 4
    }

    pub fn heap_bytes(&self) -> usize {
        size_of_val(&*self.groups)
    }

    #[inline]
    fn home(&self, hash: u64) -> usize {
        (((hash & 0xffff_ffff) * self.groups.len() as u64) >> 32) as usize
    }

    #[inline]
    fn next(&self, number: usize) -> usize {
        if number + 1 < self.groups.len() { number + 1 } else { 0 }
    }

    /// The place that is meant among those that an entry of this hash may have.
    #[inline]
    pub fn find(&self, hash: u64, mut is_it: impl FnMut(usize) -> bool) -> Option<usize> {
        let (tag, mut number) = (tag(hash), self.home(hash));
        loop {
            let group = self.groups.get(number)?;
            let mut bits = which(group, |slot| slot & !PLACE_MASK == tag);
            while bits != 0 {
                // The marks have a place that no entry has.
                let (half, slot) = lowest(bits);
                let place = usize::from(group[half][slot] & PLACE_MASK);
                if is_it(place) {
                    return Some(place);
                }
                bits &= bits - 1;
            }
            if !was_full(group) {
                return None;
            }
            number = self.next(number);
        }
    }

    /// The slot of an entry that is indexed.
    fn slot_mut(&mut self, hash: u64, place: usize) -> Option<(&mut Group, (usize, usize))> {
        let (wanted, mut number) = (tag(hash) | place as u16, self.home(hash));
        loop {
            let group = self.groups.get(number)?;
            let bits = which(group, |slot| slot == wanted);
            if bits != 0 {
                return Some((&mut self.groups[number], lowest(bits)));
            }
            if !was_full(group) {
                return None;
            }
            number = self.next(number);
        }
    }

    /// There must be room, and the place below [`PLACES_MAX`].
    pub fn insert(&mut self, hash: u64, place: usize) {
        let mut number = self.home(hash);
        loop {
            let bits = which(&self.groups[number], |slot| slot >= GONE);
            if bits != 0 {
                let (half, slot) = lowest(bits);
                let slot = &mut self.groups[number][half][slot];
                self.taken += u16::from(*slot == EMPTY);
                *slot = tag(hash) | place as u16;
                return;
            }
            number = self.next(number);
        }
    }

    /// Whether it was there.
    pub fn remove(&mut self, hash: u64, place: usize) -> bool {
        let Some((group, (half, slot))) = self.slot_mut(hash, place) else { return false };
        let was_full = was_full(group);
        group[half][slot] = if was_full { GONE } else { EMPTY };
        self.taken -= u16::from(!was_full);
        true
    }

    /// An entry stands elsewhere now.
    pub fn change_place(&mut self, hash: u64, from: usize, to: usize) {
        if let Some((group, (half, slot))) = self.slot_mut(hash, from) {
            group[half][slot] = tag(hash) | to as u16;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stdx::Rng;

    #[test]
    fn finds_what_a_list_of_hashes_holds() {
        for (seed, room) in [(1, 9), (2, 40), (3, 230), (4, 448)] {
            let mut rng = Rng::with_seed(seed);
            let (mut index, mut model) = (Index::with_room(room), Vec::<(u64, usize)>::new());
            for step in 0..20_000 {
                let free = (0..PLACES_MAX).find(|place| !model.iter().any(|(_, other)| other == place));
                if model.len() < room && index.has_room() && rng.u32(..100) < 55 {
                    // Few different hashes of high and low bits: runs are long, tags often the same.
                    let hash = rng.u64(..20) << 57 | rng.u64(..30) << 27;
                    index.insert(hash, free.unwrap());
                    model.push((hash, free.unwrap()));
                } else if !model.is_empty() {
                    let (hash, place) = model.swap_remove(rng.usize(..model.len()));
                    assert!(index.remove(hash, place));
                    assert!(!index.remove(hash, place));
                } else if !index.has_room() {
                    index = Index::with_room(room);
                }
                if step % 100 == 0 {
                    for &(hash, place) in &model {
                        assert_eq!(index.find(hash, |at| at == place), Some(place));
                    }
                    assert!(usize::from(index.taken) >= model.len());
                }
            }
        }
    }

    #[test]
    fn its_sizes_are_those_of_the_allocator() {
        let bytes =
            [9, 13, 30, 100, 224, 308, 410, 448, 5000].map(|room| Index::with_room(room).heap_bytes());
        assert_eq!(bytes, [32, 64, 96, 320, 768, 1024, 1280, 1536, 1536]);
        assert!(Index::default().is_absent() && Index::default().find(7, |_| true).is_none());
    }
}
