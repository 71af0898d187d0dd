//! Scorecards for a terminal.

use super::figure;
use crate::model::drill::{Scorecard, Verdict};

const BAR: usize = 40;

/// One drill in full.
pub fn card(card: &Scorecard) -> String {
    let place = if card.live { "live" } else { "throw-away" };
    let mut text = format!(
        "{}  {}  {} fleet, group {}: {} replicas, {} sentinels, down-after {} ms\n",
        verdict(card.verdict),
        card.scenario.name(),
        place,
        card.group,
        card.replicas,
        card.sentinels,
        card.down_after_ms
    );
    let objective = card.slo_gap_ms.map_or(String::new(), |ms| format!(" (objective {})", figure(ms * 1000)));
    let gap = card.gap_us.map_or("without end".to_owned(), figure);
    let writes = &card.writes;
    text.push_str(&format!("\n  gap       {gap}{objective}\n"));
    text.push_str(&format!(
        "  writes    {} sent, {} acknowledged, {} promised by WAIT, {} failed\n",
        writes.attempted, writes.acknowledged, writes.promised, writes.failed
    ));
    text.push_str(&format!(
        "  lost      {} promised, {} not promised\n",
        writes.lost, writes.lost_unpromised
    ));
    if let (Some(old), Some(new)) = (&card.old_master, &card.new_master) {
        text.push_str(&format!("  master    {old} -> {new}\n"));
    }
    for (error, count) in &card.errors {
        text.push_str(&format!("  error     {count} x {error}\n"));
    }
    timeline(card, &mut text);
    text.push('\n');
    for check in &card.checks {
        let mark = if check.passed { "ok  " } else { "FAIL" };
        text.push_str(&format!("  {mark}  {:<18} {}\n", check.name, check.detail));
    }
    if card.checks.is_empty() {
        text.push_str(&format!("  {}\n", card.summary));
    }
    text
}

/// The steps, each with a bar as long as its time after the fault.
fn timeline(card: &Scorecard, text: &mut String) {
    let last = card.steps.iter().filter(|step| step.name != "in-sync").map(|step| step.at_us).max();
    let Some(last) = last.filter(|last| *last > 0) else { return };
    text.push('\n');
    for step in &card.steps {
        let at = step.at_us.max(0) as u64;
        let length = (at * BAR as u64 / last as u64) as usize;
        let bar = if length > BAR { format!("{}>", "=".repeat(BAR)) } else { "=".repeat(length) };
        text.push_str(&format!("  {:<12} {:>9}  {bar}\n", step.name, figure(at)));
    }
}

/// All of them, one line each.
pub fn table(cards: &[Scorecard]) -> String {
    let mut text = format!(
        "{:<11} {:<16} {:>9}  {:>8}  {:>4}  {}\n",
        "VERDICT", "SCENARIO", "GAP", "PROMISED", "LOST", "WHY"
    );
    for card in cards {
        let gap = card.gap_us.map_or("-".to_owned(), figure);
        text.push_str(&format!(
            "{:<11} {:<16} {:>9}  {:>8}  {:>4}  {}\n",
            verdict(card.verdict).trim(),
            card.scenario.name(),
            gap,
            card.writes.promised,
            card.writes.lost,
            card.summary
        ));
    }
    text
}

fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Passed => "PASSED",
        Verdict::SloMissed => "SLO MISSED",
        Verdict::Failed => "FAILED",
        Verdict::Aborted => "ABORTED",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drill::judge::judge;
    use crate::drill::judge::tests::killed;

    #[test]
    fn the_figures_that_matter_are_in_it() {
        let text = card(&judge(&killed()));
        for words in
            ["PASSED  kill", "gap       410 ms (objective 500 ms)", "160 promised by WAIT", "ok    no-loss"]
        {
            assert!(text.contains(words), "{words}:\n{text}");
        }
        assert!(table(&[judge(&killed())]).lines().count() == 2);
    }
}
