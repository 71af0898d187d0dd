//! Members in order of score, then bytes, with ranks: a B+tree that counts what is below each
//! branch. Every range question is a question about ranks, answered in O(log n).

use super::bytes::SmallBytes;
use std::cmp::Ordering;
use std::ops::Range;

const LEAF_MAX: usize = 64;
const FANOUT_MAX: usize = 32;

/// One member with its score; never NaN.
#[derive(Clone, Debug, PartialEq)]
pub struct Scored {
    pub score: f64,
    pub member: SmallBytes,
}

impl Scored {
    /// The order of a sorted set.
    pub fn order(&self, score: f64, member: &[u8]) -> Ordering {
        // -0 and 0 are the same score.
        self.score
            .partial_cmp(&score)
            .unwrap_or(Ordering::Equal)
            .then_with(|| self.member.as_slice().cmp(member))
    }
}

#[derive(Clone, Debug)]
enum Node {
    Leaf(Vec<Scored>),
    Inner(Vec<Branch>),
}

#[derive(Clone, Debug)]
struct Branch {
    /// Nothing below is less; everything before is.
    least: Scored,
    count: usize,
    node: Box<Node>,
}

#[derive(Clone, Debug)]
pub struct Tree {
    root: Node,
    len: usize,
}

impl Default for Tree {
    fn default() -> Self {
        Tree { root: Node::Leaf(Vec::new()), len: 0 }
    }
}

impl Tree {
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Without what long members take elsewhere.
    pub fn heap_bytes(&self) -> usize {
        self.root.heap_bytes()
    }

    /// The member must not be there with this score yet.
    pub fn insert(&mut self, entry: Scored) {
        self.len += 1;
        if let Some(right) = self.root.insert(entry) {
            let left = std::mem::replace(&mut self.root, Node::Inner(Vec::with_capacity(FANOUT_MAX)));
            let left = Branch::over(left);
            if let (Node::Inner(branches), Some(left)) = (&mut self.root, left) {
                branches.push(left);
                branches.push(right);
            }
        }
    }

    pub fn remove(&mut self, score: f64, member: &[u8]) -> bool {
        let removed = self.root.remove(score, member);
        if removed {
            self.len -= 1;
            while let Node::Inner(branches) = &mut self.root
                && branches.len() <= 1
            {
                self.root = branches.pop().map_or(Node::Leaf(Vec::new()), |branch| *branch.node);
            }
        }
        removed
    }

    /// How many entries from the front satisfy `before`, which must hold for a prefix of the order.
    pub fn count_while(&self, before: impl Fn(&Scored) -> bool) -> usize {
        let (mut node, mut count) = (&self.root, 0);
        loop {
            match node {
                Node::Leaf(entries) => return count + entries.partition_point(&before),
                Node::Inner(branches) => {
                    let next = branches.partition_point(|branch| before(&branch.least)).saturating_sub(1);
                    count += branches[..next].iter().map(|branch| branch.count).sum::<usize>();
                    node = &branches[next].node;
                }
            }
        }
    }

    pub fn rank(&self, score: f64, member: &[u8]) -> usize {
        self.count_while(|entry| entry.order(score, member) == Ordering::Less)
    }

    pub fn get(&self, rank: usize) -> Option<&Scored> {
        let (mut node, mut rank) = (&self.root, rank);
        loop {
            match node {
                Node::Leaf(entries) => return entries.get(rank),
                Node::Inner(branches) => {
                    let mut next = None;
                    for branch in branches {
                        if rank < branch.count {
                            next = Some(&*branch.node);
                            break;
                        }
                        rank -= branch.count;
                    }
                    node = next?;
                }
            }
        }
    }

    /// Visits the entries of a range of ranks in order.
    pub fn visit<'a>(&'a self, range: Range<usize>, visit: &mut impl FnMut(&'a Scored)) {
        self.root.visit(range.start, range.end.min(self.len), visit);
    }

