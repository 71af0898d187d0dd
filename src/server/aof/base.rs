//! A base of the append-only file as commands, for `aof-use-rdb-preamble no`: what a reader runs to have
//! the data set. Collections come in pieces, as Redis writes them, so that no command is huge.
//!
//! Promise: nothing in it depends on when it is read; times are absolute. Its last lines say where in
//! which history it stands, so they count only when all of it is there.

use crate::rdb::{ImageWriter, PART_BYTES, Part, Position};
use crate::resp::encode;
use crate::store::stream_group::Group;
use crate::store::{SnapshotSink, Stream, StreamId, Value};
use std::collections::BTreeSet;

/// Items of one command.
const ITEMS_MAX: usize = 64;

/// What a walk that ends in a file is written with.
pub enum FileWriter {
    Image(Box<ImageWriter>),
    Commands(Box<CommandWriter>),
}

impl FileWriter {
    /// What was written since the last part.
    pub fn take_part(&mut self) -> Part {
        match self {
            FileWriter::Image(image) => image.take_part(),
            FileWriter::Commands(commands) => Part::of(std::mem::take(&mut commands.out)),
        }
    }

    /// The rest and the end.
    pub fn take_last_part(self) -> Part {
        match self {
            FileWriter::Image(image) => image.take_last_part(),
            FileWriter::Commands(commands) => Part::of(commands.finish()),
        }
    }
}

impl SnapshotSink for FileWriter {
    fn entry(&mut self, db: usize, key: &[u8], value: &Value, expire_at_ms: Option<u64>) {
        match self {
            FileWriter::Image(image) => image.entry(db, key, value, expire_at_ms),
            FileWriter::Commands(commands) => commands.entry(db, key, value, expire_at_ms),
        }
    }

    fn is_full(&self) -> bool {
        match self {
            FileWriter::Image(image) => image.is_full(),
            FileWriter::Commands(commands) => commands.out.len() >= PART_BYTES,
        }
    }
}

pub struct CommandWriter {
    out: Vec<u8>,
    db: Option<usize>,
    position: Option<Position>,
}

