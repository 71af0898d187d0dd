//! A status snapshot shown to people and machines: metrics, JSON, status page, health answers. Pure
//! text out of plain data; served by `net::http`. Has never heard of a socket, of the sentinel that
//! made the snapshot, or of the time.

pub mod health;
pub mod json;
pub mod prometheus;
pub mod status_page;
pub mod view;

use crate::model::status::Status;

/// A snapshot older than this was made by a sentinel whose loop stands still: what it says may have
/// been overtaken, so it is shown as not fresh. Its maker sends one at least every second.
pub const STALE_AFTER_MS: u64 = 3_000;

/// What may be said of a snapshot of this age: a copy that is not fresh, or nothing to change.
pub fn aged(status: &Status, age_ms: u64) -> Option<Status> {
    (status.fresh && age_ms > STALE_AFTER_MS).then(|| Status { fresh: false, ..status.clone() })
}

#[cfg(test)]
pub(crate) mod sample;
#[cfg(test)]
mod sample_incidents;
