//! What a library sees while it is loaded: a `redis` table with `register_function`, `log` and a few
//! constants, and nothing else. When it is loaded, its names are looked up in the world of all scripts.

use super::library::{BAD_NAME, Function, is_name};
use crate::server::REDIS_VERSION;
use crate::server::script::Flags;
use crate::server::script::libraries::native::{Arguments, Failure, function, message};
use mlua::{Lua, LuaString, Table, Value};

/// What the library that is being loaded has registered; kept by the Lua state.
#[derive(Default)]
pub struct Collector {
    pub is_open: bool,
    pub functions: Vec<Function>,
    pub said: Vec<(u8, Vec<u8>)>,
    next_callback: u64,
}

/// Where the machine keeps callbacks by their numbers.
const CALLBACKS: &str = "vedette.callbacks";
/// A library that says more is not heard.
const LINES_MAX: usize = 100;

/// Prepares a Lua state for libraries.
pub fn prepare(lua: &Lua) -> mlua::Result<()> {
    lua.set_app_data(Collector::default());
    lua.set_named_registry_value(CALLBACKS, lua.create_table()?)
}

pub fn callback(lua: &Lua, number: u64) -> mlua::Result<mlua::Function> {
    lua.named_registry_value::<Table>(CALLBACKS)?.raw_get(number)
}

pub fn forget(lua: &Lua, number: u64) {
    // Without memory for the access, the callback stays until the machine is built anew.
    if let Ok(callbacks) = lua.named_registry_value::<Table>(CALLBACKS) {
        let _ = callbacks.raw_set(number, Value::Nil);
    }
}

/// The names of one library: what it sees while it is loaded.
pub struct Names {
    /// The library's environment.
    pub table: Table,
    meta: Table,
}

impl Names {
    pub fn new(lua: &Lua) -> mlua::Result<Self> {
        let redis = lua.create_table()?;
        for (name, level) in [("LOG_DEBUG", 0), ("LOG_VERBOSE", 1), ("LOG_NOTICE", 2), ("LOG_WARNING", 3)] {
            redis.raw_set(name, level)?;
        }
        redis.raw_set("REDIS_VERSION", REDIS_VERSION)?;
        let number = REDIS_VERSION.split('.').filter_map(|part| part.parse::<u32>().ok());
        redis.raw_set("REDIS_VERSION_NUM", number.fold(0, |sum, part| sum << 8 | part))?;
        redis.raw_set("register_function", function(lua, register)?)?;
        redis.raw_set("log", function(lua, log)?)?;
        close(lua, &redis)?;
        let visible = lua.create_table()?;
        visible.raw_set("redis", face(lua, &redis)?.0)?;
        close(lua, &visible)?;
        let (table, meta) = face(lua, &visible)?;
        Ok(Names { table, meta })
    }

    /// From now on the names are those of `globals`.
    pub fn open(&self, globals: &Table) -> mlua::Result<()> {
        self.meta.raw_set("__index", globals)
    }
}

/// A name that is not there is an error.
fn close(lua: &Lua, table: &Table) -> mlua::Result<()> {
    let missing = function(lua, |_, arguments| -> Result<(), Failure> {
        let name = match arguments.string(2) {
            Ok(name) => name.to_string_lossy(),
            Err(_) => "?".to_owned(),
        };
        message(format!("Script attempted to access nonexistent global variable '{name}'"))
    })?;
    let meta = lua.create_table()?;
    meta.raw_set("__index", missing)?;
    meta.raw_set("__metatable", false)?;
    table.set_metatable(Some(meta))
}

/// An empty table that shows `real` and cannot be changed; and its metatable.
fn face(lua: &Lua, real: &Table) -> mlua::Result<(Table, Table)> {
    let refuse =
        function(lua, |_, _| -> Result<(), Failure> { message("Attempt to modify a readonly table") })?;
    let meta = lua.create_table()?;
    meta.raw_set("__index", real)?;
    meta.raw_set("__newindex", refuse)?;
    meta.raw_set("__metatable", false)?;
    let face = lua.create_table()?;
    face.set_metatable(Some(meta.clone()))?;
    Ok((face, meta))
}

/// An error as Redis' own functions raise them: a table.
fn fail<T>(lua: &Lua, text: &str) -> Result<T, Failure> {
    let error = lua.create_table()?;
    error.raw_set("err", format!("ERR {text}"))?;
    Err(Failure::Value(Value::Table(error)))
}

fn log(lua: &Lua, arguments: &Arguments<'_>) -> Result<(), Failure> {
    if arguments.len() < 2 {
        return fail(lua, "redis.log() requires two arguments or more.");
    }
    let level = match arguments.get(1) {
        Some(Value::Integer(level)) => *level,
        Some(Value::Number(level)) => *level as i64,
        _ => return fail(lua, "First argument must be a number (log level)."),
    };
    let Some(level) = u8::try_from(level).ok().filter(|level| *level <= 3) else {
        return fail(lua, "Invalid debug level.");
    };
    let words = (2..=arguments.len()).filter_map(|position| arguments.string(position).ok());
    let words: Vec<Vec<u8>> = words.map(|word| word.as_bytes().to_vec()).collect();
    if let Some(mut collector) = lua.app_data_mut::<Collector>()
        && collector.said.len() < LINES_MAX
    {
        collector.said.push((level, words.join(&b' ')));
    }
    Ok(())
}

