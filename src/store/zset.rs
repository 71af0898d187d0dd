//! A sorted set value: a short sorted list, then a table of scores beside a tree of ranks.

use super::bytes::SmallBytes;
use super::footprint::estimate;
use super::listpack::Element;
use super::packed::{self, Encoded, PAIRS_MAX, Packed, Word};
use super::seed::HashSeed;
use super::table::{Keyed, Table};
use super::tree::{Scored, Tree};
use crate::stdx::Rng;
use std::cmp::Ordering;
use std::ops::Range;

impl Keyed for Scored {
    fn key(&self) -> &[u8] {
        &self.member
    }
}

/// Sixteen bytes; what making it large takes is handed in.
#[derive(Clone, Default)]
pub struct ZSet(Repr);

#[derive(Clone)]
enum Repr {
    /// Members with their scores, sorted.
    Small(Packed),
    Large(Box<Large>),
}

#[derive(Clone)]
struct Large {
    scores: Table<Scored>,
    tree: Tree,
}

/// A score as an element: a number where it is a whole one, else its eight bytes.
fn encode_score(score: f64) -> Encoded {
    const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;
    if score.fract() == 0.0 && score.abs() <= WHOLE_MAX {
        return packed::encode_integer(score as i64);
    }
    packed::encode_bytes(&score.to_le_bytes())
}

fn decode_score(element: Element<'_>) -> f64 {
    match element {
        Element::Integer(value) => value as f64,
        Element::Text(bytes) => bytes.first_chunk().map_or(0.0, |bytes| f64::from_le_bytes(*bytes)),
    }
}

/// A pair where it lies.
struct Pair<'a> {
    at: usize,
    end: usize,
    member: Element<'a>,
    score: f64,
}

impl Pair<'_> {
    fn order(&self, score: f64, member: &[u8]) -> Ordering {
        let by_score = self.score.partial_cmp(&score).unwrap_or(Ordering::Equal);
        by_score.then_with(|| self.member.bytes(&mut itoa::Buffer::new()).cmp(member))
    }

    fn to_scored(&self) -> Scored {
        Scored { score: self.score, member: Word::from(self.member).to_small() }
    }
}

fn pairs(small: &Packed, mut at: usize) -> impl Iterator<Item = Pair<'_>> {
    std::iter::from_fn(move || {
        let (member, next) = small.element(at)?;
        let (score, end) = small.element(next)?;
        let pair = Pair { at, end, member, score: decode_score(score) };
        at = end;
        Some(pair)
    })
}

fn nth(small: &Packed, rank: usize) -> Option<Pair<'_>> {
    pairs(small, small.skip(Packed::FIRST, 2 * rank)?).next()
}

impl Default for Repr {
    fn default() -> Self {
        Repr::Small(Packed::default())
    }
}

