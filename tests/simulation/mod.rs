//! The seeded world: sentinel cores with their Raft, modelled data nodes, virtual time. Each seed is
//! chaos first (safety watched throughout), then healing of a core, then the demand that it converges.
//!
//! A failing seed prints itself and its schedule, cut down as far as it goes: that text is a file for
//! `regressions`. `VEDETTE_SEED=<n> cargo test --release simulation::replay -- --nocapture` runs one again
//! with its story, `VEDETTE_SCHEDULE=<file>` a kept one. How much is run: docs/simulation.md.

mod adapter;
mod checkers;
mod client;
mod clock;
mod data_node;
mod dense;
mod grid;
mod network;
mod planted;
mod recorded;
mod regressions;
mod schedule;
mod shrink;
mod sweep;
mod values;
mod world;

use schedule::{Fault, Plan, When};
use world::{MS, World};

const SECOND: u64 = 1_000_000;
/// Quiet first: the group is found and its replicas are counted.
const QUIET_US: u64 = 4 * SECOND;
/// P6: once nothing fails any more, all has converged within this.
const CONVERGE_US: u64 = 40 * SECOND;

#[derive(Default)]
pub struct Outcome {
    pub failure: Option<String>,
    pub trace: Vec<(u64, String)>,
    pub failovers: u64,
    pub switchovers: u64,
    pub virtual_us: u64,
    /// A hash of all that happened: the same seed must come to the same.
    pub digest: u64,
}

pub fn run(plan: Plan, faults: Vec<Fault>) -> Outcome {
    let mut world = World::new(plan, faults);
    for index in 0..world.faults.len() {
        if world.faults[index].when == When::At {
            let at = QUIET_US + world.faults[index].at_ms * MS;
            world.schedule(at, world::Event::Strike { index });
        }
    }
    world.run_until(QUIET_US);
    world.begin_relay();
    world.run_until(QUIET_US + world.plan.chaos_ms * MS);
    heal(&mut world);
    converge(&mut world);
    outcome(world)
}

fn outcome(world: World) -> Outcome {
    Outcome {
        failure: world.checkers.failure().map(str::to_owned),
        failovers: world.checkers.failovers,
        switchovers: world.checkers.switchovers,
        virtual_us: world.now_us,
        digest: world.digest,
        trace: world.trace,
    }
}

/// Faults stop. In half of the worlds only a core is healed: a majority of the sentinels, and the data servers
/// without one replica where a promise can do without it. The rest stays as it is, and out of reach.
fn heal(world: &mut World) {
    world.note("--- faults stop ---".into());
    world.relay = dense::Relay::over();
    if world.plan.core {
        abandon(world);
    }
    world.heal_network();
    for host in (0..world.client_host()).filter(|host| !world.abandoned.contains(host)).collect::<Vec<_>>() {
        match host.checked_sub(world.sentinels.len()) {
            None => world.mend_disk(host),
            Some(node) => {
                world.nodes[node].node.disk_full = false;
                world.nodes[node].calm_disk();
            }
        }
        world.resume(host);
        let at = world.now_us + 10 * MS;
        world.schedule(at, world::Event::Restart { host, keep_data: true, keep_dir: true });
    }
}

fn abandon(world: &mut World) {
    let sentinels = world.plan.sentinels;
    // A fleet whose members change counts its majority for itself.
    if world.plan.spares > 0 {
        return;
    }
    // A disk that lies loses something when it is mended, and what it lost may wreck another.
    let lies = world.sentinels.iter().any(|host| host.disk.lies()) || world.checkers.may_give_up();
    let lost = world.sentinels.iter().filter(|host| host.lost).count() + usize::from(lies);
    let spared = world.rng.usize(0..=((sentinels - 1) / 2).saturating_sub(lost));
    let first = world.rng.usize(0..sentinels);
    let candidates = (0..sentinels).map(|at| (first + at) % sentinels);
    let chosen: Vec<usize> = candidates
        .filter(|at| !world.sentinels[*at].lost && !world.sentinels[*at].disk.lies())
        .take(spared)
        .collect();
    world.abandoned.extend(chosen);
    // A process that nobody has agreed to yet may wait for everybody's word.
    let known = |node: usize| {
        let run_id = world.nodes[node].node.run_id();
        let groups =
            world.sentinels.iter().filter_map(|host| host.core.as_ref()?.ledger().group(world::GROUP));
        let newest = groups.max_by_key(|group| group.epoch);
        newest.and_then(|group| group.run_id.as_ref()).is_some_and(|known| known.to_string() == run_id)
    };
    let settled = world.sentinels.iter().filter_map(|host| host.core.as_ref()).all(|core| {
        core.ledger().group(world::GROUP).is_some_and(|group| group.failover.is_none() && !group.confirm)
    });
    let master = world.newest_master().filter(|master| {
        let host = &world.nodes[*master];
        let epoch = (0..sentinels).filter_map(|at| world.agreed(at)).map(|(_, epoch)| epoch).max();
        let serves = host.node.alive && !host.paused && host.node.role == data_node::Role::Master;
        settled && serves && known(*master) && (!host.node.bundled || Some(host.node.epoch) == epoch)
    });
    if let Some(master) = master.filter(|_| world.nodes.len() >= 3 && world.rng.bool()) {
        let replica = (master + 1) % world.nodes.len();
        let host = world.node_host(replica);
        world.abandoned.insert(host);
    }
    let names: Vec<String> = world.abandoned.iter().map(|host| world.host_name(*host)).collect();
    world.note(format!("nobody heals {}", names.join(" ")));
}

