//! One webhook of `sentinel.yaml`: where it leads, what it tells, and in whose words. Secrets are
//! never in here, only the files that hold them.

use super::ConfigError;
use super::sentinel::defaults;
use super::validate::{is_group_name, is_http_url};
use super::yes_no;
use crate::model::event::{CATALOGUE, Event, EventKind, Severity};
use crate::model::problem::Turn;
use crate::stdx::glob;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The webhook formats that `alerts` can dress an event in. The names stand here because
/// configuration lies below `alerts`; a test there holds the two together.
pub const WEBHOOK_FORMATS: &[&str] = &[
    "generic",
    "cloudevents",
    "slack",
    "teams",
    "discord",
    "pagerduty",
    "alertmanager",
    "telegram",
    "template",
];
/// Those that keep a problem open until they hear of its end.
pub const PAIRING_FORMATS: &[&str] = &["pagerduty", "alertmanager"];
/// Headers that the delivery itself writes.
const OWN_HEADERS: &[&str] = &["host", "content-length", "transfer-encoding", "connection"];
const HEADERS_MAX: usize = 32;
const HEADER_BYTES_MAX: usize = 4096;
pub const TEMPLATE_BYTES_MAX: usize = 64 * 1024;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct WebhookConfig {
    pub name: String,
    /// Either this or `url-file`.
    #[serde(default)]
    pub url: String,
    /// Holds the URL, where the URL itself is the password (Slack, Teams, Discord, Telegram).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url_file: Option<PathBuf>,
    /// A row of `alerts::FORMATS`.
    #[serde(default = "defaults::webhook_format")]
    pub format: String,
    /// Event names, `*` and `?` allowed; empty: what `severity` says.
    #[serde(default)]
    pub events: Vec<String>,
    /// The least severity told. Without it: warning, or any when `events` names some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<Severity>,
    /// Groups, `*` and `?` allowed; empty: all, and what concerns the fleet.
    #[serde(default)]
    pub groups: Vec<String>,
    /// One signing secret a line; two while they are being rotated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_file: Option<PathBuf>,
    /// The integration key of PagerDuty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_file: Option<PathBuf>,
    /// The chat of Telegram: a number or @channel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chat: Option<String>,
    /// The body, in Jinja's language, for the format `template`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template_file: Option<PathBuf>,
    /// Further headers of every request.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// The same, each value in a file: `Authorization: /etc/vedette/hook.token`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub header_files: BTreeMap<String, PathBuf>,
    /// Certificates (PEM) of the authority that the receiver's certificate must come from, instead
    /// of the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// The URL's host *name* may lead to loopback or a private network (10/8, 172.16/12, 192.168/16,
    /// 100.64/10, fc00::/7). An IP address or `localhost` in the URL needs no permission.
    #[serde(default, with = "yes_no")]
    pub allow_private: bool,
}

impl WebhookConfig {
    /// Everything but the name and the URL as it is by default.
    pub fn new(name: &str, url: &str) -> Self {
        WebhookConfig {
            name: name.to_owned(),
            url: url.to_owned(),
            url_file: None,
            format: defaults::webhook_format(),
            events: Vec::new(),
            severity: None,
            groups: Vec::new(),
            secret_file: None,
            key_file: None,
            chat: None,
            template: None,
            template_file: None,
            headers: BTreeMap::new(),
            header_files: BTreeMap::new(),
            ca_file: None,
            allow_private: false,
        }
    }

    pub fn filter(&self) -> Filter {
        Filter {
            webhook: self.name.clone(),
            events: self.events.clone(),
            severity: self.severity,
            groups: self.groups.clone(),
            pairs: PAIRING_FORMATS.contains(&self.format.as_str()),
        }
    }
}

/// Which events a webhook is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    webhook: String,
    events: Vec<String>,
    severity: Option<Severity>,
    groups: Vec<String>,
    /// Its receiver keeps problems open: it must hear of the end of each that it heard of.
    pairs: bool,
}

impl Filter {
    pub fn wants(&self, event: &Event) -> bool {
        if event.kind == EventKind::WebhookTest {
            return event.payload == self.webhook;
        }
        let group = event.group.as_bytes();
        let its_group =
            self.groups.is_empty() || self.groups.iter().any(|glob| glob::matches(glob.as_bytes(), group));
        its_group && (self.names(event.kind) || (self.pairs && self.ends(event.kind)))
    }

