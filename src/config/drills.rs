//! `drills:` of sentinel.yaml: failover drills that the fleet runs by itself, on a schedule in UTC.
//!
//! Promise: a drill that passed [`check`] has a schedule that can be computed and a window that can be
//! compared. Has never heard of fleets, nor of the time it is now.

use super::ConfigError;
use crate::model::drill::{SCENARIOS, Scenario};
use chrono::{DateTime, Utc};
use croner::Cron;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct DrillConfig {
    pub name: String,
    pub group: String,
    /// `planned`, `hang` or `kill`.
    pub scenario: String,
    /// Cron, in UTC: minute hour day-of-month month day-of-week, with seconds before them if six are given.
    pub schedule: String,
    /// `HH:MM-HH:MM` in UTC; no drill of this group begins outside. Absent: always.
    #[serde(default)]
    pub window: Option<String>,
    /// Least time since the group's last failover and the last drill's end.
    #[serde(default = "cool_down_seconds")]
    pub cool_down_seconds: u64,
    /// Longest time without an acknowledged write; absent: measured, not judged.
    #[serde(default)]
    pub slo_gap_ms: Option<u64>,
    /// The master of before gets its place back by a planned switchover.
    #[serde(default = "super::sentinel::defaults::yes", with = "super::yes_no")]
    pub return_master: bool,
}

pub fn cool_down_seconds() -> u64 {
    3600
}

/// A schedule that ran for years would still be short of this.
const COOL_DOWN_S_MAX: u64 = 366 * 86_400;
pub const SLO_GAP_MS_MAX: u64 = 600_000;
const DRILLS_MAX: usize = 64;
const MINUTES_A_DAY: u32 = 24 * 60;

impl DrillConfig {
    pub fn scenario(&self) -> Option<Scenario> {
        Scenario::parse(&self.scenario).filter(|scenario| scenario.row().live)
    }

    /// When it is due next, after a moment in milliseconds since the Unix epoch.
    pub fn next_after(&self, after_ms: u64) -> Option<u64> {
        let cron: Cron = self.schedule.parse().ok()?;
        let after = DateTime::<Utc>::from_timestamp_millis(i64::try_from(after_ms).ok()?)?;
        let next = cron.find_next_occurrence(&after, false).ok()?;
        u64::try_from(next.timestamp_millis()).ok()
    }

    /// Whether a drill may begin at this moment.
    pub fn window_allows(&self, at_ms: u64) -> bool {
        self.window.as_deref().is_none_or(|text| Window::parse(text).is_some_and(|w| w.contains(at_ms)))
    }
}

/// A part of the day in UTC; one that ends before it begins passes midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Window {
    from: u32,
    to: u32,
}

impl Window {
    fn parse(text: &str) -> Option<Self> {
        let (from, to) = text.split_once('-')?;
        let minutes = |text: &str| {
            let (hour, minute) = text.trim().split_once(':')?;
            let (hour, minute): (u32, u32) = (hour.parse().ok()?, minute.parse().ok()?);
            (hour < 24 && minute < 60 || (hour, minute) == (24, 0)).then_some(hour * 60 + minute)
        };
        let (from, to) = (minutes(from)?, minutes(to)?);
        (from != to && from < MINUTES_A_DAY).then_some(Window { from, to })
    }

    fn contains(self, at_ms: u64) -> bool {
        let minute = (at_ms / 60_000 % u64::from(MINUTES_A_DAY)) as u32;
        if self.from < self.to {
            (self.from..self.to).contains(&minute)
        } else {
            minute >= self.from || minute < self.to
        }
    }
}

