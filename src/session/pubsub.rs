//! Who listens to what. Messages are encoded once for each protocol and pushed to outboxes.

use super::{Outbox, Session, SessionId};
use crate::resp::{Protocol, Writer};
use crate::stdx::glob;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::Arc;

type Name = Box<[u8]>;
type Listeners = BTreeMap<SessionId, Listener>;

#[derive(Clone, Debug)]
struct Listener {
    outbox: Arc<Outbox>,
    protocol: Protocol,
}

#[derive(Debug, Default)]
pub struct PubSub {
    channels: BTreeMap<Name, Listeners>,
    patterns: BTreeMap<Name, Listeners>,
    shards: BTreeMap<Name, Listeners>,
}

impl PubSub {
    pub fn subscribe(&mut self, session: &mut Session, channel: &[u8]) {
        add(&mut self.channels, session, channel);
        session.channels.insert(channel.into());
    }

    pub fn subscribe_pattern(&mut self, session: &mut Session, pattern: &[u8]) {
        add(&mut self.patterns, session, pattern);
        session.patterns.insert(pattern.into());
    }

    pub fn unsubscribe(&mut self, session: &mut Session, channel: &[u8]) {
        drop_one(&mut self.channels, session.id, channel);
        session.channels.remove(channel);
    }

    pub fn unsubscribe_pattern(&mut self, session: &mut Session, pattern: &[u8]) {
        drop_one(&mut self.patterns, session.id, pattern);
        session.patterns.remove(pattern);
    }

    pub fn subscribe_shard(&mut self, session: &mut Session, channel: &[u8]) {
        add(&mut self.shards, session, channel);
        session.shard_channels.insert(channel.into());
    }

    pub fn unsubscribe_shard(&mut self, session: &mut Session, channel: &[u8]) {
        drop_one(&mut self.shards, session.id, channel);
        session.shard_channels.remove(channel);
    }

    /// As [`PubSub::publish`], to those that listen with SSUBSCRIBE.
    pub fn publish_shard(&self, channel: &[u8], message: &[u8], bytes_max: usize) -> usize {
        let listeners = self.shards.get(channel);
        listeners.map_or(0, |all| send(all, &[b"smessage", channel, message], bytes_max))
    }

    /// Sends a message; how many got it. `bytes_max`: what may wait for a listener.
    pub fn publish(&self, channel: &[u8], message: &[u8], bytes_max: usize) -> usize {
        let mut count = 0;
        if let Some(listeners) = self.channels.get(channel) {
            count += send(listeners, &[b"message", channel, message], bytes_max);
        }
        for (pattern, listeners) in &self.patterns {
            if glob::matches(pattern, channel) {
                count += send(listeners, &[b"pmessage", pattern, channel, message], bytes_max);
            }
        }
        count
    }

    /// Channels with a listener, in order, that match.
    pub fn channels(&self, pattern: Option<&[u8]>) -> impl Iterator<Item = &[u8]> {
        let matches = move |name: &&[u8]| pattern.is_none_or(|pattern| glob::matches(pattern, name));
        self.channels.keys().map(|name| &**name).filter(matches)
    }

    pub fn shard_channels(&self, pattern: Option<&[u8]>) -> impl Iterator<Item = &[u8]> {
        let matches = move |name: &&[u8]| pattern.is_none_or(|pattern| glob::matches(pattern, name));
        self.shards.keys().map(|name| &**name).filter(matches)
    }

    pub fn shard_listeners(&self, channel: &[u8]) -> usize {
        self.shards.get(channel).map_or(0, BTreeMap::len)
    }

    pub fn shard_channel_count(&self) -> usize {
        self.shards.len()
    }

    pub fn listeners(&self, channel: &[u8]) -> usize {
        self.channels.get(channel).map_or(0, BTreeMap::len)
    }

    pub fn channel_count(&self) -> usize {
        self.channels.len()
    }

    pub fn pattern_count(&self) -> usize {
        self.patterns.len()
    }

    /// HELLO changed how this session is to be spoken to.
    pub fn set_protocol(&mut self, session: &Session) {
        let mine = |(names, set): (&std::collections::BTreeSet<Name>, &mut BTreeMap<Name, Listeners>)| {
            for name in names {
                if let Some(listener) = set.get_mut(name).and_then(|all| all.get_mut(&session.id)) {
                    listener.protocol = session.protocol;
                }
            }
        };
        mine((&session.channels, &mut self.channels));
        mine((&session.patterns, &mut self.patterns));
        mine((&session.shard_channels, &mut self.shards));
    }

    pub fn forget(&mut self, session: &Session) {
        for channel in &session.channels {
            drop_one(&mut self.channels, session.id, channel);
        }
        for pattern in &session.patterns {
            drop_one(&mut self.patterns, session.id, pattern);
        }
        for channel in &session.shard_channels {
            drop_one(&mut self.shards, session.id, channel);
        }
    }
}

fn add(set: &mut BTreeMap<Name, Listeners>, session: &Session, name: &[u8]) {
    let listener = Listener { outbox: session.outbox.clone(), protocol: session.protocol };
    set.entry(name.into()).or_default().insert(session.id, listener);
}

fn drop_one(set: &mut BTreeMap<Name, Listeners>, id: SessionId, name: &[u8]) {
    if let Some(listeners) = set.get_mut(name) {
        listeners.remove(&id);
        if listeners.is_empty() {
            set.remove(name);
        }
    }
}

fn send(listeners: &Listeners, words: &[&[u8]], bytes_max: usize) -> usize {
    let encode = |protocol| {
        let mut out = Vec::new();
        let mut writer = Writer::new(&mut out, protocol);
        writer.push(words.len());
        words.iter().for_each(|word| writer.bulk(word));
        Bytes::from(out)
    };
    let (mut resp2, mut resp3) = (None, None);
    for listener in listeners.values() {
        let shape = if listener.protocol == Protocol::Resp3 { &mut resp3 } else { &mut resp2 };
        let bytes = shape.get_or_insert_with(|| encode(listener.protocol)).clone();
        listener.outbox.push(bytes, bytes_max);
    }
    listeners.len()
}
