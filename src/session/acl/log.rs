//! ACL LOG: what was refused, newest first; the same refusal again only counts.

use super::selector::Denied;
use crate::stdx::time::{Duration, Wall};
use std::collections::VecDeque;

/// The same refusal within this is counted with the first.
const SAME_WITHIN: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    Auth,
    Denied(Denied),
}

impl Reason {
    pub fn name(self) -> &'static str {
        match self {
            Reason::Auth => "auth",
            Reason::Denied(Denied::Command) => "command",
            Reason::Denied(Denied::Key(_)) => "key",
            Reason::Denied(Denied::Channel(_)) => "channel",
        }
    }
}

#[derive(Clone, Debug)]
pub struct Entry {
    pub count: u64,
    pub reason: &'static str,
    pub context: &'static str,
    pub object: Vec<u8>,
    pub user: String,
    pub at: Wall,
    pub client: String,
}

#[derive(Debug)]
pub struct Log {
    pub entries: VecDeque<Entry>,
    pub entries_max: usize,
}

impl Default for Log {
    fn default() -> Self {
        Log { entries: VecDeque::new(), entries_max: 128 }
    }
}

impl Log {
    pub fn note(&mut self, entry: Entry) {
        let same = |known: &Entry| {
            known.reason == entry.reason
                && known.context == entry.context
                && known.user == entry.user
                && known.object == entry.object
                && entry.at.as_millis().saturating_sub(known.at.as_millis()) < SAME_WITHIN.as_millis() as u64
        };
        if let Some(at) = self.entries.iter().position(same)
            && let Some(mut known) = self.entries.remove(at)
        {
            known.count += 1;
            known.at = entry.at;
            known.client = entry.client;
            self.entries.push_front(known);
            return;
        }
        self.entries.push_front(entry);
        self.entries.truncate(self.entries_max);
    }
}
