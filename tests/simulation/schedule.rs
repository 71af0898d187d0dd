//! A world and what goes wrong in it, as data: drawn from a seed, cut down when it fails, kept as a file.
//! One line a fault: when, for how long, what, to whom, with whom, how much.

use std::fmt;
use std::str::FromStr;
use vedette::sentinel::Bugs;
use vedette::stdx::Rng;

/// Whom a fault strikes, found out when it strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    Nobody,
    Master,
    Leader,
    Node(usize),
    Sentinel(usize),
}

/// When a fault comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// So long after the world had its quiet beginning.
    At,
    /// So long after the group was whole again, the faults before it over or not.
    Whole,
    /// So long after the one before it, whatever came of that.
    Then,
}

const WHENS: [(When, &str); 3] = [(When::At, "at"), (When::Whole, "whole"), (When::Then, "then")];

/// What goes wrong. The last number of a fault says how much of it; what it counts stands here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The process dies and starts again. 0: finds all its data; 1: none of it; 2: its directory is gone too;
    /// 3: the tail of its log is torn; 4: its disk had lied: tail and last epoch are gone.
    Kill,
    /// Killed, and back before anybody is sure of it. Same numbers.
    Bounce,
    Pause,
    /// Cut off from everybody. 1: what is sent meanwhile is lost instead of late.
    Isolate,
    /// A bit for each host on one side; the lowest bit: lost instead of late.
    Split,
    /// One direction between two. 1: lost.
    OneWay,
    /// Both directions between two; others may reach both.
    Cut,
    /// Milliseconds between two, at most.
    Slow,
    /// Milliseconds everywhere, at most.
    Delay,
    /// Percent of all messages.
    Loss,
    Duplicate,
    Reorder,
    /// Milliseconds that its wall clock jumps.
    WallJump,
    /// Parts per million that its steady clock runs fast.
    Drift,
    /// Milliseconds that a sync takes, at most.
    DiskSlow,
    DiskFull,
    /// Dies in the middle of its next sync. 1: what was to be written is there afterwards.
    DiskTorn,
    /// Says that it synced, and dies at the end without having done so.
    DiskLies,
    /// A spare sentinel joins.
    Add,
    /// A spare takes the place of this one.
    Replace,
    Remove,
    /// SENTINEL FAILOVER, to this one if it is named. 1: COORDINATED; 2: FORCE.
    Switchover,
    /// SENTINEL SET: which one of a few.
    Set,
    Reset,
    /// Maintenance of one instance, or of the group.
    Maintenance,
    /// Somebody makes this server a master by hand.
    Rogue,
}

pub const KINDS: [(Kind, &str); 26] = [
    (Kind::Kill, "kill"),
    (Kind::Bounce, "bounce"),
    (Kind::Pause, "pause"),
    (Kind::Isolate, "isolate"),
    (Kind::Split, "split"),
    (Kind::OneWay, "one-way"),
    (Kind::Cut, "cut"),
    (Kind::Slow, "slow"),
    (Kind::Delay, "delay"),
    (Kind::Loss, "loss"),
    (Kind::Duplicate, "duplicate"),
    (Kind::Reorder, "reorder"),
    (Kind::WallJump, "wall-jump"),
    (Kind::Drift, "drift"),
    (Kind::DiskSlow, "disk-slow"),
    (Kind::DiskFull, "disk-full"),
    (Kind::DiskTorn, "disk-torn"),
    (Kind::DiskLies, "disk-lies"),
    (Kind::Add, "add"),
    (Kind::Replace, "replace"),
    (Kind::Remove, "remove"),
    (Kind::Switchover, "switchover"),
    (Kind::Set, "set"),
    (Kind::Reset, "reset"),
    (Kind::Maintenance, "maintenance"),
    (Kind::Rogue, "rogue"),
];

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub when: When,
    pub at_ms: u64,
    pub for_ms: u64,
    pub kind: Kind,
    pub who: Who,
    pub with: Who,
    pub size: i64,
}

