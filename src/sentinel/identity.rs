//! Who the servers are, as the log is to know them: the master's process and history,
//! and epochs that an older fleet handed out. Has never heard of down or up.

use super::decision::Decision;
use super::lead::Work;
use super::registry::Instance;

impl Work<'_> {
    /// Servers that an older fleet supervised show epochs above ours: ours must pass them.
    pub(super) fn raise_epochs(&mut self) -> bool {
        let shown = self.group.instances().filter_map(|a| self.registry.get(a)?.current()?.bundled.as_ref());
        let Some(above) = shown.map(|bundled| bundled.epoch).max() else { return false };
        if above <= self.group.last_epoch || self.group.failover.is_some() {
            return false;
        }
        self.decisions.push(Decision::EpochFloor { group: self.group.name.clone(), above });
        true
    }

    /// Which process is the master, with which history: agreed once, and again when it was told a new
    /// epoch or made a new history without a restart.
    pub(super) fn identify(&mut self) {
        let Some(facts) = self.master().and_then(Instance::current) else { return };
        let (Some(run_id), Some(history)) = (&facts.run_id, &facts.history) else { return };
        if !facts.is_master() || facts.awaiting() || facts.loading {
            return;
        }
        let bundled = facts.bundled.is_some();
        let epoch_shown = facts.bundled.as_ref().is_none_or(|b| b.epoch == self.group.epoch);
        let first = self.group.run_id.is_none();
        let same_process = self.group.run_id.as_ref() == Some(run_id);
        let changed = self.group.history.as_ref() != Some(history) || self.group.bundled != bundled;
        let confirmed = self.group.confirm && epoch_shown && same_process;
        if first || confirmed || (same_process && changed && !self.group.confirm) {
            self.decisions.push(Decision::Identity {
                group: self.group.name.clone(),
                epoch: self.group.epoch,
                run_id: run_id.clone(),
                history: history.clone(),
                bundled,
            });
        }
    }
}