    /// The kind is asked for by itself.
    fn names(&self, kind: EventKind) -> bool {
        let severe = |least: Severity| kind.row().severity >= self.severity.unwrap_or(least);
        if !self.events.is_empty() {
            let named = |glob: &String| glob::matches(glob.as_bytes(), kind.name().as_bytes());
            return severe(Severity::Verbose) && self.events.iter().any(named);
        }
        if self.pairs && self.severity.is_none() {
            return kind.alarms();
        }
        severe(Severity::Warning)
    }

    /// It ends something that was told.
    fn ends(&self, kind: EventKind) -> bool {
        matches!(kind.turn(), Turn::Ends(begin) if self.names(begin))
            || kind.also_ends().iter().any(|begin| self.names(*begin))
    }
}

/// Complaints about one webhook; `key` is its place in the file.
pub(super) fn check(key: &str, webhook: &WebhookConfig, errors: &mut Vec<ConfigError>) {
    let mut refuse =
        |field: &str, message: String| errors.push(ConfigError::key(format!("{key}.{field}"), message));
    if !is_group_name(&webhook.name) {
        refuse("name", format!("'{}' is no name; use letters, digits, '.', '-' and '_'", webhook.name));
    }
    match (&webhook.url_file, webhook.url.as_str()) {
        (None, url) if !is_http_url(url) => {
            refuse("url", "expected http://host[:port]/path or https://host[:port]/path".to_owned());
        }
        (Some(_), url) if !url.is_empty() => {
            refuse("url-file", "give either url or url-file, not both".to_owned());
        }
        _ => {}
    }
    let format = webhook.format.as_str();
    if !WEBHOOK_FORMATS.contains(&format) {
        refuse("format", format!("'{format}' is no format; one of: {}", WEBHOOK_FORMATS.join(", ")));
    }
    for (index, glob) in webhook.events.iter().enumerate() {
        if !CATALOGUE.iter().any(|row| glob::matches(glob.as_bytes(), row.name.as_bytes())) {
            refuse(
                &format!("events[{index}]"),
                format!(
                    "there is no event '{glob}'; names are as on pub/sub, for example +switch-master or *down"
                ),
            );
        }
    }
    let wanted = [
        ("key-file", webhook.key_file.is_some(), format == "pagerduty", "the integration key, for PagerDuty"),
        ("chat", webhook.chat.is_some(), format == "telegram", "the chat's id or @channel, for Telegram"),
    ];
    for (field, given, needed, what) in wanted {
        if given != needed {
            let verb = if needed { "is needed" } else { "has no meaning" };
            refuse(field, format!("{verb} with format {format}: it is {what}"));
        }
    }
    let templates = usize::from(webhook.template.is_some()) + usize::from(webhook.template_file.is_some());
    if templates != usize::from(format == "template") {
        refuse(
            "template",
            "format template needs either template or template-file, and no other format takes one"
                .to_owned(),
        );
    }
    if webhook.template.as_ref().is_some_and(|text| text.len() > TEMPLATE_BYTES_MAX) {
        refuse("template", format!("longer than {TEMPLATE_BYTES_MAX} bytes"));
    }
    if webhook.headers.len() + webhook.header_files.len() > HEADERS_MAX {
        refuse("headers", format!("more than {HEADERS_MAX}"));
    }
    for name in webhook.headers.keys().chain(webhook.header_files.keys()) {
        if let Err(why) = check_header(name, webhook.headers.get(name).map_or("x", String::as_str)) {
            refuse("headers", format!("'{name}': {why}"));
        }
    }
}

/// What may stand in a request: a token, and a printable value.
pub fn check_header(name: &str, value: &str) -> Result<(), &'static str> {
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if name.is_empty() || name.len() > 128 || !name.bytes().all(token) {
        return Err("is no name of a header");
    }
    let lower = name.to_ascii_lowercase();
    if OWN_HEADERS.contains(&lower.as_str()) || lower.starts_with("webhook-") {
        return Err("is written by the delivery itself");
    }
    if value.is_empty() || value.len() > HEADER_BYTES_MAX || !value.bytes().all(|b| (32..127).contains(&b)) {
        return Err("its value must be 1 to 4096 printable characters");
    }
    Ok(())
}
