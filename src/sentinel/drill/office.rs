//! The leader's side: taking a drill into the log, starting what is due, closing what was left open;
//! and the conductor's: handing its scorecard in until the log has it.

use super::interlocks::Wish;
use super::schedule::due;
use super::{Drill, DrillCommand, DrillDecision, LIMIT_MS, Plan};
use crate::config::drills::DrillConfig;
use crate::model::drill::{DrillRun, DrillSchedule, DrillsStatus, Scorecard};
use crate::sentinel::command::Command;
use crate::sentinel::decision::Decision;
use crate::sentinel::node::Sentinel;
use crate::sentinel::{Action, PeerMessage};
use crate::stdx::time::{Duration, Now};

const LOOK_EVERY: Duration = Duration::from_millis(500);

impl Sentinel {
    /// What is to be agreed for a command about drills, or why not.
    pub(in crate::sentinel) fn drill_decisions(
        &self,
        now: Now,
        command: &DrillCommand,
    ) -> Result<Vec<Decision>, String> {
        match command {
            DrillCommand::Start { group, scenario, slo_gap_ms, cool_down_s, go_back, dry_run } => {
                let cool_down = Duration::from_secs(*cool_down_s);
                let against = self.against_drill(now, Wish { group, scenario: *scenario, cool_down });
                if !against.is_empty() {
                    return Err(format!("UNSAFE {}", against.join("; ")));
                }
                if *dry_run {
                    return Ok(Vec::new());
                }
                let plan = Plan {
                    name: String::new(),
                    group: group.clone(),
                    scenario: *scenario,
                    slo_gap_ms: *slo_gap_ms,
                    go_back: *go_back,
                    by: self.config.id,
                    run_id: self.identity.run_id.clone(),
                };
                Ok(vec![Decision::Drill(DrillDecision::Begin { plan, due_ms: None })])
            }
            DrillCommand::Abort => match &self.ledger.drills.running {
                None => Err("ERR no drill runs".to_owned()),
                Some(running) => Ok(vec![Decision::Drill(DrillDecision::Abort {
                    id: running.id,
                    reason: "an operator ended it".to_owned(),
                })]),
            },
            DrillCommand::End { card } => match &self.ledger.drills.running {
                Some(running) if running.id == card.id => {
                    Ok(vec![Decision::Drill(DrillDecision::End { card: card.clone() })])
                }
                _ => Ok(Vec::new()),
            },
        }
    }

    /// The conductor hears that its drill began, or is to stop.
    pub(in crate::sentinel) fn drill_applied(
        &mut self,
        decision: &Decision,
        replayed: bool,
        actions: &mut Vec<Action>,
    ) {
        let Decision::Drill(decision) = decision else { return };
        let Some(running) = &self.ledger.drills.running else { return };
        let ours = running.plan.by == self.config.id && running.plan.run_id == self.identity.run_id;
        if !ours || replayed {
            return;
        }
        match decision {
            // The one that this decision began, not one that stood in its way.
            DrillDecision::Begin { plan, .. } if *plan == running.plan => {
                actions.push(Action::Drill(Box::new(running.clone())));
            }
            DrillDecision::Abort { id, reason } if *id == running.id => {
                actions.push(Action::DrillAbort { id: *id, reason: reason.clone() });
            }
            _ => {}
        }
    }

    /// The shell's scorecard: kept until the log has taken it.
    pub(in crate::sentinel) fn drill_ended(&mut self, card: Box<Scorecard>) {
        self.drill_card = Some(card);
        self.next_drill_look = crate::stdx::time::Instant::ZERO;
    }

    pub(in crate::sentinel) fn look_after_drills(&mut self, now: Now, actions: &mut Vec<Action>) {
        if now.mono < self.next_drill_look {
            return;
        }
        self.next_drill_look = now.mono + LOOK_EVERY;
        self.hand_in_card(now, actions);
        if !self.in_office() {
            return;
        }
        if let Some(running) = &self.ledger.drills.running {
            if let Some(reason) = self.is_orphan(running, now.wall.as_millis()) {
                let card = Box::new(given_up(running, now.wall.as_millis(), reason));
                // Should it not be taken, it is tried again at the next look.
                let _ = self.propose(now, vec![Decision::Drill(DrillDecision::End { card })], actions);
            }
            return;
        }
        for drill in self.config.drills.clone() {
            if let Some(due_ms) = due(&drill, &self.ledger.drills, now.wall.as_millis()) {
                let decision = self.decide_due(now, &drill, due_ms);
                let _ = self.propose(now, vec![Decision::Drill(decision)], actions);
                // The next one is decided with this one in the log.
                return;
            }
        }
    }

