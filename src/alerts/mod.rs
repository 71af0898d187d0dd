//! Events told to the world by webhook: what a request says, who is allowed to hear it, and what is
//! still to be delivered. Pure: a request is built here and carried by `daemon::alert_sender`.
//!
//! Promises: every event at least once and in order per webhook, always under the same
//! `webhook-id`; a dead receiver delays nobody else; no secret is ever printed. Has never heard of a
//! socket, of Raft, or of who decided what.
//!
//! A vendor is one file with one function and one row in [`FORMATS`].

pub mod delivery;
mod generic;
pub mod reach;
mod signature;
pub mod target;

use crate::model::event::Event;
use crate::stdx::time::Wall;
pub use target::{Endpoint, Secret, Target};

/// A way to dress an event.
pub struct Format {
    /// As `format:` of a webhook names it.
    pub name: &'static str,
    pub content_type: &'static str,
    pub body: fn(&Event, &str) -> Vec<u8>,
}

/// One row per vendor.
pub const FORMATS: &[Format] =
    &[Format { name: "generic", content_type: "application/json", body: generic::body }];

/// A POST to the target's endpoint. Header names are lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpRequest {
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
}

/// What to send to `target` about `event`. Everything but the timestamp (and so the signature) is
/// the same at every try and from every node of the cluster.
pub fn request(event: &Event, target: &Target, cluster: &str, at: Wall) -> HttpRequest {
    let body = (target.format.body)(event, cluster);
    let id = message_id(cluster, event.id);
    let seconds = at.as_millis() / 1000;
    let mut headers = vec![
        ("content-type", target.format.content_type.to_owned()),
        ("user-agent", concat!("vedette/", env!("CARGO_PKG_VERSION")).to_owned()),
        ("webhook-id", id.clone()),
        ("webhook-timestamp", seconds.to_string()),
    ];
    if let Some(signature) = signature::header(&target.secrets, &id, seconds, &body) {
        headers.push(("webhook-signature", signature));
    }
    HttpRequest { headers, body }
}

/// Stable per event and cluster. The dot separates the signed parts and so must not occur in it.
fn message_id(cluster: &str, event: u64) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '-' };
    let cluster: String = cluster.chars().map(plain).take(64).collect();
    format!("evt_{cluster}_{event}")
}

#[cfg(test)]
mod tests;
