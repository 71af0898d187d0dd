//! Cutting a failing schedule down: fewer faults, then shorter ones, then a smaller world, as long as it still
//! fails for the same reason. Everything else of the seed stays as it was.

use super::schedule::{Fault, Plan, When};
use super::{Outcome, run};

/// Runs that one shrinking may take.
const RUNS_MAX: usize = 300;

struct Shrink {
    plan: Plan,
    faults: Vec<Fault>,
    /// The invariant that broke.
    reason: String,
    runs: usize,
}

fn reason(outcome: &Outcome) -> Option<String> {
    let text = outcome.failure.as_ref()?;
    Some(text.split(':').next().unwrap_or(text).to_owned())
}

/// The smallest that was found. `None`: it does not fail.
pub fn shrink(plan: &Plan, faults: &[Fault]) -> Option<(Plan, Vec<Fault>)> {
    let reason = reason(&run(plan.clone(), faults.to_vec()))?;
    let mut this = Shrink { plan: plan.clone(), faults: faults.to_vec(), reason, runs: 0 };
    this.end_sooner();
    this.drop_faults();
    this.shorten();
    this.end_sooner();
    this.smaller_world();
    this.drop_faults();
    Some((this.plan, this.faults))
}

impl Shrink {
    fn fails(&mut self, plan: &Plan, faults: &[Fault]) -> bool {
        self.runs += 1;
        self.runs <= RUNS_MAX && reason(&run(plan.clone(), faults.to_vec())) == Some(self.reason.clone())
    }

    /// What comes after the break is of no use.
    fn end_sooner(&mut self) {
        let mut sooner = self.plan.chaos_ms / 2;
        while sooner >= 500 {
            let plan = Plan { chaos_ms: self.plan.chaos_ms - sooner, ..self.plan.clone() };
            if self.fails(&plan, &self.faults.clone()) {
                self.plan = plan;
            }
            sooner = (sooner / 2).min(self.plan.chaos_ms / 2);
        }
        let (chaos_ms, mut after) = (self.plan.chaos_ms, 0);
        self.faults.retain(|fault| fault.when != When::At || fault.at_ms < chaos_ms);
        // One failover takes longer than this.
        self.faults.retain(|fault| {
            after += u64::from(fault.when != When::At);
            after <= chaos_ms / 100 + 1
        });
    }

    /// Halves, then quarters, down to single ones.
    fn drop_faults(&mut self) {
        let mut size = self.faults.len().div_ceil(2);
        while size > 0 {
            let mut from = 0;
            while from < self.faults.len() {
                let mut fewer = self.faults.clone();
                fewer.drain(from..(from + size).min(fewer.len()));
                if self.fails(&self.plan.clone(), &fewer) {
                    self.faults = fewer;
                } else {
                    from += size;
                }
            }
            size = if size == 1 { 0 } else { size / 2 };
        }
    }

    fn shorten(&mut self) {
        for index in 0..self.faults.len() {
            let mut shorter = self.faults.clone();
            while shorter[index].for_ms > 100 {
                shorter[index].for_ms /= 2;
                if !self.fails(&self.plan.clone(), &shorter) {
                    break;
                }
                self.faults.clone_from(&shorter);
            }
        }
        if let Some(last) = self.faults.last().filter(|_| !self.plan.dense) {
            let plan = Plan { chaos_ms: last.at_ms + last.for_ms, ..self.plan.clone() };
            if plan.chaos_ms < self.plan.chaos_ms && self.fails(&plan, &self.faults.clone()) {
                self.plan = plan;
            }
        }
    }

    fn smaller_world(&mut self) {
        for smaller in [
            Plan { core: false, ..self.plan.clone() },
            Plan { spares: 0, ..self.plan.clone() },
            Plan { sentinels: 3, ..self.plan.clone() },
            Plan { nodes: 3.min(self.plan.nodes), ..self.plan.clone() },
            Plan { nodes: 2, ..self.plan.clone() },
        ] {
            let merged = Plan {
                core: self.plan.core && smaller.core,
                spares: self.plan.spares.min(smaller.spares),
                sentinels: self.plan.sentinels.min(smaller.sentinels),
                nodes: self.plan.nodes.min(smaller.nodes),
                ..self.plan.clone()
            };
            if merged != self.plan && self.fails(&merged, &self.faults.clone()) {
                self.plan = merged;
            }
        }
    }
}

/// With a planted bug a schedule of many faults comes down to a few that still show it.
#[test]
fn a_failing_schedule_is_cut_down() {
    let bugs = vedette::sentinel::Bugs { epoch_reused: true, ..Default::default() };
    let failing = (1..200).find_map(|seed| {
        let plan = Plan { bugs, ..Plan::from_seed(seed) };
        let faults = super::schedule::draw(&plan);
        (faults.len() > 4 && run(plan.clone(), faults.clone()).failure.is_some()).then_some((plan, faults))
    });
    let (plan, faults) =
        failing.expect("a failover that acts under an old epoch is noticed within 200 seeds");
    let (smaller_plan, smaller) = shrink(&plan, &faults).expect("it fails");
    assert!(smaller.len() < faults.len() && smaller.len() <= 4, "{} of {}", smaller.len(), faults.len());
    assert!(run(smaller_plan, smaller).failure.is_some(), "what is left still fails");
}
