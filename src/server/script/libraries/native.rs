//! Functions for scripts that fail as functions written in C fail: with a Lua string that begins with
//! the place in the script, which `pcall` returns and a script may compare.
//!
//! An error that a Rust function returns reaches a script as a userdata of the binding, without the
//! place, and wrapping the function in Lua would name the wrapper's place instead of the script's (a
//! tail call leaves no frame to point at). So one C function stands between: it calls the Rust
//! function, which tells how it ended by its first result, and raises what is to be raised. It knows
//! nothing of what the functions do.

use mlua::ffi;
use mlua::{Function, IntoLuaMulti, Lua, LuaString, MultiValue, Value};
use std::ffi::c_int;

/// How a function of a library fails.
#[derive(Debug)]
pub enum Failure {
    /// `bad argument #position to 'name' (message)`, as `luaL_argerror` says it.
    Argument { position: usize, message: String },
    /// The message behind the place, as `luaL_error` says it.
    Message(String),
    /// The message alone, as the virtual machine says it of a C function.
    Bare(String),
    /// Any value, raised as it is.
    Value(Value),
    /// Lua itself: out of memory, or of the places where the binding holds values.
    Lua(mlua::Error),
}

impl From<mlua::Error> for Failure {
    fn from(error: mlua::Error) -> Self {
        Failure::Lua(error)
    }
}

pub fn argument<T>(position: usize, message: impl Into<String>) -> Result<T, Failure> {
    Err(Failure::Argument { position, message: message.into() })
}

pub fn message<T>(message: impl Into<String>) -> Result<T, Failure> {
    Err(Failure::Message(message.into()))
}

const DONE: i64 = 0;
const ARGUMENT: i64 = 1;
const MESSAGE: i64 = 2;
const BARE: i64 = 3;

/// Makes `function` callable by scripts.
pub fn function<R: IntoLuaMulti>(
    lua: &Lua,
    function: impl Fn(&Lua, &Arguments) -> Result<R, Failure> + 'static,
) -> mlua::Result<Function> {
    failing(lua, move |lua, values| {
        let arguments = Arguments { lua, values: values.into_vec() };
        Ok(function(lua, &arguments)?.into_lua_multi(lua)?)
    })
}

/// The same for one that takes its arguments as they are.
pub fn failing(
    lua: &Lua,
    run: impl Fn(&Lua, MultiValue) -> Result<MultiValue, Failure> + 'static,
) -> mlua::Result<Function> {
    let inner = lua.create_function(move |lua, values: MultiValue| {
        let (how, mut results) = match run(lua, values) {
            Ok(results) => (DONE, results),
            Err(Failure::Argument { position, message }) => {
                let position = i64::try_from(position).unwrap_or(0);
                (ARGUMENT, (message, position).into_lua_multi(lua)?)
            }
            Err(Failure::Message(message)) => (MESSAGE, message.into_lua_multi(lua)?),
            Err(Failure::Bare(message)) => (BARE, message.into_lua_multi(lua)?),
            Err(Failure::Value(value)) => (BARE, value.into_lua_multi(lua)?),
            Err(Failure::Lua(mlua::Error::StackError)) => {
                (MESSAGE, "stack overflow (too many values at once)".into_lua_multi(lua)?)
            }
            Err(Failure::Lua(error)) => return Err(error),
        };
        results.push_front(Value::Integer(how));
        Ok(results)
    })?;
    // SAFETY: runs protected with `inner` as the one value on the stack, which it replaces by the closure.
    unsafe { lua.exec_raw(inner, |state| ffi::lua_pushcclosure(state, call, 1)) }
}

/// The C function between: upvalue 1 is the Rust function. Its frame holds nothing to be dropped, so
/// an error may unwind over it by a long jump.
unsafe extern "C-unwind" fn call(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: `state` is the running one; a C function has 20 free slots above its arguments, of which
    // this uses two and what the results take, which `lua_call` makes room for. Indices are of values
    // just put there; messages come from strings of this stack, which live until the error is raised.
    unsafe {
        let arguments = ffi::lua_gettop(state);
        ffi::lua_pushvalue(state, ffi::lua_upvalueindex(1));
        ffi::lua_insert(state, 1);
        ffi::lua_call(state, arguments, ffi::LUA_MULTRET);
        match ffi::lua_tointeger(state, 1) {
            ARGUMENT => {
                let position = c_int::try_from(ffi::lua_tointeger(state, 3)).unwrap_or(0);
                ffi::luaL_argerror(state, position, ffi::lua_tostring(state, 2))
            }
            MESSAGE => {
                ffi::luaL_where(state, 1);
                ffi::lua_pushvalue(state, 2);
                ffi::lua_concat(state, 2);
                ffi::lua_error(state);
            }
            BARE => {
                ffi::lua_pushvalue(state, 2);
                ffi::lua_error(state);
            }
            _ => ffi::lua_gettop(state) - 1,
        }
    }
}

/// What a function was called with, read by the rules of Lua's auxiliary library.
pub struct Arguments<'a> {
    lua: &'a Lua,
    values: Vec<Value>,
}

impl Arguments<'_> {
    pub fn len(&self) -> usize {
        self.values.len()
    }

    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// By position from 1.
    pub fn get(&self, position: usize) -> Option<&Value> {
        self.values.get(position.checked_sub(1)?)
    }

    pub fn values(&self) -> &[Value] {
        &self.values
    }

    pub fn is_nil(&self, position: usize) -> bool {
        self.get(position).is_none_or(Value::is_nil)
    }

    /// A string, or a number as a string.
    pub fn string(&self, position: usize) -> Result<LuaString, Failure> {
        if let Some(value @ (Value::String(_) | Value::Integer(_) | Value::Number(_))) = self.get(position)
            && let Some(text) = self.lua.coerce_string(value.clone())?
        {
            return Ok(text);
        }
        argument(position, self.expected("string", position, "no value"))
    }

    /// A number, or a string that reads as one.
    pub fn number(&self, position: usize) -> Result<f64, Failure> {
        match self.number_or_none(position)? {
            Some(number) => Ok(number),
            None => argument(position, self.expected("number", position, "no value")),
        }
    }

    pub fn number_or_none(&self, position: usize) -> Result<Option<f64>, Failure> {
        Ok(match self.get(position) {
            Some(Value::Integer(number)) => Some(*number as f64),
            Some(Value::Number(number)) => Some(*number),
            Some(value @ Value::String(_)) => self.lua.coerce_number(value.clone())?,
            _ => None,
        })
    }

    /// A number cut to an integer as C cuts it.
    pub fn integer(&self, position: usize) -> Result<i64, Failure> {
        Ok(to_signed(self.number(position)?))
    }

    pub fn integer_or(&self, position: usize, default: i64) -> Result<i64, Failure> {
        if self.is_nil(position) { Ok(default) } else { self.integer(position) }
    }

    pub fn expected(&self, wanted: &str, position: usize, absent: &'static str) -> String {
        format!("{wanted} expected, got {}", self.get(position).map_or(absent, type_name))
    }
}

/// The type as Lua names it.
pub fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Integer(_) | Value::Number(_) => "number",
        Value::LightUserData(_) => "userdata",
        other => other.type_name(),
    }
}

/// A double cut to 64 bits by the processor: what does not fit becomes the smallest.
pub fn to_signed(number: f64) -> i64 {
    if (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&number) {
        number as i64
    } else {
        i64::MIN
    }
}
