//! Integers and doubles exactly as Redis clients expect them.

/// An `i64` in canonical decimal, as Redis' `string2ll`: no plus sign, no leading zero, no space.
pub fn parse_i64(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    match digits {
        [b'0'] if !negative => return Some(0),
        [b'1'..=b'9', ..] if digits.len() <= 19 => {}
        _ => return None,
    }
    let mut value: u64 = 0;
    for &digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        value = value.checked_mul(10)?.checked_add(u64::from(digit - b'0'))?;
    }
    if negative { 0i64.checked_sub_unsigned(value) } else { i64::try_from(value).ok() }
}

/// A finite or infinite double as Redis' `getDoubleFromObject` takes it; NaN and spaces are refused.
pub fn parse_f64(text: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(text).ok()?;
    if text.is_empty() || text.starts_with(char::is_whitespace) || text.ends_with(char::is_whitespace) {
        return None;
    }
    let unsigned = text.trim_start_matches(['+', '-']);
    match unsigned.to_ascii_lowercase().as_str() {
        "inf" | "infinity" => {
            return Some(if text.starts_with('-') { f64::NEG_INFINITY } else { f64::INFINITY });
        }
        "nan" => return None,
        _ => {}
    }
    match unsigned.strip_prefix("0x").or_else(|| unsigned.strip_prefix("0X")) {
        // As C's `strtod` reads it; whole hexadecimal numbers only.
        Some(digits) if !digits.is_empty() && digits.len() <= 16 => {
            let value = u64::from_str_radix(digits, 16).ok()? as f64;
            Some(if text.starts_with('-') { -value } else { value })
        }
        _ => text.parse::<f64>().ok().filter(|value| !value.is_nan()),
    }
}

/// As Redis 7.0 replies it, C's `%.17g`: seventeen digits without trailing zeros, exponent form below
/// 1e-4 and from 1e17 on, whole numbers without a point.
pub fn format_f64(value: f64) -> String {
    let is_minus_zero = value == 0.0 && value.is_sign_negative();
    if value == value.trunc() && value.abs() < 1e17 && !is_minus_zero {
        return itoa::Buffer::new().format(value as i64).to_owned();
    }
    if value.is_nan() { "nan".into() } else { super::c_number::general(value, 17) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_canonical() {
        for good in ["0", "-1", "9223372036854775807", "-9223372036854775808", "10"] {
            assert_eq!(parse_i64(good.as_bytes()), good.parse().ok(), "{good}");
        }
        for bad in
            ["", "-", "-0", "+1", "01", " 1", "1 ", "9223372036854775808", "-9223372036854775809", "1.0"]
        {
            assert_eq!(parse_i64(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn doubles_print_as_redis_prints_them() {
        for (value, text) in [
            (3.0, "3"),
            (3.5, "3.5"),
            (-0.1, "-0.10000000000000001"),
            (1e20, "1e+20"),
            (1e16, "10000000000000000"),
            (1e17, "1e+17"),
            (0.1, "0.10000000000000001"),
            (1.5e-7, "1.4999999999999999e-07"),
            (0.0, "0"),
            (-0.0, "-0"),
            (f64::INFINITY, "inf"),
            (f64::NAN, "nan"),
        ] {
            assert_eq!(format_f64(value), text);
        }
    }
}
