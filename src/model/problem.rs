//! Which events are two ends of one problem: what begins with `+name` ends with `-name`. Receivers
//! that keep a problem open (PagerDuty, Alertmanager) close with the one what the other opened.

use crate::model::event::{CATALOGUE, EventKind, Severity};

/// Signs that are no problem: things that come and go.
const NOT_PROBLEMS: &[EventKind] =
    &[EventKind::Monitor, EventKind::Replica, EventKind::Sentinel, EventKind::RoleChange, EventKind::Pause];

/// Single moments that somebody should hear of even at night.
const ALARMS: &[EventKind] = &[
    EventKind::AbortNoGoodReplica,
    EventKind::AbortReplicaTimeout,
    EventKind::DataLossRisk,
    EventKind::FailoverEndTimeout,
    EventKind::RebootEmpty,
    EventKind::SentinelDisk,
    EventKind::WebhookDropped,
];

/// What a switch of the master also ends: the dead one is no longer the master.
const ENDED_BY_SWITCH: &[EventKind] =
    &[EventKind::ODown, EventKind::Unreachable, EventKind::LeaseLost, EventKind::AbortNoGoodReplica];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// This kind opens a problem of its own name.
    Begins,
    /// It closes the problem that this kind opened.
    Ends(EventKind),
    /// Nothing opens and nothing closes.
    Moment,
}

impl EventKind {
    pub fn turn(self) -> Turn {
        let (sign, rest) = self.name().split_at(1);
        let other = |sign: &str| {
            let partner =
                CATALOGUE.iter().find(|row| row.name.split_at(1) == (sign, rest)).map(|row| row.kind)?;
            let problem = if sign == "-" { self } else { partner };
            let real = problem.row().severity == Severity::Warning && !NOT_PROBLEMS.contains(&problem);
            real.then_some(partner)
        };
        match sign {
            "+" if other("-").is_some() => Turn::Begins,
            "-" => other("+").map_or(Turn::Moment, Turn::Ends),
            _ => Turn::Moment,
        }
    }

    /// Problems of the group that are over with this event, whether or not it is their own end.
    pub fn also_ends(self) -> &'static [EventKind] {
        if self == EventKind::SwitchMaster { ENDED_BY_SWITCH } else { &[] }
    }

    /// For receivers that wake people: a problem, its end, or a moment that should be heard of.
    pub fn alarms(self) -> bool {
        self.turn() != Turn::Moment || !self.also_ends().is_empty() || ALARMS.contains(&self)
    }

    /// The problem concerns one instance, not the group's mastership.
    pub fn per_instance(self) -> bool {
        matches!(self, EventKind::SDown | EventKind::SDownEnd)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_begins_with_plus_ends_with_minus_and_comings_and_goings_are_no_problem() {
        for (begins, ends) in [
            (EventKind::SDown, EventKind::SDownEnd),
            (EventKind::ODown, EventKind::ODownEnd),
            (EventKind::Unreachable, EventKind::UnreachableEnd),
            (EventKind::LeaseLost, EventKind::LeaseBack),
        ] {
            assert_eq!(begins.turn(), Turn::Begins);
            assert_eq!(ends.turn(), Turn::Ends(begins));
            assert!(begins.alarms() && ends.alarms());
        }
        for moment in [
            EventKind::Monitor,
            EventKind::MonitorEnd,
            EventKind::Replica,
            EventKind::ReplicaGone,
            EventKind::RoleMismatch,
            EventKind::TryFailover,
            EventKind::AbortNoGoodReplica,
        ] {
            assert_eq!(moment.turn(), Turn::Moment, "{}", moment.name());
        }
        assert!(EventKind::SwitchMaster.alarms() && !EventKind::TryFailover.alarms());
    }
}
