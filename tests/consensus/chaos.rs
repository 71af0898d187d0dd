//! A dice cup over the fleet: crashes in the middle of a batch, cuts, snapshots, proposals. Whatever
//! falls, what one node applied every node applies, in the same order, and nothing applied is lost.

use super::fleet::Fleet;
use vedette::consensus::Change;
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

/// What the dice ask of a fleet whose members change; whoever leads is asked.
fn change_something(fleet: &mut Fleet, rng: &mut Rng, newest: &mut u64) {
    let Some(leader) = fleet.leader() else { return };
    let known = fleet.members[&leader].consensus.as_ref().map(|node| node.members().clone()).unwrap();
    let pick = |rng: &mut Rng, ids: &std::collections::BTreeSet<u64>| {
        ids.iter().nth(rng.usize(0..ids.len().max(1))).copied().unwrap_or(0)
    };
    let learner = pick(rng, &known.learners);
    let voter = pick(rng, &known.voters);
    let change = match rng.u32(0..10) {
        0..4 if known.learners.len() < 2 => {
            *newest += 1;
            fleet.join(*newest);
            Change::AddLearner(*newest)
        }
        4..6 if learner != 0 && known.voters.len() < 6 => Change::Promote(learner),
        6..8 if learner != 0 => Change::Replace { joins: learner, leaves: voter },
        8 if known.voters.len() > 2 => Change::Remove(voter),
        9 if learner != 0 => Change::Remove(learner),
        _ => return,
    };
    if fleet.change(leader, change).is_ok() && rng.bool() {
        // The moment when everything could go wrong.
        fleet.crash = Some((leader, rng.usize(0..9)));
    }
}

/// Members come and go while nodes crash in the middle of a batch and messages are lost: one history,
/// two leaders never, and in the end all members of the newest set agree on something new.
fn play_with_members(seed: u64) -> (usize, usize) {
    let mut rng = Rng::with_seed(seed);
    let mut fleet = Fleet::new(3, seed, 8);
    let mut truth = Truth { agreed: Vec::new() };
    let (mut newest, mut next) = (3, 0);
    for _ in 0..150 {
        let ids: Vec<u64> = fleet.members.keys().copied().collect();
        let id = ids[rng.usize(0..ids.len())];
        let left = fleet.has_left(id);
        match rng.u32(0..100) {
            0..5 => fleet.stop(id),
            5..10 => fleet.crash = Some((id, rng.usize(0..9))),
            10..40 if !left => {
                if fleet.members[&id].consensus.is_none() {
                    fleet.start(id);
                }
            }
            40..44 => drop(fleet.cut.insert(id)),
            44..58 => fleet.cut.clear(),
            58..60 => fleet.hand_over(id),
            60..78 => change_something(&mut fleet, &mut rng, &mut newest),
            _ => {
                next += 1;
                for id in ids {
                    let _ = fleet.propose(id, &format!("v{next}"));
                }
            }
        }
        for _ in 0..rng.u64(1..150) {
            fleet.step();
            truth.check(&fleet, seed);
            for id in fleet.members.keys().copied().collect::<Vec<_>>() {
                if fleet.members[&id].consensus.as_ref().is_some_and(|node| node.snapshot_due()) {
                    fleet.compact(id);
                }
            }
        }
        let bad = fleet.story.iter().find(|line| line.contains("ends:") || line.contains("refuses"));
        assert_eq!(bad, None, "seed {seed}");
        fleet.story.clear();
    }
    fleet.crash = None;
    fleet.cut.clear();
    for id in fleet.members.keys().copied().collect::<Vec<_>>() {
        if fleet.members[&id].consensus.is_none() && !fleet.has_left(id) {
            fleet.start(id);
        }
    }
    for _ in 0..5000 {
        fleet.step();
        for id in fleet.members.keys().copied().collect::<Vec<_>>() {
            if fleet.members[&id].consensus.as_ref().is_some_and(|node| node.snapshot_due()) {
                fleet.compact(id);
            }
        }
    }
    let leader = fleet.leader().unwrap_or_else(|| panic!("seed {seed}: nobody leads after the calm"));
    let members = fleet.members[&leader].consensus.as_ref().unwrap().members().clone();
    assert!(!members.is_joint(), "seed {seed}: two sets of voters for ever");
    fleet.propose(leader, "last").unwrap();
    fleet.run(300);
    truth.check(&fleet, seed);
    for id in members.ids() {
        let member = &fleet.members[&id];
        assert_eq!(member.values, truth.agreed, "seed {seed}: n{id}");
        assert_eq!(member.consensus.as_ref().unwrap().members(), &members, "seed {seed}: n{id}");
    }
    let changes = truth.agreed.iter().filter(|value| value.contains('-')).count();
    (truth.agreed.len(), changes)
}

#[test]
fn members_come_and_go_and_all_apply_one_history() {
    let mut changes = 0;
    for seed in 0..60 {
        changes += play_with_members(seed).1;
    }
    assert!(changes > 200, "the dice must change the members often, not {changes} times in 60 seeds");
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
