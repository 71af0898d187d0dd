//! An event in words, and words within a vendor's limits. Lengths are counted in UTF-16 units: no
//! vendor counts more, and those that count characters count less.

use crate::model::event::{Event, EventKind, Severity};
use crate::model::problem::Turn;
use crate::stdx::calendar::rfc3339;
use crate::stdx::time::Wall;
use serde_json::{Map, Value, json};

/// Details shown by a chat message; the generic body has all.
const DETAILS_SHOWN: usize = 12;

/// How it sounds: decides colours and severities of vendors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    Bad,
    Good,
    Plain,
}

pub(super) fn tone(event: &Event) -> Tone {
    match event.kind.turn() {
        Turn::Begins => Tone::Bad,
        Turn::Ends(_) => Tone::Good,
        Turn::Moment if !event.kind.also_ends().is_empty() => Tone::Good,
        Turn::Moment if is_bad(event.kind) => Tone::Bad,
        Turn::Moment => Tone::Plain,
    }
}

/// A problem or an alarm, by its kind alone.
pub(super) fn is_bad(kind: EventKind) -> bool {
    kind.turn() == Turn::Begins
        || (kind.turn() == Turn::Moment && kind.also_ends().is_empty() && kind.alarms())
}

/// One line: the group, what happened, to whom.
pub(super) fn headline(event: &Event) -> String {
    let mut text = String::new();
    if !event.group.is_empty() {
        text.push_str(&event.group);
        text.push_str(": ");
    }
    text.push_str(event.kind.row().summary);
    let detail = |name: &str| event.details.iter().find(|(key, _)| key == name).map(|(_, value)| value);
    match (event.kind, detail("from"), detail("to")) {
        (EventKind::SwitchMaster, Some(from), Some(to)) => text.push_str(&format!(" ({from} -> {to})")),
        _ => {
            if let Some(instance) = &event.instance {
                text.push_str(&format!(" ({instance})"));
            }
        }
    }
    text
}

/// What is worth a line of its own, as name and value.
pub(super) fn facts(event: &Event, cluster: &str) -> Vec<(String, String)> {
    let mut facts = vec![("event".to_owned(), event.kind.name().to_owned())];
    if !event.group.is_empty() {
        facts.push(("group".to_owned(), event.group.clone()));
        facts.push(("epoch".to_owned(), event.epoch.to_string()));
    }
    if let Some(instance) = &event.instance {
        facts.push(("instance".to_owned(), instance.to_string()));
    }
    facts.push(("at".to_owned(), rfc3339(Wall(event.at_ms))));
    facts.push(("id".to_owned(), format!("{} of {cluster}", event.id)));
    facts.extend(event.details.iter().filter(|(_, value)| !value.is_empty()).take(DETAILS_SHOWN).cloned());
    facts
}

/// All of it for machines: the generic body, the data of CloudEvents, what templates see.
pub(super) fn object(event: &Event, cluster: &str) -> Value {
    let row = event.kind.row();
    let details: Map<String, Value> =
        event.details.iter().map(|(key, value)| (key.clone(), Value::String(value.clone()))).collect();
    json!({
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
    })
}

/// One name of four that most vendors know.
pub(super) fn grade(event: &Event) -> &'static str {
    match (tone(event), event.kind.row().severity) {
        (Tone::Bad, Severity::Warning) => match event.kind {
            EventKind::SDown | EventKind::WebhookDropped | EventKind::WebhookDisabled => "warning",
            _ => "critical",
        },
        (Tone::Bad, _) => "warning",
        (Tone::Good | Tone::Plain, _) => "info",
    }
}

/// The text with each character as the vendor wants it, cut before it grows beyond `most`.
pub(super) fn fit(text: &str, most: usize, escape: impl Fn(char, &mut String)) -> String {
    let width = |text: &str| text.encode_utf16().count();
    let (mut out, mut used) = (String::new(), 0);
    // Where to cut so that the mark of the cut still fits.
    let mut cut = 0;
    let mut piece = String::new();
    for c in text.chars() {
        piece.clear();
        // A line feed is shown; other controls would be refused or mislead.
        escape(if c.is_control() && c != '\n' { '\u{fffd}' } else { c }, &mut piece);
        used += width(&piece);
        if used > most {
            out.truncate(cut);
            out.push('…');
            return out;
        }
        out.push_str(&piece);
        if used < most {
            cut = out.len();
        }
    }
    out
}

pub(super) fn plain(c: char, out: &mut String) {
    out.push(c);
}

/// The three characters that begin something in Slack's and Telegram's mark-up.
pub(super) fn angles(c: char, out: &mut String) {
    match c {
        '&' => out.push_str("&amp;"),
        '<' => out.push_str("&lt;"),
        '>' => out.push_str("&gt;"),
        c => out.push(c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_is_marked_never_inside_an_escape_and_never_too_long() {
        assert_eq!(fit("short", 5, plain), "short");
        assert_eq!(fit("longer", 5, plain), "long…");
        assert_eq!(fit("a<b", 5, angles), "a…");
        assert_eq!(fit("a<b", 6, angles), "a&lt;b");
        assert_eq!(fit("a\u{7}\nb", 9, plain), "a\u{fffd}\nb");
        for most in 1..12 {
            let cut = fit("ä𝄞<&é>text", most, angles);
            assert!(cut.encode_utf16().count() <= most, "{cut} in {most}");
        }
    }
}
