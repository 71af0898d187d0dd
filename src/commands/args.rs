//! Words of a request to numbers and options, with Redis' errors.

use super::CommandError;
use crate::stdx::number::{parse_f64, parse_i64};

pub fn is(word: &[u8], option: &str) -> bool {
    word.eq_ignore_ascii_case(option.as_bytes())
}

pub fn int(word: &[u8]) -> Result<i64, CommandError> {
    parse_i64(word).ok_or(CommandError::NotInteger)
}

pub fn float(word: &[u8]) -> Result<f64, CommandError> {
    parse_f64(word).ok_or(CommandError::NotFloat)
}

pub const DB_OUT_OF_RANGE: &str = "ERR DB index is out of range";

/// Redis' `getIntFromObjectOrReply`.
pub fn int32(word: &[u8]) -> Result<i64, CommandError> {
    let value = int(word)?;
    if i32::try_from(value).is_err() {
        return Err("ERR value is out of range, value must between -2147483648 and 2147483647".into());
    }
    Ok(value)
}

/// A database number.
pub fn db(word: &[u8]) -> Result<usize, CommandError> {
    let value = int32(word)?;
    usize::try_from(value).ok().filter(|&db| db < crate::store::DATABASES).ok_or(DB_OUT_OF_RANGE.into())
}

/// A number not below `least`, else `error`, also when it is no number at all.
pub fn at_least(word: &[u8], least: i64, error: &'static str) -> Result<usize, CommandError> {
    let value = parse_i64(word).filter(|&value| value >= least).ok_or(error)?;
    Ok(usize::try_from(value).unwrap_or(usize::MAX))
}

pub const NOT_POSITIVE: &str = "ERR value is out of range, must be positive";

pub fn count(word: &[u8]) -> Result<usize, CommandError> {
    at_least(word, 0, NOT_POSITIVE)
}

/// A range of indexes as LRANGE, GETRANGE and ZRANGE take it: negative ones count from the end,
/// both ends belong to it. Empty when nothing is left.
pub fn span(start: i64, stop: i64, len: usize) -> std::ops::Range<usize> {
    let len = len as i64;
    let start = if start < 0 { (start + len).max(0) } else { start };
    let stop = if stop < 0 { stop + len } else { stop.min(len - 1) };
    if start > stop || start >= len { 0..0 } else { start as usize..stop as usize + 1 }
}

/// `count` words of a request as owned ones, for propagation.
pub fn owned(words: &[&[u8]]) -> Vec<Vec<u8>> {
    words.iter().map(|word| word.to_vec()).collect()
}

/// MATCH, COUNT (and TYPE, for SCAN) of the SCAN family.
#[derive(Default)]
pub struct ScanOptions<'a> {
    pub pattern: Option<&'a [u8]>,
    pub count: usize,
    pub type_name: Option<&'a [u8]>,
}

impl<'a> ScanOptions<'a> {
    pub fn parse(words: &[&'a [u8]], with_type: bool) -> Result<Self, CommandError> {
        let mut options = ScanOptions { count: 10, ..Default::default() };
        for pair in words.chunks(2) {
            let &[name, value] = pair else { return Err(CommandError::Syntax) };
            if is(name, "count") {
                let count = int(value)?;
                if count < 1 {
                    return Err(CommandError::Syntax);
                }
                options.count = count as usize;
            } else if is(name, "match") {
                options.pattern = Some(value);
            } else if is(name, "type") && with_type {
                options.type_name = Some(value);
            } else {
                return Err(CommandError::Syntax);
            }
        }
        Ok(options)
    }

    pub fn matches(&self, text: &[u8]) -> bool {
        self.pattern.is_none_or(|pattern| crate::stdx::glob::matches(pattern, text))
    }
}

/// As C's `strtoul` reads it: nothing is 0, and a minus sign wraps.
pub fn cursor(word: &[u8]) -> Result<u64, CommandError> {
    let digits = |word: &[u8]| -> Option<u64> {
        if word.iter().any(|byte| !byte.is_ascii_digit()) {
            return None;
        }
        if word.is_empty() { Some(0) } else { std::str::from_utf8(word).ok()?.parse().ok() }
    };
    match word {
        [b'-', rest @ ..] if !rest.is_empty() => digits(rest).map(u64::wrapping_neg),
        [b'+', rest @ ..] if !rest.is_empty() => digits(rest),
        rest => digits(rest),
    }
    .ok_or("ERR invalid cursor".into())
}

/// How many elements a random choice may be asked for: negative means with repetition.
pub fn sample_count(word: &[u8]) -> Result<i64, CommandError> {
    let count = int(word)?;
    if count == i64::MIN {
        return Err(
            "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807"
                .into(),
        );
    }
    Ok(count)
}

/// With values or scores half as many, so that twice the count is still a count.
pub fn check_doubled(count: i64) -> Result<(), CommandError> {
    if !(-i64::MAX / 2..=i64::MAX / 2).contains(&count) {
        return Err("ERR value is out of range".into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::span;

    #[test]
    fn spans_clip() {
        for (start, stop, len, expected) in [
            (0, -1, 3, 0..3),
            (-2, -1, 3, 1..3),
            (-100, 100, 3, 0..3),
            (2, 1, 3, 0..0),
            (5, 9, 3, 0..0),
            (0, -9, 3, 0..0),
            (0, 0, 0, 0..0),
            (i64::MIN, i64::MAX, 3, 0..3),
        ] {
            assert_eq!(span(start, stop, len), expected, "{start} {stop} {len}");
        }
    }
}
