//! A modelled data node: what a sentinel, a replica or a client could tell from outside. Bundled
//! nodes keep the contract of docs/protocol.md; stock ones do what Redis 7 does, restart as master
//! included.
//!
//! A data set is the list of writes in it. Stream positions count list entries; keep-alives (entry 0)
//! take a position too, as GETACK does in the real stream.

mod commands;
mod replication;

/// Known bugs of a bundled server, planted by tests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bugs {
    /// Vouching is looked at when a command comes, and not when its reply leaves.
    pub unchecked_replies: bool,
    /// A full resync is taken from whoever offers one.
    pub takes_any_resync: bool,
    /// FENCE is answered and the stream followed on.
    pub fence_is_talk: bool,
    /// The epoch is forgotten when the process ends.
    pub epoch_in_memory: bool,
    /// Comes back as the master it was.
    pub boots_as_master: bool,
    /// Whoever acknowledges counts, in the set or not.
    pub counts_strangers: bool,
    /// Acknowledgements of another epoch count.
    pub counts_old_epochs: bool,
    /// A lease counts from when it came, and not from the stamp that it echoes.
    pub lease_from_receipt: bool,
    /// Orders of older epochs are obeyed.
    pub obeys_the_past: bool,
    /// What was written and not acknowledged yet is acknowledged when the master is fenced.
    pub acknowledges_when_fenced: bool,
    /// The old history is continued whatever the offset.
    pub second_offset_ignored: bool,
    /// A replica acknowledges what it has not got yet.
    pub acknowledges_too_much: bool,
    /// Replicas' word never runs out.
    pub replicas_vouch_for_ever: bool,
    /// A gap in the stream is not noticed.
    pub gaps_unnoticed: bool,
    /// Who is promoted goes on under the old history's name.
    pub history_kept: bool,
    /// Nobody's word is needed to acknowledge.
    pub lease_ignored: bool,
    /// WAIT counts whoever is attached.
    pub wait_counts_links: bool,
    /// A full resync leaves out the newest write.
    pub resync_is_short: bool,
}

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use vedette::model::Address;

/// A write by a client, or 0 for a keep-alive.
pub type Entry = u64;

const KEEPALIVE_US: u64 = 100_000;
/// Silence after which either side of a replication link gives it up.
const REPL_TIMEOUT_US: u64 = 5_000_000;
const RETRY_US: u64 = 50_000;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    Master,
    Replica {
        master: Address,
    },
    /// Bundled only: booted under supervision, or fenced.
    Awaiting,
}

/// Node to node.
#[derive(Clone, Debug)]
pub enum ReplMessage {
    Sync { link: u64, replid: u64, offset: u64, epoch: Option<u64> },
    Continue { link: u64, replid: u64, epoch: Option<u64> },
    Full { link: u64, replid: u64, data: Rc<Vec<Entry>>, epoch: Option<u64> },
    Refused { link: u64 },
    Stream { link: u64, start: u64, entries: Vec<Entry> },
    Ack { link: u64, offset: u64, epoch: u64 },
    Closed { link: u64 },
}

/// What a node wants done, in order.
#[derive(Debug)]
pub enum Output {
    Repl {
        to: Address,
        message: ReplMessage,
    },
    /// The reply to a client's write: `Ok(acknowledging replicas)`.
    Written {
        value: Entry,
        result: Result<usize, &'static str>,
    },
    /// For the checkers.
    BecameMaster {
        epoch: u64,
    },
    Resynced {
        before: Vec<Entry>,
        after: Rc<Vec<Entry>>,
    },
}

struct Attached {
    address: Address,
    acked: u64,
    epoch: u64,
    heard_us: u64,
}

struct PendingWrite {
    value: Entry,
    /// Position right after the write.
    position: u64,
    wait: usize,
    deadline_us: u64,
}

struct Following {
    link: u64,
    connected: bool,
    since_us: u64,
    heard_us: u64,
    retry_us: u64,
}

