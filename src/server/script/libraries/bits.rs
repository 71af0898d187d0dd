//! `bit`: operations on 32 bits, as LuaJIT's BitOp 1.0.2. Numbers wrap into the signed range; shifts
//! take the lowest five bits of their count.

use super::native::{Arguments, Failure, argument, function};
use mlua::{Lua, Table};

/// Adding it leaves the integer in the low bits of a double: 2^52 + 2^51.
const WRAP: f64 = 6_755_399_441_055_744.0;

pub fn table(lua: &Lua) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    let one = |name: &str, operation: fn(u32) -> u32| {
        let made = function(lua, move |_, arguments| Ok(signed(operation(bits(arguments, 1)?))))?;
        table.raw_set(name, made)
    };
    one("tobit", |value| value)?;
    one("bnot", |value| !value)?;
    one("bswap", u32::swap_bytes)?;
    let many = |name: &str, operation: fn(u32, u32) -> u32| {
        let made = function(lua, move |_, arguments| {
            let mut value = bits(arguments, 1)?;
            for position in (2..=arguments.len()).rev() {
                value = operation(value, bits(arguments, position)?);
            }
            Ok(signed(value))
        })?;
        table.raw_set(name, made)
    };
    many("band", |a, b| a & b)?;
    many("bor", |a, b| a | b)?;
    many("bxor", |a, b| a ^ b)?;
    let shift = |name: &str, operation: fn(u32, u32) -> u32| {
        let made = function(lua, move |_, arguments| {
            let value = bits(arguments, 1)?;
            Ok(signed(operation(value, bits(arguments, 2)? & 31)))
        })?;
        table.raw_set(name, made)
    };
    shift("lshift", |value, by| value << by)?;
    shift("rshift", |value, by| value >> by)?;
    shift("arshift", |value, by| ((value as i32) >> by) as u32)?;
    shift("rol", u32::rotate_left)?;
    shift("ror", u32::rotate_right)?;
    table.raw_set("tohex", function(lua, |_, arguments| to_hex(arguments))?)?;
    Ok(table)
}

/// An argument modulo 2^32; what is no number is zero to the arithmetic and refused after it.
fn bits(arguments: &Arguments<'_>, position: usize) -> Result<u32, Failure> {
    match arguments.number_or_none(position)? {
        Some(number) => Ok((number + WRAP).to_bits() as u32),
        None => argument(position, arguments.expected("number", position, "no value")),
    }
}

fn signed(value: u32) -> f64 {
    f64::from(value as i32)
}

fn to_hex(arguments: &Arguments<'_>) -> Result<String, Failure> {
    let value = bits(arguments, 1)?;
    let digits = if arguments.len() < 2 { 8 } else { bits(arguments, 2)? as i32 };
    let count = digits.unsigned_abs().min(8) as usize;
    let text = if digits < 0 { format!("{value:08X}") } else { format!("{value:08x}") };
    Ok(text.get(8 - count..).unwrap_or_default().to_owned())
}
