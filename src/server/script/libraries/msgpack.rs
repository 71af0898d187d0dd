//! `cmsgpack`: MessagePack, as lua-cmsgpack 0.4.0. A whole number goes as an integer, a table whose
//! keys are 1 to n as an array, tables below the sixteenth level as nil.

use super::OUTPUT_BYTES_MAX;
use super::msgpack_decode;
use super::native::{Arguments, Failure, function, message, to_signed};
use mlua::{Lua, Table, Value};

const NESTING_MAX: usize = 16;

pub fn table(lua: &Lua) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    table.raw_set("pack", function(lua, |lua, arguments| Ok(lua.create_string(pack(arguments)?)?))?)?;
    table.raw_set("unpack", function(lua, msgpack_decode::unpack)?)?;
    table.raw_set("unpack_one", function(lua, msgpack_decode::unpack_one)?)?;
    table.raw_set("unpack_limit", function(lua, msgpack_decode::unpack_limit)?)?;
    table.raw_set("_NAME", "cmsgpack")?;
    table.raw_set("_VERSION", "lua-cmsgpack 0.4.0")?;
    table.raw_set("_COPYRIGHT", "Copyright (C) 2012, Salvatore Sanfilippo")?;
    table.raw_set("_DESCRIPTION", "MessagePack C implementation for Lua")?;
    Ok(table)
}

fn pack(arguments: &Arguments<'_>) -> Result<Vec<u8>, Failure> {
    if arguments.is_empty() {
        return super::native::argument(0, "MessagePack pack needs input.");
    }
    let mut out = Vec::new();
    for value in arguments.values() {
        put(&mut out, value, 0)?;
    }
    Ok(out)
}

/// Recurses to [`NESTING_MAX`] and no deeper.
fn put(out: &mut Vec<u8>, value: &Value, level: usize) -> Result<(), Failure> {
    match value {
        Value::String(text) => put_bytes(out, &text.as_bytes()),
        Value::Boolean(true) => out.push(0xc3),
        Value::Boolean(false) => out.push(0xc2),
        Value::Integer(number) => put_integer(out, *number),
        Value::Number(number) => put_number(out, *number),
        Value::Table(table) if level < NESTING_MAX => put_table(out, table, level)?,
        _ => out.push(0xc0),
    }
    if out.len() > OUTPUT_BYTES_MAX {
        return message("result is too large");
    }
    Ok(())
}

fn put_number(out: &mut Vec<u8>, number: f64) {
    let whole = to_signed(number);
    if !number.is_infinite() && whole as f64 == number {
        return put_integer(out, whole);
    }
    let single = number as f32;
    if f64::from(single) == number {
        out.push(0xca);
        out.extend(single.to_be_bytes());
    } else {
        out.push(0xcb);
        out.extend(number.to_be_bytes());
    }
}

fn put_integer(out: &mut Vec<u8>, number: i64) {
    let bytes = number.to_be_bytes();
    let (mark, length) = match number {
        -32..=0x7f => return out.push(number as u8),
        0x80..=0xff => (0xcc, 1),
        0x100..=0xffff => (0xcd, 2),
        0x1_0000..=0xffff_ffff => (0xce, 4),
        0x1_0000_0000.. => (0xcf, 8),
        -0x80..=-33 => (0xd0, 1),
        -0x8000..=-0x81 => (0xd1, 2),
        -0x8000_0000..=-0x8001 => (0xd2, 4),
        _ => (0xd3, 8),
    };
    out.push(mark);
    out.extend_from_slice(bytes.get(8 - length..).unwrap_or_default());
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    match bytes.len() {
        length @ 0..=31 => out.push(0xa0 | length as u8),
        length @ 32..=0xff => out.extend([0xd9, length as u8]),
        length @ 0x100..=0xffff => {
            out.push(0xda);
            out.extend((length as u16).to_be_bytes());
        }
        length => {
            out.push(0xdb);
            out.extend((length as u32).to_be_bytes());
        }
    }
    out.extend_from_slice(bytes);
}

fn put_count(out: &mut Vec<u8>, count: usize, small: u8, large: u8) {
    match count {
        0..=15 => out.push(small | count as u8),
        16..=0xffff => {
            out.push(large);
            out.extend((count as u16).to_be_bytes());
        }
        _ => {
            out.push(large + 1);
            out.extend((count as u32).to_be_bytes());
        }
    }
}

fn put_table(out: &mut Vec<u8>, table: &Table, level: usize) -> Result<(), Failure> {
    let (count, is_array) = survey(table)?;
    if is_array {
        put_count(out, count, 0x90, 0xdc);
        for index in 1..=count {
            put(out, &table.raw_get(index)?, level + 1)?;
        }
        return Ok(());
    }
    put_count(out, count, 0x80, 0xde);
    for pair in table.pairs::<Value, Value>() {
        let (key, value) = pair?;
        put(out, &key, level + 1)?;
        put(out, &value, level + 1)?;
    }
    Ok(())
}

/// How many entries a table has, and whether their keys are 1 to that number.
fn survey(table: &Table) -> Result<(usize, bool), Failure> {
    let mut count: usize = 0;
    let mut largest: usize = 0;
    let mut whole = true;
    for pair in table.pairs::<Value, Value>() {
        match pair?.0 {
            Value::Integer(key) if (1..=i64::from(i32::MAX)).contains(&key) => {
                largest = largest.max(usize::try_from(key).unwrap_or(0));
            }
            _ => whole = false,
        }
        count += 1;
    }
    Ok((count, whole && largest == count))
}
