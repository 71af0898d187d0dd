//! A list value: pushes and pops at both ends cost the same however long it is. One node while it is
//! short, then a chain of nodes of a few kilobytes.

use super::bytes::SmallBytes;
use super::list_node::{Item, Node};
use super::packed::Word;
use super::seed::HashSeed;
use std::collections::VecDeque;

/// A node limited by its number of items is not longer than this either.
const COUNTED_BYTES_MAX: usize = 8192;

#[derive(Clone)]
pub struct List {
    chain: Chain,
    seed: HashSeed,
}

#[derive(Clone)]
enum Chain {
    One(Node),
    Many(Box<Nodes>),
}

/// No node is empty.
#[derive(Clone)]
struct Nodes {
    nodes: VecDeque<Node>,
    len: usize,
}

/// A place between items, read in one direction.
struct Walk<'a> {
    list: &'a List,
    node: usize,
    at: usize,
}

impl List {
    pub fn new(seed: &HashSeed) -> Self {
        List { chain: Chain::One(Node::default()), seed: seed.clone() }
    }

    pub fn from_items<'a>(seed: &HashSeed, items: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut list = List::new(seed);
        items.into_iter().for_each(|item| list.push_back(item));
        list
    }

    pub fn len(&self) -> usize {
        match &self.chain {
            Chain::One(node) => node.len(),
            Chain::Many(many) => many.len,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn node(&self, number: usize) -> Option<&Node> {
        match &self.chain {
            Chain::One(node) => (number == 0).then_some(node),
            Chain::Many(many) => many.nodes.get(number),
        }
    }

    /// About how many pieces of memory it is made of.
    pub fn parts(&self) -> usize {
        match &self.chain {
            Chain::One(_) => 1,
            Chain::Many(many) => many.nodes.len(),
        }
    }

    pub fn heap_bytes(&self) -> usize {
        match &self.chain {
            Chain::One(node) => node.heap_bytes(),
            Chain::Many(many) => {
                let nodes = many.nodes.iter().map(Node::heap_bytes).sum::<usize>();
                size_of_val(&**many) + many.nodes.capacity() * size_of::<Node>() + nodes
            }
        }
    }

    /// Whether a node takes one more item.
    #[inline]
    fn has_room(seed: &HashSeed, node: &Node, item: &Item<'_>) -> bool {
        let bytes = node.used_bytes() + item.bytes();
        match seed.limits().list_node() {
            limit @ i32::MIN..=-1 => bytes <= 4096 << (limit.unsigned_abs().min(5) - 1),
            limit => node.len() < limit as usize && bytes <= COUNTED_BYTES_MAX,
        }
    }

    /// The chain as one of many nodes.
    fn many(&mut self) -> &mut Nodes {
        if let Chain::One(node) = &mut self.chain {
            let node = std::mem::take(node);
            let len = node.len();
            let nodes = if len == 0 { VecDeque::new() } else { VecDeque::from([node]) };
            self.chain = Chain::Many(Box::new(Nodes { nodes, len }));
        }
        match &mut self.chain {
            Chain::Many(many) => many,
            Chain::One(_) => unreachable!("made many above"),
        }
    }

    pub fn push_back(&mut self, word: &[u8]) {
        let item = Item::new(word);
        let last = match &mut self.chain {
            Chain::One(node) => Some(node),
            Chain::Many(many) => many.nodes.back_mut(),
        };
        match last {
            Some(node) if node.is_empty() || Self::has_room(&self.seed, node, &item) => {
                node.push_back(&item);
                self.count_up();
            }
            last => {
                if let Some(node) = last {
                    node.shrink();
                }
                let many = self.many();
                many.nodes.push_back(Node::of(&item));
                many.len += 1;
            }
        }
    }

    pub fn push_front(&mut self, word: &[u8]) {
        let item = Item::new(word);
        let first = match &mut self.chain {
            Chain::One(node) => Some(node),
            Chain::Many(many) => many.nodes.front_mut(),
        };
        match first {
            Some(node) if node.is_empty() || Self::has_room(&self.seed, node, &item) => {
                node.push_front(&item);
                self.count_up();
            }
            first => {
                if let Some(node) = first {
                    node.shrink();
                }
                let many = self.many();
                many.nodes.push_front(Node::of(&item));
                many.len += 1;
            }
        }
    }

    #[inline]
    fn count_up(&mut self) {
        if let Chain::Many(many) = &mut self.chain {
            many.len += 1;
        }
    }

    pub fn pop_front(&mut self) -> Option<SmallBytes> {
        let node = self.node(0)?;
        let item = Word::from(node.get(node.first())?.0).to_small();
        self.drop_front(1);
        Some(item)
    }

    pub fn pop_back(&mut self) -> Option<SmallBytes> {
        let node = self.node(self.parts().checked_sub(1)?)?;
        let item = Word::from(node.get(node.before(node.end())?)?.0).to_small();
        self.drop_back(1);
        Some(item)
    }

    fn drop_front(&mut self, mut count: usize) {
        match &mut self.chain {
            Chain::One(node) => node.drop_front(count),
            Chain::Many(many) => {
                many.len -= count.min(many.len);
                while let Some(node) = many.nodes.front_mut().filter(|_| count > 0) {
                    if node.len() > count {
                        return node.drop_front(count);
                    }
                    count -= node.len();
                    many.nodes.pop_front();
                }
            }
        }
    }

    fn drop_back(&mut self, mut count: usize) {
        match &mut self.chain {
            Chain::One(node) => node.drop_back(count),
            Chain::Many(many) => {
                many.len -= count.min(many.len);
                while let Some(node) = many.nodes.back_mut().filter(|_| count > 0) {
                    if node.len() > count {
                        return node.drop_back(count);
                    }
                    count -= node.len();
                    many.nodes.pop_back();
                }
            }
        }
    }

    /// The node of the item at `index` and its number in it, from the nearer end.
    fn seek(&self, index: usize) -> Option<(usize, usize)> {
        if index >= self.len() {
            return None;
        }
        let Chain::Many(many) = &self.chain else { return Some((0, index)) };
        if index < many.len / 2 {
            let mut left = index;
            for (number, node) in many.nodes.iter().enumerate() {
                if left < node.len() {
                    return Some((number, left));
                }
                left -= node.len();
            }
        } else {
            let mut end = many.len;
            for (number, node) in many.nodes.iter().enumerate().rev() {
                let start = end - node.len();
                if index >= start {
                    return Some((number, index - start));
                }
                end = start;
            }
        }
        None
    }

    pub fn get(&self, index: usize) -> Option<Word<'_>> {
        let (number, place) = self.seek(index)?;
        let node = self.node(number)?;
        node.get(node.seek(place)).map(|(element, _)| element.into())
    }

    /// Changes the node of an item and parts it when it has grown too long.
    fn change(&mut self, number: usize, change: impl FnOnce(&mut Node)) {
        let seed = self.seed.clone();
        let is_long = |node: &Node| node.len() > 1 && !Self::has_room(&seed, node, &Item::new(b""));
        if let Chain::One(node) = &mut self.chain {
            change(node);
            if !is_long(node) {
                return;
            }
            let upper = node.split();
            let many = self.many();
            many.len += upper.len();
            many.nodes.push_back(upper);
            return;
        }
        let many = self.many();
        let Some(node) = many.nodes.get_mut(number) else { return };
        let before = node.len();
        change(node);
        many.len = many.len + node.len() - before;
        if is_long(node) {
            let upper = node.split();
            many.nodes.insert(number + 1, upper);
        }
    }

    pub fn set(&mut self, index: usize, word: &[u8]) -> bool {
        let Some((number, place)) = self.seek(index) else { return false };
        self.change(number, |node| node.set(node.seek(place), &Item::new(word)));
        true
    }

    /// Puts an item before the one at `index`; at the end when there is none.
    pub fn insert(&mut self, index: usize, word: &[u8]) {
        let Some((number, place)) = self.seek(index) else { return self.push_back(word) };
        self.change(number, |node| node.insert(node.seek(place), &Item::new(word)));
    }

    /// Removes up to `limit` items equal to `word`, from the front or from the back.
    pub fn remove_equal(&mut self, word: &[u8], limit: usize, from_back: bool) -> usize {
        let item = Item::new(word);
        let many = match &mut self.chain {
            Chain::One(node) => return node.remove_equal(&item, limit, from_back),
            Chain::Many(many) => many,
        };
        let mut removed = 0;
        for step in 0..many.nodes.len() {
            if removed == limit {
                break;
            }
            let number = if from_back { many.nodes.len() - 1 - step } else { step };
            removed += many.nodes[number].remove_equal(&item, limit - removed, from_back);
        }
        many.nodes.retain(|node| !node.is_empty());
        many.len -= removed;
        removed
    }

    /// Keeps `start..end` only.
    pub fn keep(&mut self, start: usize, end: usize) {
        self.drop_back(self.len() - end.min(self.len()));
        self.drop_front(start.min(self.len()));
    }

    fn walk_from(&self, index: usize) -> Walk<'_> {
        match self.seek(index) {
            Some((node, place)) => {
                Walk { list: self, node, at: self.node(node).map_or(0, |n| n.seek(place)) }
            }
            None => Walk { list: self, node: self.parts(), at: 0 },
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = Word<'_>> {
        self.walk_from(0)
    }

    /// From the last to the first.
    pub fn iter_back(&self) -> impl Iterator<Item = Word<'_>> {
        let mut number = self.parts();
        let mut place: Option<(&Node, usize)> = None;
        std::iter::from_fn(move || {
            loop {
                if let Some((node, end)) = place {
                    if let Some(at) = node.before(end) {
                        place = Some((node, at));
                        return node.get(at).map(|(element, _)| element.into());
                    }
                    place = None;
                }
                number = number.checked_sub(1)?;
                place = self.node(number).map(|node| (node, node.end()));
            }
        })
    }

    /// `count` items from `start` on.
    pub fn range(&self, start: usize, count: usize) -> impl Iterator<Item = Word<'_>> {
        self.walk_from(start).take(count)
    }
}

