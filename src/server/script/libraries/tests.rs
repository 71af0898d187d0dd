//! Snippets whose answers were recorded from redis-server 7.0.15 (`recorded.txt`: a line of Lua, then
//! what it showed). `redis-server` itself is asked about generated ones in tests/differential.

use mlua::{Lua, LuaOptions, StdLib};

/// Shows any value as one line: what `recorded.txt` was written with, too.
const SHOW: &str = include_str!("show.lua");

fn shown(lua: &Lua, snippet: &str) -> String {
    let script = format!("{} return show(pcall(function() {snippet} end))", SHOW.trim_end());
    lua.load(script).set_name("@user_script").eval::<String>().unwrap()
}

#[test]
fn libraries_answer_as_recorded() {
    let mut different = Vec::new();
    let mut lines = include_str!("recorded.txt").lines();
    while let (Some(snippet), Some(answer)) = (lines.next(), lines.next()) {
        let lua = Lua::new_with(StdLib::TABLE | StdLib::STRING | StdLib::MATH, LuaOptions::new()).unwrap();
        super::install(&lua).unwrap();
        let got = shown(&lua, snippet);
        if got != answer {
            different.push(format!("{snippet}\n  Redis   {answer}\n  Vedette {got}"));
        }
    }
    assert!(different.is_empty(), "{} differ:\n{}", different.len(), different.join("\n"));
}
