//! Failover drills, judged: what happened and what clients were told goes in, a scorecard comes out.
//!
//! Promises: the same record gives the same scorecard; a drill that saw too little, or whose canary
//! lost a write that WAIT had promised, never passes. Has never heard of a socket, a clock, or of how
//! the fault was brought about.
//!
//! | file | one line |
//! |---|---|
//! | `record` | what a drill's shell collects |
//! | `judge` | record to scorecard: gap, steps, checks, verdict |
//! | `text`, `junit`, `html`, `timeline` | a scorecard for a terminal, for CI, for people |

pub mod html;
pub mod judge;
pub mod junit;
pub mod record;
pub mod text;
mod timeline;

pub use judge::judge;
pub use record::{Attempt, Holding, Record};

/// What a command that ran these drills exits with: 0 all passed, 1 a promise or an objective was
/// missed, 2 one could not be run.
pub fn exit_status(cards: &[crate::model::drill::Scorecard]) -> u8 {
    use crate::model::drill::Verdict;
    let any = |verdict: Verdict| cards.iter().any(|card| card.verdict == verdict);
    if any(Verdict::Failed) || any(Verdict::SloMissed) { 1 } else { u8::from(any(Verdict::Aborted)) * 2 }
}

/// `412 ms`, `1.87 s`: three figures are what a reader keeps.
pub fn figure(us: u64) -> String {
    match us {
        0..=999 => format!("{us} µs"),
        1_000..=9_999 => format!("{:.1} ms", us as f64 / 1e3),
        10_000..=999_999 => format!("{} ms", (us + 500) / 1000),
        1_000_000..=99_999_999 => format!("{:.2} s", us as f64 / 1e6),
        _ => format!("{} s", us / 1_000_000),
    }
}
