//! What became of a batch of requests: what whoever runs them tells the connection.

use super::outbox::Hold;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// Requests that are done with; the rest is given again later.
    pub executed: usize,
    pub stop: Stop,
    /// A write is acknowledged in the replies: they pass the gate when this is fulfilled.
    pub gated: Option<Hold>,
    pub authenticated: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Go on reading.
    No,
    /// Write first, then give the rest again.
    Yield,
    /// Nothing more runs until the outbox says *resumed*.
    Blocked,
    /// Write what is there, then close.
    Close,
}

/// What to do with a reply that acknowledges a write, asked when it is about to leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passage {
    Open,
    /// Keep it and ask again when there is news.
    Wait,
    /// The log's bytes wait to be written: let others run that are about to answer too, then have all
    /// of it written at once.
    Unwritten,
    /// The history it belongs to is over: close the connection without it.
    Never,
}
