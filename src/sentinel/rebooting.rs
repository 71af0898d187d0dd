//! A master that rebooted and loads its data set, under `master-reboot-down-after-period`: an operator
//! who would rather wait for a large data set than move on says for how long. 0, the default: loading is
//! silence like any other, and down-after counts.

use super::ledger::Group;
use super::registry::{Complaint, Instance};
use crate::stdx::time::{Duration, Instant};

impl Instance {
    /// Keeps the moment since which it loads; `complaint` is what its last answer to PING says.
    pub(super) fn note_loading(&mut self, complaint: Option<Complaint>, now: Instant) {
        match complaint {
            Some(Complaint::Loading) => {
                self.loading_since.get_or_insert(now);
            }
            _ => self.loading_since = None,
        }
    }
}

/// Its loading counts as an answer still. It stops to so early that it is down when the period ends.
pub fn counts_as_answer(instance: &Instance, group: &Group, now: Instant) -> bool {
    let period = Duration::from_millis(group.settings.reboot_down_after_ms);
    loads_for(instance, now).is_some_and(|long| long + group.settings.down_after() < period)
}

/// It rebooted, loads, and the time that it was given is not over.
pub fn waited_for(instance: &Instance, group: &Group, now: Instant) -> bool {
    let period = Duration::from_millis(group.settings.reboot_down_after_ms);
    let loads = instance.up() && instance.complaint == Some(Complaint::Loading);
    loads && loads_for(instance, now).is_some_and(|long| long < period)
}

fn loads_for(instance: &Instance, now: Instant) -> Option<Duration> {
    instance.loading_since.map(|since| now.since(since))
}
