//! Consumer groups: how far a group has read, what it handed to whom, and what is not acknowledged
//! yet. Knows ids and times handed in; has never heard of the entries themselves.

use super::stream_id::StreamId;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// A consumer within its group.
pub type ConsumerId = u32;

/// An entry that was handed out and not acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pending {
    pub consumer: ConsumerId,
    pub delivered_at_ms: u64,
    pub deliveries: u64,
}

#[derive(Clone, PartialEq)]
pub struct Consumer {
    pub name: Box<[u8]>,
    /// When it last asked for something.
    pub seen_at_ms: u64,
    pub pending: BTreeSet<StreamId>,
}

#[derive(Clone, Default, PartialEq)]
pub struct Group {
    pub last_id: StreamId,
    /// How many entries it has read of all ever added; `None` when that cannot be told.
    pub entries_read: Option<u64>,
    pending: BTreeMap<StreamId, Pending>,
    consumers: BTreeMap<ConsumerId, Consumer>,
    by_name: BTreeMap<Box<[u8]>, ConsumerId>,
    next_consumer: ConsumerId,
}

impl Group {
    pub fn new(last_id: StreamId, entries_read: Option<u64>) -> Self {
        Group { last_id, entries_read, ..Group::default() }
    }

    pub fn heap_bytes(&self) -> usize {
        // Every pending entry stands in two trees.
        let entry = 2 * size_of::<StreamId>() + size_of::<Pending>();
        let consumers = self.consumers.values().map(|one| size_of::<Consumer>() + 2 * one.name.len());
        size_of::<Group>() + self.pending.len() * entry * 3 / 2 + consumers.sum::<usize>()
    }

    pub fn consumer_id(&self, name: &[u8]) -> Option<ConsumerId> {
        self.by_name.get(name).copied()
    }

    pub fn consumer(&self, id: ConsumerId) -> Option<&Consumer> {
        self.consumers.get(&id)
    }

    pub fn consumer_count(&self) -> usize {
        self.by_name.len()
    }

    /// Consumers in the order of their names.
    pub fn consumers(&self) -> impl Iterator<Item = &Consumer> {
        self.by_name.values().filter_map(|id| self.consumers.get(id))
    }

    pub fn name_of(&self, id: ConsumerId) -> &[u8] {
        self.consumers.get(&id).map_or(&[], |consumer| &consumer.name)
    }

    /// The consumer of that name, which was seen just now; whether it had to be made.
    pub fn meet(&mut self, name: &[u8], now_ms: u64) -> (ConsumerId, bool) {
        if let Some(id) = self.consumer_id(name) {
            if let Some(consumer) = self.consumers.get_mut(&id) {
                consumer.seen_at_ms = now_ms;
            }
            return (id, false);
        }
        let id = self.next_consumer;
        self.next_consumer += 1;
        self.by_name.insert(name.into(), id);
        self.consumers
            .insert(id, Consumer { name: name.into(), seen_at_ms: now_ms, pending: BTreeSet::new() });
        (id, true)
    }

    /// Takes a consumer away with what is pending for it; how much that was.
    pub fn remove_consumer(&mut self, name: &[u8]) -> Option<usize> {
        let consumer = self.by_name.remove(name).and_then(|id| self.consumers.remove(&id))?;
        for id in &consumer.pending {
            self.pending.remove(id);
        }
        Some(consumer.pending.len())
    }

    pub fn pending(&self) -> &BTreeMap<StreamId, Pending> {
        &self.pending
    }

    /// Puts an entry on the list of `pending.consumer`, wherever it was before.
    pub fn assign(&mut self, id: StreamId, pending: Pending) {
        if let Some(old) = self.pending.insert(id, pending)
            && old.consumer != pending.consumer
            && let Some(consumer) = self.consumers.get_mut(&old.consumer)
        {
            consumer.pending.remove(&id);
        }
        if let Some(consumer) = self.consumers.get_mut(&pending.consumer) {
            consumer.pending.insert(id);
        }
    }

    /// Takes an entry off the lists; whether it was pending.
    pub fn acknowledge(&mut self, id: StreamId) -> bool {
        let Some(pending) = self.pending.remove(&id) else { return false };
        if let Some(consumer) = self.consumers.get_mut(&pending.consumer) {
            consumer.pending.remove(&id);
        }
        true
    }
}

/// Consumers by name, and without the times they were seen at, which every replica has its own of.
impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pending = self.pending.iter().map(|(id, p)| {
            format!("{id} {} {} {}", self.name_of(p.consumer).escape_ascii(), p.delivered_at_ms, p.deliveries)
        });
        f.debug_struct("Group")
            .field("last_id", &self.last_id)
            .field("entries_read", &self.entries_read)
            .field("pending", &pending.collect::<Vec<_>>())
            .field(
                "consumers",
                &self
                    .consumers()
                    .map(|c| (c.name.escape_ascii().to_string(), c.pending.len()))
                    .collect::<Vec<_>>(),
            )
            .finish()
    }
}
