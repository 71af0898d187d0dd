//! Drills as agreed: one lease, bounded results, and an event for each turn of fortune.

use super::Ledger;
use super::group::Group;
use super::scribe::{Scribe, detail};
use crate::model::drill::{Scorecard, Verdict};
use crate::model::event::EventKind;
use crate::model::{Address, Epoch};
use crate::sentinel::decision::Decision;
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

    /// Whatever befalls this group now was brought about on purpose.
    fn is_drilled(&self, group: &str) -> bool {
        self.drills.running.as_ref().is_some_and(|running| running.plan.group == group)
    }

    /// A decision about one group. A failover that a drill brought about is one that an operator knows
    /// of, so it does not count towards flapping.
    pub(super) fn decide_group(
        &mut self,
        name: &str,
        epoch: Epoch,
        decision: &Decision,
        scribe: &mut Scribe<'_>,
    ) {
        let drilled = self.is_drilled(name);
        let Some(group) = self.groups.get_mut(name) else { return };
        let counted = (group.policy.automatic_ms.clone(), group.policy.flapping);
        group.decide(epoch, decision, scribe);
        if drilled && matches!(decision, Decision::Switch { .. }) {
            (group.policy.automatic_ms, group.policy.flapping) = counted;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::drill::Scenario;
    use crate::sentinel::decision::Entry;
    use crate::sentinel::drill::Plan;

    fn agree(ledger: &mut Ledger, decision: DrillDecision) -> Vec<EventKind> {
        let entry = Entry { at_ms: 1000, by: 1, decisions: vec![Decision::Drill(decision)] };
        let index = ledger.applied + 1;
        ledger.apply(index, &entry).into_iter().map(|event| event.kind).collect()
    }

    fn begin(run_id: &str) -> DrillDecision {
        let plan = Plan {
            name: String::new(),
            group: "m".into(),
            scenario: Scenario::Kill,
            slo_gap_ms: None,
            go_back: false,
            by: 1,
            run_id: run_id.into(),
        };
        DrillDecision::Begin { plan, due_ms: None }
    }

    fn end(id: u64, verdict: Verdict) -> DrillDecision {
        let card = Scorecard { verdict, ..Scorecard::aborted("m", Scenario::Kill, id, "") };
        DrillDecision::End { card: Box::new(card) }
    }

    #[test]
    fn one_drill_at_a_time_and_its_results_are_bounded() {
        let mut ledger = Ledger::default();
        ledger
            .groups
            .insert("m".into(), Group::new("m", &Address::new("h", 1), &Settings::with_quorum(1), 1));
        assert_eq!(agree(&mut ledger, begin("a")), [EventKind::DrillStart]);
        assert!(ledger.is_drilled("m") && !ledger.is_drilled("other"));
        assert_eq!(agree(&mut ledger, begin("b")), []);
        assert_eq!(agree(&mut ledger, end(7, Verdict::Passed)), [], "another drill's result");
        let failed = agree(&mut ledger, end(1, Verdict::Failed));
        assert_eq!(failed, [EventKind::DrillEnd, EventKind::DrillFailed]);
        assert!(ledger.drills.running.is_none());
        for id in 2..40 {
            agree(&mut ledger, begin("a"));
            let told = agree(&mut ledger, end(id, Verdict::SloMissed));
            assert_eq!(told, [EventKind::DrillEnd, EventKind::DrillSloMissed]);
        }
        assert_eq!(ledger.drills.cards.len(), CARDS_MAX);
        assert_eq!(Ledger::decode(&ledger.encode()), Ok(ledger));
    }
}
