//! Failover drills on a fleet that serves: who may run one now, that only one runs, and what it found.
//!
//! The log holds the lease (one drill in the whole fleet), the scorecards and the moments at which a
//! schedule was considered; the leader conducts, and its shell runs the canary. Has never heard of how
//! a drill is judged (`drill`) nor of sockets.

mod command;
mod interlocks;
mod office;
mod schedule;

pub use command::DrillCommand;
pub use schedule::next_after;

use crate::model::drill::{Scenario, Scorecard};
use crate::model::{Address, NodeId};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};

/// Scorecards kept in the log's state: a quarter of weekly drills, with room for those by hand.
pub const CARDS_MAX: usize = 20;
/// A drill that is not over by then is given up: its conductor is stuck or gone.
pub const LIMIT_MS: u64 = 15 * 60 * 1000;

/// What the agreed state says about drills.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drills {
    pub last_id: u64,
    pub running: Option<Drill>,
    /// Oldest first.
    pub cards: VecDeque<Scorecard>,
    /// When each schedule was last due and decided on.
    pub considered: BTreeMap<String, Considered>,
    pub last_ended_ms: u64,
}

/// The lease of the one that runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drill {
    pub id: u64,
    pub started_ms: u64,
    /// The master when it began; it may be given its place back afterwards.
    pub master: Address,
    pub plan: Plan,
}

/// What was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Of the schedule; empty when a person asked.
    pub name: String,
    pub group: String,
    pub scenario: Scenario,
    pub slo_gap_ms: Option<u64>,
    /// The old master gets its place back by a planned switchover.
    pub go_back: bool,
    /// Who conducts it, and in which life: another life knows nothing of it.
    pub by: NodeId,
    pub run_id: String,
}

/// A moment of a schedule: decided once, whoever leads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Considered {
    pub due_ms: u64,
    /// Why it was not run; empty when it was.
    pub skipped: String,
}

/// What the fleet agrees on about drills.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DrillDecision {
    /// `due_ms`: the moment of the schedule that it is for.
    Begin {
        plan: Plan,
        due_ms: Option<u64>,
    },
    Skip {
        name: String,
        group: String,
        due_ms: u64,
        reason: String,
    },
    End {
        card: Box<Scorecard>,
    },
    /// An operator wants it to stop; its conductor ends it with a scorecard.
    Abort {
        id: u64,
        reason: String,
    },
}
