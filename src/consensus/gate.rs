//! What a peer's message must satisfy before the raft crate sees it.
//!
//! The crate trusts its peers and panics on what cannot be. Peers are authenticated, but one of them
//! may be broken, restored from a backup, or of another version: nonsense is dropped here, and proof
//! that *this* node lost part of its log ends it with a sentence.

use super::members::{self, Members};
use super::mirror::Mirror;
use super::start::members_fault;
use crate::model::NodeId;
use raft::eraftpb::{EntryType, Message, MessageType};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Pass,
    /// Not believable; the word is for a log.
    Drop(&'static str),
    /// The fleet knows this node to hold entries that it does not hold.
    LostLog {
        committed: u64,
        last: u64,
    },
}

/// `id` and `term` are this node's, and `members` whom it knows: never newer than the truth, so a leader
/// or candidate that it does not know yet is heard, and an answer to what it never asked is not.
pub(super) fn inspect(message: &Message, id: NodeId, term: u64, log: &Mirror, members: &Members) -> Verdict {
    let asks = matches!(
        message.get_msg_type(),
        MessageType::MsgAppend
            | MessageType::MsgHeartbeat
            | MessageType::MsgSnapshot
            | MessageType::MsgRequestVote
            | MessageType::MsgRequestPreVote
    );
    if message.from == id || message.from == 0 || !(asks || members.contains(message.from)) {
        return Verdict::Drop("its sender is no other member");
    }
    if message.term == 0 {
        return Verdict::Drop("it has no term");
    }
    let last = log.last();
    match message.get_msg_type() {
        // What it would be given from the first entry on does not name the voters of before.
        MessageType::MsgAppend if message.index == 0 && log.knows_nobody() => {
            Verdict::Drop("a node that joins begins with a snapshot")
        }
        MessageType::MsgAppend => append(message),
        // A leader tells each node no more than it knows that node to hold.
        MessageType::MsgHeartbeat if message.term >= term && message.commit > last => {
            Verdict::LostLog { committed: message.commit, last }
        }
        MessageType::MsgSnapshot => snapshot(message),
        MessageType::MsgAppendResponse | MessageType::MsgHeartbeatResponse
            if message.term == term && message.index.max(message.reject_hint) > last =>
        {
            Verdict::Drop("it confirms entries that were never sent")
        }
        _ => Verdict::Pass,
    }
}

fn append(message: &Message) -> Verdict {
    // The crate knows places it does not hold as of term 0, and would find them equal.
    if (message.index == 0) != (message.log_term == 0) {
        return Verdict::Drop("it follows an entry without a term");
    }
    let (mut index, mut newest) = (message.index, message.log_term);
    for entry in message.entries.iter() {
        if entry.index != index + 1 || entry.term < newest || entry.term > message.term || entry.term == 0 {
            return Verdict::Drop("its entries are not in order");
        }
        let known = match entry.get_entry_type() {
            EntryType::EntryNormal => true,
            EntryType::EntryConfChange => false,
            EntryType::EntryConfChangeV2 => members::decode(&entry.context).is_ok(),
        };
        if !known {
            return Verdict::Drop("it changes the members in a way that this version does not know");
        }
        (index, newest) = (entry.index, entry.term);
    }
    Verdict::Pass
}

fn snapshot(message: &Message) -> Verdict {
    let metadata = message.get_snapshot().get_metadata();
    if metadata.index == 0 || metadata.term == 0 || metadata.term > message.term {
        return Verdict::Drop("its snapshot has no valid place in the log");
    }
    let conf = metadata.get_conf_state();
    if members_fault(&conf.voters, &conf.learners).is_some() {
        return Verdict::Drop("its snapshot names no valid set of voters");
    }
    Verdict::Pass
}
