//! A run of stream entries in one listpack, laid out as Redis lays it out: a master entry first
//! (how many live, how many are marked deleted, the fields of the first entry, 0), then the entries
//! with their ids as differences to the node's own; one that has the master's fields keeps only its
//! values. Has never heard of the tree that nodes stand in.

use super::listpack::{Element, Listpack};
use super::stream_id::StreamId;

const DELETED: i64 = 1;
const SAME_FIELDS: i64 = 2;
/// Above these a new node begins; 0: no limit of this kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeLimits {
    pub bytes: usize,
    pub entries: usize,
}

impl Default for NodeLimits {
    /// As Redis' stream-node-max-bytes and stream-node-max-entries.
    fn default() -> Self {
        NodeLimits { bytes: 4096, entries: 100 }
    }
}

#[derive(Clone, PartialEq, Eq)]
pub struct Node {
    id: StreamId,
    pack: Listpack,
}

/// An entry as it stands in its node.
#[derive(Clone, Copy)]
pub struct EntryView<'a> {
    pub id: StreamId,
    pub fields: usize,
    pub deleted: bool,
    pack: &'a Listpack,
    /// Where its flags stand.
    at: usize,
    flags: i64,
    /// Where its own words begin.
    words_at: usize,
    /// Where the master entry's fields begin.
    master_at: usize,
}

impl<'a> EntryView<'a> {
    /// Fields with their values, in their order.
    pub fn pairs(&self) -> impl Iterator<Item = (Element<'a>, Element<'a>)> {
        let pack = self.pack;
        let same = self.flags & SAME_FIELDS != 0;
        let (mut names_at, mut values_at) = (if same { self.master_at } else { 0 }, self.words_at);
        (0..self.fields).map_while(move |_| {
            let name = if same {
                let (name, next) = pack.get(names_at)?;
                names_at = next;
                name
            } else {
                let (name, next) = pack.get(values_at)?;
                values_at = next;
                name
            };
            let (value, next) = pack.get(values_at)?;
            values_at = next;
            Some((name, value))
        })
    }
}

/// What the master entry says.
struct Master {
    live: i64,
    deleted_at: usize,
    deleted: i64,
    fields: usize,
    fields_at: usize,
    /// Where the first entry stands.
    entries_at: usize,
}

impl Node {
    /// A node with its first entry; `words` are fields with their values.
    pub fn new(id: StreamId, words: &[&[u8]]) -> Self {
        let mut pack = Listpack::default();
        pack.push_integer(1);
        pack.push_integer(0);
        pack.push_integer(words.len() as i64 / 2);
        words.iter().step_by(2).for_each(|field| pack.push(field));
        pack.push_integer(0);
        let mut node = Node { id, pack };
        node.write_entry(id, words, true);
        node
    }

