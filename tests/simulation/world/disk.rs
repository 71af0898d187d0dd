//! The disks of the simulated sentinels: slow, full, torn in the middle of a sync, or lying about it.
//! The promise of the real one is that a sync is whole or nothing, and that who cannot sync ends.

use super::{Event, MS, World};
use crate::simulation::network::Host;
use vedette::consensus::{Persist, Stored};
use vedette::sentinel::Action;

#[derive(Default)]
pub struct Disk {
    pub stored: Stored,
    /// What is there after a loss of power, where the disk lies.
    synced: Option<Box<Stored>>,
    slow_us: u64,
    pub full: bool,
    /// Dies in the next sync; whether that one is there afterwards, and when the process starts again.
    torn: Option<(bool, u64)>,
    generation: u64,
}

impl Disk {
    pub fn lies(&self) -> bool {
        self.synced.is_some()
    }
}

impl World {
    /// True when the caller is to go on with what stands behind the sync.
    pub(super) fn persist(&mut self, index: usize, persist: Persist, then: &mut Vec<Action>) -> bool {
        let disk = &mut self.sentinels[index].disk;
        if let Some((kept, restart_us)) = disk.torn.take() {
            if kept {
                self.checkers.persisted(index, &persist);
                crate::simulation::adapter::persist(&mut disk.stored, persist, &self.plan.shell_bugs);
            }
            self.note(format!("s{} dies in a sync (kept: {kept})", index + 1));
            self.kill_sentinel(index);
            self.restart_later(index, restart_us);
            return false;
        }
        if disk.full {
            self.note(format!("s{} ends: its disk is full", index + 1));
            self.kill_sentinel(index);
            self.restart_later(index, 300 * MS);
            return false;
        }
        if disk.slow_us > 0 && !self.plan.shell_bugs.sends_before_sync {
            let took_us = self.rng.u64(1..=disk.slow_us);
            let host = &mut self.sentinels[index];
            host.busy = Some((persist, std::mem::take(then)));
            let event = Event::Synced { sentinel: index, life: host.life };
            self.schedule(self.now_us + took_us, event);
            return false;
        }
        self.checkers.persisted(index, &persist);
        crate::simulation::adapter::persist(&mut disk.stored, persist, &self.plan.shell_bugs);
        true
    }

    pub(super) fn synced(&mut self, index: usize, life: u64) {
        let host = &mut self.sentinels[index];
        if host.life != life || host.core.is_none() {
            return;
        }
        let Some((persist, then)) = host.busy.take() else { return };
        self.checkers.persisted(index, &persist);
        crate::simulation::adapter::persist(&mut host.disk.stored, persist, &self.plan.shell_bugs);
        self.carry_out(index, then);
        self.catch_up(index);
        if !self.stands_still(index) {
            self.rearm(index);
        }
    }

    pub(super) fn restart_later(&mut self, host: Host, after_us: u64) {
        let event = Event::Restart { host, keep_data: true, keep_dir: true };
        self.schedule(self.now_us + after_us, event);
    }

    pub(super) fn slow_disk(&mut self, index: usize, most_us: u64, for_us: u64) {
        self.sentinels[index].disk.slow_us = most_us;
        self.mend_disk_later(index, for_us);
    }

    pub(super) fn fill_disk(&mut self, index: usize, for_us: u64) {
        self.sentinels[index].disk.full = true;
        self.mend_disk_later(index, for_us);
    }

    pub(super) fn tear_disk(&mut self, index: usize, kept: bool, for_us: u64) {
        self.sentinels[index].disk.torn = Some((kept, for_us));
    }

    /// At the end of this time its power fails.
    pub(super) fn lying_disk(&mut self, index: usize, for_us: u64) {
        let disk = &mut self.sentinels[index].disk;
        if disk.synced.is_none() {
            disk.synced = Some(Box::new(disk.stored.clone()));
        }
        self.mend_disk_later(index, for_us);
    }

    fn mend_disk_later(&mut self, index: usize, for_us: u64) {
        let disk = &mut self.sentinels[index].disk;
        disk.generation += 1;
        let generation = disk.generation;
        self.schedule(self.now_us + for_us, Event::DiskMend { host: index, generation });
    }

    pub(super) fn disk_mended(&mut self, index: Host, generation: u64) {
        if index >= self.sentinels.len() {
            let node = index - self.sentinels.len();
            self.nodes[node].node.disk_full = false;
            return;
        }
        if self.sentinels[index].disk.generation == generation {
            self.mend_disk(index);
        }
    }

    /// A disk is itself again; one that lied has lost what it had not written.
    pub fn mend_disk(&mut self, index: usize) {
        let disk = &mut self.sentinels[index].disk;
        (disk.slow_us, disk.full, disk.torn) = (0, false, None);
        if let Some(synced) = disk.synced.take() {
            let lost = disk.stored != *synced;
            disk.stored = *synced;
            self.note(format!("power fails at s{}; lost something: {lost}", index + 1));
            if lost {
                self.checkers.lied();
            }
            self.kill_sentinel(index);
            self.restart_later(index, 200 * MS);
        }
    }
}
