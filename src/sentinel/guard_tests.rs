//! The blast-radius guard, group by group.

use super::*;
use crate::sentinel::decision::Entry;
use crate::sentinel::settings::Settings;

fn fleet(groups: u16) -> Ledger {
    let mut ledger = Ledger::default();
    let monitor = |at: u16| Decision::Monitor {
        group: format!("g{at}"),
        address: Address::new("h", at),
        settings: Settings::with_quorum(1),
        configured: false,
    };
    ledger.apply(1, &Entry { at_ms: 0, by: 1, decisions: (1..=groups).map(monitor).collect() });
    ledger
}

fn lose(guard: &mut FleetGuard, ledger: &Ledger, names: &[&str], at: Instant) {
    for name in names {
        guard.note(at, ledger.group(name).unwrap(), Verdict::Suspect, true);
    }
}

#[test]
fn more_than_the_part_is_a_blast_and_exactly_the_part_is_none() {
    let ledger = fleet(4);
    let mut guard = FleetGuard::default();
    let now = Instant::from_millis(1000);
    lose(&mut guard, &ledger, &["g1", "g2"], now);
    assert!(guard.view(now, &ledger, 50).blast.is_none());
    lose(&mut guard, &ledger, &["g3"], now + Duration::from_secs(20));
    let later = now + Duration::from_secs(21);
    let (groups, reason) = guard.view(later, &ledger, 50).blast.unwrap();
    assert_eq!(groups.len(), 3);
    assert_eq!(reason, "3 of 4 groups lost their master within 30 s, more than 50 %");
    // Off, and with too few groups, nothing is a blast.
    assert!(guard.view(later, &ledger, 0).blast.is_none());
    assert!(guard.view(later, &fleet(2), 10).blast.is_none());
    // Apart in time they were not lost together.
    assert!(guard.view(now + Duration::from_secs(40), &ledger, 50).blast.is_none());
}

#[test]
fn one_that_came_back_was_not_lost_and_one_that_failed_over_was() {
    let mut ledger = fleet(3);
    let mut guard = FleetGuard::default();
    let now = Instant::from_millis(1000);
    lose(&mut guard, &ledger, &["g1", "g2"], now);
    guard.note(now, &ledger.groups["g1"], Verdict::Well, true);
    assert!(guard.view(now, &ledger, 50).blast.is_none());
    lose(&mut guard, &ledger, &["g1"], now);
    ledger.groups.get_mut("g2").unwrap().master = Address::new("other", 1);
    guard.note(now, &ledger.groups["g2"], Verdict::Well, true);
    assert!(guard.view(now, &ledger, 50).blast.is_some());
}

#[test]
fn a_sentinel_that_just_started_has_seen_nobody_go() {
    let ledger = fleet(3);
    let mut guard = FleetGuard::default();
    let now = Instant::from_millis(1000);
    for group in ledger.groups.values() {
        guard.note(now, group, Verdict::Suspect, false);
    }
    assert!(guard.view(now, &ledger, 50).blast.is_none());
}

#[test]
fn a_hold_stands_until_they_are_back() {
    let mut ledger = fleet(3);
    let mut guard = FleetGuard::default();
    let now = Instant::from_millis(1000);
    lose(&mut guard, &ledger, &["g1", "g2"], now);
    let (groups, reason) = guard.view(now, &ledger, 50).blast.unwrap();
    let hold = Decision::Policy(PolicyDecision::HoldAll { groups, reason });
    let events = ledger.apply(2, &Entry { at_ms: 5, by: 1, decisions: vec![hold] });
    assert_eq!(events.len(), 1);
    // An hour later they are still gone.
    let later = now + Duration::from_secs(3600);
    assert!(!guard.cleared(later, &ledger, 50));
    assert!(holding(&ledger.groups["g3"], &guard.view(later, &ledger, 50), 0).is_some());
    let go_on = Decision::Policy(PolicyDecision::ReleaseAll { acknowledged: true });
    ledger.apply(3, &Entry { at_ms: 6, by: 1, decisions: vec![go_on] });
    assert_eq!(holding(&ledger.groups["g3"], &guard.view(now, &ledger, 50), 0), None, "known to a person");
    guard.note(later, &ledger.groups["g1"], Verdict::Well, true);
    assert!(guard.cleared(later, &ledger, 50));
}
