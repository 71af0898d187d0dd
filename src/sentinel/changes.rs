//! What became of an instance without anybody's doing: another process, another role than it should have.
//! Told once for the fleet by the leader, who saw it; nothing is decided by it.

use super::lead::Work;
use super::node::Sentinel;
use super::registry::Instance;
use crate::model::Address;
use crate::model::event::{Event, EventKind};

impl Sentinel {
    /// What was told need not be told again.
    pub(super) fn told_of(&mut self, event: &Event) {
        self.heard_last_words(event);
        let Some(instance) = event.instance.as_ref().filter(|_| event.kind == EventKind::Reboot) else {
            return;
        };
        if let Some(instance) = self.registry.get_mut(instance) {
            instance.rebooted = false;
        }
    }
}

impl Work<'_> {
    pub(super) fn tell_changes(&mut self) {
        for address in self.group.instances().cloned().collect::<Vec<_>>() {
            let is_master = address == self.group.master;
            let Some(instance) = self.registry.get(&address) else { continue };
            // A restarted master is a case of its own and is told with what follows from it.
            if instance.rebooted && !is_master && instance.current().is_some() {
                self.flag(&address, EventKind::Reboot, "");
            }
            self.tell_role(&address, is_master);
        }
    }

    fn tell_role(&mut self, address: &Address, is_master: bool) {
        let Some(facts) = self.registry.get(address).and_then(Instance::current) else { return };
        if facts.awaiting() {
            return;
        }
        let odd = facts.is_master() != is_master;
        let told = self.group.odd_roles.contains(address);
        let role = if facts.is_master() { "master" } else { "slave" };
        let text = format!("new reported role is {role}");
        match (odd, told) {
            (true, false) => self.flag(address, EventKind::RoleMismatch, text),
            (false, true) => self.flag(address, EventKind::RoleChange, text),
            _ => {}
        }
    }
}
