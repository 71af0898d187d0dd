//! Which data directory each member is bound to, and who was removed, for the tasks that judge peers
//! at their door.
//!
//! A sentinel that lost its log has forgotten its votes; under its old id it could vote twice in one
//! term. So it is turned away by whoever remembers, told why, and ends. One that was removed is told
//! so, and answers nobody any more.

use crate::model::NodeId;
use crate::net::peer_link::{Check, Hello, Refusal};
use crate::sentinel::Sentinel;
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

#[derive(Clone, Default)]
pub(super) struct Voters {
    known: Arc<Mutex<Known>>,
}

#[derive(Default)]
struct Known {
    uuids: BTreeMap<NodeId, String>,
    removed: BTreeSet<NodeId>,
}

impl Voters {
    pub(super) fn update(&self, core: &Sentinel) {
        let ledger = core.ledger();
        let used = ledger.membership.used.iter().copied();
        let removed = used.filter(|id| core.has_removed(*id)).collect();
        let uuids = ledger.voters.iter().map(|(id, voter)| (*id, voter.uuid.clone())).collect();
        *self.known.lock() = Known { uuids, removed };
    }

    pub(super) fn check(&self) -> Arc<Check<'static>> {
        let known = self.known.clone();
        Arc::new(move |peer: &Hello| {
            let known = known.lock();
            if known.removed.contains(&peer.id) {
                return Err(Refusal::Removed);
            }
            match known.uuids.get(&peer.id) {
                Some(uuid) if *uuid != peer.uuid => Err(Refusal::LostLog),
                _ => Ok(()),
            }
        })
    }
}
