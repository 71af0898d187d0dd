//! The promises, watched from outside. A checker never asks a sentinel what it thinks of itself:
//! it compares what was told, written, acknowledged and answered.
//!
//! | id | invariant | where |
//! |---|---|---|
//! | I1 | one promotion and one published address per epoch | `became_master`, `agreed` |
//! | I2 | one address per epoch for all clients, whomever they ask | `client_told` |
//! | I3a | what WAIT promised is in every later master | `became_master`, `at_rest` |
//! | I3b | the same after a loss of power, with fsync | real processes: `tests/chaos`, power-cut |
//! | I3c | a planned switchover loses nothing that was acknowledged | `handed_over` |
//! | I4 | an old master is silent once the new one has spoken, and when it is promoted | `acknowledged`, `still_vouched` |
//! | I5 | nobody is wiped | `resynced` |
//! | I6 | equal history, equal data: the shorter is a prefix | `same_history` |
//! | I7 | who may speak for the group shows all that was promised before it was asked | `read_ends` |
//! | I8 | every event once: dense ids, one content | `event` |
//! | I9 | webhooks at least once | the deliverer's own: `tests/processes`, `tests/alerts` |
//! | I10 | no failover without cause, none past a witness | `world/outside.rs` |
//! | I11 | once a core is healed, all converges | `mod.rs` |
//! | I12 | one vote per term, one leader per term, one log, one state per index | `persisted`, `stands`, `applied` |
//! | I13 | locks | the lock's own simulation: `tests/locks` |
//! | I14 | refusals are explained | `event` |
//! | I15, I16 | nothing without authentication, no secret told | `tests/security`; here no event shows a password |

use super::schedule::Plan;
use super::values::Values;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use vedette::consensus::{Persist, Role};
use vedette::model::Address;
use vedette::model::event::{Event, EventKind};

/// P7: an answer may lag what is agreed by an election time (twice, for a beat on its way) and no more.
const STALE_MAX_US: u64 = 1_200_000;

pub struct Checkers {
    bundled: bool,
    safe: bool,
    quorum: usize,
    failure: Option<String>,
    masters: BTreeMap<u64, usize>,
    /// Agreed address per epoch, and when some sentinel first had it.
    agreed: BTreeMap<u64, (Address, u64)>,
    told: BTreeMap<u64, Address>,
    invoked: u64,
    /// Values acknowledged with at least n replicas.
    promised: Values,
    acknowledged: Values,
    /// At which epoch the newest of them were, for answers that are late.
    acknowledged_at: BTreeMap<u64, u64>,
    /// The newest epoch whose master took a loss for granted.
    loss_epoch: u64,
    /// The first acknowledgement of each epoch.
    first_ack_us: BTreeMap<u64, u64>,
    events: BTreeMap<u64, Event>,
    news: u64,
    /// The epoch of a promotion whose risk was told, or that an operator forced.
    risky: BTreeSet<u64>,
    planned: BTreeSet<u64>,
    votes: BTreeMap<(usize, u64), u64>,
    leaders: BTreeMap<u64, usize>,
    states: BTreeMap<u64, u64>,
    reads: BTreeMap<u64, Vec<u64>>,
    next_read: u64,
    /// Whom an operator had forgotten: their copies count no more.
    pub forgotten: BTreeSet<Address>,
    lied: bool,
    /// The failover that is open was asked for by an operator.
    asked_for: bool,
    /// Those for cause that ended with another master, and those that an operator asked for.
    pub failovers: u64,
    pub switchovers: u64,
}

impl Checkers {
    pub fn new(plan: &Plan) -> Self {
        Checkers {
            bundled: plan.bundled,
            safe: plan.safe,
            quorum: plan.sync_quorum(),
            failure: None,
            masters: BTreeMap::new(),
            agreed: BTreeMap::new(),
            told: BTreeMap::new(),
            invoked: 0,
            promised: Values::default(),
            acknowledged: Values::default(),
            acknowledged_at: BTreeMap::new(),
            loss_epoch: 0,
            first_ack_us: BTreeMap::new(),
            events: BTreeMap::new(),
            news: 0,
            risky: BTreeSet::new(),
            planned: BTreeSet::new(),
            votes: BTreeMap::new(),
            leaders: BTreeMap::new(),
            states: BTreeMap::new(),
            reads: BTreeMap::new(),
            next_read: 0,
            forgotten: BTreeSet::new(),
            lied: false,
            asked_for: false,
            failovers: 0,
            switchovers: 0,
        }
    }

