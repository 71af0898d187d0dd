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
    let all = BTreeMap::from([foreign.clone(), empty.clone(), behind.clone(), ahead.clone()]);
    assert_eq!(choose(&group, &all, None, false), Choice::Promote(address(5), 20));
    assert!(matches!(choose(&group, &[foreign, empty].into(), None, true), Choice::Nobody(_)));
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
    let all = BTreeMap::from([never.clone(), plain.clone(), low]);
    assert_eq!(choose(&group, &all, None, false), Choice::Promote(address(5), 20));
    assert_eq!(choose(&group, &all, Some(&address(4)), false), Choice::Promote(address(4), 20));
    // It alone holds the tail: nobody else may be promoted over it unless the loss is taken.
    never.1.offset = 30;
    assert!(matches!(choose(&group, &[never.clone(), plain.clone()].into(), None, false), Choice::Nobody(_)));
    assert_eq!(choose(&group, &[never, plain].into(), None, true), Choice::Promote(address(4), 20));
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
    assert_eq!(last_resort(&group(), &all), Some((address(5), 20)));
    assert_eq!(last_resort(&group(), &[half, never, frozen(6, "e", 0)].into()), None);
}

#[test]
fn a_zone_breaks_what_priority_leaves_equal() {
    let mut group = group();
    group.settings.set("zones", "h:4=east,h:5=west").unwrap();
    group.settings.set("prefer-zone", "west").unwrap();
    let all = BTreeMap::from([frozen(4, "now", 20), frozen(5, "now", 20), frozen(6, "now", 20)]);
    assert_eq!(choose(&group, &all, None, false), Choice::Promote(address(5), 20));
    // The word about the server itself is stronger than the word about its place.
    let mut first = frozen(4, "now", 20);
    first.1.priority = 10;
    let all = BTreeMap::from([first, frozen(5, "now", 20)]);
    assert_eq!(choose(&group, &all, None, false), Choice::Promote(address(4), 20));
}

#[test]
fn one_that_is_preferred_and_behind_waits_for_its_turn() {
    let group = group();
    let (mut preferred, mut never) = (frozen(4, "now", 10), frozen(5, "now", 15));
    preferred.1.priority = 1;
    never.1.priority = 0;
    let all = BTreeMap::from([preferred, never, frozen(6, "now", 20), frozen(7, "other", 12)]);
    assert_eq!(choose(&group, &all, None, false), Choice::Promote(address(6), 20));
    assert_eq!(preferred_over(&group, &all, &address(6)), Some(address(4)));
    assert_eq!(preferred_over(&group, &all, &address(4)), None, "the best is not preferred");
}

#[test]
fn one_in_maintenance_is_not_chosen_but_its_offset_counts() {
    let mut group = group();
    let pause = crate::sentinel::ledger::Pause {
        owner: "ops".into(),
        reason: String::new(),
        since_ms: 0,
        until_ms: None,
    };
    group.policy.instances.insert(address(5), pause);
    let equal = BTreeMap::from([frozen(5, "now", 20), frozen(6, "now", 20)]);
    assert_eq!(choose(&group, &equal, None, false), Choice::Promote(address(6), 20));
    let ahead = BTreeMap::from([frozen(5, "now", 20), frozen(6, "now", 19)]);
    let Choice::Nobody(why) = choose(&group, &ahead, None, false) else { panic!("it lacks a byte") };
    assert!(why.contains("h:5 has 20 (in maintenance by ops)") && why.contains("h:6 has 19"), "{why}");
}
