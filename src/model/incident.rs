//! What is remembered of one failover: an incident record. Made from agreed decisions alone, so every
//! sentinel gives the same answer; told by command, page and JSON. Plain data with the few sums that
//! all of them need; knows no clock and no wire.

use crate::model::{Address, Epoch, NodeId, Offset};
use serde::{Deserialize, Serialize};

/// One failover, from the last good answer of the old master to the last replica in sync.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incident {
    /// Group and epoch: `mymaster-17`.
    pub id: String,
    pub group: String,
    pub epoch: Epoch,
    /// `silent`, `crashed`, `restarted`, `wrong-role`, `manual`, `forced` ...
    pub cause: String,
    /// Somebody asked for it; otherwise it was judged.
    pub planned: bool,
    pub old_master: Address,
    /// Asked for by name.
    pub target: Option<Address>,
    pub successor: Option<Address>,
    pub outcome: Outcome,
    /// Why it was given up, or the old master kept.
    pub reason: Option<String>,
    /// The leaders that decided its steps, in order: more than one when leadership changed meanwhile.
    pub leaders: Vec<NodeId>,
    /// Attempts of the same kind that this one took the place of.
    #[serde(default)]
    pub earlier_attempts: u32,
    pub evidence: Option<Evidence>,
    /// What each copy held when the successor was chosen.
    pub copies: Vec<Copy>,
    pub receipt: Receipt,
    /// In the order of the log; what was seen before the log heard of it stands where it belongs.
    pub steps: Vec<Step>,
    /// Steps that found no place any more.
    #[serde(default)]
    pub steps_dropped: u32,
    /// From the last good answer of the old master (or the beginning) until clients were told.
    pub outage_ms: Option<u64>,
    /// From the beginning until the last reachable replica followed.
    pub repair_ms: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Freezing, choosing, promoting.
    Open,
    /// Clients are told; replicas are being re-pointed.
    Published,
    Ended,
    /// Ended with replicas still to be re-pointed.
    EndedLate,
    Aborted,
    /// The restarted master had at least as much as everyone and keeps its role.
    Kept,
}

impl Outcome {
    pub fn name(self) -> &'static str {
        match self {
            Outcome::Open => "open",
            Outcome::Published => "published",
            Outcome::Ended => "ended",
            Outcome::EndedLate => "ended-late",
            Outcome::Aborted => "aborted",
            Outcome::Kept => "kept",
        }
    }

    pub fn is_open(self) -> bool {
        matches!(self, Outcome::Open | Outcome::Published)
    }
}

/// The steps in the order of a failover that goes well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepKind {
    LastAnswer,
    Suspected,
    Down,
    Quorum,
    Began,
    Stopped,
    Frozen,
    Chosen,
    Promoted,
    Published,
    Told,
    InSync,
    Ended,
    Aborted,
    Kept,
    Returned,
    Saved,
}

impl StepKind {
    pub fn name(self) -> &'static str {
        match self {
            StepKind::LastAnswer => "last-answer",
            StepKind::Suspected => "suspected",
            StepKind::Down => "down",
            StepKind::Quorum => "quorum",
            StepKind::Began => "began",
            StepKind::Stopped => "stopped",
            StepKind::Frozen => "frozen",
            StepKind::Chosen => "chosen",
            StepKind::Promoted => "promoted",
            StepKind::Published => "published",
            StepKind::Told => "told",
            StepKind::InSync => "in-sync",
            StepKind::Ended => "ended",
            StepKind::Aborted => "aborted",
            StepKind::Kept => "kept",
            StepKind::Returned => "returned",
            StepKind::Saved => "saved",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Milliseconds since the Unix epoch on the clock of the leader that told it.
    pub at_ms: u64,
    pub step: StepKind,
    pub instance: Option<Address>,
    pub by: NodeId,
    pub text: String,
}

/// What the leader saw when it decided to begin.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// Whose eyes these are.
    pub observer: NodeId,
    /// The last valid answer of the old master.
    pub last_answer_ms: Option<u64>,
    pub suspected_ms: Option<u64>,
    /// The sentinels that held it to be down or refused then, the observer included.
    pub votes: Vec<NodeId>,
    pub needed: usize,
    /// What each replica said of its link to the old master.
    pub witnesses: Vec<Witness>,
    /// The newest offset that the old master was seen to have, and when it was asked.
    pub master_offset: Option<Offset>,
    pub master_offset_ms: Option<u64>,
    /// The sentinel that took an operator's command.
    pub asked_at: Option<NodeId>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Witness {
    pub address: Address,
    pub reachable: bool,
    pub link_up: Option<bool>,
    /// Since it was last certain to have heard from the old master.
    pub heard_ms_ago: Option<u64>,
}

/// One copy of the data as it stood still.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Copy {
    pub address: Address,
    pub at_ms: u64,
    pub offset: Offset,
    /// It holds the agreed history, completed.
    pub counts: bool,
}

