//! A group drawn: the sentinels that watch it, its master, the replicas and who follows whom, with the
//! lag on every edge. State is told by shape and word as well as by colour. Plain arithmetic on a
//! fixed raster; the drawing is as wide as a phone and grows with its place.

use super::instance;
use super::{bytes, thousands};
use crate::model::Address;
use crate::model::status::{GroupStatus, InstanceStatus, Status};
use crate::observe::view::{Element, el};

const WIDTH: usize = 400;
const NODE_WIDTH: usize = 154;
const NODE_HEIGHT: usize = 58;
const ROW: usize = 74;
const TOP: usize = 56;
const LEFT: usize = 4;
const RIGHT: usize = WIDTH - NODE_WIDTH - 4;
/// How far a chained replica stands in from the one that it follows.
const INDENT: usize = 18;
const ADDRESS_CHARS: usize = 20;
/// Rows drawn; what does not fit is counted, and listed beside the drawing.
const ROWS_MAX: usize = 12;
const SENTINELS_MAX: usize = 9;

struct Row<'a> {
    replica: &'a InstanceStatus,
    depth: usize,
    /// The row of the replica that it follows, when it is chained.
    parent: Option<usize>,
}

/// Replicas of the master first to last, each with those that follow it right behind.
fn rows(group: &GroupStatus) -> Vec<Row<'_>> {
    let follows = |replica: &InstanceStatus, whom: &Address| replica.follows.as_ref() == Some(whom);
    let chained = |replica: &InstanceStatus| {
        group
            .replicas
            .iter()
            .any(|other| follows(replica, &other.address) && other.address != replica.address)
    };
    let mut rows: Vec<Row<'_>> = Vec::new();
    let mut stack: Vec<(&InstanceStatus, usize, Option<usize>)> =
        group.replicas.iter().rev().filter(|replica| !chained(replica)).map(|r| (r, 0, None)).collect();
    while let Some((replica, depth, parent)) = stack.pop() {
        let at = rows.len();
        rows.push(Row { replica, depth, parent });
        let below = group.replicas.iter().rev().filter(|other| follows(other, &replica.address));
        stack.extend(below.map(|other| (other, (depth + 1).min(2), Some(at))));
    }
    // Replicas that follow each other in a circle hang on nobody: they are drawn all the same.
    for replica in &group.replicas {
        if !rows.iter().any(|row| row.replica.address == replica.address) {
            rows.push(Row { replica, depth: 0, parent: None });
        }
    }
    rows
}

pub(super) fn drawing(group: &GroupStatus, status: &Status, key: usize) -> Element {
    let all = rows(group);
    let hidden = all.len().saturating_sub(ROWS_MAX);
    let rows = &all[..all.len() - hidden];
    let height = TOP + rows.len().max(1) * ROW - (ROW - NODE_HEIGHT) + 6 + if hidden > 0 { 22 } else { 0 };
    let y = |row: usize| TOP + row * ROW;
    let direct: Vec<usize> = (0..rows.len()).filter(|row| rows[*row].parent.is_none()).collect();
    let master_y = match (direct.first(), direct.last()) {
        (Some(first), Some(last)) => (y(*first) + y(*last)) / 2,
        _ => TOP,
    };
    let middle = |top: usize| top + NODE_HEIGHT / 2;
    let (title, text) = (format!("topo-{key}"), format!("topo-text-{key}"));
    let mut picture = el("svg", "topo")
        .attr("viewBox", format!("0 0 {WIDTH} {height}"))
        .attr("role", "img")
        .attr("aria-labelledby", format!("{title} {text}"))
        .child(el("title", "").attr("id", title).text(format!("Topology of {}", group.name)))
        .child(el("desc", "").attr("id", text).text(in_words(group)))
        .child(watchers(status, master_y));
    for (at, row) in rows.iter().enumerate() {
        let x = RIGHT + row.depth * INDENT;
        let class = format!("edge {}", instance::flow(row.replica));
        let (path, label_x, label_y) = match row.parent {
            Some(parent) => {
                let from_x = RIGHT + rows[parent].depth * INDENT + INDENT / 2;
                let (from, to) = (y(parent) + NODE_HEIGHT, middle(y(at)));
                (format!("M{from_x} {from} V{to} H{x}"), x - 46, to - 9)
            }
            None => {
                let (from, to) = (middle(master_y), middle(y(at)));
                let (start, end) = (LEFT + NODE_WIDTH, x);
                let mid = (start + end) / 2;
                (format!("M{start} {from} C{mid} {from} {mid} {to} {end} {to}"), mid, (from + to) / 2 - 5)
            }
        };
        picture = picture.child(el("path", &class).attr("d", path)).child(
            el("text", &format!("lag {}", instance::flow(row.replica)))
                .attr("x", label_x.to_string())
                .attr("y", label_y.to_string())
                .text(lag(row.replica)),
        );
    }
    let successor = group.failover.as_ref().and_then(|failover| failover.successor.as_ref());
    let master_line = match (group.master.bundled, group.master.lease_ms) {
        (true, Some(left)) if left > 0 => format!("lease {left} ms"),
        (true, Some(_)) => "no lease".to_owned(),
        _ => group
            .master
            .offset
            .map_or_else(|| "offset unknown".to_owned(), |o| format!("at {}", thousands(o))),
    };
    picture = picture.child(node(&group.master, "master", LEFT, master_y, NODE_WIDTH, &master_line));
    for (at, row) in rows.iter().enumerate() {
        let line = match () {
            () if successor == Some(&row.replica.address) => "chosen successor",
            () if row.replica.in_sync_set => "in sync set",
            () => "not in sync set",
        };
        let inset = row.depth * INDENT;
        picture = picture.child(node(row.replica, "replica", RIGHT + inset, y(at), NODE_WIDTH - inset, line));
    }
    if rows.is_empty() {
        picture = picture.child(
            el("text", "nobody")
                .attr("x", (RIGHT + NODE_WIDTH / 2).to_string())
                .attr("y", middle(TOP).to_string())
                .text("no replica is known"),
        );
    }
    if hidden > 0 {
        picture = picture.child(
            el("text", "nobody")
                .attr("x", (RIGHT + NODE_WIDTH / 2).to_string())
                .attr("y", (height - 6).to_string())
                .text(format!("and {hidden} more")),
        );
    }
    picture
}

