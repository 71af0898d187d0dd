//! Slack's incoming webhooks: Block Kit. A header holds 150 characters of plain text, a section's text
//! 3000, a field 2000, a section at most 10 fields; `text` is what notifications show. `&`, `<` and
//! `>` are escaped, values stand in code quotes, so nothing in them is mark-up, link or mention.

use super::words::{self, Tone, angles, fit, plain};
use super::{Letter, words::facts};
use serde_json::{Value, json};

const HEADER: usize = 150;
const FIELD: usize = 2000;
const FIELDS: usize = 10;
const SECTION: usize = 3000;
const TEXT: usize = 3000;

pub(super) fn body(letter: &Letter<'_>) -> Result<Vec<u8>, String> {
    let event = letter.event;
    let headline = words::headline(event);
    let mark = match words::tone(event) {
        Tone::Bad => "🔴",
        Tone::Good => "🟢",
        Tone::Plain => "🔵",
    };
    let fields: Vec<Value> = facts(event, letter.cluster)
        .iter()
        .take(FIELDS)
        .map(|(name, value)| {
            let value = fit(value, FIELD - 100, quoted);
            json!({ "type": "mrkdwn", "verbatim": true, "text": format!("*{}*\n`{value}`", fit(name, 64, quoted)) })
        })
        .collect();
    let body = json!({
        "text": fit(&headline, TEXT, angles),
        "blocks": [
            { "type": "header", "text": {
                "type": "plain_text", "emoji": false, "text": fit(&format!("{mark} {headline}"), HEADER, plain),
            }},
            { "type": "section", "fields": fields },
            { "type": "section", "text": {
                "type": "mrkdwn", "verbatim": true,
                "text": format!("`{}`", fit(&format!("{} {}", event.kind.name(), event.payload), SECTION - 100, quoted)),
            }},
        ],
    });
    Ok(body.to_string().into_bytes())
}

/// Inside code quotes, which a quote or a line feed would end.
fn quoted(c: char, out: &mut String) {
    match c {
        '`' => out.push('\''),
        '\n' => out.push(' '),
        c => angles(c, out),
    }
}
