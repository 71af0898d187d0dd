//! Which sessions cache which keys (CLIENT TRACKING), and the pushes that tell them that a key changed.
//!
//! Promises: a session that read a key is told of its next change, once; the table holds at most
//! `keys_max` keys (who cached one that is let go is told as if it had changed); a session that is gone
//! leaves nothing behind for long. Has never heard of a value, a database or a socket.

pub mod command;

use super::{Hub, Outbox, Session, SessionId};
use crate::resp::{Protocol, Writer};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

type Key = Box<[u8]>;

/// `tracking-table-max-keys` where nobody says otherwise.
pub const KEYS_MAX: usize = 1_000_000;
/// Where sessions without RESP3 have their messages sent.
pub const CHANNEL: &[u8] = b"__redis__:invalidate";

/// How a session tracks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mode {
    pub broadcast: bool,
    pub opt_in: bool,
    pub opt_out: bool,
    pub no_loop: bool,
}

#[derive(Debug)]
struct Tracker {
    outbox: Arc<Outbox>,
    protocol: Protocol,
    mode: Mode,
    /// The session that gets its messages.
    redirect: Option<(SessionId, Arc<Outbox>)>,
    is_broken: bool,
    /// CLIENT CACHING was said for the next command.
    caching: bool,
    prefixes: BTreeSet<Key>,
}

#[derive(Debug)]
pub struct Tracking {
    pub keys_max: usize,
    trackers: BTreeMap<SessionId, Tracker>,
    table: BTreeMap<Key, Vec<SessionId>>,
    items: usize,
    /// The last key that was let go for want of room: the next one is behind it.
    hand: Key,
    prefixes: BTreeMap<Key, BTreeSet<SessionId>>,
    /// Keys that changed since the last broadcast, and who changed them.
    changed: BTreeMap<Key, Option<SessionId>>,
}

impl Default for Tracking {
    fn default() -> Self {
        Tracking {
            keys_max: KEYS_MAX,
            trackers: BTreeMap::new(),
            table: BTreeMap::new(),
            items: 0,
            hand: Key::default(),
            prefixes: BTreeMap::new(),
            changed: BTreeMap::new(),
        }
    }
}

impl Tracking {
    #[inline]
    pub fn is_on(&self) -> bool {
        !self.trackers.is_empty()
    }

    pub fn clients(&self) -> usize {
        self.trackers.len()
    }

    pub fn keys(&self) -> usize {
        self.table.len()
    }

    /// Pairs of a key and a session that caches it.
    pub fn items(&self) -> usize {
        self.items
    }

    pub fn prefixes(&self) -> usize {
        self.prefixes.len()
    }

    fn start(
        &mut self,
        session: &Session,
        mode: Mode,
        redirect: Option<(SessionId, Arc<Outbox>)>,
        prefixes: &[&[u8]],
    ) {
        let tracker = self.trackers.entry(session.id).or_insert_with(|| Tracker {
            outbox: session.outbox.clone(),
            protocol: session.protocol,
            mode,
            redirect: None,
            is_broken: false,
            caching: false,
            prefixes: BTreeSet::new(),
        });
        (tracker.mode, tracker.redirect, tracker.is_broken) = (mode, redirect, false);
        if mode.broadcast {
            let all: &[&[u8]] = if prefixes.is_empty() { &[b""] } else { prefixes };
            for &prefix in all {
                tracker.prefixes.insert(prefix.into());
                self.prefixes.entry(prefix.into()).or_default().insert(session.id);
            }
        }
    }

    /// The session tracks no more. Its ids in the table are dropped when their keys change, or there
    /// are too many of them.
    pub fn forget(&mut self, id: SessionId) {
        let Some(tracker) = self.trackers.remove(&id) else { return };
        for prefix in tracker.prefixes {
            if let Some(sessions) = self.prefixes.get_mut(&prefix) {
                sessions.remove(&id);
                if sessions.is_empty() {
                    self.prefixes.remove(&prefix);
                }
            }
        }
        if self.trackers.is_empty() {
            self.table = BTreeMap::new();
            self.changed = BTreeMap::new();
            self.items = 0;
        }
    }

