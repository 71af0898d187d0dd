//! Doubles as C's library writes and reads them: `printf("%.14g")` and `strtod`. What follows the
//! number is left to the caller; locales are not known.

/// `value` as `%.{precision}g`: that many significant digits, without trailing zeros, with an exponent
/// where it is below -4 or not below the precision.
pub fn general(value: f64, precision: usize) -> String {
    if value.is_nan() {
        return if value.is_sign_negative() { "-nan".into() } else { "nan".into() };
    }
    if value.is_infinite() {
        return if value > 0.0 { "inf".into() } else { "-inf".into() };
    }
    let precision = precision.max(1);
    let scientific = format!("{value:.*e}", precision - 1);
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let places = i32::try_from(precision).unwrap_or(i32::MAX);
    if (-4..places).contains(&exponent) {
        // The digits are the same ones, so they are not worked out again.
        let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
        let sign = if mantissa.starts_with('-') { "-" } else { "" };
        let Ok(whole) = usize::try_from(exponent) else {
            let zeros = "0".repeat(usize::try_from(-1 - exponent).unwrap_or(0));
            return trimmed(&format!("{sign}0.{zeros}{digits}")).to_owned();
        };
        let (whole, rest) = digits.split_at(whole + 1);
        return trimmed(&format!("{sign}{whole}.{rest}")).to_owned();
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{}e{sign}{:02}", trimmed(mantissa), exponent.abs())
}

fn trimmed(digits: &str) -> &str {
    if digits.contains('.') { digits.trim_end_matches('0').trim_end_matches('.') } else { digits }
}

/// The number that `text` begins with and how many bytes it takes, as `strtod` without leading space:
/// decimal, hexadecimal, infinite or not a number.
pub fn leading_f64(text: &[u8]) -> Option<(f64, usize)> {
    let (negative, signs) = match text.first() {
        Some(b'-') => (true, 1),
        Some(b'+') => (false, 1),
        _ => (false, 0),
    };
    let rest = text.get(signs..)?;
    let (value, length) = if starts_with(rest, b"infinity") {
        (f64::INFINITY, 8)
    } else if starts_with(rest, b"inf") {
        (f64::INFINITY, 3)
    } else if starts_with(rest, b"nan") {
        (f64::NAN, 3 + payload(rest.get(3..).unwrap_or_default()))
    } else if let Some(found) = hexadecimal(rest) {
        found
    } else {
        decimal(rest)?
    };
    Some((if negative { -value } else { value }, signs + length))
}

fn starts_with(text: &[u8], word: &[u8]) -> bool {
    text.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word))
}

/// The length of `(...)` behind `nan`.
fn payload(text: &[u8]) -> usize {
    let Some(inner) = text.strip_prefix(b"(") else { return 0 };
    let length = inner.iter().take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_').count();
    if inner.get(length) == Some(&b')') { length + 2 } else { 0 }
}

fn digits(text: &[u8]) -> usize {
    text.iter().take_while(|byte| byte.is_ascii_digit()).count()
}

/// The length of an exponent that `mark` begins; none without a digit.
fn exponent(text: &[u8], mark: u8) -> usize {
    if !text.first().is_some_and(|byte| byte.eq_ignore_ascii_case(&mark)) {
        return 0;
    }
    let sign = usize::from(matches!(text.get(1), Some(b'+' | b'-')));
    match digits(text.get(1 + sign..).unwrap_or_default()) {
        0 => 0,
        found => 1 + sign + found,
    }
}

fn decimal(text: &[u8]) -> Option<(f64, usize)> {
    let whole = digits(text);
    let mut length = whole;
    let mut fraction = 0;
    if text.get(whole) == Some(&b'.') {
        fraction = digits(text.get(whole + 1..).unwrap_or_default());
        length += 1 + fraction;
    }
    if whole + fraction == 0 {
        return None;
    }
    length += exponent(text.get(length..).unwrap_or_default(), b'e');
    let number = std::str::from_utf8(text.get(..length)?).ok()?.parse().ok()?;
    Some((number, length))
}

fn hexadecimal(text: &[u8]) -> Option<(f64, usize)> {
    if !starts_with(text, b"0x") {
        return None;
    }
    let mut mantissa: u64 = 0;
    let mut power: i32 = 0;
    let mut length = 2;
    let mut seen = false;
    let mut point = false;
    while let Some(&byte) = text.get(length) {
        if byte == b'.' && !point {
            point = true;
        } else if let Some(digit) = char::from(byte).to_digit(16) {
            seen = true;
            if mantissa >> 60 == 0 {
                mantissa = (mantissa << 4) | u64::from(digit);
                power -= if point { 4 } else { 0 };
            } else {
                // What no longer fits only says whether to round up.
                mantissa |= u64::from(digit != 0);
                power = power.saturating_add(if point { 0 } else { 4 });
            }
        } else {
            break;
        }
        length += 1;
    }
    if !seen {
        return None;
    }
    let marked = exponent(text.get(length..).unwrap_or_default(), b'p');
    if marked > 0 {
        let said = text.get(length + 1..length + marked)?;
        let said = std::str::from_utf8(said).ok()?;
        let limit = if said.starts_with('-') { -100_000 } else { 100_000 };
        power = power.saturating_add(said.parse().unwrap_or(limit));
        length += marked;
    }
    // In two steps, so that neither factor leaves the range alone.
    let half = power.clamp(-2200, 2200) / 2;
    let rest = power.clamp(-2200, 2200) - half;
    Some((mantissa as f64 * 2f64.powi(half) * 2f64.powi(rest), length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_are_written_as_printf_does() {
        let written = |value| general(value, 14);
        assert_eq!(written(0.0), "0");
        assert_eq!(written(-0.0), "-0");
        assert_eq!(written(0.1), "0.1");
        assert_eq!(written(100.0), "100");
        assert_eq!(written(1.0 / 3.0), "0.33333333333333");
        assert_eq!(written(1e14), "1e+14");
        assert_eq!(written(99_999_999_999_999.0), "99999999999999");
        assert_eq!(written(999_999_999_999_999.9), "1e+15");
        assert_eq!(written(0.0001), "0.0001");
        assert_eq!(written(0.000_012_5), "1.25e-05");
        assert_eq!(written(-1e100), "-1e+100");
        assert_eq!(general(123_456.0, 3), "1.23e+05");
        assert_eq!(general(0.999, 1), "1");
    }

    #[test]
    fn numbers_are_read_as_strtod_does() {
        assert_eq!(leading_f64(b"12,"), Some((12.0, 2)));
        assert_eq!(leading_f64(b"-1.5e3x"), Some((-1500.0, 6)));
        assert_eq!(leading_f64(b"1e+"), Some((1.0, 1)));
        assert_eq!(leading_f64(b"5."), Some((5.0, 2)));
        assert_eq!(leading_f64(b".5"), Some((0.5, 2)));
        assert_eq!(leading_f64(b"0x1Fp1"), Some((62.0, 6)));
        assert_eq!(leading_f64(b"0x1.8"), Some((1.5, 5)));
        assert_eq!(leading_f64(b"0x"), Some((0.0, 1)));
        assert_eq!(leading_f64(b"-InfinityX"), Some((f64::NEG_INFINITY, 9)));
        assert_eq!(leading_f64(b"1e999"), Some((f64::INFINITY, 5)));
        assert!(leading_f64(b"nan(1)]").is_some_and(|(value, length)| value.is_nan() && length == 6));
        assert_eq!(leading_f64(b"-"), None);
        assert_eq!(leading_f64(b"."), None);
    }
}
