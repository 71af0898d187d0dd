//! Strings as rows of bits: single ones, counts, searches, and whole strings joined bit by bit.
//! Integers inside strings are in `bitfield`.

use super::args::{int, is};
use super::{CommandError, DataCommand, Done, Unit, row};
use crate::resp::Writer;
use crate::resp::spec::{Arity, DENYOOM, FAST, KEY_1, Keys, READONLY, WRITE};
use crate::stdx::bits;
use crate::stdx::number::parse_i64;
use crate::store::{Str, Value};
use std::ops::Range;

const BAD_OFFSET: &str = "ERR bit offset is not an integer or out of range";
/// As sds strings grow: by twice their size, then by this.
const SPARE_BYTES_MAX: usize = 1 << 20;

/// The offset of a bit; with `#` in front it counts integers of `width` bits, where there is one.
pub(super) fn offset(unit: &Unit<'_>, word: &[u8], width: Option<u32>) -> Result<u64, CommandError> {
    let (number, scale) = match (word, width) {
        ([b'#', rest @ ..], Some(width)) => (rest, i64::from(width)),
        _ => (word, 1),
    };
    let offset = parse_i64(number).and_then(|number| number.checked_mul(scale)).ok_or(BAD_OFFSET)?;
    let offset = u64::try_from(offset).map_err(|_| CommandError::from(BAD_OFFSET))?;
    if offset / 8 >= unit.string_bytes_max as u64 {
        return Err(BAD_OFFSET.into());
    }
    Ok(offset)
}

/// The bytes of a string that may be changed in place, made or lengthened to hold bit `last`; and
/// whether that was needed.
pub(super) fn bytes_to_change<'a>(
    unit: &'a mut Unit<'_>,
    key: &[u8],
    last: u64,
) -> Result<(&'a mut Vec<u8>, bool), CommandError> {
    let needed = usize::try_from(last / 8).unwrap_or(usize::MAX).saturating_add(1);
    let mut place = unit.place(key);
    let is_new = unit.str_at(place)?.is_none();
    if is_new {
        place = unit.keyspace.insert_at(place, key, Value::Str(Str::grown(vec![0; needed])), None);
        unit.note_new(unit.db, key);
    }
    // Inserted above if it was not there.
    let string = unit.change_str(place)?.ok_or(CommandError::NoSuchKey)?;
    let bytes = string.make_raw();
    let grows = bytes.len() < needed;
    if grows {
        if bytes.capacity() <= needed {
            bytes.reserve_exact(needed - bytes.len() + needed.min(SPARE_BYTES_MAX));
        }
        bytes.resize(needed, 0);
    }
    Ok((bytes, is_new || grows))
}

fn setbit(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    let offset = offset(unit, argv[2], None)?;
    let on = match argv[3] {
        b"0" => false,
        b"1" => true,
        _ => return Err("ERR bit is not an integer or out of range".into()),
    };
    let (bytes, is_longer) = bytes_to_change(unit, argv[1], offset)?;
    let was = bits::get(bytes, offset);
    bits::set(bytes, offset, on);
    unit.effects.dirty += u64::from(is_longer || was != on);
    reply.integer(i64::from(was));
    Ok(())
}

fn getbit(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    let offset = offset(unit, argv[2], None)?;
    let string = unit.read_str(argv[1])?;
    let on = string.is_some_and(|string| bits::get(string.bytes(&mut itoa::Buffer::new()), offset));
    reply.integer(i64::from(on));
    Ok(())
}

/// BYTE or BIT: how many bits a step of the range has.
fn unit_bits(word: Option<&&[u8]>) -> Result<i64, CommandError> {
    match word {
        None => Ok(8),
        Some(word) if is(word, "byte") => Ok(8),
        Some(word) if is(word, "bit") => Ok(1),
        Some(_) => Err(CommandError::Syntax),
    }
}

/// The bits from `start` to `stop`, both counted in steps, from the end if negative.
fn span(start: i64, stop: i64, step: i64, bytes: usize) -> Range<u64> {
    let total = bytes as i64 * 8 / step;
    let from_end = |at: i64| if at < 0 { (total.saturating_add(at)).max(0) } else { at };
    let (start, stop) = (from_end(start), from_end(stop).min(total - 1));
    if start > stop { 0..0 } else { (start * step) as u64..((stop + 1) * step) as u64 }
}

fn bitcount(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    let Some(string) = unit.read_str(argv[1])? else {
        reply.integer(0);
        return Ok(());
    };
    let mut scratch = itoa::Buffer::new();
    let bytes = string.bytes(&mut scratch);
    let range = match &argv[2..] {
        [] => 0..bytes.len() as u64 * 8,
        [start, stop, rest @ ..] if rest.len() <= 1 => {
            let (start, stop) = (int(start)?, int(stop)?);
            // Redis' oddity: this is nothing before the unit is looked at.
            if start < 0 && stop < 0 && start > stop {
                0..0
            } else {
                span(start, stop, unit_bits(rest.first())?, bytes.len())
            }
        }
        _ => return Err(CommandError::Syntax),
    };
    reply.integer(bits::count(bytes, range) as i64);
    Ok(())
}

