//! The seeded world: sentinel cores with their Raft, modelled data nodes, virtual time. Each seed is
//! chaos first (safety watched throughout), then healing, then the demand that all converges.
//!
//! A failing seed prints itself; `VEDETTE_SEED=<n> cargo test --release simulation::replay -- --nocapture`
//! runs it again with its story. `VEDETTE_SEEDS=<count>` sets how many seeds the run takes.

mod adapter;
mod checkers;
mod client;
mod data_node;
mod faults;
mod network;
mod planted;
mod world;

use vedette::sentinel::Bugs;
use world::{Plan, World};

const MS: u64 = 1000;
const SECOND: u64 = 1_000_000;
/// P6: once nothing fails any more, all has converged within this.
const CONVERGE_US: u64 = 40 * SECOND;

pub struct Outcome {
    pub failure: Option<String>,
    pub trace: Vec<(u64, String)>,
    pub failovers: u64,
    pub acknowledged: u64,
    pub virtual_us: u64,
    /// A hash of the whole story: the same seed must tell it again.
    pub digest: u64,
}

pub fn run_seed(seed: u64, bugs: Bugs) -> Outcome {
    let mut plan = Plan::from_seed(seed);
    plan.bugs = bugs;
    let mut swarm = faults::Swarm::new(seed, plan.spares);
    let mut world = World::new(plan);
    // Quiet first: the group is found and its replicas are counted.
    world.run_until(4 * SECOND);
    let chaos_end = world.now_us + world.rng.u64(10..30) * SECOND;
    while world.now_us < chaos_end && !world.checkers.failed() {
        let next = world.now_us + swarm.gap_us();
        world.run_until(next.min(chaos_end));
        swarm.strike(&mut world);
    }
    heal(&mut world);
    let deadline = world.now_us + CONVERGE_US;
    let mut calm_us = 0;
    while !world.checkers.failed() && calm_us < SECOND {
        let why = unsettled(&world);
        calm_us = if why.is_some() { 0 } else { calm_us + 100 * MS };
        if world.now_us > deadline {
            if let Some(why) = why {
                world.checkers.fail(format!(
                    "P6: not converged {} s after the last fault: {why}",
                    CONVERGE_US / SECOND
                ));
            }
            break;
        }
        let next = world.now_us + 100 * MS;
        world.run_until(next);
    }
    if !world.checkers.failed()
        && let Some(first) = world.voters().ok().and_then(|voters| voters.first().copied())
        && let Some(master) = world.agreed(first).and_then(|(address, _)| world.node_at(&address))
    {
        let data = world.nodes[master].node.data.clone();
        let held = world.held_anywhere();
        world.checkers.at_rest(&data, &held);
    }
    let digest = world.trace.iter().fold(world.now_us, |hash, (at, text)| {
        text.bytes().fold(hash ^ at, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
    });
    Outcome {
        failure: world.checkers.failure().map(str::to_owned),
        failovers: world.checkers.failovers,
        acknowledged: world.checkers.acknowledged_count,
        virtual_us: world.now_us,
        digest,
        trace: world.trace,
    }
}

fn heal(world: &mut World) {
    world.note("--- faults stop ---".into());
    world.heal_network();
    for host in 0..world.client_host() {
        world.resume(host);
        let at = world.now_us + 10 * MS;
        world.schedule(at, world::Event::Restart { host, keep_data: true, keep_dir: true });
    }
}

/// Why the world is not yet as it should be, if so.
fn unsettled(world: &World) -> Option<String> {
    let mut named = None;
    let voters = match world.voters() {
        Ok(voters) => voters,
        Err(why) => return Some(why),
    };
    for index in voters {
        let Some((address, epoch)) = world.answer(index) else {
            return Some(format!("s{} is silent", index + 1));
        };
        if *named.get_or_insert((address.clone(), epoch)) != (address.clone(), epoch) {
            return Some(format!("s{} names {address} at epoch {epoch}, another names {named:?}", index + 1));
        }
    }
    let (address, _) = named?;
    let master = world.node_at(&address)?;
    for (index, host) in world.nodes.iter().enumerate() {
        let role = &host.node.role;
        if index == master {
            if *role != data_node::Role::Master {
                return Some(format!("{address} is to be master and is {role:?}"));
            }
            if !host.node.is_vouched(world.node_clock(index)) {
                return Some(format!("{address} is master and not vouched for"));
            }
        } else if !host.node.follows(&address) {
            return Some(format!("{} is {role:?} instead of following {address}", host.node.address));
        }
    }
    None
}

fn report(seed: u64, outcome: &Outcome) -> String {
    let mut text = format!("seed {seed}: {}\n", outcome.failure.as_deref().unwrap_or("passes"));
    for (at, line) in &outcome.trace[outcome.trace.len().saturating_sub(400)..] {
        text.push_str(&format!("{:>10.3} {line}\n", *at as f64 / 1e6));
    }
    text.push_str(&format!(
        "replay: VEDETTE_SEED={seed} cargo test --release simulation::replay -- --nocapture\n"
    ));
    text
}

fn seeds() -> u64 {
    std::env::var("VEDETTE_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(2_000)
}

/// Runs seeds on both cores and returns the first failure, lowest seed first, and the totals.
fn sweep(first: u64, count: u64, bugs: &Bugs) -> (Option<(u64, Outcome)>, u64, u64) {
    let workers = std::thread::available_parallelism().map_or(1, |n| n.get() as u64);
    let found = std::sync::Mutex::new(None::<(u64, Outcome)>);
    let totals = std::sync::Mutex::new((0u64, 0u64));
    std::thread::scope(|scope| {
        for worker in 0..workers {
            let (found, totals) = (&found, &totals);
            scope.spawn(move || {
                for seed in (first..first + count).filter(|seed| seed % workers == worker) {
                    if found.lock().unwrap().as_ref().is_some_and(|(other, _)| *other < seed) {
                        break;
                    }
                    let outcome = run_seed(seed, *bugs);
                    let mut sums = totals.lock().unwrap();
                    sums.0 += outcome.failovers;
                    sums.1 += outcome.virtual_us;
                    drop(sums);
                    if outcome.failure.is_some() {
                        let mut found = found.lock().unwrap();
                        if found.as_ref().is_none_or(|(other, _)| seed < *other) {
                            *found = Some((seed, outcome));
                        }
                        break;
                    }
                }
            });
        }
    });
    let (failovers, virtual_us) = *totals.lock().unwrap();
    (found.into_inner().unwrap(), failovers, virtual_us)
}

#[test]
fn promises_hold_under_every_seed() {
    let count = seeds();
    let started = std::time::Instant::now();
    let (failure, failovers, virtual_us) = sweep(1, count, &Bugs::default());
    if let Some((seed, outcome)) = failure {
        panic!("{}", report(seed, &outcome));
    }
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "{count} seeds, {failovers} failovers, {:.1} virtual hours in {seconds:.0} s ({:.0} seeds/s)",
        virtual_us as f64 / 3.6e9,
        count as f64 / seconds
    );
    assert!(failovers > count / 4, "the swarm is too tame: {failovers} failovers in {count} seeds");
}

#[test]
fn a_seed_tells_the_same_story_twice() {
    for seed in 1..=12 {
        let (first, second) = (run_seed(seed, Bugs::default()), run_seed(seed, Bugs::default()));
        assert_eq!(first.digest, second.digest, "seed {seed} is not deterministic");
        assert!(first.acknowledged > 0, "seed {seed}: the client never got a write acknowledged");
    }
}

/// Replays one seed with its story; does nothing without `VEDETTE_SEED`.
#[test]
fn replay() {
    if let Some(seed) = std::env::var("VEDETTE_SEED").ok().and_then(|text| text.parse().ok()) {
        let outcome = run_seed(seed, planted::from_environment());
        println!("{}", report(seed, &outcome));
        assert!(outcome.failure.is_none());
    }
}
