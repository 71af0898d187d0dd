//! The incident records: what the log says of each failover, gathered while it is applied. Reads
//! entries and the events that they made, changes nothing else, and is bounded in every direction.
//! Has never heard of what a sentinel sees; what was seen comes as decisions.

use super::Group;
use crate::model::Address;
use crate::model::event::{Event, EventKind};
use crate::model::incident::{Copy, Evidence, Incident, Outcome, Receipt, Step, StepKind, bytes_of};
use crate::sentinel::decision::{Decision, Entry};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Records kept of the whole fleet, and of one group: a group that fails all day must not wash away
/// what happened to the others.
pub const INCIDENTS_MAX: usize = 128;
const OF_ONE_GROUP_MAX: usize = 24;
/// A failover among as many replicas as a group may have tells more than a record needs to hold.
const STEPS_MAX: usize = 64;
const COPIES_MAX: usize = 24;
const TEXT_BYTES_MAX: usize = 160;

/// Oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Incidents {
    kept: VecDeque<Arc<Incident>>,
}

impl Incidents {
    /// Newest first.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Incident>> {
        self.kept.iter().rev()
    }

    /// Those of one group, newest first.
    pub fn of(&self, group: &str) -> impl Iterator<Item = &Arc<Incident>> {
        self.iter().filter(move |incident| incident.group == group)
    }

    pub fn get(&self, id: &str) -> Option<&Arc<Incident>> {
        self.iter().find(|incident| incident.id == id)
    }

    /// Whether this old master's return is still to be told.
    pub(super) fn awaits(&self, group: &str, epoch: u64, instance: &Address) -> bool {
        let found = self.of(group).find(|i| i.epoch == epoch && i.old_master == *instance);
        found.is_some_and(|incident| incident.receipt.returned_ms.is_none())
    }

    /// The failover of this group that is not over yet.
    fn open(&mut self, group: &str) -> Option<&mut Incident> {
        let newest = self.kept.iter_mut().rev().find(|incident| incident.group == group)?;
        newest.outcome.is_open().then(|| Arc::make_mut(newest))
    }

    /// Takes in one applied entry: `told` are its events, `before` those of earlier entries.
    pub(super) fn record(
        &mut self,
        entry: &Entry,
        told: &[Event],
        before: &VecDeque<Event>,
        groups: &BTreeMap<String, Group>,
    ) {
        for (at, event) in told.iter().enumerate() {
            if event.kind == EventKind::TryFailover {
                let earlier = told[..at].iter().rev().chain(before.iter().rev());
                self.begin(entry, event, earlier, groups.get(&event.group));
            } else if let Some(incident) = self.open(&event.group) {
                incident.hear(entry, event);
            }
        }
        for decision in &entry.decisions {
            match decision {
                Decision::Evidence { group, evidence } => {
                    if let Some(incident) = self.open(group)
                        && incident.evidence.is_none()
                    {
                        incident.believe(entry, evidence);
                    }
                }
                Decision::Copies { group, epoch, master, replicas } => {
                    if let Some(incident) = self.at(group, *epoch) {
                        incident.lay_out(entry, master.as_ref(), replicas);
                    }
                }
                Decision::Returned { group, epoch, instance, offset, divergent_bytes, saved_as } => {
                    if let Some(incident) = self.at(group, *epoch).filter(|i| i.old_master == *instance) {
                        incident.welcome(entry, *offset, *divergent_bytes, saved_as.as_deref());
                    }
                }
                _ => {}
            }
        }
    }

    fn at(&mut self, group: &str, epoch: u64) -> Option<&mut Incident> {
        let found = self.kept.iter_mut().rev().find(|i| i.group == group && i.epoch == epoch)?;
        Some(Arc::make_mut(found))
    }

    fn begin<'a>(
        &mut self,
        entry: &Entry,
        event: &Event,
        earlier: impl Iterator<Item = &'a Event>,
        group: Option<&Group>,
    ) {
        let failover = group.and_then(|group| group.failover.as_ref()).filter(|f| f.epoch == event.epoch);
        let Some(old_master) = event.instance.clone() else { return };
        let cause = event.details.iter().find(|(name, _)| name == "cause").map(|(_, cause)| cause.clone());
        let planned = failover.is_some_and(|failover| failover.cause.planned());
        let mut incident = Incident {
            id: Incident::id_of(&event.group, event.epoch),
            group: event.group.clone(),
            epoch: event.epoch,
            cause: cause.unwrap_or_default(),
            planned,
            old_master: old_master.clone(),
            target: failover.and_then(|failover| failover.target.clone()),
            successor: None,
            outcome: Outcome::Open,
            reason: None,
            leaders: Vec::new(),
            earlier_attempts: 0,
            evidence: None,
            copies: Vec::new(),
            receipt: Receipt::default(),
            steps: Vec::new(),
            steps_dropped: 0,
            outage_ms: None,
            repair_ms: None,
        };
        for omen in omens(earlier, &event.group, &old_master) {
            let step = if omen.kind == EventKind::ODown { StepKind::Quorum } else { StepKind::Down };
            let text = omen.payload.split_once('#').map_or("", |(_, text)| text);
            incident.note(entry, step, omen.at_ms, Some(&old_master), text);
        }
        let cause = incident.cause.clone();
        incident.note(entry, StepKind::Began, entry.at_ms, Some(&old_master), &format!("cause: {cause}"));
        // Attempts that fail again and again for the same reason are one story.
        let last = self.kept.iter().rposition(|known| known.group == event.group);
        if let Some(at) = last
            && let known = &self.kept[at]
            && known.outcome == Outcome::Aborted
            && !known.planned
            && !planned
            && known.old_master == old_master
        {
            incident.earlier_attempts = known.earlier_attempts + 1;
            self.kept.remove(at);
        }
        self.make_room(&event.group);
        self.kept.push_back(Arc::new(incident));
    }

    /// The oldest that is over goes first.
    fn make_room(&mut self, group: &str) {
        let drop_oldest = |kept: &mut VecDeque<Arc<Incident>>, wanted: &dyn Fn(&Incident) -> bool| {
            let over = kept.iter().position(|i| wanted(i) && !i.outcome.is_open());
            if let Some(at) = over.or_else(|| kept.iter().position(|i| wanted(i))) {
                kept.remove(at);
            }
        };
        if self.kept.iter().filter(|i| i.group == group).count() >= OF_ONE_GROUP_MAX {
            drop_oldest(&mut self.kept, &|incident| incident.group == group);
        }
        if self.kept.len() >= INCIDENTS_MAX {
            drop_oldest(&mut self.kept, &|_| true);
        }
    }
}