    pub fn failed(&self) -> bool {
        self.failure.is_some()
    }

    pub fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    pub fn fail(&mut self, text: String) {
        // A disk that lied has broken what Raft stands on: from there on nothing is promised but that nobody
        // panics and that the rest goes on.
        if !self.lied || text.starts_with("P6") {
            self.failure.get_or_insert(text);
        }
    }

    /// A sentinel's disk lost what it had said it kept.
    pub fn lied(&mut self) {
        self.lied = true;
    }

    pub fn may_give_up(&self) -> bool {
        self.lied
    }

    /// I1, and I3a at the moment it matters.
    pub fn became_master(&mut self, node: usize, epoch: u64, data: &[u64], held: &Values) {
        if !self.bundled {
            return;
        }
        if let Some(&other) = self.masters.get(&epoch).filter(|&&other| other != node) {
            self.fail(format!("I1: epoch {epoch} made both node {other} and node {node} master"));
        }
        self.masters.insert(epoch, node);
        if !self.forgotten.is_empty() {
            self.promised.keep(held);
        }
        if self.risky.contains(&epoch) || !self.safe {
            // Somebody took the loss for granted, and it was said.
            self.promised.keep(&data.iter().copied().collect());
            self.loss_epoch = self.loss_epoch.max(epoch);
        }
        // An order of an epoch that was given up comes late to one who stood still: it is vouched for by nobody.
        if self.masters.range(epoch + 1..).next().is_none() {
            self.holds_promised("I3a: promoted without", data, held);
        }
    }

    /// I4: nobody is promoted beside a master that is still vouched for; but by an operator who takes the loss.
    pub fn still_vouched(&mut self, old: usize, successor: usize, epoch: u64, why: &str) {
        if !self.risky.contains(&epoch) {
            self.fail(format!(
                "I4: node {successor} became master at epoch {epoch} while node {old} was vouched for ({why})"
            ));
        }
    }

    fn holds_promised(&mut self, what: &str, data: &[u64], held: &Values) {
        if !self.bundled {
            return;
        }
        if let Some(lost) = self.promised.first_lost(held, &data.iter().copied().collect()) {
            self.fail(format!("{what} write {lost}, which WAIT had promised"));
        }
    }

    /// I3c: `had` is what the old master had, fenced for this epoch.
    pub fn handed_over(&mut self, epoch: u64, had: &[u64], has: &[u64]) {
        if !self.bundled || !self.planned.contains(&epoch) {
            return;
        }
        let has: Values = has.iter().copied().collect();
        if let Some(lost) =
            had.iter().find(|value| self.acknowledged.contains(**value) && !has.contains(**value))
        {
            self.fail(format!("I3c: the planned switchover of epoch {epoch} lost acknowledged write {lost}"));
        }
    }

    /// I5: a full resync never replaces promised data by data without it.
    pub fn resynced(&mut self, node: usize, before: &[u64], after: &Rc<Vec<u64>>) {
        if !self.bundled {
            return;
        }
        // What a server took that nobody supervised, its directory gone, was never a write of this group.
        let held = before.iter().any(|value| self.acknowledged.contains(*value));
        if held && after.iter().all(|&entry| entry == 0) {
            self.fail(format!("I5: node {node} held {} writes and was wiped", before.len()));
        }
        let after: Values = after.iter().copied().collect();
        if let Some(lost) =
            before.iter().find(|value| self.promised.contains(**value) && !after.contains(**value))
        {
            self.fail(format!("I5: node {node} gave up promised write {lost} for a master without it"));
        }
    }

    /// I6.
    pub fn same_history(&mut self, a: usize, b: usize, one: &Rc<Vec<u64>>, other: &Rc<Vec<u64>>) {
        let shared = one.len().min(other.len());
        // What differs differs at the end first, nearly always.
        let from = shared.saturating_sub(512);
        if !Rc::ptr_eq(one, other) && one[from..shared] != other[from..shared] {
            self.fail(format!("I6: nodes {a} and {b} are of one history and differ before offset {shared}"));
        }
    }

