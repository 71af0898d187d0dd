//! `vedette explain NAME`: what would happen if the master were lost now.

use super::client::Client;
use super::{Failure, SentinelOptions, print, render};
use crate::model::explain::{CandidateExplanation, Explanation};

pub(super) fn run(options: &SentinelOptions, name: &str, json: bool) -> Result<(), Failure> {
    let reply = Client::connect(options)?.call(&["SENTINEL", "EXPLAIN", name])?;
    let bytes = reply.as_bytes().unwrap_or_default();
    let explanation: Explanation = serde_json::from_slice(bytes).map_err(|error| {
        Failure::new(format!(
            "the sentinel sent an explanation that this version cannot read ({error}); use the vedette of its version"
        ))
    })?;
    if json {
        let mut text =
            serde_json::to_string_pretty(&explanation).map_err(|error| Failure::new(error.to_string()))?;
        text.push('\n');
        return print(text);
    }
    print(text(&explanation))
}

fn text(explanation: &Explanation) -> String {
    let mut text = format!(
        "{}: master {}, {} (seen by sentinel {}, {})\n",
        explanation.group, explanation.master, explanation.situation, explanation.node, explanation.view
    );
    let loss = match (explanation.loss_bytes, explanation.loss_seconds) {
        (Some(0), _) => "nothing that is known of".to_owned(),
        (Some(bytes), Some(seconds)) => format!("about {bytes} bytes, {seconds:.1} s of writes"),
        (Some(bytes), None) => format!("about {bytes} bytes"),
        (None, _) => "unknown".to_owned(),
    };
    match &explanation.successor {
        Some(successor) => {
            text.push_str(&format!("If the master were lost now: {successor} would be promoted.\n"));
            text.push_str(&format!("  expected loss   {loss}\n"));
            if let Some(ms) = explanation.estimated_ms {
                text.push_str(&format!(
                    "  estimated time  {ms} ms after a crash, {} ms when it falls silent\n",
                    explanation.estimated_silent_ms.unwrap_or(ms)
                ));
            }
            if let Some(preferred) = &explanation.handover_to {
                text.push_str(&format!("  afterwards      handed over to {preferred}, which is preferred\n"));
            }
        }
        None => text.push_str("If the master were lost now: nobody would be promoted.\n"),
    }
    for blocker in &explanation.blockers {
        text.push_str(&format!("  would block     {}: {}\n", blocker.what, blocker.reason));
    }
    let mut table = render::table(&["", "replica", "offset", "behind", "priority", "zone", "why"]);
    for candidate in &explanation.candidates {
        table.add_row(row(candidate));
    }
    for line in table.lines() {
        text.push_str(&format!(" {}\n", line.trim_end()));
    }
    text
}

fn row(candidate: &CandidateExplanation) -> [String; 7] {
    let number =
        |value: Option<u64>, unit: &str| value.map_or(String::new(), |value| format!("{value}{unit}"));
    [
        if candidate.chosen { "->" } else { "" }.to_owned(),
        candidate.address.to_string(),
        number(candidate.offset, ""),
        number(candidate.behind_bytes, " B"),
        candidate.priority.map_or(String::new(), |priority| priority.to_string()),
        candidate.zone.clone().unwrap_or_default(),
        candidate.reasons.join("; "),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Address;
    use crate::model::explain::Blocker;

    #[test]
    fn people_read_who_and_why_not() {
        let candidate = |port: u16, chosen: bool, why: &str| CandidateExplanation {
            address: Address::new("10.0.0.1", port),
            chosen,
            eligible: chosen,
            offset: Some(90),
            behind_bytes: Some(10),
            priority: Some(100),
            zone: None,
            in_sync_set: true,
            reasons: vec![why.to_owned()],
        };
        let explanation = Explanation {
            group: "m".into(),
            node: 2,
            view: "a follower's own view".into(),
            situation: "ok".into(),
            successor: Some(Address::new("10.0.0.1", 2)),
            loss_bytes: Some(10),
            loss_seconds: Some(0.5),
            estimated_ms: Some(600),
            estimated_silent_ms: Some(5300),
            candidates: vec![candidate(2, true, "the most data"), candidate(3, false, "priority 0")],
            blockers: vec![Blocker { what: "pause".into(), reason: "in maintenance by ops".into() }],
            ..Explanation::default()
        };
        let text = text(&explanation);
        for part in [
            "10.0.0.1:2 would be promoted",
            "10 bytes, 0.5 s",
            "priority 0",
            "in maintenance by ops",
            "600 ms",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}