/// What the failover cost, as far as can be known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    pub master_offset: Option<Offset>,
    pub master_offset_ms: Option<u64>,
    /// The old master stood still at `master_offset`: nothing came after it.
    #[serde(default)]
    pub master_stopped: bool,
    pub successor_offset: Option<Offset>,
    /// Bytes of the old master's stream that the successor is known to lack; it may lack more that
    /// nobody saw.
    pub bytes_at_least: Option<u64>,
    /// The promotion rule was met: no write that a WAIT at the quorum acknowledged is missing.
    pub waits_kept: Option<bool>,
    pub risk: Option<String>,
    pub returned_ms: Option<u64>,
    /// Exact, once the old master came back: bytes that only it had.
    pub divergent_bytes: Option<u64>,
    /// Where the returned server saved them.
    pub saved_as: Option<String>,
    /// The whole in one sentence.
    pub verdict: String,
}

impl Receipt {
    /// Says it again after something was learned.
    pub fn settle(&mut self) {
        if let (Some(master), Some(successor)) = (self.master_offset, self.successor_offset) {
            self.bytes_at_least = Some(master.saturating_sub(successor));
        }
        let waits = match (&self.risk, self.waits_kept) {
            (Some(risk), _) => format!("writes that WAIT acknowledged may be lost: {risk}"),
            (None, Some(true)) => "every WAIT kept".to_owned(),
            (None, _) => "nothing was promoted".to_owned(),
        };
        self.verdict = match (self.divergent_bytes, self.bytes_at_least) {
            (_, Some(0)) if self.master_stopped && self.risk.is_none() => {
                format!("none: the successor had all that the old master had when it stopped; {waits}")
            }
            (Some(0), _) if self.risk.is_none() => {
                format!("none: {waits}, and the old master came back with nothing of its own")
            }
            (Some(bytes), _) => {
                let kept = match &self.saved_as {
                    Some(file) => format!("saved by that server as {file}"),
                    None => "which only the old master had".to_owned(),
                };
                format!("{} of unpromised writes, {kept}; {waits}", bytes_of(bytes))
            }
            (None, Some(0)) if self.risk.is_none() => format!("none known: {waits}"),
            (None, Some(bytes)) => format!("at least {}; {waits}", bytes_of(bytes)),
            (None, None) if self.waits_kept == Some(true) => format!("none known: {waits}"),
            (None, None) => waits,
        };
    }
}

/// `1 byte`, `2 bytes`.
pub fn bytes_of(count: u64) -> String {
    format!("{count} byte{}", if count == 1 { "" } else { "s" })
}

impl Incident {
    pub fn id_of(group: &str, epoch: Epoch) -> String {
        format!("{group}-{epoch}")
    }

    /// The first step of this kind.
    pub fn step(&self, kind: StepKind) -> Option<&Step> {
        self.steps.iter().find(|step| step.step == kind)
    }

    /// Where its time line begins.
    pub fn from_ms(&self) -> u64 {
        self.steps.iter().map(|step| step.at_ms).min().unwrap_or(0)
    }

    /// The replicas that follow the new master, in the order in which they did.
    pub fn in_sync(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter().filter(|step| step.step == StepKind::InSync)
    }

    /// For a heading: what became of it.
    pub fn headline(&self) -> String {
        let from = &self.old_master;
        match (self.outcome, &self.successor) {
            (Outcome::Aborted, _) => format!("given up, {from} stays master"),
            (Outcome::Kept, _) => format!("{from} keeps its role"),
            (_, Some(to)) => format!("{from} to {to}"),
            (_, None) => format!("{from}, the successor is not chosen yet"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receipt_never_says_more_than_is_known() {
        let mut receipt = Receipt::default();
        receipt.settle();
        assert_eq!(receipt.verdict, "nothing was promoted");
        receipt.successor_offset = Some(900);
        receipt.waits_kept = Some(true);
        receipt.settle();
        assert_eq!(receipt.verdict, "none known: every WAIT kept");
        receipt.master_offset = Some(1000);
        receipt.settle();
        assert_eq!(receipt.verdict, "at least 100 bytes; every WAIT kept");
        receipt.divergent_bytes = Some(140);
        receipt.settle();
        assert_eq!(
            receipt.verdict,
            "140 bytes of unpromised writes, which only the old master had; every WAIT kept"
        );
        receipt.saved_as = Some("divergent-x-900-1040.resp".into());
        receipt.settle();
        assert!(receipt.verdict.contains("saved by that server as divergent-x-900-1040.resp"));
        receipt.risk = Some("only 1 was frozen".into());
        receipt.divergent_bytes = Some(0);
        receipt.settle();
        assert!(receipt.verdict.contains("may be lost: only 1 was frozen"), "{}", receipt.verdict);
    }
}