    pub fn invoked(&mut self, value: u64) {
        self.invoked = self.invoked.max(value);
    }

    /// I4: nothing is acknowledged at an older epoch after the newer epoch's first acknowledgement.
    pub fn acknowledged(&mut self, now_us: u64, node: usize, epoch: u64, value: u64, why: &str) {
        // A server that lost its whole directory comes back as one that nobody supervises: what it says
        // until it is found is no acknowledgement of this group, and no WAIT on it is ever satisfied.
        if !self.bundled || epoch == 0 {
            return;
        }
        self.acknowledged.insert(value);
        self.acknowledged_at.insert(value, epoch);
        if self.acknowledged_at.len() > 256 {
            self.acknowledged_at.pop_first();
        }
        if let Some((newer, _)) = self.first_ack_us.range(epoch + 1..).next() {
            self.fail(format!(
                "I4: node {node} acknowledged write {value} at epoch {epoch} after epoch {newer} had begun to ({why})"
            ));
        }
        self.first_ack_us.entry(epoch).or_insert(now_us);
        // Whoever serves in an epoch is its master, told so or found so.
        let master = *self.masters.entry(epoch).or_insert(node);
        if master != node {
            self.fail(format!("I1: nodes {master} and {node} both serve in epoch {epoch}"));
        }
    }

    pub fn client_heard(&mut self, value: u64, acks: usize) {
        // An answer that was on its way while the loss was taken for granted promises nothing any more.
        let lost = self.acknowledged_at.get(&value).is_some_and(|epoch| *epoch < self.loss_epoch);
        if acks >= self.quorum && !lost {
            self.promised.insert(value);
        }
    }

    /// I7: a read begins; what is promised by now it must show.
    pub fn read_begins(&mut self) -> u64 {
        self.next_read += 1;
        self.reads.insert(self.next_read, self.promised.newest().take(64).collect());
        while self.reads.len() > 64 {
            self.reads.pop_first();
        }
        self.next_read
    }

    /// Whether all that it must show is among the newest, as it is nearly always; it is over then.
    pub fn read_shows(&mut self, read: u64, data: &[u64]) -> bool {
        let Some(wanted) = self.reads.get(&read).filter(|_| self.bundled) else { return true };
        let newest: Values = data[data.len().saturating_sub(512)..].iter().copied().collect();
        let shows = wanted.iter().all(|value| newest.contains(*value));
        if shows {
            self.reads.remove(&read);
        }
        shows
    }

    pub fn read_ends(&mut self, node: usize, read: u64, data: &[u64], held: &Values) {
        let Some(wanted) = self.reads.remove(&read) else { return };
        let shown: Values = data.iter().copied().collect();
        let still = |value: &&u64| self.promised.contains(**value) && held.contains(**value);
        if let Some(lost) = wanted.iter().filter(still).find(|value| !shown.contains(**value)) {
            self.fail(format!(
                "I7: node {node} speaks for the group and does not show promised write {lost}"
            ));
        }
    }

    /// I1: one address per epoch.
    pub fn agreed(&mut self, now_us: u64, _sentinel: usize, address: &Address, epoch: u64) {
        let known = &self.agreed.entry(epoch).or_insert_with(|| (address.clone(), now_us)).0;
        if known != address {
            let text = format!("I1: epoch {epoch} names both {known} and {address}");
            self.fail(text);
        }
    }

