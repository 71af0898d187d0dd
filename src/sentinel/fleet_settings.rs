//! Settings of the fleet as a whole that an operator may change while it runs: SENTINEL CONFIG SET and
//! SENTINEL DEBUG. Part of the replicated state, so every sentinel keeps the same pace. What belongs to one
//! node (its address, its secrets) stays in that node's file.

use crate::config::sentinel::defaults;
use crate::stdx::time::Duration;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FleetSettings {
    /// Whether MONITOR takes host names.
    pub resolve_hostnames: bool,
    pub info_period_ms: u64,
    pub ping_period_ms: u64,
    pub publish_period_ms: u64,
    pub default_down_after_ms: u64,
    pub default_failover_timeout_ms: u64,
    pub script_max_runtime_ms: u64,
    pub script_retry_delay_ms: u64,
    /// `None` until a leader has brought the value of its file.
    pub blast_radius_percent: Option<u64>,
}

impl Default for FleetSettings {
    fn default() -> Self {
        FleetSettings {
            resolve_hostnames: true,
            info_period_ms: 2000,
            ping_period_ms: 1000,
            // For other people's tools only, so seldom: every message of every sentinel wakes a server.
            publish_period_ms: 10_000,
            default_down_after_ms: defaults::down_after_ms(),
            default_failover_timeout_ms: defaults::failover_timeout_ms(),
            script_max_runtime_ms: 60_000,
            script_retry_delay_ms: 30_000,
            blast_radius_percent: None,
        }
    }
}

/// A timer that SENTINEL DEBUG shows and changes.
pub struct Timer {
    /// As SENTINEL DEBUG writes it; matched in any case.
    pub name: &'static str,
    pub get: fn(&FleetSettings) -> u64,
    set: fn(&mut FleetSettings, u64),
}

const TIMER_MS_MAX: u64 = 24 * 3600 * 1000;

pub const TIMERS: &[Timer] = &[
    Timer { name: "INFO-PERIOD", get: |f| f.info_period_ms, set: |f, ms| f.info_period_ms = ms },
    Timer { name: "PING-PERIOD", get: |f| f.ping_period_ms, set: |f, ms| f.ping_period_ms = ms },
    Timer { name: "PUBLISH-PERIOD", get: |f| f.publish_period_ms, set: |f, ms| f.publish_period_ms = ms },
    Timer {
        name: "DEFAULT-DOWN-AFTER",
        get: |f| f.default_down_after_ms,
        set: |f, ms| f.default_down_after_ms = ms,
    },
    Timer {
        name: "DEFAULT-FAILOVER-TIMEOUT",
        get: |f| f.default_failover_timeout_ms,
        set: |f, ms| f.default_failover_timeout_ms = ms,
    },
    Timer {
        name: "SCRIPT-MAX-RUNTIME",
        get: |f| f.script_max_runtime_ms,
        set: |f, ms| f.script_max_runtime_ms = ms,
    },
    Timer {
        name: "SCRIPT-RETRY-DELAY",
        get: |f| f.script_retry_delay_ms,
        set: |f, ms| f.script_retry_delay_ms = ms,
    },
];

pub fn timer(name: &str) -> Option<&'static Timer> {
    TIMERS.iter().find(|timer| timer.name.eq_ignore_ascii_case(name))
}

impl FleetSettings {
    /// Changes one of them by its name; `None` when the name or the value is none.
    pub fn set(&mut self, name: &str, value: &str) -> Option<()> {
        if name.eq_ignore_ascii_case("resolve-hostnames") {
            self.resolve_hostnames = yes_no(value)?;
            return Some(());
        }
        if name.eq_ignore_ascii_case(BLAST_RADIUS) {
            self.blast_radius_percent = Some(percent(value)?);
            return Some(());
        }
        let timer = timer(name)?;
        let ms = value.parse().ok().filter(|ms| (1..=TIMER_MS_MAX).contains(ms))?;
        (timer.set)(self, ms);
        Some(())
    }

    pub fn info_period(&self) -> Duration {
        Duration::from_millis(self.info_period_ms)
    }

    pub fn ping_period(&self) -> Duration {
        Duration::from_millis(self.ping_period_ms)
    }

    pub fn publish_period(&self) -> Duration {
        Duration::from_millis(self.publish_period_ms)
    }
}

/// How SENTINEL CONFIG SET and the file name it.
pub const BLAST_RADIUS: &str = "blast-radius-percent";

/// A part of all.
pub fn percent(word: &str) -> Option<u64> {
    word.parse().ok().filter(|percent| *percent <= 100)
}

/// As Redis' directives say it.
pub fn yes_no(word: &str) -> Option<bool> {
    match word.to_ascii_lowercase().as_str() {
        "yes" => Some(true),
        "no" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_timer_takes_what_it_shows_and_nothing_else() {
        let mut fleet = FleetSettings::default();
        for timer in TIMERS {
            assert_eq!(fleet.set(&timer.name.to_lowercase(), "77"), Some(()), "{}", timer.name);
            assert_eq!((timer.get)(&fleet), 77, "{}", timer.name);
            for bad in ["0", "-1", "x", "", "99999999999"] {
                assert_eq!(fleet.set(timer.name, bad), None, "{} {bad}", timer.name);
            }
        }
        assert_eq!(fleet.set("resolve-hostnames", "maybe"), None);
        assert_eq!(fleet.set("nothing", "1"), None);
        assert_eq!(fleet.set(BLAST_RADIUS, "101"), None);
        assert_eq!(fleet.set(BLAST_RADIUS, "100"), Some(()));
        // A log of before has none of them.
        assert_eq!(serde_json::from_str::<FleetSettings>("{}").unwrap(), FleetSettings::default());
    }
}
