//! MessagePack read into Lua values, without recursion: what is open stands in a list, whose length
//! is bounded as the stack of the C library is, with the same complaints.

use super::STACK_SLOTS;
use super::native::{Arguments, Failure, message};
use mlua::{Lua, MultiValue, Table, Value};

pub fn unpack(lua: &Lua, arguments: &Arguments<'_>) -> Result<MultiValue, Failure> {
    // Further arguments stand on the stack beside the results.
    unpack_some(lua, arguments, 0, 0, arguments.len())
}

pub fn unpack_one(lua: &Lua, arguments: &Arguments<'_>) -> Result<MultiValue, Failure> {
    let offset = arguments.integer_or(2, 0)?;
    unpack_some(lua, arguments, 1, offset, 1)
}

pub fn unpack_limit(lua: &Lua, arguments: &Arguments<'_>) -> Result<MultiValue, Failure> {
    let limit = arguments.integer(2)?;
    let offset = arguments.integer_or(3, 0)?;
    unpack_some(lua, arguments, limit, offset, 1)
}

fn unpack_some(
    lua: &Lua,
    arguments: &Arguments<'_>,
    limit: i64,
    offset: i64,
    slots: usize,
) -> Result<MultiValue, Failure> {
    let all = limit == 0 && offset == 0;
    let data = arguments.string(1)?;
    let data = data.as_bytes();
    let length = data.len();
    if offset < 0 || limit < 0 {
        return message(format!(
            "Invalid request to unpack with offset of {} and limit of {}.",
            offset as i32, length as i32
        ));
    }
    let start = usize::try_from(offset).unwrap_or(usize::MAX);
    let Some(rest) = data.get(start..) else {
        return message(format!(
            "Start offset {} greater than input length {}.",
            offset as i32, length as i32
        ));
    };
    let limit = if all { i64::from(i32::MAX) } else { i64::from(limit as i32) };
    let limit = usize::try_from(limit).unwrap_or(0);
    let mut reader = Reader { lua, rest, slots };
    let mut results = Vec::new();
    while !reader.rest.is_empty() && results.len() < limit {
        results.push(reader.value()?);
        reader.slots += 1;
    }
    if !all {
        let at = if reader.rest.is_empty() { -1 } else { (length - reader.rest.len()) as i64 };
        results.insert(0, Value::Integer(at));
    }
    Ok(MultiValue::from_vec(results))
}

struct Reader<'a> {
    lua: &'a Lua,
    rest: &'a [u8],
    /// What the C library would hold on the stack.
    slots: usize,
}

/// A table whose contents are being read.
struct Open {
    table: Table,
    left: usize,
    /// Of an array, the index of the next value.
    index: Option<i64>,
    /// Of a map, the key whose value comes next.
    key: Option<Value>,
}

/// What one mark begins.
enum Found {
    Value(Value),
    Array(usize),
    Map(usize),
}

impl<'a> Reader<'a> {
    /// One whole value. Slots are given back by the caller's count.
    fn value(&mut self) -> Result<Value, Failure> {
        let base = self.slots;
        let mut open: Vec<Open> = Vec::new();
        loop {
            let mut complete = match self.mark()? {
                Found::Value(value) => Some(value),
                Found::Array(count) => {
                    let table = self.lua.create_table()?;
                    self.slots += 1;
                    if self.slots + 1 > STACK_SLOTS {
                        return message("stack overflow (in function mp_decode_to_lua_array)");
                    }
                    open.push(Open { table, left: count, index: Some(1), key: None });
                    None
                }
                Found::Map(count) => {
                    let table = self.lua.create_table()?;
                    self.slots += 1;
                    open.push(Open { table, left: count, index: None, key: None });
                    None
                }
            };
            // Puts what is complete where it belongs, which may complete what it belongs to.
            loop {
                let Some(top) = open.last_mut() else {
                    self.slots = base;
                    return Ok(complete.unwrap_or(Value::Nil));
                };
                if let Some(value) = complete.take() {
                    match (top.index, top.key.take()) {
                        (Some(index), _) => {
                            top.table.raw_set(index, value)?;
                            top.index = Some(index + 1);
                            top.left -= 1;
                            self.slots -= 1;
                        }
                        (None, None) => {
                            top.key = Some(value);
                            self.slots += 1;
                        }
                        (None, Some(key)) => {
                            match &key {
                                Value::Nil => return Err(Failure::Bare("table index is nil".to_owned())),
                                Value::Number(number) if number.is_nan() => {
                                    return Err(Failure::Bare("table index is NaN".to_owned()));
                                }
                                _ => {}
                            }
                            top.table.raw_set(key, value)?;
                            top.left -= 1;
                            self.slots -= 1;
                        }
                    }
                }
                if top.left > 0 {
                    // The C library puts an element's index down before it reads the element.
                    self.slots += usize::from(top.index.is_some());
                    break;
                }
                complete = open.pop().map(|done| Value::Table(done.table));
                self.slots -= 1;
            }
        }
    }

