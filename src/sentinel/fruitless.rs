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

impl Inputs {
    /// Whether everybody who could be reached when the attempt began is among those that stood still. One that
    /// could, and did not in time, may do so the next time, though nothing that it shows has changed. So may a
    /// restarted master, whose answer the choice waits for.
    pub(super) fn all_in(&self, frozen: &BTreeMap<Address, Frozen>, master_answered: bool) -> bool {
        if self.cause == Cause::Restarted && self.master.is_some() && !master_answered {
            return false;
        }
        let asked = self.replicas.iter().filter(|(_, (paused, shown))| !paused && shown.is_some());
        asked.map(|(address, _)| address).all(|address| frozen.contains_key(address))
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stdx::time::Instant;

    /// Found by a test on a slow disk: both replicas stood still too late, and nobody asked them again.
    #[test]
    fn an_attempt_in_which_somebody_was_late_proves_nothing() {
        let frozen = Frozen {
            run_id: RunId::parse("a").unwrap(),
            history: None,
            offset: 1,
            history2: None,
            offset2: 0,
            synced: true,
            priority: 100,
            at: Instant::ZERO,
            heard_at: None,
        };
        let address = |port| Address::new("h", port);
        let mut inputs = Inputs {
            cause: Cause::Crashed,
            settings: Settings::with_quorum(2),
            replicas: BTreeMap::from([
                (address(1), (false, Some(Shown::from(&frozen)))),
                (address(2), (false, None)),
                (address(3), (true, Some(Shown::from(&frozen)))),
            ]),
            master: None,
        };
        assert!(!inputs.all_in(&BTreeMap::new(), false));
        inputs.master = Some(Shown::from(&frozen));
        let stood_still = BTreeMap::from([(address(1), frozen)]);
        assert!(inputs.all_in(&stood_still, false), "nobody else could be asked");
        // Found by the simulator: it was cut off right when it was asked what it still has.
        inputs.cause = Cause::Restarted;
        assert!(!inputs.all_in(&stood_still, false));
        assert!(inputs.all_in(&stood_still, true));
    }
}
