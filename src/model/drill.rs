//! Failover drills as everybody sees them: what can be practised, what runs, and the scorecard that is
//! left. Plain data: made by `drill::judge` and by the ledger, drawn by the page and the command line.

use crate::model::{Address, NodeId};
use serde::{Deserialize, Serialize};

/// What is done to the group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scenario {
    Kill,
    Hang,
    Isolate,
    Planned,
    LeaderAndMaster,
    RestartEmpty,
    Flap,
}

/// A line of the list of scenarios.
#[derive(Clone, Copy, Debug)]
pub struct ScenarioRow {
    pub scenario: Scenario,
    pub name: &'static str,
    pub summary: &'static str,
    /// Can be done to a fleet that serves, without access to its hosts.
    pub live: bool,
    /// The right outcome is another master.
    pub switches: bool,
}

const fn row(
    scenario: Scenario,
    name: &'static str,
    live: bool,
    switches: bool,
    summary: &'static str,
) -> ScenarioRow {
    ScenarioRow { scenario, name, summary, live, switches }
}

/// In the order of the enum.
pub const SCENARIOS: &[ScenarioRow] = &[
    row(Scenario::Kill, "kill", true, true, "the master's process ends at once (kill -9)"),
    row(Scenario::Hang, "hang", true, true, "the master stands still, its connections open (SIGSTOP)"),
    row(Scenario::Isolate, "isolate", false, true, "the master is cut off from sentinels and replicas"),
    row(Scenario::Planned, "planned", true, true, "a switchover that an operator asks for"),
    row(
        Scenario::LeaderAndMaster,
        "leader-and-master",
        false,
        true,
        "the master and the leading sentinel end together (kill -9)",
    ),
    row(
        Scenario::RestartEmpty,
        "restart-empty",
        false,
        true,
        "the master ends and is back at once without its data and its directory",
    ),
    row(
        Scenario::Flap,
        "flap",
        false,
        false,
        "the master is silent again and again, each time shorter than down-after: nobody may be promoted",
    ),
];

impl Scenario {
    pub fn row(self) -> &'static ScenarioRow {
        &SCENARIOS[self as usize]
    }

    pub fn name(self) -> &'static str {
        self.row().name
    }

    pub fn parse(name: &str) -> Option<Self> {
        SCENARIOS.iter().find(|row| row.name.eq_ignore_ascii_case(name)).map(|row| row.scenario)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    Passed,
    /// All promises were kept, but the gap was longer than the objective.
    SloMissed,
    /// A promise was broken, or the fleet did not come to rest.
    Failed,
    /// The drill could not be run to its end; it says nothing about the fleet.
    Aborted,
}

impl Verdict {
    pub fn name(self) -> &'static str {
        match self {
            Verdict::Passed => "passed",
            Verdict::SloMissed => "slo-missed",
            Verdict::Failed => "failed",
            Verdict::Aborted => "aborted",
        }
    }
}

/// One thing that had to hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// As `no-loss`.
    pub name: String,
    pub passed: bool,
    /// One sentence with the figures.
    pub detail: String,
}

/// A moment of the drill.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// `fault`, `suspected`, `agreed`, `begun`, `chosen`, `promoted`, `published`, `first-write`,
    /// `in-sync`.
    pub name: String,
    /// Microseconds after the fault.
    pub at_us: i64,
}

/// What the canary met in one slice of the time shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot {
    pub acknowledged: u32,
    pub promised: u32,
    pub failed: u32,
}

/// The canary's writes over time: slots of equal length, the first beginning at `from_us` (relative to
/// the fault).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lane {
    pub from_us: i64,
    pub slot_us: u64,
    pub slots: Vec<Slot>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WriteCounts {
    pub attempted: u64,
    /// Answered with success.
    pub acknowledged: u64,
    /// Acknowledged, and WAIT named at least the sync quorum of replicas.
    pub promised: u64,
    /// Answered with an error, or not at all.
    pub failed: u64,
    /// Promised and gone.
    pub lost: u64,
    /// Acknowledged without the promise, and gone: asynchronous replication allows it.
    pub lost_unpromised: u64,
}

