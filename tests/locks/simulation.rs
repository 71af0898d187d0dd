//! What a lock promises, over dozens of seeded worlds; and worlds outside its conditions, in which the
//! same checks must find something, or they check nothing.

use super::world::{Weather, World};

/// `VEDETTE_LOCK_SEEDS` asks for more.
fn seeds() -> u64 {
    std::env::var("VEDETTE_LOCK_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(15)
}

/// In every world; returns how often the lock was held.
#[track_caller]
fn every_world(weather: &Weather, check: impl Fn(&World, u64)) -> usize {
    let mut held = 0;
    for seed in 0..seeds() {
        let world = World::run(seed, weather.clone());
        check(&world, seed);
        held += world.tenures.len();
    }
    held
}

fn exclusive_and_fenced(world: &World, seed: u64) {
    assert!(world.overlaps().is_empty(), "seed {seed}: two holders at once: {:?}", world.overlaps());
    fenced(world, seed);
}

fn fenced(world: &World, seed: u64) {
    assert!(world.misfenced().is_empty(), "seed {seed}: fences do not grow: {:?}", world.misfenced());
}

/// Clocks within the drift, messages late and lost, holders that stand still for longer than the ttl.
#[test]
fn nobody_holds_it_beside_another_while_clocks_keep_their_pace() {
    for (servers, pause_ms) in [(3, 0), (3, 5000), (5, 5000), (1, 3000)] {
        let weather = Weather { servers, pause_ms, ..Weather::default() };
        let held = every_world(&weather, exclusive_and_fenced);
        assert!(held > 100, "{held} tenures with {servers} servers are no test");
    }
}

/// Servers restart and have forgotten every lock; they keep their fences (appendonly).
#[test]
fn a_server_that_forgot_does_not_count_until_what_it_forgot_is_over() {
    let weather =
        Weather { restarts: true, forgets: true, pause_ms: 3000, run_ms: 240_000, ..Weather::default() };
    let held = every_world(&weather, exclusive_and_fenced);
    println!("{held} tenures while servers forget");
    assert!(held > 100, "{held} tenures are no test");
    // Trusted at once, such a server lets two in: the guard is what keeps them apart.
    let trusting = Weather { guard_ms: 0, ..weather };
    let overlaps: usize = (0..seeds()).map(|seed| World::run(seed, trusting.clone()).overlaps().len()).sum();
    assert!(overlaps > 0, "restarts without a guard harmed nobody: the check sees nothing");
}

/// Clocks that run at half or double the pace: time alone excludes nobody any more, and the fence still tells holders apart.
#[test]
fn fences_grow_whatever_the_clocks_do() {
    for servers in [3, 5] {
        let weather =
            Weather { servers, pace_error: 6000, pause_ms: 4000, restarts: true, ..Weather::default() };
        let (mut overlaps, mut held) = (0, 0);
        for seed in 0..seeds() {
            let world = World::run(seed, weather.clone());
            fenced(&world, seed);
            overlaps += world.overlaps().len();
            held += world.tenures.len();
        }
        println!("wild clocks, {servers} servers: {overlaps} overlaps in {held} tenures");
        assert!(overlaps > 0, "wild clocks harmed nobody: the check sees nothing");
    }
}

/// Servers that lose their fences break the promise; that they must keep them is a condition, not a wish.
#[test]
fn fences_need_a_majority_that_keeps_its_data() {
    let weather = Weather {
        restarts: true,
        forgets: true,
        forgets_fences: true,
        run_ms: 240_000,
        ..Weather::default()
    };
    let wrong: usize = (0..seeds()).map(|seed| World::run(seed, weather.clone()).misfenced().len()).sum();
    assert!(wrong > 0, "lost fences were not noticed: the check sees nothing");
}

/// Why a resource must look at the fence: a write that was sent in time arrives after the next holder's.
#[test]
fn a_write_that_arrives_late_is_told_by_its_fence_only() {
    let weather = Weather { pause_ms: 5000, late_ms: 3000, ..Weather::default() };
    let (mut late, mut writes) = (0, 0);
    for seed in 0..seeds() {
        let world = World::run(seed, weather.clone());
        exclusive_and_fenced(&world, seed);
        let mut greatest = 0;
        for write in &world.writes {
            assert_eq!(write.accepted, write.fence >= greatest);
            greatest = greatest.max(write.fence);
        }
        writes += world.writes.len();
        late += world.writes.iter().filter(|write| !write.accepted).count();
    }
    println!("{late} of {writes} writes arrived after one of a later holder");
    assert!(late > 0, "no write was late: the resource had nothing to refuse");
}

/// One seed, one world.
#[test]
fn a_world_can_be_run_again() {
    let weather = Weather { pause_ms: 5000, restarts: true, ..Weather::default() };
    let told = |seed| format!("{:?}", World::run(seed, weather.clone()).tenures);
    assert_eq!(told(7), told(7));
    assert_ne!(told(7), told(8));
}
