//! A sorted set value: a short sorted list, then a table of scores beside a tree of ranks.

use super::bytes::SmallBytes;
use super::seed::HashSeed;
use super::table::{Keyed, Table};
use super::tree::{Scored, Tree};
use crate::stdx::Rng;
use std::cmp::Ordering;
use std::ops::Range;

/// Redis' `zset-max-listpack-entries` and `-value`.
const SMALL_MEMBERS_MAX: usize = 128;
const SMALL_BYTES_MAX: usize = 64;

impl Keyed for Scored {
    fn key(&self) -> &[u8] {
        &self.member
    }
}

#[derive(Clone)]
pub struct ZSet {
    repr: Repr,
    seed: HashSeed,
}

#[derive(Clone)]
enum Repr {
    /// Sorted.
    Small(Vec<Scored>),
    Large {
        scores: Table<Scored>,
        tree: Tree,
    },
}

impl ZSet {
    pub fn new(seed: &HashSeed) -> Self {
        ZSet { repr: Repr::Small(Vec::new()), seed: seed.clone() }
    }

    pub fn len(&self) -> usize {
        match &self.repr {
            Repr::Small(entries) => entries.len(),
            Repr::Large { tree, .. } => tree.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn score(&self, member: &[u8]) -> Option<f64> {
        match &self.repr {
            Repr::Small(entries) => entries.iter().find(|e| e.key() == member).map(|e| e.score),
            Repr::Large { scores, .. } => scores.get(member).map(|e| e.score),
        }
    }

    /// Sets a member's score, which must not be NaN; the score it had.
    pub fn insert(&mut self, score: f64, member: &[u8]) -> Option<f64> {
        if member.len() > SMALL_BYTES_MAX {
            self.grow();
        }
        match &mut self.repr {
            Repr::Small(entries) => {
                // Redis keeps small sets in integers where it can: minus zero becomes zero.
                let score = score + 0.0;
                let old = entries.iter().position(|e| e.key() == member);
                let old = old.map(|place| entries.remove(place).score);
                let place = entries.partition_point(|e| e.order(score, member) == Ordering::Less);
                entries.insert(place, Scored { score, member: SmallBytes::new(member) });
                if entries.len() > SMALL_MEMBERS_MAX {
                    self.grow();
                }
                old
            }
            Repr::Large { scores, tree } => {
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
        match &mut self.repr {
            Repr::Small(entries) => {
                let place = entries.iter().position(|e| e.key() == member)?;
                Some(entries.remove(place).score)
            }
            Repr::Large { scores, tree } => {
                let entry = scores.remove(member)?;
                tree.remove(entry.score, member);
                Some(entry.score)
            }
        }
    }

    fn grow(&mut self) {
        if let Repr::Small(entries) = &mut self.repr {
            let mut scores = Table::new(self.seed.clone());
            let mut tree = Tree::default();
            for entry in entries.drain(..) {
                scores.insert(entry.clone());
                tree.insert(entry);
            }
            self.repr = Repr::Large { scores, tree };
        }
    }

    /// As Redis makes the result of a store: small again when it is small.
    pub fn shrink(&mut self) {
        let mut entries = Vec::new();
        if self.len() > SMALL_MEMBERS_MAX {
            return;
        }
        self.visit(0..self.len(), &mut |e| entries.push(e.clone()));
        if entries.iter().all(|e| e.member.len() <= SMALL_BYTES_MAX) {
            self.repr = Repr::Small(entries);
        }
    }

    pub fn rank(&self, member: &[u8]) -> Option<usize> {
        match &self.repr {
            Repr::Small(entries) => entries.iter().position(|e| e.key() == member),
            Repr::Large { scores, tree } => scores.get(member).map(|e| tree.rank(e.score, member)),
        }
    }

    /// How many from the front satisfy `before`, which must hold for a prefix of the order.
    pub fn count_while(&self, before: impl Fn(&Scored) -> bool) -> usize {
        match &self.repr {
            Repr::Small(entries) => entries.partition_point(before),
            Repr::Large { tree, .. } => tree.count_while(before),
        }
    }

    pub fn get(&self, rank: usize) -> Option<&Scored> {
        match &self.repr {
            Repr::Small(entries) => entries.get(rank),
            Repr::Large { tree, .. } => tree.get(rank),
        }
    }

    /// Visits a range of ranks in order.
    pub fn visit<'a>(&'a self, range: Range<usize>, visit: &mut impl FnMut(&'a Scored)) {
        match &self.repr {
            Repr::Small(entries) => {
                let end = range.end.min(entries.len());
                entries[range.start.min(end)..end].iter().for_each(visit);
            }
            Repr::Large { tree, .. } => tree.visit(range, visit),
        }
    }

    /// The same, from the last to the first.
    pub fn visit_back<'a>(&'a self, range: Range<usize>, visit: &mut impl FnMut(&'a Scored)) {
        match &self.repr {
            Repr::Small(entries) => {
                let end = range.end.min(entries.len());
                entries[range.start.min(end)..end].iter().rev().for_each(visit);
            }
            Repr::Large { tree, .. } => tree.visit_back(range, visit),
        }
    }

    pub fn scan(&self, cursor: u64, count: usize, mut visit: impl FnMut(&Scored)) -> u64 {
        match &self.repr {
            Repr::Small(entries) => {
                entries.iter().for_each(visit);
                0
            }
            Repr::Large { scores, .. } => scores.scan(cursor, count, |e| visit(e)),
        }
    }

    pub fn random(&self, rng: &mut Rng) -> Option<&Scored> {
        if self.is_empty() { None } else { self.get(rng.usize(..self.len())) }
    }

    pub fn encoding(&self) -> &'static str {
        match self.repr {
            Repr::Small(_) => "listpack",
            Repr::Large { .. } => "skiplist",
        }
    }
}

impl std::fmt::Debug for ZSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut list = f.debug_list();
        self.visit(0..self.len(), &mut |e| {
            list.entry(&(&e.member, e.score));
        });
        list.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_and_large_answer_alike() {
        let seed = HashSeed::new(4);
        for count in [10, 128, 129, 1000] {
            let mut zset = ZSet::new(&seed);
            for n in 0..count {
                assert_eq!(zset.insert(f64::from(n % 7), format!("m{n}").as_bytes()), None);
            }
            assert_eq!(zset.encoding(), if count <= 128 { "listpack" } else { "skiplist" });
            assert_eq!(zset.insert(100.0, b"m3"), Some(3.0));
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
