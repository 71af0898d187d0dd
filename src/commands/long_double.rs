//! The sums of INCRBYFLOAT and HINCRBYFLOAT. Redis adds in x86's `long double` (64 bits of mantissa)
//! and prints 17 decimals, so 0.1 + 0.2 is 0.3 and 1000.1 shows its noise; doubles would say
//! otherwise, and a replica must hold what a client was told. So these few operations are done here
//! bit for bit, on plain big integers.

use crate::stdx::number::parse_f64;
use std::cmp::Ordering;

/// What Redis reads at most of such a number.
const TEXT_BYTES_MAX: usize = 5 * 1024;
const DECIMALS: usize = 17;
const MANTISSA_BITS: usize = 64;
/// Powers of ten far outside of what a `long double` can hold.
const EXPONENT_MAX: i64 = 20_000;
/// Of two: from here on it is infinite.
const EXPONENT_BINARY_MAX: i64 = 16_384;

/// `value` and `increment` added, as Redis prints the sum. `None` when that is not finite; both
/// must have been accepted by [`parse_f64`].
pub fn add(value: &[u8], increment: &[u8]) -> Option<String> {
    let (a, b) = (LongDouble::parse(value)?, LongDouble::parse(increment)?);
    a.add(&b).print()
}

/// Sign, whole number and power of two.
#[derive(Clone)]
struct LongDouble {
    negative: bool,
    mantissa: Big,
    exponent: i64,
}

impl LongDouble {
    fn parse(text: &[u8]) -> Option<LongDouble> {
        if text.len() >= TEXT_BYTES_MAX || parse_f64(text).is_none_or(|value| value.is_nan()) {
            return None;
        }
        let text = std::str::from_utf8(text).ok()?.to_ascii_lowercase();
        let (negative, text) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(&text)),
        };
        if let Some(digits) = text.strip_prefix("0x") {
            let mantissa = Big::from(u64::from_str_radix(digits, 16).ok()?);
            return Some(LongDouble { negative, mantissa, exponent: 0 });
        }
        let (digits, power) = text.split_once('e').unwrap_or((text, "0"));
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let mut mantissa = Big::default();
        for digit in whole.bytes().chain(fraction.bytes()) {
            // "inf" ends here.
            let digit = char::from(digit).to_digit(10)?;
            mantissa.multiply_add(10, digit);
        }
        let power: i64 =
            power.parse::<i64>().unwrap_or(if power.starts_with('-') { -EXPONENT_MAX } else { EXPONENT_MAX });
        let power = power.clamp(-EXPONENT_MAX, EXPONENT_MAX) - fraction.len() as i64;
        let mut number = LongDouble { negative, mantissa, exponent: 0 };
        if power >= 0 {
            (0..power).for_each(|_| number.mantissa.multiply_add(10, 0));
            number.round(false);
        } else {
            // Enough bits that the quotient fills the mantissa, and the rest only says whether it was exact.
            let shift = (-power as usize) * 10 / 3 + MANTISSA_BITS + 2;
            number.mantissa.shift_left(shift);
            number.exponent -= shift as i64;
            let mut inexact = false;
            for _ in 0..-power {
                inexact |= number.mantissa.divide(10) != 0;
            }
            number.round(inexact);
        }
        Some(number)
    }

    /// To 64 bits, the nearest, a tie to the even one. `inexact`: a bit more than what stands there.
    fn round(&mut self, inexact: bool) {
        let bits = self.mantissa.bits();
        if bits <= MANTISSA_BITS {
            return;
        }
        let drop = bits - MANTISSA_BITS;
        self.mantissa.shift_right_rounding(drop, inexact);
        self.exponent += drop as i64;
    }

    fn add(&self, other: &LongDouble) -> LongDouble {
        let exponent = self.exponent.min(other.exponent);
        let aligned = |number: &LongDouble| {
            let mut mantissa = number.mantissa.clone();
            mantissa.shift_left((number.exponent - exponent) as usize);
            mantissa
        };
        let (a, b) = (aligned(self), aligned(other));
        let (negative, mantissa) = if self.negative == other.negative {
            (self.negative, a.plus(&b))
        } else if a.compare(&b) != Ordering::Less {
            (self.negative, a.minus(&b))
        } else {
            (other.negative, b.minus(&a))
        };
        let mut sum = LongDouble { negative, mantissa, exponent };
        sum.round(false);
        sum
    }

    fn print(&self) -> Option<String> {
        if self.mantissa.bits() as i64 + self.exponent > EXPONENT_BINARY_MAX {
            return None;
        }
        let mut units = self.mantissa.clone();
        (0..DECIMALS).for_each(|_| units.multiply_add(10, 0));
        match usize::try_from(self.exponent) {
            Ok(shift) => units.shift_left(shift),
            Err(_) => units.shift_right_rounding(self.exponent.unsigned_abs() as usize, false),
        }
        let digits = format!("{:0>width$}", units.decimal(), width = DECIMALS + 1);
        let (whole, fraction) = digits.split_at(digits.len() - DECIMALS);
        let fraction = fraction.trim_end_matches('0');
        let point = if fraction.is_empty() { "" } else { "." };
        let text = format!("{whole}{point}{fraction}");
        Some(if self.negative && text != "0" { format!("-{text}") } else { text })
    }
}

