//! Scorecards as one HTML file that needs nothing from elsewhere: opened from a disk, mailed, printed.

use super::figure;
use super::junit::escape;
use super::timeline;
use crate::model::drill::{Scorecard, Verdict};
use crate::stdx::calendar::rfc3339;
use crate::stdx::time::Wall;
use std::fmt::Write;

const STYLE: &str = include_str!("report.css");

pub fn document(cards: &[Scorecard]) -> String {
    let passed = cards.iter().filter(|card| card.verdict == Verdict::Passed).count();
    let headline = match (cards, passed) {
        ([one], _) => format!("{}: {}", one.scenario.name(), words(one.verdict).to_lowercase()),
        (all, n) if n == all.len() => format!("All {n} drills passed"),
        (all, n) => format!("{n} of {} drills passed", all.len()),
    };
    let when = cards.first().map_or(String::new(), |card| minute(card.started_ms));
    let mut html = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\">\
         <title>Failover drill: {0}</title><style>{STYLE}</style></head><body><main>\
         <header><p class=\"kicker\">Vedette failover drill</p><h1>{0}</h1><p class=\"when\">{when}</p></header>\n",
        escape(&headline)
    );
    if cards.len() > 1 {
        overview(&mut html, cards);
    }
    for card in cards {
        section(&mut html, card);
    }
    let version = cards.first().map_or("", |card| card.version.as_str());
    // Writing to a string cannot fail.
    let _ = writeln!(
        html,
        "<footer>Written by vedette {}. The gap is what a client saw: from its last acknowledged write before the \
         fault to its first one after it. A write is promised when WAIT named at least the sync quorum of replicas.\
         </footer></main></body></html>",
        escape(version)
    );
    html
}

fn overview(html: &mut String, cards: &[Scorecard]) {
    html.push_str(
        "<table class=\"overview\"><thead><tr><th>Drill</th><th>Verdict</th><th class=\"n\">Gap</th>\
         <th class=\"n\">Promised</th><th class=\"n\">Lost</th><th class=\"n\">In sync after</th></tr></thead><tbody>",
    );
    for card in cards {
        let name = escape(card.scenario.name());
        let _ = write!(
            html,
            "<tr><td><a href=\"#{name}\">{name}</a></td><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td>\
             <td class=\"n\">{}</td><td class=\"n\">{}</td></tr>",
            badge(card.verdict),
            card.gap_us.map_or("–".to_owned(), figure),
            card.writes.promised,
            card.writes.lost,
            step(card, "in-sync")
        );
    }
    html.push_str("</tbody></table>\n");
}

fn step(card: &Scorecard, name: &str) -> String {
    let found = card.steps.iter().find(|step| step.name == name);
    found.map_or("–".to_owned(), |step| figure(step.at_us.max(0) as u64))
}

fn section(html: &mut String, card: &Scorecard) {
    let name = escape(card.scenario.name());
    let _ = write!(
        html,
        "<section id=\"{name}\" class=\"{}\"><div class=\"title\"><h2>{name}</h2>{}</div>\
         <p class=\"what\">{}</p><p class=\"summary\">{}</p>",
        card.verdict.name(),
        badge(card.verdict),
        escape(card.scenario.row().summary),
        escape(&sentence(&card.summary))
    );
    figures(html, card);
    let svg = timeline::svg(card);
    if !svg.is_empty() {
        let _ = write!(
            html,
            "<figure><div class=\"scroll\">{svg}</div><figcaption><span class=\"key promised\">promised write</span>\
             <span class=\"key acknowledged\">acknowledged only</span><span class=\"key failed\">failed</span>\
             <span class=\"key detect\">detect</span><span class=\"key decide\">decide</span>\
             <span class=\"key promote\">promote</span><span class=\"key clients\">clients</span>\
             <span class=\"key repair\">repair</span></figcaption></figure>"
        );
    }
    html.push_str("<div class=\"columns\">");
    checks(html, card);
    facts(html, card);
    html.push_str("</div>");
    if !card.events.is_empty() {
        let _ = write!(
            html,
            "<details><summary>{} agreed events</summary><table class=\"events\">",
            card.events.len()
        );
        for (at, kind, payload) in &card.events {
            let _ = write!(
                html,
                "<tr><td class=\"n\">{}</td><td><code>{}</code></td><td>{}</td></tr>",
                figure((*at).max(0) as u64),
                escape(kind),
                escape(payload)
            );
        }
        html.push_str("</table></details>");
    }
    html.push_str("</section>\n");
}

