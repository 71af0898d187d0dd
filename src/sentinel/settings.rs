//! The settings of one group that an operator may change while it runs: one row each. Part of the
//! replicated state, so every sentinel works with the same numbers. A secret is among them only
//! sealed (`vault`).

use crate::config::policy::{self, Policy};
use crate::config::renames::Renames;
use crate::config::sentinel::{MasterConfig, Mode};
use crate::stdx::time::Duration;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    pub quorum: usize,
    pub down_after_ms: u64,
    pub crash_grace_ms: u64,
    pub failover_timeout_ms: u64,
    pub parallel_syncs: usize,
    pub mode: Mode,
    /// Set at run time: a path, or empty for none. Unset: what the file of the one who runs it says.
    #[serde(default)]
    pub notification_script: Option<String>,
    #[serde(default)]
    pub client_reconfig_script: Option<String>,
    /// Set at run time; unset: as the file of each sentinel says.
    #[serde(default)]
    pub auth_user: Option<String>,
    /// Sealed by the vault: never in clear.
    #[serde(default)]
    pub sealed_pass: Option<String>,
    /// What limits and steers failovers.
    #[serde(default)]
    pub policy: Policy,
    /// `min-replicas-to-write` of a stock master follows the sync set.
    #[serde(default = "crate::config::sentinel::defaults::yes")]
    pub manage_min_replicas: bool,
    /// What the servers of this group call commands that were renamed there.
    #[serde(default)]
    pub renames: Renames,
    /// How long a master that rebooted may load its data; 0: no longer than down-after.
    #[serde(default)]
    pub reboot_down_after_ms: u64,
}

impl Settings {
    /// What SENTINEL MONITOR gives a group that no file describes.
    pub fn with_quorum(quorum: usize) -> Self {
        use crate::config::sentinel::defaults;
        Settings {
            quorum,
            down_after_ms: defaults::down_after_ms(),
            crash_grace_ms: defaults::crash_grace_ms(),
            failover_timeout_ms: defaults::failover_timeout_ms(),
            parallel_syncs: defaults::parallel_syncs(),
            mode: Mode::default(),
            notification_script: None,
            client_reconfig_script: None,
            auth_user: None,
            sealed_pass: None,
            policy: Policy::default(),
            manage_min_replicas: defaults::yes(),
            renames: Renames::default(),
            reboot_down_after_ms: 0,
        }
    }

    pub fn from_config(config: &MasterConfig) -> Self {
        Settings {
            quorum: config.quorum,
            down_after_ms: config.down_after_milliseconds,
            crash_grace_ms: config.crash_grace_milliseconds,
            failover_timeout_ms: config.failover_timeout,
            parallel_syncs: config.parallel_syncs,
            mode: config.mode,
            notification_script: None,
            client_reconfig_script: None,
            auth_user: None,
            sealed_pass: None,
            policy: config.policy(),
            manage_min_replicas: config.manage_min_replicas,
            renames: Renames::from_file(&config.rename_commands),
            reboot_down_after_ms: config.master_reboot_down_after_period,
        }
    }

    pub fn down_after(&self) -> Duration {
        Duration::from_millis(self.down_after_ms)
    }

    pub fn crash_grace(&self) -> Duration {
        Duration::from_millis(self.crash_grace_ms)
    }

    pub fn failover_timeout(&self) -> Duration {
        Duration::from_millis(self.failover_timeout_ms)
    }

    pub fn safe(&self) -> bool {
        self.mode == Mode::Safe
    }

