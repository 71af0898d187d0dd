//! Failovers that were: each as a bar of its phases, drawn to scale, with its steps, its evidence and
//! what was lost underneath.

use super::{plural, span};
use crate::model::incident::{Incident, Outcome, StepKind, Witness};
use crate::model::status::Status;
use crate::observe::view::{Element, el};
use crate::stdx::calendar;
use crate::stdx::time::Wall;

const SHOWN: usize = 6;
const BAR: u64 = 1000;
/// A phase of no measurable length is still seen.
const SLIVER: u64 = 8;

pub(super) fn card(status: &Status) -> Option<Element> {
    if status.incidents.is_empty() {
        return None;
    }
    let total = status.incidents.len();
    let list = status.incidents.iter().take(SHOWN).map(|incident| entry(incident));
    let mut card = el("section", "card incidents")
        .attr("aria-labelledby", "incidents")
        .child(el("h3", "").attr("id", "incidents").text("Failovers"))
        .child(el("ul", "stories").children(list));
    if total > SHOWN {
        let more = el("p", "dim more")
            .text(format!("The newest {SHOWN} of {total}. All of them: "))
            .child(el("a", "").attr("href", "/api/incidents").text("as JSON"))
            .text(", or vedette incidents.");
        card = card.child(more);
    }
    Some(card)
}

fn entry(incident: &Incident) -> Element {
    let (tone, word) = match incident.outcome {
        Outcome::Open => ("busy", "under way"),
        Outcome::Published => ("busy", "replicas follow"),
        Outcome::Ended if incident.receipt.risk.is_some() => ("warn", "done, at a risk"),
        Outcome::Ended => ("ok", "done"),
        Outcome::EndedLate => ("warn", "done, replicas missing"),
        Outcome::Aborted => ("bad", "given up"),
        Outcome::Kept => ("ok", "master kept"),
    };
    let from = incident.from_ms();
    let when: String = calendar::rfc3339(Wall(from)).replace('T', " ").chars().take(19).collect();
    let mut cause = incident.cause.clone();
    if incident.earlier_attempts > 0 {
        cause.push_str(&format!(", attempt {}", u64::from(incident.earlier_attempts) + 1));
    }
    let head = el("div", "line")
        .child(el("strong", "").text(incident.id.clone()))
        .child(el("span", &format!("pill {tone}")).text(word))
        .child(el("span", "dim").text(cause))
        .child(el("time", "id dim").attr("datetime", calendar::rfc3339(Wall(from))).text(when));
    let mut summary = incident.headline();
    if let Some(ms) = incident.outage_ms {
        let of = if incident.planned { "without a master" } else { "from the last answer to the new master" };
        summary.push_str(&format!(", {} {of}", span(ms)));
    }
    let mut item = el("li", "story")
        .attr("data-key", incident.epoch.to_string())
        .child(head)
        .child(el("p", "headline").text(format!("{summary}.")));
    let phases = phases(incident);
    if !phases.is_empty() {
        item = item.child(bar(incident, &phases)).child(legend(&phases));
    }
    item.child(el("p", "lost").child(el("span", "dim").text("Lost: ")).text(incident.receipt.verdict.clone()))
        .child(details(incident, from))
}

struct Phase {
    name: &'static str,
    class: &'static str,
    from_ms: u64,
    to_ms: u64,
}

/// The stretches between the steps that matter to whoever waits.
fn phases(incident: &Incident) -> Vec<Phase> {
    let at = |kind| incident.step(kind).map(|step| step.at_ms);
    let over = at(StepKind::Aborted).or(at(StepKind::Kept));
    let began = at(StepKind::Began);
    let ended = at(StepKind::Ended).or_else(|| incident.in_sync().last().map(|step| step.at_ms));
    let first = incident.steps.first().map(|step| step.at_ms);
    let chosen = at(StepKind::Chosen);
    let published = at(StepKind::Published);
    let mut all = Vec::new();
    let mut stretch = |name, class, from: Option<u64>, to: Option<u64>| {
        if let (Some(from_ms), Some(to_ms)) = (from, to) {
            all.push(Phase { name, class, from_ms, to_ms: to_ms.max(from_ms) });
        }
    };
    if !incident.planned {
        stretch("detect", "detect", first, began);
    }
    let choosing = if incident.planned { "hand over" } else { "freeze and choose" };
    stretch(choosing, "choose", began, chosen.or(over));
    stretch("promote", "promote", chosen, published.or(over));
    stretch("re-point", "repoint", published, ended);
    all
}

