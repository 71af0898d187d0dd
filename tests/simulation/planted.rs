//! Known bugs, planted one at a time: a checker that cannot catch them is worth nothing. Each names the
//! seeds within which it must be caught.

use super::schedule::Plan;
use super::sweep::{number, shape_asked, sweep};

struct Planted {
    name: &'static str,
    plant: fn(&mut Plan),
    seeds_max: u64,
    /// The worlds that it shows itself in.
    shape: fn(u64) -> Plan,
}

macro_rules! planted {
    ($($place:ident . $name:ident within $seeds:literal $($dense:ident)?,)*) => {
        &[$(Planted {
            name: stringify!($name),
            plant: |plan| plan.$place.$name = true,
            seeds_max: $seeds,
            shape: planted!(@ $($dense)?),
        },)*]
    };
    (@ dense) => { Plan::dense };
    (@) => { Plan::from_seed };
}

const BUGS: &[Planted] = planted![
    bugs.epoch_reused within 60,
    bugs.old_master_competes within 200,
    bugs.lease_not_awaited within 150,
    bugs.rule_ignored within 1000,
    bugs.stale_answers within 150,
    bugs.restarted_master_kept within 200,
    bugs.one_vote_is_enough within 100,
    bugs.strays_left_alone within 60,
    bugs.event_number_reused within 80,
    bugs.dated_by_own_clock within 20,
    bugs.handover_not_fenced within 60,
    node_bugs.fence_is_talk within 400,
    node_bugs.epoch_in_memory within 150,
    node_bugs.boots_as_master within 100,
    node_bugs.lease_from_receipt within 80,
    node_bugs.acknowledges_when_fenced within 150,
    node_bugs.second_offset_ignored within 80,
    node_bugs.acknowledges_too_much within 150,
    node_bugs.replicas_vouch_for_ever within 200,
    node_bugs.gaps_unnoticed within 200,
    node_bugs.history_kept within 200,
    node_bugs.lease_ignored within 200,
    node_bugs.wait_counts_links within 200,
    node_bugs.resync_is_short within 200,
    shell_bugs.forgets_votes within 20,
    shell_bugs.forgets_entries within 20,
    bugs.offsets_before_freeze within 40 dense,
    bugs.least_is_chosen within 20 dense,
    bugs.unsynced_is_eligible within 30 dense,
    bugs.any_history_counts within 30 dense,
    bugs.old_leases_forgotten within 40 dense,
    node_bugs.unchecked_replies within 20 dense,
    node_bugs.takes_any_resync within 20 dense,
    node_bugs.counts_strangers within 150 dense,
    shell_bugs.keeps_replaced_entries within 30 dense,
];

/// Those that no run of a few hundred seeds has caught yet: each needs a coincidence. Only a run that names one
/// looks for it (`VEDETTE_BUG=name`).
const SOUGHT: &[Planted] = planted![
    bugs.restarted_members_count within 5000,
    bugs.any_stamp_counts within 5000 dense,
    bugs.lease_never_shortened within 5000,
    bugs.behind_is_fresh within 5000,
    bugs.acts_unconfirmed within 5000,
    bugs.sets_settle_at_once within 5000,
    bugs.witnesses_ignored within 5000,
    bugs.told_before_agreed within 5000,
    bugs.handover_not_awaited within 5000,
    node_bugs.counts_old_epochs within 5000,
    node_bugs.obeys_the_past within 5000,
    shell_bugs.sends_before_sync within 5000,
];

/// A world that the bug is to be seen in: the promises are those of bundled servers in safe mode.
fn shape(seed: u64, bug: &Planted) -> Plan {
    let drawn = shape_asked(bug.shape)(seed);
    let mut plan = Plan { bundled: true, safe: true, spares: 0, core: false, ..drawn };
    (bug.plant)(&mut plan);
    plan
}

#[test]
fn every_planted_bug_is_caught() {
    let only = std::env::var("VEDETTE_BUG").ok();
    let stride = if cfg!(debug_assertions) { 9 } else { 1 };
    let mut missed = Vec::new();
    let chosen: Vec<&Planted> = match &only {
        Some(name) => BUGS.iter().chain(SOUGHT).filter(|bug| bug.name == name).collect(),
        None => BUGS.iter().step_by(stride).collect(),
    };
    for bug in chosen {
        let most = bug.seeds_max.min(number("VEDETTE_SEEDS").unwrap_or(u64::MAX));
        let (failure, totals) = sweep(1, |seed| shape(seed, bug), |totals| totals.seeds >= most);
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
    if let Some(bug) = BUGS.iter().chain(SOUGHT).find(|bug| bug.name == wanted) {
        *plan = shape(plan.seed, bug);
    }
}
