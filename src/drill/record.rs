//! What a drill's shell collects, in microseconds since the record began.

use crate::model::Address;
use crate::model::drill::Scenario;
use crate::model::event::Event;
use std::collections::BTreeSet;

/// One write of the canary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Unique in the drill; it is what was written. 0: nobody was there to be sent anything.
    pub number: u64,
    pub sent_us: u64,
    /// When success was heard.
    pub acknowledged_us: Option<u64>,
    /// The place in `Record::servers` of the server that was asked.
    pub server: usize,
    /// What WAIT answered, and when.
    pub replicas: Option<(usize, u64)>,
    /// The error's code, or why there was no answer.
    pub error: Option<String>,
}

/// What one data server holds when all is over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holding {
    pub server: usize,
    /// The numbers it holds; `None` when it could not be read.
    pub numbers: Option<BTreeSet<u64>>,
    /// Members of the set that was written before the drill and must survive it.
    pub baseline: Option<u64>,
    /// It says that it is a master.
    pub is_master: bool,
}

/// Everything there is to judge.
#[derive(Clone, Debug)]
pub struct Record {
    pub id: u64,
    pub name: String,
    pub group: String,
    pub scenario: Scenario,
    pub live: bool,
    pub slo_gap_ms: Option<u64>,
    pub down_after_ms: u64,
    /// Replicas that must have a write before WAIT's promise holds.
    pub sync_quorum: usize,
    pub replicas: usize,
    pub sentinels: usize,
    /// Milliseconds since the Unix epoch when the record began.
    pub started_ms: u64,
    pub fault_us: Option<u64>,
    pub ended_us: u64,
    /// Every data server the canary met.
    pub servers: Vec<Address>,
    pub old_master: Address,
    pub attempts: Vec<Attempt>,
    /// Agreed events of the group since the record began; stamped by the leader's wall clock.
    pub events: Vec<Event>,
    /// When the fleet was whole again.
    pub in_sync_us: Option<u64>,
    /// Why it is not, when it is not.
    pub doubts: Vec<String>,
    /// Whom each sentinel names in the end.
    pub named: Vec<(Address, Option<Address>)>,
    pub holdings: Vec<Holding>,
    /// Members written before the drill.
    pub baseline: u64,
    /// Writes that the old master acknowledged after its successor was published, to a client that
    /// kept talking to it; `None` when nobody did.
    pub late_acknowledged: Option<u64>,
    /// Whether the old master got its place back, when that was wanted.
    pub returned: Option<Result<(), String>>,
    /// Why the drill could not be run to its end.
    pub trouble: Option<String>,
    pub version: String,
}