impl ZSet {
    pub fn len(&self) -> usize {
        match &self.0 {
            Repr::Small(small) => small.len() / 2,
            Repr::Large(large) => large.tree.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Its table of scores, if that is large.
    pub(super) fn far_table(&self) -> Option<&Table<Scored>> {
        match &self.0 {
            Repr::Large(large) if large.scores.is_far() => Some(&large.scores),
            _ => None,
        }
    }

    pub fn score(&self, member: &[u8]) -> Option<f64> {
        match &self.0 {
            Repr::Small(small) => {
                let (at, _) = small.find_pair(&packed::encode(member))?;
                pairs(small, at).next().map(|pair| pair.score)
            }
            Repr::Large(large) => large.scores.get(member).map(|e| e.score),
        }
    }

    /// Sets a member's score, which must not be NaN; the score it had.
    pub fn insert(&mut self, seed: &HashSeed, score: f64, member: &[u8]) -> Option<f64> {
        if matches!(self.0, Repr::Small(_)) && member.len() > seed.limits().get().zset_bytes as usize {
            self.grow(seed);
        }
        self.insert_as_it_is(seed, score, member)
    }

    /// The same, but a long member makes nothing large: as Redis takes over what was in one piece.
    pub fn insert_as_it_is(&mut self, seed: &HashSeed, score: f64, member: &[u8]) -> Option<f64> {
        match &mut self.0 {
            Repr::Small(small) => {
                // Redis keeps small sets in integers where it can: minus zero becomes zero.
                let score = score + 0.0;
                let encoded = packed::encode(member);
                let found = small.find_pair(&encoded);
                let found = found.and_then(|(at, _)| pairs(small, at).next());
                let found = found.map(|pair| (pair.at, pair.end, pair.score));
                let old = found.map(|(_, _, old)| old);
                if old == Some(score) {
                    return old;
                }
                if let Some((at, end, _)) = found {
                    small.replace(at, end, &[], -2);
                }
                let mut after = pairs(small, Packed::FIRST);
                let place = after.find(|pair| pair.order(score, member) != Ordering::Less);
                let place = place.map_or(small.end(), |pair| pair.at);
                drop(after);
                small.replace(place, place, &[&encoded, &encode_score(score)], 2);
                if small.len() / 2 > (seed.limits().get().zset_entries as usize).min(PAIRS_MAX) {
                    self.grow(seed);
                }
                old
            }
            Repr::Large(large) => {
                let Large { scores, tree } = &mut **large;
                let spot = scores.locate(member);
                if let Some(entry) = scores.at_mut(spot) {
                    let old = entry.score;
                    entry.score = score;
                    if old != score {
                        tree.remove(old, member);
                        tree.insert(Scored { score, member: SmallBytes::new(member) });
                    }
                    return Some(old);
                }
                let entry = Scored { score, member: SmallBytes::new(member) };
                scores.insert_at(spot, entry.clone());
                tree.insert(entry);
                None
            }
        }
    }

    pub fn remove(&mut self, member: &[u8]) -> Option<f64> {
        match &mut self.0 {
            Repr::Small(small) => {
                let (at, _) = small.find_pair(&packed::encode(member))?;
                let (end, score) = pairs(small, at).next().map(|pair| (pair.end, pair.score))?;
                small.replace(at, end, &[], -2);
                Some(score)
            }
            Repr::Large(large) => {
                let entry = large.scores.remove(member)?;
                large.tree.remove(entry.score, member);
                Some(entry.score)
            }
        }
    }

    fn grow(&mut self, seed: &HashSeed) {
        if let Repr::Small(small) = &self.0 {
            let mut scores = Table::new(seed.clone());
            let mut tree = Tree::default();
            for pair in pairs(small, Packed::FIRST) {
                let entry = pair.to_scored();
                scores.insert(entry.clone());
                tree.insert(entry);
            }
            self.0 = Repr::Large(Box::new(Large { scores, tree }));
        }
    }

    /// As Redis makes the result of a store: small again when it is small.
    pub fn shrink(&mut self, seed: &HashSeed) {
        let limits = seed.limits().get();
        let Repr::Large(large) = &self.0 else { return };
        if large.tree.len() > (limits.zset_entries as usize).min(PAIRS_MAX) {
            return;
        }
        let (mut bytes, mut longest) = (Vec::new(), 0);
        large.tree.visit(0..large.tree.len(), &mut |entry: &Scored| {
            longest = longest.max(entry.member.len());
            bytes.extend_from_slice(&packed::encode(&entry.member));
            bytes.extend_from_slice(&encode_score(entry.score + 0.0));
        });
        if longest <= limits.zset_bytes as usize {
            let mut small = Packed::default();
            let end = small.end();
            small.replace(end, end, &[&bytes], 2 * large.tree.len() as isize);
            self.0 = Repr::Small(small);
        }
    }

    pub fn rank(&self, member: &[u8]) -> Option<usize> {
        match &self.0 {
            Repr::Small(small) => small.find_pair(&packed::encode(member)).map(|(_, number)| number),
            Repr::Large(large) => large.scores.get(member).map(|e| large.tree.rank(e.score, member)),
        }
    }

    /// How many from the front satisfy `before`, which must hold for a prefix of the order.
    pub fn count_while(&self, before: impl Fn(&Scored) -> bool) -> usize {
        match &self.0 {
            Repr::Small(small) => {
                pairs(small, Packed::FIRST).take_while(|pair| before(&pair.to_scored())).count()
            }
            Repr::Large(large) => large.tree.count_while(before),
        }
    }

    pub fn get(&self, rank: usize) -> Option<Scored> {
        match &self.0 {
            Repr::Small(small) => nth(small, rank).map(|pair| pair.to_scored()),
            Repr::Large(large) => large.tree.get(rank).cloned(),
        }
    }

    /// Visits a range of ranks in order.
    pub fn visit(&self, range: Range<usize>, visit: &mut impl FnMut(&Scored)) {
        match &self.0 {
            Repr::Small(small) => {
                let count = range.end.min(self.len()).saturating_sub(range.start);
                let from = if count > 0 { small.skip(Packed::FIRST, 2 * range.start) } else { None };
                if let Some(from) = from {
                    pairs(small, from).take(count).for_each(|pair| visit(&pair.to_scored()));
                }
            }
            Repr::Large(large) => large.tree.visit(range, visit),
        }
    }

    /// The same, from the last to the first.
    pub fn visit_back(&self, range: Range<usize>, visit: &mut impl FnMut(&Scored)) {
        match &self.0 {
            Repr::Small(_) => {
                let mut entries = Vec::new();
                self.visit(range, &mut |entry| entries.push(entry.clone()));
                entries.iter().rev().for_each(visit);
            }
            Repr::Large(large) => large.tree.visit_back(range, visit),
        }
    }

    pub fn scan(&self, cursor: u64, count: usize, mut visit: impl FnMut(&Scored)) -> u64 {
        match &self.0 {
            Repr::Small(_) => {
                self.visit(0..self.len(), &mut visit);
                0
            }
            Repr::Large(large) => large.scores.scan(cursor, count, |e| visit(e)),
        }
    }

    pub fn random(&self, rng: &mut Rng) -> Option<Scored> {
        if self.is_empty() { None } else { self.get(rng.usize(..self.len())) }
    }

    /// About how many pieces of memory it is made of.
    pub fn parts(&self) -> usize {
        match &self.0 {
            Repr::Small(_) => 1,
            Repr::Large(large) => large.scores.len(),
        }
    }

    /// Told from the first `samples` members.
    pub fn heap_bytes(&self, samples: usize) -> usize {
        match &self.0 {
            Repr::Small(small) => small.heap_bytes(),
            Repr::Large(large) => {
                let Large { scores, tree } = &**large;
                // Long members stand in both.
                let members = scores.iter().map(|entry| 2 * entry.member.heap_bytes());
                size_of_val(&**large)
                    + scores.heap_bytes()
                    + tree.heap_bytes()
                    + estimate(scores.len(), samples, members)
            }
        }
    }

    pub fn encoding(&self) -> &'static str {
        match self.0 {
            Repr::Small(_) => "listpack",
            Repr::Large(_) => "skiplist",
        }
    }
}

impl std::fmt::Debug for ZSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut list = f.debug_list();
        self.visit(0..self.len(), &mut |e| {
            list.entry(&(e.member.clone(), e.score));
        });
        list.finish()
    }
}

const _: () = assert!(size_of::<ZSet>() == 16);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_and_large_answer_alike() {
        let seed = HashSeed::new(4);
        for count in [10, 128, 129, 1000] {
            let mut zset = ZSet::default();
            for n in 0..count {
                assert_eq!(zset.insert(&seed, f64::from(n % 7), format!("m{n}").as_bytes()), None);
            }
            assert_eq!(zset.encoding(), if count <= 128 { "listpack" } else { "skiplist" });
            assert_eq!(zset.insert(&seed, 100.0, b"m3"), Some(3.0));
            assert_eq!(zset.rank(b"m3"), Some(count as usize - 1));
            assert_eq!(zset.remove(b"m3"), Some(100.0));
            let mut seen = 0;
            zset.visit(0..usize::MAX, &mut |_| seen += 1);
            assert_eq!(seen, zset.len());
            for rank in 0..zset.len() {
                let member = zset.get(rank).unwrap().member.clone();
                assert_eq!(zset.rank(&member), Some(rank));
            }
        }
    }
}
