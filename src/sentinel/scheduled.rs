//! Switchovers that are to happen at a time: agreed beforehand, begun once by whoever leads then,
//! refused aloud when the group is not fit for it at that moment.
//!
//! Promise: beginning one and striking it off the list is one entry of the log, so it happens once
//! however often the leader changes. Reads the wall clock, because people named a time on it.

use super::decision::{Cause, Decision};
use super::lead::Work;
use super::objective::Verdict;
use crate::model::Address;
use crate::stdx::time::{Duration, Instant};

/// One that could not begin within this of its time is not begun later: nobody expects it then.
const LATE_MAX_MS: u64 = 60_000;
/// What was seen of a replica within this counts as seen now.
const SEEN_WITHIN: Duration = Duration::from_secs(3);

impl Work<'_> {
    pub(super) fn keep_schedule(&mut self, verdict: Verdict) {
        let Some(scheduled) = &self.group.scheduled else { return };
        let now_ms = self.wall_ms;
        if now_ms < scheduled.at_ms {
            // The wall clock may jump, so no further than the next look.
            let wait = Duration::from_millis(scheduled.at_ms - now_ms);
            self.next = self.next.min(self.now + wait);
            return;
        }
        let late_ms = now_ms - scheduled.at_ms;
        let obstacle = if late_ms > LATE_MAX_MS {
            Some(format!("no sentinel led at that time; {} s later it is not done", late_ms / 1000))
        } else {
            self.not_fit_for_switchover(verdict, scheduled.target.as_ref())
        };
        let (group, at_ms) = (self.group.name.clone(), scheduled.at_ms);
        match obstacle {
            Some(reason) => self.decisions.push(Decision::Unschedule { group, at_ms, refused: Some(reason) }),
            None => {
                let begin = Decision::Begin {
                    group: group.clone(),
                    after: self.group.last_epoch,
                    cause: Cause::Manual,
                    target: scheduled.target.clone(),
                    timeout_ms: scheduled.timeout_ms,
                };
                self.decisions.push(Decision::Unschedule { group, at_ms, refused: None });
                self.decisions.push(begin);
            }
        }
    }

    /// Why no switchover can be begun now.
    fn not_fit_for_switchover(&self, verdict: Verdict, target: Option<&Address>) -> Option<String> {
        if self.group.failover.is_some() || self.group.confirm {
            return Some("a failover was under way".to_owned());
        }
        if verdict != Verdict::Well || !self.master_is_sound() {
            return Some(format!("the master was not well ({})", self.own.situation.name()));
        }
        let earlier = Instant::from_micros(self.now.since(Instant::ZERO + SEEN_WITHIN).as_micros() as u64);
        let mut obstacles = Vec::new();
        for address in self.group.replicas.iter().filter(|a| target.is_none_or(|target| target == *a)) {
            match self.fitness(address, earlier) {
                Ok(_) => return None,
                Err(obstacle) => obstacles.push(format!("{address} {obstacle}")),
            }
        }
        Some(match (obstacles.is_empty(), target) {
            (false, _) => format!("no replica could take over: {}", obstacles.join("; ")),
            (true, Some(target)) => format!("{target} is no replica any more"),
            (true, None) => "there was no replica".to_owned(),
        })
    }
}
