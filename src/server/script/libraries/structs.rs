//! `struct`: values to and from the bytes of C structures, as Roberto Ierusalimschy's library 0.2
//! that Redis brings, with its limits (integers of at most 32 bytes) and its answers where C leaves
//! them to the machine (x86-64).

use super::native::{Arguments, Failure, argument, function, message, to_signed};
use super::{OUTPUT_BYTES_MAX, STACK_SLOTS};
use mlua::{Lua, MultiValue, Table, Value};

const INTEGER_BYTES_MAX: usize = 32;
const ALIGNMENT_DEFAULT: i64 = 8;

pub fn table(lua: &Lua) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    table.raw_set("pack", function(lua, |lua, arguments| Ok(lua.create_string(pack(arguments)?)?))?)?;
    table.raw_set("unpack", function(lua, unpack)?)?;
    table.raw_set("size", function(lua, |_, arguments| size(arguments))?)?;
    Ok(table)
}

/// A format under its reading.
struct Format<'a> {
    rest: &'a [u8],
    big: bool,
    alignment: usize,
}

/// One option of a format.
struct Item {
    option: u8,
    size: usize,
    /// Zero bytes that go before it.
    padding: usize,
}

impl<'a> Format<'a> {
    /// C ends a format at its first zero byte.
    fn new(text: &'a [u8]) -> Self {
        let end = text.iter().position(|&byte| byte == 0).unwrap_or(text.len());
        Format { rest: text.get(..end).unwrap_or_default(), big: false, alignment: 1 }
    }

    /// The next option, for a structure that is `at` bytes long so far.
    fn next(&mut self, at: usize) -> Result<Option<Item>, Failure> {
        let Some((&option, rest)) = self.rest.split_first() else { return Ok(None) };
        self.rest = rest;
        let size = match option {
            b'b' | b'B' | b'x' => 1,
            b'h' | b'H' => 2,
            b'f' => 4,
            b'l' | b'L' | b'T' | b'd' => 8,
            b'c' => self.number(1)? as usize,
            b'i' | b'I' => {
                let size = self.number(4)? as usize;
                if size > INTEGER_BYTES_MAX {
                    return message(format!(
                        "integral size {size} is larger than limit of {INTEGER_BYTES_MAX}"
                    ));
                }
                size
            }
            _ => 0,
        };
        let padding = if size == 0 || option == b'c' {
            0
        } else {
            let unit = size.min(self.alignment);
            unit.wrapping_sub(at & (unit - 1)) & (unit - 1)
        };
        Ok(Some(Item { option, size, padding }))
    }

    /// Digits that follow, within C's `int`.
    fn number(&mut self, default: i64) -> Result<i64, Failure> {
        if !self.rest.first().is_some_and(u8::is_ascii_digit) {
            return Ok(default);
        }
        let mut number: i64 = 0;
        while let Some((&digit, rest)) = self.rest.split_first()
            && digit.is_ascii_digit()
        {
            number = number * 10 + i64::from(digit - b'0');
            if number > i64::from(i32::MAX) {
                return message("integral size overflow");
            }
            self.rest = rest;
        }
        Ok(number)
    }

    /// An option that is about the format itself.
    fn control(&mut self, option: u8) -> Result<(), Failure> {
        match option {
            b' ' => {}
            b'>' => self.big = true,
            b'<' => self.big = false,
            b'!' => {
                let alignment = self.number(ALIGNMENT_DEFAULT)?;
                match usize::try_from(alignment) {
                    Ok(power) if power.is_power_of_two() => self.alignment = power,
                    _ => return message(format!("alignment {alignment} is not a power of 2")),
                }
            }
            // A byte above 127 is shown as it is; messages are text, so it is shown as its character.
            other => return argument(1, format!("invalid format option '{}'", char::from(other))),
        }
        Ok(())
    }
}

fn is_integer(option: u8) -> bool {
    matches!(option, b'b' | b'B' | b'h' | b'H' | b'l' | b'L' | b'T' | b'i' | b'I')
}

fn pack(arguments: &Arguments<'_>) -> Result<Vec<u8>, Failure> {
    let text = arguments.string(1)?;
    let text = text.as_bytes();
    let mut format = Format::new(&text);
    let mut out = Vec::new();
    let mut position = 2;
    while let Some(item) = format.next(out.len())? {
        out.resize(out.len() + item.padding, 0);
        let mut next = || {
            position += 1;
            position - 1
        };
        match item.option {
            option if is_integer(option) => {
                let number = number(arguments, next())?;
                let start = out.len();
                let low = to_unsigned(number).to_le_bytes();
                out.extend((0..item.size).map(|index| low.get(index).copied().unwrap_or(0)));
                if format.big
                    && let Some(written) = out.get_mut(start..)
                {
                    written.reverse();
                }
            }
            b'x' => out.push(0),
            b'f' => {
                let number = number(arguments, next())? as f32;
                out.extend(if format.big { number.to_be_bytes() } else { number.to_le_bytes() });
            }
            b'd' => {
                let number = number(arguments, next())?;
                out.extend(if format.big { number.to_be_bytes() } else { number.to_le_bytes() });
            }
            b'c' | b's' => {
                let position = next();
                let text = match arguments.string(position) {
                    Err(Failure::Argument { .. }) => {
                        return argument(position, expected(arguments, "string", position));
                    }
                    other => other?,
                };
                let text = text.as_bytes();
                let size = if item.size == 0 { text.len() } else { item.size };
                let Some(part) = text.get(..size) else {
                    // The C library has counted on before it complains.
                    return argument(position + 1, "string too short");
                };
                out.extend_from_slice(part);
                if item.option == b's' {
                    out.push(0);
                }
            }
            control => format.control(control)?,
        }
        if out.len() > OUTPUT_BYTES_MAX {
            return message("result is too large");
        }
    }
    Ok(out)
}

