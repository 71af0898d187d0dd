//! What an answer means for the next try.

use crate::stdx::time::{Duration, Wall};

/// A receiver that asks for more patience than this is asked again all the same.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);

/// Why a request was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Taken,
    /// It may be taken later.
    Later,
    /// It is this message that is not wanted: trying for a day would only hold up those behind it.
    Unfit,
    /// Nothing is wanted any more.
    Gone,
}

pub fn verdict(code: u16) -> Verdict {
    match code {
        200..=299 => Verdict::Taken,
        410 => Verdict::Gone,
        400 | 413 | 415 | 422 => Verdict::Unfit,
        // Refused, redirected, not found, overloaded: all of it is repaired by people in time.
        _ => Verdict::Later,
    }
}

/// `Retry-After`: seconds (some vendors write fractions) or a date.
pub fn retry_after(text: &str, now: Wall) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<f64>() {
        let fits = seconds.is_finite() && seconds >= 0.0;
        return fits.then(|| Duration::from_secs_f64(seconds.min(RETRY_AFTER_MAX.as_secs_f64())));
    }
    let date = chrono::DateTime::parse_from_rfc2822(text).ok()?;
    let at = u64::try_from(date.timestamp_millis()).ok()?;
    Some(Duration::from_millis(at.saturating_sub(now.as_millis())).min(RETRY_AFTER_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_is_read_in_every_form_and_bounded() {
        let now = Wall(1_700_000_000_000);
        for (text, ms) in [
            ("3", Some(3_000_u128)),
            (" 0.25 ", Some(250)),
            ("86400", Some(3_600_000)),
            ("Tue, 14 Nov 2023 22:13:30 GMT", Some(10_000)),
            ("Tue, 14 Nov 2023 22:13:10 GMT", Some(0)),
            ("-1", None),
            ("inf", None),
            ("soon", None),
            ("", None),
        ] {
            assert_eq!(retry_after(text, now).map(|wait| wait.as_millis()), ms, "{text}");
        }
    }
}
