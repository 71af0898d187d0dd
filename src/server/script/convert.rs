//! Between replies and Lua's values, by Redis' rules for either protocol.

use crate::resp::{Protocol, Writer};
use crate::stdx::number::format_f64;
use mlua::{Lua, MultiValue, Table, Value};

/// Tables nested deeper than this are not answered. A table may hold itself.
const DEPTH_MAX: usize = 1000;

/// A reply, complete and well-formed because we wrote it ourselves, as a value of Lua.
pub fn to_lua(lua: &Lua, reply: &[u8]) -> mlua::Result<Value> {
    let mut reader = Reader { lua, bytes: reply };
    reader.value()
}

struct Reader<'a> {
    lua: &'a Lua,
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    fn line(&mut self) -> &'a [u8] {
        let end = memchr::memchr(b'\n', self.bytes).unwrap_or(self.bytes.len());
        let line = &self.bytes[..end.saturating_sub(1)];
        self.bytes = self.bytes.get(end + 1..).unwrap_or_default();
        line
    }

    fn bulk(&mut self, length: i64) -> &'a [u8] {
        let length = usize::try_from(length).unwrap_or(0).min(self.bytes.len());
        let bulk = &self.bytes[..length];
        self.bytes = self.bytes.get(length + 2..).unwrap_or_default();
        bulk
    }

    fn string(&self, bytes: &[u8]) -> mlua::Result<Value> {
        self.lua.create_string(bytes).map(Value::String)
    }

    /// A table of one field, as `{ok = ...}`.
    fn field(&self, name: &str, value: Value) -> mlua::Result<Value> {
        let table = self.lua.create_table_with_capacity(0, 1)?;
        table.raw_set(name, value)?;
        Ok(Value::Table(table))
    }

    fn value(&mut self) -> mlua::Result<Value> {
        let line = self.line();
        let Some((kind, rest)) = line.split_first() else { return Ok(Value::Nil) };
        let number = || crate::stdx::number::parse_i64(rest).unwrap_or(0);
        match kind {
            b':' => Ok(Value::Number(number() as f64)),
            b'$' if rest == b"-1" => Ok(Value::Boolean(false)),
            b'$' => {
                let bulk = self.bulk(number());
                self.string(bulk)
            }
            b'+' => {
                let text = self.string(rest)?;
                self.field("ok", text)
            }
            b'-' => error(self.lua, rest).map(Value::Table),
            b'*' if rest == b"-1" => Ok(Value::Boolean(false)),
            b'*' | b'>' => {
                let count = number();
                let table = self.lua.create_table_with_capacity(usize::try_from(count).unwrap_or(0), 0)?;
                for index in 1..=count {
                    table.raw_set(index, self.value()?)?;
                }
                Ok(Value::Table(table))
            }
            b'%' => {
                let map = self.lua.create_table()?;
                for _ in 0..number() {
                    let (key, value) = (self.value()?, self.value()?);
                    map.raw_set(key, value)?;
                }
                self.field("map", Value::Table(map))
            }
            b'~' => {
                let set = self.lua.create_table()?;
                for _ in 0..number() {
                    set.raw_set(self.value()?, true)?;
                }
                self.field("set", Value::Table(set))
            }
            b'#' => Ok(Value::Boolean(rest == b"t")),
            b',' => {
                let double = crate::stdx::number::parse_f64(rest).unwrap_or(f64::NAN);
                self.field("double", Value::Number(double))
            }
            b'(' => {
                let text = self.string(rest)?;
                self.field("big_number", text)
            }
            b'=' => {
                let bulk = self.bulk(number());
                let (format, text) = bulk.split_at_checked(4).unwrap_or((b"txt:", bulk));
                let table = self.lua.create_table()?;
                table.raw_set("format", self.string(&format[..3])?)?;
                table.raw_set("string", self.string(text)?)?;
                self.field("verbatim_string", Value::Table(table))
            }
            _ => Ok(Value::Nil),
        }
    }
}

/// An error as scripts see it; `text` begins with its code.
pub fn error(lua: &Lua, text: &[u8]) -> mlua::Result<Table> {
    let table = lua.create_table_with_capacity(0, 2)?;
    table.raw_set("err", lua.create_string(text)?)?;
    table.raw_set("ignore_error_stats_update", true)?;
    Ok(table)
}

/// What a script returned, as a reply. `script` is the protocol it chose with `redis.setresp`.
pub fn to_reply(value: &Value, script: Protocol, out: &mut Writer<'_>) {
    write(value, script, out, 0);
}

fn write(value: &Value, script: Protocol, out: &mut Writer<'_>, depth: usize) {
    if depth > DEPTH_MAX {
        return out.error("ERR reached lua stack limit");
    }
    match value {
        Value::String(text) => out.bulk(&text.as_bytes()),
        Value::Boolean(value) if script == Protocol::Resp3 => out.boolean(*value),
        Value::Boolean(true) => out.integer(1),
        Value::Integer(value) => out.integer(*value),
        Value::Number(value) => out.integer(whole(*value)),
        Value::Table(table) => write_table(table, script, out, depth),
        _ => out.null(),
    }
}

/// As a C compiler converts on x86: what does not fit is the least number.
fn whole(value: f64) -> i64 {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if (-LIMIT..LIMIT).contains(&value) { value as i64 } else { i64::MIN }
}

