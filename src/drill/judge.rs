//! From a record to a scorecard: the gap that clients saw, the steps behind it, and what had to hold.

use super::figure;
use super::record::{Attempt, Record};
use crate::model::Address;
use crate::model::drill::{Check, Lane, Scorecard, Slot, Step, Verdict, WriteCounts};
use crate::model::event::EventKind;
use std::collections::{BTreeMap, BTreeSet};

/// Fewer promised writes before the fault prove nothing.
const PROMISED_MIN: usize = 20;
const SLOTS: u64 = 160;
/// Shown before the fault and after the last step when there is no gap to look at.
const MARGIN_US: i64 = 600_000;
/// A shorter gap is drawn as if it were this long.
const FOCUS_US_MIN: i64 = 20_000;
const EVENTS_MAX: usize = 40;
const ERRORS_MAX: usize = 12;
const TEXT_MAX: usize = 160;

pub fn judge(record: &Record) -> Scorecard {
    let gap = Gap::measure(record);
    let steps = steps(record, &gap);
    let (writes, lost) = count(record);
    let checks = if record.trouble.is_some() { Vec::new() } else { checks(record, &gap, &writes, &lost) };
    let (verdict, summary) = verdict(record, &gap, &writes, &checks);
    Scorecard {
        id: record.id,
        name: record.name.clone(),
        group: record.group.clone(),
        scenario: record.scenario,
        live: record.live,
        verdict,
        summary,
        started_ms: record.started_ms,
        fault_ms: record.fault_us.map(|us| record.started_ms + us / 1000),
        ended_ms: record.started_ms + record.ended_us / 1000,
        gap_us: gap.any,
        gap_from_us: gap
            .any
            .zip(record.fault_us)
            .map(|(length, fault)| gap.ended_us.saturating_sub(length) as i64 - fault as i64),
        promised_gap_us: gap.promised,
        slo_gap_ms: record.slo_gap_ms,
        old_master: Some(record.old_master.clone()),
        new_master: master(record).cloned(),
        lane: lane(record, &gap, &steps),
        steps,
        writes,
        errors: errors(record),
        checks,
        events: events(record),
        down_after_ms: record.down_after_ms,
        sync_quorum: record.sync_quorum,
        replicas: record.replicas,
        sentinels: record.sentinels,
        version: record.version.clone(),
    }
}

/// Whom the sentinels name in the end, if they are of one mind.
fn master(record: &Record) -> Option<&Address> {
    let first = record.named.first()?.1.as_ref()?;
    record.named.iter().all(|(_, named)| named.as_ref() == Some(first)).then_some(first)
}

/// The longest time without an acknowledged write that ended after the fault, and when somebody else
/// than the old master first acknowledged one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Gap {
    any: Option<u64>,
    ended_us: u64,
    promised: Option<u64>,
    first_write_us: Option<u64>,
}

impl Gap {
    fn measure(record: &Record) -> Self {
        let Some(fault) = record.fault_us else { return Gap::default() };
        let any = longest(record.attempts.iter().filter_map(|a| a.acknowledged_us), fault);
        let promised =
            longest(record.attempts.iter().filter_map(|a| promised_us(a, record.sync_quorum)), fault);
        let elsewhere =
            record.attempts.iter().filter(|a| record.servers.get(a.server) != Some(&record.old_master));
        Gap {
            any: any.map(|(length, _)| length),
            ended_us: any.map_or(0, |(_, end)| end),
            promised: promised.map(|(length, _)| length),
            first_write_us: elsewhere.filter_map(|a| a.acknowledged_us).find(|at| *at > fault),
        }
    }
}

/// Of the times between neighbours that end after `fault`: the longest, and when it ended. `None` when
/// nothing came after the fault.
fn longest(moments: impl Iterator<Item = u64>, fault: u64) -> Option<(u64, u64)> {
    let mut moments: Vec<u64> = moments.collect();
    moments.sort_unstable();
    let pairs = moments.windows(2).filter(|pair| pair[1] > fault);
    pairs.map(|pair| (pair[1] - pair[0], pair[1])).max_by_key(|(length, _)| *length)
}

fn promised_us(attempt: &Attempt, quorum: usize) -> Option<u64> {
    attempt.acknowledged_us?;
    attempt.replicas.filter(|(count, _)| *count >= quorum.max(1)).map(|(_, at)| at)
}

