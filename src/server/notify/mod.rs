//! Who is told that a key changed: WATCH, blocked sessions, clients that cache it, and whoever listens to
//! keyspace notifications. `rules` names the events of each command; a handler knows nothing of it, and
//! while nobody listens one branch is all it costs.

mod rules;

use super::{Server, admin};
use crate::commands::Effects;
use crate::commands::effects::Note;
use crate::config::server::notify::{Classes, GENERIC, KEYEVENT, KEYSPACE, MISSED, NEW};
use crate::session::Class;
pub use rules::{Event, Happened};

impl Server {
    /// Whether anybody wants to know which keys change.
    #[inline]
    pub(in crate::server) fn is_noting(&self) -> bool {
        self.config.notify_events != 0
            || !self.transactions.nothing_watched()
            || !self.blocking.is_empty()
            || self.hub.tracking.is_on()
    }

    /// Publishes an event of a key, where its class is asked for.
    pub(in crate::server) fn notify(&self, class: Classes, event: &str, db: usize, key: &[u8]) {
        let asked = self.config.notify_events;
        if asked & class == 0 {
            return;
        }
        let bytes_max = self.hub.settings.output_bytes_max(Class::PubSub);
        if asked & KEYSPACE != 0 {
            let mut channel = format!("__keyspace@{db}__:").into_bytes();
            channel.extend_from_slice(key);
            self.hub.pubsub.publish(&channel, event.as_bytes(), bytes_max);
        }
        if asked & KEYEVENT != 0 {
            let channel = format!("__keyevent@{db}__:{event}");
            self.hub.pubsub.publish(channel.as_bytes(), key, bytes_max);
        }
    }

    /// Tells what the unit that ran as `argv` did to which keys.
    pub(super) fn tell_changes(&mut self, db: usize, argv: &[&[u8]], effects: &Effects) {
        for note in &effects.notes {
            if let Note::Missed(db, key) = note {
                self.notify(MISSED, "keymiss", *db, key);
            }
        }
        if effects.dirty == 0 {
            return;
        }
        if effects.all_touched {
            self.touch_all();
            return;
        }
        let Some(spec) = self.table.spec_of(argv[0]).copied() else { return };
        let mut events = Vec::new();
        let keyspace = &self.keyspace;
        let exists = |db: usize, key: &[u8]| keyspace.entry(db, key).is_some();
        let happened = Happened { name: spec.name, db, argv, effects };
        if !happened.events(&exists, &mut |event| events.push(event)) {
            // Without a rule: all its keys, under no name.
            for position in admin::keys::positions(&spec, argv) {
                self.touch(db, argv[position]);
            }
        }
        let mut news: Vec<(usize, &[u8])> = Vec::new();
        for note in &effects.notes {
            match note {
                Note::New(db, key) => news.push((*db, key)),
                Note::Deleted(db, key) => events.push(Event { class: GENERIC, name: "del", db: *db, key }),
                _ => {}
            }
        }
        // Redis makes the new name first, then tells of the old one.
        let at_once = matches!(spec.name, "rename" | "renamenx" | "move");
        for event in events {
            news.retain(|&(db, key)| {
                let is_due = at_once || (db, key) == (event.db, event.key);
                if is_due {
                    self.notify(NEW, "new", db, key);
                }
                !is_due
            });
            self.touch(event.db, event.key);
            self.notify(event.class, event.name, event.db, event.key);
        }
    }
}