/// What was told of this master's health since it was last well, oldest first.
fn omens<'a>(
    earlier: impl Iterator<Item = &'a Event>,
    group: &str,
    master: &Address,
) -> impl Iterator<Item = &'a Event> {
    let mut found: Vec<&Event> = Vec::new();
    for event in earlier.filter(|event| event.group == group) {
        let about_it = event.instance.as_ref() == Some(master);
        match event.kind {
            EventKind::SDown | EventKind::ODown
                if about_it && !found.iter().any(|known| known.kind == event.kind) =>
            {
                found.push(event);
            }
            EventKind::SDownEnd | EventKind::ODownEnd if about_it => break,
            EventKind::SwitchMaster | EventKind::Monitor => break,
            _ => {}
        }
    }
    found.into_iter().rev()
}

fn short(text: &str) -> String {
    if text.len() <= TEXT_BYTES_MAX {
        return text.to_owned();
    }
    let end = (0..=TEXT_BYTES_MAX).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    format!("{}...", &text[..end])
}

fn reason(event: &Event) -> Option<String> {
    event.details.iter().find(|(name, _)| name == "reason").map(|(_, reason)| short(reason))
}

impl Incident {
    /// Adds a step where it belongs: behind all that stand before it in the order of a failover. Clocks
    /// of two leaders may differ; the order of the log does not.
    fn note(&mut self, entry: &Entry, kind: StepKind, at_ms: u64, instance: Option<&Address>, text: &str) {
        if !self.leaders.contains(&entry.by) {
            self.leaders.push(entry.by);
        }
        if self.steps.len() >= STEPS_MAX {
            self.steps_dropped += 1;
            return;
        }
        let seen = kind <= StepKind::Quorum || matches!(kind, StepKind::Stopped | StepKind::Frozen);
        let place = if seen {
            let later = |step: &Step| step.step > kind || (step.step == kind && step.at_ms > at_ms);
            self.steps.iter().position(later).unwrap_or(self.steps.len())
        } else {
            self.steps.len()
        };
        let at_ms = match self.steps.last().filter(|_| !seen) {
            Some(last) => at_ms.max(last.at_ms),
            None => at_ms,
        };
        let step = Step { at_ms, step: kind, instance: instance.cloned(), by: entry.by, text: short(text) };
        self.steps.insert(place, step);
    }