fn steps(record: &Record, gap: &Gap) -> Vec<Step> {
    let Some(fault) = record.fault_us else { return Vec::new() };
    let fault_ms = (record.started_ms + fault / 1000) as i64;
    let after = |kind: EventKind, about_master: bool| {
        record
            .events
            .iter()
            .filter(|event| event.kind == kind)
            .filter(|event| !about_master || event.instance.as_ref() == Some(&record.old_master))
            // Stamped in whole milliseconds: one in the fault's own may read as before it.
            .map(|event| event.at_ms as i64 - fault_ms)
            .find(|at| *at >= -2)
            .map(|at| at.max(0) * 1000)
    };
    let relative = |us: u64| us as i64 - fault as i64;
    let named = [
        ("fault", Some(0)),
        ("suspected", after(EventKind::SDown, true)),
        ("agreed", after(EventKind::ODown, true)),
        ("begun", after(EventKind::TryFailover, false)),
        ("chosen", after(EventKind::SelectedReplica, false)),
        ("promoted", after(EventKind::PromotedReplica, false)),
        ("published", after(EventKind::SwitchMaster, false)),
        ("first-write", gap.first_write_us.map(relative)),
        ("in-sync", record.in_sync_us.map(relative)),
    ];
    named.into_iter().filter_map(|(name, at)| at.map(|at_us| Step { name: name.to_owned(), at_us })).collect()
}

/// The figures, and which promised numbers are not on the master.
fn count(record: &Record) -> (WriteCounts, Vec<u64>) {
    let on_master = master(record)
        .and_then(|master| record.servers.iter().position(|server| server == master))
        .and_then(|index| record.holdings.iter().find(|holding| holding.server == index))
        .and_then(|holding| holding.numbers.as_ref());
    let gone = |attempt: &Attempt| on_master.is_some_and(|numbers| !numbers.contains(&attempt.number));
    let mut writes = WriteCounts { attempted: record.attempts.len() as u64, ..WriteCounts::default() };
    let mut lost = Vec::new();
    for attempt in &record.attempts {
        if attempt.acknowledged_us.is_none() {
            writes.failed += 1;
            continue;
        }
        writes.acknowledged += 1;
        if promised_us(attempt, record.sync_quorum).is_some() {
            writes.promised += 1;
            if gone(attempt) {
                lost.push(attempt.number);
            }
        } else if gone(attempt) {
            writes.lost_unpromised += 1;
        }
    }
    writes.lost = lost.len() as u64;
    (writes, lost)
}