    fn mark(&mut self) -> Result<Found, Failure> {
        let mark = *self.peek(1)?.first().unwrap_or(&0);
        if self.slots + 1 > STACK_SLOTS {
            return message(
                "stack overflow (too many return values at once; use unpack_one or unpack_limit instead.)",
            );
        }
        Ok(match mark {
            0x00..=0x7f | 0xe0..=0xff => {
                self.take(1)?;
                integer(i64::from(mark as i8))
            }
            0x80..=0x8f => {
                self.take(1)?;
                Found::Map(usize::from(mark & 15))
            }
            0x90..=0x9f => {
                self.take(1)?;
                Found::Array(usize::from(mark & 15))
            }
            0xa0..=0xbf => self.string(1, usize::from(mark & 31))?,
            0xc0 => {
                self.take(1)?;
                Found::Value(Value::Nil)
            }
            0xc2 | 0xc3 => {
                self.take(1)?;
                Found::Value(Value::Boolean(mark == 0xc3))
            }
            0xca => {
                let bits = self.unsigned(4)? as u32;
                Found::Value(Value::Number(f64::from(f32::from_bits(bits))))
            }
            0xcb => Found::Value(Value::Number(f64::from_bits(self.unsigned(8)?))),
            0xcc => integer(self.unsigned(1)? as i64),
            0xcd => integer(self.unsigned(2)? as i64),
            0xce => integer(self.unsigned(4)? as i64),
            // Above the signed range they come out negative, there as here.
            0xcf | 0xd3 => integer(self.unsigned(8)? as i64),
            0xd0 => integer(i64::from(self.unsigned(1)? as i8)),
            0xd1 => integer(i64::from(self.unsigned(2)? as i16)),
            0xd2 => integer(i64::from(self.unsigned(4)? as i32)),
            0xd9 => {
                let length = self.length(1)?;
                self.string(2, length)?
            }
            0xda => {
                let length = self.length(2)?;
                self.string(3, length)?
            }
            0xdb => {
                let length = self.length(4)?;
                self.string(5, length)?
            }
            0xdc => Found::Array(self.unsigned(2)? as usize),
            0xdd => Found::Array(self.unsigned(4)? as usize),
            0xde => Found::Map(self.unsigned(2)? as usize),
            0xdf => Found::Map(self.unsigned(4)? as usize),
            _ => return message("Bad data format in input."),
        })
    }

    fn peek(&self, count: usize) -> Result<&'a [u8], Failure> {
        match self.rest.get(..count) {
            Some(bytes) => Ok(bytes),
            None => message("Missing bytes in input."),
        }
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], Failure> {
        let bytes = self.peek(count)?;
        self.rest = self.rest.get(count..).unwrap_or_default();
        Ok(bytes)
    }

    /// The big-endian number behind the mark, both taken.
    fn unsigned(&mut self, bytes: usize) -> Result<u64, Failure> {
        let number = self.length(bytes)? as u64;
        self.take(1 + bytes)?;
        Ok(number)
    }

    /// The big-endian number behind the mark, left where it is.
    fn length(&self, bytes: usize) -> Result<usize, Failure> {
        let found = self.peek(1 + bytes)?.get(1..).unwrap_or_default();
        Ok(found.iter().fold(0, |number, byte| (number << 8) | usize::from(*byte)))
    }

    fn string(&mut self, head: usize, length: usize) -> Result<Found, Failure> {
        let bytes = self.take(head + length)?;
        let text = self.lua.create_string(bytes.get(head..).unwrap_or_default())?;
        Ok(Found::Value(Value::String(text)))
    }
}

fn integer(number: i64) -> Found {
    Found::Value(Value::Number(number as f64))
}
