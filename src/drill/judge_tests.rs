//! Records with a known story, and the scorecards they must give.

use super::*;
use crate::drill::record::Holding;
use crate::model::drill::Scenario;
use crate::model::event::Event;

const START_MS: u64 = 1_795_300_000_000;
const FAULT_US: u64 = 1_000_000;

fn address(port: u16) -> Address {
    Address::new("127.0.0.1", port)
}

fn event(id: u64, after_fault_ms: u64, kind: EventKind, about: u16) -> Event {
    Event {
        id,
        at_ms: START_MS + FAULT_US / 1000 + after_fault_ms,
        kind,
        group: "m".into(),
        epoch: 2,
        instance: Some(address(about)),
        payload: String::new(),
        details: Vec::new(),
    }
}

/// A write every 10 ms; between 1.0 s and 1.4 s nobody answers; then the successor does.
pub(in crate::drill) fn killed() -> Record {
    let mut attempts = Vec::new();
    for number in 1..=200u64 {
        let sent_us = number * 10_000;
        let silent = (FAULT_US..FAULT_US + 400_000).contains(&sent_us);
        let server = usize::from(sent_us > FAULT_US);
        attempts.push(Attempt {
            number,
            sent_us,
            acknowledged_us: (!silent).then_some(sent_us + 500),
            server,
            replicas: (!silent).then_some((2, sent_us + 900)),
            error: silent.then(|| "connection refused".to_owned()),
        });
    }
    let numbers: BTreeSet<u64> =
        attempts.iter().filter(|a| a.acknowledged_us.is_some()).map(|a| a.number).collect();
    let holding = |server| Holding {
        server,
        numbers: Some(numbers.clone()),
        baseline: Some(100),
        is_master: server == 1,
    };
    Record {
        id: 7,
        name: String::new(),
        group: "m".into(),
        scenario: Scenario::Kill,
        live: false,
        slo_gap_ms: Some(500),
        down_after_ms: 1000,
        sync_quorum: 1,
        replicas: 2,
        sentinels: 3,
        started_ms: START_MS,
        fault_us: Some(FAULT_US),
        ended_us: 3_000_000,
        servers: vec![address(1), address(2), address(3)],
        old_master: address(1),
        events: vec![
            event(1, 310, EventKind::SDown, 1),
            event(2, 311, EventKind::ODown, 1),
            event(3, 311, EventKind::TryFailover, 1),
            event(4, 350, EventKind::SelectedReplica, 2),
            event(5, 380, EventKind::PromotedReplica, 2),
            event(6, 380, EventKind::SwitchMaster, 2),
        ],
        attempts,
        in_sync_us: Some(2_500_000),
        doubts: Vec::new(),
        named: vec![(address(101), Some(address(2))), (address(102), Some(address(2)))],
        holdings: (0..3).map(holding).collect(),
        baseline: 100,
        late_acknowledged: Some(0),
        returned: None,
        trouble: None,
        version: "0".into(),
    }
}

fn broken(card: &Scorecard) -> Vec<&str> {
    card.checks.iter().filter(|check| !check.passed).map(|check| check.name.as_str()).collect()
}

#[test]
fn a_clean_failover_passes_with_its_gap_and_its_steps() {
    let card = judge(&killed());
    assert_eq!((card.verdict, broken(&card)), (Verdict::Passed, vec![]), "{}", card.summary);
    // From 0.99 s + 0.5 ms to 1.40 s + 0.5 ms.
    assert_eq!(card.gap_us, Some(410_000));
    assert_eq!(card.promised_gap_us, Some(410_000));
    let steps: Vec<(&str, i64)> = card.steps.iter().map(|s| (s.name.as_str(), s.at_us / 1000)).collect();
    assert_eq!(
        steps,
        [
            ("fault", 0),
            ("suspected", 310),
            ("agreed", 311),
            ("begun", 311),
            ("chosen", 350),
            ("promoted", 380),
            ("published", 380),
            ("first-write", 400),
            ("in-sync", 1500),
        ]
    );
    assert_eq!((card.writes.attempted, card.writes.failed, card.writes.lost), (200, 40, 0));
    assert_eq!(card.errors, [("connection refused".to_owned(), 40)]);
    let told: u64 = card.lane.slots.iter().map(|slot| u64::from(slot.acknowledged)).sum();
    // The window is the gap with a margin on both sides; the writes come every 10 ms.
    assert!((20..40).contains(&told) && card.lane.slots.len() <= 161, "{told}");
    assert_eq!(card.new_master, Some(address(2)));
}

