//! Where scorecards go: the terminal, and files for machines and people.

use crate::cli::{Failure, print};
use crate::drill::{html, junit, text};
use crate::model::drill::Scorecard;
use std::path::{Path, PathBuf};

#[derive(clap::Args, Clone, Debug, Default)]
pub(in crate::cli) struct ReportOptions {
    /// The longest time without an acknowledged write that is good enough
    #[arg(long, value_name = "MILLISECONDS", value_parser = clap::value_parser!(u64).range(1..=600_000))]
    pub(in crate::cli) slo_gap_ms: Option<u64>,
    /// Print the scorecards as JSON; progress goes to stderr
    #[arg(long)]
    pub(in crate::cli) json: bool,
    /// Also write them as JUnit XML, for CI
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) junit: Option<PathBuf>,
    /// Also write them as one self-contained HTML file
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) html: Option<PathBuf>,
}

impl ReportOptions {
    /// Whether the files can be written at all.
    pub(super) fn check(&self) -> Result<(), Failure> {
        for path in [&self.junit, &self.html].into_iter().flatten() {
            std::fs::OpenOptions::new().create(true).append(true).open(path).map_err(|e| cannot(path, &e))?;
        }
        Ok(())
    }

    pub(super) fn write(&self, cards: &[Scorecard]) -> Result<(), Failure> {
        if let Some(path) = &self.junit {
            std::fs::write(path, junit::document(cards)).map_err(|e| cannot(path, &e))?;
        }
        if let Some(path) = &self.html {
            std::fs::write(path, html::document(cards)).map_err(|e| cannot(path, &e))?;
        }
        if self.json {
            let text =
                serde_json::to_string_pretty(cards).map_err(|error| Failure::new(error.to_string()))?;
            return print(text + "\n");
        }
        for card in cards {
            print(format!("\n{}", text::card(card)))?;
        }
        if cards.len() > 1 {
            print(format!("\n{}", text::table(cards)))?;
        }
        if let Some(path) = &self.html {
            print(format!("\nreport: {}\n", path.display()))?;
        }
        Ok(())
    }
}

fn cannot(path: &Path, error: &std::io::Error) -> Failure {
    Failure::usage(format!("cannot write {}: {error}", path.display()))
}
