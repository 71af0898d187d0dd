//! Replicas that nobody named: the agreed master lists them.

use super::decision::Decision;
use super::lead::Work;
use super::registry::Instance;

impl Work<'_> {
    /// Replicas that the agreed master lists.
    pub(super) fn discover(&mut self) {
        if !self.master_is_sound() {
            return;
        }
        let Some(facts) = self.registry.get(&self.group.master).and_then(Instance::current) else { return };
        let new: Vec<Decision> = facts
            .replicas
            .iter()
            .filter(|listed| {
                !self.group.knows(&listed.address) && self.registry.get(&listed.address).is_none()
            })
            .map(|listed| Decision::AddReplica {
                group: self.group.name.clone(),
                address: listed.address.clone(),
            })
            .collect();
        self.decisions.extend(new);
    }
}
