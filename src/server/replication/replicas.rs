//! All replicas of this server: who they are, what they have, what they still get.

use super::freshness::Freshness;
use super::image::Image;
use super::replica::{OutputLimit, Phase, Replica};
use crate::model::{Address, Epoch, Offset};
use crate::session::{Outbox, SessionId};
use crate::stdx::time::{Duration, Instant};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::Arc;

#[derive(Debug, Default)]
pub struct Replicas(BTreeMap<SessionId, Replica>);

impl Replicas {
    /// The entry of a session; made when it first speaks as a replica.
    pub fn entry(
        &mut self,
        session: SessionId,
        outbox: &Arc<Outbox>,
        came_from: Address,
        now: Instant,
    ) -> &mut Replica {
        self.0.entry(session).or_insert_with(|| Replica::new(session, outbox.clone(), came_from, now))
    }

    pub fn get_mut(&mut self, session: SessionId) -> Option<&mut Replica> {
        self.0.get_mut(&session)
    }

    /// Its connection is gone.
    pub fn remove(&mut self, session: SessionId) -> Option<Replica> {
        self.0.remove(&session)
    }

    /// Those that asked for a sync, in order of arrival.
    pub fn attached(&self) -> impl Iterator<Item = &Replica> {
        self.0.values().filter(|replica| replica.is_attached())
    }

    pub fn online(&self) -> impl Iterator<Item = &Replica> {
        self.0.values().filter(|replica| replica.is_online())
    }

    /// Sends new stream bytes to all.
    pub fn stream(&mut self, bytes: &Bytes, limit: &OutputLimit) {
        for replica in self.0.values_mut() {
            replica.stream(bytes, limit);
        }
    }

    pub fn acknowledge(
        &mut self,
        session: SessionId,
        now: Instant,
        offset: Offset,
        freshness: &Freshness,
        limit: &OutputLimit,
    ) {
        let Some(replica) = self.0.get_mut(&session) else { return };
        replica.heard_at = now;
        replica.acked = replica.acked.max(offset);
        replica.fresh_at = replica.fresh_at.max(freshness.of(replica.acked));
        if replica.phase == Phase::Loading {
            replica.go_online(limit);
        }
    }

    /// How many have the first `offset` bytes. With `members`, only those in the set that showed
    /// this epoch: an acknowledgement of an older reign proves nothing about the next failover.
    pub fn count_acknowledged(&self, offset: Offset, members: Option<(&[Address], Epoch)>) -> usize {
        self.online()
            .filter(|replica| replica.acked >= offset)
            .filter(|replica| {
                members
                    .is_none_or(|(set, epoch)| replica.epoch == Some(epoch) && set.contains(&replica.address))
            })
            .count()
    }

    /// How many have the first `offset` bytes on their disks, of the same ones.
    pub fn count_synced(&self, offset: Offset, members: Option<(&[Address], Epoch)>) -> usize {
        let is_member = |replica: &&Replica| {
            members.is_none_or(|(set, epoch)| replica.epoch == Some(epoch) && set.contains(&replica.address))
        };
        let synced = |replica: &&Replica| replica.synced.is_some_and(|synced| synced >= offset);
        self.online().filter(synced).filter(is_member).count()
    }

    /// What a replica says of its disk.
    pub fn synced(&mut self, session: SessionId, offset: Offset) {
        if let Some(replica) = self.0.get_mut(&session) {
            replica.synced = Some(offset);
        }
    }

    /// Until when each member of the set that showed `epoch` certainly followed, latest first.
    pub fn fresh_members(&self, set: &[Address], epoch: Epoch) -> Vec<Instant> {
        let mut moments = Vec::with_capacity(set.len());
        for member in set {
            // One address counts once, however many connections claim it.
            let freshest = self
                .online()
                .filter(|replica| replica.epoch == Some(epoch) && replica.address == *member)
                .filter_map(|replica| replica.fresh_at)
                .max();
            moments.extend(freshest);
        }
        moments.sort_unstable_by(|a, b| b.cmp(a));
        moments
    }

