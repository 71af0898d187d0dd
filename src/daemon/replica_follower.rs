//! The engine as the link to a master sees it: every call takes the lock once.

use super::clock;
use super::server_loop::Engine;
use crate::model::{Offset, ReplId};
use crate::net::replica_link::Follower;
use crate::rdb::Loaded;
use crate::server::Server;
use crate::server::replication::follow::{Applied, LinkFault, LinkPhase};
use crate::server::replication::handshake::{Fault, Terms};
use crate::stdx::time::Now;

impl Engine {
    fn with<T>(&self, call: impl FnOnce(&mut Server, Now) -> T) -> T {
        let mut server = self.server.lock();
        let result = call(&mut server, clock::now());
        let stirred = server.is_stirred();
        drop(server);
        if stirred {
            self.stirred.notify_one();
        }
        result
    }
}

impl Follower for Engine {
    fn terms(&self, generation: u64) -> Option<Terms> {
        self.with(|server, _| server.link_terms(generation))
    }

    fn phase(&self, generation: u64, phase: LinkPhase) -> Result<(), LinkFault> {
        self.with(|server, now| server.link_phase(now, generation, phase))
    }

    fn refused(&self, generation: u64, fault: &Fault) {
        self.with(|server, now| server.link_refused(now, generation, fault));
    }

    fn down(&self, generation: u64, why: &str) -> Result<(), LinkFault> {
        self.with(|server, now| server.link_down(now, generation, why))
    }

    fn resume(&self, generation: u64, replid: Option<ReplId>) -> Result<(), LinkFault> {
        self.with(|server, now| server.link_continue(now, generation, replid))
    }

    fn install(
        &self,
        generation: u64,
        data: Loaded,
        replid: ReplId,
        offset: Offset,
    ) -> Result<(), LinkFault> {
        let stream_db = data.position.as_ref().map_or(0, |position| position.stream_db);
        self.with(|server, now| {
            server.link_install(now, generation, data.keyspace, stream_db, replid, offset)?;
            server.take_functions(&data.functions);
            Ok(())
        })
    }

    fn stream(&self, generation: u64, bytes: &[u8]) -> Result<Applied, LinkFault> {
        let applied = self.with(|server, now| server.link_stream(now, generation, bytes));
        // Before it is acknowledged.
        self.write_waiting();
        applied
    }

    fn offset(&self, generation: u64) -> Result<Offset, LinkFault> {
        self.with(|server, _| server.link_offset(generation))
    }

    fn synced(&self, generation: u64) -> Result<Option<Offset>, LinkFault> {
        self.with(|server, _| server.link_offset(generation).map(|_| server.link_synced()))
    }

    fn hash_seed(&self) -> crate::rdb::Ground {
        self.with(|server, _| server.link_seed())
    }
}
