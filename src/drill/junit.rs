//! Scorecards as JUnit XML: a suite per drill, a case per check, so that CI shows what broke by name.

use crate::model::drill::{Scorecard, Verdict};
use std::fmt::Write;

pub fn document(cards: &[Scorecard]) -> String {
    let mut xml =
        String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"vedette drill\">\n");
    for card in cards {
        let failures = card.checks.iter().filter(|check| !check.passed).count();
        let errors = usize::from(card.verdict == Verdict::Aborted);
        let seconds = card.ended_ms.saturating_sub(card.started_ms) as f64 / 1000.0;
        let class = format!("vedette.drill.{}", card.scenario.name());
        // Writing to a string cannot fail.
        let _ = writeln!(
            xml,
            "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{failures}\" errors=\"{errors}\" time=\"{seconds:.3}\" timestamp=\"{}\">",
            escape(&class),
            card.checks.len() + errors,
            stamp(card.started_ms)
        );
        let _ = writeln!(xml, "    <properties>");
        let gap = card.gap_us.map_or("none".to_owned(), |us| format!("{:.3}", us as f64 / 1000.0));
        for (name, value) in [
            ("verdict", card.verdict.name().to_owned()),
            ("gap-ms", gap),
            ("promised", card.writes.promised.to_string()),
            ("lost", card.writes.lost.to_string()),
        ] {
            let _ = writeln!(xml, "      <property name=\"{name}\" value=\"{}\"/>", escape(&value));
        }
        let _ = writeln!(xml, "    </properties>");
        if errors > 0 {
            let text = escape(&card.summary);
            let _ = writeln!(
                xml,
                "    <testcase classname=\"{class}\" name=\"run\"><error message=\"{text}\"/></testcase>"
            );
        }
        for check in &card.checks {
            let (name, detail) = (escape(&check.name), escape(&check.detail));
            let _ = if check.passed {
                writeln!(
                    xml,
                    "    <testcase classname=\"{class}\" name=\"{name}\"><system-out>{detail}</system-out></testcase>"
                )
            } else {
                writeln!(
                    xml,
                    "    <testcase classname=\"{class}\" name=\"{name}\"><failure message=\"{detail}\"/></testcase>"
                )
            };
        }
        xml.push_str("  </testsuite>\n");
    }
    xml.push_str("</testsuites>\n");
    xml
}

/// JUnit's own form has no zone and no fraction.
fn stamp(unix_ms: u64) -> String {
    let text = crate::stdx::calendar::rfc3339(crate::stdx::time::Wall(unix_ms));
    text.chars().take(19).collect()
}

/// For text and attributes, of XML and of HTML; what XML cannot carry at all is left out.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drill::judge::judge;
    use crate::drill::judge::tests::killed;
    use crate::drill::record::Record;

    #[test]
    fn a_broken_check_is_a_failure_and_names_stay_text() {
        let card = judge(&Record { slo_gap_ms: Some(1), doubts: vec!["<&>".into()], ..killed() });
        let xml = document(&[card]);
        assert!(xml.contains("failures=\"1\" errors=\"0\""), "{xml}");
        assert!(xml.contains("name=\"slo-gap\"><failure message="), "{xml}");
        let unfinished = Record { in_sync_us: None, doubts: vec!["<a> & \"b\"".into()], ..killed() };
        assert!(document(&[judge(&unfinished)]).contains("&lt;a&gt; &amp; &quot;b&quot;"));
        let aborted = judge(&Record { trouble: Some("no port".into()), ..killed() });
        assert!(document(&[aborted]).contains("errors=\"1\""));
        assert_eq!(stamp(1_700_000_000_000), "2023-11-14T22:13:20");
    }
}