pub struct DataNode {
    pub address: Address,
    pub bundled: bool,
    pub alive: bool,
    pub run: u64,
    pub role: Role,
    // durable: DIR/vedette.state
    pub group: String,
    pub epoch: u64,
    // the data set
    pub replid: u64,
    pub replid2: Option<(u64, u64)>,
    pub data: Rc<Vec<Entry>>,
    /// Holds a completed sync, or its own master's data.
    pub synced: bool,
    stock_master: bool,
    /// Stock: a master begins a history when its first replica comes.
    backlog: bool,
    following: Option<Following>,
    /// When the last byte of its master came, whatever became of the link.
    stream_heard_us: Option<u64>,
    attached: BTreeMap<u64, Attached>,
    next_link: u64,
    keepalive_us: u64,
    pending: VecDeque<PendingWrite>,
    // vouching
    lease_end_us: u64,
    ttl_us: u64,
    quorum: usize,
    set_version: u64,
    set: Vec<Address>,
    /// (position, produced at), oldest first.
    produced: VecDeque<(u64, u64)>,
    next_replid: u64,
    /// CLIENT PAUSE: until when writes wait, and those that do.
    paused_until_us: u64,
    waiting: Vec<(Entry, usize)>,
    pub disk_full: bool,
    /// The epoch for which a master was fenced, while it is.
    pub fenced_at: Option<u64>,
    pub bugs: Bugs,
}

impl DataNode {
    pub fn new(address: Address, bundled: bool, seed: u64, bugs: Bugs) -> Self {
        DataNode {
            address,
            bundled,
            alive: true,
            run: 1,
            role: Role::Master,
            group: String::new(),
            epoch: 0,
            replid: seed * 1000 + 1,
            replid2: None,
            data: Rc::new(Vec::new()),
            synced: true,
            stock_master: false,
            backlog: false,
            following: None,
            stream_heard_us: None,
            attached: BTreeMap::new(),
            next_link: seed * 1_000_000,
            keepalive_us: 0,
            pending: VecDeque::new(),
            lease_end_us: 0,
            ttl_us: 0,
            quorum: 0,
            set_version: 0,
            set: Vec::new(),
            produced: VecDeque::new(),
            next_replid: seed * 1000 + 2,
            paused_until_us: 0,
            waiting: Vec::new(),
            disk_full: false,
            fenced_at: None,
            bugs,
        }
    }

    pub fn offset(&self) -> u64 {
        self.data.len() as u64
    }

