//! What holds failovers back, said where it matters: maintenance with its owner, reason and end, and
//! the guards that wait for somebody to acknowledge.

use crate::model::policy::{HeldStatus, PauseStatus};
use crate::model::status::{GroupStatus, Status};
use crate::observe::view::{Element, el};
use crate::stdx::calendar;
use crate::stdx::time::Wall;

fn moment(ms: u64) -> String {
    calendar::rfc3339(Wall(ms)).replace('T', " ").chars().take(16).collect()
}

fn until(ms: Option<u64>) -> String {
    ms.map_or("until it is resumed".to_owned(), |ms| format!("until {}", moment(ms)))
}

fn paused(what: &str, pause: &PauseStatus) -> Element {
    let mut text = format!("{what} {}", until(pause.until_ms));
    if !pause.owner.is_empty() {
        text.push_str(&format!(", by {}", pause.owner));
    }
    if !pause.reason.is_empty() {
        text.push_str(&format!(": {}", pause.reason));
    }
    el("p", "note").text(format!("{text}."))
}

fn held(held: &HeldStatus) -> Element {
    let end = held.until_ms.map_or(String::new(), |ms| format!(" It ends by itself at {}.", moment(ms)));
    el("p", "note warn").text(format!(
        "Held back by the {} guard: {}.{end}",
        held.guard,
        held.reason.trim_end_matches('.')
    ))
}

/// Under a group's heading.
pub(super) fn notes(group: &GroupStatus) -> Vec<Element> {
    let policy = &group.policy;
    let mut notes = Vec::new();
    if let Some(pause) = &policy.paused {
        notes.push(paused("In maintenance: no automatic failover", pause));
    }
    let instances = std::iter::once(&group.master).chain(&group.replicas);
    notes.extend(instances.filter_map(|instance| {
        let pause = instance.paused.as_ref()?;
        Some(paused(&format!("{} is in maintenance", instance.address), pause))
    }));
    if let Some(hold) = policy.held.as_ref().filter(|hold| hold.guard != "pause") {
        notes.push(held(hold));
    }
    if policy.flapping {
        notes.push(el("p", "note warn").text(format!(
            "{} automatic failovers in {} min, {} are allowed: the next one waits until somebody acknowledges.",
            policy.failovers_counted,
            policy.failovers_window_ms / 60_000,
            policy.failovers_max
        )));
    }
    if let Some(to) = &policy.handover_to {
        notes.push(
            el("p", "note").text(format!("The master is handed over to {to} as soon as it caught up.")),
        );
    }
    if let Some(at) = group.scheduled_ms {
        notes.push(el("p", "note").text(format!("A switchover is scheduled for {} UTC.", moment(at))));
    }
    notes
}

/// Above all groups: the whole fleet is held.
pub(super) fn fleet(status: &Status) -> Option<Element> {
    let hold = status.held.as_ref()?;
    Some(
        el("section", "card group warn")
            .child(el("h3", "").text("All automatic failovers are held"))
            .child(el("p", "").text(format!(
                "Since {}: {}.",
                moment(hold.since_ms),
                hold.reason.trim_end_matches('.')
            )))
            .child(el("div", "actions").child(super::actions::button("acknowledge-fleet", "Let them go on"))),
    )
}
