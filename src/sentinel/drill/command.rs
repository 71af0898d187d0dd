//! What may be asked about drills: `SENTINEL DRILL START | ABORT`, and between sentinels the result.

use crate::config::drills::{SLO_GAP_MS_MAX, cool_down_seconds};
use crate::model::drill::{SCENARIOS, Scenario, Scorecard};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DrillCommand {
    Start {
        group: String,
        scenario: Scenario,
        slo_gap_ms: Option<u64>,
        cool_down_s: u64,
        go_back: bool,
        /// Only say whether it could begin.
        dry_run: bool,
    },
    Abort,
    /// From the sentinel that conducted it, never from a client.
    End {
        card: Box<Scorecard>,
    },
}

/// Where a client's words went wrong, as its error.
type Mistake = String;

impl DrillCommand {
    /// The words that carry it to the leader, after DRILL.
    pub fn words(&self) -> Vec<String> {
        match self {
            DrillCommand::Start { group, scenario, slo_gap_ms, cool_down_s, go_back, dry_run } => {
                let mut words = vec!["START".to_owned(), group.clone(), scenario.name().to_owned()];
                if let Some(slo) = slo_gap_ms {
                    words.extend(["SLO-GAP-MS".to_owned(), slo.to_string()]);
                }
                words.extend(["COOL-DOWN-SECONDS".to_owned(), cool_down_s.to_string()]);
                if !go_back {
                    words.push("STAY".to_owned());
                }
                if *dry_run {
                    words.push("DRYRUN".to_owned());
                }
                words
            }
            DrillCommand::Abort => vec!["ABORT".to_owned()],
            DrillCommand::End { card } => {
                // Every key of a scorecard is text, so writing it cannot fail.
                vec!["END".to_owned(), serde_json::to_string(card).unwrap_or_default()]
            }
        }
    }

    /// Reads what `words` wrote.
    pub fn parse(words: &[&str]) -> Option<Self> {
        match words {
            ["END", card] => Some(DrillCommand::End { card: serde_json::from_str(card).ok()? }),
            words => Self::from_client(words).ok(),
        }
    }

    /// `START group scenario [SLO-GAP-MS n] [COOL-DOWN-SECONDS n] [STAY] [DRYRUN]` or `ABORT`.
    pub fn from_client(words: &[&str]) -> Result<Self, Mistake> {
        let shape = "ERR expected START <group> <scenario> [SLO-GAP-MS <ms>] [COOL-DOWN-SECONDS <s>] [STAY] [DRYRUN], ABORT, STATUS, LIST or REPORT <id>";
        match words {
            [verb] if verb.eq_ignore_ascii_case("ABORT") => Ok(DrillCommand::Abort),
            [verb, group, scenario, options @ ..] if verb.eq_ignore_ascii_case("START") => {
                let scenario = live(scenario)?;
                let (mut slo_gap_ms, mut cool_down_s) = (None, cool_down_seconds());
                let (mut go_back, mut dry_run) = (true, false);
                let mut rest = options;
                while let [option, after @ ..] = rest {
                    rest = after;
                    let mut number = |name: &str, max: u64| match rest {
                        [value, after @ ..] => {
                            rest = after;
                            value
                                .parse()
                                .ok()
                                .filter(|value| *value <= max)
                                .ok_or_else(|| format!("ERR {name} needs a number up to {max}"))
                        }
                        [] => Err(format!("ERR {name} needs a number")),
                    };
                    match option.to_ascii_uppercase().as_str() {
                        "SLO-GAP-MS" => slo_gap_ms = Some(number("SLO-GAP-MS", SLO_GAP_MS_MAX)?),
                        "COOL-DOWN-SECONDS" => {
                            cool_down_s = number("COOL-DOWN-SECONDS", u64::from(u32::MAX))?
                        }
                        "STAY" => go_back = false,
                        "DRYRUN" => dry_run = true,
                        _ => return Err(shape.to_owned()),
                    }
                }
                let group = (*group).to_owned();
                Ok(DrillCommand::Start { group, scenario, slo_gap_ms, cool_down_s, go_back, dry_run })
            }
            _ => Err(shape.to_owned()),
        }
    }
}

fn live(name: &str) -> Result<Scenario, Mistake> {
    let names: Vec<&str> = SCENARIOS.iter().filter(|row| row.live).map(|row| row.name).collect();
    match Scenario::parse(name) {
        Some(scenario) if scenario.row().live => Ok(scenario),
        Some(scenario) => Err(format!(
            "ERR '{}' needs access to the servers' hosts; on a fleet that serves: {} (the others: vedette drill, on a throw-away fleet)",
            scenario.name(),
            names.join(", ")
        )),
        None => Err(format!("ERR there is no such scenario; one of: {}", names.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_read_back_and_mistakes_are_named() {
        let start = DrillCommand::from_client(&["start", "m", "KILL", "slo-gap-ms", "900", "STAY"]).unwrap();
        let words = start.words();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        assert_eq!(DrillCommand::parse(&words), Some(start));
        assert_eq!(DrillCommand::parse(&["ABORT"]), Some(DrillCommand::Abort));
        for (bad, says) in [
            (vec!["START", "m", "isolate"], "hosts"),
            (vec!["START", "m", "dance"], "kill"),
            (vec!["START", "m", "kill", "SLO-GAP-MS"], "number"),
            (vec!["START", "m", "kill", "LOUD"], "expected START"),
            (vec!["END", "{}"], "expected START"),
        ] {
            let error = DrillCommand::from_client(&bad).unwrap_err();
            assert!(error.contains(says), "{bad:?}: {error}");
        }
    }
}