fn checks(record: &Record, gap: &Gap, writes: &WriteCounts, lost: &[u64]) -> Vec<Check> {
    let mut checks = Vec::new();
    let mut check = |name: &str, passed: bool, detail: String| {
        checks.push(Check { name: name.to_owned(), passed, detail });
    };
    let promised = record.attempts.iter().filter_map(|a| promised_us(a, record.sync_quorum));
    let before = promised.filter(|at| record.fault_us.is_some_and(|fault| *at <= fault)).count();
    check(
        "enough-writes",
        before >= PROMISED_MIN,
        format!("{before} writes were promised before the fault; {PROMISED_MIN} are needed to mean anything"),
    );
    let readable = master(record).is_some_and(|master| {
        let index = record.servers.iter().position(|server| server == master);
        record.holdings.iter().any(|h| Some(h.server) == index && h.numbers.is_some())
    });
    check(
        "no-loss",
        readable && lost.is_empty(),
        match (readable, lost) {
            (false, _) => "the master could not be read, so nothing is proven".to_owned(),
            (true, []) => format!("all {} promised writes are on the master", writes.promised),
            (true, lost) => format!(
                "{} of {} promised writes are gone (numbers {})",
                lost.len(),
                writes.promised,
                few(lost.iter())
            ),
        },
    );
    let back = gap.any.filter(|_| gap.first_write_us.is_some() || !record.scenario.row().switches);
    check(
        "writes-came-back",
        back.is_some(),
        match back {
            Some(us) => format!("clients were without an acknowledged write for {}", figure(us)),
            None => "no write was acknowledged by a new master".to_owned(),
        },
    );
    let named = master(record);
    check(
        "sentinels-agree",
        named.is_some(),
        match named {
            Some(address) => format!("all {} sentinels name {address}", record.named.len()),
            None => format!(
                "the sentinels name {}",
                few(record.named.iter().map(|(sentinel, named)| {
                    format!(
                        "{} (by {sentinel})",
                        named.as_ref().map_or("nobody".to_owned(), Address::to_string)
                    )
                }))
            ),
        },
    );
    one_master(record, named, &mut check);
    moved(record, &mut check);
    same_data(record, &mut check);
    if record.baseline > 0 {
        let short: Vec<String> = record
            .holdings
            .iter()
            .filter(|holding| holding.baseline != Some(record.baseline))
            .map(|holding| {
                let kept = holding.baseline.map_or("cannot be read".to_owned(), |kept| format!("has {kept}"));
                format!("{} {kept}", server(record, holding.server))
            })
            .collect();
        check(
            "nobody-wiped",
            short.is_empty(),
            match short.as_slice() {
                [] => format!("every server still holds the {} keys of before", record.baseline),
                short => format!("of the {} keys of before, {}", record.baseline, few(short.iter())),
            },
        );
    }
    if let Some(late) = record.late_acknowledged {
        check(
            "old-master-silent",
            late == 0,
            match late {
                0 => "the old master acknowledged nothing after its successor was published".to_owned(),
                late => {
                    format!("the old master acknowledged {late} writes after its successor was published")
                }
            },
        );
    }
    check(
        "came-to-rest",
        record.in_sync_us.is_some(),
        match (record.in_sync_us, record.fault_us) {
            (Some(at), Some(fault)) => {
                format!("all replicas were in sync {} after the fault", figure(at.saturating_sub(fault)))
            }
            _ if record.doubts.is_empty() => "the fleet was not whole again in time".to_owned(),
            _ => format!("the fleet was not whole again in time: {}", record.doubts.join("; ")),
        },
    );
    if let Some(returned) = &record.returned {
        let detail = match returned {
            Ok(()) => format!("{} is the master again", record.old_master),
            Err(why) => format!("{} did not become master again: {why}", record.old_master),
        };
        check("returned", returned.is_ok(), detail);
    }
    if let Some(slo) = record.slo_gap_ms {
        let met = gap.any.is_some_and(|us| us <= slo * 1000);
        let measured = gap.any.map_or("without end".to_owned(), figure);
        check("slo-gap", met, format!("the gap was {measured}; the objective is {}", figure(slo * 1000)));
    }
    checks
}

fn one_master(record: &Record, named: Option<&Address>, check: &mut impl FnMut(&str, bool, String)) {
    let masters: Vec<&Address> =
        record.holdings.iter().filter(|h| h.is_master).map(|h| server(record, h.server)).collect();
    let only = masters.len() == 1 && masters.first().copied() == named;
    let detail = match masters.as_slice() {
        [] => "no server says that it is a master".to_owned(),
        [one] if only => format!("{one} is the only one that says so"),
        some => format!("masters by their own word: {}", few(some.iter())),
    };
    check("one-master", only, detail);
}

fn moved(record: &Record, check: &mut impl FnMut(&str, bool, String)) {
    let switches = record.events.iter().filter(|event| event.kind == EventKind::SwitchMaster).count();
    let (name, right, detail) = if record.scenario.row().switches {
        ("master-moved", switches > 0, format!("{switches} switch of master was agreed"))
    } else {
        let detail = match switches {
            0 => "nobody was promoted, as it should be".to_owned(),
            n => format!("{n} needless switch of master was agreed"),
        };
        ("master-stayed", switches == 0, detail)
    };
    check(name, right, detail);
}

/// After it came to rest every server must hold what the master holds.
fn same_data(record: &Record, check: &mut impl FnMut(&str, bool, String)) {
    let master = master(record).and_then(|m| record.servers.iter().position(|server| server == m));
    let held =
        |index: usize| record.holdings.iter().find(|h| h.server == index).and_then(|h| h.numbers.as_ref());
    let Some(reference) = master.and_then(held) else { return };
    let different: Vec<String> = record
        .holdings
        .iter()
        .filter(|holding| holding.numbers.as_ref() != Some(reference))
        .map(|holding| match &holding.numbers {
            None => format!("{} cannot be read", server(record, holding.server)),
            Some(numbers) => format!(
                "{} lacks {} and has {} more",
                server(record, holding.server),
                reference.difference(numbers).count(),
                numbers.difference(reference).count()
            ),
        })
        .collect();
    check(
        "same-data",
        different.is_empty(),
        match different.as_slice() {
            [] => format!("all {} servers hold the same {} writes", record.holdings.len(), reference.len()),
            different => few(different.iter()),
        },
    );
}

