//! What the fleet knows about webhooks besides their cursors: who wants no more, what was given up,
//! what an operator wants sent again. All of it bounded.

use super::Ledger;
use crate::model::event::Event;
use crate::model::webhook::{DEAD_MAX, DeadLetter, Office};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};

/// Names that decisions may make known; a configuration with more has lost its senses.
const WEBHOOKS_MAX: usize = 256;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Care {
    /// The receiver answered 410 Gone: why nothing is sent.
    pub disabled: Option<String>,
    /// Oldest first.
    pub dead: VecDeque<DeadLetter>,
    /// Events ever given up.
    pub given_up: u64,
    /// To be sent again.
    pub replay: Vec<Event>,
}

impl Ledger {
    pub fn webhook_office(&self, name: &str) -> Office {
        let care = self.webhook_cares.get(name);
        Office {
            from: self.webhooks.get(name).map_or(1, |cursor| cursor + 1),
            disabled: care.and_then(|care| care.disabled.clone()),
            replay: care.map(|care| care.replay.clone()).unwrap_or_default(),
        }
    }

    fn care_for(&mut self, name: &str) -> Option<&mut Care> {
        if !self.webhook_cares.contains_key(name) && self.webhook_cares.len() >= WEBHOOKS_MAX {
            return None;
        }
        Some(self.webhook_cares.entry(name.to_owned()).or_default())
    }

    /// `dropped` counts all that was given up; `dead` are those of them that somebody still held.
    pub(super) fn care(
        &mut self,
        dropped: &BTreeMap<String, u64>,
        dead: &BTreeMap<String, Vec<DeadLetter>>,
        replayed: &BTreeMap<String, Vec<u64>>,
    ) {
        for (name, count) in dropped {
            if let Some(care) = self.care_for(name) {
                care.given_up += count;
            }
        }
        for (name, letters) in dead {
            let Some(care) = self.care_for(name) else { continue };
            for letter in letters {
                care.dead.retain(|known| known.event.id != letter.event.id);
                care.dead.push_back(letter.clone());
            }
            while care.dead.len() > DEAD_MAX {
                care.dead.pop_front();
            }
        }
        for (name, ids) in replayed {
            if let Some(care) = self.webhook_cares.get_mut(name) {
                care.replay.retain(|event| !ids.contains(&event.id));
            }
        }
    }

    /// Whether that is news.
    pub(super) fn disable_webhook(&mut self, name: &str, why: &str) -> bool {
        let Some(care) = self.care_for(name) else { return false };
        care.disabled.replace(why.to_owned()).is_none()
    }

    pub(super) fn enable_webhook(&mut self, name: &str) -> bool {
        self.webhook_cares.get_mut(name).is_some_and(|care| care.disabled.take().is_some())
    }

    pub(super) fn replay_webhook(&mut self, name: &str, from: Option<u64>) {
        let delivered = self.webhooks.get(name).copied().unwrap_or(0);
        // Events after the cursor are on their way anyway.
        let again: Vec<Event> = match from {
            None => Vec::new(),
            Some(from) => {
                let range = |event: &&Event| (from..=delivered).contains(&event.id);
                self.events.iter().filter(range).cloned().collect()
            }
        };
        let Some(care) = self.care_for(name) else { return };
        let wanted = |letter: &DeadLetter| from.is_none_or(|from| letter.event.id >= from);
        let (rise, rest): (VecDeque<DeadLetter>, VecDeque<DeadLetter>) =
            std::mem::take(&mut care.dead).into_iter().partition(wanted);
        care.dead = rest;
        for event in rise.into_iter().map(|letter| letter.event).chain(again) {
            if !care.replay.iter().any(|known| known.id == event.id) {
                care.replay.push(event);
            }
        }
        care.replay.sort_by_key(|event| event.id);
    }
}
