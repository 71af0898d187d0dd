//! What clients may ask on the sentinel port: the SENTINEL family and the few general commands, with
//! the shapes and texts of Redis Sentinel (RESP2 and RESP3).
//!
//! Promises: every value of an instance map is a bulk string; a healthy master's flags are exactly
//! `master` and a healthy replica's exactly `slave`, so facts of our own stand in fields of our own;
//! what is not fresh is never given as if it were. Answers from [`Facts`] alone; a command that
//! changes something is only checked here and carried out by the leader. Has never heard of sockets,
//! sessions or Raft.

pub mod change;
mod commands;
pub mod debug;
mod drill;
pub mod facts;
mod failover;
pub mod family;
pub mod general;
pub mod info;
pub mod instance;
pub mod peers;
pub mod policy;
mod process;
pub mod settings;
mod vouch;
pub mod webhooks;

pub use facts::{Facts, GroupFacts, InstanceFacts, PeerFacts, ProcessFacts, ReplicaFacts, ScriptFacts};
pub use family::write_address;

use crate::resp::Writer;
use crate::sentinel::command::Command;

/// What is asked about drills.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DrillQuery {
    /// The one that runs.
    Status,
    /// All: running, scheduled, results.
    List,
    /// A whole scorecard.
    Report { id: u64 },
}

/// What became of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The reply is written.
    Replied,
    /// Well formed as far as can be seen here: for the leader, whose answer is the reply; a `count`
    /// takes the place of its OK.
    Submit { command: Command, count: Option<i64> },
    /// The whole snapshot is to be written, as one bulk string of JSON.
    Status,
    /// The incident records, of one group or of all, newest first, as one bulk string of JSON.
    Incidents { group: Option<String> },
    /// One incident record as JSON, or an error when there is none of this id.
    Incident { id: String },
    /// What would happen if this group's master were lost now, as one bulk string of JSON.
    Explain { group: String },
    /// One bulk string of JSON about drills, or null.
    Drill(DrillQuery),
    /// A hello line was published: the reply is written, the line is for the subscribers.
    Publish,
    /// The process is to end; there is no reply.
    Shutdown,
    /// The reply is written; the process is to crash after these (see `debug`).
    Simulate { flags: u8 },
    /// The reply is written; the log is to be as talkative as this word says.
    LogLevel(String),
    /// The reply is written, then the connection is to be closed.
    Close,
}

/// Runs one command of this port. The session layer has taken its own (HELLO, AUTH, CLIENT,
/// SUBSCRIBE and their kin) before.
pub fn execute(facts: &Facts, argv: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let Some(name) = argv.first() else { return Outcome::Replied };
    if name.eq_ignore_ascii_case(b"SENTINEL") {
        family::execute(facts, argv, reply)
    } else {
        general::execute(facts, argv, reply)
    }
}

/// A word as text for an error message: bounded, and without what could not be printed.
fn quoted(word: &[u8]) -> String {
    String::from_utf8_lossy(&word[..word.len().min(128)]).chars().filter(|c| !c.is_control()).collect()
}
