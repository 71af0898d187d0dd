//! The start: what the files held, and the role that follows from it.

use super::replication::Role;
use super::supervised::Record;
use super::{Level, Server};
use crate::model::ReplId;
use crate::rdb::Position;
use crate::stdx::time::Now;

impl Server {
    /// Before anything is loaded or served: what the state file said, if there is one.
    pub fn restore(&mut self, now: Now, record: Option<Record>) {
        let Some(record) = record else { return };
        let (group, epoch) = (record.group.clone(), record.epoch);
        self.restore_supervision(now, record);
        self.log(
            Level::Warning,
            format!("supervised (group '{group}', epoch {epoch}): waiting to be told a role"),
        );
    }

    pub fn key_count(&self) -> usize {
        self.keyspace.total_len()
    }

    /// Whether keys whose time has passed are left out when the data file is read: only a master
    /// says that keys are gone.
    pub fn drops_expired_at_load(&self) -> bool {
        matches!(self.replication.role, Role::Master) && self.config.replicaof.is_none()
    }

    /// The data file was read (`position`: where it stands in which history), or there was none.
    /// Takes up the role that was configured, unless a supervisor gives the roles.
    pub fn take_up_role(&mut self, now: Now, position: Option<Position>) {
        let following = self.config.replicaof.clone().filter(|_| !self.is_supervised());
        let master = matches!(self.replication.role, Role::Master) && following.is_none();
        // Without a place in a history an awaiting server has nothing that it could vouch for.
        self.replication.synced = master || position.is_some();
        let position = position.and_then(|position| {
            let replid = ReplId::parse(&position.replid)?;
            Some((replid, position))
        });
        if let Some((replid, position)) = position {
            self.replication.stream.adopt(replid, position.offset);
            self.replication.restored_db = position.stream_db;
            if master {
                // What comes now is not what its old replicas may have seen after the last save.
                let fresh = ReplId::random(&mut self.rng);
                self.replication.stream.fork(fresh);
            }
        }
        if let Some(address) = following {
            self.become_replica(now, address, false);
        }
        self.end_of_turn(now);
    }
}
