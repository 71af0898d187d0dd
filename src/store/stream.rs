//! A stream: entries in the order of their ids, in nodes of up to a hundred, and its consumer
//! groups. Promises: ids only grow; a range costs what it yields and one node at either end. Knows
//! no clock and no command.

use super::stream_group::Group;
use super::stream_id::StreamId;
use super::stream_node::{EntryView, Node, NodeLimits};
use std::collections::BTreeMap;
use std::fmt;

#[derive(Clone, Default, PartialEq)]
pub struct Stream {
    nodes: BTreeMap<StreamId, Node>,
    len: u64,
    last_id: StreamId,
    first_id: StreamId,
    max_deleted_id: StreamId,
    entries_added: u64,
    groups: BTreeMap<Box<[u8]>, Group>,
}

/// What XADD and XTRIM let fall away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// The newest so many.
    Len(u64),
    /// Those from this id on.
    From(StreamId),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trim {
    pub keep: Keep,
    /// Whole nodes only.
    pub approximate: bool,
    /// At most about so many entries at once; 0 for no limit.
    pub limit: u64,
}

/// The numbers beside the entries, as XSETID sets them and files hold them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamMarks {
    pub last_id: StreamId,
    pub max_deleted_id: StreamId,
    pub entries_added: u64,
}

impl Stream {
    pub fn len(&self) -> u64 {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The newest id ever given.
    pub fn last_id(&self) -> StreamId {
        self.last_id
    }

    /// The oldest entry's; zero when there is none.
    pub fn first_id(&self) -> StreamId {
        self.first_id
    }

    pub fn max_deleted_id(&self) -> StreamId {
        self.max_deleted_id
    }

    pub fn entries_added(&self) -> u64 {
        self.entries_added
    }

    /// What lies beside itself.
    pub fn heap_bytes(&self) -> usize {
        // Trees keep a node for about every seven of theirs.
        let nodes = self.nodes.values().map(|node| node.capacity() + size_of::<Node>() * 3 / 2);
        let groups = self.groups.iter().map(|(name, group)| name.len() + group.heap_bytes());
        nodes.sum::<usize>() + groups.sum::<usize>()
    }

    /// Nodes with their ids, for files and for XINFO.
    pub fn nodes(&self) -> impl ExactSizeIterator<Item = (StreamId, &Node)> {
        self.nodes.iter().map(|(id, node)| (*id, node))
    }

    /// Adds an entry of fields with their values; whether its id was new enough.
    pub fn push(&mut self, id: StreamId, words: &[&[u8]], limits: NodeLimits) -> bool {
        if id <= self.last_id {
            return false;
        }
        let bytes = words.iter().map(|word| word.len()).sum();
        match self.nodes.last_entry() {
            Some(mut last) if last.get().has_room(bytes, limits) => last.get_mut().push(id, words),
            last => {
                if let Some(mut last) = last {
                    last.get_mut().shrink();
                }
                self.nodes.insert(id, Node::new(id, words));
            }
        }
        self.len += 1;
        self.entries_added = self.entries_added.saturating_add(1);
        self.last_id = id;
        if self.len == 1 {
            self.first_id = id;
        }
        true
    }

    /// Entries from `start` to `end`, both included, oldest first.
    pub fn range(&self, start: StreamId, end: StreamId) -> impl Iterator<Item = EntryView<'_>> {
        self.nodes_between(start, end)
            .flat_map(|(_, node)| node.entries())
            .skip_while(move |entry| entry.id < start)
            .take_while(move |entry| entry.id <= end)
            .filter(|entry| !entry.deleted)
    }