fn number(arguments: &Arguments<'_>, position: usize) -> Result<f64, Failure> {
    match arguments.number_or_none(position)? {
        Some(number) => Ok(number),
        None => argument(position, expected(arguments, "number", position)),
    }
}

/// Behind the arguments the C library has put a nil, which is what it finds for the first one missing.
fn expected(arguments: &Arguments<'_>, wanted: &str, position: usize) -> String {
    let absent = if position == arguments.len() + 1 { "nil" } else { "no value" };
    arguments.expected(wanted, position, absent)
}

/// As C casts a double to an unsigned long, by way of the signed one below zero.
fn to_unsigned(number: f64) -> u64 {
    const TOP: f64 = 9_223_372_036_854_775_808.0;
    if number >= TOP { (to_signed(number - TOP) as u64) ^ (1 << 63) } else { to_signed(number) as u64 }
}

fn unpack(lua: &Lua, arguments: &Arguments<'_>) -> Result<MultiValue, Failure> {
    let text = arguments.string(1)?;
    let text = text.as_bytes();
    let data = arguments.string(2)?;
    let data = data.as_bytes();
    let mut at = arguments.integer_or(3, 1)? as u64 as usize;
    if at == 0 {
        return argument(3, "offset must be 1 or greater");
    }
    at -= 1;
    let mut format = Format::new(&text);
    let mut results: Vec<Value> = Vec::new();
    while let Some(item) = format.next(at)? {
        at = at.wrapping_add(item.padding);
        let Some(bytes) = part(&data, at, item.size) else { return argument(2, "data string too short") };
        if arguments.len() + results.len() + 2 > STACK_SLOTS {
            return message("stack overflow (too many results)");
        }
        let mut size = item.size;
        match item.option {
            option if is_integer(option) => {
                results.push(Value::Number(integer(bytes, format.big, option.is_ascii_lowercase())));
            }
            b'x' => {}
            b'f' => {
                let bytes = bytes.try_into().unwrap_or_default();
                let number = if format.big { f32::from_be_bytes(bytes) } else { f32::from_le_bytes(bytes) };
                results.push(Value::Number(f64::from(number)));
            }
            b'd' => {
                let bytes = bytes.try_into().unwrap_or_default();
                let number = if format.big { f64::from_be_bytes(bytes) } else { f64::from_le_bytes(bytes) };
                results.push(Value::Number(number));
            }
            b'c' => {
                let mut bytes = bytes;
                if size == 0 {
                    let before = match results.pop() {
                        Some(value) => lua.coerce_number(value)?,
                        None => None,
                    };
                    let Some(before) = before else { return message("format 'c0' needs a previous size") };
                    size = to_unsigned(before) as usize;
                    let Some(found) = part(&data, at, size) else {
                        return argument(2, "data string too short");
                    };
                    bytes = found;
                }
                results.push(Value::String(lua.create_string(bytes)?));
            }
            b's' => {
                let rest = data.get(at..).unwrap_or_default();
                let Some(end) = rest.iter().position(|&byte| byte == 0) else {
                    return message("unfinished string in data");
                };
                size = end + 1;
                results.push(Value::String(lua.create_string(rest.get(..end).unwrap_or_default())?));
            }
            control => format.control(control)?,
        }
        at = at.wrapping_add(size);
    }
    results.push(Value::Number(at.wrapping_add(1) as i64 as f64));
    Ok(MultiValue::from_vec(results))
}

fn part(data: &[u8], at: usize, size: usize) -> Option<&[u8]> {
    data.get(at..at.checked_add(size)?)
}

fn integer(bytes: &[u8], big: bool, signed: bool) -> f64 {
    let mut value: u64 = 0;
    let mut take = |byte: &u8| value = (value << 8) | u64::from(*byte);
    if big {
        bytes.iter().for_each(&mut take);
    } else {
        bytes.iter().rev().for_each(&mut take);
    }
    if !signed {
        return value as f64;
    }
    // Shifted as x86-64 shifts: by the lowest six bits of the count.
    let mask = u64::MAX.wrapping_shl((bytes.len() as u32).wrapping_mul(8).wrapping_sub(1));
    if value & mask != 0 {
        value |= mask;
    }
    value as i64 as f64
}

fn size(arguments: &Arguments<'_>) -> Result<f64, Failure> {
    let text = arguments.string(1)?;
    let text = text.as_bytes();
    let mut format = Format::new(&text);
    let mut at: usize = 0;
    while let Some(item) = format.next(at)? {
        at = at.wrapping_add(item.padding);
        match item.option {
            b's' => return argument(1, "option 's' has no fixed size"),
            b'c' if item.size == 0 => return argument(1, "option 'c0' has no fixed size"),
            option if option.is_ascii_alphanumeric() => {}
            option => format.control(option)?,
        }
        at = at.wrapping_add(item.size);
    }
    Ok(at as i64 as f64)
}