    /// Changes one setting by its name.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), SettingError> {
        let row = ROWS
            .iter()
            .find(|row| row.name.eq_ignore_ascii_case(name))
            .ok_or_else(|| SettingError::Unknown(printable(name)))?;
        (row.set)(self, value).ok_or_else(|| SettingError::Value {
            name: row.name,
            value: if row.secret { "(redacted)".to_owned() } else { printable(value) },
            expected: row.expected,
        })
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingError {
    #[error("Unknown option or number of arguments for SENTINEL SET '{0}'")]
    Unknown(String),
    #[error("Invalid argument '{value}' for SENTINEL SET '{name}': expected {expected}")]
    Value { name: &'static str, value: String, expected: &'static str },
}

/// One setting: how it is named, set and shown.
pub struct Row {
    pub name: &'static str,
    pub expected: &'static str,
    set: fn(&mut Settings, &str) -> Option<()>,
    pub get: fn(&Settings) -> String,
    /// Its value is never repeated to anybody.
    pub secret: bool,
}

/// Name and value as events tell them.
pub fn told(name: &str, value: &str) -> String {
    let secret = ROWS.iter().any(|row| row.secret && row.name.eq_ignore_ascii_case(name));
    format!("{name} {}", if secret { "******" } else { value })
}

pub const ROWS: &[Row] = &[
    Row {
        name: "quorum",
        expected: "a number from 1 to 1000",
        set: |s, v| within(v, 1, 1000).map(|v| s.quorum = v as usize),
        get: |s| s.quorum.to_string(),
        secret: false,
    },
    Row {
        name: "down-after-milliseconds",
        expected: "milliseconds from 1 to 3600000",
        set: |s, v| within(v, 1, 3_600_000).map(|v| s.down_after_ms = v),
        get: |s| s.down_after_ms.to_string(),
        secret: false,
    },
    Row {
        name: "crash-grace-milliseconds",
        expected: "milliseconds from 0 (off) to 3600000",
        set: |s, v| within(v, 0, 3_600_000).map(|v| s.crash_grace_ms = v),
        get: |s| s.crash_grace_ms.to_string(),
        secret: false,
    },
    Row {
        name: "failover-timeout",
        expected: "milliseconds from 1 to 86400000",
        set: |s, v| within(v, 1, 86_400_000).map(|v| s.failover_timeout_ms = v),
        get: |s| s.failover_timeout_ms.to_string(),
        secret: false,
    },
    Row {
        name: "parallel-syncs",
        expected: "a number from 1 to 1000",
        set: |s, v| within(v, 1, 1000).map(|v| s.parallel_syncs = v as usize),
        get: |s| s.parallel_syncs.to_string(),
        secret: false,
    },
    Row {
        name: "mode",
        expected: "safe or available",
        set: |s, v| {
            s.mode = match v.to_ascii_lowercase().as_str() {
                "safe" => Mode::Safe,
                "available" => Mode::Available,
                _ => return None,
            };
            Some(())
        },
        get: |s| mode_name(s.mode).to_owned(),
        secret: false,
    },
    Row {
        name: "notification-script",
        expected: PATH,
        set: |s, v| path(v).map(|v| s.notification_script = Some(v)),
        get: |s| s.notification_script.clone().unwrap_or_default(),
        secret: false,
    },
    Row {
        name: "client-reconfig-script",
        expected: PATH,
        set: |s, v| path(v).map(|v| s.client_reconfig_script = Some(v)),
        get: |s| s.client_reconfig_script.clone().unwrap_or_default(),
        secret: false,
    },
    Row {
        name: "failovers-max",
        expected: "automatic failovers per window, 1 to 100, or 0 for no limit",
        set: |s, v| within(v, 0, policy::FAILOVERS_MAX).map(|v| s.policy.failovers_max = v),
        get: |s| s.policy.failovers_max.to_string(),
        secret: false,
    },
    Row {
        name: "failovers-window",
        expected: "milliseconds from 1000 to 604800000",
        set: |s, v| {
            within(v, policy::WINDOW_MS_MIN, policy::WINDOW_MS_MAX).map(|v| s.policy.failovers_window_ms = v)
        },
        get: |s| s.policy.failovers_window_ms.to_string(),
        secret: false,
    },
    Row {
        name: "max-loss-bytes",
        expected: "off or bytes",
        set: |s, v| limit(v).map(|v| s.policy.max_loss_bytes = v),
        get: |s| s.policy.max_loss_bytes.map_or("off".to_owned(), |v| v.to_string()),
        secret: false,
    },
    Row {
        name: "max-loss-seconds",
        expected: "off or seconds",
        set: |s, v| limit(v).map(|v| s.policy.max_loss_seconds = v),
        get: |s| s.policy.max_loss_seconds.map_or("off".to_owned(), |v| v.to_string()),
        secret: false,
    },
    Row {
        name: "sync-quorum",
        expected: "auto or a number from 1 to 128",
        set: |s, v| {
            s.policy.sync_quorum = match v.eq_ignore_ascii_case("auto") {
                true => None,
                false => Some(within(v, 1, policy::SYNC_QUORUM_MAX as u64)? as usize),
            };
            Some(())
        },
        get: |s| s.policy.sync_quorum.map_or("auto".to_owned(), |v| v.to_string()),
        secret: false,
    },
    Row {
        name: "zones",
        expected: "HOST:PORT=ZONE pairs with commas between them, or an empty text",
        set: |s, v| policy::zones_from_text(v).map(|v| s.policy.zones = v),
        get: |s| s.policy.zones_text(),
        secret: false,
    },
    Row {
        name: "prefer-zone",
        expected: "a zone, or an empty text for none",
        set: |s, v| {
            let zone = (!v.is_empty()).then(|| v.to_owned());
            zone.as_deref().is_none_or(policy::is_zone).then(|| s.policy.prefer_zone = zone)
        },
        get: |s| s.policy.prefer_zone.clone().unwrap_or_default(),
        secret: false,
    },
    Row {
        name: "prefer-handover",
        expected: "yes or no",
        set: |s, v| {
            s.policy.prefer_handover = match v.to_ascii_lowercase().as_str() {
                "yes" => true,
                "no" => false,
                _ => return None,
            };
            Some(())
        },
        get: |s| if s.policy.prefer_handover { "yes" } else { "no" }.to_owned(),
        secret: false,
    },
    Row {
        name: "auth-user",
        expected: "a user name, or nothing for the default user",
        set: |s, v| {
            if v.len() > 128 || !v.bytes().all(|b| b.is_ascii_graphic()) {
                return None;
            }
            s.auth_user = (!v.is_empty()).then(|| v.to_owned());
            Some(())
        },
        get: |s| s.auth_user.clone().unwrap_or_default(),
        secret: false,
    },
    Row {
        name: "auth-pass",
        expected: "a password (which is sealed before it comes here), or nothing for the one of auth-pass-file",
        set: |s, v| {
            if !v.is_empty() && !super::vault::is_sealed(v) {
                return None;
            }
            s.sealed_pass = (!v.is_empty()).then(|| v.to_owned());
            Some(())
        },
        get: |s| if s.sealed_pass.is_some() { "(set)".to_owned() } else { String::new() },
        secret: true,
    },
    Row {
        name: "manage-min-replicas",
        expected: "yes or no",
        set: |s, v| {
            s.manage_min_replicas = match v.to_ascii_lowercase().as_str() {
                "yes" => true,
                "no" => false,
                _ => return None,
            };
            Some(())
        },
        get: |s| if s.manage_min_replicas { "yes" } else { "no" }.to_owned(),
        secret: false,
    },
    Row {
        name: "rename-command",
        expected: "a command's name and what it is called on these servers",
        set: |s, v| s.renames.take_text(v),
        get: |s| s.renames.text(),
        // Who renames a command hides it: the new name is nobody else's business.
        secret: true,
    },
    Row {
        name: "master-reboot-down-after-period",
        expected: "milliseconds from 0 (off) to 86400000",
        set: |s, v| within(v, 0, 86_400_000).map(|v| s.reboot_down_after_ms = v),
        get: |s| s.reboot_down_after_ms.to_string(),
        secret: false,
    },
    Row {
        name: "forget-replicas-after",
        expected: "0 (never) or milliseconds from 60000 to 31536000000",
        set: |s, v| {
            let ms = v.parse().ok().filter(|ms| policy::is_forget_after(*ms))?;
            s.policy.forget_replicas_after_ms = ms;
            Some(())
        },
        get: |s| s.policy.forget_replicas_after_ms.to_string(),
        secret: false,
    },
];

fn limit(value: &str) -> Option<Option<u64>> {
    if value.eq_ignore_ascii_case("off") { Some(None) } else { value.parse().ok().map(Some) }
}

pub fn mode_name(mode: Mode) -> &'static str {
    match mode {
        Mode::Safe => "safe",
        Mode::Available => "available",
    }
}

