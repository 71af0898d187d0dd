//! One sentinel's own judgement of one instance: is it down, is something the matter.

use super::ledger::Group;
use super::registry::{Complaint, Instance};
use crate::stdx::time::{Duration, Instant};

/// Held to be down by this sentinel alone: no valid answer for longer than down-after.
pub fn down(instance: &Instance, group: &Group, now: Instant) -> bool {
    instance.silence(now) > group.settings.down_after()
}

/// Silent for longer than two answers should take: worth a closer look by everyone.
pub fn suspect(instance: &Instance, group: &Group, now: Instant) -> bool {
    instance.refused_since.is_some() || instance.silence(now) > suspicion(group)
}

/// It answers, and what it says is that it serves nobody: it is loading, busy, or cannot write to disk.
pub fn declines(instance: &Instance) -> bool {
    use Complaint::{Busy, CannotPersist, Loading};
    instance.up() && matches!(instance.complaint, Some(Loading | Busy | CannotPersist))
}

/// The silence from which on an instance is suspect.
pub fn suspicion(group: &Group) -> Duration {
    (group.settings.down_after() / 2).min(Duration::from_secs(2))
}

/// Certain to have heard from its master within down-after: while such a replica is in sight, the
/// master is out of reach, not down.
pub fn witness(instance: &Instance, group: &Group, now: Instant) -> bool {
    let follows = instance.current().is_some_and(|facts| facts.link_up && facts.follows(&group.master));
    follows && instance.streamed_at.is_some_and(|at| now.since(at) < group.settings.down_after())
}