impl<'a> Iterator for Walk<'a> {
    type Item = Word<'a>;

    #[inline]
    fn next(&mut self) -> Option<Word<'a>> {
        let list: &'a List = self.list;
        loop {
            if let Some((element, next)) = list.node(self.node)?.get(self.at) {
                self.at = next;
                return Some(element.into());
            }
            self.node += 1;
            self.at = list.node(self.node)?.first();
        }
    }
}

impl std::fmt::Debug for List {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter().map(|word| word.to_small())).finish()
    }
}

const _: () = assert!(size_of::<List>() <= 48);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stdx::Rng;
    use crate::store::Limits;

    fn item(rng: &mut Rng) -> Vec<u8> {
        match rng.u8(..6) {
            0 => rng.u8(..8).to_string().into_bytes(),
            1 => (rng.i64(..) >> rng.u32(..64)).to_string().into_bytes(),
            2 => vec![b'x'; rng.usize(..300)],
            _ => vec![b'a' + rng.u8(..8)],
        }
    }

    /// Nodes of a few items, of some hundred, and of one.
    #[test]
    fn does_what_a_vector_would_do() {
        for (seed, list_node) in [(5, 4), (6, -1), (7, -2), (8, 1)] {
            let mut rng = Rng::with_seed(seed);
            let ground = HashSeed::new(1);
            ground.limits().set(Limits { list_node, ..Limits::default() });
            let mut list = List::new(&ground);
            let mut model: Vec<Vec<u8>> = Vec::new();
            let word = |item: SmallBytes| item.to_vec();
            for step in 0..12_000 {
                let item = item(&mut rng);
                match rng.u8(..12) {
                    0..3 => {
                        list.push_back(&item);
                        model.push(item);
                    }
                    3..6 => {
                        list.push_front(&item);
                        model.insert(0, item);
                    }
                    6 => assert_eq!(list.pop_back().map(word), model.pop()),
                    7 => {
                        let first = (!model.is_empty()).then(|| model.remove(0));
                        assert_eq!(list.pop_front().map(word), first);
                    }
                    8 => {
                        let index = rng.usize(..=model.len());
                        list.insert(index, &item);
                        model.insert(index, item);
                    }
                    9 if !model.is_empty() => {
                        let index = rng.usize(..model.len());
                        assert!(list.set(index, &item));
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
                    assert!(list.iter().map(|word| word.to_vec()).eq(model.iter().cloned()));
                    assert!(list.iter_back().map(|word| word.to_vec()).eq(model.iter().rev().cloned()));
                    let start = rng.usize(..=model.len());
                    let range = list.range(start, 10).map(|word| word.to_vec());
                    assert!(range.eq(model[start..].iter().take(10).cloned()));
                    if start < model.len() {
                        assert_eq!(list.get(start).map(|word| word.to_vec()).as_ref(), model.get(start));
                    }
                }
            }
        }
    }
}
