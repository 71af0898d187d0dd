//! `cjson`: JSON, as lua-cjson 2.1.0 with the settings that Redis compiles in. The settings belong to
//! the table they are set through: `cjson.new()` makes another one with its own.

use super::json_decode;
use super::json_encode;
use super::native::{Arguments, Failure, argument, function};
use mlua::{Lua, MultiValue, Table, Value};
use parking_lot::Mutex;
use std::sync::Arc;

/// What to do with numbers that JSON does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Invalid {
    Refuse,
    Write,
    Null,
}

#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Whether an excessively sparse array is written as an object rather than refused.
    pub sparse_convert: bool,
    /// How many times longer than its entries an array may be; 0: as long as it likes.
    pub sparse_ratio: i32,
    /// Up to this index no array is excessively sparse.
    pub sparse_safe: i32,
    pub encode_depth_max: i32,
    pub decode_depth_max: i32,
    pub encode_invalid: Invalid,
    pub decode_invalid: bool,
    pub keep_buffer: bool,
    /// Significant digits of a number.
    pub precision: i32,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            sparse_convert: false,
            sparse_ratio: 2,
            sparse_safe: 10,
            encode_depth_max: 1000,
            decode_depth_max: 1000,
            encode_invalid: Invalid::Refuse,
            decode_invalid: true,
            keep_buffer: true,
            precision: 14,
        }
    }
}

type Shared = Arc<Mutex<Settings>>;

pub fn table(lua: &Lua) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    let settings = Shared::default();
    let next: mlua::Function = lua.globals().raw_get("next")?;
    let of = settings.clone();
    let encode = function(lua, move |lua, arguments| {
        one_argument(arguments)?;
        let settings = *of.lock();
        let value = arguments.get(1).cloned().unwrap_or(Value::Nil);
        Ok(lua.create_string(json_encode::encode(&settings, &next, value)?)?)
    })?;
    table.raw_set("encode", encode)?;
    let of = settings.clone();
    let decode = function(lua, move |lua, arguments| {
        one_argument(arguments)?;
        let settings = *of.lock();
        let text = arguments.string(1)?;
        json_decode::decode(&settings, lua, &text.as_bytes())
    })?;
    table.raw_set("decode", decode)?;

    let option = |name: &str, read: fn(&mut Settings, &Arguments<'_>) -> Result<Vec<Value>, Failure>| {
        let of = settings.clone();
        let made = function(lua, move |_, arguments| {
            let mut settings = of.lock();
            // Options before a refused one are kept, as they are in C.
            read(&mut settings, arguments).map(MultiValue::from_vec)
        })?;
        table.raw_set(name, made)
    };
    option("encode_sparse_array", |settings, arguments| {
        at_most(arguments, 3)?;
        let convert = on_or_off(arguments, &mut settings.sparse_convert)?;
        let ratio = whole(arguments, 2, &mut settings.sparse_ratio, 0, i32::MAX)?;
        let safe = whole(arguments, 3, &mut settings.sparse_safe, 0, i32::MAX)?;
        Ok(vec![convert, ratio, safe])
    })?;
    option("encode_max_depth", |settings, arguments| {
        at_most(arguments, 1)?;
        Ok(vec![whole(arguments, 1, &mut settings.encode_depth_max, 1, i32::MAX)?])
    })?;
    option("decode_max_depth", |settings, arguments| {
        at_most(arguments, 1)?;
        Ok(vec![whole(arguments, 1, &mut settings.decode_depth_max, 1, i32::MAX)?])
    })?;
    option("encode_number_precision", |settings, arguments| {
        at_most(arguments, 1)?;
        Ok(vec![whole(arguments, 1, &mut settings.precision, 1, 14)?])
    })?;
    option("encode_keep_buffer", |settings, arguments| {
        at_most(arguments, 1)?;
        Ok(vec![on_or_off(arguments, &mut settings.keep_buffer)?])
    })?;
    option("decode_invalid_numbers", |settings, arguments| {
        at_most(arguments, 1)?;
        Ok(vec![on_or_off(arguments, &mut settings.decode_invalid)?])
    })?;
    let of = settings.clone();
    let invalid = function(lua, move |lua, arguments| {
        at_most(arguments, 1)?;
        let settings = &mut of.lock().encode_invalid;
        match arguments.get(1) {
            None | Some(Value::Nil) => {}
            Some(Value::Boolean(write)) => *settings = if *write { Invalid::Write } else { Invalid::Refuse },
            Some(_) => {
                *settings = match arguments.string(1)?.as_bytes().as_ref() {
                    b"off" => Invalid::Refuse,
                    b"on" => Invalid::Write,
                    b"null" => Invalid::Null,
                    other => return invalid_option(other),
                }
            }
        }
        Ok(match settings {
            Invalid::Null => Value::String(lua.create_string("null")?),
            other => Value::Boolean(*other == Invalid::Write),
        })
    })?;
    table.raw_set("encode_invalid_numbers", invalid)?;

    table.raw_set("new", function(lua, |lua, _| Ok(self::table(lua)?))?)?;
    table.raw_set("null", Value::NULL)?;
    table.raw_set("_NAME", "cjson")?;
    table.raw_set("_VERSION", "2.1.0")?;
    Ok(table)
}

fn one_argument(arguments: &Arguments<'_>) -> Result<(), Failure> {
    if arguments.len() == 1 { Ok(()) } else { argument(1, "expected 1 argument") }
}

fn at_most(arguments: &Arguments<'_>, count: usize) -> Result<(), Failure> {
    if arguments.len() <= count { Ok(()) } else { argument(count + 1, "found too many arguments") }
}

fn invalid_option<T>(given: &[u8]) -> Result<T, Failure> {
    argument(1, format!("invalid option '{}'", String::from_utf8_lossy(given)))
}

fn on_or_off(arguments: &Arguments<'_>, setting: &mut bool) -> Result<Value, Failure> {
    match arguments.get(1) {
        None | Some(Value::Nil) => {}
        Some(Value::Boolean(on)) => *setting = *on,
        Some(_) => match arguments.string(1)?.as_bytes().as_ref() {
            b"off" => *setting = false,
            b"on" => *setting = true,
            other => return invalid_option(other),
        },
    }
    Ok(Value::Boolean(*setting))
}

fn whole(
    arguments: &Arguments<'_>,
    position: usize,
    setting: &mut i32,
    least: i32,
    most: i32,
) -> Result<Value, Failure> {
    if !arguments.is_nil(position) {
        // Cut to C's `int`; the complaint names the first argument whichever it was.
        let value = arguments.integer(position)? as i32;
        if !(least..=most).contains(&value) {
            return argument(1, format!("expected integer between {least} and {most}"));
        }
        *setting = value;
    }
    Ok(Value::Integer(i64::from(*setting)))
}