/// The sentinels in a row above, a line down to the master that they watch.
fn watchers(status: &Status, master_y: usize) -> Element {
    let mut all: Vec<(u64, bool)> =
        status.peers.iter().filter(|p| p.id != status.node).map(|p| (p.id, p.connected)).collect();
    all.push((status.node, status.fresh));
    all.sort_unstable();
    let shown = all.len().min(SENTINELS_MAX);
    let x = |at: usize| LEFT + 14 + at * 32;
    let stem = LEFT + 14;
    let mut group = el("g", "watchers").child(
        el("path", "watch").attr("d", format!("M{stem} 28 V{master_y} M{stem} 16 H{}", x(shown.max(1) - 1))),
    );
    for (at, (id, touch)) in all.iter().take(shown).enumerate() {
        let leads = status.raft_leader == Some(*id);
        let class = match (touch, leads) {
            (false, _) => "sentinel away",
            (true, true) => "sentinel leads",
            (true, false) => "sentinel",
        };
        let what = match (touch, leads) {
            (false, _) => "out of touch",
            (true, true) => "leads",
            (true, false) => "follows",
        };
        let at = x(at).to_string();
        group = group.child(
            el("g", class)
                .child(el("title", "").text(format!("sentinel {id}: {what}")))
                .child(el("circle", "").attr("cx", at.clone()).attr("cy", "16").attr("r", "12"))
                .child(el("text", "").attr("x", at).attr("y", "20.5").text(id.to_string())),
        );
    }
    let away = all.iter().filter(|(_, touch)| !touch).count();
    let leader = match status.raft_leader {
        Some(id) => format!("sentinel {id} leads"),
        None => "no sentinel leads".to_owned(),
    };
    let text = if away == 0 { leader } else { format!("{leader}, {away} away") };
    group.child(
        el("text", "caption").attr("x", (x(shown.max(1) - 1) + 22).to_string()).attr("y", "20.5").text(text),
    )
}

fn node(
    instance: &InstanceStatus,
    role: &'static str,
    x: usize,
    y: usize,
    width: usize,
    line: &str,
) -> Element {
    let (tone, state) = instance::state(instance, role);
    let inset = 12;
    let text = |class: &str, dy: usize, text: String| {
        el("text", class).attr("x", (x + inset).to_string()).attr("y", (y + dy).to_string()).text(text)
    };
    let number = |value: usize| value.to_string();
    el("g", &format!("place {role} {tone}"))
        .child(el("title", "").text(format!("{role} {}: {state}", instance.address)))
        .child(
            el("rect", "box")
                .attr("x", number(x))
                .attr("y", number(y))
                .attr("width", number(width))
                .attr("height", number(NODE_HEIGHT))
                .attr("rx", "10"),
        )
        .child(el("path", "side").attr("d", format!("M{} {} v{} ", x + 3, y + 9, NODE_HEIGHT - 18)))
        .child(text("roleword", 17, role.to_owned()))
        .child(text("where", 35, short(&instance.address)))
        .child(text("more", 50, line.to_owned()))
        .child(glyph(tone, x + width - 15, y + 14))
}

/// A shape for each state: a tick, an exclamation mark, a cross.
fn glyph(tone: &str, x: usize, y: usize) -> Element {
    let path = match tone {
        "ok" => format!("M{} {y} l3 3.4 l6 -7", x - 4),
        "warn" => format!("M{x} {} v6 M{x} {} v.4", y - 5, y + 4),
        _ => format!("M{} {} l7 7 m0 -7 l-7 7", x - 3, y - 3),
    };
    el("g", &format!("glyph {tone}"))
        .child(el("circle", "").attr("cx", x.to_string()).attr("cy", y.to_string()).attr("r", "9"))
        .child(el("path", "").attr("d", path))
}

fn lag(replica: &InstanceStatus) -> String {
    match (instance::flow(replica), replica.lag_bytes) {
        ("gone", _) => "gone".to_owned(),
        ("broken", _) => "no link".to_owned(),
        (_, Some(lag)) => bytes(lag),
        (_, None) => String::new(),
    }
}

/// The port is what tells two servers of one machine apart, so it always stays.
fn short(address: &Address) -> String {
    let whole = address.to_string();
    if whole.chars().count() <= ADDRESS_CHARS {
        return whole;
    }
    let port = format!(":{}", address.port);
    let keep = ADDRESS_CHARS.saturating_sub(port.len() + 1);
    format!("{}\u{2026}{port}", address.host.chars().take(keep).collect::<String>())
}

/// The drawing for those who do not see it.
fn in_words(group: &GroupStatus) -> String {
    let mut text =
        format!("Master {}: {}.", group.master.address, instance::state(&group.master, "master").1);
    for row in rows(group).iter().take(ROWS_MAX) {
        let replica = row.replica;
        let whom = match &replica.follows {
            Some(whom) if *whom != group.master.address => format!(", follows {whom}"),
            _ => String::new(),
        };
        let (_, state) = instance::state(replica, "replica");
        text.push_str(&format!(" Replica {}{whom}: {state}, lag {}.", replica.address, lag(replica)));
    }
    text
}
