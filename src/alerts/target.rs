//! Where alerts go: an endpoint, a format, a filter, and the secrets that sign. None of its parts
//! can be printed with what must stay private: URLs show scheme and host only (the path of many a
//! webhook *is* its password), secrets show nothing.

use crate::alerts::reach::Host;
use crate::alerts::template::Template;
use crate::alerts::{FORMATS, Format, request};
use crate::config::webhook::{Filter, WebhookConfig, check_header};
use crate::model::Address;
use crate::model::event::{Event, EventKind};
use crate::stdx::time::Wall;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::collections::BTreeMap;
use std::fmt;

pub struct Target {
    pub name: String,
    pub endpoint: Endpoint,
    pub format: &'static Format,
    pub filter: Filter,
    pub secrets: Vec<Secret>,
    /// PagerDuty's integration key.
    pub key: Option<Token>,
    /// Telegram's chat.
    pub chat: Option<String>,
    pub template: Option<Template>,
    /// Names in lower case.
    pub headers: Vec<(String, Token)>,
    /// See [`reach`](crate::alerts::reach).
    pub allow_private: bool,
}

/// What the files say that a webhook's configuration names; absent where it names none.
#[derive(Default)]
pub struct Files {
    pub url: Option<String>,
    pub secret: Option<String>,
    pub key: Option<String>,
    pub template: Option<String>,
    pub headers: BTreeMap<String, String>,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadTarget {
    #[error("webhook '{0}': url: {1}")]
    Url(String, &'static str),
    #[error("webhook '{0}': format '{1}' is not known; known are: {2}")]
    Format(String, String, String),
    #[error(
        "webhook '{0}': secret-file, line {1}: {2}; write one secret a line, as text or as whsec_<base64>"
    )]
    Secret(String, usize, &'static str),
    #[error("webhook '{0}': key-file: expected PagerDuty's integration key, 32 letters and digits")]
    Key(String),
    #[error("webhook '{0}': header '{1}': {2}")]
    Header(String, String, &'static str),
    #[error("webhook '{0}': template: {1}")]
    Template(String, String),
}

impl Target {
    /// What signs the requests of this webhook, from the content of its secret file.
    pub fn read_secrets(name: &str, text: &str) -> Result<Vec<Secret>, BadTarget> {
        Secret::parse_file(text).map_err(|(line, why)| BadTarget::Secret(name.to_owned(), line, why))
    }

    pub fn new(config: &WebhookConfig, files: &Files) -> Result<Target, BadTarget> {
        let name = config.name.clone();
        let url = files.url.as_deref().map_or(config.url.as_str(), str::trim);
        let endpoint = Endpoint::parse(url).map_err(|why| BadTarget::Url(name.clone(), why))?;
        let format = FORMATS.iter().find(|format| format.name == config.format).ok_or_else(|| {
            let known: Vec<&str> = FORMATS.iter().map(|format| format.name).collect();
            BadTarget::Format(name.clone(), config.format.clone(), known.join(", "))
        })?;
        let secrets = match &files.secret {
            Some(text) => Self::read_secrets(&name, text)?,
            None => Vec::new(),
        };
        let key = match &files.key {
            Some(text)
                if text.trim().len() == 32 && text.trim().bytes().all(|b| b.is_ascii_alphanumeric()) =>
            {
                Some(Token(text.trim().to_owned()))
            }
            Some(_) => return Err(BadTarget::Key(name)),
            None => None,
        };
        let mut headers = Vec::new();
        for (header, value) in config.headers.iter().chain(&files.headers) {
            let value = value.trim_end_matches(['\r', '\n']);
            check_header(header, value)
                .map_err(|why| BadTarget::Header(name.clone(), header.clone(), why))?;
            headers.push((header.to_ascii_lowercase(), Token(value.to_owned())));
        }
        let template = config.template.as_ref().or(files.template.as_ref());
        let template = template.map(|text| Template::parse(text)).transpose();
        let template = template.map_err(|why| BadTarget::Template(name.clone(), why))?;
        let target = Target {
            name,
            endpoint,
            format,
            filter: config.filter(),
            secrets,
            key,
            chat: config.chat.clone(),
            template,
            headers,
            allow_private: config.allow_private,
        };
        target.rehearse()?;
        Ok(target)
    }

    /// A template is tried once before it is needed.
    fn rehearse(&self) -> Result<(), BadTarget> {
        let event = Event {
            id: 1,
            at_ms: 1_700_000_000_000,
            kind: EventKind::SwitchMaster,
            group: "example".to_owned(),
            epoch: 1,
            instance: Some(Address::new("192.0.2.2", 6379)),
            payload: "example 192.0.2.1 6379 192.0.2.2 6379".to_owned(),
            details: Vec::new(),
        };
        let tried = request(&event, self, "example", Wall(event.at_ms));
        tried.map(drop).map_err(|why| BadTarget::Template(self.name.clone(), why))
    }

    pub fn wants(&self, event: &Event) -> bool {
        self.filter.wants(event)
    }
}

/// A password-like word. Has neither `Debug` nor `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// For the request only.
    pub fn reveal(&self) -> &str {
        &self.0
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
