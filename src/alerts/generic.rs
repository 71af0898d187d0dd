//! Our own body: flat JSON that a script or an automation tool reads without documentation.

use crate::model::event::Event;
use crate::stdx::calendar::rfc3339;
use crate::stdx::time::Wall;
use serde_json::{Map, Value, json};

pub(super) fn body(event: &Event, cluster: &str) -> Vec<u8> {
    let row = event.kind.row();
    let details: Map<String, Value> =
        event.details.iter().map(|(key, value)| (key.clone(), Value::String(value.clone()))).collect();
    let body = json!({
        "id": event.id,
        "type": row.name,
        "at": rfc3339(Wall(event.at_ms)),
        "cluster": cluster,
        "group": event.group,
        "epoch": event.epoch,
        "instance": event.instance,
        "payload": event.payload,
        "severity": row.severity,
        "summary": row.summary,
        "details": details,
    });
    body.to_string().into_bytes()
}