    /// The same, from the last to the first.
    pub fn visit_back<'a>(&'a self, range: Range<usize>, visit: &mut impl FnMut(&'a Scored)) {
        self.root.visit_back(range.start, range.end.min(self.len), visit);
    }
}

impl Branch {
    /// `None` for an empty node, which has no place in a tree.
    fn over(node: Node) -> Option<Branch> {
        let least = match &node {
            Node::Leaf(entries) => entries.first()?.clone(),
            Node::Inner(branches) => branches.first()?.least.clone(),
        };
        Some(Branch { least, count: node.count(), node: Box::new(node) })
    }
}

impl Node {
    fn count(&self) -> usize {
        match self {
            Node::Leaf(entries) => entries.len(),
            Node::Inner(branches) => branches.iter().map(|branch| branch.count).sum(),
        }
    }

    fn heap_bytes(&self) -> usize {
        match self {
            Node::Leaf(entries) => entries.capacity() * size_of::<Scored>(),
            Node::Inner(branches) => {
                let below = branches.iter().map(|branch| size_of::<Node>() + branch.node.heap_bytes());
                branches.capacity() * size_of::<Branch>() + below.sum::<usize>()
            }
        }
    }

    fn width(&self) -> usize {
        match self {
            Node::Leaf(entries) => entries.len(),
            Node::Inner(branches) => branches.len(),
        }
    }

    /// The new right neighbour when the node had to be parted.
    fn insert(&mut self, entry: Scored) -> Option<Branch> {
        match self {
            Node::Leaf(entries) => {
                let place =
                    entries.partition_point(|e| e.order(entry.score, &entry.member) == Ordering::Less);
                let at_end = place == entries.len();
                if entries.len() == entries.capacity() {
                    let more = (entries.len() / 4).max(4).min(LEAF_MAX + 1 - entries.len());
                    entries.reserve_exact(more);
                }
                entries.insert(place, entry);
                if entries.len() <= LEAF_MAX {
                    return None;
                }
                // Rising insertions leave full leaves behind.
                let cut = if at_end { LEAF_MAX } else { LEAF_MAX / 2 };
                let right = entries.split_off(cut);
                entries.shrink_to(if at_end { cut } else { cut + cut / 4 });
                Branch::over(Node::Leaf(right))
            }
            Node::Inner(branches) => {
                let next = branches
                    .partition_point(|b| b.least.order(entry.score, &entry.member) != Ordering::Greater)
                    .saturating_sub(1);
                let branch = &mut branches[next];
                if branch.least.order(entry.score, &entry.member) == Ordering::Greater {
                    branch.least = entry.clone();
                }
                let right = branch.node.insert(entry);
                branch.count += 1;
                if let Some(right) = right {
                    branch.count -= right.count;
                    branches.insert(next + 1, right);
                    if branches.len() > FANOUT_MAX {
                        let right = branches.split_off(FANOUT_MAX / 2);
                        branches.shrink_to(FANOUT_MAX);
                        return Branch::over(Node::Inner(right));
                    }
                }
                None
            }
        }
    }

    fn remove(&mut self, score: f64, member: &[u8]) -> bool {
        match self {
            Node::Leaf(entries) => {
                let place = entries.partition_point(|e| e.order(score, member) == Ordering::Less);
                let found = entries.get(place).is_some_and(|e| e.member.as_slice() == member);
                if found {
                    entries.remove(place);
                }
                found
            }
            Node::Inner(branches) => {
                let next = branches
                    .partition_point(|b| b.least.order(score, member) != Ordering::Greater)
                    .saturating_sub(1);
                let branch = &mut branches[next];
                if !branch.node.remove(score, member) {
                    return false;
                }
                branch.count -= 1;
                if branch.count == 0 {
                    branches.remove(next);
                } else {
                    Node::merge(branches, next);
                }
                true
            }
        }
    }