    pub fn set_protocol(&mut self, session: &Session) {
        if let Some(tracker) = self.trackers.get_mut(&session.id) {
            tracker.protocol = session.protocol;
        }
    }

    /// CLIENT CACHING counts for one command, or for one transaction.
    pub fn command_ended(&mut self, id: SessionId) {
        if let Some(tracker) = self.trackers.get_mut(&id) {
            tracker.caching = false;
        }
    }

    /// Whether what this session reads now is to be remembered.
    pub fn remembers(&self, id: SessionId) -> bool {
        self.trackers.get(&id).is_some_and(|tracker| {
            let mode = tracker.mode;
            !(mode.broadcast || mode.opt_in && !tracker.caching || mode.opt_out && tracker.caching)
        })
    }

    fn remember(&mut self, id: SessionId, key: &[u8]) {
        let sessions = match self.table.get_mut(key) {
            Some(sessions) => sessions,
            None => self.table.entry(key.into()).or_default(),
        };
        if sessions.contains(&id) {
            return;
        }
        // Some of them are gone: no more than twice as many as there are stay.
        if sessions.len() > 2 * self.trackers.len() {
            let before = sessions.len();
            sessions.retain(|id| self.trackers.contains_key(id));
            self.items -= before - sessions.len();
        }
        sessions.push(id);
        self.items += 1;
    }

    /// What CLIENT LIST says: flags, and who gets the messages.
    pub fn shown(&self, id: SessionId) -> (&'static str, i64) {
        match self.trackers.get(&id) {
            None => ("", -1),
            Some(tracker) => {
                let flags = match (tracker.is_broken, tracker.mode.broadcast) {
                    (false, false) => "t",
                    (false, true) => "tB",
                    (true, false) => "tR",
                    (true, true) => "tRB",
                };
                (flags, tracker.redirect.as_ref().map_or(0, |(id, _)| *id as i64))
            }
        }
    }
}

/// One array of keys.
fn keys_bytes(keys: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = Writer::new(&mut bytes, Protocol::Resp2);
    writer.array(keys.len());
    keys.iter().for_each(|key| writer.bulk(key));
    bytes
}