fn bar(incident: &Incident, phases: &[Phase]) -> Element {
    let from = phases.first().map_or(0, |phase| phase.from_ms);
    let to = phases.last().map_or(from, |phase| phase.to_ms);
    let whole = to.saturating_sub(from).max(1);
    let x = |ms: u64| ms.saturating_sub(from).min(whole) * BAR / whole;
    let mut picture = el("svg", "bar")
        .attr("viewBox", format!("0 0 {BAR} 30"))
        .attr("preserveAspectRatio", "none")
        .attr("aria-hidden", "true");
    for phase in phases {
        let (start, end) = (x(phase.from_ms), x(phase.to_ms));
        let width = (end - start).max(SLIVER);
        let start = start.min(BAR - SLIVER);
        picture = picture.child(
            el("rect", phase.class)
                .attr("x", start.to_string())
                .attr("y", "6")
                .attr("width", width.to_string())
                .attr("height", "18"),
        );
    }
    let marks = incident.steps.iter().filter(|step| {
        matches!(step.step, StepKind::Suspected | StepKind::Quorum | StepKind::Published | StepKind::InSync)
            && (from..=to).contains(&step.at_ms)
    });
    for step in marks {
        let class = if step.step == StepKind::Published { "mark told" } else { "mark" };
        let at = x(step.at_ms).clamp(1, BAR - 1);
        picture = picture.child(el("path", class).attr("d", format!("M{at} 0 V30")));
    }
    picture
}

fn legend(phases: &[Phase]) -> Element {
    let items = phases.iter().map(|phase| {
        el("li", phase.class)
            .child(el("span", "").text(phase.name))
            .text(" ")
            .child(el("strong", "").text(span(phase.to_ms - phase.from_ms)))
    });
    el("ul", "legend").children(items)
}

fn details(incident: &Incident, from: u64) -> Element {
    let steps = incident.steps.iter().map(|step| {
        let place = step.instance.as_ref().map(ToString::to_string).unwrap_or_default();
        el("li", "")
            .child(el("span", "at mono").text(format!("+{} ms", step.at_ms.saturating_sub(from))))
            .child(el("strong", "").text(step.step.name().replace('-', " ")))
            .child(el("span", "mono dim").text(place))
            .child(el("span", "what").text(step.text.clone()))
    });
    let leaders: Vec<String> = incident.leaders.iter().map(|id| format!("sentinel {id}")).collect();
    let mut facts = vec![("Decided by", leaders.join(", then "))];
    if let Some(evidence) = &incident.evidence {
        if !evidence.votes.is_empty() {
            let votes: Vec<String> = evidence.votes.iter().map(u64::to_string).collect();
            let many = plural(evidence.votes.len());
            facts.push((
                "Held down by",
                format!("sentinel{many} {}, {} needed", votes.join(", "), evidence.needed),
            ));
        }
        facts.extend(evidence.witnesses.iter().take(8).map(|w| ("Witness", witness(w))));
    }
    facts.extend(incident.copies.iter().take(8).map(|copy| {
        let chosen = if incident.successor.as_ref() == Some(&copy.address) { ", chosen" } else { "" };
        let counts = if copy.counts { "" } else { ", does not count" };
        ("Copy", format!("{} at offset {}{counts}{chosen}", copy.address, copy.offset))
    }));
    if let Some(reason) = &incident.reason {
        facts.push(("Reason", reason.clone()));
    }
    let facts = facts
        .into_iter()
        .map(|(name, value)| el("div", "").child(el("dt", "").text(name)).child(el("dd", "").text(value)));
    el("details", "")
        .child(el("summary", "").text("Step by step"))
        .child(el("ol", "steplist").children(steps))
        .child(el("dl", "evidence").children(facts))
}

fn witness(witness: &Witness) -> String {
    let link = match (witness.reachable, witness.link_up) {
        (false, _) => "could not be asked",
        (true, Some(true)) => "still streamed from it",
        (true, Some(false)) => "had lost it too",
        (true, None) => "had not answered yet",
    };
    match witness.heard_ms_ago {
        Some(ms) => format!("{} {link}, heard it {ms} ms before", witness.address),
        None => format!("{} {link}", witness.address),
    }
}
