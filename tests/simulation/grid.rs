//! Every step of a failover x every fault x every role, exhausted: the fault comes at the very moment of the
//! step, in the middle of whatever the process was about to do.

use super::schedule::{Fault, Kind, Plan, When, Who};
use super::sweep::number;
use super::world::World;
use super::{Outcome, converge, heal, report};
use vedette::model::event::EventKind;

/// When the fault comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// This event is told for the first time: its decision was agreed a moment ago.
    Told(EventKind),
    /// This order reaches a data server for the n-th time and was obeyed; its answer has not left.
    Obeyed(&'static str, usize),
}

/// Whom it strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    OldMaster,
    Successor,
    OtherReplica,
    Leader,
    Follower,
}

#[derive(Default)]
pub struct Moments {
    awaited: Option<(Step, Role, Fault)>,
    orders: usize,
    pub came: bool,
}

impl Moments {
    pub fn on_event(&self, kind: EventKind) -> bool {
        matches!(&self.awaited, Some((Step::Told(awaited), ..)) if *awaited == kind)
    }

    pub fn on_order(&mut self, argv: &[Vec<u8>]) -> bool {
        let Some((Step::Obeyed(order, nth), ..)) = &self.awaited else { return false };
        let words: Vec<&[u8]> = order.split(' ').map(str::as_bytes).collect();
        let is_it = argv.len() >= words.len() && argv.iter().zip(words).all(|(had, wanted)| had == wanted);
        self.orders += usize::from(is_it);
        is_it && self.orders == *nth
    }
}

impl World {
    pub(super) fn moment_comes(&mut self) {
        let Some((_, role, fault)) = self.moments.awaited.take() else { return };
        let Some(who) = self.player(role) else { return };
        self.moments.came = true;
        self.note(format!("--- now: {fault} to {who} ---"));
        self.afflict(&Fault { who, ..fault });
    }

    /// The first node was master when the failover began.
    fn player(&self, role: Role) -> Option<Who> {
        let named = || {
            let cores = self.sentinels.iter().filter_map(|host| host.core.as_ref());
            let groups = cores.filter_map(|core| core.ledger().group(super::world::GROUP));
            groups
                .filter_map(|group| match &group.failover {
                    Some(failover) => {
                        failover.successor.clone().or(failover.standby.as_ref().map(|s| s.address.clone()))
                    }
                    None => Some(group.master.clone()),
                })
                .find_map(|address| self.node_at(&address).filter(|node| *node != 0))
        };
        // Before anybody is named: who will be chosen, as both have everything.
        let successor = named().unwrap_or(1);
        let leader = self.whom(Who::Leader);
        match role {
            Role::OldMaster => Some(Who::Node(0)),
            Role::Successor => Some(Who::Node(successor)),
            Role::OtherReplica => (1..self.nodes.len()).find(|node| *node != successor).map(Who::Node),
            Role::Leader => leader.map(Who::Sentinel),
            Role::Follower => (0..self.sentinels.len()).find(|at| Some(*at) != leader).map(Who::Sentinel),
        }
    }
}

const CRASH: [Step; 11] = [
    Step::Told(EventKind::SDown),
    Step::Told(EventKind::ODown),
    Step::Told(EventKind::TryFailover),
    Step::Obeyed("VEDETTE FENCE", 1),
    Step::Obeyed("VEDETTE FENCE", 2),
    Step::Told(EventKind::SelectedReplica),
    Step::Obeyed("VEDETTE PROMOTE", 1),
    Step::Told(EventKind::SwitchMaster),
    Step::Obeyed("VEDETTE FOLLOW", 1),
    Step::Told(EventKind::ReconfDone),
    Step::Told(EventKind::FailoverEnd),
];

const STOCK: [Step; 8] = [
    Step::Told(EventKind::ODown),
    Step::Told(EventKind::TryFailover),
    Step::Obeyed("REPLICAOF 127.0.0.1 1", 1),
    Step::Obeyed("REPLICAOF 127.0.0.1 1", 2),
    Step::Told(EventKind::SelectedReplica),
    Step::Obeyed("REPLICAOF NO ONE", 1),
    Step::Told(EventKind::SwitchMaster),
    Step::Told(EventKind::FailoverEnd),
];

const PLANNED: [Step; 7] = [
    Step::Told(EventKind::TryFailover),
    Step::Obeyed("CLIENT PAUSE", 1),
    Step::Obeyed("VEDETTE FENCE", 1),
    Step::Obeyed("VEDETTE PROMOTE", 1),
    Step::Told(EventKind::SwitchMaster),
    Step::Obeyed("VEDETTE FOLLOW", 1),
    Step::Told(EventKind::FailoverEnd),
];

const ROLES: [Role; 5] = [Role::OldMaster, Role::Successor, Role::OtherReplica, Role::Leader, Role::Follower];