    /// The same, newest first.
    pub fn range_back(&self, start: StreamId, end: StreamId) -> impl Iterator<Item = EntryView<'_>> {
        self.nodes_between(start, end)
            .rev()
            .flat_map(|(_, node)| node.entries().collect::<Vec<_>>().into_iter().rev())
            .skip_while(move |entry| entry.id > end)
            .take_while(move |entry| entry.id >= start)
            .filter(|entry| !entry.deleted)
    }

    fn nodes_between(
        &self,
        start: StreamId,
        end: StreamId,
    ) -> impl DoubleEndedIterator<Item = (&StreamId, &Node)> {
        // A range that ends before it begins holds nothing, and no node has the id zero.
        let (first, end) = if start <= end {
            (self.nodes.range(..=start).next_back().map_or(start, |(id, _)| *id), end)
        } else {
            (StreamId::ZERO, StreamId::ZERO)
        };
        self.nodes.range(first..=end)
    }

    pub fn contains(&self, id: StreamId) -> bool {
        self.range(id, id).next().is_some()
    }

    /// The newest entry that is still there.
    pub fn newest(&self) -> Option<EntryView<'_>> {
        self.range_back(StreamId::ZERO, StreamId::MAX).next()
    }

    /// The oldest entry, deleted or not, of the oldest node.
    pub fn oldest_in_nodes(&self) -> Option<StreamId> {
        self.nodes.values().next().and_then(|node| node.entries().next()).map(|entry| entry.id)
    }

    fn note_first(&mut self) {
        let first = self.range(StreamId::ZERO, StreamId::MAX).next().map(|entry| entry.id);
        self.first_id = first.unwrap_or(StreamId::ZERO);
    }

    /// Deletes an entry; whether there was one.
    pub fn delete(&mut self, id: StreamId) -> bool {
        let Some((&node_id, node)) = self.nodes.range_mut(..=id).next_back() else { return false };
        if !node.delete(id) {
            return false;
        }
        if node.live() == 0 {
            self.nodes.remove(&node_id);
        }
        self.len -= 1;
        self.max_deleted_id = self.max_deleted_id.max(id);
        if self.len == 0 || id == self.first_id {
            self.note_first();
        }
        true
    }

    /// Lets old entries go; how many went.
    pub fn trim(&mut self, trim: Trim) -> u64 {
        let mut gone = 0;
        while let Some(mut first) = self.nodes.first_entry() {
            if matches!(trim.keep, Keep::Len(keep) if self.len <= keep) {
                break;
            }
            let live = first.get().live() as u64;
            if trim.limit > 0 && gone + live > trim.limit {
                break;
            }
            let whole = match trim.keep {
                Keep::Len(keep) => self.len.saturating_sub(live) >= keep,
                Keep::From(id) => first.get().last_id() < id,
            };
            if whole {
                first.remove();
                self.len -= live;
                gone += live;
                continue;
            }
            if !trim.approximate {
                let mut left = self.len;
                let marked = first.get_mut().mark_while(|entry| match trim.keep {
                    Keep::Len(keep) => {
                        let doomed = left > keep;
                        left -= u64::from(doomed && !entry.deleted);
                        doomed
                    }
                    Keep::From(id) => entry.id < id,
                }) as u64;
                // With nothing but marks left the node stays, as in Redis, until it is trimmed as a whole.
                self.len -= marked;
                gone += marked;
            }
            break;
        }
        if gone > 0 {
            self.note_first();
        }
        gone
    }

    pub fn marks(&self) -> StreamMarks {
        let &Stream { last_id, max_deleted_id, entries_added, .. } = self;
        StreamMarks { last_id, max_deleted_id, entries_added }
    }

    pub fn set_marks(&mut self, marks: StreamMarks) {
        self.last_id = marks.last_id;
        self.max_deleted_id = marks.max_deleted_id;
        self.entries_added = marks.entries_added;
    }

    /// Takes a node of a file in, behind all others.
    pub fn load_node(&mut self, id: StreamId, bytes: Vec<u8>) -> Result<(), &'static str> {
        let (mut node, live) = Node::parse(id, bytes)?;
        if node.entries().next().is_some_and(|entry| entry.id < id)
            || self.nodes.values().next_back().is_some_and(|last| last.last_id() >= id)
        {
            return Err("stream nodes are out of order");
        }
        self.len += live as u64;
        self.last_id = self.last_id.max(node.last_id());
        node.shrink();
        self.nodes.insert(id, node);
        if self.first_id == StreamId::ZERO {
            self.note_first();
        }
        Ok(())
    }

    pub fn groups(&self) -> &BTreeMap<Box<[u8]>, Group> {
        &self.groups
    }

    pub fn group(&self, name: &[u8]) -> Option<&Group> {
        self.groups.get(name)
    }

    pub fn group_mut(&mut self, name: &[u8]) -> Option<&mut Group> {
        self.groups.get_mut(name)
    }

    /// Whether the name was free.
    pub fn add_group(&mut self, name: &[u8], group: Group) -> bool {
        if self.groups.contains_key(name) {
            return false;
        }
        self.groups.insert(name.into(), group);
        true
    }

    pub fn remove_group(&mut self, name: &[u8]) -> bool {
        self.groups.remove(name).is_some()
    }

    // How far a group is.

    /// Whether an entry was deleted out of the middle from `from` on.
    pub fn has_holes_from(&self, from: StreamId) -> bool {
        self.len > 0 && self.max_deleted_id >= self.first_id && from <= self.max_deleted_id
    }

    /// How many entries were added up to `id`, if that can be told.
    pub fn added_up_to(&self, id: StreamId) -> Option<u64> {
        if self.entries_added == 0 {
            return Some(0);
        }
        if self.len == 0 && id <= self.last_id {
            return Some(self.entries_added);
        }
        if id >= self.last_id {
            return (id == self.last_id).then_some(self.entries_added);
        }
        if self.max_deleted_id == StreamId::ZERO || self.max_deleted_id < self.first_id {
            let before = self.entries_added.wrapping_sub(self.len);
            match id.cmp(&self.first_id) {
                std::cmp::Ordering::Less => return Some(before),
                std::cmp::Ordering::Equal => return Some(before.wrapping_add(1)),
                std::cmp::Ordering::Greater => {}
            }
        }
        None
    }

    /// Entries that a group has yet to read, if that can be told.
    pub fn lag(&self, group: &Group) -> Option<i64> {
        if self.entries_added == 0 {
            return Some(0);
        }
        let read = match group.entries_read {
            Some(read) if !self.has_holes_from(group.last_id) => read,
            _ => self.added_up_to(group.last_id)?,
        };
        Some(self.entries_added.wrapping_sub(read) as i64)
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entries = self.range(StreamId::ZERO, StreamId::MAX);
        f.debug_struct("Stream")
            .field("marks", &self.marks())
            .field("first_id", &self.first_id)
            .field("nodes", &self.nodes.values().map(Node::live).collect::<Vec<_>>())
            .field(
                "entries",
                &entries.map(|e| (e.id.to_string(), e.pairs().collect::<Vec<_>>())).collect::<Vec<_>>(),
            )
            .field(
                "groups",
                &self.groups.iter().map(|(name, g)| (name.escape_ascii().to_string(), g)).collect::<Vec<_>>(),
            )
            .finish()
    }
}