    /// A node from a file, if it is one in every element, and how many entries live in it.
    pub fn parse(id: StreamId, bytes: Vec<u8>) -> Result<(Self, usize), &'static str> {
        let node = Node { id, pack: Listpack::parse(bytes)? };
        let master = node.master().ok_or("stream node without its master entry")?;
        let (mut live, mut deleted, mut end, mut last) = (0i64, 0i64, master.entries_at, None);
        for (entry, next) in node.walk(&master) {
            let has_pairs = entry.pairs().count() == entry.fields && entry.fields > 0;
            let count = node.pack.integer(next).map(|(count, _)| count);
            let words = if entry.flags & SAME_FIELDS != 0 { entry.fields + 3 } else { 2 * entry.fields + 4 };
            if !has_pairs || count != Some(words as i64) || last.is_some_and(|last| entry.id <= last) {
                return Err("stream entry is broken");
            }
            last = Some(entry.id);
            *(if entry.deleted { &mut deleted } else { &mut live }) += 1;
            end = node.pack.skip(next, 1).ok_or("stream entry is broken")?;
        }
        if node.pack.get(end).is_some() || (live, deleted) != (master.live, master.deleted) {
            return Err("stream node does not hold what it says");
        }
        Ok((node, live as usize))
    }

    pub fn as_bytes(&self) -> &[u8] {
        self.pack.as_bytes()
    }

    pub fn capacity(&self) -> usize {
        self.pack.capacity()
    }

    /// No more will be added.
    pub fn shrink(&mut self) {
        self.pack.shrink();
    }

    fn master(&self) -> Option<Master> {
        let (live, deleted_at) = self.pack.integer(Listpack::FIRST)?;
        let (deleted, next) = self.pack.integer(deleted_at)?;
        let (fields, fields_at) = self.pack.integer(next)?;
        let fields = usize::try_from(fields).ok()?;
        let end = self.pack.skip(fields_at, fields)?;
        let (zero, entries_at) = self.pack.integer(end)?;
        (zero == 0).then_some(Master { live, deleted_at, deleted, fields, fields_at, entries_at })
    }

    /// Entries that are not deleted.
    pub fn live(&self) -> usize {
        self.pack.integer(Listpack::FIRST).map_or(0, |(live, _)| live.max(0) as usize)
    }

    /// Whether an entry of so many bytes of words still belongs here.
    pub fn has_room(&self, words_bytes: usize, limits: NodeLimits) -> bool {
        let deleted = self.master().map_or(0, |master| master.deleted.max(0) as usize);
        let bytes = self.as_bytes().len().saturating_add(words_bytes);
        (limits.bytes == 0 || bytes < limits.bytes)
            && (limits.entries == 0 || self.live() + deleted < limits.entries)
    }

    /// Adds an entry behind all others.
    pub fn push(&mut self, id: StreamId, words: &[&[u8]]) {
        let Some(master) = self.master() else { return };
        let mut at = master.fields_at;
        let same = master.fields == words.len() / 2
            && words.iter().step_by(2).all(|word| match self.pack.get(at) {
                Some((field, next)) => {
                    at = next;
                    field.equals(word)
                }
                None => false,
            });
        self.pack.set_integer(Listpack::FIRST, master.live + 1);
        self.write_entry(id, words, same);
    }

    fn write_entry(&mut self, id: StreamId, words: &[&[u8]], same: bool) {
        let fields = words.len() / 2;
        self.pack.push_integer(if same { SAME_FIELDS } else { 0 });
        // Wrapping, as in Redis: the numbers within the millisecond may go back.
        self.pack.push_integer(id.ms.wrapping_sub(self.id.ms) as i64);
        self.pack.push_integer(id.seq.wrapping_sub(self.id.seq) as i64);
        if same {
            words.iter().skip(1).step_by(2).for_each(|value| self.pack.push(value));
            self.pack.push_integer(fields as i64 + 3);
        } else {
            self.pack.push_integer(fields as i64);
            words.iter().for_each(|word| self.pack.push(word));
            self.pack.push_integer(2 * fields as i64 + 4);
        }
    }

    fn entry_at<'a>(&'a self, master: &Master, at: usize) -> Option<(EntryView<'a>, usize)> {
        let (flags, next) = self.pack.integer(at)?;
        let (ms, next) = self.pack.integer(next)?;
        let (seq, next) = self.pack.integer(next)?;
        let same = flags & SAME_FIELDS != 0;
        let (fields, words_at) = if same { (master.fields as i64, next) } else { self.pack.integer(next)? };
        let fields = usize::try_from(fields).ok()?;
        let end = self.pack.skip(words_at, if same { fields } else { fields.checked_mul(2)? })?;
        let id = StreamId::new(self.id.ms.wrapping_add(ms as u64), self.id.seq.wrapping_add(seq as u64));
        let deleted = flags & DELETED != 0;
        let (pack, master_at) = (&self.pack, master.fields_at);
        Some((EntryView { id, fields, deleted, pack, at, flags, words_at, master_at }, end))
    }

    /// Entries, each with the place of the count behind it.
    fn walk<'a>(&'a self, master: &Master) -> impl Iterator<Item = (EntryView<'a>, usize)> + use<'a> {
        let master = Master { ..*master };
        let mut at = Some(master.entries_at);
        std::iter::from_fn(move || {
            let (entry, end) = self.entry_at(&master, at?)?;
            at = self.pack.skip(end, 1);
            Some((entry, end))
        })
    }

    /// All entries in order, the deleted ones too.
    pub fn entries(&self) -> impl Iterator<Item = EntryView<'_>> {
        self.master().into_iter().flat_map(|master| self.walk(&master)).map(|(entry, _)| entry)
    }

    /// The id of the last entry, deleted or not.
    pub fn last_id(&self) -> StreamId {
        self.entries().last().map_or(self.id, |entry| entry.id)
    }

    /// Marks entries from the front as deleted for as long as `doomed` says so of one; how many.
    pub fn mark_while(&mut self, mut doomed: impl FnMut(&EntryView<'_>) -> bool) -> usize {
        let places: Vec<(usize, i64)> = self
            .entries()
            .take_while(|entry| doomed(entry))
            .filter(|entry| !entry.deleted)
            .map(|entry| (entry.at, entry.flags))
            .collect();
        self.mark(&places);
        places.len()
    }

    /// Marks the entry of this id as deleted; whether there was one.
    pub fn delete(&mut self, id: StreamId) -> bool {
        let found = self.entries().find(|entry| entry.id == id && !entry.deleted);
        let Some(place) = found.map(|entry| (entry.at, entry.flags)) else { return false };
        self.mark(&[place]);
        true
    }

    fn mark(&mut self, places: &[(usize, i64)]) {
        // Flags take one byte with the mark and without: no place moves.
        for &(at, flags) in places {
            self.pack.set_integer(at, flags | DELETED);
        }
        let Some(master) = self.master() else { return };
        let count = places.len() as i64;
        self.pack.set_integer(master.deleted_at, master.deleted + count);
        self.pack.set_integer(Listpack::FIRST, master.live - count);
    }
}
