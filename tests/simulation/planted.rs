//! Known bugs, planted one at a time: a checker that cannot catch them is worth nothing. Each names the
//! seeds within which it must be caught.

use super::schedule::Plan;
use super::sweep::sweep;

struct Planted {
    name: &'static str,
    plant: fn(&mut Plan),
    seeds_max: u64,
}

macro_rules! planted {
    ($($place:ident . $name:ident within $seeds:literal,)*) => {
        &[$(Planted {
            name: stringify!($name),
            plant: |plan| plan.$place.$name = true,
            seeds_max: $seeds,
        },)*]
    };
}

const BUGS: &[Planted] = planted![
    bugs.epoch_reused within 1000,
    bugs.offsets_before_freeze within 1000,
    bugs.old_master_competes within 1000,
    bugs.lease_not_awaited within 1000,
    bugs.rule_ignored within 1000,
    bugs.least_is_chosen within 1000,
    bugs.unsynced_is_eligible within 1000,
    bugs.any_history_counts within 1000,
    bugs.restarted_members_count within 1000,
    bugs.lease_never_shortened within 1000,
    bugs.stale_answers within 1000,
    bugs.behind_is_fresh within 1000,
    bugs.acts_unconfirmed within 1000,
    bugs.sets_settle_at_once within 1000,
    bugs.restarted_master_kept within 1000,
    bugs.witnesses_ignored within 1000,
    bugs.one_vote_is_enough within 1000,
    bugs.told_before_agreed within 1000,
    bugs.strays_left_alone within 1000,
    bugs.any_stamp_counts within 1000,
    bugs.old_leases_forgotten within 1000,
    bugs.event_number_reused within 1000,
    bugs.dated_by_own_clock within 1000,
    bugs.handover_not_awaited within 1000,
    bugs.handover_not_fenced within 1000,
    node_bugs.unchecked_replies within 1000,
    node_bugs.takes_any_resync within 1000,
    node_bugs.fence_is_talk within 1000,
    node_bugs.epoch_in_memory within 1000,
    node_bugs.boots_as_master within 1000,
    node_bugs.counts_strangers within 1000,
    node_bugs.counts_old_epochs within 1000,
    node_bugs.lease_from_receipt within 1000,
    node_bugs.obeys_the_past within 1000,
    node_bugs.acknowledges_when_fenced within 1000,
    node_bugs.second_offset_ignored within 1000,
    node_bugs.acknowledges_too_much within 1000,
    node_bugs.replicas_vouch_for_ever within 1000,
    shell_bugs.forgets_votes within 1000,
    shell_bugs.forgets_entries within 1000,
    shell_bugs.keeps_replaced_entries within 1000,
    shell_bugs.sends_before_sync within 1000,
];

/// A world that the bug is to be seen in: the promises are those of bundled servers in safe mode.
fn shape(seed: u64, plant: fn(&mut Plan)) -> Plan {
    let mut plan = Plan { bundled: true, safe: true, spares: 0, core: false, ..Plan::from_seed(seed) };
    plant(&mut plan);
    plan
}

#[test]
fn every_planted_bug_is_caught() {
    let only = std::env::var("VEDETTE_BUG").ok();
    let stride = if cfg!(debug_assertions) { 8 } else { 1 };
    let mut missed = Vec::new();
    for bug in BUGS.iter().filter(|bug| only.as_ref().is_none_or(|only| only == bug.name)).step_by(stride) {
        let (failure, totals) =
            sweep(1, |seed| shape(seed, bug.plant), |totals| totals.seeds >= bug.seeds_max);
        match failure {
            Some((plan, outcome)) => {
                let text = outcome.failure.unwrap_or_default();
                println!("{}: caught at seed {}: {text}", bug.name, plan.seed);
            }
            None => {
                println!("{}: not caught in {} seeds", bug.name, totals.seeds);
                missed.push(bug.name);
            }
        }
    }
    assert!(missed.is_empty(), "not caught: {}", missed.join(", "));
    assert!(BUGS.len() >= 25);
}

/// `VEDETTE_BUG=<name>` replays a seed with that bug planted.
pub fn from_environment(plan: &mut Plan) {
    let wanted = std::env::var("VEDETTE_BUG").unwrap_or_default();
    if let Some(bug) = BUGS.iter().find(|bug| bug.name == wanted) {
        *plan = Plan { bugs: plan.bugs, ..shape(plan.seed, bug.plant) };
        (bug.plant)(plan);
    }
}
