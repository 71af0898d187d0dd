//! When a schedule is due. A moment is decided on once, by whoever leads then; one that nobody led
//! through is let go, for a drill at an unplanned hour is no drill but an outage.

use super::Drills;
use crate::config::drills::DrillConfig;

/// How late a due drill may still begin.
const LATE_MS_MAX: u64 = 60_000;

/// The moment of this schedule that is due now and was not decided on, if there is one.
pub fn due(drill: &DrillConfig, drills: &Drills, now_ms: u64) -> Option<u64> {
    let decided = drills.considered.get(&drill.name).map_or(0, |known| known.due_ms);
    let from = decided.max(now_ms.saturating_sub(LATE_MS_MAX));
    let mut due = drill.next_after(from).filter(|due| *due <= now_ms)?;
    // Of several that have come due meanwhile, the newest stands for all.
    while let Some(next) = drill.next_after(due).filter(|next| *next <= now_ms && *next > due) {
        due = next;
    }
    Some(due)
}

/// When it comes due next.
pub fn next_after(drill: &DrillConfig, now_ms: u64) -> Option<u64> {
    drill.next_after(now_ms)
}

#[cfg(test)]
mod tests {
    use super::super::Considered;
    use super::*;

    fn drill(schedule: &str) -> DrillConfig {
        serde_yaml::from_str(&format!("name: d\ngroup: m\nscenario: planned\nschedule: \"{schedule}\""))
            .unwrap()
    }

    const MIDNIGHT: u64 = 1_795_305_600_000;

    #[test]
    fn a_moment_is_decided_once_and_a_missed_one_is_let_go() {
        let hourly = drill("0 * * * *");
        let mut drills = Drills::default();
        assert_eq!(due(&hourly, &drills, MIDNIGHT - 1), None);
        assert_eq!(due(&hourly, &drills, MIDNIGHT + 5), Some(MIDNIGHT));
        drills.considered.insert("d".into(), Considered { due_ms: MIDNIGHT, skipped: String::new() });
        assert_eq!(due(&hourly, &drills, MIDNIGHT + 5), None);
        assert_eq!(due(&hourly, &drills, MIDNIGHT + 3_600_000), Some(MIDNIGHT + 3_600_000));
        // Nobody led for ten minutes.
        assert_eq!(due(&hourly, &drills, MIDNIGHT + 3_600_000 + 600_000), None);
    }

    #[test]
    fn of_many_that_came_due_one_is_run() {
        let often = drill("*/10 * * * * *");
        assert_eq!(due(&often, &Drills::default(), MIDNIGHT + 31_000), Some(MIDNIGHT + 30_000));
    }
}
