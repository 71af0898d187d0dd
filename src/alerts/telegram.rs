//! Telegram's `sendMessage`: HTML in which only `&`, `<` and `>` must be escaped; 4096 characters.

use super::words::{self, Tone, angles, fit};
use super::{Letter, words::facts};
use serde_json::json;

const HEADLINE: usize = 400;
const VALUE: usize = 150;
const PAYLOAD: usize = 600;

pub(super) fn body(letter: &Letter<'_>) -> Result<Vec<u8>, String> {
    let event = letter.event;
    let chat = letter.target.chat.as_deref().ok_or("it has no chat")?;
    let mark = match words::tone(event) {
        Tone::Bad => "🔴",
        Tone::Good => "🟢",
        Tone::Plain => "🔵",
    };
    let mut text = format!("{mark} <b>{}</b>\n", fit(&words::headline(event), HEADLINE, angles));
    for (name, value) in facts(event, letter.cluster) {
        let (name, value) = (fit(&name, 40, angles), fit(&value, VALUE, angles));
        text.push_str(&format!("{name}: <code>{value}</code>\n"));
    }
    text.push_str(&format!("<code>{}</code>", fit(&event.payload, PAYLOAD, angles)));
    let body = json!({
        "chat_id": chat,
        "parse_mode": "HTML",
        "text": text,
        "disable_notification": words::tone(event) == Tone::Plain,
        "link_preview_options": { "is_disabled": true },
    });
    Ok(body.to_string().into_bytes())
}
