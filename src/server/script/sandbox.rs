//! The world that scripts see: Lua's base without what reaches out of it, Redis' own functions, and
//! nothing that one script could change for the next.

use super::link::Link;
use super::native::{self, Faces};
use super::{api, chance, libraries};
use mlua::{Lua, LuaOptions, StdLib, Table, Value};
use std::cell::Cell;
use std::rc::Rc;

/// What Lua may take of memory, beyond which scripts fail with "not enough memory".
pub const MEMORY_BYTES_MAX: usize = 512 << 20;

/// Of Lua's base; all else does not exist.
const BASE: &[&str] = &[
    "assert",
    "collectgarbage",
    "coroutine",
    "error",
    "gcinfo",
    "getmetatable",
    "ipairs",
    "load",
    "loadstring",
    "math",
    "next",
    "pairs",
    "pcall",
    "rawequal",
    "rawget",
    "rawset",
    "select",
    "setmetatable",
    "string",
    "table",
    "tonumber",
    "tostring",
    "type",
    "unpack",
    "xpcall",
    "_VERSION",
];

const LIBRARIES: [&str; 4] = ["bit", "cjson", "cmsgpack", "struct"];

/// One Lua state, closed.
pub struct World {
    pub lua: Lua,
    /// What a script's names are looked up in, behind its face: KEYS and ARGV are put here.
    pub globals: Table,
    pub xpcall: mlua::Function,
    /// Notes where an error was raised.
    pub handler: mlua::Function,
    pub link: Rc<Link>,
    /// Where its `math.random` stands.
    pub chance: Rc<Cell<u64>>,
}

/// Builds a world. `more` adds to the `redis` table what only one kind of script has.
pub fn build(more: impl FnOnce(&Lua, &Table) -> mlua::Result<()>) -> mlua::Result<World> {
    // Rust code that panics inside is a bug of ours and must not look like an error of the script.
    let options = LuaOptions::new().catch_rust_panics(false);
    let lua = Lua::new_with(StdLib::TABLE | StdLib::STRING | StdLib::MATH, options)?;
    let link = Rc::new(Link::default());
    let stock = lua.globals();
    let chance = chance::install(&lua, &stock.raw_get("math")?)?;
    native::patch(&lua, &stock)?;
    libraries::install(&lua)?;
    let xpcall: mlua::Function = stock.raw_get("xpcall")?;
    let faces = Faces::new(&lua)?;
    faces.guard(&lua, &stock)?;

    let globals = lua.create_table()?;
    for &name in BASE {
        let value: Value = stock.raw_get(name)?;
        globals.raw_set(name, behind_face(&lua, &faces, value)?)?;
    }
    let redis = api::table(&lua, &link)?;
    more(&lua, &redis)?;
    globals.raw_set("redis", faces.face(&lua, &redis)?)?;
    for name in LIBRARIES {
        if let Value::Table(library) = stock.raw_get(name)? {
            globals.raw_set(name, faces.face(&lua, &library)?)?;
        }
    }
    let handler = api::error_handler(&lua)?;
    globals.raw_set("__redis__err__handler", &handler)?;

    let face = faces.face(&lua, &globals)?;
    globals.raw_set("_G", &face)?;
    let missing = lua.create_table()?;
    missing.raw_set("__index", native::nonexistent_global(&lua)?)?;
    faces.metas.raw_set(&face, faces.face(&lua, &missing)?)?;
    globals.set_metatable(Some(missing))?;
    close_strings(&lua, &faces, &globals.raw_get("string")?)?;
    lua.set_globals(face)?;

    native::set_hook(&lua, &link)?;
    lua.set_memory_limit(MEMORY_BYTES_MAX)?;
    Ok(World { lua, globals, xpcall, handler, link, chance })
}

fn behind_face(lua: &Lua, faces: &Faces, value: Value) -> mlua::Result<Value> {
    match value {
        Value::Table(table) => faces.face(lua, &table).map(Value::Table),
        other => Ok(other),
    }
}

/// All strings share one metatable: what one script could do to it would be done to all
/// (CVE-2025-46818).
fn close_strings(lua: &Lua, faces: &Faces, string: &Table) -> mlua::Result<()> {
    let getmetatable: mlua::Function = lua.load("return function(s) return getmetatable(s) end").eval()?;
    let meta: Table = getmetatable.call("")?;
    meta.raw_set("__index", string)?;
    let shown = lua.create_table()?;
    shown.raw_set("__index", string)?;
    meta.raw_set("__metatable", faces.face(lua, &shown)?)
}
