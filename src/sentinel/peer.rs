//! What sentinels say to each other. Encoded by our own bounded codec; nothing here is parsed
//! before the peer is authenticated.

use crate::model::{Address, Epoch, NodeId};

#[derive(Clone, Debug, PartialEq)]
pub enum PeerMessage {
    /// A message of the consensus module, opaque here.
    Raft(Vec<u8>),
    /// Leader to all, every heartbeat: asks for an acknowledgement and says how fresh the leader is.
    Beat {
        term: u64,
        sequence: u64,
        /// Milliseconds since a majority was last confirmed; `u64::MAX`: never in this term.
        confirmed_ms_ago: u64,
        /// What the leader had agreed on when it sent this: a follower that has applied less is behind.
        commit: u64,
        /// The follower's own stamp from its newest acknowledgement; 0: none in this term. It dates the
        /// beat on the follower's clock, however long it lay in a socket.
        echo_us: u64,
    },
    /// Follower to leader, in the same term: proof of touch, and what this sentinel sees.
    BeatAck { term: u64, sequence: u64, stamp_us: u64, views: Vec<View> },
    /// A client's command that only the leader can carry out.
    Forward { id: u64, argv: Vec<Vec<u8>> },
    /// Leader to a follower: pass this LEASE on to the group's master, if it is the process `run_id`
    /// and (unless 0) the connection `generation` of an earlier answer.
    RelayLease { group: String, run_id: String, generation: u64, argv: Vec<Vec<u8>> },
    /// The master's answer to it.
    Relayed { group: String, instance: Address, generation: u64, stamp: u64, vouched: bool, version: u64 },
    /// The leader's answer, as an error or `None` for OK.
    Forwarded { id: u64, error: Option<String> },
}

/// What one sentinel sees of one instance. Ages in milliseconds, so no two clocks are compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    pub group: String,
    pub instance: Address,
    /// Since the last valid answer to PING.
    pub silent_ms: u64,
    /// Held to be down by this sentinel alone.
    pub sdown: bool,
    /// The connection was refused or reset, and is not back, for this long.
    pub refused_ms: Option<u64>,
    /// Seen to have another run id than the ledger knows.
    pub restarted: bool,
    /// For a replica: since it was last certain to have received bytes from its master.
    pub streamed_ms: Option<u64>,
    /// For a replica: its link to the master is reported up.
    pub link_up: Option<bool>,
}

/// Who leads, for those who must ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaderHint {
    pub id: NodeId,
    pub epoch: Epoch,
}
