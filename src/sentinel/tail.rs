//! The newest writes are with a replica alone that may not be master (priority 0, in maintenance). A
//! replica that may is pointed at that one, which stands still and gives what it has; when both hold
//! as much, this attempt ends and the next one finds two that hold everything.
//!
//! Two attempts, because one epoch gives a server one role: who followed in it is not promoted in it.
//! The source is never told to be master, takes no write and gets no byte more. Bundled servers only: a
//! stock one serves nobody while it is frozen. Bounded by failover-timeout; whatever goes wrong ends as
//! it did before, in a refusal that names who has how much.

use super::decision::AbortKind;
use super::failover::Conduct;
use super::lead::Work;
use super::ledger::Failover;
use super::registry::Instance;
use super::request::Request;
use super::successor;
use crate::model::Address;

impl Work<'_> {
    /// Whether the attempt is to go on (or was ended for the next one) instead of being refused.
    pub(super) fn fetch_tail(&mut self, failover: &Failover, conduct: &mut Conduct) -> bool {
        let bundled = |address: &Address| {
            self.registry.get(address).and_then(Instance::current).is_some_and(|f| f.bundled.is_some())
        };
        let Some((source, heir)) = successor::tail_apart(self.group, &conduct.frozen, failover.wanted())
        else {
            return false;
        };
        let timeout = self.group.settings.failover_timeout();
        if !(bundled(&source) && bundled(&heir)) || self.now.since(conduct.since) > timeout {
            return false;
        }
        let (Some(goal), Some(known)) = (conduct.frozen.get(&source), conduct.frozen.get(&heir)) else {
            return false;
        };
        let Some(facts) = self.registry.get(&heir).and_then(Instance::current) else { return true };
        // One that restarted is frozen again first.
        if facts.run_id.as_ref() != Some(&known.run_id) {
            return true;
        }
        if facts.history == goal.history && facts.offset >= goal.offset {
            let reason = format!("{heir} has caught up with {source}; the failover begins anew");
            self.abort(failover, conduct, AbortKind::CaughtUp, reason);
            return true;
        }
        let epoch = self.acting_epoch(failover.epoch);
        if self.due(conduct, &heir) {
            let request = Request::Follow {
                group: self.group.name.clone(),
                epoch,
                master: source,
                stock_master: false,
                fork: None,
            };
            self.send(&heir, request);
            self.ask(&heir);
        }
        true
    }
}