/// What a seed decides before anything moves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    pub seed: u64,
    pub sentinels: usize,
    /// Sentinels that may join; none: the fleet stays as it was founded.
    pub spares: usize,
    pub nodes: usize,
    pub bundled: bool,
    pub safe: bool,
    pub down_after_ms: u64,
    pub lease_ms: u64,
    pub chaos_ms: u64,
    /// Only as many as the promises need are healed in the end; the rest stays as it is.
    pub core: bool,
    /// One failover after the other: dense.rs.
    pub dense: bool,
    pub bugs: Bugs,
    pub node_bugs: super::data_node::Bugs,
    pub shell_bugs: super::adapter::Bugs,
}

impl Plan {
    /// Most worlds are three and three; some are larger, some supervise stock servers.
    pub fn from_seed(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed ^ 0x9e37_79b9_7f4a_7c15);
        Plan {
            seed,
            sentinels: if rng.u32(0..5) == 0 { 5 } else { 3 },
            nodes: [2, 3, 3, 3, 4, 5][rng.usize(0..6)],
            bundled: rng.u32(0..8) != 0,
            down_after_ms: [500, 1000, 1000, 2000][rng.usize(0..4)],
            spares: if rng.u32(0..4) == 0 { 3 } else { 0 },
            safe: rng.u32(0..8) != 0,
            chaos_ms: rng.u64(10_000..30_000),
            core: rng.bool(),
            ..Plan::calm(seed)
        }
    }

    /// Three and three, bundled, safe.
    pub fn calm(seed: u64) -> Self {
        Plan {
            seed,
            sentinels: 3,
            spares: 0,
            nodes: 3,
            bundled: true,
            safe: true,
            down_after_ms: 1000,
            lease_ms: 2000,
            chaos_ms: 10_000,
            core: false,
            dense: false,
            bugs: Bugs::default(),
            node_bugs: Default::default(),
            shell_bugs: Default::default(),
        }
    }

    /// WAIT's n at which the promise holds.
    pub fn sync_quorum(&self) -> usize {
        (self.nodes / 2).max(1)
    }
}

/// Faults of one world. Each kind is on or off in a seed, and has a rate of its own where it is on.
pub fn draw(plan: &Plan) -> Vec<Fault> {
    if plan.dense {
        return super::dense::draw(plan);
    }
    let mut rng = Rng::with_seed(plan.seed ^ 0x5851_f42d_4c95_7f2d);
    let rates = rates(plan, &mut rng);
    let (least, most) = [(300, 2_000), (1_000, 5_000), (3_000, 8_000)][rng.usize(0..3)];
    draw_of(plan, &mut rng, &rates, least, most)
}

/// Those that have a time of their own, one within so many milliseconds of the last.
pub fn draw_timed(plan: &Plan, rng: &mut Rng, least: u64, most: u64) -> Vec<Fault> {
    let rates = rates(plan, rng);
    draw_of(plan, rng, &rates, least, most)
}

fn rates(plan: &Plan, rng: &mut Rng) -> Vec<(Kind, u32)> {
    KINDS
        .iter()
        .map(|(kind, _)| (*kind, if rng.bool() { [1, 2, 4, 8][rng.usize(0..4)] } else { 0 }))
        .map(|(kind, rate)| match kind {
            Kind::Add | Kind::Replace | Kind::Remove if plan.spares == 0 => (kind, 0),
            // By hand and on stock servers only: a bundled one under supervision takes no such order.
            Kind::Rogue if plan.bundled => (kind, 0),
            Kind::Kill => (kind, rate + 1),
            _ => (kind, rate),
        })
        .collect()
}

fn draw_of(plan: &Plan, rng: &mut Rng, rates: &[(Kind, u32)], least: u64, most: u64) -> Vec<Fault> {
    let total: u32 = rates.iter().map(|(_, rate)| rate).sum();
    // Whether a killed server finds its data again, and whose disk lies: one sentinel's at most.
    let (persistent, liar) = (rng.bool(), Who::Sentinel(rng.usize(0..plan.sentinels)));
    let mut faults = Vec::new();
    let mut at_ms = 0;
    loop {
        at_ms += rng.u64(least..most);
        if at_ms >= plan.chaos_ms {
            return faults;
        }
        let mut ticket = rng.u32(0..total);
        let drawn = rates.iter().find(|(_, rate)| {
            let found = ticket < *rate;
            ticket = ticket.saturating_sub(*rate);
            found
        });
        let kind = drawn.map_or(Kind::Kill, |(kind, _)| *kind);
        faults.push(draw_one(plan, rng, at_ms, kind, persistent, liar));
    }
}

