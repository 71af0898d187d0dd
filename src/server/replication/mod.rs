//! Replication: the stream this server produces, the replicas that take it, and the master it follows.

use super::{Gate, Server, ServerCommand};
use crate::commands::CommandError;
use crate::config::server::ServerConfig;
use crate::model::info::InfoWriter;
use crate::session::SessionId;
use crate::stdx::Rng;
use crate::stdx::time::{Instant, Now};
use std::sync::Arc;

pub struct Replication {}

impl Replication {
    pub fn new(_: &ServerConfig, _: &mut Rng, _: Arc<Gate>) -> Self {
        Replication {}
    }

    /// A replica (or awaiting): it hides expired keys but leaves their deletion to the master.
    pub fn is_replica(&self) -> bool {
        false
    }

    /// Why a write is refused now: READONLY (replica, awaiting, not vouched), NOREPLICAS.
    pub fn refuse_write(&self, _: Now) -> Option<CommandError> {
        None
    }

    /// Why a read is refused now: MASTERDOWN.
    pub fn refuse_read(&self, _: Now) -> Option<CommandError> {
        None
    }

    /// One command for the stream, in the order of execution. `db` is where it ran.
    pub fn feed(&mut self, _db: usize, _argv: &[&[u8]]) {}

    /// The end of a batch: what was fed goes to every replica as one shared piece.
    pub fn flush(&mut self, _: Now) {}

    pub fn session_closed(&mut self, _: Now, _: SessionId) {}

    /// CLIENT UNBLOCK of a session that waits here (WAIT): forgets it; whether it was known.
    pub fn cancel_wait(&mut self, _: SessionId) -> bool {
        false
    }

    /// CONFIG SET changed something.
    pub fn config_changed(&mut self, _: &ServerConfig) {}

    /// Where this data set stands in its history, for the snapshot's head.
    pub fn position(&self) -> Option<crate::rdb::Position> {
        None
    }

    pub fn next_wakeup(&self) -> Option<Instant> {
        None
    }

    /// Sections Replication and Vedette of INFO.
    pub fn info(&self, _: Now, out: &mut InfoWriter) {
        out.section("Replication").field("role", "master").field("connected_slaves", 0);
    }
}

impl Server {
    pub(in crate::server) fn tick_replication(&mut self, _: Now) {}
}

/// Rows of the families here.
pub const COMMANDS: &[&[ServerCommand]] = &[];
