//! Discord's webhooks: one embed. Title 256, description 4096, at most 25 fields with names of 256
//! and values of 1024, and 6000 together. Markdown is escaped, and nobody is mentioned whatever the
//! text says.

use super::words::{self, Tone, fit, plain};
use super::{Letter, words::facts};
use crate::stdx::calendar::rfc3339;
use crate::stdx::time::Wall;
use serde_json::{Value, json};

const TITLE: usize = 256;
const DESCRIPTION: usize = 1500;
const FIELD_NAME: usize = 64;
/// Eighteen facts at most, so that all of it stays below 6000.
const FIELD_VALUE: usize = 150;

pub(super) fn body(letter: &Letter<'_>) -> Result<Vec<u8>, String> {
    let event = letter.event;
    let color = match words::tone(event) {
        Tone::Bad => 0x00d9_2d20,
        Tone::Good => 0x0007_9455,
        Tone::Plain => 0x0015_70ef,
    };
    let fields: Vec<Value> = facts(event, letter.cluster)
        .iter()
        .map(|(name, value)| {
            json!({ "name": fit(name, FIELD_NAME, marked), "value": fit(value, FIELD_VALUE, marked), "inline": true })
        })
        .collect();
    let payload = format!("{} {}", event.kind.name(), event.payload);
    let body = json!({
        "username": "Vedette",
        "allowed_mentions": { "parse": [] },
        "embeds": [{
            "title": fit(&words::headline(event), TITLE, marked),
            "description": fit(&payload, DESCRIPTION, marked),
            "color": color,
            "timestamp": rfc3339(Wall(event.at_ms)),
            "fields": fields,
            "footer": { "text": fit(&letter.id(), 100, plain) },
        }],
    });
    Ok(body.to_string().into_bytes())
}

/// What Markdown, mentions or links could begin with.
fn marked(c: char, out: &mut String) {
    if "\\*_~`|>#[]<@".contains(c) {
        out.push('\\');
    }
    out.push(c);
}
