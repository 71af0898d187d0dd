//! What an operator may say after `SENTINEL FAILOVER name`: when, to whom, and how. Read here once,
//! for clients and for what one sentinel passes on to the leader. Has never heard of the state it
//! would change.

use crate::model::Address;
use chrono::DateTime;

/// The shortest and the longest time that writes may be held back.
const TIMEOUT_MS: std::ops::RangeInclusive<u64> = 10..=60_000;

/// How a failover that an operator asks for is to be done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Switchover {
    pub to: Option<Address>,
    /// Promote although a write that was acknowledged may be lost.
    pub force: bool,
    /// Only with a master that can take part in it.
    pub coordinated: bool,
    /// How long writes may wait; 0: the default.
    pub timeout_ms: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    Now(Switchover),
    At {
        at_ms: u64,
        how: Switchover,
    },
    /// The scheduled one is not to be.
    Cancel,
    /// Which one is scheduled?
    Scheduled,
}

impl Wish {
    /// Reads the words after the name; an error is a whole reply.
    pub fn parse(words: &[&[u8]]) -> Result<Self, String> {
        match words {
            [word] if word.eq_ignore_ascii_case(b"CANCEL") => return Ok(Wish::Cancel),
            [word] if word.eq_ignore_ascii_case(b"SCHEDULED") => return Ok(Wish::Scheduled),
            _ => {}
        }
        let (mut how, mut at) = (Switchover::default(), None);
        let mut rest = words;
        while let Some((&option, after)) = rest.split_first() {
            rest = after;
            let mut value = |missing: &str| -> Result<&str, String> {
                let (first, after) = rest.split_first().ok_or_else(|| format!("ERR {missing}"))?;
                rest = after;
                std::str::from_utf8(first).map_err(|_| format!("ERR {missing}"))
            };
            if option.eq_ignore_ascii_case(b"TO") {
                let host = value("TO needs a host and a port")?;
                let address = match host.parse::<Address>() {
                    Ok(address) => Ok(address),
                    Err(_) => {
                        let port = value("TO needs a host and a port")?;
                        Address::new(host, port.parse().unwrap_or(0)).to_string().parse()
                    }
                };
                how.to = Some(address.map_err(|_| "ERR Invalid host or port after TO".to_owned())?);
            } else if option.eq_ignore_ascii_case(b"TIMEOUT") {
                let ms = value("TIMEOUT needs milliseconds")?.parse().ok();
                how.timeout_ms = ms.filter(|ms| TIMEOUT_MS.contains(ms)).ok_or_else(|| {
                    format!(
                        "ERR TIMEOUT is how long writes may wait: milliseconds from {} to {}",
                        TIMEOUT_MS.start(),
                        TIMEOUT_MS.end()
                    )
                })?;
            } else if option.eq_ignore_ascii_case(b"AT") {
                at = Some(moment(value("AT needs a time")?)?);
            } else if option.eq_ignore_ascii_case(b"FORCE") {
                how.force = true;
            } else if option.eq_ignore_ascii_case(b"COORDINATED") {
                how.coordinated = true;
            } else {
                return Err("ERR Unknown failover option specified".to_owned());
            }
        }
        if how.force && (how.coordinated || at.is_some()) {
            return Err(
                "ERR FORCE takes a loss for granted: it goes with neither COORDINATED nor AT".to_owned()
            );
        }
        Ok(match at {
            Some(at_ms) => Wish::At { at_ms, how },
            None => Wish::Now(how),
        })
    }

    /// What [`Wish::parse`] reads.
    pub fn words(&self) -> Vec<String> {
        let mut words = Vec::new();
        let (how, at) = match self {
            Wish::Cancel => return vec!["CANCEL".into()],
            Wish::Scheduled => return vec!["SCHEDULED".into()],
            Wish::Now(how) => (how, None),
            Wish::At { at_ms, how } => (how, Some(at_ms)),
        };
        if let Some(to) = &how.to {
            words.extend(["TO".into(), to.to_string()]);
        }
        if how.timeout_ms != 0 {
            words.extend(["TIMEOUT".into(), how.timeout_ms.to_string()]);
        }
        if let Some(at_ms) = at {
            words.extend(["AT".into(), format!("{}.{:03}", at_ms / 1000, at_ms % 1000)]);
        }
        if how.force {
            words.push("FORCE".into());
        }
        if how.coordinated {
            words.push("COORDINATED".into());
        }
        words
    }
}

/// Unix seconds (a fraction of three digits is kept) or RFC 3339, as milliseconds since 1970.
fn moment(text: &str) -> Result<u64, String> {
    let seconds = |text: &str| -> Option<u64> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole) || !digits(fraction) || fraction.len() > 3 {
            return None;
        }
        let ms: u64 = format!("{fraction:0<3}").parse().ok()?;
        whole.parse::<u64>().ok()?.checked_mul(1000)?.checked_add(ms)
    };
    // Later than the year 9999 is a mistake: most likely milliseconds.
    let read = seconds(text)
        .filter(|ms| *ms < 253_402_300_800_000)
        .or_else(|| u64::try_from(DateTime::parse_from_rfc3339(text).ok()?.timestamp_millis()).ok());
    read.ok_or_else(|| {
        "ERR AT is a time in Unix seconds, or as 2026-11-22T03:00:00Z (with Z or an offset)".to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Wish, String> {
        let words: Vec<&[u8]> = text.split_whitespace().map(str::as_bytes).collect();
        Wish::parse(&words)
    }

    #[test]
    fn what_is_written_reads_back() {
        for text in [
            "",
            "TO 10.0.0.1 6379",
            "to 10.0.0.1:6379 Timeout 500 coordinated",
            "TO [::1]:7 AT 1800000000",
            "TO ::1 7 FORCE",
            "AT 2027-01-15T08:00:00Z TIMEOUT 10",
            "AT 1800000000.25",
            "CANCEL",
            "scheduled",
        ] {
            let wish = parse(text).unwrap();
            assert_eq!(parse(&wish.words().join(" ")), Ok(wish), "{text}");
        }
        let at = |text| match parse(text) {
            Ok(Wish::At { at_ms, .. }) => at_ms,
            other => panic!("{other:?}"),
        };
        assert_eq!(at("AT 1800000000"), 1_800_000_000_000);
        assert_eq!(at("AT 2027-01-15T09:00:00.250+01:00"), 1_800_000_000_250);
    }

    #[test]
    fn mistakes_name_their_place() {
        for (text, told) in [
            ("TO", "TO needs"),
            ("TO 10.0.0.1", "TO needs"),
            ("TO 10.0.0.1 0", "after TO"),
            ("TIMEOUT 9", "from 10 to 60000"),
            ("TIMEOUT", "TIMEOUT needs"),
            ("AT tomorrow", "Unix seconds"),
            ("AT -5", "Unix seconds"),
            ("AT 1800000000000000", "Unix seconds"),
            ("AT", "AT needs"),
            ("FORCE AT 1800000000", "FORCE"),
            ("FORCE COORDINATED", "FORCE"),
            ("CANCEL NOW", "Unknown"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(told), "{text}: {error}");
        }
    }
}