fn figures(html: &mut String, card: &Scorecard) {
    let gap_class = match card.checks.iter().find(|check| check.name == "slo-gap") {
        Some(check) if check.passed => " good",
        Some(_) => " bad",
        None => "",
    };
    let slo = card
        .slo_gap_ms
        .map_or("no objective set".to_owned(), |ms| format!("objective {}", figure(ms * 1000)));
    let lost_class = if card.writes.lost == 0 { " good" } else { " bad" };
    let gap = card.gap_us.map_or("none".to_owned(), figure);
    let cells = [
        (gap_class, gap, "without an acknowledged write", slo),
        (
            lost_class,
            card.writes.lost.to_string(),
            "promised writes lost",
            format!("of {} promised by WAIT", card.writes.promised),
        ),
        ("", step(card, "published"), "to the new master's name", "+switch-master".to_owned()),
        ("", step(card, "in-sync"), "to all replicas in sync", format!("{} replicas", card.replicas)),
    ];
    html.push_str("<dl class=\"figures\">");
    for (class, value, label, note) in cells {
        let _ = write!(
            html,
            "<div class=\"cell{class}\"><dd>{}</dd><dt>{label}<small>{}</small></dt></div>",
            escape(&value),
            escape(&note)
        );
    }
    html.push_str("</dl>");
}

fn checks(html: &mut String, card: &Scorecard) {
    html.push_str("<div><h3>What had to hold</h3><ul class=\"checks\">");
    for check in &card.checks {
        let (class, mark, word) = if check.passed { ("ok", "✓", "held") } else { ("no", "✗", "broken") };
        let _ = write!(
            html,
            "<li class=\"{class}\"><b aria-label=\"{word}\">{mark}</b><span><strong>{}</strong> {}</span></li>",
            escape(&check.name),
            escape(&check.detail)
        );
    }
    if card.checks.is_empty() {
        html.push_str("<li>Nothing was judged: the drill was not run to its end.</li>");
    }
    html.push_str("</ul></div>");
}

fn facts(html: &mut String, card: &Scorecard) {
    let address = |address: &Option<crate::model::Address>| {
        address.as_ref().map_or("–".to_owned(), |address| address.to_string())
    };
    let fleet = if card.live { "live" } else { "made for the drill, thrown away" };
    let mut rows = vec![
        ("fleet", fleet.to_owned()),
        ("group", card.group.clone()),
        ("master", format!("{} → {}", address(&card.old_master), address(&card.new_master))),
        ("replicas, sentinels", format!("{}, {}", card.replicas, card.sentinels)),
        ("down-after", format!("{} ms", card.down_after_ms)),
        ("sync quorum", card.sync_quorum.to_string()),
        ("writes sent", card.writes.attempted.to_string()),
        ("acknowledged", card.writes.acknowledged.to_string()),
        ("failed", card.writes.failed.to_string()),
        ("lost, not promised", card.writes.lost_unpromised.to_string()),
        ("promised gap", card.promised_gap_us.map_or("–".to_owned(), figure)),
        ("started", rfc3339(Wall(card.started_ms))),
    ];
    if !card.name.is_empty() {
        rows.insert(0, ("schedule", card.name.clone()));
    }
    html.push_str("<div><h3>Figures</h3><table class=\"facts\">");
    for (name, value) in rows {
        let _ = write!(html, "<tr><th>{name}</th><td>{}</td></tr>", escape(&value));
    }
    for (error, count) in &card.errors {
        let _ = write!(html, "<tr><th>error</th><td>{count} × {}</td></tr>", escape(error));
    }
    html.push_str("</table></div>");
}

fn badge(verdict: Verdict) -> String {
    let mark = match verdict {
        Verdict::Passed => "✓",
        Verdict::SloMissed => "!",
        Verdict::Failed => "✗",
        Verdict::Aborted => "–",
    };
    format!(
        "<span class=\"badge {}\"><i aria-hidden=\"true\">{mark}</i>{}</span>",
        verdict.name(),
        words(verdict)
    )
}

fn words(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Passed => "Passed",
        Verdict::SloMissed => "SLO missed",
        Verdict::Failed => "Failed",
        Verdict::Aborted => "Aborted",
    }
}

fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters
        .next()
        .map_or(String::new(), |first| first.to_uppercase().chain(letters).collect::<String>() + ".")
}

fn minute(unix_ms: u64) -> String {
    let text = rfc3339(Wall(unix_ms));
    format!("{} {} UTC", text.get(..10).unwrap_or(""), text.get(11..16).unwrap_or(""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drill::judge::judge;
    use crate::drill::judge::tests::killed;
    use crate::drill::record::Record;

    #[test]
    fn the_file_needs_nothing_from_elsewhere_and_names_stay_text() {
        let mut record = killed();
        record.group = "<script>alert(1)</script>".into();
        record.attempts[0].error = Some("<img alt=x>".into());
        let html = document(&[judge(&record), judge(&Record { slo_gap_ms: Some(1), ..killed() })]);
        assert!(!html.contains("<script") && !html.contains("<img"), "{html}");
        for foreign in ["http:", "https:", "src=", "url("] {
            assert!(!html.contains(foreign), "{foreign}");
        }
        assert!(html.contains("1 of 2 drills passed") && html.contains("SLO missed"));
        for class in ["bar detect", "bar promote", "class=\"slo\"", "class=\"promised\"", "class=\"failed\""]
        {
            assert!(html.contains(class), "{class}");
        }
    }

    #[test]
    fn a_drill_that_never_began_is_a_page_all_the_same() {
        let card = judge(&Record { fault_us: None, trouble: Some("no port was free".into()), ..killed() });
        let html = document(&[card]);
        assert!(html.contains("Aborted") && html.contains("no port was free") && !html.contains("<svg"));
    }
}
