//! The newest snapshot, its age, and what was already made of it for other readers.

use crate::model::status::Status;
use crate::observe::prometheus::EventCounts;
use crate::observe::{aged, json, status_page};
use parking_lot::Mutex;
use prometheus::core::Collector;
use std::sync::Arc;
use tokio::sync::watch;
use tokio::time::Instant;

pub(super) struct Snapshots {
    newest: watch::Sender<(Arc<Status>, Instant)>,
    counts: Mutex<EventCounts>,
    json: Mutex<Option<Made>>,
    tree: Mutex<Option<Made>>,
}

/// A text and the snapshot that it was made of.
struct Made {
    of: Arc<Status>,
    fresh: bool,
    text: Arc<str>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Json,
    PageTree,
}

impl Snapshots {
    pub(super) fn new(first: Arc<Status>) -> Snapshots {
        let mut counts = EventCounts::default();
        counts.observe(&first);
        let (newest, _) = watch::channel((first, Instant::now()));
        Snapshots { newest, counts: Mutex::new(counts), json: Mutex::new(None), tree: Mutex::new(None) }
    }

    /// The newest, with its age told.
    pub(super) fn current(&self) -> Arc<Status> {
        let (status, since) = self.newest.borrow().clone();
        let age_ms = u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX);
        match aged(&status, age_ms) {
            Some(aged) => Arc::new(aged),
            None => status,
        }
    }

    pub(super) fn changes(&self) -> watch::Receiver<(Arc<Status>, Instant)> {
        self.newest.subscribe()
    }

    /// Made once per snapshot, however many look at it.
    pub(super) fn text(&self, form: Form) -> Arc<str> {
        let of = self.newest.borrow().0.clone();
        let current = self.current();
        let slot = if form == Form::Json { &self.json } else { &self.tree };
        let mut slot = slot.lock();
        if let Some(made) = slot.as_ref()
            && Arc::ptr_eq(&made.of, &of)
            && made.fresh == current.fresh
        {
            return made.text.clone();
        }
        let text = match form {
            Form::Json => json::text(&current),
            Form::PageTree => serde_json::to_string(&status_page::tree(&current)),
        };
        let text: Arc<str> = Arc::from(text.unwrap_or_else(|error| format!("\"{error}\"")));
        *slot = Some(Made { of, fresh: current.fresh, text: text.clone() });
        text
    }

    pub(super) fn metrics(&self) -> Result<String, prometheus::Error> {
        let process = prometheus::process_collector::ProcessCollector::for_self().collect();
        let status = self.current();
        crate::observe::prometheus::text(&status, &self.counts.lock(), &process)
    }
}

/// Takes every snapshot until there is nobody to send one.
pub(super) async fn follow(snapshots: Arc<Snapshots>, mut status: watch::Receiver<Arc<Status>>) {
    while status.changed().await.is_ok() {
        let newest = status.borrow_and_update().clone();
        snapshots.counts.lock().observe(&newest);
        snapshots.newest.send_replace((newest, Instant::now()));
    }
}