fn converge(world: &mut World) {
    let deadline = world.now_us + CONVERGE_US;
    let mut calm_us = 0;
    while !world.checkers.failed() && calm_us < SECOND {
        let why = unsettled(world);
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
        world.compare();
        let data = world.nodes[master].node.data.clone();
        let held = world.held_anywhere();
        world.checkers.at_rest(&data, &held);
    }
}

/// Why the world is not yet as it should be, if so.
fn unsettled(world: &World) -> Option<String> {
    let mut named = None;
    if world.is_beyond_help() {
        return None;
    }
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
        // Somebody made a server master by hand that has more than the elected one: a person must decide.
        let group = world.sentinels[index].core.as_ref().and_then(|core| core.ledger().group(world::GROUP));
        if group.is_some_and(|group| group.policy.held.is_some()) && !world.plan.bundled {
            return None;
        }
    }
    let (address, _) = named?;
    let master = world.node_at(&address)?;
    // An operator may have had a server forgotten that was down: it belongs to nobody then.
    let first = world.voters().ok()?.first().copied()?;
    let group = world.sentinels[first].core.as_ref()?.ledger().group(world::GROUP)?;
    for (index, host) in world.nodes.iter().enumerate() {
        let role = &host.node.role;
        if index == master {
            if *role != data_node::Role::Master {
                return Some(format!("{address} is to be master and is {role:?}"));
            }
            if !host.node.is_vouched(world.node_clock(index)) {
                return Some(format!("{address} is master and not vouched for"));
            }
        } else if group.knows(&host.node.address)
            && !host.node.follows(&address)
            && !world.abandoned.contains(&world.node_host(index))
        {
            return Some(format!("{} is {role:?} instead of following {address}", host.node.address));
        }
    }
    None
}

fn workers() -> usize {
    let asked = std::env::var("VEDETTE_WORKERS").ok().and_then(|text| text.parse().ok());
    asked.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, |n| n.get())).max(1)
}

fn report(plan: &Plan, outcome: &Outcome) -> String {
    let mut text = format!("seed {}: {}\n", plan.seed, outcome.failure.as_deref().unwrap_or("passes"));
    for (at, line) in &outcome.trace[outcome.trace.len().saturating_sub(400)..] {
        text.push_str(&format!("{:>10.3} {line}\n", *at as f64 / 1e6));
    }
    text.push_str(&format!("digest {:016x}\n", outcome.digest));
    text
}

/// Replays one seed, or one kept schedule, with its story; does nothing without `VEDETTE_SEED` or
/// `VEDETTE_SCHEDULE`.
#[test]
fn replay() {
    let (mut plan, faults) = if let Ok(file) = std::env::var("VEDETTE_SCHEDULE") {
        let text = std::fs::read_to_string(&file).unwrap_or_else(|why| panic!("{file}: {why}"));
        schedule::read(&text).unwrap_or_else(|why| panic!("{file}: {why}"))
    } else if let Some(seed) = std::env::var("VEDETTE_SEED").ok().and_then(|text| text.parse().ok()) {
        let plan = sweep::shape_asked(Plan::from_seed)(seed);
        let faults = schedule::draw(&plan);
        (plan, faults)
    } else {
        return;
    };
    planted::from_environment(&mut plan);
    let outcome = run(plan.clone(), faults.clone());
    println!("{}\n{}", schedule::write(&plan, &faults), report(&plan, &outcome));
    assert!(outcome.failure.is_none());
}