    pub fn writes(&self) -> impl Iterator<Item = Entry> + '_ {
        self.data.iter().copied().filter(|&entry| entry != 0)
    }

    /// The process dies: all but the disk is gone, and without persistence the data set with it. The
    /// caller resets connections.
    pub fn kill(&mut self, keep_data: bool) -> Vec<(Address, u64)> {
        self.alive = false;
        if !keep_data {
            self.forget();
        }
        self.drop_links()
    }

    fn forget(&mut self) {
        self.data = Rc::new(Vec::new());
        self.replid = self.fresh_replid();
        self.replid2 = None;
        self.synced = false;
    }

    /// The process starts again. `keep_data`: it had persistence; `keep_dir`: its directory is still there.
    pub fn restart(&mut self, keep_data: bool, keep_dir: bool) {
        self.alive = true;
        self.run += 1;
        self.pending.clear();
        self.produced.clear();
        self.lease_end_us = 0;
        self.set.clear();
        self.set_version = 0;
        self.following = None;
        self.backlog = false;
        self.stream_heard_us = None;
        self.waiting.clear();
        self.paused_until_us = 0;
        self.fenced_at = None;
        if !keep_data {
            self.forget();
        }
        if !keep_dir || self.bugs.epoch_in_memory {
            self.epoch = 0;
            self.group.clear();
        }
        let awaits = self.bundled && self.epoch > 0 && !self.bugs.boots_as_master;
        self.role = if awaits { Role::Awaiting } else { Role::Master };
        if self.role == Role::Master {
            self.synced = true;
        }
    }

    /// Its log is torn: the last `lost` entries are gone, and of a lying disk the newest epoch too.
    pub fn tear(&mut self, lost: u64, epoch_too: bool) {
        let kept = self.data.len() - (lost as usize).min(self.data.len());
        Rc::make_mut(&mut self.data).truncate(kept);
        if epoch_too {
            self.epoch = self.epoch.saturating_sub(1);
        }
    }

    fn fresh_replid(&mut self) -> u64 {
        self.next_replid += 1;
        self.next_replid
    }

    fn drop_links(&mut self) -> Vec<(Address, u64)> {
        let mut closed: Vec<_> =
            self.attached.iter().map(|(link, replica)| (replica.address.clone(), *link)).collect();
        self.attached.clear();
        if let (Role::Replica { master }, Some(following)) = (&self.role, &self.following) {
            closed.push((master.clone(), following.link));
        }
        if let Some(following) = &mut self.following {
            following.connected = false;
        }
        closed
    }

    fn close_links(&mut self, out: &mut Vec<Output>) {
        for (to, link) in self.drop_links() {
            out.push(Output::Repl { to, message: ReplMessage::Closed { link } });
        }
    }

    fn fail_pending(&mut self, out: &mut Vec<Output>) {
        let acknowledge = self.bugs.acknowledges_when_fenced;
        for write in self.pending.drain(..) {
            let result = if acknowledge { Ok(write.wait) } else { Err("UNBLOCKED demoted") };
            out.push(Output::Written { value: write.value, result });
        }
        for (value, _) in self.waiting.drain(..) {
            out.push(Output::Written { value, result: Err("UNBLOCKED demoted") });
        }
    }

    // ---- vouching (P3) ----

    fn vouched_until(&self) -> u64 {
        if !self.bundled || self.epoch == 0 || self.bugs.lease_ignored {
            return u64::MAX;
        }
        self.lease_end_us.max(self.replicas_vouch_until())
    }

    /// The n-th best of the members' acknowledgements, each counted from when its bytes were produced.
    fn replicas_vouch_until(&self) -> u64 {
        if self.quorum == 0 || self.ttl_us == 0 {
            return 0;
        }
        if self.bugs.replicas_vouch_for_ever && self.attached.len() >= self.quorum {
            return u64::MAX;
        }
        let ttl = std::time::Duration::from_micros(self.ttl_us);
        let word_us = vedette::model::vouching::of_replicas(ttl).as_micros() as u64;
        let mut times: Vec<u64> = self
            .attached
            .values()
            .filter(|replica| replica.epoch == self.epoch && self.set.contains(&replica.address))
            .map(|replica| self.produced_at(replica.acked) + word_us)
            .collect();
        times.sort_unstable_by(|a, b| b.cmp(a));
        times.get(self.quorum - 1).copied().unwrap_or(0)
    }

    /// Why it may acknowledge, for the report of a failed seed.
    pub fn vouching(&self, now_us: u64) -> String {
        let left_ms = |until: u64| (until as i64 - now_us as i64) / 1000;
        format!(
            "lease {} ms left, replicas {} ms left",
            left_ms(self.lease_end_us),
            left_ms(self.replicas_vouch_until())
        )
    }

    fn produced_at(&self, position: u64) -> u64 {
        self.produced.iter().rev().find(|(at, _)| *at <= position).map_or(0, |(_, time)| *time)
    }

    fn counted_acks(&self, position: u64) -> usize {
        let supervised = self.bundled && self.epoch > 0;
        self.attached
            .values()
            .filter(|replica| replica.acked >= position || self.bugs.wait_counts_links)
            .filter(|replica| {
                let current = replica.epoch == self.epoch || self.bugs.counts_old_epochs;
                let member = self.set.contains(&replica.address) || self.bugs.counts_strangers;
                !supervised || (current && member)
            })
            .count()
    }

    // ---- clients ----

    /// SET value, then WAIT `wait`: both answered by one [`Output::Written`], or never.
    pub fn write(&mut self, now_us: u64, value: Entry, wait: usize, out: &mut Vec<Output>) {
        let refused = match self.role {
            Role::Master if self.disk_full => Some("MISCONF the disk is full"),
            Role::Master if now_us < self.vouched_until() => None,
            Role::Master => Some("READONLY not vouched for"),
            _ => Some("READONLY You can't write against a read only replica."),
        };
        if let Some(text) = refused {
            out.push(Output::Written { value, result: Err(text) });
            return;
        }
        if now_us < self.paused_until_us {
            self.waiting.push((value, wait));
            return;
        }
        self.take_write(now_us, value, wait, out);
    }

    /// CLIENT UNPAUSE, or its time is up.
    fn unpause(&mut self, now_us: u64, out: &mut Vec<Output>) {
        self.paused_until_us = 0;
        for (value, wait) in std::mem::take(&mut self.waiting) {
            self.write(now_us, value, wait, out);
        }
    }

    fn take_write(&mut self, now_us: u64, value: Entry, wait: usize, out: &mut Vec<Output>) {
        self.append(now_us, value, out);
        let position = self.offset();
        self.pending.push_back(PendingWrite { value, position, wait, deadline_us: now_us + 400_000 });
        self.settle_writes(now_us, out);
    }

    fn append(&mut self, now_us: u64, entry: Entry, out: &mut Vec<Output>) {
        let start = self.offset();
        Rc::make_mut(&mut self.data).push(entry);
        self.produced.push_back((self.offset(), now_us));
        if self.produced.len() > 4096 {
            self.produced.pop_front();
        }
        for (link, replica) in &self.attached {
            let message = ReplMessage::Stream { link: *link, start, entries: vec![entry] };
            out.push(Output::Repl { to: replica.address.clone(), message });
        }
    }

    /// Answers the writes whose replicas acknowledged or whose time is up; each reply leaves only
    /// while the master is vouched for.
    fn settle_writes(&mut self, now_us: u64, out: &mut Vec<Output>) {
        let vouched = now_us < self.vouched_until() || self.bugs.unchecked_replies;
        if self.role != Role::Master || !vouched {
            return;
        }
        let pending = std::mem::take(&mut self.pending);
        for write in pending {
            let acks = self.counted_acks(write.position);
            if acks >= write.wait || now_us >= write.deadline_us {
                out.push(Output::Written { value: write.value, result: Ok(acks) });
            } else {
                self.pending.push_back(write);
            }
        }
    }

    // ---- replication ----

    pub fn tick(&mut self, now_us: u64, out: &mut Vec<Output>) {
        if self.paused_until_us > 0 && now_us >= self.paused_until_us {
            self.unpause(now_us, out);
        }
        if self.role == Role::Master {
            if now_us >= self.keepalive_us + KEEPALIVE_US && !self.attached.is_empty() {
                self.keepalive_us = now_us;
                self.append(now_us, 0, out);
            }
            self.settle_writes(now_us, out);
        }
        self.attached.retain(|_, replica| now_us < replica.heard_us + REPL_TIMEOUT_US);
        let Role::Replica { master } = self.role.clone() else { return };
        let Some(following) = &mut self.following else { return };
        if following.connected && now_us > following.heard_us + REPL_TIMEOUT_US {
            following.connected = false;
        }
        if !following.connected && now_us >= following.retry_us {
            following.retry_us = now_us + RETRY_US * 4;
            self.next_link += 1;
            following.link = self.next_link;
            let epoch = self.bundled.then_some(self.epoch);
            let message = ReplMessage::Sync {
                link: following.link,
                replid: self.replid,
                offset: self.data.len() as u64,
                epoch,
            };
            out.push(Output::Repl { to: master, message });
        }
    }

    pub fn is_vouched(&self, now_us: u64) -> bool {
        now_us < self.vouched_until()
    }

    /// How long it has had its stream without a break.
    pub fn connected_for(&self, now_us: u64) -> u64 {
        let following = self.following.as_ref().filter(|following| following.connected);
        following.map_or(0, |following| now_us.saturating_sub(following.since_us))
    }

    pub fn follows(&self, master: &Address) -> bool {
        self.role == Role::Replica { master: master.clone() }
            && self.following.as_ref().is_some_and(|following| following.connected)
    }
}
