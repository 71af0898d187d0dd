//! A thousand groups lose their masters in one moment: one leader decides for all of them, and every
//! sentinel names every new master within seconds of virtual time.

use super::world::World;
use vedette::model::Address;

const GROUPS: u16 = 1000;
const LIMIT_MS: u64 = 5000;

#[test]
fn a_thousand_masters_die_together_and_are_replaced_within_five_seconds() {
    let groups: Vec<(String, u16, u16)> =
        (0..GROUPS).map(|at| (format!("g{at}"), 10_001 + 2 * at, 1)).collect();
    let mut world = World::with_groups(3, &groups, true, "safe", 0);
    world.run(8000);
    world.check();
    let ready = |world: &World| {
        world.sentinels.values().all(|sentinel| {
            sentinel.ledger().groups.values().filter(|group| !group.sync_set().members.is_empty()).count()
                == usize::from(GROUPS)
        })
    };
    assert!(ready(&world), "every replica is in its sync set after eight seconds");
    for (_, port, _) in &groups {
        world.kill(&Address::new("127.0.0.1", *port));
    }
    let switched = |world: &World| {
        let named = |sentinel: &vedette::sentinel::Sentinel| {
            sentinel.ledger().groups.values().filter(|group| group.master.port % 2 == 0).count()
        };
        world.sentinels.values().map(named).min().unwrap_or(0)
    };
    let mut took = 0;
    while switched(&world) < usize::from(GROUPS) && took < LIMIT_MS {
        world.run(50);
        took += 50;
    }
    assert_eq!(switched(&world), usize::from(GROUPS), "new masters named by every sentinel after {took} ms");
    println!("{GROUPS} groups: every new master named by every sentinel {took} ms after their death");
    world.check();
}
