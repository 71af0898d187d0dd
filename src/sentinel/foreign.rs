//! Whether the data behind an address is this group's. An address is given to another server, and that
//! one has data of its own: it is not made to follow, for following would wipe it, and it is nobody's
//! successor. Told as `+foreign-data`, and left alone until a person has decided.
//!
//! A restarted stock server of the group has another process and perhaps another replication id, and
//! is to be taken back at once. Redis 7 carries the old id over a restart in its snapshot (as
//! `master_replid2`), so there a strange id with keys is strange data. An append-only file carries
//! no id, and neither did Redis 6: there the number of keys decides, which was the same a moment ago.
//! Bundled servers know their group's name themselves. Promises: nothing is proposed here but the
//! telling; a server that cannot be judged counts as foreign when it has keys.

use super::facts::Facts;
use super::lead::Work;
use super::ledger::Group;
use super::registry::Instance;
use crate::model::event::EventKind;
use crate::model::{Address, ReplId, RunId};

/// What was at an address when it last held this group's data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Own {
    run_id: Option<RunId>,
    history: Option<ReplId>,
    keys: u64,
}

/// Keys that may come and go between the last look and the restart, however few there are.
const KEYS_SLACK: u64 = 10;

/// It holds keys, and nothing says that they are the group's.
pub(super) fn holds_foreign_data(group: &Group, instance: &Instance) -> bool {
    let Some(facts) = instance.current().filter(|facts| facts.bundled.is_none()) else { return false };
    if facts.keys == 0 || facts.loading || group.history.is_none() || of_the_group(group, facts) {
        return false;
    }
    let Some(own) = &instance.own else { return true };
    let same_process = own.run_id.is_some() && own.run_id == facts.run_id;
    let same_history = own.history.is_some() && [&facts.history, &facts.history2].contains(&&own.history);
    let as_many = facts.keys <= own.keys * 2 + KEYS_SLACK && own.keys <= facts.keys * 2 + KEYS_SLACK;
    !(same_process || same_history || (facts.forgets_history && as_many))
}

/// Its own replication id, or the one before, is one that the group has or had.
fn of_the_group(group: &Group, facts: &Facts) -> bool {
    let known = |id: &ReplId| {
        group.history.as_ref() == Some(id) || group.ancestors.iter().any(|ancestor| ancestor.history == *id)
    };
    facts.history.as_ref().is_some_and(known) || facts.history2.as_ref().is_some_and(known)
}

impl Work<'_> {
    /// Remembers, at every look, what an address holds while it holds the group's data.
    pub(super) fn note_own_data(&mut self) {
        for address in self.group.instances() {
            let Some(instance) = self.registry.get_mut(address) else { continue };
            let Some(facts) = instance.current() else { continue };
            if facts.bundled.is_some() || facts.loading || !of_the_group(self.group, facts) {
                continue;
            }
            let (run_id, history, keys) = (&facts.run_id, &facts.history, facts.keys);
            if instance
                .own
                .as_ref()
                .is_none_or(|own| own.keys != keys || own.run_id != *run_id || own.history != *history)
            {
                instance.own = Some(Own { run_id: run_id.clone(), history: history.clone(), keys });
            }
        }
    }

    pub(super) fn is_foreign(&self, address: &Address) -> bool {
        let is_replica = *address != self.group.master;
        is_replica && self.registry.get(address).is_some_and(|i| holds_foreign_data(self.group, i))
    }

    /// Told once, and again when it is over: it follows the master, is empty, or is another server.
    pub(super) fn tell_foreign(&mut self) {
        for address in self.group.replicas.clone() {
            let told = self.group.foreign.contains(&address);
            let foreign = self.is_foreign(&address);
            if foreign && !told {
                let facts = self.registry.get(&address).and_then(Instance::current);
                let keys = facts.map_or(0, |facts| facts.keys);
                let (name, master) = (&self.group.name, &self.group.master);
                let text = format!(
                    "#keys {keys} not of {name}: left alone; if they are not wanted REPLICAOF {} {} there, else \
                     SENTINEL RESET {name}",
                    master.host, master.port
                );
                self.flag(&address, EventKind::ForeignData, text);
            }
            let seen = self.registry.get(&address).is_some_and(|i| i.current().is_some_and(|f| !f.loading));
            if told && !foreign && seen {
                self.flag(&address, EventKind::ForeignDataEnd, "");
            }
        }
    }
}