    /// Joins a branch that has become thin with a neighbour that has room for it.
    fn merge(branches: &mut Vec<Branch>, index: usize) {
        let full = |branch: &Branch| match *branch.node {
            Node::Leaf(_) => LEAF_MAX,
            Node::Inner(_) => FANOUT_MAX,
        };
        if branches[index].node.width() >= full(&branches[index]) / 4 {
            return;
        }
        for left in [index.wrapping_sub(1), index] {
            if left >= branches.len() || left + 1 >= branches.len() {
                continue;
            }
            if branches[left].node.width() + branches[left + 1].node.width() > full(&branches[left]) / 2 {
                continue;
            }
            let right = branches.remove(left + 1);
            branches[left].count += right.count;
            match (&mut *branches[left].node, *right.node) {
                (Node::Leaf(into), Node::Leaf(from)) => into.extend(from),
                (Node::Inner(into), Node::Inner(from)) => into.extend(from),
                _ => unreachable!("all leaves are at one depth"),
            }
            return;
        }
    }

    fn visit<'a>(&'a self, start: usize, end: usize, visit: &mut impl FnMut(&'a Scored)) {
        match self {
            Node::Leaf(entries) => entries[start.min(end)..end].iter().for_each(visit),
            Node::Inner(branches) => {
                let mut offset = 0;
                for branch in branches {
                    let (low, high) = (start.max(offset), end.min(offset + branch.count));
                    if low < high {
                        branch.node.visit(low - offset, high - offset, visit);
                    }
                    offset += branch.count;
                    if offset >= end {
                        break;
                    }
                }
            }
        }
    }

    fn visit_back<'a>(&'a self, start: usize, end: usize, visit: &mut impl FnMut(&'a Scored)) {
        match self {
            Node::Leaf(entries) => entries[start.min(end)..end].iter().rev().for_each(visit),
            Node::Inner(branches) => {
                let mut offset: usize = branches.iter().map(|branch| branch.count).sum();
                for branch in branches.iter().rev() {
                    offset -= branch.count;
                    let (low, high) = (start.max(offset), end.min(offset + branch.count));
                    if low < high {
                        branch.node.visit_back(low - offset, high - offset, visit);
                    }
                    if offset <= start {
                        break;
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stdx::Rng;

    #[test]
    fn keeps_order_and_ranks_like_a_sorted_vector() {
        for seed in 0..6 {
            let mut rng = Rng::with_seed(seed);
            let mut tree = Tree::default();
            let mut model: Vec<Scored> = Vec::new();
            for step in 0..12_000 {
                let grow = if step < 7_000 { 3 } else { 1 };
                let entry = Scored {
                    score: f64::from(rng.i32(-50..50)),
                    member: SmallBytes::new(format!("m{}", rng.u32(..4000)).as_bytes()),
                };
                let place = model.partition_point(|e| e.order(entry.score, &entry.member) == Ordering::Less);
                let there = model.get(place) == Some(&entry);
                if rng.u32(..4) < grow {
                    if !there {
                        model.insert(place, entry.clone());
                        tree.insert(entry);
                    }
                } else if let Some(victim) = (!model.is_empty()).then(|| rng.usize(..model.len())) {
                    let victim = model.remove(victim);
                    assert!(tree.remove(victim.score, &victim.member));
                    assert!(!tree.remove(victim.score, &victim.member));
                }
                assert_eq!(tree.len(), model.len());
                if step % 97 == 0 && !model.is_empty() {
                    let rank = rng.usize(..model.len());
                    assert_eq!(tree.get(rank), model.get(rank));
                    assert_eq!(tree.rank(model[rank].score, &model[rank].member), rank);
                    let end = rng.usize(rank..=model.len());
                    let mut seen = Vec::new();
                    tree.visit(rank..end, &mut |e| seen.push(e.clone()));
                    assert_eq!(seen, model[rank..end]);
                    seen.clear();
                    tree.visit_back(rank..end, &mut |e| seen.push(e.clone()));
                    seen.reverse();
                    assert_eq!(seen, model[rank..end]);
                }
            }
        }
    }
}