/// What a drill found: all that its reports show.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scorecard {
    /// Number of the drill in its fleet.
    pub id: u64,
    /// The schedule that started it; empty when a person did.
    pub name: String,
    pub group: String,
    pub scenario: Scenario,
    /// On a fleet that serves; otherwise on one made for the drill.
    pub live: bool,
    pub verdict: Verdict,
    /// One sentence: the verdict with its reason.
    pub summary: String,
    /// Milliseconds since the Unix epoch.
    pub started_ms: u64,
    pub fault_ms: Option<u64>,
    pub ended_ms: u64,
    /// The longest time between two acknowledged writes that ended after the fault.
    pub gap_us: Option<u64>,
    /// When it began, in microseconds after the fault (seldom exactly 0, often before it).
    pub gap_from_us: Option<i64>,
    /// The same for writes that WAIT promised.
    pub promised_gap_us: Option<u64>,
    pub slo_gap_ms: Option<u64>,
    pub old_master: Option<Address>,
    pub new_master: Option<Address>,
    pub steps: Vec<Step>,
    pub writes: WriteCounts,
    /// Distinct errors that the canary was given, and how often.
    pub errors: Vec<(String, u64)>,
    pub checks: Vec<Check>,
    pub lane: Lane,
    /// Agreed events after the fault: microseconds after it, name, payload.
    pub events: Vec<(i64, String, String)>,
    pub down_after_ms: u64,
    pub sync_quorum: usize,
    pub replicas: usize,
    pub sentinels: usize,
    pub version: String,
}

impl Scorecard {
    /// Of a drill that was never run to its end: it says why, and nothing about the fleet.
    pub fn aborted(group: &str, scenario: Scenario, id: u64, why: &str) -> Self {
        Scorecard {
            id,
            name: String::new(),
            group: group.to_owned(),
            scenario,
            live: false,
            verdict: Verdict::Aborted,
            summary: format!("not run to its end: {why}"),
            started_ms: 0,
            fault_ms: None,
            ended_ms: 0,
            gap_us: None,
            gap_from_us: None,
            promised_gap_us: None,
            slo_gap_ms: None,
            old_master: None,
            new_master: None,
            steps: Vec::new(),
            writes: WriteCounts::default(),
            errors: Vec::new(),
            checks: Vec::new(),
            lane: Lane::default(),
            events: Vec::new(),
            down_after_ms: 0,
            sync_quorum: 0,
            replicas: 0,
            sentinels: 0,
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}

/// All about drills in a status snapshot.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct DrillsStatus {
    pub running: Option<DrillRun>,
    pub scheduled: Vec<DrillSchedule>,
    /// Oldest first; the whole scorecard is `SENTINEL DRILL REPORT id`.
    pub results: Vec<DrillResult>,
}

/// The one that runs now.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DrillRun {
    pub id: u64,
    pub name: String,
    pub group: String,
    pub scenario: Scenario,
    /// The sentinel that conducts it.
    pub by: NodeId,
    pub started_ms: u64,
    pub slo_gap_ms: Option<u64>,
}

/// One that is planned in sentinel.yaml.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DrillSchedule {
    pub name: String,
    pub group: String,
    pub scenario: Scenario,
    /// Cron in UTC.
    pub schedule: String,
    /// Milliseconds since the Unix epoch.
    pub next_ms: Option<u64>,
    /// Why it did not run when it was last due; empty when it did.
    pub skipped: String,
}

/// A scorecard in short.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DrillResult {
    pub id: u64,
    pub name: String,
    pub group: String,
    pub scenario: Scenario,
    pub verdict: Verdict,
    pub summary: String,
    pub started_ms: u64,
    pub ended_ms: u64,
    pub gap_us: Option<u64>,
    pub slo_gap_ms: Option<u64>,
    pub old_master: Option<Address>,
    pub new_master: Option<Address>,
    pub steps: Vec<Step>,
    pub writes: WriteCounts,
    pub checks: Vec<Check>,
}

impl From<&Scorecard> for DrillResult {
    fn from(card: &Scorecard) -> Self {
        DrillResult {
            id: card.id,
            name: card.name.clone(),
            group: card.group.clone(),
            scenario: card.scenario,
            verdict: card.verdict,
            summary: card.summary.clone(),
            started_ms: card.started_ms,
            ended_ms: card.ended_ms,
            gap_us: card.gap_us,
            slo_gap_ms: card.slo_gap_ms,
            old_master: card.old_master.clone(),
            new_master: card.new_master.clone(),
            steps: card.steps.clone(),
            writes: card.writes,
            checks: card.checks.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_stand_at_their_scenario() {
        for (index, row) in SCENARIOS.iter().enumerate() {
            assert_eq!(row.scenario as usize, index);
            assert_eq!(Scenario::parse(row.name), Some(row.scenario));
            assert_eq!(serde_json::to_value(row.scenario).unwrap(), row.name);
        }
        assert_eq!(Scenario::parse("dance"), None);
    }
}
