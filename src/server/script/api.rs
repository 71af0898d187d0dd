//! The `redis` table of scripts. What needs the server is asked through the [`Link`].

use super::convert;
use super::link::{Answer, Ask, Link};
use super::native::raising;
use crate::server::REDIS_VERSION;
use crate::stdx::sha1;
use mlua::{Function, Lua, MultiValue, Table, Value};
use std::rc::Rc;

type Raised = mlua::Result<Result<MultiValue, Value>>;

/// The error of a function that is called where no script runs.
const NOT_RUNNING: &str = "ERR redis.call/pcall can only be called inside a script invocation";
/// Bits of `redis.set_repl`.
pub const TO_AOF: u8 = 1;
pub const TO_REPLICAS: u8 = 2;

pub fn table(lua: &Lua, link: &Rc<Link>) -> mlua::Result<Table> {
    let redis = lua.create_table()?;
    for (name, value) in [
        ("LOG_DEBUG", 0),
        ("LOG_VERBOSE", 1),
        ("LOG_NOTICE", 2),
        ("LOG_WARNING", 3),
        ("REPL_NONE", 0),
        ("REPL_AOF", TO_AOF),
        ("REPL_SLAVE", TO_REPLICAS),
        ("REPL_REPLICA", TO_REPLICAS),
        ("REPL_ALL", TO_AOF | TO_REPLICAS),
    ] {
        redis.raw_set(name, value)?;
    }
    redis.raw_set("REDIS_VERSION", REDIS_VERSION)?;
    redis.raw_set("REDIS_VERSION_NUM", version_number())?;
    redis.raw_set("call", call(lua, link, true)?)?;
    redis.raw_set("pcall", call(lua, link, false)?)?;
    redis.raw_set("error_reply", single(lua, "err")?)?;
    redis.raw_set("status_reply", single(lua, "ok")?)?;
    redis.raw_set("sha1hex", raising(lua, sha1hex)?)?;
    redis.raw_set("log", log(lua, link)?)?;
    redis.raw_set("setresp", setresp(lua, link)?)?;
    redis.raw_set("set_repl", set_repl(lua, link)?)?;
    redis.raw_set("acl_check_cmd", acl_check_cmd(lua, link)?)?;
    redis.raw_set("replicate_commands", lua.create_function(|_, ()| Ok(true))?)?;
    // The debugger that would stop there is not supported.
    redis.raw_set("breakpoint", lua.create_function(|_, ()| Ok(false))?)?;
    redis.raw_set("debug", lua.create_function(|_, _: MultiValue| Ok(()))?)?;
    Ok(redis)
}

fn version_number() -> u32 {
    REDIS_VERSION.split('.').filter_map(|part| part.parse::<u32>().ok()).fold(0, |sum, part| sum << 8 | part)
}

fn fail(lua: &Lua, text: &str) -> Raised {
    Ok(Err(Value::Table(convert::error(lua, text.as_bytes())?)))
}

fn one(value: Value) -> Raised {
    Ok(Ok(MultiValue::from_vec(vec![value])))
}

/// `redis.call`, which raises errors, and `redis.pcall`, which returns them.
fn call(lua: &Lua, link: &Rc<Link>, raises: bool) -> mlua::Result<Function> {
    let link = link.clone();
    raising(lua, move |lua, args| {
        let result = match ask_with_words(&link, &args, |argv| Ask::Call { argv }) {
            Ok(Answer::Reply(reply)) => convert::to_lua(lua, &reply)?,
            Ok(Answer::Refused(text)) => Value::Table(convert::error(lua, text.as_bytes())?),
            Ok(_) => Value::Nil,
            Err(text) => Value::Table(convert::error(lua, text.as_bytes())?),
        };
        match &result {
            Value::Table(table) if raises && table.raw_len() == 0 && table.contains_key("err")? => {
                Ok(Err(result))
            }
            _ => one(result),
        }
    })
}

fn ask_with_words(
    link: &Link,
    args: &MultiValue,
    ask: impl FnOnce(Vec<Vec<u8>>) -> Ask,
) -> Result<Answer, &'static str> {
    if args.is_empty() {
        return Err("ERR Please specify at least one argument for this redis lib call");
    }
    let argv =
        convert::words(args).ok_or("ERR Lua redis lib command arguments must be strings or integers")?;
    link.ask(ask(argv)).ok_or(NOT_RUNNING)
}

/// `redis.error_reply` and `redis.status_reply`.
fn single(lua: &Lua, field: &'static str) -> mlua::Result<Function> {
    raising(lua, move |lua, args| {
        let table = lua.create_table_with_capacity(0, 1)?;
        let text = match args.front() {
            Some(Value::String(text)) if args.len() == 1 => text.as_bytes().to_vec(),
            _ => {
                let table = lua.create_table_with_capacity(0, 1)?;
                table.raw_set("err", "ERR wrong number or type of arguments")?;
                return one(Value::Table(table));
            }
        };
        let text = match (field, text.split_first()) {
            ("ok", _) => text,
            // With a first word it has its code already, with or without a dash before it.
            (_, first) => {
                let text = if let Some((b'-', rest)) = first { rest } else { text.as_slice() };
                if text.contains(&b' ') { text.to_vec() } else { [b"ERR ", text].concat() }
            }
        };
        table.raw_set(field, lua.create_string(text)?)?;
        one(Value::Table(table))
    })
}