impl CommandWriter {
    pub fn new<'a>(position: Option<Position>, libraries: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut out = Vec::new();
        for text in libraries {
            encode::command(&mut out, &[&b"FUNCTION"[..], b"LOAD", text]);
        }
        CommandWriter { out, db: None, position }
    }

    fn finish(mut self) -> Vec<u8> {
        if let Some(Position { replid, offset, stream_db }) = self.position {
            self.out.extend_from_slice(format!("#H:{replid}\r\n#P:{offset}:{stream_db}\r\n").as_bytes());
        }
        self.out
    }

    fn put(&mut self, words: &[&[u8]]) {
        encode::command(&mut self.out, words);
    }

    /// `width` words make an item.
    fn pieces(&mut self, name: &[u8], key: &[u8], words: &[Vec<u8>], width: usize) {
        for piece in words.chunks(ITEMS_MAX * width) {
            let mut argv = vec![name, key];
            argv.extend(piece.iter().map(Vec::as_slice));
            self.put(&argv);
        }
    }

    fn stream(&mut self, key: &[u8], stream: &Stream) {
        // What is pending and gone from the stream stands in it for a while: nobody can be given what is
        // not there.
        let pending = stream.groups().values().flat_map(|group| group.pending().keys().copied());
        let gone: BTreeSet<StreamId> = pending.filter(|id| !stream.contains(*id)).collect();
        let mut absent = gone.iter().copied().peekable();
        for entry in stream.range(StreamId::new(0, 0), StreamId::new(u64::MAX, u64::MAX)) {
            while let Some(id) = absent.next_if(|id| *id < entry.id) {
                self.put(&[b"XADD", key, id.to_string().as_bytes(), b"x", b"y"]);
            }
            let id = entry.id.to_string();
            let mut words: Vec<Vec<u8>> = Vec::new();
            for (field, value) in entry.pairs() {
                words.push(field.bytes(&mut itoa::Buffer::new()).to_vec());
                words.push(value.bytes(&mut itoa::Buffer::new()).to_vec());
            }
            let mut argv: Vec<&[u8]> = vec![b"XADD", key, id.as_bytes()];
            argv.extend(words.iter().map(Vec::as_slice));
            self.put(&argv);
        }
        for id in absent {
            self.put(&[b"XADD", key, id.to_string().as_bytes(), b"x", b"y"]);
        }
        if stream.is_empty() && gone.is_empty() {
            // One that was made and emptied again.
            self.put(&[b"XADD", key, b"MAXLEN", b"0", b"0-1", b"x", b"y"]);
        }
        for (name, group) in stream.groups() {
            self.group(key, name, group);
        }
        for id in &gone {
            self.put(&[b"XDEL", key, id.to_string().as_bytes()]);
        }
        let marks = stream.marks();
        let (last, added) = (marks.last_id.to_string(), marks.entries_added.to_string());
        let deleted = marks.max_deleted_id.to_string();
        self.put(&[
            b"XSETID",
            key,
            last.as_bytes(),
            b"ENTRIESADDED",
            added.as_bytes(),
            b"MAXDELETEDID",
            deleted.as_bytes(),
        ]);
    }

    fn group(&mut self, key: &[u8], name: &[u8], group: &Group) {
        let last = group.last_id.to_string();
        let read = group.entries_read.map_or("-1".to_owned(), |read| read.to_string());
        self.put(&[b"XGROUP", b"CREATE", key, name, last.as_bytes(), b"ENTRIESREAD", read.as_bytes()]);
        for consumer in group.consumers() {
            self.put(&[b"XGROUP", b"CREATECONSUMER", key, name, &consumer.name]);
        }
        for (id, pending) in group.pending() {
            let (id, at) = (id.to_string(), pending.delivered_at_ms.to_string());
            let deliveries = pending.deliveries.to_string();
            let consumer = group.name_of(pending.consumer);
            self.put(&[
                b"XCLAIM",
                key,
                name,
                consumer,
                b"0",
                id.as_bytes(),
                b"TIME",
                at.as_bytes(),
                b"RETRYCOUNT",
                deliveries.as_bytes(),
                b"JUSTID",
                b"FORCE",
            ]);
        }
    }
}

impl SnapshotSink for CommandWriter {
    fn entry(&mut self, db: usize, key: &[u8], value: &Value, expire_at_ms: Option<u64>) {
        if self.db != Some(db) {
            self.put(&[b"SELECT", db.to_string().as_bytes()]);
            self.db = Some(db);
        }
        match value {
            Value::Str(string) => self.put(&[b"SET", key, string.bytes(&mut itoa::Buffer::new())]),
            Value::List(list) => {
                let words: Vec<_> = list.iter().map(|item| item.to_vec()).collect();
                self.pieces(b"RPUSH", key, &words, 1);
            }
            Value::Set(set) => {
                let words: Vec<_> = set.iter().map(|member| member.to_vec()).collect();
                self.pieces(b"SADD", key, &words, 1);
            }
            Value::Hash(hash) => {
                let words: Vec<_> =
                    hash.iter().flat_map(|(field, value)| [field.to_vec(), value.to_vec()]).collect();
                self.pieces(b"HSET", key, &words, 2);
            }
            Value::ZSet(zset) => {
                let mut words = Vec::new();
                zset.visit(0..zset.len(), &mut |scored| {
                    words.push(crate::stdx::number::format_f64(scored.score).into_bytes());
                    words.push(scored.member.to_vec());
                });
                self.pieces(b"ZADD", key, &words, 2);
            }
            Value::Stream(stream) => self.stream(key, stream),
        }
        if let Some(at_ms) = expire_at_ms {
            self.put(&[b"PEXPIREAT", key, at_ms.to_string().as_bytes()]);
        }
    }
}
