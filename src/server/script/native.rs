//! What has to be a C function of Lua 5.1: the patches that Redis' own Lua carries, laid around the
//! stock functions, and the hook that lets a long script breathe. Here and in `machine` is all that is
//! unsafe about scripts.
//!
//! Everything here obeys one rule: an error of Lua jumps over the frames below it, so no value that
//! must be dropped may live in a function that can raise one.

use super::libraries::native::{Failure, failing};
use super::link::{Answer, Ask, Link};
use mlua::ffi::*;
use mlua::{Function, Lua, MultiValue, Table, Value};
use std::ffi::{CStr, c_int, c_void};
use std::rc::Rc;

/// Instructions between two breaths.
const BREATH_INSTRUCTIONS: c_int = 100_000;
const READONLY: &CStr = c"Attempt to modify a readonly table";

/// A function of Rust that may raise any value as its error, as `redis.call` raises a table. The
/// error's place is that of the caller.
pub fn raising<F>(lua: &Lua, run: F) -> mlua::Result<Function>
where
    F: Fn(&Lua, MultiValue) -> mlua::Result<Result<MultiValue, Value>> + 'static,
{
    failing(lua, move |lua, args| match run(lua, args) {
        Ok(Ok(values)) => Ok(values),
        Ok(Err(error)) => Err(Failure::Value(error)),
        Err(error) => Err(Failure::Bare(text_of(&error))),
    })
}

