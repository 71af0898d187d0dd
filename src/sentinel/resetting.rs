//! Whom RESET spares: with a master that is not as the log knows it, the last copy of what WAIT promised
//! may be a replica that is out of sight. Has never heard of who asks.

use super::decision::Decision;
use super::node::Sentinel;
use super::registry::Instance;
use super::subjective;
use crate::model::event::EventKind;
use crate::stdx::time::Instant;

impl Sentinel {
    /// Nobody is forgotten beside a master that restarted, is silent, or was not seen yet; nor is it said that
    /// it is well.
    pub(super) fn spare_copies(&self, now: Instant, decisions: &mut Vec<Decision>) {
        let is_reset = |decision: &Decision| matches!(decision, Decision::Reset { .. });
        if !decisions.iter().any(is_reset) {
            return;
        }
        for decision in decisions.iter_mut() {
            if let Decision::Reset { group, forget } = decision
                && !self.has_sound_master(group, now)
            {
                forget.clear();
            }
        }
        decisions.retain(|decision| match decision {
            Decision::Flag { group, kind: EventKind::ODownEnd, .. } => self.has_sound_master(group, now),
            _ => true,
        });
    }

    fn has_sound_master(&self, group: &str, now: Instant) -> bool {
        let Some(group) = self.ledger.group(group) else { return false };
        let Some(master) = self.registry.get(&group.master) else { return false };
        let serves = |master: &Instance| {
            master.current().is_some_and(|facts| {
                // A stock server that came back with its data serves again, whoever was told so.
                let known = facts.run_id == group.run_id || (facts.bundled.is_none() && facts.holds_data());
                facts.is_master() && !facts.awaiting() && !facts.loading && known
            })
        };
        serves(master) && !subjective::suspect(master, group, now)
    }
}