const PATH: &str = "an absolute path of at most 1024 characters, or nothing for no script";

fn path(value: &str) -> Option<String> {
    let fits = value.len() <= 1024 && !value.chars().any(char::is_control);
    (value.is_empty() || (fits && value.starts_with('/'))).then(|| value.to_owned())
}

fn within(value: &str, min: u64, max: u64) -> Option<u64> {
    value.parse().ok().filter(|value| (min..=max).contains(value))
}

fn printable(value: &str) -> String {
    value.chars().filter(|c| !c.is_control()).take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_takes_back_what_it_shows() {
        let mut settings = Settings::with_quorum(2);
        for row in ROWS.iter() {
            let shown = (row.get)(&settings);
            settings.set(row.name, &shown).unwrap();
            assert_eq!((row.get)(&settings), shown, "{}", row.name);
        }
    }

    #[test]
    fn bad_values_name_the_remedy() {
        let mut settings = Settings::with_quorum(2);
        let before = settings.clone();
        for (name, value) in [("quorum", "0"), ("down-after-milliseconds", "-1"), ("mode", "brave")] {
            let error = settings.set(name, value).unwrap_err().to_string();
            assert!(error.contains("expected"), "{error}");
        }
        assert!(settings.set("colour", "red").is_err());
        assert_eq!(settings, before);
    }
}
