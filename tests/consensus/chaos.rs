//! A dice cup over the fleet: crashes in the middle of a batch, cuts, snapshots, proposals. Whatever
//! falls, what one node applied every node applies, in the same order, and nothing applied is lost.

use super::fleet::Fleet;
use vedette::stdx::Rng;

struct Truth {
    /// The longest history any node ever showed.
    agreed: Vec<String>,
}

impl Truth {
    fn check(&mut self, fleet: &Fleet, seed: u64) {
        for (id, member) in &fleet.members {
            let common = member.values.len().min(self.agreed.len());
            assert_eq!(
                member.values[..common],
                self.agreed[..common],
                "seed {seed} at {} ms: n{id} applied another history",
                fleet.now_ms
            );
            if member.values.len() > common {
                self.agreed = member.values.clone();
            }
        }
    }
}

fn play(seed: u64) -> Vec<String> {
    let mut rng = Rng::with_seed(seed);
    let size = [3, 3, 5][rng.usize(0..3)];
    let mut fleet = Fleet::new(size, seed, 8);
    let mut truth = Truth { agreed: Vec::new() };
    let mut next = 0;
    for _ in 0..120 {
        let id = rng.u64(1..=size);
        match rng.u32(0..100) {
            0..6 => fleet.stop(id),
            6..14 => fleet.crash = Some((id, rng.usize(0..9))),
            14..40 => {
                if fleet.members[&id].consensus.is_none() {
                    fleet.start(id);
                }
            }
            40..46 => drop(fleet.cut.insert(id)),
            46..60 => fleet.cut.clear(),
            60..64 => fleet.compact(id),
            64..66 => fleet.hand_over(id),
            _ => {
                for id in 1..=size {
                    next += 1;
                    let _ = fleet.propose(id, &format!("v{next}"));
                }
            }
        }
        for _ in 0..rng.u64(1..120) {
            fleet.step();
            truth.check(&fleet, seed);
            for id in 1..=size {
                if fleet.members[&id].consensus.as_ref().is_some_and(|node| node.snapshot_due()) {
                    fleet.compact(id);
                }
            }
        }
        assert!(!fleet.story.iter().any(|line| line.contains("ends:") || line.contains("refuses")));
        fleet.story.clear();
    }
    // Calm again: the fleet must come back, and with all it ever agreed.
    fleet.crash = None;
    fleet.cut.clear();
    for id in 1..=size {
        if fleet.members[&id].consensus.is_none() {
            fleet.start(id);
        }
    }
    fleet.run(3000);
    let leader = fleet.leader().unwrap_or_else(|| panic!("seed {seed}: nobody leads after the calm"));
    fleet.propose(leader, "last").unwrap();
    fleet.run(200);
    truth.check(&fleet, seed);
    for member in fleet.members.values() {
        assert_eq!(member.values, truth.agreed, "seed {seed}");
        assert_eq!(member.values.last().map(String::as_str), Some("last"), "seed {seed}");
        let node = member.consensus.as_ref().unwrap();
        assert!(node.entry_count() < 40, "seed {seed}: the log is not compacted");
    }
    truth.agreed
}

#[test]
fn whatever_falls_all_apply_one_history() {
    let mut most = 0;
    for seed in 0..60 {
        most = most.max(play(seed).len());
    }
    assert!(most > 30, "the dice must not be so wild that nothing is ever agreed");
}

#[test]
fn the_same_seed_tells_the_same_story() {
    let story = |seed| {
        let mut fleet = Fleet::new(5, seed, 8);
        fleet.trace = true;
        fleet.run(700);
        fleet.cut.extend([1, 2]);
        fleet.run(2000);
        fleet.story
    };
    assert_eq!(story(4), story(4));
    assert_ne!(story(4), story(5));
}
