//! JSON read into Lua values: a null as the null pointer, an array with indices from 1. As liberal as
//! the C library (which ends a text at its first zero byte), with its complaints. Without recursion:
//! what is open stands in a list.

use super::STACK_SLOTS;
use super::json::Settings;
use super::native::{Failure, message};
use crate::stdx::c_number;
use mlua::{Lua, Table, Value};

#[derive(Clone, Debug, PartialEq)]
enum Token {
    ObjectBegin,
    ObjectEnd,
    ArrayBegin,
    ArrayEnd,
    /// Its text is in the reader's buffer.
    String,
    Number(f64),
    Boolean(bool),
    Null,
    Colon,
    Comma,
    End,
    Error(&'static str),
}

impl Token {
    /// As complaints call it.
    fn name(&self) -> &'static str {
        match self {
            Token::ObjectBegin => "T_OBJ_BEGIN",
            Token::ObjectEnd => "T_OBJ_END",
            Token::ArrayBegin => "T_ARR_BEGIN",
            Token::ArrayEnd => "T_ARR_END",
            Token::String => "T_STRING",
            Token::Number(_) => "T_NUMBER",
            Token::Boolean(_) => "T_BOOLEAN",
            Token::Null => "T_NULL",
            Token::Colon => "T_COLON",
            Token::Comma => "T_COMMA",
            Token::End => "T_END",
            Token::Error(what) => what,
        }
    }
}

/// A table whose contents are being read.
enum Open {
    Array { table: Table, index: i64 },
    Object { table: Table, key: mlua::LuaString },
}

pub fn decode(settings: &Settings, lua: &Lua, text: &[u8]) -> Result<Value, Failure> {
    if text.len() >= 2 && (text.first() == Some(&0) || text.get(1) == Some(&0)) {
        return message("JSON parser does not support UTF-16 or UTF-32");
    }
    let mut reader = Reader { settings, text, at: 0, begun: 0, buffer: Vec::new() };
    let value = document(&mut reader, lua)?;
    match reader.next() {
        Token::End => Ok(value),
        other => reader.complain("the end", &other),
    }
}

fn document(reader: &mut Reader<'_>, lua: &Lua) -> Result<Value, Failure> {
    let mut open: Vec<Open> = Vec::new();
    let mut slots = 1;
    let mut token = reader.next();
    loop {
        let mut complete = match token {
            Token::String => Value::String(lua.create_string(&reader.buffer)?),
            Token::Number(number) => Value::Number(number),
            Token::Boolean(value) => Value::Boolean(value),
            Token::Null => Value::NULL,
            Token::ArrayBegin => {
                reader.descend(open.len() + 1, slots + 2)?;
                let table = lua.create_table()?;
                token = reader.next();
                if token == Token::ArrayEnd {
                    Value::Table(table)
                } else {
                    slots += 1;
                    open.push(Open::Array { table, index: 1 });
                    continue;
                }
            }
            Token::ObjectBegin => {
                reader.descend(open.len() + 1, slots + 3)?;
                let table = lua.create_table()?;
                token = reader.next();
                if token == Token::ObjectEnd {
                    Value::Table(table)
                } else {
                    let key = reader.key(lua, &token)?;
                    slots += 2;
                    open.push(Open::Object { table, key });
                    token = reader.next();
                    continue;
                }
            }
            other => return reader.complain("value", &other),
        };
        // Puts what is complete where it belongs, which may complete what it belongs to.
        loop {
            match open.pop() {
                None => return Ok(complete),
                Some(Open::Array { table, index }) => {
                    table.raw_set(index, complete)?;
                    token = reader.next();
                    match token {
                        Token::ArrayEnd => {
                            slots -= 1;
                            complete = Value::Table(table);
                        }
                        Token::Comma => {
                            open.push(Open::Array { table, index: index + 1 });
                            token = reader.next();
                            break;
                        }
                        other => return reader.complain("comma or array end", &other),
                    }
                }
                Some(Open::Object { table, key }) => {
                    table.raw_set(key, complete)?;
                    token = reader.next();
                    match token {
                        Token::ObjectEnd => {
                            slots -= 2;
                            complete = Value::Table(table);
                        }
                        Token::Comma => {
                            token = reader.next();
                            let key = reader.key(lua, &token)?;
                            open.push(Open::Object { table, key });
                            token = reader.next();
                            break;
                        }
                        other => return reader.complain("comma or object end", &other),
                    }
                }
            }
        }
    }
}

struct Reader<'a> {
    settings: &'a Settings,
    text: &'a [u8],
    at: usize,
    /// Where the last token began, or was found wrong.
    begun: usize,
    buffer: Vec<u8>,
}

