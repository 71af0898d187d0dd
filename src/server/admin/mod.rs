//! What operators ask the server about itself.

pub mod keys;
pub mod slowlog;

use super::{Server, ServerCommand};
use crate::server::table::CommandId;
use crate::session::Session;
use crate::stdx::time::{Duration, Now};

#[derive(Debug, Default)]
pub struct Admin {
    pub slowlog: slowlog::Slowlog,
    pub snapshot: Snapshot,
}

/// How saving went.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// The last attempt failed.
    pub failing: bool,
}

/// Every family's table.
pub const COMMANDS: &[&[ServerCommand]] = &[];

impl Server {
    /// A command ran: counted, and remembered if it was slow.
    pub(in crate::server) fn note_call(
        &mut self,
        now: Now,
        session: &Session,
        command: CommandId,
        took: Duration,
        argv: &[&[u8]],
    ) {
        self.stats.called(command, took);
        let limit = self.config.slowlog_slower_than_us;
        if limit >= 0 && took.as_micros() as i64 >= limit {
            let len_max = self.config.slowlog_len_max;
            self.admin.slowlog.add(now.wall, session, took, argv, len_max);
        }
    }

    /// Whether a key exists whose time has passed.
    pub(in crate::server) fn keyspace_has_expired(&self, now: Now, db: usize, key: &[u8]) -> bool {
        self.keyspace.entry(db, key).is_some_and(|entry| entry.is_expired(now.wall.as_millis()))
    }

    /// Deletes a key whose time has passed, as any access would; a replica leaves that to its master.
    pub(in crate::server) fn drop_if_expired(&mut self, now: Now, db: usize, key: &[u8]) {
        if !self.replication.is_replica() && self.keyspace_has_expired(now, db, key) {
            self.keyspace.remove(db, key);
            self.stats.expired_keys += 1;
            self.feed(db, &[b"DEL", key]);
            self.touch(db, key);
        }
    }
}
