//! Drills: the one that runs, what the last ones found, and what is planned.

use super::span;
use crate::model::drill::{DrillResult, DrillRun, DrillSchedule, Verdict};
use crate::model::status::Status;
use crate::observe::view::{Element, el};
use crate::stdx::calendar;
use crate::stdx::time::Wall;

const RESULTS_SHOWN: usize = 5;
const PLANS_SHOWN: usize = 8;

pub(super) fn card(status: &Status) -> Option<Element> {
    let drills = &status.drills;
    if drills.running.is_none() && drills.scheduled.is_empty() && drills.results.is_empty() {
        return None;
    }
    let mut rows: Vec<Element> = drills.running.iter().map(running).collect();
    rows.extend(drills.results.iter().rev().take(RESULTS_SHOWN).map(result));
    rows.extend(drills.scheduled.iter().take(PLANS_SHOWN).map(planned));
    Some(
        el("section", "card drills")
            .attr("aria-labelledby", "drills")
            .child(el("h3", "").attr("id", "drills").text("Drills"))
            .child(el("ul", "rows").children(rows)),
    )
}

fn day_and_time(ms: u64) -> String {
    calendar::rfc3339(Wall(ms)).replace('T', " ").chars().take(16).collect()
}

fn heading(what: &str, group: &str, tone: &str, word: &str) -> Element {
    el("div", "line")
        .child(el("span", "").child(el("strong", "").text(what)).text(format!(" on {group}")))
        .child(el("span", &format!("tag {tone}")).text(word))
}

fn running(run: &DrillRun) -> Element {
    el("li", "dot busy").child(heading(run.scenario.name(), &run.group, "busy", "running now")).child(
        el("div", "line dim")
            .child(el("span", "").text(format!("conducted by sentinel {}", run.by)))
            .child(el("span", "").text(day_and_time(run.started_ms))),
    )
}

fn result(card: &DrillResult) -> Element {
    let (tone, word) = match card.verdict {
        Verdict::Passed => ("ok", "passed"),
        Verdict::SloMissed => ("warn", "too slow"),
        Verdict::Failed => ("bad", "failed"),
        Verdict::Aborted => ("", "not finished"),
    };
    let mut item = el("li", &format!("dot {tone}")).attr("data-key", format!("d{}", card.id)).child(heading(
        card.scenario.name(),
        &card.group,
        tone,
        word,
    ));
    if let Some(gap_us) = card.gap_us {
        item = item.child(gap(gap_us, card.slo_gap_ms));
    }
    let (passed, all) = (card.checks.iter().filter(|check| check.passed).count(), card.checks.len());
    let checks = if all == 0 { String::new() } else { format!("{passed} of {all} checks held") };
    let lost = if card.writes.lost == 0 {
        format!("{} promised writes, none lost", card.writes.promised)
    } else {
        format!("{} of {} promised writes lost", card.writes.lost, card.writes.promised)
    };
    item = item
        .child(el("div", "line dim").child(el("span", "").text(lost)).child(el("span", "").text(checks)))
        .child(
            el("div", "line dim")
                .child(el("span", "").text(day_and_time(card.started_ms)))
                .child(el("span", "").text(card.name.clone())),
        );
    for check in card.checks.iter().filter(|check| !check.passed).take(4) {
        item = item.child(el("div", "error").text(format!("{}: {}", check.name, check.detail)));
    }
    item
}

/// The gap that clients saw, drawn against its objective.
fn gap(gap_us: u64, slo_ms: Option<u64>) -> Element {
    let gap_ms = gap_us / 1000;
    let text = match slo_ms {
        Some(slo) => format!("gap {} of {} allowed", span(gap_ms), span(slo)),
        None => format!("gap {}", span(gap_ms)),
    };
    let scale = gap_ms.max(slo_ms.unwrap_or(0)).max(1) * 5 / 4;
    let x = |ms: u64| (ms * 200 / scale).clamp(2, 200);
    let over = slo_ms.is_some_and(|slo| gap_ms > slo);
    let mut picture = el("svg", "gap")
        .attr("viewBox", "0 0 200 12")
        .attr("preserveAspectRatio", "none")
        .attr("aria-hidden", "true")
        .child(el("rect", "rail").attr("x", "0").attr("y", "3").attr("width", "200").attr("height", "6"))
        .child(
            el("rect", if over { "over" } else { "within" })
                .attr("x", "0")
                .attr("y", "3")
                .attr("width", x(gap_ms).to_string())
                .attr("height", "6"),
        );
    if let Some(slo) = slo_ms {
        let at = x(slo).min(199);
        picture = picture.child(el("path", "slo").attr("d", format!("M{at} 0 V12")));
    }
    el("div", "gapline").child(picture).child(el("span", "").text(text))
}

fn planned(plan: &DrillSchedule) -> Element {
    let next = plan.next_ms.map_or_else(|| "not planned".to_owned(), day_and_time);
    let mut item = el("li", "dot").child(heading(plan.scenario.name(), &plan.group, "", "planned")).child(
        el("div", "line dim")
            .child(el("span", "").text(format!("next {next}")))
            .child(el("span", "mono").text(plan.schedule.clone())),
    );
    if !plan.skipped.is_empty() {
        item = item.child(el("div", "error").text(format!("skipped last time: {}", plan.skipped)));
    }
    item
}