fn draw_one(plan: &Plan, rng: &mut Rng, at_ms: u64, kind: Kind, persistent: bool, liar: Who) -> Fault {
    let sentinel = Who::Sentinel(rng.usize(0..plan.sentinels));
    let node = Who::Node(rng.usize(0..plan.nodes));
    let other = match rng.u32(0..2) {
        0 => Who::Sentinel(rng.usize(0..plan.sentinels)),
        _ => Who::Node(rng.usize(0..plan.nodes)),
    };
    let anybody = [sentinel, node, Who::Master, Who::Master, Who::Leader][rng.usize(0..5)];
    let lose = i64::from(rng.u32(0..3) == 0);
    let for_ms = rng.u64(50..6_000);
    let of = |list: &[i64], rng: &mut Rng| list[rng.usize(0..list.len())];
    let (who, with, size) = match kind {
        Kind::Kill if persistent => (anybody, Who::Nobody, of(&[0, 0, 0, 3], rng)),
        Kind::Kill => (anybody, Who::Nobody, of(&[1, 1, 1, 2], rng)),
        Kind::Bounce => (anybody, Who::Nobody, of(&[0, 1, 1, 2, 3, 4], rng)),
        Kind::Pause | Kind::DiskFull => (anybody, Who::Nobody, 0),
        Kind::Isolate => (anybody, Who::Nobody, lose),
        Kind::Split => (Who::Nobody, Who::Nobody, rng.i64(0..1 << 16)),
        Kind::OneWay if rng.bool() => (other, anybody, lose),
        Kind::OneWay | Kind::Cut => (anybody, other, lose),
        Kind::Slow => (anybody, other, rng.i64(50..600)),
        Kind::Delay => (Who::Nobody, Who::Nobody, rng.i64(5..150)),
        Kind::Loss => (Who::Nobody, Who::Nobody, of(&[1, 5, 10, 30], rng)),
        Kind::Duplicate | Kind::Reorder => (Who::Nobody, Who::Nobody, of(&[1, 10, 40], rng)),
        Kind::WallJump => (sentinel, Who::Nobody, of(&[-86_400_000, -3_000, 2_000, 3_600_000], rng)),
        Kind::Drift => (anybody, Who::Nobody, rng.i64(-4_000..4_000)),
        Kind::DiskSlow => (anybody, Who::Nobody, of(&[20, 100, 500], rng)),
        Kind::DiskTorn => (if rng.bool() { Who::Leader } else { sentinel }, Who::Nobody, rng.i64(0..2)),
        Kind::DiskLies => (liar, Who::Nobody, 0),
        Kind::Add | Kind::Reset => (Who::Nobody, Who::Nobody, 0),
        Kind::Replace | Kind::Remove => {
            (Who::Sentinel(rng.usize(0..plan.sentinels + plan.spares)), Who::Nobody, 0)
        }
        Kind::Switchover => {
            (if rng.bool() { Who::Nobody } else { node }, Who::Nobody, of(&[0, 0, 1, 2], rng))
        }
        Kind::Set => (Who::Nobody, Who::Nobody, rng.i64(0..4)),
        Kind::Maintenance => (if rng.bool() { Who::Nobody } else { node }, Who::Nobody, 0),
        Kind::Rogue => (node, Who::Nobody, 0),
    };
    let for_ms = if kind == Kind::Bounce { for_ms % 400 + 1 } else { for_ms };
    Fault { when: When::At, at_ms, for_ms, kind, who, with, size }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Who::Nobody => f.write_str("-"),
            Who::Master => f.write_str("master"),
            Who::Leader => f.write_str("leader"),
            Who::Node(index) => write!(f, "n{}", index + 1),
            Who::Sentinel(index) => write!(f, "s{}", index + 1),
        }
    }
}

