//! BITFIELD: integers of any width at any bit of a string.

use super::args::{int, is};
use super::bitmap::{bytes_to_change, offset};
use super::{CommandError, DataCommand, Done, Unit, row};
use crate::resp::Writer;
use crate::resp::spec::{Arity, DENYOOM, FAST, KEY_1, READONLY, WRITE};
use crate::stdx::bits;
use crate::stdx::number::parse_i64;

#[derive(Clone, Copy)]
struct Kind {
    is_signed: bool,
    width: u32,
}

impl Kind {
    fn parse(word: &[u8]) -> Result<Kind, CommandError> {
        let (is_signed, digits) = match word {
            [b'i', rest @ ..] => (true, rest),
            [b'u', rest @ ..] => (false, rest),
            _ => (false, &b""[..]),
        };
        let widest = if is_signed { 64 } else { 63 };
        match parse_i64(digits) {
            Some(width) if (1..=widest).contains(&width) => Ok(Kind { is_signed, width: width as u32 }),
            _ => Err("ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.".into()),
        }
    }

    /// Redis measures how far a signed number is below the largest one in 64 bits. For the least of
    /// all numbers that overflows, and it saturates at the other end.
    fn as_redis_takes(self, value: i64, overflow: Overflow) -> i128 {
        let (value, (_, most)) = (i128::from(value), self.limits());
        let overflows = self.width < 64 && most - value > i128::from(i64::MAX);
        if overflows && matches!(overflow, Overflow::Saturate) { most } else { value }
    }

    fn limits(self) -> (i128, i128) {
        match self.is_signed {
            true => (-(1 << (self.width - 1)), (1 << (self.width - 1)) - 1),
            false => (0, (1 << self.width) - 1),
        }
    }

    /// The low bits as a number of this kind.
    fn of_bits(self, bits: u64) -> i64 {
        let unused = 64 - self.width;
        let top = bits << unused;
        if self.is_signed { top as i64 >> unused } else { (top >> unused) as i64 }
    }

    fn read(self, bytes: &[u8], offset: u64) -> i64 {
        self.of_bits(bits::integer(bytes, offset, self.width))
    }

    /// What is stored for a result that may not fit; `None` to leave things as they are.
    fn fit(self, value: i128, overflow: Overflow) -> Option<i64> {
        let (least, most) = self.limits();
        match overflow {
            _ if (least..=most).contains(&value) => Some(value as i64),
            Overflow::Wrap => Some(self.of_bits(value as u64)),
            Overflow::Saturate => Some(value.clamp(least, most) as i64),
            Overflow::Fail => None,
        }
    }
}

#[derive(Clone, Copy)]
enum Overflow {
    Wrap,
    Saturate,
    Fail,
}

#[derive(Clone, Copy)]
enum Change {
    None,
    Set(i64),
    Add(i64),
}

struct Step {
    kind: Kind,
    offset: u64,
    change: Change,
    overflow: Overflow,
}

fn parse(unit: &Unit<'_>, words: &[&[u8]]) -> Result<Vec<Step>, CommandError> {
    let (mut steps, mut overflow, mut at) = (Vec::new(), Overflow::Wrap, 0);
    while at < words.len() {
        let left = words.len() - at - 1;
        let word = words[at];
        if is(word, "overflow") && left >= 1 {
            overflow = match words[at + 1].to_ascii_lowercase().as_slice() {
                b"wrap" => Overflow::Wrap,
                b"sat" => Overflow::Saturate,
                b"fail" => Overflow::Fail,
                _ => return Err("ERR Invalid OVERFLOW type specified".into()),
            };
            at += 2;
            continue;
        }
        let is_get = is(word, "get") && left >= 2;
        let is_set = is(word, "set") && left >= 3;
        if !(is_get || is_set || is(word, "incrby") && left >= 3) {
            return Err(CommandError::Syntax);
        }
        let kind = Kind::parse(words[at + 1])?;
        let offset = offset(unit, words[at + 2], Some(kind.width))?;
        let change = match (is_get, is_set) {
            (true, _) => Change::None,
            (_, true) => Change::Set(int(words[at + 3])?),
            _ => Change::Add(int(words[at + 3])?),
        };
        steps.push(Step { kind, offset, change, overflow });
        at += if is_get { 3 } else { 4 };
    }
    Ok(steps)
}

