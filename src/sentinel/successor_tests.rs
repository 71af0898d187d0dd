//! Table tests of the choice and of the promotion rule.

use super::*;
use crate::sentinel::decision::{Decision, Entry};
use crate::sentinel::ledger::{Ledger, Rule, SyncSet};
use crate::sentinel::settings::Settings;
use std::collections::BTreeMap;

fn address(port: u16) -> Address {
    Address::new("h", port)
}

fn run(port: u16) -> RunId {
    RunId::parse(&format!("run-{port}")).unwrap()
}

fn group() -> Group {
    let mut ledger = Ledger::default();
    let monitor = Decision::Monitor {
        group: "m".into(),
        address: address(1),
        settings: Settings::with_quorum(2),
        configured: false,
    };
    ledger.apply(1, &Entry { at_ms: 0, by: 1, decisions: vec![monitor] });
    let mut group = ledger.groups["m"].clone();
    group.history = ReplId::parse("now");
    group
}

fn frozen(port: u16, history: &str, offset: Offset) -> (Address, Frozen) {
    let frozen = Frozen {
        run_id: run(port),
        history: ReplId::parse(history),
        offset,
        history2: None,
        offset2: 0,
        synced: true,
        priority: 100,
        at: crate::stdx::time::Instant::ZERO,
        heard_at: None,
    };
    (address(port), frozen)
}

#[test]
fn the_largest_offset_of_the_agreed_history_wins() {
    let group = group();
    let foreign = frozen(2, "other", 900);
    let mut empty = frozen(3, "now", 800);
    empty.1.synced = false;
    let (behind, ahead) = (frozen(4, "now", 10), frozen(5, "now", 20));
    let all = [foreign.clone(), empty.clone(), behind.clone(), ahead.clone()];
    assert_eq!(choose(&group, &all, None, false), Choice::Promote(address(5), 20));
    assert!(matches!(choose(&group, &[foreign, empty], None, true), Choice::Nobody(_)));
    // A wish is granted among equals only.
    assert!(matches!(choose(&group, &all, Some(&address(4)), false), Choice::Nobody(_)));
}

#[test]
fn priority_breaks_ties_and_zero_is_never_master() {
    let group = group();
    let (mut low, mut never) = (frozen(5, "now", 20), frozen(3, "now", 20));
    low.1.priority = 1;
    never.1.priority = 0;
    let plain = frozen(4, "now", 20);
    let all = [never.clone(), plain.clone(), low];
    assert_eq!(choose(&group, &all, None, false), Choice::Promote(address(5), 20));
    assert_eq!(choose(&group, &all, Some(&address(4)), false), Choice::Promote(address(4), 20));
    // It alone holds the tail: nobody else may be promoted over it unless the loss is taken.
    never.1.offset = 30;
    assert!(matches!(choose(&group, &[never.clone(), plain.clone()], None, false), Choice::Nobody(_)));
    assert_eq!(choose(&group, &[never, plain], None, true), Choice::Promote(address(4), 20));
}

#[test]
fn every_set_that_may_have_promised_must_be_met() {
    let set = |version, quorum, ports: &[u16]| SyncSet {
        version,
        quorum,
        members: ports.iter().map(|port| (address(*port), run(*port))).collect(),
    };
    let have = |ports: &[u16]| -> BTreeMap<Address, RunId> {
        ports.iter().map(|port| (address(*port), run(*port))).collect()
    };
    let mut group = group();
    assert_eq!(group.promotion_rule(&have(&[2, 3])), Rule::NobodyInSync);
    for (quorum, members, frozen, met) in [
        (1, &[2u16][..], &[2u16][..], true),
        (1, &[2, 3], &[2], false),
        (1, &[2, 3], &[2, 3], true),
        (2, &[2, 3, 4, 5], &[2, 3], false),
        (2, &[2, 3, 4, 5], &[2, 3, 4], true),
        (2, &[2], &[2], true),
    ] {
        group.sets = vec![set(2, quorum, members)];
        assert_eq!(group.promotion_rule(&have(frozen)) == Rule::Met, met, "{members:?} {frozen:?}");
    }
    // A removed member counts until the removal is settled.
    group.sets = vec![set(2, 1, &[2, 3]), set(3, 1, &[2])];
    assert_eq!(group.promotion_rule(&have(&[2])), Rule::Short { frozen: 1, needed: 2 });
    // Another process at a member's address may have forgotten what it acknowledged.
    group.sets = vec![set(2, 1, &[2])];
    let restarted = BTreeMap::from([(address(2), run(9))]);
    assert_eq!(group.promotion_rule(&restarted), Rule::Short { frozen: 0, needed: 1 });
}

/// Found by the simulator: a server that slept through two failovers had the last copy, and was taken
/// for a stranger.
#[test]
fn an_older_history_counts_up_to_its_earliest_branch() {
    let mut group = group();
    let branch = |history: &str, up_to| crate::sentinel::ledger::Ancestor {
        history: ReplId::parse(history).unwrap(),
        up_to,
    };
    group.ancestors = [branch("second", 700), branch("first", 400)].into();
    assert_eq!(frozen(2, "first", 900).1.holds(&group), Some(400));
    assert_eq!(frozen(2, "first", 300).1.holds(&group), Some(300));
    assert_eq!(frozen(2, "second", 900).1.holds(&group), Some(700));
    assert_eq!(frozen(2, "stranger", 900).1.holds(&group), None);
}

#[test]
fn the_last_resort_is_the_largest_completed_copy_that_may_be_master() {
    let mut half = frozen(2, "a", 900);
    half.1.synced = false;
    let mut never = frozen(3, "b", 800);
    never.1.priority = 0;
    let all: BTreeMap<_, _> = [half.clone(), never.clone(), frozen(4, "c", 10), frozen(5, "d", 20)].into();
    assert_eq!(last_resort(&all), Some((address(5), 20)));
    assert_eq!(last_resort(&[half, never, frozen(6, "e", 0)].into()), None);
}
