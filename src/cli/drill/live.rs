//! Drills on a fleet that serves: asked for here, conducted by the leading sentinel, followed to the
//! scorecard.

use super::{DrillOptions, show};
use crate::cli::client::Client;
use crate::cli::events::{self, Teller};
use crate::cli::{Failure, SentinelOptions, print};
use crate::drill::figure;
use crate::model::drill::{Scenario, Scorecard};
use crate::model::status::Status;
use crate::stdx::calendar::rfc3339;
use crate::stdx::time::Wall;
use std::io::{BufRead, IsTerminal};
use std::time::{Duration, Instant};

const POLL: Duration = Duration::from_millis(200);
/// Above the limit that the fleet itself sets.
const PATIENCE: Duration = Duration::from_secs(16 * 60);

pub(super) fn run(options: &DrillOptions, scenarios: &[Scenario]) -> Result<Vec<Scorecard>, Failure> {
    let mut client = Client::connect(&options.to)?;
    let status = client.status()?;
    let group = group(options, &status)?;
    let mut cards = Vec::new();
    for scenario in scenarios {
        // Asked first, so that nobody types a name for nothing.
        start(&mut client, options, &group, *scenario, true)?;
        if !options.yes {
            confirm(options, &status, &group, *scenario)?;
        }
        let mut teller = Teller::from_now(&client.status()?);
        start(&mut client, options, &group, *scenario, false)?;
        cards.push(follow(client, options, &group, *scenario, &mut teller)?);
        client = Client::connect(&options.to)?;
    }
    Ok(cards)
}

/// The one named, or the only one there is.
fn group(options: &DrillOptions, status: &Status) -> Result<String, Failure> {
    let known: Vec<&str> = status.groups.iter().map(|group| group.name.as_str()).collect();
    match (&options.group, known.as_slice()) {
        (Some(name), known) if known.contains(&name.as_str()) => Ok(name.clone()),
        (None, [only]) => Ok((*only).to_owned()),
        (None, _) => {
            Err(Failure::usage(format!("name the group with --group; one of: {}", known.join(", "))))
        }
        (Some(name), _) => {
            Err(Failure::usage(format!("no group is named '{name}'; one of: {}", known.join(", "))))
        }
    }
}