/// Changes the bytes; the answer, and whether they are other ones now.
fn run(step: &Step, bytes: &mut [u8]) -> (Option<i64>, bool) {
    let Step { kind, offset, change, overflow } = *step;
    let old = kind.read(bytes, offset);
    let wanted = match change {
        Change::None => return (Some(old), false),
        // Without a sign even a negative number counts as one, a large one.
        Change::Set(value) if kind.is_signed => kind.as_redis_takes(value, overflow),
        Change::Set(value) => i128::from(value as u64),
        Change::Add(value) => i128::from(old) + i128::from(value),
    };
    let Some(new) = kind.fit(wanted, overflow) else { return (None, false) };
    bits::set_integer(bytes, offset, kind.width, new as u64);
    (Some(if matches!(change, Change::Set(_)) { old } else { new }), old != new)
}

fn bitfield_generic(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>, read_only: bool) -> Done {
    let steps = parse(unit, &argv[2..])?;
    let writes = steps.iter().filter(|step| !matches!(step.change, Change::None));
    let last = writes.map(|step| step.offset + u64::from(step.kind.width) - 1).max();
    let Some(last) = last else {
        let mut scratch = itoa::Buffer::new();
        let bytes = unit.read_str(argv[1])?.map_or(&b""[..], |string| string.bytes(&mut scratch));
        reply.array(steps.len());
        steps.iter().for_each(|step| reply.integer(step.kind.read(bytes, step.offset)));
        return Ok(());
    };
    if read_only {
        return Err("ERR BITFIELD_RO only supports the GET subcommand".into());
    }
    let (bytes, is_longer) = bytes_to_change(unit, argv[1], last)?;
    reply.array(steps.len());
    let mut changes = 0;
    for step in &steps {
        let (answer, changed) = run(step, bytes);
        changes += u64::from(changed);
        match answer {
            Some(value) => reply.integer(value),
            None => reply.null(),
        }
    }
    unit.effects.dirty += changes.max(u64::from(is_longer));
    Ok(())
}

fn bitfield(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    bitfield_generic(unit, argv, reply, false)
}

fn bitfield_ro(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    bitfield_generic(unit, argv, reply, true)
}

const B: &str = "@bitmap";

pub(super) const COMMANDS: &[DataCommand] = &[
    row("bitfield", Arity::AtLeast(2), WRITE | DENYOOM, KEY_1, B, "Integers inside a string", bitfield),
    row(
        "bitfield_ro",
        Arity::AtLeast(2),
        READONLY | FAST,
        KEY_1,
        B,
        "Reads integers in a string",
        bitfield_ro,
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_wraps_saturates_or_fails() {
        let kind = |word: &str| Kind::parse(word.as_bytes()).unwrap();
        for (word, value, wrapped, saturated) in [
            ("u8", 256, 0, 255),
            ("u8", -1, 255, 0),
            ("i8", 128, -128, 127),
            ("i8", -129, 127, -128),
            ("i64", i128::from(i64::MAX) + 1, i64::MIN, i64::MAX),
            ("u63", 1 << 63, 0, i64::MAX),
            ("i1", 1, -1, 0),
        ] {
            assert_eq!(kind(word).fit(value, Overflow::Wrap), Some(wrapped), "{word} {value}");
            assert_eq!(kind(word).fit(value, Overflow::Saturate), Some(saturated), "{word} {value}");
            assert_eq!(kind(word).fit(value, Overflow::Fail), None);
        }
        for word in ["u64", "i65", "i0", "x8", "u", "i-1", "8"] {
            assert!(Kind::parse(word.as_bytes()).is_err(), "{word}");
        }
    }
}
