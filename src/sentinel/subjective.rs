//! One sentinel's own judgement of one instance: is it down, is something the matter.

use super::ledger::Group;
use super::registry::Instance;
use crate::stdx::time::{Duration, Instant};

/// Held to be down by this sentinel alone: no valid answer for longer than down-after.
pub fn down(instance: &Instance, group: &Group, now: Instant) -> bool {
    instance.silence(now) > group.settings.down_after()
}

/// Silent for longer than two answers should take: worth a closer look by everyone.
pub fn suspect(instance: &Instance, group: &Group, now: Instant) -> bool {
    let limit = (group.settings.down_after() / 2).min(Duration::from_secs(2));
    instance.refused_since.is_some() || instance.silence(now) > limit
}

/// Certain to have heard from its master within down-after: while such a replica is in sight, the
/// master is out of reach, not down.
pub fn witness(instance: &Instance, group: &Group, now: Instant) -> bool {
    let follows = instance.current().is_some_and(|facts| facts.link_up && facts.follows(&group.master));
    follows && instance.streamed_at.is_some_and(|at| now.since(at) < group.settings.down_after())
}
