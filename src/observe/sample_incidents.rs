//! Failovers to look at: a crash whose master came back, a switchover by hand, and one that was given
//! up.

use crate::model::Address;
use crate::model::incident::{Copy, Evidence, Incident, Outcome, Receipt, Step, StepKind, Witness};
use std::sync::Arc;

fn host(last: u8) -> Address {
    Address::new(format!("10.0.0.{last}"), 6379)
}

fn incident(
    epoch: u64,
    cause: &str,
    outcome: Outcome,
    steps: &[(u64, StepKind, Option<u8>, &str)],
) -> Incident {
    Incident {
        id: Incident::id_of("mymaster", epoch),
        group: "mymaster".into(),
        epoch,
        cause: cause.into(),
        planned: cause == "manual",
        old_master: host(3),
        target: None,
        successor: None,
        outcome,
        reason: None,
        leaders: vec![1],
        earlier_attempts: 0,
        evidence: None,
        copies: Vec::new(),
        receipt: Receipt::default(),
        steps: steps
            .iter()
            .map(|(at_ms, step, instance, text)| Step {
                at_ms: *at_ms,
                step: *step,
                instance: instance.map(host),
                by: 1,
                text: (*text).to_owned(),
            })
            .collect(),
        steps_dropped: 0,
        outage_ms: None,
        repair_ms: None,
    }
}

/// Newest first; the newest ended at `at`.
pub(crate) fn incidents(at: u64) -> Vec<Arc<Incident>> {
    use StepKind::*;
    let crash = at - 640;
    let mut crashed = incident(
        1917,
        "crashed",
        Outcome::Ended,
        &[
            (crash, LastAnswer, Some(3), ""),
            (crash + 27, Suspected, Some(3), "by sentinel 1"),
            (crash + 345, Down, Some(3), ""),
            (crash + 345, Quorum, Some(3), "quorum 3/2"),
            (crash + 345, Began, Some(3), "cause: crashed"),
            (crash + 349, Frozen, Some(1), "at offset 48213377"),
            (crash + 349, Frozen, Some(2), "at offset 48209112"),
            (crash + 537, Chosen, Some(1), "offset 48213377, the largest of 2 frozen"),
            (crash + 541, Promoted, Some(1), ""),
            (crash + 541, Published, Some(1), "clients are told, epoch 1917"),
            (crash + 543, Told, Some(2), ""),
            (crash + 640, InSync, Some(2), "replica number 1"),
            (crash + 640, Ended, None, "every replica that can be reached follows"),
            (crash + 61_000, Returned, Some(3), "at offset 48213428, with 51 bytes that nobody else has"),
        ],
    );
    crashed.successor = Some(host(1));
    crashed.outage_ms = Some(541);
    crashed.repair_ms = Some(295);
    let witness = |last, ago| Witness {
        address: host(last),
        reachable: true,
        link_up: Some(false),
        heard_ms_ago: Some(ago),
    };
    crashed.evidence = Some(Evidence {
        observer: 1,
        last_answer_ms: Some(crash),
        suspected_ms: Some(crash + 27),
        votes: vec![1, 2, 3],
        needed: 2,
        witnesses: vec![witness(1, 351), witness(2, 360)],
        master_offset: Some(48_213_428),
        master_offset_ms: Some(crash),
        asked_at: None,
    });
    let copy = |last, offset| Copy { address: host(last), at_ms: crash + 349, offset, counts: true };
    crashed.copies = vec![copy(1, 48_213_377), copy(2, 48_209_112)];
    crashed.receipt = Receipt {
        master_offset: Some(48_213_428),
        successor_offset: Some(48_213_377),
        waits_kept: Some(true),
        returned_ms: Some(crash + 61_000),
        divergent_bytes: Some(51),
        saved_as: Some("divergent-3f0c-48213377-48213428.resp".into()),
        ..Receipt::default()
    };
    crashed.receipt.settle();
    let asked = at - 86_000_000;
    let mut manual = incident(
        1402,
        "manual",
        Outcome::Ended,
        &[
            (asked, Began, Some(3), "cause: manual, asked for at sentinel 2"),
            (asked + 4, Stopped, Some(3), "at offset 40100200"),
            (asked + 17, Frozen, Some(1), "at offset 40100200"),
            (asked + 18, Chosen, Some(1), "asked for by name, at offset 40100200"),
            (asked + 22, Promoted, Some(1), ""),
            (asked + 22, Published, Some(1), "clients are told, epoch 1402"),
            (asked + 25, Told, Some(3), ""),
            (asked + 108, InSync, Some(3), "replica number 1"),
            (asked + 140, InSync, Some(2), "replica number 2"),
            (asked + 140, Ended, None, "every replica that can be reached follows"),
        ],
    );
    manual.successor = Some(host(1));
    manual.target = Some(host(1));
    manual.outage_ms = Some(22);
    manual.repair_ms = Some(140);
    manual.receipt = Receipt {
        master_offset: Some(40_100_200),
        master_stopped: true,
        successor_offset: Some(40_100_200),
        waits_kept: Some(true),
        ..Receipt::default()
    };
    manual.receipt.settle();
    let silent = at - 172_800_000;
    let mut given_up = incident(
        1207,
        "silent",
        Outcome::Aborted,
        &[
            (silent, LastAnswer, Some(3), ""),
            (silent + 2500, Suspected, Some(3), "by sentinel 1"),
            (silent + 5004, Down, Some(3), ""),
            (silent + 5004, Quorum, Some(3), "quorum 2/2"),
            (silent + 5004, Began, Some(3), "cause: silent"),
            (silent + 5600, Aborted, None, "the master answers again as it was"),
        ],
    );
    given_up.earlier_attempts = 2;
    given_up.reason = Some("the master answers again as it was".into());
    given_up.receipt.settle();
    vec![Arc::new(crashed), Arc::new(manual), Arc::new(given_up)]
}
