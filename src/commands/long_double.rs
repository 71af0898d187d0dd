//! The sums of INCRBYFLOAT and HINCRBYFLOAT. Redis adds in `long double` and prints 17 decimals,
//! so 0.1 + 0.2 is 0.3; doubles would say otherwise. Sums of moderate size are made in decimal,
//! exactly; the rest falls back to doubles.

use crate::stdx::number::parse_f64;

const DECIMALS: u32 = 17;
/// Ten to the 20th in units of the last decimal: far from the end of an i128.
const UNITS_MAX: i128 = 10i128.pow(20 + DECIMALS);

/// The sum as Redis prints it. `None` when it is not finite.
pub fn add(value: &[u8], increment: &[u8]) -> Option<String> {
    if let (Some(value), Some(increment)) = (units(value), units(increment)) {
        return Some(print(value + increment));
    }
    let sum = parse_f64(value)? + parse_f64(increment)?;
    if !sum.is_finite() {
        return None;
    }
    let text = format!("{sum:.17}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    Some(if text == "-0" { "0".to_owned() } else { text.to_owned() })
}

/// A plain or exponent decimal in units of 10^-17; `None` when it is too large or too fine for that.
fn units(text: &[u8]) -> Option<i128> {
    let text = std::str::from_utf8(text).ok()?;
    let (text, exponent) = match text.find(['e', 'E']) {
        Some(at) => (&text[..at], text[at + 1..].parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let mut digits: i128 = 0;
    for digit in whole.bytes().chain(fraction.bytes()) {
        if !digit.is_ascii_digit() || digits > UNITS_MAX {
            return None;
        }
        digits = digits * 10 + i128::from(digit - b'0');
    }
    let shift = exponent.checked_sub(i32::try_from(fraction.len()).ok()?)?.checked_add(DECIMALS as i32)?;
    let power = 10i128.checked_pow(shift.unsigned_abs())?;
    let units = if shift >= 0 {
        digits.checked_mul(power)?
    } else if digits % power == 0 {
        digits / power
    } else {
        return None;
    };
    (units <= UNITS_MAX).then_some(if negative { -units } else { units })
}

fn print(units: i128) -> String {
    let one = 10u128.pow(DECIMALS);
    let size = units.unsigned_abs();
    let sign = if units < 0 { "-" } else { "" };
    let (whole, fraction) = (size / one, size % one);
    let fraction = format!("{fraction:017}");
    let fraction = fraction.trim_end_matches('0');
    if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

#[cfg(test)]
mod tests {
    use super::add;

    #[test]
    fn sums_are_decimal() {
        for (a, b, sum) in [
            ("0.1", "0.2", "0.3"),
            ("10.50", "0.1", "10.6"),
            ("5.0e3", "2.0e2", "5200"),
            ("-1", "1", "0"),
            ("1", "-1.5", "-0.5"),
            ("3.0", "0", "3"),
            ("1e300", "1e300", &format!("{:.0}", 2e300)),
        ] {
            assert_eq!(add(a.as_bytes(), b.as_bytes()).as_deref(), Some(sum));
        }
        assert!(add(b"1e308", b"1e308").is_none());
        assert_eq!(add(b"inf", b"1"), None);
    }
}
