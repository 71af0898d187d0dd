//! Drills as agreed: one lease, bounded results, and an event for each turn of fortune.

use super::Ledger;
use super::group::Group;
use super::scribe::{Scribe, detail};
use crate::model::Address;
use crate::model::drill::{Scorecard, Verdict};
use crate::model::event::EventKind;
use crate::sentinel::drill::{CARDS_MAX, Considered, Drill, DrillDecision};
use crate::sentinel::settings::Settings;

impl Ledger {
    pub(super) fn decide_drill(&mut self, decision: &DrillDecision, scribe: &mut Scribe<'_>) {
        match decision {
            DrillDecision::Begin { plan, due_ms } => {
                if let Some(due_ms) = due_ms {
                    self.consider(&plan.name, *due_ms, "");
                }
                let Some(group) = self.groups.get(&plan.group) else { return };
                if self.drills.running.is_some() {
                    return;
                }
                self.drills.last_id += 1;
                let id = self.drills.last_id;
                let (started_ms, master) = (scribe.at_ms, group.master.clone());
                let extra = format!("drill {id} {}", plan.scenario.name());
                let event = scribe.master(EventKind::DrillStart, group, &master, &extra);
                detail(event, "drill", id);
                detail(event, "scenario", plan.scenario.name());
                if !plan.name.is_empty() {
                    detail(event, "schedule", &plan.name);
                }
                self.drills.running = Some(Drill { id, started_ms, master, plan: plan.clone() });
            }
            DrillDecision::Skip { name, group, due_ms, reason } => {
                if self.drills.considered.get(name).is_some_and(|known| known.due_ms >= *due_ms) {
                    return;
                }
                self.consider(name, *due_ms, reason);
                let nowhere = nowhere(group);
                let about = self.groups.get(group).unwrap_or(&nowhere);
                let master = about.master.clone();
                let event =
                    scribe.master(EventKind::DrillSkipped, about, &master, &format!("drill {name} {reason}"));
                detail(event, "schedule", name);
                detail(event, "reason", reason);
            }
            DrillDecision::End { card } => self.end_drill(card, scribe),
            // Its conductor hears of it when it is applied there.
            DrillDecision::Abort { .. } => {}
        }
    }

    fn consider(&mut self, name: &str, due_ms: u64, skipped: &str) {
        let considered = Considered { due_ms, skipped: skipped.to_owned() };
        self.drills.considered.insert(name.to_owned(), considered);
    }

    fn end_drill(&mut self, card: &Scorecard, scribe: &mut Scribe<'_>) {
        if self.drills.running.as_ref().is_none_or(|running| running.id != card.id) {
            return;
        }
        self.drills.running = None;
        self.drills.last_ended_ms = scribe.at_ms;
        self.drills.cards.push_back(card.clone());
        while self.drills.cards.len() > CARDS_MAX {
            self.drills.cards.pop_front();
        }
        let nowhere = nowhere(&card.group);
        let group = self.groups.get(&card.group).unwrap_or(&nowhere);
        let master = group.master.clone();
        let alarm = match card.verdict {
            Verdict::SloMissed => Some(EventKind::DrillSloMissed),
            Verdict::Failed => Some(EventKind::DrillFailed),
            Verdict::Passed | Verdict::Aborted => None,
        };
        for kind in [EventKind::DrillEnd].into_iter().chain(alarm) {
            let extra = format!("drill {} {} {}", card.id, card.scenario.name(), card.verdict.name());
            let event = scribe.master(kind, group, &master, &extra);
            detail(event, "drill", card.id);
            detail(event, "scenario", card.scenario.name());
            detail(event, "verdict", card.verdict.name());
            detail(event, "summary", &card.summary);
            if let Some(gap_us) = card.gap_us {
                detail(event, "gap_ms", gap_us / 1000);
            }
            if let Some(slo) = card.slo_gap_ms {
                detail(event, "slo_gap_ms", slo);
            }
            if !card.name.is_empty() {
                detail(event, "schedule", &card.name);
            }
        }
    }
}

/// A stand-in for a group that is no longer watched.
fn nowhere(name: &str) -> Group {
    Group::new(name, &Address::new("-", 0), &Settings::with_quorum(1), 0)
}
