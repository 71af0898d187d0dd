//! Touch with the majority: who confirmed the leader, and when at the latest. A lease, an act and an
//! answer all rest on it.
//!
//! Promise: a moment is called confirmed only if a majority acknowledged a beat that was *sent* at
//! it, in this term; so no other leader can have been elected before it.

use crate::model::NodeId;
use crate::stdx::time::{Duration, Instant};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Beats that may still be acknowledged; older ones tell nothing new.
const OPEN_MAX: usize = 64;
/// Beats of the leader that are remembered: more than are sent within any freshness limit.
const HEARD_MAX: usize = 64;

#[derive(Debug, Default)]
pub struct Beat {
    sequence: u64,
    open: VecDeque<Open>,
    /// As leader: when a majority last confirmed.
    confirmed_at: Option<Instant>,
    /// As leader: each follower's newest stamp, to be echoed.
    stamps: BTreeMap<NodeId, u64>,
    /// As follower: beats of the leader, oldest first; all but the first say more than was applied.
    heard: VecDeque<Heard>,
}

#[derive(Debug)]
struct Open {
    sequence: u64,
    sent_at: Instant,
    confirmed: bool,
    from: BTreeSet<NodeId>,
}

#[derive(Clone, Copy, Debug)]
struct Heard {
    /// On this node's clock: the majority confirmed the leader at this moment or later.
    confirmed_at: Instant,
    /// What the leader had agreed on.
    commit: u64,
}

impl Beat {
    /// The term or the role changed: nothing of before counts.
    pub fn reset(&mut self) {
        self.open.clear();
        self.confirmed_at = None;
        self.stamps.clear();
        self.heard.clear();
    }

    /// A beat goes out now; its number. `alone`: this node by itself is a majority.
    pub fn send(&mut self, now: Instant, alone: bool) -> u64 {
        self.sequence += 1;
        if alone {
            self.confirmed_at = Some(now);
        }
        if self.open.len() == OPEN_MAX {
            self.open.pop_front();
        }
        self.open.push_back(Open {
            sequence: self.sequence,
            sent_at: now,
            confirmed: false,
            from: BTreeSet::new(),
        });
        self.sequence
    }

    /// A member acknowledged this beat in the current term, at `stamp_us` on its own clock: when the beat
    /// was sent, or `None` when that is too long ago to mean anything. `is_majority` says whether these
    /// together with this node are one, of the members as they are now.
    pub fn acknowledged(
        &mut self,
        from: NodeId,
        sequence: u64,
        stamp_us: u64,
        is_majority: impl Fn(&BTreeSet<NodeId>) -> bool,
    ) -> Option<Instant> {
        let stamp = self.stamps.entry(from).or_default();
        *stamp = (*stamp).max(stamp_us);
        let open = self.open.iter_mut().find(|open| open.sequence == sequence)?;
        open.from.insert(from);
        if !open.confirmed && is_majority(&open.from) {
            open.confirmed = true;
            self.confirmed_at = self.confirmed_at.max(Some(open.sent_at));
        }
        Some(open.sent_at)
    }

    /// What to echo to this follower.
    pub fn stamp_of(&self, follower: NodeId) -> u64 {
        self.stamps.get(&follower).copied().unwrap_or(0)
    }

    /// The leader of the current term beat, after it had seen this node's stamp `echo_us` (0: none).
    pub fn heard(&mut self, echo_us: u64, confirmed_ms_ago: u64, commit: u64) {
        if echo_us == 0 || confirmed_ms_ago == u64::MAX {
            return;
        }
        let age_us = confirmed_ms_ago.saturating_mul(1000);
        let confirmed_at = Instant::from_micros(echo_us.saturating_sub(age_us));
        if self.heard.len() == HEARD_MAX {
            // Keeps the first, which may be the only one that this node has caught up with.
            self.heard.remove(1);
        }
        self.heard.push_back(Heard { confirmed_at, commit });
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

    /// As follower: all that the leader had agreed on at a moment within `limit`, when a majority
    /// confirmed it, is applied here. `applied` is this node's own last index.
    pub fn follows(&self, now: Instant, limit: Duration, applied: u64) -> bool {
        let caught_up = self.heard.iter().rev().find(|heard| heard.commit <= applied);
        caught_up.is_some_and(|heard| now.since(heard.confirmed_at) < limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_millis(300);

    /// The leader is one of `voters` and not among those who acknowledge.
    fn of(voters: usize) -> impl Fn(&BTreeSet<NodeId>) -> bool {
        move |from| from.len() + 1 >= crate::stdx::tally::majority(voters)
    }

    #[test]
    fn a_moment_is_confirmed_by_when_its_beat_was_sent() {
        let mut beat = Beat::default();
        let at = Instant::from_millis;
        let first = beat.send(at(100), false);
        let second = beat.send(at(150), false);
        assert!(!beat.leads(at(150), LIMIT));
        assert_eq!(beat.acknowledged(2, second, 7, of(3)), Some(at(150)));
        assert_eq!(beat.stamp_of(2), 7);
        assert_eq!(beat.confirmed_at(), Some(at(150)));
        // A late answer to an older beat takes nothing back.
        beat.acknowledged(3, first, 7, of(3));
        assert_eq!(beat.confirmed_at(), Some(at(150)));
        assert!(beat.leads(at(449), LIMIT) && !beat.leads(at(450), LIMIT));
    }

    #[test]
    fn five_voters_need_two_others_and_one_needs_nobody() {
        let mut beat = Beat::default();
        let sequence = beat.send(Instant::from_millis(1), false);
        beat.acknowledged(2, sequence, 1, of(5));
        beat.acknowledged(2, sequence, 1, of(5));
        assert_eq!(beat.confirmed_at(), None);
        beat.acknowledged(4, sequence, 1, of(5));
        assert!(beat.confirmed_at().is_some());

        let mut alone = Beat::default();
        alone.send(Instant::from_millis(7), true);
        assert_eq!(alone.confirmed_at(), Some(Instant::from_millis(7)));
    }

    #[test]
    fn a_follower_is_as_fresh_as_its_leader() {
        let mut beat = Beat::default();
        let at = Instant::from_millis;
        beat.heard(1_000_000, u64::MAX, 5);
        assert!(!beat.follows(at(1000), LIMIT, 5));
        beat.heard(1_000_000, 250, 5);
        assert!(beat.follows(at(1010), LIMIT, 5));
        assert!(!beat.follows(at(1060), LIMIT, 5), "the leader's own confirmation is too old");
    }

    /// Found by the simulator: a sentinel that came back heard the leader at once, and answered from
    /// the log of before.
    #[test]
    fn a_follower_that_is_behind_is_not_fresh() {
        let mut beat = Beat::default();
        let at = Instant::from_millis;
        beat.heard(1_000_000, 10, 9);
        assert!(!beat.follows(at(1001), LIMIT, 8));
        assert!(beat.follows(at(1001), LIMIT, 9));
        // What is agreed right now does not silence a follower that had all a moment ago.
        beat.heard(1_050_000, 10, 10);
        assert!(beat.follows(at(1051), LIMIT, 9));
        assert!(!beat.follows(at(1300), LIMIT, 9));
    }

    /// A beat that lay in the socket of a stopped process is as old as the stamp that it echoes.
    #[test]
    fn a_late_beat_is_an_old_beat() {
        let mut beat = Beat::default();
        beat.heard(1_000_000, 0, 1);
        assert!(!beat.follows(Instant::from_millis(9000), LIMIT, 1));
        beat.heard(0, 0, 1);
        assert!(!beat.follows(Instant::from_millis(9000), LIMIT, 1));
    }
}
