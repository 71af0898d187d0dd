//! Microsoft Teams, for the webhooks of Workflows: a message with one adaptive card (1.4). A message
//! may have 28 KB. All text stands in text runs, which Teams shows as it is: a text block would read
//! Markdown in names that come from outside.

use super::words::{self, Tone, fit, plain};
use super::{Letter, words::facts};
use serde_json::{Value, json};

const HEADLINE: usize = 300;
const VALUE: usize = 1000;

pub(super) fn body(letter: &Letter<'_>) -> Result<Vec<u8>, String> {
    let event = letter.event;
    let headline = fit(&words::headline(event), HEADLINE, plain);
    let (style, color) = match words::tone(event) {
        Tone::Bad => ("attention", "Attention"),
        Tone::Good => ("good", "Good"),
        Tone::Plain => ("emphasis", "Default"),
    };
    let mut items: Vec<Value> = vec![json!({
        "type": "Container", "style": style, "bleed": true, "items": [{
            "type": "RichTextBlock",
            "inlines": [{ "type": "TextRun", "text": headline, "weight": "Bolder", "size": "Medium", "color": color }],
        }],
    })];
    items.extend(facts(event, letter.cluster).iter().map(|(name, value)| {
        json!({ "type": "RichTextBlock", "spacing": "Small", "inlines": [
            { "type": "TextRun", "text": format!("{}: ", fit(name, 64, plain)), "isSubtle": true },
            { "type": "TextRun", "text": fit(value, VALUE, plain), "fontType": "Monospace" },
        ]})
    }));
    let body = json!({
        "type": "message",
        "summary": headline,
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "contentUrl": null,
            "content": {
                "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                "type": "AdaptiveCard",
                "version": "1.4",
                "msteams": { "width": "Full" },
                "fallbackText": headline,
                "body": items,
            },
        }],
    });
    Ok(body.to_string().into_bytes())
}