fn server(record: &Record, index: usize) -> &Address {
    record.servers.get(index).unwrap_or(&record.old_master)
}

/// The first of many, for a sentence.
fn few(items: impl ExactSizeIterator<Item = impl ToString>) -> String {
    let count = items.len();
    let mut text = items.take(5).map(|item| item.to_string()).collect::<Vec<_>>().join(", ");
    if count > 5 {
        text.push_str(&format!(" and {} more", count - 5));
    }
    text
}

fn verdict(record: &Record, gap: &Gap, writes: &WriteCounts, checks: &[Check]) -> (Verdict, String) {
    if let Some(trouble) = &record.trouble {
        return (Verdict::Aborted, format!("not run to its end: {trouble}"));
    }
    let broken: Vec<&Check> =
        checks.iter().filter(|check| !check.passed && check.name != "slo-gap").collect();
    if !broken.is_empty() {
        let texts: Vec<&str> = broken.iter().map(|check| check.detail.as_str()).collect();
        return (Verdict::Failed, texts.join("; "));
    }
    let kept = format!("none of {} promised writes is lost", writes.promised);
    let back = gap.any.map_or(String::new(), |us| format!("writes were back after {}", figure(us)));
    match checks.iter().find(|check| !check.passed) {
        Some(missed) => (Verdict::SloMissed, format!("{}; {kept}", missed.detail)),
        None => (Verdict::Passed, format!("{back}, {kept}")),
    }
}

/// The time that matters, cut in equal slots: around the gap, or all of it when nobody was replaced.
fn lane(record: &Record, gap: &Gap, steps: &[Step]) -> Lane {
    let Some(fault) = record.fault_us else { return Lane::default() };
    let relative = |us: u64| us as i64 - fault as i64;
    let whole = (-MARGIN_US, steps.iter().map(|step| step.at_us).max().unwrap_or(0) + MARGIN_US);
    let (from, to) = match (gap.any, gap.first_write_us) {
        (Some(length), Some(first)) if record.scenario.row().switches => {
            let length = (length as i64).max(FOCUS_US_MIN);
            let begin = (relative(gap.ended_us) - length).min(0);
            (begin - length / 4, relative(gap.ended_us.max(first)) + length * 2 / 5)
        }
        _ => whole,
    };
    let from = from.max(relative(0));
    let to = to.min(relative(record.ended_us)).max(from + 1000);
    let slot_us = ((to - from) as u64).div_ceil(SLOTS).max(1);
    let mut slots = vec![Slot::default(); ((to - from) as u64).div_ceil(slot_us) as usize];
    for attempt in &record.attempts {
        let at = relative(attempt.acknowledged_us.unwrap_or(attempt.sent_us));
        let index = usize::try_from((at - from).div_euclid(slot_us as i64)).ok();
        let Some(slot) = index.and_then(|index| slots.get_mut(index)) else { continue };
        match attempt.acknowledged_us {
            None => slot.failed += 1,
            Some(_) => {
                slot.acknowledged += 1;
                slot.promised += u32::from(promised_us(attempt, record.sync_quorum).is_some());
            }
        }
    }
    Lane { from_us: from, slot_us, slots }
}

fn errors(record: &Record) -> Vec<(String, u64)> {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for error in record.attempts.iter().filter_map(|attempt| attempt.error.as_deref()) {
        *counts.entry(error).or_default() += 1;
    }
    let mut counts: Vec<(String, u64)> = counts.into_iter().map(|(text, n)| (clip(text), n)).collect();
    counts.sort_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(&other.0)));
    counts.truncate(ERRORS_MAX);
    counts
}

fn events(record: &Record) -> Vec<(i64, String, String)> {
    let Some(fault) = record.fault_us else { return Vec::new() };
    let fault_ms = (record.started_ms + fault / 1000) as i64;
    let mut seen = BTreeSet::new();
    record
        .events
        .iter()
        .filter(|event| seen.insert(event.id))
        .map(|event| (event.at_ms as i64 - fault_ms, event))
        .filter(|(at, _)| *at >= -2)
        .take(EVENTS_MAX)
        .map(|(at, event)| (at * 1000, event.kind.name().to_owned(), clip(&event.payload)))
        .collect()
}

fn clip(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(TEXT_MAX).collect()
}

#[cfg(test)]
#[path = "judge_tests.rs"]
pub(super) mod tests;
