//! What the fleet holds of a group's master: reports tallied against the quorum, by kind of
//! evidence. Silence needs down-after; a refusal needs only the crash grace, but the replicas must
//! have lost the master too; and while a replica still hears from it, it is out of reach, not down.

use super::ledger::Group;
use super::node::Peer;
use super::peer::View;
use super::registry::{Instance, Registry};
use super::subjective;
use crate::model::{Address, NodeId};
use crate::stdx::time::{Duration, Instant};
use std::collections::BTreeMap;

/// Reports older than this are none.
const REPORT_AGE_MAX: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Well,
    /// Not as it should be, and not enough to say more.
    Suspect,
    /// Out of reach of the sentinels, while replicas still stream from it.
    Unreachable,
    /// Silent for a quorum.
    Down {
        votes: usize,
    },
    /// Refused at a quorum, lost by the replicas.
    Crashed {
        votes: usize,
    },
}

/// Fresh reports of other sentinels about one instance.
fn reports<'a>(
    peers: &'a BTreeMap<NodeId, Peer>,
    group: &'a Group,
    instance: &'a Address,
    now: Instant,
) -> impl Iterator<Item = &'a View> {
    peers
        .values()
        .filter(|peer| !peer.learner)
        .filter(move |peer| peer.views_at.is_some_and(|at| now.since(at) < REPORT_AGE_MAX))
        .flat_map(|peer| &peer.views)
        .filter(move |view| view.instance == *instance && view.group == group.name)
}

/// The other sentinels whose fresh report says that this instance is down or refused.
pub fn accusers(
    peers: &BTreeMap<NodeId, Peer>,
    group: &Group,
    instance: &Address,
    now: Instant,
) -> Vec<NodeId> {
    let against = |view: &View| {
        view.instance == *instance && view.group == group.name && (view.sdown || view.refused_ms.is_some())
    };
    peers
        .iter()
        .filter(|(_, peer)| peer.views_at.is_some_and(|at| now.since(at) < REPORT_AGE_MAX))
        .filter(|(_, peer)| peer.views.iter().any(against))
        .map(|(id, _)| *id)
        .collect()
}

pub fn judge(group: &Group, registry: &Registry, peers: &BTreeMap<NodeId, Peer>, now: Instant) -> Verdict {
    let Some(master) = registry.get(&group.master) else { return Verdict::Well };
    if !subjective::suspect(master, group, now) && !subjective::down(master, group, now) {
        return Verdict::Well;
    }
    let voters = peers.values().filter(|peer| !peer.learner).count() + 1;
    let needed = group.settings.quorum.clamp(1, voters);
    let replicas = || group.replicas.iter().filter_map(|a| registry.get(a).map(|instance| (a, instance)));
    if let Some(since) = master.refused_since {
        let grace = group.settings.crash_grace();
        let enough = |ms: Option<u64>| ms.is_some_and(|ms| Duration::from_millis(ms) >= grace);
        let others = reports(peers, group, &group.master, now).filter(|view| enough(view.refused_ms)).count();
        let votes = others + usize::from(now.since(since) >= grace);
        let lost = replicas().all(|(address, replica)| {
            let reported =
                reports(peers, group, address, now).all(|view| !still_streams(view, now.since(since)));
            reported && lost_master(replica, group, since, now)
        });
        if !grace.is_zero() && now.since(since) >= grace && votes >= needed && lost {
            return Verdict::Crashed { votes };
        }
    }
    if !subjective::down(master, group, now) {
        return Verdict::Suspect;
    }
    let votes = 1 + reports(peers, group, &group.master, now).filter(|view| view.sdown).count();
    if votes < needed {
        return Verdict::Suspect;
    }
    let down_after_ms = group.settings.down_after_ms;
    let seen_by_others = group.replicas.iter().any(|replica| {
        reports(peers, group, replica, now)
            .any(|v| v.link_up == Some(true) && v.streamed_ms.is_some_and(|ms| ms < down_after_ms))
    });
    // Out of reach is who cannot be asked. One that answers, and says that it serves nobody, is not.
    let witnessed = || replicas().any(|(_, replica)| subjective::witness(replica, group, now));
    if !subjective::declines(master) && (seen_by_others || witnessed()) {
        return Verdict::Unreachable;
    }
    Verdict::Down { votes }
}

/// A replica out of reach, or one that says since the refusal that it lost its master too.
fn lost_master(replica: &Instance, group: &Group, since: Instant, now: Instant) -> bool {
    if !replica.up() || subjective::suspect(replica, group, now) {
        return true;
    }
    replica.since(since).is_some_and(|facts| !facts.link_up || !facts.follows(&group.master))
}

/// Received something well after the refusal began.
fn still_streams(view: &View, refused: Duration) -> bool {
    let slack = Duration::from_millis(50);
    view.link_up == Some(true)
        && view.streamed_ms.is_some_and(|ms| Duration::from_millis(ms) + slack < refused)
}

#[cfg(test)]
#[path = "objective_tests.rs"]
mod tests;
