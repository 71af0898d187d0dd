//! Which data directory each voter is bound to, for the tasks that judge peers at their door.
//!
//! A sentinel that lost its log has forgotten its votes; under its old id it could vote twice in one
//! term. So it is turned away by whoever remembers, told why, and ends.

use crate::model::NodeId;
use crate::net::peer_link::{Check, Hello, Refusal};
use crate::sentinel::ledger::Ledger;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;

#[derive(Clone, Default)]
pub(super) struct Voters {
    uuids: Arc<Mutex<BTreeMap<NodeId, String>>>,
}

impl Voters {
    pub(super) fn update(&self, ledger: &Ledger) {
        let mut known = self.uuids.lock();
        for (id, voter) in &ledger.voters {
            if known.get(id) != Some(&voter.uuid) {
                known.insert(*id, voter.uuid.clone());
            }
        }
    }

    pub(super) fn check(&self) -> Arc<Check<'static>> {
        let uuids = self.uuids.clone();
        Arc::new(move |peer: &Hello| match uuids.lock().get(&peer.id) {
            Some(uuid) if *uuid != peer.uuid => Err(Refusal::LostLog),
            _ => Ok(()),
        })
    }
}