fn start(
    client: &mut Client,
    options: &DrillOptions,
    group: &str,
    scenario: Scenario,
    dry_run: bool,
) -> Result<(), Failure> {
    let mut words: Vec<String> =
        ["SENTINEL", "DRILL", "START", group, scenario.name()].map(str::to_owned).to_vec();
    if let Some(slo) = options.report.slo_gap_ms {
        words.extend(["SLO-GAP-MS".to_owned(), slo.to_string()]);
    }
    if let Some(seconds) = options.cool_down {
        words.extend(["COOL-DOWN-SECONDS".to_owned(), seconds.to_string()]);
    }
    if options.stay {
        words.push("STAY".to_owned());
    }
    if dry_run {
        words.push("DRYRUN".to_owned());
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    client.call(&words).map(drop).map_err(|failure| match failure.message.split_once("UNSAFE ") {
        Some((_, reasons)) => {
            let lines: Vec<String> = reasons.split("; ").map(|reason| format!("\n  - {reason}")).collect();
            Failure::usage(format!(
                "a {} drill on {group} is not safe now:{}",
                scenario.name(),
                lines.concat()
            ))
        }
        None => Failure { status: 2, ..failure },
    })
}

/// The group's name, typed: a drill is an outage on purpose.
fn confirm(options: &DrillOptions, status: &Status, group: &str, scenario: Scenario) -> Result<(), Failure> {
    let master = status.groups.iter().find(|known| known.name == group).map(|known| &known.master.address);
    if !std::io::stdin().is_terminal()
        && options.to.password_file.is_none()
        && std::env::var_os("CI").is_some()
    {
        return Err(Failure::usage("nobody is there to type the group's name; give --yes if it is meant"));
    }
    show::note(&format!(
        "This runs '{}' on a fleet that serves: {}.\nGroup {group}, master {}. Every interlock holds.\nClients will be without a master for a moment. Type the group's name to begin:",
        scenario.name(),
        scenario.row().summary,
        master.map_or("unknown".to_owned(), |address| address.to_string())
    ));
    let mut typed = String::new();
    std::io::stdin().lock().read_line(&mut typed)?;
    if typed.trim() == group {
        Ok(())
    } else {
        Err(Failure::usage(format!("'{}' is not {group}; nothing was done", typed.trim())))
    }
}

/// Tells every event of the group until the scorecard is there.
fn follow(
    mut client: Client,
    options: &DrillOptions,
    group: &str,
    scenario: Scenario,
    teller: &mut Teller,
) -> Result<Scorecard, Failure> {
    let began = Instant::now();
    let mut ours: Option<u64> = None;
    while began.elapsed() < PATIENCE {
        // A sentinel that stumbles meanwhile is asked again: the drill is in the log, not in it.
        match client.status() {
            Err(_) => {
                if let Ok(again) = Client::connect(&options.to) {
                    client = again;
                }
            }
            Ok(status) => {
                for event in teller.news(&status).into_iter().filter(|event| event.group == group) {
                    show::note(&events::line(event));
                }
                let running = status
                    .drills
                    .running
                    .as_ref()
                    .filter(|run| run.group == group && run.scenario == scenario && run.name.is_empty());
                ours = ours.or(running.map(|run| run.id));
                let over = ours.filter(|id| status.drills.results.iter().any(|result| result.id == *id));
                if let Some(id) = over {
                    return report(&mut client, id);
                }
            }
        }
        if ours.is_none() && began.elapsed() > Duration::from_secs(10) {
            return Err(Failure::new("the drill was agreed on but did not begin; see: vedette drill --list"));
        }
        std::thread::sleep(POLL);
    }
    Err(Failure::new("the drill did not end in time; see: vedette drill --list"))
}

fn report(client: &mut Client, id: u64) -> Result<Scorecard, Failure> {
    let reply = client.call(&["SENTINEL", "DRILL", "REPORT", &id.to_string()])?;
    serde_json::from_slice(reply.as_bytes().unwrap_or_default())
        .map_err(|error| Failure::new(format!("the scorecard of drill {id} cannot be read: {error}")))
}

/// `vedette drill --list`.
pub(super) fn list(to: &SentinelOptions) -> Result<(), Failure> {
    let drills = Client::connect(to)?.status()?.drills;
    let mut text = String::new();
    if let Some(run) = &drills.running {
        text.push_str(&format!(
            "running: drill {} {} on {}, conducted by sentinel {}\n\n",
            run.id,
            run.scenario.name(),
            run.group,
            run.by
        ));
    }
    let day = |ms: u64| rfc3339(Wall(ms)).chars().take(16).collect::<String>();
    for schedule in &drills.scheduled {
        let next = schedule.next_ms.map_or("never".to_owned(), day);
        let skipped = if schedule.skipped.is_empty() {
            String::new()
        } else {
            format!("  (skipped: {})", schedule.skipped)
        };
        text.push_str(&format!(
            "planned: {} {} on {}, next {next}{skipped}\n",
            schedule.name,
            schedule.scenario.name(),
            schedule.group
        ));
    }
    for result in &drills.results {
        text.push_str(&format!(
            "{:>4}  {}  {:<10} {:<10} {:<14} gap {:<9} lost {}\n",
            result.id,
            day(result.started_ms),
            result.verdict.name(),
            result.scenario.name(),
            result.group,
            result.gap_us.map_or("-".to_owned(), figure),
            result.writes.lost
        ));
    }
    if text.is_empty() {
        text.push_str("no drill was run, and none is planned\n");
    }
    print(text)
}