impl Reader<'_> {
    /// The byte `ahead` of here; the text ends with a zero, as C has it.
    fn byte(&self, ahead: usize) -> u8 {
        self.text.get(self.at + ahead).copied().unwrap_or(0)
    }

    fn rest(&self) -> &[u8] {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn complain<T>(&self, expected: &str, found: &Token) -> Result<T, Failure> {
        message(format!("Expected {expected} but found {} at character {}", found.name(), self.begun + 1))
    }

    fn descend(&self, depth: usize, slots: usize) -> Result<(), Failure> {
        let allowed = usize::try_from(self.settings.decode_depth_max).unwrap_or(0);
        if depth <= allowed && slots <= STACK_SLOTS {
            return Ok(());
        }
        message(format!("Found too many nested data structures ({depth}) at character {}", self.at))
    }

    /// The key that `token` is, with its colon.
    fn key(&mut self, lua: &Lua, token: &Token) -> Result<mlua::LuaString, Failure> {
        if *token != Token::String {
            return self.complain("object key string", token);
        }
        let key = lua.create_string(&self.buffer)?;
        match self.next() {
            Token::Colon => Ok(key),
            other => self.complain("colon", &other),
        }
    }

    fn next(&mut self) -> Token {
        while matches!(self.byte(0), b' ' | b'\t' | b'\n' | b'\r') {
            self.at += 1;
        }
        self.begun = self.at;
        let single = match self.byte(0) {
            b'{' => Token::ObjectBegin,
            b'}' => Token::ObjectEnd,
            b'[' => Token::ArrayBegin,
            b']' => Token::ArrayEnd,
            b',' => Token::Comma,
            b':' => Token::Colon,
            0 => return Token::End,
            b'"' => return self.string(),
            b'-' | b'0'..=b'9' => {
                if !self.settings.decode_invalid && self.is_invalid_number() {
                    return self.wrong("invalid number");
                }
                return self.number();
            }
            _ => return self.word(),
        };
        self.at += 1;
        single
    }

    fn wrong(&mut self, what: &'static str) -> Token {
        self.begun = self.at;
        Token::Error(what)
    }

    fn word(&mut self) -> Token {
        let words =
            [(&b"true"[..], Token::Boolean(true)), (b"false", Token::Boolean(false)), (b"null", Token::Null)];
        for (word, token) in words {
            if self.rest().starts_with(word) {
                self.at += word.len();
                return token;
            }
        }
        let numeric = matches!(self.byte(0), b'+' | b'i' | b'I' | b'n' | b'N');
        if numeric && self.settings.decode_invalid && self.is_invalid_number() {
            return self.number();
        }
        self.wrong("invalid token")
    }

    /// Whether C reads as a number what JSON does not have.
    fn is_invalid_number(&self) -> bool {
        if self.byte(0) == b'+' {
            return true;
        }
        let start = usize::from(self.byte(0) == b'-');
        match self.byte(start) {
            b'0' => matches!(self.byte(start + 1), b'x' | b'X' | b'0'..=b'9'),
            b'1'..=b'9' => false,
            _ => {
                let word = self.rest().get(start..start + 3).unwrap_or_default();
                word.eq_ignore_ascii_case(b"inf") || word.eq_ignore_ascii_case(b"nan")
            }
        }
    }

    fn number(&mut self) -> Token {
        match c_number::leading_f64(self.rest()) {
            Some((number, length)) => {
                self.at += length;
                Token::Number(number)
            }
            None => self.wrong("invalid number"),
        }
    }

    fn string(&mut self) -> Token {
        self.buffer.clear();
        self.at += 1;
        loop {
            let byte = match self.byte(0) {
                b'"' => break,
                0 => return self.wrong("unexpected end of string"),
                b'\\' => {
                    let escaped = match self.byte(1) {
                        byte @ (b'"' | b'\\' | b'/') => byte,
                        b'b' => 8,
                        b't' => b'\t',
                        b'n' => b'\n',
                        b'f' => 12,
                        b'r' => b'\r',
                        b'u' => {
                            if !self.unicode_escape() {
                                return self.wrong("invalid unicode escape code");
                            }
                            continue;
                        }
                        _ => return self.wrong("invalid escape code"),
                    };
                    self.at += 1;
                    escaped
                }
                byte => byte,
            };
            self.buffer.push(byte);
            self.at += 1;
        }
        self.at += 1;
        Token::String
    }

    /// Takes `\uXXXX`, or the two of a surrogate pair.
    fn unicode_escape(&mut self) -> bool {
        let Some(high) = self.hexadecimal(2) else { return false };
        let (code, length) = if (0xd800..0xdc00).contains(&high) {
            let low = match (self.byte(6), self.byte(7)) {
                (b'\\', b'u') => self.hexadecimal(8),
                _ => None,
            };
            let Some(low) = low.filter(|low| (0xdc00..0xe000).contains(low)) else { return false };
            (0x10000 + ((high & 0x3ff) << 10) + (low & 0x3ff), 12)
        } else {
            (high, 6)
        };
        let Some(character) = char::from_u32(code) else { return false };
        self.buffer.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        self.at += length;
        true
    }

    fn hexadecimal(&self, ahead: usize) -> Option<u32> {
        (0..4)
            .try_fold(0, |code, index| Some((code << 4) | char::from(self.byte(ahead + index)).to_digit(16)?))
    }
}