/// A whole number, 32 bits a word, the lowest first; no zero word at the end.
#[derive(Clone, Default)]
struct Big(Vec<u32>);

impl From<u64> for Big {
    fn from(value: u64) -> Self {
        let mut big = Big(vec![value as u32, (value >> 32) as u32]);
        big.trim();
        big
    }
}

impl Big {
    fn trim(&mut self) {
        while self.0.last() == Some(&0) {
            self.0.pop();
        }
    }

    fn bits(&self) -> usize {
        self.0.last().map_or(0, |top| self.0.len() * 32 - top.leading_zeros() as usize)
    }

    fn bit(&self, at: usize) -> bool {
        self.0.get(at / 32).is_some_and(|word| word >> (at % 32) & 1 == 1)
    }

    fn multiply_add(&mut self, factor: u32, addend: u32) {
        let mut carry = u64::from(addend);
        for word in &mut self.0 {
            carry += u64::from(*word) * u64::from(factor);
            *word = carry as u32;
            carry >>= 32;
        }
        if carry > 0 {
            self.0.push(carry as u32);
        }
    }

    /// The remainder.
    fn divide(&mut self, divisor: u32) -> u32 {
        let mut rest = 0u64;
        for word in self.0.iter_mut().rev() {
            rest = rest << 32 | u64::from(*word);
            *word = (rest / u64::from(divisor)) as u32;
            rest %= u64::from(divisor);
        }
        self.trim();
        rest as u32
    }

    fn shift_left(&mut self, by: usize) {
        if self.0.is_empty() {
            return;
        }
        let mut words = vec![0; by / 32];
        let mut carry = 0u64;
        for &word in &self.0 {
            carry |= u64::from(word) << (by % 32);
            words.push(carry as u32);
            carry >>= 32;
        }
        words.push(carry as u32);
        self.0 = words;
        self.trim();
    }

    fn shift_right_rounding(&mut self, by: usize, inexact: bool) {
        if by == 0 {
            return;
        }
        let half = self.bit(by - 1);
        let below = inexact || (0..by - 1).any(|at| self.bit(at));
        let mut words = Vec::new();
        for at in by / 32..self.0.len() {
            let high = u64::from(self.0.get(at + 1).copied().unwrap_or(0));
            words.push((((high << 32) | u64::from(self.0[at])) >> (by % 32)) as u32);
        }
        self.0 = words;
        self.trim();
        if half && (below || self.bit(0)) {
            self.multiply_add(1, 1);
        }
    }

    fn plus(&self, other: &Big) -> Big {
        let mut carry = 0u64;
        let mut words = Vec::new();
        for at in 0..self.0.len().max(other.0.len()) {
            carry += u64::from(self.0.get(at).copied().unwrap_or(0));
            carry += u64::from(other.0.get(at).copied().unwrap_or(0));
            words.push(carry as u32);
            carry >>= 32;
        }
        words.push(carry as u32);
        let mut sum = Big(words);
        sum.trim();
        sum
    }

    /// `other` must not be larger.
    fn minus(&self, other: &Big) -> Big {
        let mut borrow = 0i64;
        let mut words = Vec::new();
        for (at, &word) in self.0.iter().enumerate() {
            let value = i64::from(word) - i64::from(other.0.get(at).copied().unwrap_or(0)) + borrow;
            borrow = value >> 32;
            words.push(value as u32);
        }
        let mut difference = Big(words);
        difference.trim();
        difference
    }

    fn compare(&self, other: &Big) -> Ordering {
        self.0.len().cmp(&other.0.len()).then_with(|| self.0.iter().rev().cmp(other.0.iter().rev()))
    }

    fn decimal(&self) -> String {
        let mut rest = self.clone();
        let mut groups = Vec::new();
        while !rest.0.is_empty() {
            groups.push(rest.divide(1_000_000_000));
        }
        let Some(first) = groups.pop() else { return "0".to_owned() };
        groups.iter().rev().fold(first.to_string(), |text, group| format!("{text}{group:09}"))
    }
}

#[cfg(test)]
mod tests {
    use super::add;

    #[test]
    fn sums_are_those_of_a_long_double() {
        for (a, b, sum) in [
            ("0.1", "0.2", "0.3"),
            ("10.50", "0.1", "10.6"),
            ("5.0e3", "2.0e2", "5200"),
            ("-1", "1", "0"),
            ("1", "-1.5", "-0.5"),
            ("3.0", "0", "3"),
            ("0x10", "1", "17"),
            ("9223372036854775807", "-3.75", "9223372036854775803"),
            ("-9223372036854775808", "1.25", "-9223372036854775807"),
            ("-9223372036854775808", "-3.75", "-9223372036854775812"),
        ] {
            assert_eq!(add(a.as_bytes(), b.as_bytes()).as_deref(), Some(sum), "{a} + {b}");
        }
        assert_eq!(add(b"inf", b"1"), None);
        assert!(add(b"1e4932", b"1e4932").is_none(), "past the largest");
    }
}
