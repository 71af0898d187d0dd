//! The replicated state: what applying the agreed decisions in order has made. Equal on every node
//! at an equal index, whole in a snapshot, and without a clock.
//!
//! `apply` is its only writer; events come into being there and nowhere else, with dense ids.

mod apply;
mod drills;
mod gone;
mod group;
mod incidents;
mod membership;
mod plans;
mod policy;
mod scribe;
pub mod webhooks;

use crate::model::event::{Event, EventKind};
use crate::model::{Address, Epoch, NodeId};
use crate::sentinel::drill::Drills;
use crate::sentinel::fleet_settings::FleetSettings;
use crate::sentinel::own_settings::OwnSettings;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

pub use group::{Ancestor, Failover, Group, Managed, Phase, Rule, Scheduled, StandBy, SyncSet};
pub use incidents::{INCIDENTS_MAX, Incidents};
pub use membership::{Job, Member, MemberDecision, Membership};
pub use policy::{FleetHeld, Handover, Held, Pause, Policy};

/// Recent events kept for those who connect late and for webhooks that lag.
pub const EVENTS_MAX: usize = 512;
pub const GROUPS_MAX: usize = 1024;
pub const REPLICAS_MAX: usize = 128;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// Made at the first decision; peers of another cluster are turned away by it.
    pub cluster_id: String,
    /// The index of the newest entry in this state.
    pub applied: u64,
    /// Added to an index to make an epoch: a fleet that starts anew over servers of an older one
    /// must pass their epochs.
    epoch_base: u64,
    /// Who took office last; webhooks are its business.
    pub leader: Option<NodeId>,
    /// Who there is.
    #[serde(default)]
    pub membership: Membership,
    /// Which data directory each is bound to, as soon as it was seen.
    pub voters: BTreeMap<NodeId, Voter>,
    pub groups: BTreeMap<String, Group>,
    /// Names once taken over from a configuration file: a removed group is not brought back by it.
    pub configured: BTreeSet<String>,
    /// Oldest first.
    pub events: VecDeque<Event>,
    pub last_event_id: u64,
    #[serde(default)]
    pub incidents: Incidents,
    /// Webhook name to the id of the newest event that needs no further delivery.
    pub webhooks: BTreeMap<String, u64>,
    #[serde(default)]
    pub fleet: FleetSettings,
    /// What was set of single sentinels.
    #[serde(default)]
    pub own: BTreeMap<NodeId, OwnSettings>,
    /// The newest event whose scripts and hooks have all been run.
    #[serde(default)]
    pub errands: u64,
    /// Automatic failovers are held fleet-wide.
    #[serde(default)]
    pub held: Option<FleetHeld>,
    /// What else is known about webhooks; empty for most.
    #[serde(default)]
    pub webhook_cares: BTreeMap<String, webhooks::Care>,
    #[serde(default)]
    pub drills: Drills,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Voter {
    pub uuid: String,
    pub run_id: String,
    pub address: Option<Address>,
}

const VERSION: u8 = 1;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a snapshot of the agreed state cannot be read ({0}); it is damaged, or of a newer version")]
pub struct BadSnapshot(String);

impl Ledger {
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        // Writing to a vector cannot fail, and every key of these maps is text or a number.
        let written = serde_json::to_writer(&mut bytes, self);
        debug_assert!(written.is_ok());
        bytes
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, BadSnapshot> {
        match bytes {
            [VERSION, json @ ..] => serde_json::from_slice(json).map_err(|e| BadSnapshot(e.to_string())),
            _ => Err(BadSnapshot("unknown version".to_owned())),
        }
    }

    pub fn group(&self, name: &str) -> Option<&Group> {
        self.groups.get(name)
    }

    /// The group that an address belongs to, as master or as replica.
    pub fn group_of(&self, instance: &Address) -> Option<&Group> {
        self.groups.values().find(|group| group.knows(instance))
    }

    /// The last thing told of this name is that it is no longer watched: removing it once more is no
    /// mistake but automation that tells every sentinel.
    pub fn was_removed(&self, name: &str) -> bool {
        !self.groups.contains_key(name)
            && self
                .events
                .iter()
                .rev()
                .find(|event| event.group == name)
                .is_some_and(|event| event.kind == EventKind::MonitorEnd)
    }

    /// Events newer than `id`, oldest first.
    pub fn events_after(&self, id: u64) -> impl Iterator<Item = &Event> {
        self.events.iter().filter(move |event| event.id > id)
    }

    fn epoch_at(&self, index: u64) -> Epoch {
        self.epoch_base + index
    }
}