/// What a Rust error has to say to a script.
pub fn text_of(error: &mlua::Error) -> String {
    match error {
        mlua::Error::CallbackError { cause, .. } => text_of(cause),
        mlua::Error::RuntimeError(text) | mlua::Error::MemoryError(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A function of a library, whose Rust errors become texts with the place of the caller.
pub fn placed(lua: &Lua, function: Function) -> mlua::Result<Function> {
    failing(lua, move |_, args| function.call(args).map_err(|error| Failure::Message(text_of(&error))))
}

/// Closes `function` over `values`.
fn closure(lua: &Lua, function: lua_CFunction, values: impl mlua::IntoLuaMulti) -> mlua::Result<Function> {
    // SAFETY: the values given are on top of the stack and become the upvalues.
    unsafe {
        lua.exec_raw(values, |state| {
            let count = lua_gettop(state);
            lua_pushcclosure(state, function, count);
        })
    }
}

/// The tables that scripts may read and not change: each is an empty face that reads through to the
/// real one. `faces` maps a face to its real table, `metas` to what `getmetatable` shows of it.
pub struct Faces {
    pub faces: Table,
    pub metas: Table,
}

impl Faces {
    pub fn new(lua: &Lua) -> mlua::Result<Self> {
        Ok(Faces { faces: lua.create_table()?, metas: lua.create_table()? })
    }

    /// A face before `real`.
    pub fn face(&self, lua: &Lua, real: &Table) -> mlua::Result<Table> {
        let face = lua.create_table()?;
        let meta = lua.create_table()?;
        meta.raw_set("__index", real)?;
        meta.raw_set("__newindex", closure(lua, refuse_change, ())?)?;
        meta.raw_set("__metatable", false)?;
        face.set_metatable(Some(meta))?;
        self.faces.raw_set(&face, real)?;
        Ok(face)
    }

    /// The stock functions that could change a face, or would show it empty, made aware of faces.
    pub fn guard(&self, lua: &Lua, base: &Table) -> mlua::Result<()> {
        let table: Table = base.raw_get("table")?;
        for (home, name) in [(base, "rawset"), (base, "setmetatable")] {
            self.wrap(lua, home, name, refuse_face)?;
        }
        for name in ["insert", "remove", "sort", "setn"] {
            self.wrap(lua, &table, name, refuse_face)?;
        }
        for name in ["rawget", "next"] {
            self.wrap(lua, base, name, read_through)?;
        }
        for name in ["foreach", "foreachi"] {
            self.wrap(lua, &table, name, read_copy)?;
        }
        let next: Function = base.raw_get("next")?;
        let pairs: Function = base.raw_get("pairs")?;
        base.raw_set("pairs", closure(lua, pairs_of, (pairs, &self.faces, next))?)?;
        let getmetatable: Function = base.raw_get("getmetatable")?;
        base.raw_set("getmetatable", closure(lua, meta_of, (getmetatable, &self.faces, &self.metas))?)?;
        Ok(())
    }

    fn wrap(&self, lua: &Lua, home: &Table, name: &str, with: lua_CFunction) -> mlua::Result<()> {
        let stock: Function = home.raw_get(name)?;
        home.raw_set(name, closure(lua, with, (stock, &self.faces))?)
    }
}

/// Whether argument 1 is a face; then its real table is on the stack.
unsafe fn is_face(state: *mut lua_State) -> bool {
    // SAFETY: upvalue 2 is the table of faces in every function that calls this.
    unsafe {
        if lua_type(state, 1) != LUA_TTABLE {
            return false;
        }
        lua_pushvalue(state, 1);
        lua_rawget(state, lua_upvalueindex(2));
        if lua_type(state, -1) == LUA_TTABLE {
            return true;
        }
        lua_pop(state, 1);
        false
    }
}

/// The stock function of upvalue 1, in this very frame: its errors name the right place.
unsafe fn stock(state: *mut lua_State) -> c_int {
    // SAFETY: upvalue 1 is a C function that reads no upvalues of its own, which all of Lua's base,
    // table and string functions are that are wrapped here.
    unsafe {
        match lua_tocfunction(state, lua_upvalueindex(1)) {
            Some(function) => function(state),
            None => 0,
        }
    }
}

unsafe extern "C-unwind" fn refuse_face(state: *mut lua_State) -> c_int {
    // SAFETY: stack work only.
    unsafe {
        if is_face(state) {
            lua_pushstring(state, READONLY.as_ptr());
            lua_error(state);
        }
        stock(state)
    }
}

unsafe extern "C-unwind" fn read_through(state: *mut lua_State) -> c_int {
    // SAFETY: stack work only. The real table is handed to functions that return its fields, never itself.
    unsafe {
        if is_face(state) {
            lua_replace(state, 1);
        }
        stock(state)
    }
}

unsafe extern "C-unwind" fn read_copy(state: *mut lua_State) -> c_int {
    // SAFETY: stack work only.
    unsafe {
        if is_face(state) {
            let real = lua_gettop(state);
            lua_newtable(state);
            lua_pushnil(state);
            while lua_next(state, real) != 0 {
                lua_pushvalue(state, -2);
                lua_insert(state, -2);
                lua_rawset(state, real + 1);
            }
            lua_replace(state, 1);
            lua_settop(state, real - 1);
        }
        stock(state)
    }
}

unsafe extern "C-unwind" fn pairs_of(state: *mut lua_State) -> c_int {
    // SAFETY: stack work only; upvalue 3 is the `next` that reads through.
    unsafe {
        if is_face(state) {
            lua_pushvalue(state, lua_upvalueindex(3));
            lua_pushvalue(state, 1);
            lua_pushnil(state);
            return 3;
        }
        // The stock `pairs` keeps `next` as its own upvalue: what it does is done here.
        luaL_checktype(state, 1, LUA_TTABLE);
        lua_pushvalue(state, lua_upvalueindex(3));
        lua_pushvalue(state, 1);
        lua_pushnil(state);
        3
    }
}

unsafe extern "C-unwind" fn meta_of(state: *mut lua_State) -> c_int {
    // SAFETY: stack work only; upvalue 3 maps faces to what is shown.
    unsafe {
        if is_face(state) {
            lua_pushvalue(state, 1);
            lua_rawget(state, lua_upvalueindex(3));
            return 1;
        }
        stock(state)
    }
}

/// `__newindex` of a face.
unsafe extern "C-unwind" fn refuse_change(state: *mut lua_State) -> c_int {
    // SAFETY: stack work only.
    unsafe { fail(state, READONLY) }
}

/// Raises `text` behind the place of the caller.
unsafe fn fail(state: *mut lua_State, text: &CStr) -> c_int {
    // SAFETY: stack work only.
    unsafe {
        luaL_where(state, 1);
        lua_pushstring(state, text.as_ptr());
        lua_concat(state, 2);
        lua_error(state)
    }
}

/// `__index` of the real globals: there is no such name.
unsafe extern "C-unwind" fn nonexistent(state: *mut lua_State) -> c_int {
    // SAFETY: argument 2 is the key that was looked for.
    unsafe {
        luaL_where(state, 1);
        lua_pushstring(state, c"Script attempted to access nonexistent global variable '".as_ptr());
        if lua_isstring(state, 2) != 0 {
            lua_pushvalue(state, 2);
        } else {
            lua_pushstring(state, c"?".as_ptr());
        }
        lua_pushstring(state, c"'".as_ptr());
        lua_concat(state, 4);
        lua_error(state)
    }
}

pub fn nonexistent_global(lua: &Lua) -> mlua::Result<Function> {
    closure(lua, nonexistent, ())
}

/// Replaces stock functions by those that Redis' Lua has.
pub fn patch(lua: &Lua, base: &Table) -> mlua::Result<()> {
    let all: [(&str, lua_CFunction); 4] =
        [("pcall", pcall), ("unpack", unpack), ("loadstring", loadstring), ("load", load)];
    for (name, with) in all {
        let stock: Function = base.raw_get(name)?;
        base.raw_set(name, closure(lua, with, stock)?)?;
    }
    base.raw_set("collectgarbage", closure(lua, collectgarbage, ())?)
}

/// A caught error that is a table with `err` is shown as its text, as scripts of old expect it.
unsafe extern "C-unwind" fn pcall(state: *mut lua_State) -> c_int {
    // SAFETY: the stock function leaves `count` results on top, of which the first tells the outcome.
    unsafe {
        let count = stock(state);
        if count == 2 && lua_toboolean(state, -2) == 0 && lua_type(state, -1) == LUA_TTABLE {
            lua_pushstring(state, c"err".as_ptr());
            lua_rawget(state, -2);
            if lua_isstring(state, -1) != 0 {
                lua_replace(state, -2);
            } else {
                lua_pop(state, 1);
            }
        }
        count
    }
}

/// Its length is computed without overflow (CVE-2025-46817).
unsafe extern "C-unwind" fn unpack(state: *mut lua_State) -> c_int {
    // SAFETY: stack work only.
    unsafe {
        luaL_checktype(state, 1, LUA_TTABLE);
        let first = if lua_type(state, 2) <= LUA_TNIL { 1 } else { luaL_checkinteger(state, 2) as i64 };
        let last = if lua_type(state, 3) <= LUA_TNIL {
            lua_objlen(state, 1) as i64
        } else {
            luaL_checkinteger(state, 3) as i64
        };
        let (first, last) = (i64::from(first as i32), i64::from(last as i32));
        if last - first >= i64::from(LUAI_MAXCSTACK) {
            return fail(state, c"too many results to unpack");
        }
        stock(state)
    }
}

/// Whatever a C function of Lua can put on its stack.
const LUAI_MAXCSTACK: i32 = 8000;

/// No bytecode, and no garbage collection while the parser works: the name of the chunk is not held by
/// anything then (CVE-2025-49844).
unsafe extern "C-unwind" fn loadstring(state: *mut lua_State) -> c_int {
    // SAFETY: stack work only; the collector is started again by every script's begin, should the stock
    // function raise an error.
    unsafe {
        let mut length = 0;
        let bytes = luaL_checklstring(state, 1, &raw mut length);
        if lua_type(state, 2) <= LUA_TNIL {
            // The chunk's name is the text as it was given.
            lua_settop(state, 1);
            lua_pushvalue(state, 1);
        } else {
            luaL_checklstring(state, 2, std::ptr::null_mut());
        }
        if length > 0 && *bytes == 0x1b {
            // With a space before it, bytecode is text, and no good one.
            lua_pushstring(state, c" ".as_ptr());
            lua_pushvalue(state, 1);
            lua_concat(state, 2);
            lua_replace(state, 1);
        }
        lua_gc(state, LUA_GCSTOP, 0);
        let count = stock(state);
        lua_gc(state, LUA_GCRESTART, 0);
        count
    }
}

/// Collects the pieces first, for each alone may look harmless; upvalue 1 is not called.
unsafe extern "C-unwind" fn load(state: *mut lua_State) -> c_int {
    // SAFETY: stack work only; `lua_load` gets a buffer that the stack holds.
    unsafe {
        luaL_checktype(state, 1, LUA_TFUNCTION);
        if lua_type(state, 2) <= LUA_TNIL {
            lua_settop(state, 1);
            lua_pushstring(state, c"=(load)".as_ptr());
        } else {
            luaL_checklstring(state, 2, std::ptr::null_mut());
            lua_settop(state, 2);
        }
        // 3: what there is so far.
        lua_pushstring(state, c"".as_ptr());
        loop {
            lua_pushvalue(state, 1);
            lua_call(state, 0, 1);
            if lua_type(state, -1) == LUA_TNIL {
                break;
            }
            if lua_isstring(state, -1) == 0 {
                lua_pushnil(state);
                lua_pushstring(state, c"reader function must return a string".as_ptr());
                return 2;
            }
            let mut length = 0;
            lua_tolstring(state, -1, &raw mut length);
            if length == 0 {
                break;
            }
            lua_concat(state, 2);
        }
        lua_settop(state, 3);
        let mut length = 0;
        let mut bytes = lua_tolstring(state, 3, &raw mut length);
        if length > 0 && *bytes == 0x1b {
            lua_pushstring(state, c" ".as_ptr());
            lua_insert(state, 3);
            lua_concat(state, 2);
            bytes = lua_tolstring(state, 3, &raw mut length);
        }
        lua_gc(state, LUA_GCSTOP, 0);
        let status = luaL_loadbuffer(state, bytes, length, lua_tolstring(state, 2, std::ptr::null_mut()));
        lua_gc(state, LUA_GCRESTART, 0);
        if status == 0 {
            return 1;
        }
        lua_pushnil(state);
        lua_insert(state, -2);
        2
    }
}

/// What a script may ask of the collector. It is never left stopped or made lazy for those that follow.
unsafe extern "C-unwind" fn collectgarbage(state: *mut lua_State) -> c_int {
    // SAFETY: stack work only.
    unsafe {
        let word = if lua_type(state, 1) <= LUA_TNIL {
            c"collect"
        } else {
            CStr::from_ptr(luaL_checklstring(state, 1, std::ptr::null_mut()))
        };
        let result = match word.to_bytes() {
            b"collect" => f64::from(lua_gc(state, LUA_GCCOLLECT, 0)),
            b"count" => {
                let bytes = f64::from(lua_gc(state, LUA_GCCOUNTB, 0));
                f64::from(lua_gc(state, LUA_GCCOUNT, 0)) + bytes / 1024.0
            }
            b"step" => {
                let done = lua_gc(state, LUA_GCSTEP, 0);
                lua_pushboolean(state, done);
                return 1;
            }
            b"stop" | b"restart" => 0.0,
            b"setpause" | b"setstepmul" => 200.0,
            _ => {
                luaL_where(state, 1);
                lua_pushstring(state, c"bad argument #1 to 'collectgarbage' (invalid option '".as_ptr());
                lua_pushvalue(state, 1);
                lua_pushstring(state, c"')".as_ptr());
                lua_concat(state, 4);
                lua_error(state);
            }
        };
        lua_pushnumber(state, result);
        1
    }
}

/// Where the registry keeps the link.
static LINK_KEY: u8 = 0;

fn link_key() -> *mut c_void {
    (&raw const LINK_KEY).cast_mut().cast()
}

/// Lets every script of this state breathe through `link`, which must live as long as the state.
pub fn set_hook(lua: &Lua, link: &Rc<Link>) -> mlua::Result<()> {
    let link = Rc::as_ptr(link);
    // SAFETY: stack work only. Coroutines of scripts inherit the hook from whoever creates them.
    unsafe {
        lua.exec_raw::<()>((), |state| {
            lua_pushlightuserdata(state, link_key());
            lua_pushlightuserdata(state, link.cast_mut().cast());
            lua_rawset(state, LUA_REGISTRYINDEX);
            lua_sethook(state, Some(hook), LUA_MASKCOUNT, BREATH_INSTRUCTIONS);
        })
    }
}

/// The hook may have been left at every instruction by a script that was ended.
pub fn reset_hook(lua: &Lua) -> mlua::Result<()> {
    // SAFETY: nothing but the call.
    unsafe {
        lua.exec_raw::<()>((), |state| {
            lua_sethook(state, Some(hook), LUA_MASKCOUNT, BREATH_INSTRUCTIONS);
            lua_gc(state, LUA_GCRESTART, 0);
        })
    }
}

unsafe extern "C-unwind" fn hook(state: *mut lua_State, _: *mut lua_Debug) {
    // SAFETY: the registry holds what `set_hook` put there, and the link lives as long as the state.
    unsafe {
        lua_pushlightuserdata(state, link_key());
        lua_rawget(state, LUA_REGISTRYINDEX);
        let link = lua_touserdata(state, -1).cast::<Link>();
        lua_pop(state, 1);
        if link.is_null() {
            return;
        }
        if must_die(&*link) {
            lua_sethook(state, Some(hook), LUA_MASKCOUNT, 1);
            lua_createtable(state, 0, 1);
            lua_pushstring(state, c"err".as_ptr());
            lua_pushstring(state, c"ERR Script killed by user with SCRIPT KILL.".as_ptr());
            lua_rawset(state, -3);
            lua_error(state);
        }
    }
}

/// Apart, so that what is dropped is dropped before anything is raised.
fn must_die(link: &Link) -> bool {
    link.is_dying() || matches!(link.ask(Ask::Breath), Some(Answer::Die))
}
