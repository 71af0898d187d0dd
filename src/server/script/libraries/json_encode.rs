//! Lua values written as JSON: tables with whole keys from 1 as arrays, others (the empty one too) as
//! objects, in the order that `next` tells. Without recursion: what is open stands in a list.

use super::json::{Invalid, Settings};
use super::native::{Failure, message, type_name};
use super::{OUTPUT_BYTES_MAX, STACK_SLOTS};
use crate::stdx::c_number;
use mlua::{Function, Table, Value};

/// A table that is being written.
enum Open {
    Array { table: Table, index: i32, length: i32 },
    Object { table: Table, key: Value, first: bool },
}

pub fn encode(settings: &Settings, next: &Function, value: Value) -> Result<Vec<u8>, Failure> {
    let mut writer = Writer { settings, out: Vec::new() };
    let mut open: Vec<Open> = Vec::new();
    // Slots of the C library's stack: the argument, then what each open table holds there.
    let mut slots = 1;
    let mut value = value;
    loop {
        match value {
            Value::Table(table) => {
                let depth = open.len() + 1;
                let allowed = usize::try_from(settings.encode_depth_max).unwrap_or(0);
                if depth > allowed || slots + 3 > STACK_SLOTS {
                    return message(format!("Cannot serialise, excessive nesting ({depth})"));
                }
                let length = array_length(settings, &table)?;
                if length > 0 {
                    writer.out.push(b'[');
                    slots += 1;
                    open.push(Open::Array { table, index: 0, length });
                } else {
                    writer.out.push(b'{');
                    slots += 2;
                    open.push(Open::Object { table, key: Value::Nil, first: true });
                }
            }
            other => writer.scalar(&other)?,
        }
        if writer.out.len() > OUTPUT_BYTES_MAX {
            return message("Cannot serialise, the text is too large");
        }
        value = loop {
            match open.last_mut() {
                None => return Ok(writer.out),
                Some(Open::Array { table, index, length }) => {
                    if index < length {
                        if *index > 0 {
                            writer.out.push(b',');
                        }
                        *index += 1;
                        break table.raw_get(*index)?;
                    }
                    writer.out.push(b']');
                    slots -= 1;
                    open.pop();
                }
                Some(Open::Object { table, key, first }) => {
                    let (found, value): (Value, Value) = next.call((&*table, &*key))?;
                    if !found.is_nil() {
                        if !std::mem::take(first) {
                            writer.out.push(b',');
                        }
                        writer.key(&found)?;
                        *key = found;
                        break value;
                    }
                    writer.out.push(b'}');
                    slots -= 2;
                    open.pop();
                }
            }
        };
    }
}

/// The length of the array that a table is, or -1 (0 if empty) if it is an object.
fn array_length(settings: &Settings, table: &Table) -> Result<i32, Failure> {
    let mut largest: i32 = 0;
    let mut items: i32 = 0;
    for pair in table.pairs::<Value, Value>() {
        let key = match pair?.0 {
            Value::Integer(key) => key as f64,
            Value::Number(key) if key.floor() == key => key,
            _ => return Ok(-1),
        };
        if key < 1.0 {
            return Ok(-1);
        }
        if key > f64::from(largest) {
            // As C casts it: what does not fit becomes the smallest.
            largest = if key <= f64::from(i32::MAX) { key as i32 } else { i32::MIN };
        }
        items = items.wrapping_add(1);
    }
    let sparse = settings.sparse_ratio > 0
        && largest > items.wrapping_mul(settings.sparse_ratio)
        && largest > settings.sparse_safe;
    if !sparse {
        return Ok(largest);
    }
    if !settings.sparse_convert {
        return message("Cannot serialise table: excessively sparse array");
    }
    Ok(-1)
}

struct Writer<'a> {
    settings: &'a Settings,
    out: Vec<u8>,
}

impl Writer<'_> {
    fn scalar(&mut self, value: &Value) -> Result<(), Failure> {
        match value {
            Value::String(text) => self.string(&text.as_bytes()),
            Value::Integer(number) => self.number(*number as f64)?,
            Value::Number(number) => self.number(*number)?,
            Value::Boolean(true) => self.out.extend_from_slice(b"true"),
            Value::Boolean(false) => self.out.extend_from_slice(b"false"),
            Value::Nil => self.out.extend_from_slice(b"null"),
            Value::LightUserData(pointer) if pointer.0.is_null() => self.out.extend_from_slice(b"null"),
            other => return refuse(other, "type not supported"),
        }
        Ok(())
    }

    fn key(&mut self, key: &Value) -> Result<(), Failure> {
        match key {
            Value::String(text) => self.string(&text.as_bytes()),
            Value::Integer(_) | Value::Number(_) => {
                self.out.push(b'"');
                self.scalar(key)?;
                self.out.push(b'"');
            }
            other => return refuse(other, "table key must be a number or string"),
        }
        self.out.push(b':');
        Ok(())
    }

    fn number(&mut self, number: f64) -> Result<(), Failure> {
        if !number.is_finite() {
            match self.settings.encode_invalid {
                Invalid::Refuse => return message("Cannot serialise number: must not be NaN or Inf"),
                Invalid::Null => {
                    self.out.extend_from_slice(b"null");
                    return Ok(());
                }
                Invalid::Write if number.is_nan() => {
                    self.out.extend_from_slice(b"nan");
                    return Ok(());
                }
                Invalid::Write => {}
            }
        }
        let small = number as i32;
        if f64::from(small).to_bits() == number.to_bits() && self.settings.precision >= 10 {
            let mut digits = itoa::Buffer::new();
            self.out.extend_from_slice(digits.format(small).as_bytes());
            return Ok(());
        }
        let precision = usize::try_from(self.settings.precision).unwrap_or(1);
        self.out.extend_from_slice(c_number::general(number, precision).as_bytes());
        Ok(())
    }

    fn string(&mut self, text: &[u8]) {
        self.out.reserve(text.len() + 2);
        self.out.push(b'"');
        for &byte in text {
            match byte {
                b'"' => self.out.extend_from_slice(b"\\\""),
                b'\\' => self.out.extend_from_slice(b"\\\\"),
                b'/' => self.out.extend_from_slice(b"\\/"),
                8 => self.out.extend_from_slice(b"\\b"),
                b'\t' => self.out.extend_from_slice(b"\\t"),
                b'\n' => self.out.extend_from_slice(b"\\n"),
                12 => self.out.extend_from_slice(b"\\f"),
                b'\r' => self.out.extend_from_slice(b"\\r"),
                0..=31 | 127 => self.out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
                _ => self.out.push(byte),
            }
        }
        self.out.push(b'"');
    }
}

fn refuse(value: &Value, reason: &str) -> Result<(), Failure> {
    message(format!("Cannot serialise {}: {reason}", type_name(value)))
}
