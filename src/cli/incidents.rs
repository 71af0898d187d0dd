//! `vedette incidents` and `vedette incident`: what the fleet remembers of its failovers, as a list and
//! as one story with its times. Any sentinel gives the same answer.

use super::client::Client;
use super::render::{indent, table};
use super::{Failure, SentinelOptions, print};
use crate::model::incident::{Incident, Outcome, Step};
use crate::stdx::calendar;
use crate::stdx::time::Wall;

pub(super) fn list(options: &SentinelOptions, name: Option<&str>, json: bool) -> Result<(), Failure> {
    let mut words = vec!["SENTINEL", "INCIDENTS"];
    words.extend(name);
    let incidents: Vec<Incident> = ask(options, &words)?;
    if json {
        return write_json(&incidents);
    }
    if incidents.is_empty() {
        return print("No failover is on record.\n");
    }
    let mut table = table(&["id", "when (UTC)", "cause", "what", "outcome", "outage", "lost"]);
    for incident in &incidents {
        table.add_row([
            incident.id.clone(),
            when(incident.from_ms()),
            cause(incident),
            incident.headline(),
            outcome(incident.outcome).to_owned(),
            incident.outage_ms.map_or_else(|| "-".to_owned(), |ms| format!("{ms} ms")),
            first_words(&incident.receipt.verdict),
        ]);
    }
    print(format!("{}One of them step by step: vedette incident ID\n", indent(&table)))
}

pub(super) fn show(options: &SentinelOptions, id: &str, json: bool) -> Result<(), Failure> {
    let incident: Incident = ask(options, &["SENTINEL", "INCIDENT", id])?;
    if json { write_json(&incident) } else { print(story(&incident)) }
}

fn ask<T: serde::de::DeserializeOwned>(options: &SentinelOptions, words: &[&str]) -> Result<T, Failure> {
    let reply = Client::connect(options)?.call(words)?;
    serde_json::from_slice(reply.as_bytes().unwrap_or_default()).map_err(|error| {
        Failure::new(format!(
            "{} sent a record that this version cannot read ({error}); use the vedette of that sentinel's version",
            options.sentinel
        ))
    })
}

fn write_json(value: &impl serde::Serialize) -> Result<(), Failure> {
    let mut text = serde_json::to_string_pretty(value).map_err(|error| Failure::new(error.to_string()))?;
    text.push('\n');
    print(text)
}

fn when(ms: u64) -> String {
    calendar::rfc3339(Wall(ms)).replace('T', " ").chars().take(19).collect()
}

fn cause(incident: &Incident) -> String {
    match incident.earlier_attempts {
        0 => incident.cause.clone(),
        earlier => format!("{} (attempt {})", incident.cause, u64::from(earlier) + 1),
    }
}

fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Open => "under way",
        Outcome::Published => "clients told, replicas to follow",
        Outcome::Ended => "done",
        Outcome::EndedLate => "done, replicas missing",
        Outcome::Aborted => "given up",
        Outcome::Kept => "master kept",
    }
}

/// Up to the first mark of punctuation: the rest is in the story.
fn first_words(verdict: &str) -> String {
    verdict.split([':', ';', ',']).next().unwrap_or(verdict).to_owned()
}

fn story(incident: &Incident) -> String {
    let mut text = format!(
        "{}  {}  {}\n  {}\n",
        incident.id,
        cause(incident),
        outcome(incident.outcome),
        incident.headline()
    );
    let from = incident.from_ms();
    text.push_str(&format!("  {} UTC\n\n", calendar::rfc3339(Wall(from)).replace('T', " ").replace('Z', "")));
    for step in &incident.steps {
        text.push_str(&line(step, from));
    }
    if incident.steps_dropped > 0 {
        text.push_str(&format!("  and {} steps more that found no room\n", incident.steps_dropped));
    }
    text.push('\n');
    let mut fact = |name: &str, value: String| text.push_str(&format!("  {name:<12} {value}\n"));
    if let Some(ms) = incident.outage_ms {
        let of = if incident.planned { "from the beginning" } else { "from the last good answer" };
        fact("outage", format!("{ms} ms {of} until clients were told"));
    }
    if let Some(ms) = incident.repair_ms {
        fact("repair", format!("{ms} ms from the beginning until the last replica followed"));
    }
    fact("lost", incident.receipt.verdict.clone());
    if let Some(reason) = &incident.reason {
        fact("reason", reason.clone());
    }
    let leaders: Vec<String> = incident.leaders.iter().map(|id| format!("sentinel {id}")).collect();
    fact("decided by", leaders.join(", then "));
    if let Some(evidence) = &incident.evidence {
        let votes: Vec<String> = evidence.votes.iter().map(u64::to_string).collect();
        if !votes.is_empty() {
            fact("held down by", format!("sentinels {} ({} needed)", votes.join(", "), evidence.needed));
        }
        for witness in &evidence.witnesses {
            let link = match (witness.reachable, witness.link_up) {
                (false, _) => "could not be asked".to_owned(),
                (true, Some(true)) => "still streamed from the master".to_owned(),
                (true, Some(false)) => "had lost the master".to_owned(),
                (true, None) => "had not answered yet".to_owned(),
            };
            let heard = witness.heard_ms_ago.map_or(String::new(), |ms| format!(", heard it {ms} ms before"));
            fact("witness", format!("{} {link}{heard}", witness.address));
        }
    }
    for copy in &incident.copies {
        let chosen = if incident.successor.as_ref() == Some(&copy.address) { ", chosen" } else { "" };
        let counts = if copy.counts { "" } else { ", does not count" };
        fact("copy", format!("{} offset {}{counts}{chosen}", copy.address, copy.offset));
    }
    text
}

/// `  +1043 ms  quorum      127.0.0.1:6379  quorum 2/2`
fn line(step: &Step, from: u64) -> String {
    let place = step.instance.as_ref().map(ToString::to_string).unwrap_or_default();
    let line = format!(
        "  {:>8} ms  {:<11} {:<21} {}",
        format!("+{}", step.at_ms.saturating_sub(from)),
        step.step.name(),
        place,
        step.text
    );
    format!("{}\n", line.trim_end())
}
