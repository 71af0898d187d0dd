//! The one file of the simulator that knows the sentinel's face.

use super::world::SentinelHost;
use vedette::config::sentinel::SentinelConfig;
use vedette::consensus::{Persist, Role, Stored};
use vedette::model::Address;
use vedette::sentinel::ledger::Membership;
use vedette::sentinel::{Action, Identity, Sentinel};
use vedette::stdx::time::Now;

/// Known bugs of the shell around a sentinel, planted by tests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bugs {
    /// Terms and votes never reach the disk.
    pub forgets_votes: bool,
    /// New entries never reach the disk.
    pub forgets_entries: bool,
    /// What a leader replaced stays where it was.
    pub keeps_replaced_entries: bool,
    /// Messages leave before the sync that they speak of.
    pub sends_before_sync: bool,
}

pub fn start(
    config: &SentinelConfig,
    stored: Stored,
    seed: u64,
    now: Now,
    index: usize,
    life: u64,
    bugs: &vedette::sentinel::Bugs,
) -> Result<(Sentinel, Vec<Action>), String> {
    let identity = Identity { uuid: uuid(index), run_id: run_id(index, life) };
    let (mut core, actions) = Sentinel::new(config, identity, stored, seed, now, Default::default())
        .map_err(|error| error.to_string())?;
    core.bugs = *bugs;
    Ok((core, actions))
}

/// A disk that keeps what it was told to keep, and nothing else.
pub fn persist(disk: &mut Stored, persist: Persist, bugs: &Bugs) {
    if let Some(snapshot) = persist.snapshot {
        disk.entries.retain(|entry| entry.index > snapshot.index);
        disk.snapshot = Some(snapshot);
    }
    if let Some(from) = persist.truncate_from {
        disk.entries.retain(|entry| entry.index < from || bugs.keeps_replaced_entries);
    }
    let next = disk.entries.last().map_or(0, |entry| entry.index + 1);
    let kept = persist.entries.into_iter().filter(|_| !bugs.forgets_entries);
    disk.entries.extend(kept.filter(|entry| !bugs.keeps_replaced_entries || entry.index >= next));
    if let Some(hard_state) = persist.hard_state.filter(|_| !bugs.forgets_votes) {
        disk.hard_state = hard_state;
    }
}

pub fn uuid(index: usize) -> String {
    format!("00000000-0000-4000-8000-{:0>12}", index + 1)
}

pub fn run_id(index: usize, life: u64) -> String {
    format!("{:0>40x}", life * 1000 + index as u64 + 1)
}

pub fn is_leader(host: &SentinelHost) -> bool {
    !host.paused && host.core.as_ref().is_some_and(|core| core.role() == Role::Leader)
}

/// What clients are told: fresh or silent.
pub fn answer(core: &Sentinel, now: Now, group: &str) -> Option<(Address, u64)> {
    core.is_fresh(now.mono).then(|| agreed(core, group)).flatten()
}

/// The fleet as this sentinel has it.
pub fn membership(host: &SentinelHost) -> Option<&Membership> {
    host.core.as_ref().map(|core| &core.ledger().membership)
}

pub fn agreed(core: &Sentinel, group: &str) -> Option<(Address, u64)> {
    core.ledger().group(group).map(|group| (group.master.clone(), group.epoch))
}
