//! A wall clock reading as people and RFC 3339 write it. UTC only; knows no time zone.

use crate::stdx::time::Wall;

const DAY_MS: u64 = 86_400_000;

/// `2026-11-21T23:05:09.123Z`.
pub fn rfc3339(wall: Wall) -> String {
    let (year, month, day) = civil(wall.0 / DAY_MS);
    let (hour, minute, second, ms) = clock(wall.0 % DAY_MS);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
}

/// `23:05:09.123`, for lists in which the day is said elsewhere.
pub fn time_of_day(wall: Wall) -> String {
    let (hour, minute, second, ms) = clock(wall.0 % DAY_MS);
    format!("{hour:02}:{minute:02}:{second:02}.{ms:03}")
}

/// `2026-11-21`.
pub fn date(wall: Wall) -> String {
    let (year, month, day) = civil(wall.0 / DAY_MS);
    format!("{year:04}-{month:02}-{day:02}")
}

fn clock(ms: u64) -> (u64, u64, u64, u64) {
    (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60, ms % 1000)
}

/// Days since 1970-01-01 to year, month, day. Counted in years that begin on 1 March, so that the
/// leap day is the last of its year.
fn civil(days: u64) -> (u64, u64, u64) {
    let since_march_0000 = days + 719_468;
    let era = since_march_0000 / 146_097;
    let day_of_era = since_march_0000 % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_as_the_calendar_says() {
        // Reference values of `date -u -d @SECONDS --iso-8601=seconds`.
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400, "2000-02-29T00:00:00.000Z"),
            (1_700_000_000, "2023-11-14T22:13:20.000Z"),
            (1_709_251_199, "2024-02-29T23:59:59.000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(rfc3339(Wall(seconds * 1000)), text);
        }
        assert_eq!(time_of_day(Wall(1_700_000_000_042)), "22:13:20.042");
        assert_eq!(date(Wall(1_700_000_000_042)), "2023-11-14");
    }

    #[test]
    fn the_end_of_time_is_no_panic() {
        assert!(rfc3339(Wall(u64::MAX)).ends_with('Z'));
    }
}