/// `redis.register_function(name, callback)`, or with one table of named arguments.
fn register(lua: &Lua, arguments: &Arguments<'_>) -> Result<(), Failure> {
    if !lua.app_data_ref::<Collector>().is_some_and(|collector| collector.is_open) {
        return fail(lua, "redis.register_function can only be called on FUNCTION LOAD command");
    }
    let given = match arguments.len() {
        1 => named(lua, arguments)?,
        2 => positional(lua, arguments)?,
        _ => return fail(lua, "wrong number of arguments to redis.register_function"),
    };
    if !is_name(&given.name) {
        return fail(lua, BAD_NAME);
    }
    let name = String::from_utf8_lossy(&given.name).into_owned();
    let Some(mut collector) = lua.app_data_mut::<Collector>() else {
        return fail(lua, "redis.register_function can only be called on FUNCTION LOAD command");
    };
    if collector.functions.iter().any(|function| function.name == name) {
        drop(collector);
        return fail(lua, "Function already exists in the library");
    }
    collector.next_callback += 1;
    let number = collector.next_callback;
    collector.functions.push(Function {
        name,
        description: given.description,
        flags: given.flags,
        callback: number,
    });
    drop(collector);
    lua.named_registry_value::<Table>(CALLBACKS)?.raw_set(number, given.callback)?;
    Ok(())
}

struct Given {
    name: Vec<u8>,
    description: Option<Vec<u8>>,
    flags: Flags,
    callback: mlua::Function,
}

fn positional(lua: &Lua, arguments: &Arguments<'_>) -> Result<Given, Failure> {
    let Ok(name) = arguments.string(1) else {
        return fail(lua, "first argument to redis.register_function must be a string");
    };
    let Some(Value::Function(callback)) = arguments.get(2) else {
        return fail(lua, "second argument to redis.register_function must be a function");
    };
    let name = name.as_bytes().to_vec();
    Ok(Given { name, description: None, flags: Flags::NONE, callback: callback.clone() })
}

fn named(lua: &Lua, arguments: &Arguments<'_>) -> Result<Given, Failure> {
    let Some(Value::Table(table)) = arguments.get(1) else {
        return fail(
            lua,
            "calling redis.register_function with a single argument is only applicable to Lua table (representing named arguments).",
        );
    };
    let (mut name, mut description, mut callback, mut flags) = (None, None, None, Flags::NONE);
    for pair in table.pairs::<Value, Value>() {
        let (key, value) = pair?;
        let Some(key) = text(lua, &key)? else {
            return fail(lua, "named argument key given to redis.register_function is not a string");
        };
        match key.as_bytes().to_ascii_lowercase().as_slice() {
            b"function_name" => match text(lua, &value)? {
                Some(given) => name = Some(given.as_bytes().to_vec()),
                None => {
                    return fail(
                        lua,
                        "function_name argument given to redis.register_function must be a string",
                    );
                }
            },
            b"description" => match text(lua, &value)? {
                Some(given) => description = Some(given.as_bytes().to_vec()),
                None => {
                    return fail(
                        lua,
                        "description argument given to redis.register_function must be a string",
                    );
                }
            },
            b"callback" => match value {
                Value::Function(given) => callback = Some(given),
                _ => {
                    return fail(
                        lua,
                        "callback argument given to redis.register_function must be a function",
                    );
                }
            },
            b"flags" => {
                let Value::Table(names) = value else {
                    return fail(
                        lua,
                        "flags argument to redis.register_function must be a table representing function flags",
                    );
                };
                match read_flags(lua, &names)? {
                    Some(given) => flags = given,
                    None => return fail(lua, "unknown flag given"),
                }
            }
            _ => return fail(lua, "unknown argument given to redis.register_function"),
        }
    }
    let Some(name) = name else {
        return fail(lua, "redis.register_function must get a function name argument");
    };
    let Some(callback) = callback else {
        return fail(lua, "redis.register_function must get a callback argument");
    };
    Ok(Given { name, description, flags, callback })
}

/// A string, or a number as one.
fn text(lua: &Lua, value: &Value) -> Result<Option<LuaString>, Failure> {
    match value {
        Value::String(_) | Value::Integer(_) | Value::Number(_) => Ok(lua.coerce_string(value.clone())?),
        _ => Ok(None),
    }
}

/// `None`: one of them is not known.
fn read_flags(lua: &Lua, names: &Table) -> Result<Option<Flags>, Failure> {
    let mut flags = Flags::NONE;
    for index in 1.. {
        let value: Value = names.raw_get(index)?;
        if value.is_nil() {
            break;
        }
        let Some(name) = text(lua, &value)? else { return Ok(None) };
        if !flags.add(&name.as_bytes().to_ascii_lowercase()) {
            return Ok(None);
        }
    }
    Ok(Some(flags))
}
