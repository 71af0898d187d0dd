//! What is agreed for later, and what stock servers were given: switchovers at a time, and
//! `min-replicas-to-write`.

use super::scribe::{Scribe, detail};
use super::{Group, Scheduled};
use crate::model::event::EventKind;
use crate::sentinel::decision::Decision;
use crate::sentinel::min_replicas::describe;
use crate::stdx::calendar::rfc3339;
use crate::stdx::time::Wall;

impl Group {
    pub(super) fn plan(&mut self, decision: &Decision, scribe: &mut Scribe<'_>) {
        match decision {
            Decision::Manage { instance, managed, full, .. } => {
                // A server is master or replica: no more of them than there are instances.
                if !self.knows(instance) {
                    return;
                }
                let known = self.managed.insert(instance.clone(), managed.clone());
                if known.is_none_or(|known| known.value != managed.value) && managed.value != managed.own {
                    let kind = if *full { EventKind::MinReplicas } else { EventKind::MinReplicasLow };
                    let event = scribe.instance(kind, self, instance, &describe(managed.value));
                    detail(event, "own", describe(managed.own));
                }
            }
            Decision::Unmanage { instance, .. } => {
                self.managed.remove(instance);
            }
            Decision::Schedule { at_ms, target, timeout_ms, .. } => {
                let scheduled = Scheduled { at_ms: *at_ms, target: target.clone(), timeout_ms: *timeout_ms };
                if self.scheduled.as_ref() != Some(&scheduled) {
                    self.scheduled = Some(scheduled);
                    let event =
                        scribe.master(EventKind::Scheduled, self, &self.master, &rfc3339(Wall(*at_ms)));
                    if let Some(target) = target {
                        detail(event, "to", target);
                    }
                }
            }
            Decision::Unschedule { at_ms, refused, .. } => {
                if self.scheduled.as_ref().is_none_or(|scheduled| scheduled.at_ms != *at_ms) {
                    return;
                }
                self.scheduled = None;
                let at = rfc3339(Wall(*at_ms));
                match refused {
                    None => {
                        scribe.master(EventKind::ScheduledEnd, self, &self.master, &at);
                    }
                    Some(reason) => {
                        let event = scribe.master(EventKind::ScheduledRefused, self, &self.master, &at);
                        detail(event, "reason", reason);
                    }
                }
            }
            // Applied in `apply`.
            _ => {}
        }
    }
}