    /// For `min-replicas-to-write`: online and heard from within `lag_max`.
    pub fn count_good(&self, now: Instant, lag_max: Duration) -> usize {
        self.online().filter(|replica| now - replica.heard_at <= lag_max).count()
    }

    pub fn is_any_waiting(&self) -> bool {
        self.0.values().any(|replica| replica.phase == Phase::WaitingImage && !replica.is_closed)
    }

    /// Whether those that wait for an image have gathered long enough.
    pub fn have_gathered(&self, now: Instant, delay: Duration, enough: usize) -> bool {
        let waiting = || self.0.values().filter(|r| r.phase == Phase::WaitingImage && !r.is_closed);
        let full = enough > 0 && waiting().count() >= enough;
        full || waiting().any(|replica| now.since(replica.asked_at) >= delay)
    }

    /// Gives the image to those who read it, and drops what all of them have.
    pub fn serve_image(&mut self, image: &mut Image, limit: &OutputLimit) {
        let mut slowest = None;
        for replica in self.0.values_mut().filter(|replica| !replica.is_closed) {
            image.serve(replica, limit);
            if let Phase::Image { next_chunk } = replica.phase {
                slowest = Some(slowest.map_or(next_chunk, |low: u64| low.min(next_chunk)));
            }
        }
        image.trim(slowest);
    }

    pub fn is_any_reading_image(&self) -> bool {
        self.0.values().any(|replica| matches!(replica.phase, Phase::Image { .. }) && !replica.is_closed)
    }

    /// Somebody must be told the image's length before its first byte.
    pub fn is_whole_image_needed(&self) -> bool {
        self.0.values().any(|replica| {
            matches!(replica.phase, Phase::Image { .. }) && !replica.takes_eof_mark && !replica.is_closed
        })
    }

    /// Every waiting replica joins an image that begins now (or is still whole).
    pub fn join_image(&mut self, announce: &Bytes, limit: &OutputLimit) {
        for replica in self.0.values_mut().filter(|replica| !replica.is_closed) {
            if replica.phase == Phase::WaitingImage {
                if !replica.is_of_old {
                    replica.send(announce.clone(), limit);
                }
                replica.phase = Phase::Image { next_chunk: 0 };
            }
        }
    }

    /// A sign of life for those that wait for an image: Redis ignores empty lines there.
    pub fn keep_waiting_alive(&mut self, limit: &OutputLimit) {
        for replica in self.0.values_mut().filter(|replica| !replica.is_closed) {
            if replica.phase == Phase::WaitingImage {
                replica.send(Bytes::from_static(b"\n"), limit);
            }
        }
    }

    /// Cuts off who was silent for too long or does not read. Who loads an image may be silent.
    pub fn check_limits(&mut self, now: Instant, timeout: Duration, limit: &OutputLimit) -> Vec<Cut> {
        let mut cuts = Vec::new();
        for replica in self.0.values_mut().filter(|replica| replica.is_attached()) {
            let silent = replica.is_online() && now - replica.heard_at > timeout;
            if silent {
                replica.close();
            }
            let slow = !silent && replica.check_soft_limit(now, limit);
            if silent || slow {
                let why = if silent { "was silent for repl-timeout" } else { "does not read fast enough" };
                cuts.push(Cut { address: replica.address.clone(), why });
            }
        }
        cuts
    }

    /// Cuts off those that `which` picks.
    pub fn close_where(&mut self, mut which: impl FnMut(&Replica) -> bool) {
        for replica in self.0.values_mut() {
            if which(replica) {
                replica.close();
            }
        }
    }

    pub fn is_empty(&self) -> bool {
        self.attached().next().is_none()
    }
}

/// A replica that was cut off, for the log.
#[derive(Debug, PartialEq, Eq)]
pub struct Cut {
    pub address: Address,
    pub why: &'static str,
}
