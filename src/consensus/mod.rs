//! Consensus: the `raft` crate driven as a state machine. Knows entries and peers by number; has
//! never heard of a master, a socket or a file.
//!
//! Actions are to be carried out in the order they were pushed: *persist before send* is a matter of
//! line order here and of obedience in the shell. A shell that cannot persist must stop the process
//! instead of going on.
//!
//! | file | one line |
//! |---|---|
//! | `node` | [`Consensus`]: drives the crate, turns each of its `Ready` batches into actions in the safe order |
//! | `members` | who takes part, and how that changes |
//! | `mirror` | the log since the newest snapshot in memory, as the crate wants to read it |
//! | `pace` | moments to ticks, and election timeouts from a seed |
//! | `gate` | what a peer's message must satisfy before the crate, which panics on nonsense, sees it |
//! | `start` | what a stored log must satisfy before a node starts from it |
//! | `codec` | messages and stored records to and from bytes; total on any bytes |

pub mod codec;
mod gate;
mod members;
mod mirror;
mod node;
mod pace;
mod start;

pub use members::{Change, ChangeError, MEMBERS_MAX, Members};
pub use node::{Consensus, ProposeError, StateTooLarge};
pub use start::StartError;

use crate::model::NodeId;

/// The largest proposal, in bytes.
pub const MAX_PROPOSAL: usize = 256 * 1024;
/// The largest state a snapshot may carry, in bytes: one frame between peers holds it.
pub const MAX_STATE: usize = 8 * 1024 * 1024;

/// What can happen to it.
#[derive(Debug)]
pub enum Input {
    /// The moment named by `next_wakeup` has come.
    Tick,
    /// Bytes of a message of an authenticated peer, in our own bounded codec.
    Message { from: NodeId, bytes: Vec<u8> },
    /// Data to be agreed on; only a leader takes it, others drop it without a word (who wants the
    /// word calls [`Consensus::propose`]).
    Propose { data: Vec<u8> },
    /// A message to this peer could not be delivered.
    Unreachable { peer: NodeId },
}

/// What it asks for.
#[derive(Debug)]
pub enum Action {
    /// One atomic, synced commit. Nothing after it may be done before it is on disk.
    Persist(Persist),
    Send {
        to: NodeId,
        bytes: Vec<u8>,
    },
    /// This entry is agreed. Given once per start and in order. Indexes may skip: entries that a new
    /// leader writes for its own sake are empty and kept back.
    Apply {
        index: u64,
        term: u64,
        data: Vec<u8>,
    },
    /// The state up to `index` is this; what was applied before is replaced.
    Restore {
        index: u64,
        state: Vec<u8>,
    },
    /// Role, term or known leader changed.
    RoleChanged {
        role: Role,
        term: u64,
        leader: Option<NodeId>,
    },
    /// This node must not go on; the text says why and what to do. Nothing follows it, now or later.
    Fatal {
        message: String,
    },
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    Leader,
    #[default]
    Follower,
    Candidate,
}

impl Role {
    pub fn name(self) -> &'static str {
        match self {
            Role::Leader => "leader",
            Role::Follower => "follower",
            Role::Candidate => "candidate",
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HardState {
    pub term: u64,
    /// 0: no vote in this term.
    pub vote: NodeId,
    pub commit: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    pub index: u64,
    pub term: u64,
    /// 0 normal, 2 a change of the members (1 was one of an older crate and is never written).
    pub kind: u8,
    pub data: Vec<u8>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SnapshotRecord {
    /// 0: no state yet; the record then only names the founding voters.
    pub index: u64,
    pub term: u64,
    /// Who votes, and who only receives the log, at this index.
    pub voters: Vec<NodeId>,
    pub learners: Vec<NodeId>,
    pub state: Vec<u8>,
}

/// One atomic change of the durable log, in this order: snapshot (which discards entries up to its
/// index), truncation, entries, hard state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Persist {
    pub snapshot: Option<SnapshotRecord>,
    /// Entries from this index on are replaced: drop them before appending.
    pub truncate_from: Option<u64>,
    pub entries: Vec<LogEntry>,
    pub hard_state: Option<HardState>,
}

/// What the disk held at start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stored {
    pub snapshot: Option<SnapshotRecord>,
    pub entries: Vec<LogEntry>,
    pub hard_state: HardState,
}

#[derive(Clone, Debug)]
pub struct Settings {
    pub id: NodeId,
    /// The voters of a log that is still empty; afterwards the log knows. None: this node waits until
    /// a fleet that stands adds it.
    pub voters: Vec<NodeId>,
    pub heartbeat_ms: u64,
    pub election_ms_min: u64,
    pub election_ms_max: u64,
    /// Compact when this many entries lie behind the newest snapshot.
    pub compact_after_entries: u64,
}
