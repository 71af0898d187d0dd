//! Many seeds, side by side, and what they come to: the normal run, the long run, and the sample that is
//! run twice to see that a seed tells one story only.

use super::schedule::{Plan, draw, write};
use super::{Outcome, report, run, shrink::shrink, workers};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

#[derive(Default)]
pub struct Totals {
    pub seeds: u64,
    pub failovers: u64,
    pub switchovers: u64,
    pub virtual_us: u64,
}

/// Runs seeds from `first` on, as `shape` makes a world of each, until `enough` says so or one fails: the
/// lowest that failed, and the totals.
pub fn sweep(
    first: u64,
    shape: impl Fn(u64) -> Plan + Sync,
    enough: impl Fn(&Totals) -> bool + Sync,
) -> (Option<(Plan, Outcome)>, Totals) {
    let (next, stop) = (AtomicU64::new(first), AtomicBool::new(false));
    let found = Mutex::new(None::<(Plan, Outcome)>);
    let totals = Mutex::new(Totals::default());
    std::thread::scope(|scope| {
        for _ in 0..workers() {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    let plan = shape(seed);
                    let caught = std::panic::catch_unwind(|| run(plan.clone(), draw(&plan)));
                    let outcome = caught.unwrap_or_else(|panic| Outcome {
                        failure: Some(format!("panic: {}", message(&*panic))),
                        ..Outcome::default()
                    });
                    let mut totals = totals.lock().unwrap();
                    totals.seeds += 1;
                    totals.failovers += outcome.failovers;
                    totals.switchovers += outcome.switchovers;
                    totals.virtual_us += outcome.virtual_us;
                    if enough(&totals) {
                        stop.store(true, Ordering::Relaxed);
                    }
                    drop(totals);
                    if outcome.failure.is_some() {
                        stop.store(true, Ordering::Relaxed);
                        let mut found = found.lock().unwrap();
                        if found.as_ref().is_none_or(|(other, _)| seed < other.seed) {
                            *found = Some((plan, outcome));
                        }
                    }
                }
            });
        }
    });
    (found.into_inner().unwrap(), totals.into_inner().unwrap())
}

fn message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}

pub fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

/// `VEDETTE_SHAPE`: ordinary, dense, or mixed worlds.
pub fn shape_asked(usual: fn(u64) -> Plan) -> fn(u64) -> Plan {
    match std::env::var("VEDETTE_SHAPE").as_deref() {
        Ok("dense") => Plan::dense,
        Ok("mixed") => Plan::mixed,
        Ok("ordinary") => Plan::from_seed,
        _ => usual,
    }
}

/// `VEDETTE_SEEDS=<count>` or `VEDETTE_FAILOVERS=<count>` says how many; `VEDETTE_FIRST` where it begins.
#[test]
fn promises_hold_under_every_seed() {
    let (seeds, failovers) = (number("VEDETTE_SEEDS"), number("VEDETTE_FAILOVERS"));
    let usual = if cfg!(debug_assertions) { 40 } else { 600 };
    let seeds_max = seeds.unwrap_or(if failovers.is_some() { u64::MAX } else { usual });
    let failovers_max = failovers.unwrap_or(u64::MAX);
    let started = Instant::now();
    let told_at = Mutex::new(Instant::now());
    let summary = |totals: &Totals| {
        let (seconds, hours) = (started.elapsed().as_secs_f64(), totals.virtual_us as f64 / 3.6e9);
        format!(
            "{} seeds, {} failovers and {} switchovers, {hours:.1} simulated hours in {seconds:.0} s: {:.0} failovers/s, \
             {:.1} seeds/s, {:.1} simulated hours/min",
            totals.seeds,
            totals.failovers,
            totals.switchovers,
            totals.failovers as f64 / seconds,
            totals.seeds as f64 / seconds,
            hours / seconds * 60.0
        )
    };
    let shape = shape_asked(if failovers.is_some() { Plan::mixed } else { Plan::from_seed });
    let (failure, totals) = sweep(number("VEDETTE_FIRST").unwrap_or(1), shape, |totals| {
        let mut told_at = told_at.lock().unwrap();
        if told_at.elapsed().as_secs() >= 60 {
            *told_at = Instant::now();
            println!("{}", summary(totals));
        }
        totals.seeds >= seeds_max || totals.failovers >= failovers_max
    });
    if let Some((plan, outcome)) = failure {
        let faults = draw(&plan);
        // Cutting it down takes its time.
        println!("{}\nseed {} fails: {:?}", summary(&totals), plan.seed, outcome.failure);
        let (smaller, fewer) = shrink(&plan, &faults).unwrap_or((plan.clone(), faults));
        let kept = write(&smaller, &fewer);
        panic!(
            "{}\ncut down, for a file in tests/simulation/regressions:\n{kept}\nreplay: VEDETTE_SEED={} \
             cargo test --release simulation::replay -- --nocapture",
            report(&plan, &outcome),
            plan.seed
        );
    }
    println!("{}", summary(&totals));
    assert!(totals.failovers > totals.seeds / 4, "the swarm is too tame: {}", summary(&totals));
}

/// One in a hundred of what the run above takes, and at least a dozen.
#[test]
fn a_seed_tells_the_same_story_twice() {
    let count = (number("VEDETTE_SEEDS").unwrap_or(600) / 100).clamp(12, 1000);
    for seed in (1..=count).map(|n| n * 7) {
        let plan = if seed % 4 == 0 { Plan::dense(seed) } else { Plan::from_seed(seed) };
        let (first, second) = (run(plan.clone(), draw(&plan)), run(plan.clone(), draw(&plan)));
        assert_eq!(first.digest, second.digest, "seed {seed} is not deterministic");
        if cfg!(debug_assertions) && seed > 40 {
            break;
        }
    }
}