/// Everything wrong with the list; `groups` are the names under `masters`.
pub(super) fn check(drills: &[DrillConfig], groups: &[&str], errors: &mut Vec<ConfigError>) {
    if drills.len() > DRILLS_MAX {
        errors.push(ConfigError::key("drills", format!("more than {DRILLS_MAX} drills; give fewer")));
    }
    for (index, drill) in drills.iter().enumerate() {
        let mut refuse = |field: &str, message: String| {
            errors.push(ConfigError::key(format!("drills[{index}].{field}"), message));
        };
        if !super::validate::is_group_name(&drill.name) {
            refuse("name", format!("'{}' is no name; use letters, digits, '.', '-' and '_'", drill.name));
        }
        if drills[..index].iter().any(|other| other.name == drill.name) {
            refuse("name", format!("two drills are named '{}'; rename one", drill.name));
        }
        // A group may also be added at run time, by SENTINEL MONITOR.
        if !super::validate::is_group_name(&drill.group) {
            refuse("group", format!("'{}' is no group; one of: {}", drill.group, groups.join(", ")));
        }
        if drill.scenario().is_none() {
            let known: Vec<&str> = SCENARIOS.iter().filter(|row| row.live).map(|row| row.name).collect();
            refuse(
                "scenario",
                format!(
                    "'{}' cannot be done to a fleet that serves; one of: {}",
                    drill.scenario,
                    known.join(", ")
                ),
            );
        }
        match drill.schedule.parse::<Cron>() {
            Err(error) => refuse(
                "schedule",
                format!(
                    "'{}' is no cron schedule ({error}); as \"0 3 * * 2\" for Tuesdays at 03:00 UTC",
                    drill.schedule
                ),
            ),
            // A fixed moment: whether a schedule ever comes due does not depend on the day it is read.
            Ok(_) if drill.next_after(1_767_225_600_000).is_none() => {
                refuse("schedule", format!("'{}' never comes due; correct its day or month", drill.schedule));
            }
            Ok(_) => {}
        }
        if drill.window.as_deref().is_some_and(|text| Window::parse(text).is_none()) {
            refuse("window", "expected HH:MM-HH:MM in UTC, as \"02:00-05:00\"".to_owned());
        }
        if drill.cool_down_seconds > COOL_DOWN_S_MAX {
            refuse("cool-down-seconds", format!("more than {COOL_DOWN_S_MAX}; give seconds up to a year"));
        }
        if drill.slo_gap_ms.is_some_and(|ms| !(1..=SLO_GAP_MS_MAX).contains(&ms)) {
            refuse("slo-gap-ms", format!("give milliseconds from 1 to {SLO_GAP_MS_MAX}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drill() -> DrillConfig {
        serde_yaml::from_str(
            "name: weekly\ngroup: mymaster\nscenario: kill\nschedule: \"0 3 * * 2\"\nwindow: \"02:00-05:00\"",
        )
        .unwrap()
    }

    #[test]
    fn a_schedule_is_read_in_utc() {
        // 2026-11-22 is a Sunday; the next Tuesday is the 24th.
        let sunday = 1_795_305_600_000;
        assert!(drill().return_master);
        assert_eq!(drill().next_after(sunday), Some(sunday + (2 * 24 + 3) * 3_600_000));
        let seconds = DrillConfig { schedule: "*/10 * * * * *".into(), ..drill() };
        assert_eq!(seconds.next_after(sunday + 1), Some(sunday + 10_000));
    }

    #[test]
    fn windows_may_pass_midnight() {
        let hour = 3_600_000;
        let night = DrillConfig { window: Some("22:30-04:00".into()), ..drill() };
        assert!(night.window_allows(23 * hour) && night.window_allows(3 * hour));
        assert!(!night.window_allows(22 * hour) && !night.window_allows(4 * hour));
        assert!(drill().window_allows(2 * hour) && !drill().window_allows(5 * hour));
        assert!(DrillConfig { window: None, ..drill() }.window_allows(7));
    }

    #[test]
    fn every_mistake_is_named_with_its_key() {
        let mut errors = Vec::new();
        check(&[drill()], &["mymaster"], &mut errors);
        assert_eq!(errors, []);
        let bad = DrillConfig {
            name: "two words".into(),
            group: String::new(),
            scenario: "isolate".into(),
            schedule: "0 0 31 2 *".into(),
            window: Some("5-6".into()),
            cool_down_seconds: u64::MAX,
            slo_gap_ms: Some(0),
            return_master: false,
        };
        check(&[bad], &["mymaster"], &mut errors);
        let keys: Vec<&str> = errors.iter().map(|error| error.key.as_str()).collect();
        for field in ["name", "group", "scenario", "schedule", "window", "cool-down-seconds", "slo-gap-ms"] {
            assert!(keys.contains(&format!("drills[0].{field}").as_str()), "{field}: {keys:?}");
        }
    }
}
