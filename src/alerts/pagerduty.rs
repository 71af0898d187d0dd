//! PagerDuty's Events API v2. A problem is triggered and resolved under one dedup key (at most 255
//! characters), so it is one incident however often it is told; a switch of the master resolves what
//! the dead master had open. A summary holds 1024 characters, an event 512 KB.

use super::words::{self, facts, fit, plain};
use super::{Letter, Problem};
use crate::stdx::calendar::rfc3339;
use crate::stdx::time::Wall;
use serde_json::{Map, Value, json};

const SUMMARY: usize = 1024;
const KEY: usize = 255;
const DETAIL: usize = 1024;

pub(super) fn body(letter: &Letter<'_>) -> Result<Vec<u8>, String> {
    let event = letter.event;
    let key = letter.target.key.as_ref().ok_or("it has no key-file")?;
    let (action, problem) = match letter.problem() {
        Problem::Opened(problem) => ("trigger", problem),
        Problem::Closed(problem) => ("resolve", problem),
        Problem::None => ("trigger", letter.id()),
    };
    let mut body = json!({
        "routing_key": key.reveal(),
        "event_action": action,
        "dedup_key": fit(&problem, KEY, plain),
    });
    if action == "trigger" {
        let details: Map<String, Value> = facts(event, letter.cluster)
            .into_iter()
            .map(|(name, value)| (name, Value::String(fit(&value, DETAIL, plain))))
            .collect();
        let source = event.instance.as_ref().map_or_else(|| letter.cluster.to_owned(), ToString::to_string);
        body["client"] = "Vedette".into();
        body["payload"] = json!({
            "summary": fit(&words::headline(event), SUMMARY, plain),
            "source": fit(&source, KEY, plain),
            "severity": words::grade(event),
            "timestamp": rfc3339(Wall(event.at_ms)),
            "component": "redis",
            "group": event.group,
            "class": event.kind.name(),
            "custom_details": details,
        });
    }
    Ok(body.to_string().into_bytes())
}
