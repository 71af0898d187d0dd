//! Where alerts go: an endpoint, a format, a filter, and the secrets that sign. None of its parts
//! can be printed with what must stay private: URLs show scheme and host only (the path of many a
//! webhook *is* its password), secrets show nothing.

use crate::alerts::reach::Host;
use crate::alerts::{FORMATS, Format};
use crate::config::sentinel::WebhookConfig;
use crate::model::event::{EventKind, Severity};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fmt;

pub struct Target {
    pub name: String,
    pub endpoint: Endpoint,
    pub format: &'static Format,
    /// Empty: everything of severity warning.
    pub events: Vec<EventKind>,
    pub secrets: Vec<Secret>,
    /// See [`reach`](crate::alerts::reach).
    pub allow_private: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadTarget {
    #[error("webhook '{0}': url: {1}")]
    Url(String, &'static str),
    #[error("webhook '{0}': format '{1}' is not known; known are: {2}")]
    Format(String, String, String),
    #[error("webhook '{0}': event '{1}' is not known; events are named as their channels, as +switch-master")]
    Event(String, String),
    #[error(
        "webhook '{0}': secret-file, line {1}: {2}; write one secret a line, as text or as whsec_<base64>"
    )]
    Secret(String, usize, &'static str),
}

impl Target {
    /// `secrets` is the content of the secret file.
    pub fn new(config: &WebhookConfig, secrets: Option<&str>) -> Result<Target, BadTarget> {
        let name = config.name.clone();
        let endpoint = Endpoint::parse(&config.url).map_err(|why| BadTarget::Url(name.clone(), why))?;
        let format = FORMATS.iter().find(|format| format.name == config.format).ok_or_else(|| {
            let known: Vec<&str> = FORMATS.iter().map(|format| format.name).collect();
            BadTarget::Format(name.clone(), config.format.clone(), known.join(", "))
        })?;
        let events = config.events.iter().map(|event| {
            EventKind::parse(event).ok_or_else(|| BadTarget::Event(name.clone(), event.clone()))
        });
        let events = events.collect::<Result<Vec<_>, _>>()?;
        let secrets = match secrets {
            Some(text) => {
                Secret::parse_file(text).map_err(|(line, why)| BadTarget::Secret(name.clone(), line, why))?
            }
            None => Vec::new(),
        };
        Ok(Target { name, endpoint, format, events, secrets, allow_private: config.allow_private })
    }

    pub fn wants(&self, kind: EventKind) -> bool {
        if self.events.is_empty() {
            kind.row().severity == Severity::Warning
        } else {
            self.events.contains(&kind)
        }
    }
}

/// A signing key. Has neither `Debug` nor `Display`.
#[derive(Clone)]
pub struct Secret(Vec<u8>);

impl Secret {
    pub fn new(bytes: Vec<u8>) -> Secret {
        Secret(bytes)
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// One secret a line; empty lines are nothing. At least one, at most two (old and new).
    fn parse_file(text: &str) -> Result<Vec<Secret>, (usize, &'static str)> {
        let mut secrets = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() {
                continue;
            }
            if secrets.len() == 2 {
                return Err((index + 1, "more than two secrets"));
            }
            let bytes = match line.strip_prefix("whsec_") {
                Some(encoded) => {
                    STANDARD.decode(encoded).map_err(|_| (index + 1, "what follows whsec_ is not base64"))?
                }
                None => line.as_bytes().to_vec(),
            };
            if bytes.len() < 8 {
                return Err((index + 1, "shorter than 8 bytes"));
            }
            secrets.push(Secret(bytes));
        }
        if secrets.is_empty() { Err((1, "empty")) } else { Ok(secrets) }
    }
}

/// An http or https URL. Printed without userinfo, path and query.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint {
    url: String,
    /// Scheme, host and port, as written.
    shown: String,
    host: Host,
}

impl Endpoint {
    pub fn parse(url: &str) -> Result<Endpoint, &'static str> {
        if url.len() > 2048 || !url.bytes().all(|b| b.is_ascii_graphic() && b != b'\\') {
            return Err("expected at most 2048 printable characters without spaces and backslashes");
        }
        let lower = url.to_ascii_lowercase();
        let scheme = ["https://", "http://"].into_iter().find(|scheme| lower.starts_with(scheme));
        let scheme = scheme.ok_or("expected https://HOST/... or http://HOST/...")?;
        let rest = &url[scheme.len()..];
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let authority = authority.rsplit('@').next().unwrap_or_default();
        let (host, port) = match authority.strip_prefix('[') {
            Some(inner) => {
                inner.split_once(']').ok_or("the bracket around the IPv6 address is not closed")?
            }
            None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
        };
        let port_fits = match port.strip_prefix(':') {
            Some(digits) => digits.parse::<u16>().is_ok_and(|port| port != 0),
            None => port.is_empty(),
        };
        if !port_fits {
            return Err("the port is not a number from 1 to 65535");
        }
        let host = Host::parse(host, authority.starts_with('['))?;
        Ok(Endpoint { url: url.to_owned(), shown: format!("{scheme}{authority}"), host })
    }

    /// The whole URL, with all that is secret in it: for the connection only.
    pub fn reveal(&self) -> &str {
        &self.url
    }

    pub fn host(&self) -> &Host {
        &self.host
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}