    /// I2.
    pub fn client_told(&mut self, address: &Address, epoch: u64) {
        let known = self.told.entry(epoch).or_insert_with(|| address.clone());
        if known != address {
            let text = format!("I2: clients were told {known} and {address}, both of epoch {epoch}");
            self.fail(text);
        }
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

    /// I12: what is written down of votes.
    pub fn persisted(&mut self, sentinel: usize, persist: &Persist) {
        let Some(state) = persist.hard_state.filter(|state| state.vote != 0) else { return };
        let vote = *self.votes.entry((sentinel, state.term)).or_insert(state.vote);
        if vote != state.vote {
            let text = format!(
                "I12: s{} voted for {vote} and for {} in term {}",
                sentinel + 1,
                state.vote,
                state.term
            );
            self.fail(text);
        }
    }

    /// I12: one leader per term.
    pub fn stands(&mut self, sentinel: usize, role: Role, term: u64) {
        if role == Role::Leader {
            let known = *self.leaders.entry(term).or_insert(sentinel);
            if known != sentinel {
                self.fail(format!("I12: s{} and s{} both lead in term {term}", known + 1, sentinel + 1));
            }
        }
    }

    /// I12: one state per index.
    pub fn applied(&mut self, sentinel: usize, index: u64, state: &[u8]) {
        let hash = hash(state);
        let known = *self.states.entry(index).or_insert(hash);
        if known != hash {
            self.fail(format!("I12: s{} has another state at index {index} than others had", sentinel + 1));
        }
    }

    /// Whether no sentinel told it before. Asked once an event.
    pub fn is_news(&mut self, event: &Event) -> bool {
        let news = event.id > self.news;
        self.news = self.news.max(event.id);
        news
    }

    /// I8: dense ids, one content per id. I14: refusals give their reason.
    pub fn event(&mut self, _sentinel: usize, event: &Event) {
        if let Some(known) = self.events.get(&event.id) {
            if known != event {
                let text =
                    format!("I8: event {} is {known:?} to one sentinel and {event:?} to another", event.id);
                self.fail(text);
            }
            return;
        }
        self.events.insert(event.id, event.clone());
        let detail =
            |name: &str| event.details.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        let refusal = matches!(
            event.kind,
            EventKind::AbortNoGoodReplica | EventKind::AbortReplicaTimeout | EventKind::RolledBack
        );
        if refusal && detail("reason").is_none_or(str::is_empty) {
            self.fail(format!("I14: event {} refuses without a reason: {event:?}", event.id));
        }
        match (event.kind, &event.instance) {
            (EventKind::Replica, Some(instance)) => drop(self.forgotten.remove(instance)),
            (EventKind::ReplicaGone, Some(instance)) => drop(self.forgotten.insert(instance.clone())),
            _ => {}
        }
        if event.kind == EventKind::SwitchMaster {
            *(if self.asked_for { &mut self.switchovers } else { &mut self.failovers }) += 1;
        }
        if event.kind == EventKind::TryFailover {
            self.asked_for = matches!(detail("cause"), Some("forced" | "manual"));
            match detail("cause") {
                Some("forced") => drop(self.risky.insert(event.epoch.max(self.newest_attempt()))),
                Some("manual") => drop(self.planned.insert(event.epoch.max(self.newest_attempt()))),
                _ => {}
            }
        }
        if event.kind == EventKind::DataLossRisk {
            let attempt = event.epoch.max(self.newest_attempt());
            self.risky.insert(attempt);
        }
        let (first, last) = (self.events.keys().next(), self.events.keys().next_back());
        let span = last.zip(first).map_or(0, |(last, first)| last - first + 1);
        if self.events.len() as u64 != span {
            let text = format!("I8: event ids have a gap: {} ids over {span}", self.events.len());
            self.fail(text);
        }
    }

    /// The epoch of the failover that began last, as its own event said.
    fn newest_attempt(&self) -> u64 {
        let news = self.events.values().rev().find(|event| event.kind == EventKind::NewEpoch);
        news.and_then(|event| event.payload.parse().ok()).unwrap_or(0)
    }

    /// After the world is healed and quiet.
    pub fn at_rest(&mut self, master_data: &[u64], held: &Values) {
        self.holds_promised("I3a: the final master lacks", master_data, held);
    }
}

/// Eight bytes at a time: states are long and compared often.
pub fn hash(bytes: &[u8]) -> u64 {
    let mix = |hash: u64, word: u64| (hash ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    let mut words = bytes.chunks_exact(8);
    let hash = words
        .by_ref()
        .map(|word| word.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte)))
        .fold(bytes.len() as u64, mix);
    words.remainder().iter().fold(hash, |hash, byte| mix(hash, u64::from(*byte)))
}
