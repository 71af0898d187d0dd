//! Known bugs, planted one at a time: a checker that cannot catch them is worth nothing.

use super::sweep;
use vedette::sentinel::Bugs;

/// Each must be caught within this many seeds.
const SEEDS_MAX: u64 = 2_000;

fn caught(name: &str, bugs: &Bugs, promise: &str) {
    let (failure, ..) = sweep(1, SEEDS_MAX, bugs);
    let Some((seed, outcome)) = failure else { panic!("{name} was not caught in {SEEDS_MAX} seeds") };
    let text = outcome.failure.unwrap_or_default();
    println!("{name}: caught at seed {seed}: {text}");
    assert!(text.starts_with(promise), "{name} should break {promise}, but: {text}");
}

#[test]
fn an_epoch_that_is_not_persisted_is_caught() {
    caught("epoch not persisted", &Bugs { epoch_reused: true, ..Bugs::default() }, "P");
}

#[test]
fn offsets_read_before_the_freeze_are_caught() {
    caught("offsets read before the freeze", &Bugs { offsets_before_freeze: true, ..Bugs::default() }, "P");
}

#[test]
fn an_old_master_that_competes_is_caught() {
    caught("old master's offset competes", &Bugs { old_master_competes: true, ..Bugs::default() }, "P");
}

/// `VEDETTE_BUG=epoch|offsets|master` replays a seed with that bug planted.
pub fn from_environment() -> Bugs {
    let mut bugs = Bugs::default();
    match std::env::var("VEDETTE_BUG").as_deref() {
        Ok("epoch") => bugs.epoch_reused = true,
        Ok("offsets") => bugs.offsets_before_freeze = true,
        Ok("master") => bugs.old_master_competes = true,
        _ => {}
    }
    bugs
}
