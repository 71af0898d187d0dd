//! What an attempt that found nobody had to go by. Its inputs are all there is to its outcome, so while none
//! of them has changed, another attempt would stop the replicas again only to find nobody again. Has never
//! heard of time: pauses between attempts that may end otherwise are `lead`'s.

use super::decision::Cause;
use super::ledger::Group;
use super::prospect::Prospect;
use super::registry::{Instance, Registry};
use super::settings::Settings;
use super::successor::Frozen;
use crate::model::{Address, Offset, ReplId, RunId};
use std::collections::BTreeMap;

/// One server, as far as it decides who is promoted.
#[derive(Debug, PartialEq, Eq)]
struct Shown {
    run_id: RunId,
    history: Option<ReplId>,
    offset: Offset,
    history2: Option<ReplId>,
    offset2: Offset,
    synced: bool,
    priority: i64,
}

impl From<&Frozen> for Shown {
    fn from(frozen: &Frozen) -> Self {
        Shown {
            run_id: frozen.run_id.clone(),
            history: frozen.history.clone(),
            offset: frozen.offset,
            history2: frozen.history2.clone(),
            offset2: frozen.offset2,
            synced: frozen.synced,
            priority: frozen.priority,
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Inputs {
    cause: Cause,
    settings: Settings,
    /// Replicas, and whether each is in maintenance and what it shows.
    replicas: BTreeMap<Address, (bool, Option<Shown>)>,
    /// A restarted one may turn out to be the best there is.
    master: Option<Shown>,
}

pub(super) fn inputs(cause: Cause, group: &Group, registry: &Registry, prospect: &Prospect) -> Inputs {
    let shown = |address: &Address| {
        let reachable = prospect.reachable.contains_key(address);
        prospect.candidates.get(address).filter(|_| reachable).map(Shown::from)
    };
    let paused = |address: &Address| group.policy.instances.contains_key(address);
    let master = registry.get(&group.master).and_then(Instance::current);
    Inputs {
        cause,
        settings: group.settings.clone(),
        replicas: group.replicas.iter().map(|a| (a.clone(), (paused(a), shown(a)))).collect(),
        master: master.and_then(Frozen::from_facts).as_ref().map(Shown::from),
    }
}
