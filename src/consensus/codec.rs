//! Messages of the raft crate, and the records of the durable log, to and from bytes.
//!
//! Total on any bytes and bounded before anything is kept, so the crate's own protobuf never parses
//! what came over a wire or from a disk. Numbers are capped far below overflow: the crate adds to
//! them without looking.

use super::members::LEARNER_BIT;
use super::mirror::{entry_from_record, record_from_entry, record_from_snapshot, snapshot_from_record};
use super::{HardState, LogEntry, MAX_PROPOSAL, MAX_STATE, SnapshotRecord};
use crate::model::NodeId;
use crate::stdx::cursor::{Malformed, Put, Reader};
use raft::eraftpb::{Message, MessageType};

/// Terms and indexes beyond this are refused: no fleet lives that long.
const MAX_NUMBER: u64 = 1 << 56;
const MAX_VOTERS: usize = 64;
const MAX_ENTRIES: usize = 65_536;
/// The crate marks a handed-over campaign with a word of sixteen letters.
const MAX_CONTEXT: usize = 64;
/// Index, term, kind, length.
const ENTRY_HEAD: usize = 8 + 8 + 1 + 4;

/// What travels, with the number it travels under. Others are local to a node or never used by us.
const KINDS: [(u8, MessageType); 10] = [
    (1, MessageType::MsgAppend),
    (2, MessageType::MsgAppendResponse),
    (3, MessageType::MsgRequestVote),
    (4, MessageType::MsgRequestVoteResponse),
    (5, MessageType::MsgSnapshot),
    (6, MessageType::MsgHeartbeat),
    (7, MessageType::MsgHeartbeatResponse),
    (8, MessageType::MsgRequestPreVote),
    (9, MessageType::MsgRequestPreVoteResponse),
    (10, MessageType::MsgTimeoutNow),
];

/// `None`: a message of a kind that does not travel.
pub(super) fn encode_message(message: &Message) -> Option<Vec<u8>> {
    let (kind, _) = KINDS.iter().find(|(_, kind)| *kind == message.get_msg_type())?;
    let mut out = Vec::with_capacity(96);
    out.put_u8(*kind);
    for number in numbers(message) {
        out.put_u64(number);
    }
    out.put_flag(message.reject);
    out.put_bytes(&message.context);
    out.put_count(message.entries.len());
    for entry in message.entries.iter() {
        put_entry(&mut out, &record_from_entry(entry));
    }
    let snapshot = message.has_snapshot().then(|| record_from_snapshot(message.get_snapshot()));
    out.put_option(snapshot.as_ref(), put_snapshot);
    Some(out)
}

fn numbers(message: &Message) -> [u64; 6] {
    let Message { term, log_term, index, commit, commit_term, reject_hint, .. } = *message;
    [term, log_term, index, commit, commit_term, reject_hint]
}

/// Sender and receiver are not in the bytes: the link knows them.
pub(super) fn decode_message(bytes: &[u8], from: NodeId, to: NodeId) -> Result<Message, Malformed> {
    let mut reader = Reader::new(bytes);
    let kind = reader.u8()?;
    let (_, kind) = KINDS.iter().find(|(number, _)| *number == kind).ok_or(Malformed::Meaningless)?;
    let mut message = Message::default();
    message.set_msg_type(*kind);
    message.from = from;
    message.to = to;
    message.term = number(&mut reader)?;
    message.log_term = number(&mut reader)?;
    message.index = number(&mut reader)?;
    message.commit = number(&mut reader)?;
    message.commit_term = number(&mut reader)?;
    message.reject_hint = number(&mut reader)?;
    message.reject = reader.flag()?;
    message.context = reader.bytes(MAX_CONTEXT)?.to_vec().into();
    let count = reader.count(MAX_ENTRIES, ENTRY_HEAD)?;
    let mut entries = Vec::with_capacity(count);
    for _ in 0..count {
        entries.push(entry_from_record(read_entry(&mut reader)?));
    }
    message.set_entries(entries.into());
    if let Some(record) = reader.option(read_snapshot)? {
        message.set_snapshot(snapshot_from_record(&record));
    }
    reader.end()?;
    Ok(message)
}

fn number(reader: &mut Reader<'_>) -> Result<u64, Malformed> {
    match reader.u64()? {
        number if number <= MAX_NUMBER => Ok(number),
        _ => Err(Malformed::Meaningless),
    }
}

pub fn put_entry(out: &mut Vec<u8>, entry: &LogEntry) {
    out.put_u64(entry.index);
    out.put_u64(entry.term);
    out.put_u8(entry.kind);
    out.put_bytes(&entry.data);
}

pub fn read_entry(reader: &mut Reader<'_>) -> Result<LogEntry, Malformed> {
    let (index, term, kind) = (number(reader)?, number(reader)?, reader.u8()?);
    if kind > 2 {
        return Err(Malformed::Meaningless);
    }
    Ok(LogEntry { index, term, kind, data: reader.bytes(MAX_PROPOSAL)?.to_vec() })
}

pub fn put_snapshot(out: &mut Vec<u8>, snapshot: &SnapshotRecord) {
    out.put_u64(snapshot.index);
    out.put_u64(snapshot.term);
    out.put_count(snapshot.voters.len() + snapshot.learners.len());
    for voter in &snapshot.voters {
        out.put_u64(*voter);
    }
    for learner in &snapshot.learners {
        out.put_u64(learner | LEARNER_BIT);
    }
    out.put_bytes(&snapshot.state);
}

pub fn read_snapshot(reader: &mut Reader<'_>) -> Result<SnapshotRecord, Malformed> {
    let (index, term) = (number(reader)?, number(reader)?);
    let count = reader.count(MAX_VOTERS, 8)?;
    let (mut voters, mut learners) = (Vec::new(), Vec::new());
    for _ in 0..count {
        match reader.u64()? {
            id if id & LEARNER_BIT != 0 => learners.push(id & !LEARNER_BIT),
            id => voters.push(id),
        }
    }
    Ok(SnapshotRecord { index, term, voters, learners, state: reader.bytes(MAX_STATE)?.to_vec() })
}

pub fn put_hard_state(out: &mut Vec<u8>, hard_state: HardState) {
    out.put_u64(hard_state.term);
    out.put_u64(hard_state.vote);
    out.put_u64(hard_state.commit);
}

pub fn read_hard_state(reader: &mut Reader<'_>) -> Result<HardState, Malformed> {
    Ok(HardState { term: number(reader)?, vote: reader.u64()?, commit: number(reader)? })
}

/// What a message says, in one line for golden scripts and debug logs.
pub fn describe(bytes: &[u8]) -> String {
    let Ok(message) = decode_message(bytes, 0, 0) else {
        return "bytes that are no message".to_owned();
    };
    let mut text = format!("{:?} term={}", message.get_msg_type(), message.term).replacen("Msg", "", 1);
    let mut field = |name: &str, value: u64| {
        if value != 0 {
            text.push_str(&format!(" {name}={value}"));
        }
    };
    field("index", message.index);
    field("log_term", message.log_term);
    field("commit", message.commit);
    field("entries", message.entries.len() as u64);
    field("hint", message.reject_hint);
    field("snapshot", message.get_snapshot().get_metadata().index);
    if message.reject {
        text.push_str(" reject");
    }
    text
}

#[cfg(test)]
#[path = "codec_tests.rs"]
mod tests;