    /// An event of its group, while it is open.
    fn hear(&mut self, entry: &Entry, event: &Event) {
        let instance = event.instance.as_ref();
        let at = entry.at_ms;
        match event.kind {
            EventKind::SelectedReplica => self.choose(entry, event),
            EventKind::PromotedReplica => self.note(entry, StepKind::Promoted, at, instance, ""),
            EventKind::SwitchMaster => {
                let epoch = format!("clients are told, epoch {}", event.epoch);
                self.note(entry, StepKind::Published, at, instance, &epoch);
                self.outcome = Outcome::Published;
                let told = self.steps.last().map_or(at, |step| step.at_ms);
                let from = match (&self.evidence, self.planned) {
                    (Some(evidence), false) => evidence.last_answer_ms,
                    _ => None,
                };
                let from = from.or_else(|| self.step(StepKind::Began).map(|step| step.at_ms));
                self.outage_ms = from.map(|from| told.saturating_sub(from));
            }
            EventKind::ReconfSent => self.note(entry, StepKind::Told, at, instance, ""),
            EventKind::ReconfDone => {
                let count = self.in_sync().count() + 1;
                self.note(entry, StepKind::InSync, at, instance, &format!("replica number {count}"));
                let synced = self.steps.last().map_or(at, |step| step.at_ms);
                let began = self.step(StepKind::Began).map(|step| step.at_ms);
                self.repair_ms = began.map(|began| synced.saturating_sub(began));
            }
            EventKind::FailoverEndTimeout => {
                self.outcome = Outcome::EndedLate;
                self.note(entry, StepKind::Ended, at, None, "with replicas still to be re-pointed");
            }
            EventKind::FailoverEnd => {
                self.outcome = Outcome::Ended;
                self.note(entry, StepKind::Ended, at, None, "every replica that can be reached follows");
            }
            EventKind::AbortNoGoodReplica | EventKind::AbortReplicaTimeout | EventKind::AbortMasterBack
                if event.epoch == self.epoch =>
            {
                self.give_up(entry, reason(event));
            }
            EventKind::Reconfirmed => {
                self.outcome = Outcome::Kept;
                self.reason = reason(event);
                let text = self.reason.clone().unwrap_or_default();
                self.note(entry, StepKind::Kept, at, instance, &text);
                self.receipt.settle();
                self.receipt.verdict = format!("none: {text}");
            }
            EventKind::MonitorEnd => self.give_up(entry, Some("the group is no longer watched".to_owned())),
            _ => {}
        }
    }

    fn give_up(&mut self, entry: &Entry, reason: Option<String>) {
        self.outcome = Outcome::Aborted;
        let text = reason.clone().unwrap_or_default();
        self.reason = reason;
        self.note(entry, StepKind::Aborted, entry.at_ms, None, &text);
        self.receipt.settle();
    }

