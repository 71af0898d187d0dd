//! Events told to the world by webhook: what a request says, who is allowed to hear it, and what is
//! still to be delivered. Pure: a request is built here and carried by `daemon::alert_sender`.
//!
//! Promises: every event at least once and in order per webhook, always under the same id; a dead
//! receiver delays nobody else; no secret is ever printed. Has never heard of a socket, of Raft, or
//! of who decided what.
//!
//! A vendor is one file with one function and one row in [`FORMATS`].

mod alertmanager;
mod cloudevents;
pub mod delivery;
mod discord;
mod generic;
mod pagerduty;
pub mod reach;
pub mod retry;
mod signature;
mod slack;
pub mod target;
mod teams;
mod telegram;
mod template;
mod words;

use crate::model::event::{Event, EventKind};
use crate::model::problem::Turn;
use crate::stdx::time::Wall;
use std::fmt;
pub use target::{Endpoint, Files, Secret, Target};

/// How long an open problem is held open where its end must be named beforehand.
const PROBLEM_OPEN_MS: u64 = 7 * 24 * 3600 * 1000;

/// A way to dress an event.
pub struct Format {
    /// As `format:` of a webhook names it.
    pub name: &'static str,
    pub content_type: &'static str,
    pub body: fn(&Letter<'_>) -> Result<Vec<u8>, String>,
    /// Carries the headers of Standard Webhooks; vendors with a form of their own do not look at them.
    pub standard: bool,
}

const JSON: &str = "application/json";

/// One row per vendor.
pub const FORMATS: &[Format] = &[
    Format { name: "generic", content_type: JSON, body: generic::body, standard: true },
    Format {
        name: "cloudevents",
        content_type: "application/cloudevents+json; charset=utf-8",
        body: cloudevents::body,
        standard: true,
    },
    Format { name: "slack", content_type: JSON, body: slack::body, standard: false },
    Format { name: "teams", content_type: JSON, body: teams::body, standard: false },
    Format { name: "discord", content_type: JSON, body: discord::body, standard: false },
    Format { name: "pagerduty", content_type: JSON, body: pagerduty::body, standard: false },
    Format { name: "alertmanager", content_type: JSON, body: alertmanager::body, standard: false },
    Format { name: "telegram", content_type: JSON, body: telegram::body, standard: false },
    Format { name: "template", content_type: JSON, body: template::body, standard: true },
];

/// What a format may know: the event, whose it is, and whom it is for.
pub struct Letter<'a> {
    pub event: &'a Event,
    pub cluster: &'a str,
    pub target: &'a Target,
}

/// What an event does to a problem that a receiver keeps open, named by one key at both ends.
enum Problem {
    Opened(String),
    Closed(String),
    None,
}

impl Letter<'_> {
    /// Stable per event and cluster. The dot separates the signed parts and so must not occur in it.
    fn id(&self) -> String {
        format!("evt_{}_{}", self.plain_cluster(), self.event.id)
    }

    fn plain_cluster(&self) -> String {
        let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '-' };
        self.cluster.chars().map(plain).take(64).collect()
    }

    fn problem(&self) -> Problem {
        let key = |kind: EventKind| {
            let name = kind.name().trim_start_matches(['+', '-']);
            let about = match &self.event.instance {
                Some(instance) if kind.per_instance() => format!("{}/{instance}", self.event.group),
                _ => self.event.group.clone(),
            };
            format!("vedette/{}/{about}/{name}", self.plain_cluster())
        };
        match (self.event.kind, self.event.kind.turn()) {
            (kind, Turn::Begins) => Problem::Opened(key(kind)),
            (_, Turn::Ends(begun)) => Problem::Closed(key(begun)),
            // A failover that may not be done keeps the dead master's problem open.
            (EventKind::AbortNoGoodReplica | EventKind::AbortReplicaTimeout, _) => {
                Problem::Opened(key(EventKind::ODown))
            }
            (kind, _) => kind.also_ends().first().map_or(Problem::None, |begun| Problem::Closed(key(*begun))),
        }
    }
}

/// A POST to the target's endpoint. Header names are lower case. Printed without what it says: a
/// header may be a password.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpRequest {
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl fmt::Debug for HttpRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HttpRequest({} headers, {} bytes)", self.headers.len(), self.body.len())
    }
}

/// What to send to `target` about `event`. Everything but the timestamp (and so the signature) is
/// the same at every try and from every node of the cluster. An event that the format cannot say
/// (an operator's template stumbles over it) never can be said.
pub fn request(event: &Event, target: &Target, cluster: &str, at: Wall) -> Result<HttpRequest, String> {
    let letter = Letter { event, cluster, target };
    let body = (target.format.body)(&letter)?;
    let mut headers = vec![
        ("content-type".to_owned(), target.format.content_type.to_owned()),
        ("user-agent".to_owned(), concat!("vedette/", env!("CARGO_PKG_VERSION")).to_owned()),
    ];
    for (name, value) in &target.headers {
        headers.retain(|(known, _)| known != name);
        headers.push((name.clone(), value.reveal().to_owned()));
    }
    if target.format.standard {
        let id = letter.id();
        let seconds = at.as_millis() / 1000;
        let signature = signature::header(&target.secrets, &id, seconds, &body);
        headers.push(("webhook-id".to_owned(), id));
        headers.push(("webhook-timestamp".to_owned(), seconds.to_string()));
        headers.extend(signature.map(|signature| ("webhook-signature".to_owned(), signature)));
    }
    Ok(HttpRequest { headers, body })
}

#[cfg(test)]
mod tests;
