//! CloudEvents 1.0 in structured JSON: the envelope that event buses route by, our own body inside.

use super::{Letter, words};
use crate::stdx::calendar::rfc3339;
use crate::stdx::time::Wall;
use serde_json::json;

pub(super) fn body(letter: &Letter<'_>) -> Result<Vec<u8>, String> {
    let event = letter.event;
    let mut envelope = json!({
        "specversion": "1.0",
        // Source and id together are unique, as the specification wants.
        "id": letter.id(),
        "source": format!("/vedette/{}", letter.plain_cluster()),
        "type": format!("vedette.event.{}", event.kind.name()),
        "time": rfc3339(Wall(event.at_ms)),
        "datacontenttype": "application/json",
        // An extension attribute; only lower-case letters and digits are allowed in their names.
        "severity": event.kind.row().severity,
        "data": words::object(event, letter.cluster),
    });
    // A subject must not be empty: what concerns the fleet has none.
    if !event.group.is_empty() {
        envelope["subject"] = match &event.instance {
            Some(instance) => format!("{}/{instance}", event.group),
            None => event.group.clone(),
        }
        .into();
    }
    Ok(envelope.to_string().into_bytes())
}
