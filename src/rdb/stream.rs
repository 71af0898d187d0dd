//! Streams in an image: the nodes as the store keeps them, then the numbers, then the groups.
//! Written as Redis 7.0 does; read in the three layouts there have been.

use super::error::{Bad, RdbError};
use super::kind;
use super::output::Output;
use super::primitive::put_length;
use super::source::Source;
use crate::store::stream::StreamMarks;
use crate::store::stream_group::{Group, Pending};
use crate::store::{Stream, StreamId};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

/// How Redis writes a counter that it cannot tell: -1.
const UNKNOWN: u64 = u64::MAX;

fn put_id(out: &mut Vec<u8>, id: StreamId) {
    put_length(out, id.ms);
    put_length(out, id.seq);
}

pub(super) fn put(out: &mut Output, stream: &Stream) {
    let nodes = stream.nodes();
    put_length(out, nodes.len() as u64);
    for (id, node) in nodes {
        out.put_string(&id.to_bytes());
        out.put_string(node.as_bytes());
    }
    let marks = stream.marks();
    put_length(out, stream.len());
    put_id(out, marks.last_id);
    put_id(out, stream.first_id());
    put_id(out, marks.max_deleted_id);
    put_length(out, marks.entries_added);
    put_length(out, stream.groups().len() as u64);
    for (name, group) in stream.groups() {
        out.put_string(name);
        put_group(out, group);
    }
}

fn put_group(out: &mut Output, group: &Group) {
    put_id(out, group.last_id);
    put_length(out, group.entries_read.unwrap_or(UNKNOWN));
    put_length(out, group.pending().len() as u64);
    for (id, pending) in group.pending() {
        out.extend_from_slice(&id.to_bytes());
        out.extend_from_slice(&pending.delivered_at_ms.to_le_bytes());
        put_length(out, pending.deliveries);
    }
    put_length(out, group.consumer_count() as u64);
    for consumer in group.consumers() {
        out.put_string(&consumer.name);
        out.extend_from_slice(&consumer.seen_at_ms.to_le_bytes());
        put_length(out, consumer.pending.len() as u64);
        consumer.pending.iter().for_each(|id| out.extend_from_slice(&id.to_bytes()));
    }
}

fn id<R: Read>(source: &mut Source<R>) -> Result<StreamId, RdbError> {
    Ok(StreamId::new(source.length()?, source.length()?))
}

fn raw_id<R: Read>(source: &mut Source<R>) -> Result<StreamId, RdbError> {
    Ok(StreamId::from_bytes(source.array()?))
}

pub(super) fn read<R: Read>(source: &mut Source<R>, kind: u8) -> Result<Stream, RdbError> {
    let mut stream = Stream::default();
    for _ in 0..source.length()? {
        let Ok(key) = <[u8; 16]>::try_from(source.string()?) else {
            return Err(source.malformed("a stream node's name is not an id"));
        };
        let bytes = source.string()?;
        let loaded = stream.load_node(StreamId::from_bytes(key), bytes);
        loaded.map_err(|what| Bad(what).at(source.offset()))?;
    }
    if source.length()? != stream.len() {
        return Err(source.malformed("stream length is not its entries"));
    }
    let newest = stream.last_id();
    let last_id = id(source)?;
    if last_id < newest {
        return Err(source.malformed("stream has entries behind its last id"));
    }
    let mut marks = StreamMarks { last_id, entries_added: stream.len(), ..StreamMarks::default() };
    if kind != kind::STREAM {
        // The first id follows from the entries.
        id(source)?;
        marks.max_deleted_id = id(source)?;
        marks.entries_added = source.length()?;
    }
    stream.set_marks(marks);
    for _ in 0..source.length()? {
        let name = source.string()?;
        let group = read_group(source, kind, &stream)?;
        if !stream.add_group(&name, group) {
            return Err(source.malformed("two consumer groups of one name"));
        }
    }
    Ok(stream)
}

fn read_group<R: Read>(source: &mut Source<R>, kind: u8, stream: &Stream) -> Result<Group, RdbError> {
    let last_id = id(source)?;
    let entries_read = if kind == kind::STREAM {
        stream.added_up_to(last_id)
    } else {
        Some(source.length()?).filter(|&read| read != UNKNOWN)
    };
    let mut group = Group::new(last_id, entries_read);
    let mut delivered = BTreeMap::new();
    for _ in 0..source.length()? {
        let id = raw_id(source)?;
        let delivered_at_ms = u64::from_le_bytes(source.array()?);
        if delivered.insert(id, (delivered_at_ms, source.length()?)).is_some() {
            return Err(source.malformed("a pending entry stands twice"));
        }
    }
    let mut owned = BTreeSet::new();
    for _ in 0..source.length()? {
        let name = source.string()?;
        let seen_at_ms = u64::from_le_bytes(source.array()?);
        if kind == kind::STREAM_3 {
            // When it last got something: Redis 7.2 keeps that, 7.0 does not.
            let _: [u8; 8] = source.array()?;
        }
        let (consumer, is_new) = group.meet(&name, seen_at_ms);
        if !is_new {
            return Err(source.malformed("two consumers of one name"));
        }
        for _ in 0..source.length()? {
            let id = raw_id(source)?;
            let Some(&(delivered_at_ms, deliveries)) = delivered.get(&id) else {
                return Err(source.malformed("a consumer's pending entry is not the group's"));
            };
            if !owned.insert(id) {
                return Err(source.malformed("a pending entry has two consumers"));
            }
            group.assign(id, Pending { consumer, delivered_at_ms, deliveries });
        }
    }
    if owned.len() != delivered.len() {
        return Err(source.malformed("a pending entry without a consumer"));
    }
    Ok(group)
}
