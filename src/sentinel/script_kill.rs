//! A script that runs beyond its time blocks its server. One that has written nothing can be ended, and
//! is, once, when half of down-after is over: what may be long is not what must be long. One that has
//! written cannot, and after down-after the master has failed like any other that serves nobody
//! (`subjective::declines`).

use super::lead::Work;
use super::registry::{Complaint, Instance};
use super::request::Request;
use crate::model::event::EventKind;

impl Work<'_> {
    pub(super) fn end_long_script(&mut self) {
        let Some(master) = self.registry.get(&self.group.master) else { return };
        let busy = master.complaint == Some(Complaint::Busy) && master.up();
        let valid_at = master.valid_at;
        if !busy || self.now.since(valid_at) < self.group.settings.down_after() / 2 {
            return;
        }
        // Once for each time that it went silent.
        if self.own.script_killed_at.is_some_and(|at| at >= valid_at) {
            return;
        }
        let address = self.group.master.clone();
        if self.send(&address, Request::KillScript) {
            self.own.script_killed_at = Some(self.now);
            self.flag(&address, EventKind::ScriptKill, "");
            if let Some(master) = self.registry.get_mut(&address) {
                ask_soon(master, self.now);
            }
        }
    }
}

/// What came of it is worth knowing before the next probe is due.
fn ask_soon(master: &mut Instance, now: crate::stdx::time::Instant) {
    master.next_ping = now;
}
