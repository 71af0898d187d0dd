//! The promises, watched from outside. A checker never asks a sentinel what it thinks of itself:
//! it compares what was told, written, acknowledged and answered.

use super::world::Plan;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use vedette::model::Address;
use vedette::model::event::Event;

/// P7: an answer may lag what is agreed by an election time (twice, for a beat on its way) and no more.
const STALE_MAX_US: u64 = 1_200_000;

pub struct Checkers {
    bundled: bool,
    quorum: usize,
    failure: Option<String>,
    /// P1: who was made master in an epoch.
    masters: BTreeMap<u64, usize>,
    /// Agreed address per epoch, and when some sentinel first had it.
    agreed: BTreeMap<u64, (Address, u64)>,
    seen_epoch: BTreeMap<usize, u64>,
    invoked: u64,
    /// P2: values acknowledged with at least n replicas.
    promised: BTreeSet<u64>,
    pub acknowledged_count: u64,
    /// P3: the first acknowledgement of each epoch.
    first_ack_us: BTreeMap<u64, u64>,
    events: BTreeMap<u64, Event>,
    next_event: BTreeMap<usize, u64>,
    pub failovers: u64,
}

impl Checkers {
    pub fn new(plan: &Plan) -> Self {
        Checkers {
            bundled: plan.bundled,
            quorum: plan.sync_quorum(),
            failure: None,
            masters: BTreeMap::new(),
            agreed: BTreeMap::new(),
            seen_epoch: BTreeMap::new(),
            invoked: 0,
            promised: BTreeSet::new(),
            acknowledged_count: 0,
            first_ack_us: BTreeMap::new(),
            events: BTreeMap::new(),
            next_event: BTreeMap::new(),
            failovers: 0,
        }
    }

    pub fn failed(&self) -> bool {
        self.failure.is_some()
    }

    pub fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    pub fn fail(&mut self, text: String) {
        self.failure.get_or_insert(text);
    }

    /// P1, and P2 at the moment it matters.
    pub fn became_master(&mut self, node: usize, epoch: u64, data: &[u64], held: &BTreeSet<u64>) {
        if !self.bundled {
            return;
        }
        if let Some(&other) = self.masters.get(&epoch).filter(|&&other| other != node) {
            self.fail(format!("P1: epoch {epoch} made both node {other} and node {node} master"));
        }
        self.masters.insert(epoch, node);
        self.holds_promised("P2: promoted without", data, held);
    }

    fn holds_promised(&mut self, what: &str, data: &[u64], held: &BTreeSet<u64>) {
        if !self.bundled {
            return;
        }
        let present: BTreeSet<u64> = data.iter().copied().collect();
        if let Some(lost) =
            self.promised.iter().find(|value| held.contains(value) && !present.contains(value))
        {
            self.fail(format!("{what} write {lost}, which WAIT had promised"));
        }
    }

    /// P4: a full resync never replaces promised data by data without it.
    pub fn resynced(&mut self, node: usize, before: &[u64], after: &Rc<Vec<u64>>) {
        if !self.bundled {
            return;
        }
        let after: BTreeSet<u64> = after.iter().copied().collect();
        if !before.is_empty() && after.iter().all(|&entry| entry == 0) {
            self.fail(format!("P4: node {node} held {} writes and was wiped", before.len()));
        }
        if let Some(lost) =
            before.iter().find(|value| self.promised.contains(value) && !after.contains(value))
        {
            self.fail(format!("P4: node {node} gave up promised write {lost} for a master without it"));
        }
    }

    pub fn invoked(&mut self, value: u64) {
        self.invoked = self.invoked.max(value);
    }

    /// P3: nothing is acknowledged at an older epoch after the newer epoch's first acknowledgement.
    pub fn acknowledged(&mut self, now_us: u64, node: usize, epoch: u64, value: u64, why: &str) {
        // A server that lost its whole directory comes back as one that nobody supervises: what it says
        // until it is found is no acknowledgement of this group, and no WAIT on it is ever satisfied.
        if !self.bundled || epoch == 0 {
            return;
        }
        if let Some((newer, _)) = self.first_ack_us.range(epoch + 1..).next() {
            self.fail(format!(
                "P3: node {node} acknowledged write {value} at epoch {epoch} after epoch {newer} had begun to ({why})"
            ));
        }
        self.first_ack_us.entry(epoch).or_insert(now_us);
    }

    pub fn client_heard(&mut self, value: u64, acks: usize) {
        self.acknowledged_count += 1;
        if acks >= self.quorum {
            self.promised.insert(value);
        }
    }

    /// One address per epoch, and no sentinel goes back.
    pub fn agreed(&mut self, now_us: u64, sentinel: usize, address: &Address, epoch: u64) {
        let (known, _) = self.agreed.entry(epoch).or_insert_with(|| (address.clone(), now_us)).clone();
        if known != *address {
            self.fail(format!("P1: epoch {epoch} names both {known} and {address}"));
        }
        let _ = self.seen_epoch.insert(sentinel, epoch);
        self.failovers = self.agreed.len() as u64 - 1;
    }

    /// P7: fresh or silent.
    pub fn answered(&mut self, now_us: u64, sentinel: usize, address: &Address, epoch: u64) {
        let newer = self.agreed.range(epoch + 1..).find(|(_, (_, since))| now_us > since + STALE_MAX_US);
        if let Some((newer, (master, since))) = newer {
            let late_ms = (now_us - since) / 1000;
            let text = format!(
                "P7: s{} answers {address} of epoch {epoch}, though epoch {newer} named {master} {late_ms} ms ago",
                sentinel + 1
            );
            self.fail(text);
        }
    }

    /// P8: dense ids, one content per id.
    pub fn event(&mut self, sentinel: usize, event: &Event) {
        if let Some(known) = self.events.get(&event.id).filter(|known| *known != event) {
            self.fail(format!(
                "P8: event {} is {:?} to one sentinel and {:?} to another",
                event.id, known, event
            ));
        }
        self.events.insert(event.id, event.clone());
        let _ = self.next_event.insert(sentinel, event.id + 1);
        let ids = self.events.len() as u64;
        let span = self
            .events
            .keys()
            .next_back()
            .zip(self.events.keys().next())
            .map_or(0, |(last, first)| last - first + 1);
        if ids != span {
            self.fail(format!("P8: event ids have a gap: {ids} ids over {span}"));
        }
    }

    /// After the world is healed and quiet.
    pub fn at_rest(&mut self, master_data: &[u64], held: &BTreeSet<u64>) {
        self.holds_promised("P2: the final master lacks", master_data, held);
    }
}