    fn choose(&mut self, entry: &Entry, event: &Event) {
        let chosen = entry.decisions.iter().find_map(|decision| match decision {
            Decision::Promote { group, epoch, successor, offset, offsets, risk, .. }
                if *group == self.group && *epoch == self.epoch =>
            {
                Some((successor, *offset, offsets, risk))
            }
            _ => None,
        });
        let Some((successor, offset, offsets, risk)) = chosen else { return };
        let best = offsets.iter().map(|(_, offset)| *offset).max().unwrap_or(offset);
        let ties = offsets.iter().filter(|(_, other)| *other == offset).count();
        let why = match () {
            () if risk.is_some() => format!("offset {offset}, the best that could be had"),
            () if self.target.as_ref() == Some(successor) => format!("asked for by name, at offset {offset}"),
            () if offset < best => format!("offset {offset}; others with more may not be promoted"),
            () if ties > 1 => {
                format!("offset {offset}, which {ties} have; by priority, then by name")
            }
            () if offsets.len() > 1 => format!("offset {offset}, the largest of {} frozen", offsets.len()),
            () => format!("offset {offset}, the only one frozen"),
        };
        self.successor = Some(successor.clone());
        self.receipt.successor_offset = Some(offset);
        self.receipt.waits_kept = Some(risk.is_none());
        self.receipt.risk = risk.as_deref().map(short);
        self.note(entry, StepKind::Chosen, entry.at_ms, event.instance.as_ref(), &why);
        self.receipt.settle();
    }

    fn believe(&mut self, entry: &Entry, evidence: &Evidence) {
        let master = self.old_master.clone();
        if let Some(at) = evidence.last_answer_ms.filter(|_| !self.planned) {
            self.note(entry, StepKind::LastAnswer, at, Some(&master), "");
        }
        if let Some(at) = evidence.suspected_ms {
            self.note(
                entry,
                StepKind::Suspected,
                at,
                Some(&master),
                &format!("by sentinel {}", evidence.observer),
            );
        }
        if let Some(asked_at) = evidence.asked_at
            && let Some(began) = self.steps.iter_mut().find(|step| step.step == StepKind::Began)
        {
            began.text.push_str(&format!(", asked for at sentinel {asked_at}"));
        }
        self.receipt.master_offset = evidence.master_offset;
        self.receipt.master_offset_ms = evidence.master_offset_ms;
        let mut evidence = evidence.clone();
        evidence.witnesses.truncate(COPIES_MAX);
        self.evidence = Some(evidence);
    }

    fn lay_out(&mut self, entry: &Entry, master: Option<&Copy>, replicas: &[Copy]) {
        if let Some(master) = master {
            let text = format!("at offset {}", master.offset);
            self.note(entry, StepKind::Stopped, master.at_ms, Some(&master.address), &text);
            self.receipt.master_offset = Some(master.offset);
            self.receipt.master_offset_ms = Some(master.at_ms);
            self.receipt.master_stopped = true;
        }
        for copy in replicas.iter().take(COPIES_MAX) {
            let text = if copy.counts { "" } else { ", of another history or never synced" };
            let text = format!("at offset {}{text}", copy.offset);
            self.note(entry, StepKind::Frozen, copy.at_ms, Some(&copy.address), &text);
        }
        self.copies = replicas.iter().take(COPIES_MAX).cloned().collect();
        let verdict = std::mem::take(&mut self.receipt.verdict);
        self.receipt.settle();
        if self.outcome == Outcome::Kept {
            self.receipt.verdict = verdict;
        }
    }

    fn welcome(&mut self, entry: &Entry, offset: u64, bytes: Option<u64>, saved_as: Option<&str>) {
        if self.receipt.returned_ms.is_some() {
            return;
        }
        let master = self.old_master.clone();
        self.receipt.returned_ms = Some(entry.at_ms);
        self.receipt.divergent_bytes = bytes;
        let text = match bytes {
            Some(0) => format!("at offset {offset}, with nothing of its own"),
            Some(bytes) => format!("at offset {offset}, with {} that nobody else has", bytes_of(bytes)),
            None => format!("at offset {offset} of another history"),
        };
        self.note(entry, StepKind::Returned, entry.at_ms, Some(&master), &text);
        if let Some(file) = saved_as {
            self.receipt.saved_as = Some(short(file));
            self.note(
                entry,
                StepKind::Saved,
                entry.at_ms,
                Some(&master),
                &format!("as {file} in its directory"),
            );
        }
        self.receipt.settle();
    }
}

#[cfg(test)]
#[path = "incidents_tests.rs"]
mod tests;
