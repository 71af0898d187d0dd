//! Writes down what an entry makes happen: events with dense ids, in the words of Redis Sentinel.

use super::Group;
use crate::model::Address;
use crate::model::event::{Event, EventKind, Subject};

/// Collects the events of one entry.
pub(super) struct Scribe<'a> {
    pub(super) at_ms: u64,
    /// The sentinel that leads, by the name that clients know.
    pub(super) leader: String,
    pub(super) last_id: &'a mut u64,
    pub(super) out: Vec<Event>,
}

impl Scribe<'_> {
    pub(super) fn tell(
        &mut self,
        kind: EventKind,
        group: &Group,
        instance: Option<&Address>,
        payload: String,
    ) -> &mut Event {
        *self.last_id += 1;
        let epoch = group.failover.as_ref().map_or(group.epoch, |f| f.epoch);
        self.out.push(Event {
            id: *self.last_id,
            at_ms: self.at_ms,
            kind,
            group: group.name.clone(),
            epoch,
            instance: instance.cloned(),
            payload,
            details: Vec::new(),
        });
        let last = self.out.len() - 1;
        &mut self.out[last]
    }

    /// About the fleet as a whole.
    pub(super) fn fleet(&mut self, kind: EventKind, payload: String) -> &mut Event {
        *self.last_id += 1;
        self.out.push(Event {
            id: *self.last_id,
            at_ms: self.at_ms,
            kind,
            group: String::new(),
            epoch: 0,
            instance: None,
            payload,
            details: Vec::new(),
        });
        let last = self.out.len() - 1;
        &mut self.out[last]
    }

    /// About the master as it was named `master`.
    pub(super) fn master(
        &mut self,
        kind: EventKind,
        group: &Group,
        master: &Address,
        extra: &str,
    ) -> &mut Event {
        let subject = Subject::Master { group: &group.name, address: master };
        self.tell(kind, group, Some(master), with(subject.to_string(), extra))
    }

    pub(super) fn replica(
        &mut self,
        kind: EventKind,
        group: &Group,
        replica: &Address,
        extra: &str,
    ) -> &mut Event {
        let subject = Subject::Replica { address: replica, group: &group.name, master: &group.master };
        self.tell(kind, group, Some(replica), with(subject.to_string(), extra))
    }

    pub(super) fn instance(
        &mut self,
        kind: EventKind,
        group: &Group,
        instance: &Address,
        extra: &str,
    ) -> &mut Event {
        if group.master == *instance {
            self.master(kind, group, instance, extra)
        } else {
            self.replica(kind, group, instance, extra)
        }
    }
}

fn with(mut subject: String, extra: &str) -> String {
    if !extra.is_empty() {
        subject.push(' ');
        subject.push_str(extra);
    }
    subject
}

pub(super) fn detail(event: &mut Event, name: &str, value: impl ToString) {
    event.details.push((name.to_owned(), value.to_string()));
}
