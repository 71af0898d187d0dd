//! What the node that delivers a webhook tells the fleet about it, so that the next owner goes on
//! where it stopped.

use crate::model::event::Event;
use serde::{Deserialize, Serialize};

/// Dead letters kept per webhook; the oldest go first.
pub const DEAD_MAX: usize = 100;
/// Bytes of a reason that are kept.
pub const WHY_BYTES_MAX: usize = 256;

/// An event that a receiver did not take, and why. It waits to be replayed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    pub event: Event,
    pub why: String,
}

/// How far a webhook is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    pub webhook: String,
    /// Everything up to this event id is delivered, unwanted, or given up.
    pub up_to: u64,
    /// Events that were given up since the last word.
    pub dead: Vec<DeadLetter>,
    /// How many more were given up that nobody holds any more.
    pub lost: u64,
    /// Replayed events that need no further delivery.
    pub replayed: Vec<u64>,
    /// The receiver wants nothing more.
    pub disabled: Option<String>,
}

/// A reason, short enough to be kept.
pub fn shorten(why: &str) -> String {
    let mut end = why.len().min(WHY_BYTES_MAX);
    while !why.is_char_boundary(end) {
        end -= 1;
    }
    why[..end].to_owned()
}

/// What the node that is to deliver a webhook is told, at first and whenever it changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Office {
    /// Events from this id on are still to be delivered.
    pub from: u64,
    /// The receiver wanted nothing more; an operator has not said otherwise yet.
    pub disabled: Option<String>,
    /// Events to be delivered again, under their old ids.
    pub replay: Vec<Event>,
}
