//! What this sentinel sees of each instance with its own eyes. Not replicated, gone with the process;
//! judged by `subjective`, filled by `probe`.

use crate::model::status::ProbeStatus;
use crate::model::{Address, TlsFault};
use crate::sentinel::facts::Facts;
use crate::sentinel::foreign::Own;
use crate::sentinel::request::{Request, RequestId};
use crate::stdx::time::{Duration, Instant};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    Down,
    /// Until this moment at the latest; then the attempt counts as failed.
    Dialing {
        until: Instant,
    },
    Up,
}

/// An answer to PING that is neither PONG nor silence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Complaint {
    Loading,
    Busy,
    CannotPersist,
    /// It wants other credentials than ours.
    AuthRefused,
    /// It is there, and there is no TLS session with it.
    Tls(TlsFault),
    Other,
}

#[derive(Clone, Debug)]
pub struct Asked {
    pub id: RequestId,
    pub request: Request,
    pub at: Instant,
}

#[derive(Clone, Debug)]
pub struct Instance {
    pub group: String,
    pub link: Link,
    /// Counts connections: what was learned on one is about one process.
    pub generation: u64,
    pub link_since: Instant,
    /// The last answer that says: alive and serving. Begins with the watch.
    pub valid_at: Instant,
    pub ever_valid: bool,
    /// The last PING on this connection was answered so.
    pub served: bool,
    /// While every question is answered, it is presumed to have served until shortly before the next.
    pub presumed_at: Instant,
    /// Any answer at all.
    pub answered_at: Option<Instant>,
    pub complaint: Option<Complaint>,
    /// Since when it says that it loads its data set, while it does.
    pub loading_since: Option<Instant>,
    /// First refusal or reset since it last was connected.
    pub refused_since: Option<Instant>,
    /// We closed the link ourselves: its end proves nothing.
    pub hanging_up: bool,
    pub facts: Option<Facts>,
    /// What was here when it last held its group's data.
    pub own: Option<Own>,
    /// The words of the last INFO, for those who ask to see them.
    pub info: Option<Arc<str>>,
    /// Since when it reports the role it reports.
    pub role_since: Instant,
    /// Another process answered than before, and that was not told yet.
    pub rebooted: bool,
    /// Certain to have received bytes from its master at this moment or later.
    pub streamed_at: Option<Instant>,
    pub asked: VecDeque<Asked>,
    pub next_ping: Instant,
    pub next_info: Instant,
    pub next_hello: Instant,
    pub next_dial: Instant,
    pub dial_failures: u32,
    /// For people; nothing is judged by it.
    pub probe: ProbeStatus,
}

impl Instance {
    pub fn new(group: &str, now: Instant) -> Self {
        Instance {
            group: group.to_owned(),
            link: Link::Down,
            generation: 0,
            link_since: now,
            valid_at: now,
            ever_valid: false,
            served: false,
            presumed_at: Instant::ZERO,
            answered_at: None,
            complaint: None,
            loading_since: None,
            refused_since: None,
            hanging_up: false,
            facts: None,
            own: None,
            info: None,
            role_since: now,
            rebooted: false,
            streamed_at: None,
            asked: VecDeque::new(),
            next_ping: now,
            next_info: now,
            next_hello: now,
            next_dial: now,
            dial_failures: 0,
            probe: ProbeStatus::default(),
        }
    }

    pub fn up(&self) -> bool {
        self.link == Link::Up
    }

    /// Since the last valid answer; of one that answered every question so far, no longer than the
    /// open question is old and a little more: it cannot answer what it was not asked.
    pub fn silence(&self, now: Instant) -> Duration {
        now.since(self.valid_at.max(self.presumed_at))
    }

    /// Facts of the process at the other end of the connection that is up now.
    pub fn current(&self) -> Option<&Facts> {
        self.facts.as_ref().filter(|facts| self.up() && facts.generation == self.generation)
    }

    /// Current facts that were asked for after `moment`.
    pub fn since(&self, moment: Instant) -> Option<&Facts> {
        self.current().filter(|facts| facts.asked_at >= moment)
    }

    /// Whether an answer to such a request is awaited on this connection.
    pub fn awaits(&self, of: impl Fn(&Request) -> bool) -> bool {
        self.asked.iter().any(|asked| of(&asked.request))
    }

    /// After a pause of our own: what was observed before proves nothing now.
    pub fn forget(&mut self, now: Instant) {
        self.valid_at = now;
        self.refused_since = None;
        self.streamed_at = None;
        self.next_info = now;
        self.next_ping = now;
    }
}

#[derive(Debug, Default)]
pub struct Registry {
    instances: BTreeMap<Address, Instance>,
}

impl Registry {
    pub fn get(&self, address: &Address) -> Option<&Instance> {
        self.instances.get(address)
    }

    pub fn get_mut(&mut self, address: &Address) -> Option<&mut Instance> {
        self.instances.get_mut(address)
    }

    pub fn insert(&mut self, address: Address, instance: Instance) {
        self.instances.insert(address, instance);
    }

    pub fn remove(&mut self, address: &Address) -> Option<Instance> {
        self.instances.remove(address)
    }

    pub fn len(&self) -> usize {
        self.instances.len()
    }

    pub fn is_empty(&self) -> bool {
        self.instances.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&Address, &Instance)> {
        self.instances.iter()
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&Address, &mut Instance)> {
        self.instances.iter_mut()
    }
}
