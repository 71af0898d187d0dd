//! What holds a group's failovers back, as people and tools see it: maintenance and guards.

use serde::{Deserialize, Serialize};

/// A group's maintenance and guards at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PolicyStatus {
    /// The whole group is in maintenance: no automatic failover, nothing is re-pointed.
    pub paused: Option<PauseStatus>,
    /// Something that would be done now is held back, and by what.
    pub held: Option<HeldStatus>,
    /// Automatic failovers that count against `failovers_max` now.
    pub failovers_counted: u64,
    /// 0: no limit.
    pub failovers_max: u64,
    pub failovers_window_ms: u64,
    /// The limit was reached: one automatic failover per window, until acknowledged.
    pub flapping: bool,
    /// The preferred replica to which the master will be handed over once it caught up.
    pub handover_to: Option<crate::model::Address>,
}

/// Maintenance of a group or an instance. Times are milliseconds since the Unix epoch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PauseStatus {
    pub owner: String,
    pub reason: String,
    pub since_ms: u64,
    /// `None`: until resumed.
    pub until_ms: Option<u64>,
}

/// Something held back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HeldStatus {
    /// `pause`, `anti-flap` or `blast-radius`.
    pub guard: String,
    pub reason: String,
    pub since_ms: u64,
    /// When it ends by itself, if that is known.
    pub until_ms: Option<u64>,
}
