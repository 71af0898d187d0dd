//! Touch with the majority: who confirmed the leader, and when at the latest. A lease, an act and an
//! answer all rest on it.
//!
//! Promise: a moment is called confirmed only if a majority acknowledged a beat that was *sent* at
//! it, in this term; so no other leader can have been elected before it.

use crate::model::NodeId;
use crate::stdx::tally;
use crate::stdx::time::{Duration, Instant};
use std::collections::{BTreeSet, VecDeque};

/// Beats that may still be acknowledged; older ones tell nothing new.
const OPEN_MAX: usize = 64;

#[derive(Debug, Default)]
pub struct Beat {
    sequence: u64,
    open: VecDeque<Open>,
    /// As leader: when a majority last confirmed.
    confirmed_at: Option<Instant>,
    /// As follower: the leader's newest beat.
    heard: Option<Heard>,
}

#[derive(Debug)]
struct Open {
    sequence: u64,
    sent_at: Instant,
    from: BTreeSet<NodeId>,
}

#[derive(Clone, Copy, Debug)]
struct Heard {
    at: Instant,
    confirmed_at: Option<Instant>,
}

impl Beat {
    /// The term or the role changed: nothing of before counts.
    pub fn reset(&mut self) {
        self.open.clear();
        self.confirmed_at = None;
        self.heard = None;
    }

    /// A beat goes out now; its number. `voters` counts this node.
    pub fn send(&mut self, now: Instant, voters: usize) -> u64 {
        self.sequence += 1;
        if tally::majority(voters) <= 1 {
            self.confirmed_at = Some(now);
        }
        if self.open.len() == OPEN_MAX {
            self.open.pop_front();
        }
        self.open.push_back(Open { sequence: self.sequence, sent_at: now, from: BTreeSet::new() });
        self.sequence
    }

    /// A voter acknowledged this beat in the current term.
    pub fn acknowledged(&mut self, from: NodeId, sequence: u64, voters: usize) {
        let Some(at) = self.open.iter().position(|open| open.sequence == sequence) else { return };
        self.open[at].from.insert(from);
        if self.open[at].from.len() + 1 >= tally::majority(voters) {
            self.confirmed_at = self.confirmed_at.max(Some(self.open[at].sent_at));
            self.open.drain(..=at);
        }
    }

    /// The leader of the current term beat.
    pub fn heard(&mut self, now: Instant, confirmed_ms_ago: u64) {
        let age = Duration::from_millis(confirmed_ms_ago);
        // Before the count began when the clock is young: then it is as old as the clock.
        let confirmed_at = (confirmed_ms_ago != u64::MAX)
            .then(|| Instant::from_micros(now.since(Instant::ZERO + age).as_micros() as u64));
        self.heard = Some(Heard { at: now, confirmed_at });
    }

    pub fn confirmed_at(&self) -> Option<Instant> {
        self.confirmed_at
    }

    pub fn confirmed_ms_ago(&self, now: Instant) -> u64 {
        self.confirmed_at.map_or(u64::MAX, |at| now.since(at).as_millis() as u64)
    }

    /// As leader: a majority confirmed within `limit`.
    pub fn leads(&self, now: Instant, limit: Duration) -> bool {
        self.confirmed_at.is_some_and(|at| now.since(at) < limit)
    }

    /// As follower: the leader was heard, and was confirmed, within `limit`.
    pub fn follows(&self, now: Instant, limit: Duration) -> bool {
        self.heard.is_some_and(|heard| {
            now.since(heard.at) < limit && heard.confirmed_at.is_some_and(|at| now.since(at) < limit)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_millis(300);

    #[test]
    fn a_moment_is_confirmed_by_when_its_beat_was_sent() {
        let mut beat = Beat::default();
        let at = Instant::from_millis;
        let first = beat.send(at(100), 3);
        let second = beat.send(at(150), 3);
        assert!(!beat.leads(at(150), LIMIT));
        beat.acknowledged(2, second, 3);
        assert_eq!(beat.confirmed_at(), Some(at(150)));
        // A late answer to an older beat takes nothing back.
        beat.acknowledged(3, first, 3);
        assert_eq!(beat.confirmed_at(), Some(at(150)));
        assert!(beat.leads(at(449), LIMIT) && !beat.leads(at(450), LIMIT));
    }

    #[test]
    fn five_voters_need_two_others_and_one_needs_nobody() {
        let mut beat = Beat::default();
        let sequence = beat.send(Instant::from_millis(1), 5);
        beat.acknowledged(2, sequence, 5);
        beat.acknowledged(2, sequence, 5);
        assert_eq!(beat.confirmed_at(), None);
        beat.acknowledged(4, sequence, 5);
        assert!(beat.confirmed_at().is_some());

        let mut alone = Beat::default();
        alone.send(Instant::from_millis(7), 1);
        assert_eq!(alone.confirmed_at(), Some(Instant::from_millis(7)));
    }

    #[test]
    fn a_follower_is_as_fresh_as_its_leader() {
        let mut beat = Beat::default();
        let at = Instant::from_millis;
        beat.heard(at(1000), u64::MAX);
        assert!(!beat.follows(at(1000), LIMIT));
        beat.heard(at(1000), 250);
        assert!(beat.follows(at(1010), LIMIT));
        assert!(!beat.follows(at(1060), LIMIT), "the leader's own confirmation is too old");
    }
}
