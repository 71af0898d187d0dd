//! The libraries that scripts find beside Lua's own, as Redis 7.0 brings them: `cjson`, `cmsgpack`,
//! `struct` and `bit`. Each answers byte for byte as the C library of that name, error texts
//! included, and none can be made to overrun a buffer, the stack or the memory: what is built is
//! bounded, and nothing recurses deeper than a constant. They know nothing of the server.

mod bits;
mod json;
mod json_decode;
mod json_encode;
mod msgpack;
mod msgpack_decode;
pub mod native;
mod structs;
#[cfg(test)]
mod tests;

use mlua::Lua;

/// The largest text a library builds: as much as a value may hold.
const OUTPUT_BYTES_MAX: usize = 512 * 1024 * 1024;

/// The slots that Lua gives one C function (`LUAI_MAXCSTACK`): the depth limits of the C libraries,
/// which keep their work on that stack, follow from it.
const STACK_SLOTS: usize = 8000;

/// Sets the libraries as globals.
pub fn install(lua: &Lua) -> mlua::Result<()> {
    let globals = lua.globals();
    globals.raw_set("cjson", json::table(lua)?)?;
    globals.raw_set("cmsgpack", msgpack::table(lua)?)?;
    globals.raw_set("struct", structs::table(lua)?)?;
    globals.raw_set("bit", bits::table(lua)?)
}
