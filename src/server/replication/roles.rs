//! Becoming master, replica, or awaiting; and what each change ends.

use super::replica::Replica;
use super::{Role, Upstream};
use crate::model::{Address, ReplId};
use crate::server::{Action, Level, Server};
use crate::session::{Class, SessionId};
use crate::stdx::Rng;
use crate::stdx::time::Now;
use bytes::Bytes;

/// A random uuid, version 4.
pub fn new_uuid(rng: &mut Rng) -> String {
    let bits = (rng.u128(..) & !(0xf << 76) & !(0b11 << 62)) | (4 << 76) | (0b10 << 62);
    let hex = format!("{bits:032x}");
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

impl Server {
    /// This server becomes (or stays) master. Its history gets a name of its own when it was
    /// somebody's replica, the old name stays valid up to here.
    pub(in crate::server) fn become_master(&mut self, now: Now) {
        let was_master = matches!(self.replication.role, Role::Master);
        if was_master {
            return;
        }
        self.stop_following();
        self.replication.role = Role::Master;
        self.replication.synced = true;
        self.hub.role = "master";
        let replid = ReplId::random(&mut self.rng);
        if self.replication.stream.is_active() {
            self.replication.stream.fork(replid);
        }
        // They go on from where they are, under the new name. Who only introduced itself may stay.
        self.replication.replicas.close_where(Replica::is_attached);
        self.replication.freshness.clear();
        self.replication.refresh_gate(now.mono);
        let offset = self.replication.stream.offset();
        self.log(Level::Warning, format!("this server is master now, from offset {offset} on"));
    }

    /// Follows `master`, also when it follows it already.
    pub(in crate::server) fn become_replica(&mut self, now: Now, master: Address, stock: bool) {
        let supervised = self.replication.supervision.is_supervised();
        self.leave_master_role(now, supervised);
        self.stop_following();
        // Data that no history was kept of is not a sync of anything.
        if !self.replication.stream.is_active() {
            self.replication.synced = false;
        }
        self.hub.role = "replica";
        let mut upstream = Upstream::new(master.clone(), stock, now.mono);
        // A stream that goes on in the middle says no SELECT.
        upstream.select(self.replication.restored_db);
        self.replication.role = Role::Replica(Box::new(upstream));
        let generation = self.replication.generation;
        self.actions.push(Action::Follow { generation });
        self.log(Level::Warning, format!("this server follows {master}"));
    }

    /// Holds still: follows nobody, acknowledges nothing.
    pub(in crate::server) fn become_awaiting(&mut self, now: Now) {
        self.leave_master_role(now, true);
        self.stop_following();
        self.hub.role = "replica";
        self.replication.role = Role::Awaiting;
    }

    fn stop_following(&mut self) {
        self.replication.generation += 1;
        if let Some(db) = self.replication.upstream().map(Upstream::db) {
            self.replication.restored_db = db;
            self.actions.push(Action::Unfollow);
        }
    }

    /// Ends what only a master may do. Clients of a supervised master are cut off: they ask their
    /// sentinel again, and what waits at the gate never leaves.
    fn leave_master_role(&mut self, now: Now, cut_off_clients: bool) {
        if !matches!(self.replication.role, Role::Master) {
            return;
        }
        // What was executed stands in the stream before anything else does.
        self.replication.flush(now);
        self.unblock_all();
        let waiting = self.replication.waits.take_all().into_iter().chain(self.aof.waits.take_all());
        for session in waiting.collect::<Vec<_>>() {
            let text = "-UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)\r\n";
            self.unblock(session, Bytes::from_static(text.as_bytes()), None);
        }
        self.abandon_image();
        self.replication.replicas.close_where(|_| true);
        if cut_off_clients {
            self.replication.silence();
            self.disconnect_clients();
        }
    }

    pub(in crate::server) fn disconnect_clients(&self) {
        let supervisors = &self.replication.supervision.supervisors;
        // A request that a pause holds back is answered when that ends: READONLY, and by then there is a
        // master to go to.
        let spared = |id: SessionId| supervisors.contains(&id) || self.hub.waits_for_end_of_pause(id);
        self.hub.close_where(|session| session.class != Class::Replica && !spared(session.id));
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn uuids_have_their_shape() {
        let uuid = super::new_uuid(&mut crate::stdx::Rng::with_seed(1));
        let parts: Vec<usize> = uuid.split('-').map(str::len).collect();
        assert_eq!(parts, [8, 4, 4, 4, 12]);
        assert_eq!(&uuid[14..15], "4");
        assert!("89ab".contains(&uuid[19..20]));
    }
}
