//! `math.random` and `math.randomseed` as Redis has them: one sequence for all scripts, the same after
//! every start. It serves repeatability, never secrecy.

use mlua::{Lua, Table, Value};
use std::cell::Cell;
use std::rc::Rc;

/// The 48 bits of POSIX `lrand48` before any seed.
pub const START: u64 = 0x1234_ABCD_330E;

fn next(state: &Cell<u64>) -> f64 {
    let value = state.get().wrapping_mul(0x5_DEEC_E66D).wrapping_add(0xB) & ((1 << 48) - 1);
    state.set(value);
    const MAX: u64 = 0x7FFF_FFFF;
    ((value >> 17) % MAX) as f64 / MAX as f64
}

/// Replaces the two functions in `math`; gives where the sequence stands.
pub fn install(lua: &Lua, math: &Table) -> mlua::Result<Rc<Cell<u64>>> {
    let state = Rc::new(Cell::new(START));
    let kept = state.clone();
    let seeded = state.clone();
    let random = super::native::placed(
        lua,
        lua.create_function(move |_, args: mlua::MultiValue| {
            let fraction = next(&state);
            let (low, high) = match args.len() {
                0 => return Ok(fraction),
                1 => (1.0, whole("random", 1, args.front())?),
                2 => (whole("random", 1, args.front())?, whole("random", 2, args.get(1))?),
                _ => return Err(mlua::Error::runtime("wrong number of arguments")),
            };
            if low > high {
                let at = args.len();
                return Err(mlua::Error::runtime(format!(
                    "bad argument #{at} to 'random' (interval is empty)"
                )));
            }
            Ok((fraction * (high - low + 1.0)).floor() + low)
        })?,
    )?;
    math.raw_set("random", random)?;
    let randomseed = lua.create_function(move |_, args: mlua::MultiValue| {
        let seed = whole("randomseed", 1, args.front())? as i64 as u32;
        seeded.set(u64::from(seed) << 16 | 0x330E);
        Ok(())
    })?;
    math.raw_set("randomseed", super::native::placed(lua, randomseed)?)?;
    Ok(kept)
}

fn whole(function: &str, at: usize, value: Option<&Value>) -> mlua::Result<f64> {
    let number = match value {
        Some(Value::Number(value)) => Some(*value),
        Some(Value::Integer(value)) => Some(*value as f64),
        Some(Value::String(text)) => text.to_str().ok().and_then(|text| text.trim().parse().ok()),
        _ => None,
    };
    let kind = value.map_or("no value", Value::type_name);
    number.map(f64::trunc).ok_or_else(|| {
        mlua::Error::runtime(format!("bad argument #{at} to '{function}' (number expected, got {kind})"))
    })
}