    fn decide_due(&self, now: Now, drill: &DrillConfig, due_ms: u64) -> DrillDecision {
        let skip = |reason: String| DrillDecision::Skip {
            name: drill.name.clone(),
            group: drill.group.clone(),
            due_ms,
            reason,
        };
        // A checked configuration names none that cannot be run live.
        let Some(scenario) = drill.scenario() else { return skip("no such scenario".to_owned()) };
        let cool_down = Duration::from_secs(drill.cool_down_seconds);
        let mut against = self.against_drill(now, Wish { group: &drill.group, scenario, cool_down });
        if !drill.window_allows(now.wall.as_millis()) {
            against.push(format!("outside its window {}", drill.window.as_deref().unwrap_or("")));
        }
        if !against.is_empty() {
            return skip(against.join("; "));
        }
        let plan = Plan {
            name: drill.name.clone(),
            group: drill.group.clone(),
            scenario,
            slo_gap_ms: drill.slo_gap_ms,
            go_back: drill.return_master,
            by: self.config.id,
            run_id: self.identity.run_id.clone(),
        };
        DrillDecision::Begin { plan, due_ms: Some(due_ms) }
    }

    /// Why nobody will ever hand its scorecard in.
    fn is_orphan(&self, running: &Drill, now_ms: u64) -> Option<&'static str> {
        let life = self.ledger.voters.get(&running.plan.by).map(|voter| voter.run_id.as_str());
        if life != Some(running.plan.run_id.as_str()) {
            return Some("the sentinel that conducted it has restarted");
        }
        (now_ms.saturating_sub(running.started_ms) > LIMIT_MS).then_some("it took longer than 15 minutes")
    }

    fn hand_in_card(&mut self, now: Now, actions: &mut Vec<Action>) {
        let Some(card) = self.drill_card.take() else { return };
        if self.ledger.drills.running.as_ref().is_none_or(|running| running.id != card.id) {
            return;
        }
        let leader = self.consensus.leader().filter(|id| *id != self.config.id);
        if self.in_office() {
            let decision = Decision::Drill(DrillDecision::End { card: card.clone() });
            let _ = self.propose(now, vec![decision], actions);
        } else if let Some(to) = leader {
            let command = Command::Drill(DrillCommand::End { card: card.clone() });
            // Nobody waits for the answer: the log tells.
            actions.push(Action::SendPeer {
                to,
                message: PeerMessage::Forward { id: 0, argv: command.words() },
            });
        }
        if self.ledger.drills.running.is_some() {
            self.drill_card = Some(card);
        }
    }

    pub fn drills_status(&self, now: Now) -> DrillsStatus {
        let drills = &self.ledger.drills;
        DrillsStatus {
            running: drills.running.as_ref().map(|drill| DrillRun {
                id: drill.id,
                name: drill.plan.name.clone(),
                group: drill.plan.group.clone(),
                scenario: drill.plan.scenario,
                by: drill.plan.by,
                started_ms: drill.started_ms,
                slo_gap_ms: drill.plan.slo_gap_ms,
            }),
            scheduled: self
                .config
                .drills
                .iter()
                .filter_map(|drill| {
                    Some(DrillSchedule {
                        name: drill.name.clone(),
                        group: drill.group.clone(),
                        scenario: drill.scenario()?,
                        schedule: drill.schedule.clone(),
                        next_ms: super::next_after(drill, now.wall.as_millis()),
                        skipped: drills
                            .considered
                            .get(&drill.name)
                            .map(|c| c.skipped.clone())
                            .unwrap_or_default(),
                    })
                })
                .collect(),
            results: drills.cards.iter().map(Into::into).collect(),
        }
    }

    /// The whole scorecard of a drill that is over.
    pub fn drill_card(&self, id: u64) -> Option<&Scorecard> {
        self.ledger.drills.cards.iter().find(|card| card.id == id)
    }
}

/// What stands in the list for a drill that nobody finished.
fn given_up(drill: &Drill, now_ms: u64, reason: &str) -> Scorecard {
    Scorecard {
        name: drill.plan.name.clone(),
        live: true,
        started_ms: drill.started_ms,
        ended_ms: now_ms,
        slo_gap_ms: drill.plan.slo_gap_ms,
        old_master: Some(drill.master.clone()),
        ..Scorecard::aborted(&drill.plan.group, drill.plan.scenario, drill.id, reason)
    }
}