impl FromStr for Who {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str| text.parse::<usize>().ok().filter(|n| *n > 0).map(|n| n - 1);
        let found = match text {
            "-" => Some(Who::Nobody),
            "master" => Some(Who::Master),
            "leader" => Some(Who::Leader),
            other => match other.split_at_checked(1) {
                Some(("n", index)) => number(index).map(Who::Node),
                Some(("s", index)) => number(index).map(Who::Sentinel),
                _ => None,
            },
        };
        found.ok_or_else(|| format!("`{text}` is nobody: -, master, leader, n1, s1"))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = KINDS.iter().find(|(kind, _)| *kind == self.kind).map_or("?", |(_, name)| name);
        let when = WHENS.iter().find(|(when, _)| *when == self.when).map_or("?", |(_, name)| name);
        write!(f, "{when} {} for {} {name} {} {} {}", self.at_ms, self.for_ms, self.who, self.with, self.size)
    }
}

impl FromStr for Fault {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, String> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [when, at, "for", long, name, who, with, size] = words.as_slice() else {
            return Err(format!("`{line}` is no fault: at MS for MS KIND WHO WITH SIZE"));
        };
        let when = WHENS.iter().find(|(_, known)| known == when).map(|(when, _)| *when);
        let number =
            |text: &str| text.parse::<i64>().map_err(|_| format!("`{text}` is no number in `{line}`"));
        let kind = KINDS.iter().find(|(_, known)| known == name).map(|(kind, _)| *kind);
        Ok(Fault {
            when: when.ok_or_else(|| format!("`{line}` begins with none of at, whole, then"))?,
            at_ms: number(at)? as u64,
            for_ms: number(long)? as u64,
            kind: kind.ok_or_else(|| format!("no fault is called `{name}`"))?,
            who: who.parse()?,
            with: with.parse()?,
            size: number(size)?,
        })
    }
}

/// A world and its faults as they are kept in `regressions`: comments, one line of the plan, the faults.
pub fn write(plan: &Plan, faults: &[Fault]) -> String {
    let mut text = format!(
        "plan seed={} sentinels={} spares={} nodes={} bundled={} safe={} down-after={} lease={} chaos={} core={} dense={}\n",
        plan.seed,
        plan.sentinels,
        plan.spares,
        plan.nodes,
        plan.bundled,
        plan.safe,
        plan.down_after_ms,
        plan.lease_ms,
        plan.chaos_ms,
        plan.core,
        plan.dense
    );
    for fault in faults {
        text.push_str(&format!("{fault}\n"));
    }
    text
}

pub fn read(text: &str) -> Result<(Plan, Vec<Fault>), String> {
    let mut plan = Plan::calm(0);
    let mut faults = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let Some(words) = line.strip_prefix("plan ") else {
            faults.push(line.parse()?);
            continue;
        };
        for word in words.split_whitespace() {
            let (name, value) = word.split_once('=').ok_or_else(|| format!("`{word}` is not NAME=VALUE"))?;
            let number = || value.parse::<u64>().map_err(|_| format!("`{word}`: no number"));
            let truth = || value.parse::<bool>().map_err(|_| format!("`{word}`: true or false"));
            match name {
                "seed" => plan.seed = number()?,
                "sentinels" => plan.sentinels = number()? as usize,
                "spares" => plan.spares = number()? as usize,
                "nodes" => plan.nodes = number()? as usize,
                "bundled" => plan.bundled = truth()?,
                "safe" => plan.safe = truth()?,
                "down-after" => plan.down_after_ms = number()?,
                "chaos" => plan.chaos_ms = number()?,
                "lease" => plan.lease_ms = number()?,
                "core" => plan.core = truth()?,
                "dense" => plan.dense = truth()?,
                _ => return Err(format!("a plan has no `{name}`")),
            }
        }
    }
    Ok((plan, faults))
}

#[test]
fn a_schedule_is_read_as_it_was_written() {
    for seed in 1..200 {
        let plan = Plan::mixed(seed);
        let faults = draw(&plan);
        assert_eq!(read(&write(&plan, &faults)), Ok((plan, faults)), "seed {seed}");
    }
}
