//! Known bugs that tests may plant, so that the simulator's checkers are seen to catch them. All are off in
//! every other build: no configuration and no command reaches them.

/// Each is one way to break a promise that the code beside it keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bugs {
    /// A failover acts under the epoch of the last one.
    pub epoch_reused: bool,
    /// The successor is chosen by what INFO said before the freeze.
    pub offsets_before_freeze: bool,
    /// The old master's own offset competes.
    pub old_master_competes: bool,
    /// A successor is promoted while the old master may still be vouched for.
    pub lease_not_awaited: bool,
    /// Any frozen replica is enough to promote.
    pub rule_ignored: bool,
    /// The one that holds least is chosen.
    pub least_is_chosen: bool,
    /// A replica that never completed a sync may be chosen.
    pub unsynced_is_eligible: bool,
    /// Data of any history passes for the group's.
    pub any_history_counts: bool,
    /// A replica that restarted counts for what it was before.
    pub restarted_members_count: bool,
    /// A lease is as long as ever, however long ago the majority confirmed the leader.
    pub lease_never_shortened: bool,
    /// Answers are given without touch with the majority.
    pub stale_answers: bool,
    /// A follower that has not applied all answers.
    pub behind_is_fresh: bool,
    /// A leader acts without touch with the majority.
    pub acts_unconfirmed: bool,
    /// A new sync set replaces the old one before anybody took it.
    pub sets_settle_at_once: bool,
    /// A restarted master keeps its role, whatever it and the others hold.
    pub restarted_master_kept: bool,
    /// What replicas still hear from their master does not count.
    pub witnesses_ignored: bool,
    /// One sentinel's word is enough.
    pub one_vote_is_enough: bool,
    /// The successor is told before it is agreed who that is.
    pub told_before_agreed: bool,
    /// Whoever takes itself for a master, or for nothing, is left alone.
    pub strays_left_alone: bool,
    /// A stamp counts whosever it is.
    pub any_stamp_counts: bool,
    /// A new leader does not wait for its predecessor's leases.
    pub old_leases_forgotten: bool,
    /// A new leader gives the last event's number again.
    pub event_number_reused: bool,
    /// What is agreed is dated by each node's own clock.
    pub dated_by_own_clock: bool,
    /// A planned switchover waits for no replica to catch up.
    pub handover_not_awaited: bool,
    /// A planned switchover leaves the old master as it is.
    pub handover_not_fenced: bool,
}