fn write_table(table: &Table, script: Protocol, out: &mut Writer<'_>, depth: usize) {
    let field = |name: &str| table.raw_get::<Value>(name).unwrap_or(Value::Nil);
    if let Some(text) = text(&field("err")) {
        return write_line(b'-', &text, out);
    }
    if let Some(text) = text(&field("ok")) {
        return write_line(b'+', &text, out);
    }
    match field("double") {
        Value::Number(value) => return out.double(value),
        Value::Integer(value) => return out.double(value as f64),
        _ => {}
    }
    if let Value::Table(map) = field("map") {
        let pairs: Vec<(Value, Value)> = map.pairs().filter_map(Result::ok).collect();
        out.map(pairs.len());
        for (key, value) in &pairs {
            write(key, script, out, depth + 1);
            write(value, script, out, depth + 1);
        }
        return;
    }
    if let Value::Table(set) = field("set") {
        let members: Vec<(Value, Value)> = set.pairs().filter_map(Result::ok).collect();
        out.set(members.len());
        for (member, _) in &members {
            write(member, script, out, depth + 1);
        }
        return;
    }
    if let Some(digits) = text(&field("big_number")) {
        if out.protocol() == Protocol::Resp3 {
            return write_line(b'(', &digits, out);
        }
        return out.bulk(&digits);
    }
    if let Value::Table(verbatim) = field("verbatim_string") {
        let part = |name: &str| text(&verbatim.raw_get::<Value>(name).unwrap_or(Value::Nil));
        if let (Some(string), Some(format)) = (part("string"), part("format")) {
            return write_verbatim(&string, &format, out);
        }
    }
    let items: Vec<Value> = (1..)
        .map(|index: i64| table.raw_get::<Value>(index).unwrap_or(Value::Nil))
        .take_while(|value| !value.is_nil())
        .collect();
    out.array(items.len());
    for item in &items {
        write(item, script, out, depth + 1);
    }
}

fn text(value: &Value) -> Option<Vec<u8>> {
    match value {
        Value::String(text) => Some(text.as_bytes().to_vec()),
        _ => None,
    }
}

fn write_line(kind: u8, text: &[u8], out: &mut Writer<'_>) {
    let text: Vec<u8> =
        text.iter().map(|&byte| if matches!(byte, b'\r' | b'\n') { b' ' } else { byte }).collect();
    out.raw(&[kind]);
    out.raw(&text);
    out.raw(b"\r\n");
}

fn write_verbatim(string: &[u8], format: &[u8], out: &mut Writer<'_>) {
    if out.protocol() == Protocol::Resp2 {
        return out.bulk(string);
    }
    let mut three = [b' '; 3];
    for (to, from) in three.iter_mut().zip(format) {
        *to = *from;
    }
    out.raw(format!("={}\r\n", string.len() + 4).as_bytes());
    out.raw(&three);
    out.raw(b":");
    out.raw(string);
    out.raw(b"\r\n");
}

/// The words of a `redis.call`: strings as they are, numbers with all their digits. `None` if one is
/// neither.
pub fn words(args: &MultiValue) -> Option<Vec<Vec<u8>>> {
    args.iter()
        .map(|value| match value {
            Value::String(text) => Some(text.as_bytes().to_vec()),
            Value::Integer(value) => Some(value.to_string().into_bytes()),
            Value::Number(value) => Some(format_f64(*value).into_bytes()),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_all_their_digits() {
        let cases = [
            (3.0, "3"),
            (3.5, "3.5"),
            (0.1, "0.10000000000000001"),
            (1e20, "1e+20"),
            (1e16, "10000000000000000"),
            (1.5e-7, "1.4999999999999999e-07"),
            (-0.0, "-0"),
            (123_456_789.125, "123456789.125"),
            (f64::INFINITY, "inf"),
        ];
        for (value, text) in cases {
            assert_eq!(format_f64(value), text);
        }
    }

    #[test]
    fn replies_become_values_and_values_replies() {
        let lua = Lua::new();
        let cases: &[(&[u8], &[u8])] = &[
            (b"$3\r\nabc\r\n", b"$3\r\nabc\r\n"),
            (b"$-1\r\n", b"$-1\r\n"),
            (b":5\r\n", b":5\r\n"),
            (b"+OK\r\n", b"+OK\r\n"),
            (b"-ERR x\r\n", b"-ERR x\r\n"),
            (b"*2\r\n:1\r\n*1\r\n$1\r\na\r\n", b"*2\r\n:1\r\n*1\r\n$1\r\na\r\n"),
            (b"%1\r\n+a\r\n:1\r\n", b"*2\r\n+a\r\n:1\r\n"),
            (b",1.5\r\n", b"$3\r\n1.5\r\n"),
            (b"#t\r\n", b":1\r\n"),
            (b"_\r\n", b"$-1\r\n"),
            (b"=7\r\ntxt:abc\r\n", b"$3\r\nabc\r\n"),
        ];
        for (reply, back) in cases {
            let value = to_lua(&lua, reply).unwrap();
            let mut out = Vec::new();
            to_reply(&value, Protocol::Resp2, &mut Writer::new(&mut out, Protocol::Resp2));
            assert_eq!(out, *back, "{}", String::from_utf8_lossy(reply));
        }
    }

    #[test]
    fn a_table_that_holds_itself_has_an_end() {
        let lua = Lua::new();
        let value: Value = lua.load("local t = {} t[1] = t return t").eval().unwrap();
        let mut out = Vec::new();
        to_reply(&value, Protocol::Resp2, &mut Writer::new(&mut out, Protocol::Resp2));
        assert!(out.ends_with(b"-ERR reached lua stack limit\r\n"));
    }
}
