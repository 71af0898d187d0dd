//! Where entries stand, found by their hashes: two bytes a slot, seven bits of the hash and nine of the
//! place. Slots are searched by sixteen, which is half a cache line and a few dozen instructions without
//! a branch, before an entry is looked at. Holds no keys; who asks says whether an entry is the one that
//! is meant.

/// Places that can be told apart.
pub const PLACES_MAX: usize = 448;

const PLACE_BITS: u32 = 9;
const PLACE_MASK: u16 = (1 << PLACE_BITS) - 1;
/// No place is as high as those of these two.
const EMPTY: u16 = u16::MAX;
const GONE: u16 = u16::MAX - 1;

/// Four slots in each number, the first in the lowest bits.
type Group = [u64; 4];
const GROUP: usize = 16;
/// One in each slot.
const ONES: u64 = 0x0001_0001_0001_0001;

/// Whoever seeks goes on to the next group only from one that was full, and a group that was stays so:
/// what is removed from it is marked as gone, and elsewhere a slot becomes empty again. As the first
/// empty slot is taken, the last slot tells whether a group was ever full.
#[derive(Clone, Default)]
pub struct Index {
    groups: Box<[Group]>,
    /// Slots that are not empty.
    taken: u16,
}

/// Where a slot is: the group, the number in it, the slot in that.
type Slot = (usize, usize, usize);

#[inline]
fn tag(hash: u64) -> u16 {
    ((hash >> 57) as u16) << PLACE_BITS
}

/// The slots with this tag: four bits of sixteen for each of the four of a number, from bit 4 on.
#[inline]
fn matching(group: &Group, tag: u16) -> u64 {
    const TAGS: u64 = ONES * (u16::MAX >> PLACE_BITS) as u64;
    let wanted = ONES * u64::from(tag);
    // Of another tag something is left, and then the sum reaches the eighth bit of its slot.
    let other = |slots: u64| (((slots ^ wanted) >> PLACE_BITS & TAGS) + TAGS) & (ONES << 7);
    let [a, b, c, d] = *group;
    (other(a) >> 3 | other(b) >> 2 | other(c) >> 1 | other(d)) ^ (ONES * 0xf0)
}

/// Number and slot of the lowest bit.
#[inline]
fn lowest(bits: u64) -> (usize, usize) {
    let at = bits.trailing_zeros() as usize;
    ((at % 16).wrapping_sub(4) % 4, at / 16 % 4)
}

#[inline]
fn read(group: &Group, (number, slot): (usize, usize)) -> u16 {
    (group[number] >> (16 * slot)) as u16
}

#[inline]
fn was_full(group: &Group) -> bool {
    read(group, (3, 3)) != EMPTY
}

impl Index {
    /// With room for so many and some more, in a size that the allocator has.
    pub fn with_room(entries: usize) -> Self {
        let bytes = (entries.min(PLACES_MAX) * 3).max(size_of::<Group>());
        let step = (bytes.next_power_of_two() / 8).max(size_of::<Group>());
        let groups = bytes.next_multiple_of(step) / size_of::<Group>();
        Index { groups: vec![[u64::MAX; 4]; groups].into(), taken: 0 }
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
    fn next(&self, group: usize) -> usize {
        if group + 1 < self.groups.len() { group + 1 } else { 0 }
    }

    fn write(&mut self, (group, number, slot): Slot, value: u16) {
        let number = &mut self.groups[group][number];
        *number = *number & !(0xffff << (16 * slot)) | u64::from(value) << (16 * slot);
    }

    #[inline]
    fn seek(&self, hash: u64, mut is_it: impl FnMut(usize) -> bool) -> Option<(usize, Slot)> {
        let (tag, mut number) = (tag(hash), self.home(hash));
        loop {
            let group = self.groups.get(number)?;
            let mut bits = matching(group, tag);
            while bits != 0 {
                let (word, slot) = lowest(bits);
                // The marks have a place that no entry has.
                let place = usize::from(read(group, (word, slot)) & PLACE_MASK);
                if is_it(place) {
                    return Some((place, (number, word, slot)));
                }
                bits &= bits - 1;
            }
            if !was_full(group) {
                return None;
            }
            number = self.next(number);
        }
    }

    /// The place that is meant among those that an entry of this hash may have.
    #[inline]
    pub fn find(&self, hash: u64, is_it: impl FnMut(usize) -> bool) -> Option<usize> {
        self.seek(hash, is_it).map(|(place, _)| place)
    }

    /// The begin of where a search for this hash begins.
    #[inline]
    pub fn first_word(&self, hash: u64) -> u64 {
        self.groups.get(self.home(hash)).map_or(0, |group| group[0])
    }

    /// The place that is most likely meant, without asking anybody.
    #[inline]
    pub fn guess(&self, hash: u64) -> Option<usize> {
        let group = self.groups.get(self.home(hash))?;
        let bits = matching(group, tag(hash));
        (bits != 0).then(|| usize::from(read(group, lowest(bits)) & PLACE_MASK))
    }

    /// There must be room, and the place below [`PLACES_MAX`].
    pub fn insert(&mut self, hash: u64, place: usize) {
        let mut number = self.home(hash);
        loop {
            let group = &self.groups[number];
            let free = (0..GROUP).find(|at| read(group, (at / 4, at % 4)) >= GONE);
            if let Some(at) = free {
                self.taken += u16::from(read(group, (at / 4, at % 4)) == EMPTY);
                return self.write((number, at / 4, at % 4), tag(hash) | place as u16);
            }
            number = self.next(number);
        }
    }

    /// Whether it was there.
    pub fn remove(&mut self, hash: u64, place: usize) -> bool {
        let Some((_, at)) = self.seek(hash, |other| other == place) else { return false };
        let was_full = was_full(&self.groups[at.0]);
        self.write(at, if was_full { GONE } else { EMPTY });
        self.taken -= u16::from(!was_full);
        true
    }

    /// An entry stands elsewhere now.
    pub fn change_place(&mut self, hash: u64, from: usize, to: usize) {
        if let Some((_, at)) = self.seek(hash, |other| other == from) {
            self.write(at, tag(hash) | to as u16);
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