impl Hub {
    /// The session that runs read these keys.
    pub fn keys_were_read<'a>(&mut self, id: SessionId, keys: impl Iterator<Item = &'a [u8]>) {
        for key in keys {
            self.tracking.remember(id, key);
        }
        self.limit_tracking(usize::MAX);
    }

    /// Lets keys go until as many are left as are allowed, at most `count` of them.
    pub fn limit_tracking(&mut self, count: usize) {
        let max = if self.tracking.keys_max == 0 { usize::MAX } else { self.tracking.keys_max };
        for _ in 0..count {
            if self.tracking.table.len() <= max {
                return;
            }
            let table = &self.tracking.table;
            let next = table.range(self.tracking.hand.clone()..).next().or_else(|| table.iter().next());
            let Some(key) = next.map(|(key, _)| key.clone()) else { return };
            self.tell_readers(&key, None);
            self.tracking.hand = key;
        }
    }

    /// A key changed, by the session that runs at this moment if there is one.
    pub fn key_changed(&mut self, key: &[u8]) {
        let by = self.running.map(|(id, ..)| id);
        if !self.tracking.prefixes.is_empty()
            && self.tracking.prefixes.keys().any(|prefix| key.starts_with(prefix))
        {
            self.tracking.changed.insert(key.into(), by);
        }
        self.tell_readers(key, by);
    }

    fn tell_readers(&mut self, key: &[u8], by: Option<SessionId>) {
        let Some(readers) = self.tracking.table.remove(key) else { return };
        self.tracking.items -= readers.len();
        let keys = keys_bytes(&[key]);
        for id in readers {
            let Some(tracker) = self.tracking.trackers.get(&id) else { continue };
            let is_own = tracker.mode.no_loop && by == Some(id);
            if !tracker.mode.broadcast && !is_own {
                self.push_invalidation(id, &keys);
            }
        }
    }

    /// Every key may have changed.
    pub fn all_keys_changed(&mut self) {
        self.tracking.table = BTreeMap::new();
        self.tracking.changed = BTreeMap::new();
        self.tracking.items = 0;
        let ids: Vec<_> = self.tracking.trackers.iter().map(|(&id, one)| (id, one.protocol)).collect();
        for (id, protocol) in ids {
            let null: &[u8] = if protocol == Protocol::Resp3 { b"_\r\n" } else { b"$-1\r\n" };
            self.push_invalidation(id, null);
        }
    }

    /// Tells those that follow prefixes what changed since the last time.
    pub fn broadcast_changes(&mut self) {
        if self.tracking.changed.is_empty() {
            return;
        }
        let changed = std::mem::take(&mut self.tracking.changed);
        let prefixes: Vec<(Key, Vec<SessionId>)> = self
            .tracking
            .prefixes
            .iter()
            .map(|(prefix, ids)| (prefix.clone(), ids.iter().copied().collect()))
            .collect();
        for (prefix, ids) in prefixes {
            let of_prefix = |key: &&Key| key.starts_with(&prefix);
            let all: Vec<&[u8]> = changed.keys().filter(of_prefix).map(|key| &**key).collect();
            if all.is_empty() {
                continue;
            }
            let for_all = keys_bytes(&all);
            for id in ids {
                let no_loop = self.tracking.trackers.get(&id).is_some_and(|tracker| tracker.mode.no_loop);
                let own = |key: &&[u8]| no_loop && changed.get(*key) == Some(&Some(id));
                if !all.iter().any(own) {
                    self.push_invalidation(id, &for_all);
                    continue;
                }
                let others: Vec<&[u8]> = all.iter().copied().filter(|key| !own(key)).collect();
                if !others.is_empty() {
                    self.push_invalidation(id, &keys_bytes(&others));
                }
            }
        }
    }

    /// `what` is the last part of the message, already RESP.
    fn push_invalidation(&mut self, id: SessionId, what: &[u8]) {
        let bytes_max = self.settings.output_bytes_max(super::Class::PubSub);
        let Some(tracker) = self.tracking.trackers.get_mut(&id) else { return };
        let (outbox, protocol, listens) = match &tracker.redirect {
            None => (tracker.outbox.clone(), tracker.protocol, false),
            Some((target, outbox)) => {
                let facts = match (self.sessions.get(target), self.running) {
                    (Some(Some(session)), _) => Some((session.protocol, session.is_subscribed())),
                    (Some(None), Some((running, protocol, listens))) if running == *target => {
                        Some((protocol, listens))
                    }
                    _ => None,
                };
                match facts {
                    Some((protocol, listens)) => (outbox.clone(), protocol, listens),
                    None => {
                        tracker.is_broken = true;
                        if tracker.protocol == Protocol::Resp3 {
                            let mut bytes = Vec::new();
                            let mut writer = Writer::new(&mut bytes, Protocol::Resp3);
                            writer.push(2);
                            writer.bulk(b"tracking-redir-broken");
                            writer.integer(*target as i64);
                            tracker.outbox.push(bytes.into(), bytes_max);
                        }
                        return;
                    }
                }
            }
        };
        let mut bytes = Vec::with_capacity(what.len() + 48);
        let mut writer = Writer::new(&mut bytes, protocol);
        if protocol == Protocol::Resp3 {
            writer.push(2);
            writer.bulk(b"invalidate");
        } else if listens {
            writer.push(3);
            writer.bulk(b"message");
            writer.bulk(CHANNEL);
        } else {
            return;
        }
        writer.raw(what);
        outbox.push(Bytes::from(bytes), bytes_max);
    }
}