fn bitpos(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    let bit = match int(argv[2])? {
        0 => false,
        1 => true,
        _ => return Err("ERR The bit argument must be 1 or 0.".into()),
    };
    let Some(string) = unit.read_str(argv[1])? else {
        // Zeros without end.
        reply.integer(if bit { -1 } else { 0 });
        return Ok(());
    };
    let mut scratch = itoa::Buffer::new();
    let bytes = string.bytes(&mut scratch);
    let (range, has_end) = match &argv[3..] {
        [] => (span(0, -1, 8, bytes.len()), false),
        [start] => (span(int(start)?, -1, 8, bytes.len()), false),
        [start, stop, rest @ ..] if rest.len() <= 1 => {
            let start = int(start)?;
            let step = unit_bits(rest.first())?;
            (span(start, int(stop)?, step, bytes.len()), true)
        }
        _ => return Err(CommandError::Syntax),
    };
    let position = match bits::find(bytes, bit, range.clone()) {
        Some(position) => position as i64,
        // Behind a string without a given end the zeros begin.
        None if !bit && !has_end && !range.is_empty() => range.end as i64,
        None => -1,
    };
    reply.integer(position);
    Ok(())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Operation {
    And,
    Or,
    Xor,
    Not,
}

impl Operation {
    fn parse(word: &[u8]) -> Result<Operation, CommandError> {
        match word.to_ascii_lowercase().as_slice() {
            b"and" => Ok(Operation::And),
            b"or" => Ok(Operation::Or),
            b"xor" => Ok(Operation::Xor),
            b"not" => Ok(Operation::Not),
            _ => Err(CommandError::Syntax),
        }
    }

    /// Joins the next string, which counts as followed by zeros, into the result.
    fn join(self, result: &mut [u8], next: &[u8]) {
        let (front, rest) = result.split_at_mut(next.len());
        let pairs = front.iter_mut().zip(next);
        match self {
            Operation::And => {
                pairs.for_each(|(to, from)| *to &= from);
                rest.fill(0);
            }
            Operation::Or => pairs.for_each(|(to, from)| *to |= from),
            Operation::Xor => pairs.for_each(|(to, from)| *to ^= from),
            Operation::Not => pairs.for_each(|(to, from)| *to = !from),
        }
    }
}

fn bitop(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    let (operation, target, keys) = (Operation::parse(argv[1])?, argv[2], &argv[3..]);
    if operation == Operation::Not && keys.len() != 1 {
        return Err("ERR BITOP NOT must be called with a single source key.".into());
    }
    let mut len = 0;
    for key in keys {
        let place = unit.place(key);
        unit.count_read(key, place.is_found());
        len = len.max(unit.str_at(place)?.map_or(0, Str::len));
    }
    if len == 0 {
        unit.effects.dirty += u64::from(unit.delete(target));
        reply.integer(0);
        return Ok(());
    }
    let mut result = Vec::with_capacity(len + 1);
    result.resize(len, 0);
    for (index, key) in keys.iter().enumerate() {
        let place = unit.keyspace.locate(unit.db, key);
        let mut scratch = itoa::Buffer::new();
        let bytes = unit.str_at(place)?.map_or(&b""[..], |string| string.bytes(&mut scratch));
        match index {
            0 if operation != Operation::Not => result[..bytes.len()].copy_from_slice(bytes),
            _ => operation.join(&mut result, bytes),
        }
    }
    unit.store(target, Value::Str(Str::grown(result)), None);
    unit.effects.dirty += 1;
    reply.integer(len as i64);
    Ok(())
}

const B: &str = "@bitmap";
const TARGET_AND_KEYS: Keys = Keys { first: 2, last: -1, step: 1 };

pub(super) const COMMANDS: &[DataCommand] = &[
    row("setbit", Arity::Exactly(4), WRITE | DENYOOM, KEY_1, B, "Sets a bit of a string", setbit),
    row("getbit", Arity::Exactly(3), READONLY | FAST, KEY_1, B, "A bit of a string", getbit),
    row("bitcount", Arity::AtLeast(2), READONLY, KEY_1, B, "How many bits are set", bitcount),
    row("bitpos", Arity::AtLeast(3), READONLY, KEY_1, B, "The first bit that is set or not", bitpos),
    row("bitop", Arity::AtLeast(4), WRITE | DENYOOM, TARGET_AND_KEYS, B, "Joins strings bit by bit", bitop),
];
