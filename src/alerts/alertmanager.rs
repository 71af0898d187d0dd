//! Alertmanager's API v2: a list of alerts. A problem is active from its event on and ends with the
//! event that ends it, under the same labels. An alert without an end would be forgotten after
//! `resolve_timeout`, and nobody repeats an event, so an open problem ends far away and a single
//! moment after a quarter of an hour.

use super::words::{self, facts, fit, plain};
use super::{Letter, PROBLEM_OPEN_MS};
use crate::model::event::EventKind;
use crate::model::problem::Turn;
use crate::stdx::calendar::rfc3339;
use crate::stdx::time::Wall;
use serde_json::{Map, Value, json};

const MOMENT_MS: u64 = 15 * 60 * 1000;
const LABEL: usize = 256;
const ANNOTATION: usize = 4096;

pub(super) fn body(letter: &Letter<'_>) -> Result<Vec<u8>, String> {
    let event = letter.event;
    let at = event.at_ms;
    let mut alerts = Vec::new();
    match event.kind.turn() {
        Turn::Begins => alerts.push(alert(letter, event.kind, Some(at), at + PROBLEM_OPEN_MS)),
        // Without a beginning Alertmanager keeps the one it has.
        Turn::Ends(begun) => alerts.push(alert(letter, begun, None, at)),
        Turn::Moment => alerts.push(alert(letter, event.kind, Some(at), at + MOMENT_MS)),
    }
    alerts.extend(event.kind.also_ends().iter().map(|begun| alert(letter, *begun, None, at)));
    Ok(Value::Array(alerts).to_string().into_bytes())
}

fn alert(letter: &Letter<'_>, problem: EventKind, starts: Option<u64>, ends: u64) -> Value {
    let event = letter.event;
    let mut labels = Map::new();
    let mut label = |name: &str, value: &str| {
        // An empty label is no label.
        if !value.is_empty() {
            labels.insert(name.to_owned(), Value::String(fit(value, LABEL, plain)));
        }
    };
    label("alertname", &alert_name(problem));
    label("cluster", letter.cluster);
    label("group", &event.group);
    label("severity", if words::is_bad(problem) { "critical" } else { "info" });
    label("source", "vedette");
    // Only what is the same at both ends of a problem may be a label.
    if problem.per_instance() {
        label("instance", &event.instance.as_ref().map(ToString::to_string).unwrap_or_default());
    }
    let mut annotations: Map<String, Value> = facts(event, letter.cluster)
        .into_iter()
        .map(|(name, value)| (annotation_name(&name), Value::String(fit(&value, ANNOTATION, plain))))
        .collect();
    annotations.insert("summary".to_owned(), fit(&words::headline(event), ANNOTATION, plain).into());
    annotations.insert("payload".to_owned(), fit(&event.payload, ANNOTATION, plain).into());
    let mut alert = json!({ "labels": labels, "annotations": annotations, "endsAt": rfc3339(Wall(ends)) });
    if let Some(starts) = starts {
        alert["startsAt"] = rfc3339(Wall(starts)).into();
    }
    alert
}

/// `+lease-lost` is `VedetteLeaseLost`.
fn alert_name(kind: EventKind) -> String {
    let mut name = "Vedette".to_owned();
    for word in kind.name().trim_start_matches(['+', '-']).split('-') {
        let mut letters = word.chars();
        name.extend(letters.next().map(|c| c.to_ascii_uppercase()));
        name.push_str(letters.as_str());
    }
    name
}

/// Letters, digits and underscores only.
fn annotation_name(name: &str) -> String {
    let mut name: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    if !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
        name.insert(0, '_');
    }
    name
}
