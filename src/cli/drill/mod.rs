//! `vedette drill`: failover drills on a throw-away fleet, or on one that serves, with a scorecard.
//!
//! Promises: a throw-away fleet leaves no process and no file behind; a live one is touched only when
//! every interlock holds and the operator typed the group's name; the exit status is 0 when all drills
//! passed, 1 when a promise was broken or an objective missed, 2 when one could not be run.

mod fleet;
mod hand;
mod live;
mod proxy;
mod report;
mod show;

use super::{Failure, SentinelOptions};
use crate::drill::exit_status;
use crate::model::drill::{SCENARIOS, Scenario, Scorecard};
pub(super) use report::ReportOptions;
use std::path::PathBuf;

/// What `vedette drill` takes.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = scenario_help())]
pub(super) struct DrillOptions {
    /// What to practise; several are run one after the other
    #[arg(value_name = "SCENARIO", value_parser = scenario, required_unless_present_any = ["all", "list"])]
    scenarios: Vec<Scenario>,
    /// Every scenario, each on a fleet of its own
    #[arg(long, conflicts_with_all = ["scenarios", "live"])]
    all: bool,
    /// On the fleet of --sentinel instead of a throw-away one (planned, hang, kill)
    #[arg(long)]
    live: bool,
    /// Show what the fleet of --sentinel has run and planned
    #[arg(long, conflicts_with_all = ["scenarios", "all", "live"])]
    list: bool,
    #[command(flatten)]
    to: SentinelOptions,
    /// The group to practise on, with --live
    #[arg(long, value_name = "NAME", requires = "live")]
    group: Option<String>,
    /// Do not ask for the group's name before a live drill
    #[arg(long, requires = "live")]
    yes: bool,
    /// Least time since the last failover and the last drill, with --live
    #[arg(long, value_name = "SECONDS", requires = "live")]
    cool_down: Option<u64>,
    /// Leave the new master where it is, with --live; else the old one gets its place back
    #[arg(long, requires = "live")]
    stay: bool,
    #[command(flatten)]
    fleet: FleetOptions,
    #[command(flatten)]
    report: ReportOptions,
}

/// The throw-away fleet.
#[derive(clap::Args, Clone, Debug)]
pub(super) struct FleetOptions {
    /// Replicas beside the one master of the throw-away fleet
    #[arg(long, default_value_t = 2, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=16))]
    pub(super) replicas: u8,
    /// Sentinels of the throw-away fleet; an odd number
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=9))]
    pub(super) sentinels: u8,
    /// Silence after which a server counts as down, in the throw-away fleet
    #[arg(long, default_value_t = 2000, value_name = "MILLISECONDS")]
    pub(super) down_after: u64,
    /// Keep the throw-away fleet's directory (logs) under DIR; else a temporary one, removed at the end
    #[arg(long, value_name = "DIR")]
    pub(super) dir: Option<PathBuf>,
    /// Port of its first server [default: free ones]
    #[arg(long, value_name = "PORT")]
    pub(super) port_base: Option<u16>,
}

/// Names are checked here so that a slip names what there is.
pub(super) fn scenario(text: &str) -> Result<Scenario, String> {
    Scenario::parse(text).ok_or_else(|| {
        let names: Vec<&str> = SCENARIOS.iter().map(|row| row.name).collect();
        format!("one of: {}", names.join(", "))
    })
}

fn scenario_help() -> String {
    let mut text = String::from("Scenarios:\n");
    for row in SCENARIOS {
        let live = if row.live { " (also --live)" } else { "" };
        text.push_str(&format!("  {:<16} {}{live}\n", row.name, row.summary));
    }
    text.push_str(
        "\nExit status: 0 passed, 1 a promise was broken or the objective missed, 2 could not be run",
    );
    text
}

pub(super) fn run(options: &DrillOptions) -> Result<(), Failure> {
    if options.list {
        return live::list(&options.to);
    }
    let scenarios = if options.all {
        SCENARIOS.iter().map(|row| row.scenario).collect()
    } else {
        options.scenarios.clone()
    };
    // Found out now, not after minutes of drilling.
    options.report.check()?;
    let cards = if options.live {
        live::run(options, &scenarios).map_err(could_not_run)?
    } else {
        throw_away(&options.fleet, &options.report, &scenarios)?
    };
    conclude(&options.report, &cards)
}

/// `vedette up --drill`: the same on the fleet that `up` describes.
pub(super) fn on_fleet(
    fleet: &FleetOptions,
    report: &ReportOptions,
    scenario: Scenario,
) -> Result<(), Failure> {
    report.check()?;
    let cards = throw_away(fleet, report, &[scenario])?;
    conclude(report, &cards)
}

fn throw_away(
    options: &FleetOptions,
    report: &ReportOptions,
    scenarios: &[Scenario],
) -> Result<Vec<Scorecard>, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let cards = runtime.block_on(fleet::drill(options, report.slo_gap_ms, scenarios));
    cards.map_err(could_not_run)
}

fn conclude(report: &ReportOptions, cards: &[Scorecard]) -> Result<(), Failure> {
    report.write(cards)?;
    match exit_status(cards) {
        0 => Ok(()),
        status => Err(Failure::said(status)),
    }
}

/// Nothing was judged: status 2, whatever the reason.
fn could_not_run(failure: Failure) -> Failure {
    Failure { status: 2, ..failure }
}
