//! Programs and addresses that are asked or told around a failover. One hook of a kind for a group; a group's
//! own takes the place of the one for all.

use super::ConfigError;
use crate::stdx::time::Duration;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct HooksConfig {
    /// Asked before a successor is named; may refuse.
    pub pre_failover: Option<HookConfig>,
    /// Told when a failover is complete.
    pub post_failover: Option<HookConfig>,
    /// Told as soon as clients may use the new master.
    pub post_failover_master: Option<HookConfig>,
    /// Told when an attempt was given up.
    pub on_failure: Option<HookConfig>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct HookConfig {
    /// An absolute path; gets the JSON on its standard input.
    #[serde(default)]
    pub program: Option<PathBuf>,
    /// Gets the JSON as a POST.
    #[serde(default)]
    pub url: Option<String>,
    #[serde(default = "deadline_ms")]
    pub deadline_milliseconds: u64,
    /// What a pre-failover hook that fails or is late counts for.
    #[serde(default)]
    pub on_error: OnError,
    /// Whether a pre-failover hook is asked about a failover that an operator forces.
    #[serde(default)]
    pub forced: Forced,
    /// As for webhooks: the URL's host *name* may lead to loopback or a private network.
    #[serde(default, with = "super::yes_no")]
    pub allow_private: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnError {
    #[default]
    Allow,
    Deny,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Forced {
    #[default]
    Ask,
    Skip,
}

/// The kinds, as people and programs are told them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum HookKind {
    PreFailover,
    PostFailover,
    PostFailoverMaster,
    OnFailure,
}

impl HookKind {
    pub const ALL: [HookKind; 4] =
        [HookKind::PreFailover, HookKind::PostFailover, HookKind::PostFailoverMaster, HookKind::OnFailure];

    pub fn name(self) -> &'static str {
        match self {
            HookKind::PreFailover => "pre-failover",
            HookKind::PostFailover => "post-failover",
            HookKind::PostFailoverMaster => "post-failover-master",
            HookKind::OnFailure => "on-failure",
        }
    }
}

impl HooksConfig {
    pub fn get(&self, kind: HookKind) -> Option<&HookConfig> {
        match kind {
            HookKind::PreFailover => self.pre_failover.as_ref(),
            HookKind::PostFailover => self.post_failover.as_ref(),
            HookKind::PostFailoverMaster => self.post_failover_master.as_ref(),
            HookKind::OnFailure => self.on_failure.as_ref(),
        }
    }
}

impl HookConfig {
    pub fn deadline(&self) -> Duration {
        Duration::from_millis(self.deadline_milliseconds)
    }
}

fn deadline_ms() -> u64 {
    1000
}

const DEADLINE_MS_MAX: u64 = 10 * 60 * 1000;
/// A failover waits for the answer: longer than this would be an outage of its own.
const PRE_DEADLINE_MS_MAX: u64 = 30_000;

pub(super) fn validate(key: &str, hooks: &HooksConfig, errors: &mut Vec<ConfigError>) {
    for kind in HookKind::ALL {
        let Some(hook) = hooks.get(kind) else { continue };
        let key = format!("{key}.{}", kind.name());
        let mut refuse =
            |field: &str, text: String| errors.push(ConfigError::key(format!("{key}{field}"), text));
        match (&hook.program, &hook.url) {
            (Some(program), None) if !program.is_absolute() => {
                refuse(".program", format!("{} is no absolute path; begin it with /", program.display()));
            }
            (None, Some(url)) if !super::validate::is_http_url(url) => {
                refuse(".url", "expected http://host[:port]/path or https://host[:port]/path".to_owned());
            }
            (Some(_), Some(_)) => refuse("", "give a program or a url, not both".to_owned()),
            (None, None) => refuse("", "give a program (an absolute path) or a url".to_owned()),
            _ => {}
        }
        let max = if kind == HookKind::PreFailover { PRE_DEADLINE_MS_MAX } else { DEADLINE_MS_MAX };
        if !(1..=max).contains(&hook.deadline_milliseconds) {
            let ms = hook.deadline_milliseconds;
            refuse(
                ".deadline-milliseconds",
                format!("{ms} is out of range; give milliseconds from 1 to {max}"),
            );
        }
    }
}

/// A script as Redis Sentinel runs it.
pub(super) fn validate_script(key: String, path: Option<&PathBuf>, errors: &mut Vec<ConfigError>) {
    if let Some(path) = path.filter(|path| !path.is_absolute()) {
        errors
            .push(ConfigError::key(key, format!("{} is no absolute path; begin it with /", path.display())));
    }
}