#[test]
fn a_longer_stall_after_the_first_write_is_the_gap_but_not_the_first_write() {
    let mut record = killed();
    for attempt in &mut record.attempts {
        if (1_500_000..1_950_000).contains(&attempt.sent_us) {
            attempt.acknowledged_us = None;
            attempt.replicas = None;
        }
    }
    let card = judge(&record);
    assert_eq!((card.gap_us, card.gap_from_us), (Some(460_000), Some(490_500)));
    let first = card.steps.iter().find(|step| step.name == "first-write").unwrap();
    assert_eq!(first.at_us, 400_500);
}

#[test]
fn a_missed_objective_is_told_apart_from_a_broken_promise() {
    let card = judge(&Record { slo_gap_ms: Some(1), ..killed() });
    assert_eq!((card.verdict, broken(&card)), (Verdict::SloMissed, vec!["slo-gap"]));
    assert!(card.summary.contains("410 ms") && card.summary.contains("1.0 ms"), "{}", card.summary);
    assert_eq!(judge(&Record { slo_gap_ms: None, ..killed() }).verdict, Verdict::Passed);
}

#[test]
fn one_promised_write_that_is_gone_fails_the_drill_whatever_its_gap() {
    let mut record = killed();
    for holding in &mut record.holdings {
        holding.numbers.as_mut().unwrap().remove(&50);
    }
    let card = judge(&record);
    assert_eq!((card.verdict, broken(&card)), (Verdict::Failed, vec!["no-loss"]));
    assert!(card.summary.contains("numbers 50"), "{}", card.summary);
    assert_eq!(card.writes.lost, 1);
}

#[test]
fn a_write_without_the_promise_may_be_lost_and_is_counted() {
    let mut record = killed();
    record.attempts[60].replicas = Some((0, 620_000));
    for holding in &mut record.holdings {
        holding.numbers.as_mut().unwrap().remove(&61);
    }
    let card = judge(&record);
    assert_eq!(card.verdict, Verdict::Passed, "{}", card.summary);
    assert_eq!((card.writes.lost, card.writes.lost_unpromised), (0, 1));
}

/// Each row breaks one thing, and that thing is named.
#[test]
fn whatever_is_broken_is_named() {
    type Break = fn(&mut Record);
    let rows: &[(&str, Break)] = &[
        ("writes-came-back", |r| {
            r.attempts.retain(|a| a.sent_us < FAULT_US);
            r.holdings.iter_mut().for_each(|h| h.numbers = Some((1..100).collect()));
        }),
        ("sentinels-agree", |r| r.named[0].1 = Some(address(1))),
        ("one-master", |r| r.holdings[0].is_master = true),
        ("master-moved", |r| r.events.retain(|e| e.kind != EventKind::SwitchMaster)),
        ("same-data", |r| {
            r.holdings[2].numbers.as_mut().unwrap().remove(&10);
        }),
        ("nobody-wiped", |r| r.holdings[0].baseline = Some(0)),
        ("old-master-silent", |r| r.late_acknowledged = Some(3)),
        ("came-to-rest", |r| r.in_sync_us = None),
        ("enough-writes", |r| r.sync_quorum = 3),
        ("no-loss", |r| r.holdings[1].numbers = None),
        ("returned", |r| r.returned = Some(Err("no replica caught up".into()))),
    ];
    for (name, break_it) in rows {
        let mut record = killed();
        break_it(&mut record);
        let card = judge(&record);
        assert_eq!(card.verdict, Verdict::Failed, "{name}");
        assert!(broken(&card).contains(name), "{name}: {:?}", broken(&card));
    }
}

#[test]
fn a_flapping_master_that_is_replaced_fails_and_one_that_stays_passes() {
    let mut record = Record { scenario: Scenario::Flap, ..killed() };
    assert!(broken(&judge(&record)).contains(&"master-stayed"));
    record.events.clear();
    record.attempts.iter_mut().for_each(|attempt| attempt.server = 0);
    assert_eq!(judge(&record).verdict, Verdict::Passed);
}

#[test]
fn trouble_is_neither_success_nor_failure() {
    let card = judge(&Record { trouble: Some("no port was free".into()), ..killed() });
    assert_eq!(card.verdict, Verdict::Aborted);
    assert_eq!(crate::drill::exit_status(std::slice::from_ref(&card)), 2);
    let passed = judge(&killed());
    assert_eq!(crate::drill::exit_status(std::slice::from_ref(&passed)), 0);
    let failed = judge(&Record { slo_gap_ms: Some(1), ..killed() });
    assert_eq!(crate::drill::exit_status(&[passed, card, failed]), 1);
}

#[test]
fn a_record_of_nothing_is_a_scorecard_all_the_same() {
    let empty = Record {
        attempts: Vec::new(),
        events: Vec::new(),
        holdings: Vec::new(),
        named: Vec::new(),
        servers: Vec::new(),
        fault_us: None,
        in_sync_us: None,
        ..killed()
    };
    let card = judge(&empty);
    assert_eq!((card.verdict, card.gap_us), (Verdict::Failed, None));
}