fn sha1hex(lua: &Lua, args: MultiValue) -> Raised {
    if args.len() != 1 {
        return fail(lua, "ERR wrong number of arguments");
    }
    // What is neither a string nor a number counts as empty.
    let text = match args.front() {
        Some(value @ (Value::String(_) | Value::Number(_) | Value::Integer(_))) => {
            lua.coerce_string(value.clone())?.map(|text| text.as_bytes().to_vec()).unwrap_or_default()
        }
        _ => Vec::new(),
    };
    one(Value::String(lua.create_string(sha1::hex(&text))?))
}

fn log(lua: &Lua, link: &Rc<Link>) -> mlua::Result<Function> {
    let link = link.clone();
    raising(lua, move |lua, args| {
        if args.len() < 2 {
            return fail(lua, "ERR redis.log() requires two arguments or more.");
        }
        let level = match args.front() {
            Some(Value::Number(level)) => *level as i64,
            Some(Value::Integer(level)) => *level,
            _ => return fail(lua, "ERR First argument must be a number (log level)."),
        };
        let Some(level) = u8::try_from(level).ok().filter(|&level| level <= 3) else {
            return fail(lua, "ERR Invalid debug level.");
        };
        let mut words = Vec::new();
        for value in args.iter().skip(1) {
            if let Some(text) = lua.coerce_string(value.clone())? {
                words.push(text.as_bytes().to_vec());
            }
        }
        link.ask(Ask::Log { level, message: words.join(&b' ') });
        Ok(Ok(MultiValue::new()))
    })
}

fn setresp(lua: &Lua, link: &Rc<Link>) -> mlua::Result<Function> {
    let link = link.clone();
    raising(lua, move |lua, args| {
        if args.len() != 1 {
            return fail(lua, "ERR redis.setresp() requires one argument.");
        }
        let version = match args.front() {
            Some(value) => lua.coerce_number(value.clone())?.unwrap_or(0.0),
            None => 0.0,
        };
        let version = if version == 2.0 {
            2
        } else if version == 3.0 {
            3
        } else {
            return fail(lua, "ERR RESP version must be 2 or 3.");
        };
        link.ask(Ask::Protocol { version });
        Ok(Ok(MultiValue::new()))
    })
}

fn set_repl(lua: &Lua, link: &Rc<Link>) -> mlua::Result<Function> {
    let link = link.clone();
    raising(lua, move |lua, args| {
        if args.len() != 1 {
            return fail(lua, "ERR redis.set_repl() requires two arguments.");
        }
        let targets = match args.front() {
            Some(value) => lua.coerce_number(value.clone())?.unwrap_or(0.0) as i64,
            None => 0,
        };
        match u8::try_from(targets) {
            Ok(targets) if targets & !(TO_AOF | TO_REPLICAS) == 0 => {
                link.ask(Ask::Replicate { targets });
                Ok(Ok(MultiValue::new()))
            }
            _ => {
                fail(lua, "ERR Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or REPL_NONE.")
            }
        }
    })
}

fn acl_check_cmd(lua: &Lua, link: &Rc<Link>) -> mlua::Result<Function> {
    let link = link.clone();
    raising(lua, move |lua, args| match ask_with_words(&link, &args, |argv| Ask::Permitted { argv }) {
        Ok(Answer::Yes) => one(Value::Boolean(true)),
        Ok(Answer::Refused(text)) => fail(lua, &text),
        Ok(_) => one(Value::Boolean(false)),
        Err(text) => fail(lua, text),
    })
}

/// Makes a table of whatever was raised, and notes in it where.
pub fn error_handler(lua: &Lua) -> mlua::Result<Function> {
    lua.create_function(|lua, error: Value| {
        // Functions of C have no line: whoever called them has.
        let place = (1..=3).find_map(|level| {
            lua.inspect_stack(level, |frame| {
                let source = frame.source().source.map(|name| name.into_owned());
                source.zip(frame.current_line())
            })?
        });
        let table = match error {
            Value::Table(table) => table,
            other => {
                let text = match &other {
                    Value::Error(error) => super::native::text_of(error).into_bytes(),
                    Value::Nil => b"nil".to_vec(),
                    Value::Boolean(value) => value.to_string().into_bytes(),
                    Value::String(_) | Value::Number(_) | Value::Integer(_) => lua
                        .coerce_string(other.clone())?
                        .map(|text| text.as_bytes().to_vec())
                        .unwrap_or_default(),
                    other => other.type_name().as_bytes().to_vec(),
                };
                let table = lua.create_table()?;
                table.raw_set("err", lua.create_string([b"ERR ", text.as_slice()].concat())?)?;
                table
            }
        };
        if let Some((source, line)) = place {
            table.raw_set("source", source)?;
            table.raw_set("line", line)?;
        }
        Ok(table)
    })
}