/// What happens, for how long, how much of it.
const FAULTS: [(Kind, u64, i64); 14] = [
    (Kind::Kill, 3_000, 0),
    (Kind::Kill, 3_000, 1),
    (Kind::Bounce, 50, 0),
    (Kind::Bounce, 50, 2),
    (Kind::Bounce, 50, 3),
    (Kind::Pause, 300, 0),
    (Kind::Pause, 4_000, 0),
    (Kind::Isolate, 400, 0),
    (Kind::Isolate, 4_000, 0),
    (Kind::Isolate, 4_000, 1),
    (Kind::DiskSlow, 3_000, 500),
    (Kind::DiskFull, 3_000, 0),
    (Kind::DiskTorn, 500, 0),
    (Kind::DiskTorn, 500, 1),
];

struct Point {
    plan: Plan,
    trigger: Fault,
    step: Step,
    role: Role,
    fault: Fault,
}

fn points() -> Vec<Point> {
    let fault = |kind, who, for_ms, size| {
        let (when, with) = (When::At, Who::Nobody);
        Fault { when, at_ms: 0, for_ms, kind, who, with, size }
    };
    let master = Who::Node(0);
    let triggers: [(bool, Fault, &[Step]); 4] = [
        (true, fault(Kind::Kill, master, 6_000, 0), &CRASH),
        (true, fault(Kind::Isolate, master, 6_000, 0), &CRASH),
        (true, fault(Kind::Switchover, Who::Nobody, 0, 0), &PLANNED),
        (false, fault(Kind::Kill, master, 6_000, 0), &STOCK),
    ];
    let mut points = Vec::new();
    for (index, (bundled, trigger, steps)) in triggers.iter().enumerate() {
        for &step in *steps {
            for role in ROLES {
                for (kind, for_ms, size) in FAULTS {
                    // Only sentinels keep a log whose sync can be torn.
                    if kind == Kind::DiskTorn && !matches!(role, Role::Leader | Role::Follower) {
                        continue;
                    }
                    let seed = 1_000_000 + index as u64;
                    points.push(Point {
                        plan: Plan { bundled: *bundled, ..Plan::calm(seed) },
                        trigger: trigger.clone(),
                        step,
                        role,
                        fault: fault(kind, Who::Nobody, for_ms, size),
                    });
                }
            }
        }
    }
    points
}

/// What became of it, and whether its moment came at all.
fn stand(point: &Point) -> (Outcome, bool) {
    let mut world = World::new(point.plan.clone(), Vec::new());
    world.run_until(4_000_000);
    world.moments.awaited = Some((point.step, point.role, point.fault.clone()));
    world.afflict(&point.trigger);
    world.run_until(14_000_000);
    heal(&mut world);
    converge(&mut world);
    let came = world.moments.came;
    (super::outcome(world), came)
}

#[test]
fn every_step_with_every_fault_for_every_role() {
    let points = points();
    // An unoptimised build looks at some of them only.
    let usual = if cfg!(debug_assertions) { 37 } else { 1 };
    let (stride, first) = (number("VEDETTE_STRIDE").unwrap_or(usual), number("VEDETTE_FIRST").unwrap_or(0));
    let chosen: Vec<&Point> = points.iter().skip(first as usize).step_by(stride as usize).collect();
    let workers = super::workers();
    let failures = std::sync::Mutex::new(Vec::new());
    let unmet = std::sync::Mutex::new(std::collections::BTreeMap::<String, usize>::new());
    std::thread::scope(|scope| {
        for worker in 0..workers {
            let (chosen, failures, unmet) = (&chosen, &failures, &unmet);
            scope.spawn(move || {
                for point in chosen.iter().skip(worker).step_by(workers) {
                    let (outcome, came) = stand(point);
                    let name =
                        format!("{} / {:?} / {:?} / {}", point.trigger, point.step, point.role, point.fault);
                    if !came {
                        *unmet.lock().unwrap().entry(format!("{:?}", point.step)).or_default() += 1;
                    }
                    if let Some(failure) = &outcome.failure {
                        println!("{name}: {failure}");
                        failures.lock().unwrap().push((name, report(&point.plan, &outcome)));
                    }
                }
            });
        }
    });
    let (failures, unmet) = (failures.into_inner().unwrap(), unmet.into_inner().unwrap());
    println!("{} of {} points, moments that never came: {unmet:?}", chosen.len(), points.len());
    if let Some((name, text)) = failures.first() {
        let names: Vec<&str> = failures.iter().map(|(name, _)| name.as_str()).collect();
        panic!("{} points fail:\n{}\n\n{name}\n{text}", failures.len(), names.join("\n"));
    }
    let never: usize = unmet.values().sum();
    assert!(never * 10 < chosen.len(), "{never} moments of {} never came", chosen.len());
}
