//! A Lua state and the stack that its scripts stand on. A running script is a value: it is resumed with
//! an answer and comes back with its next question or its result, so that the engine can leave a long
//! one alone for a while, and no script ever holds a reference into the server.
//!
//! Has never heard of a key, a session or a clock.

use super::link::{Answer, Ask};
use super::sandbox::World;
use corosensei::stack::DefaultStack;
use corosensei::{Coroutine, CoroutineResult};
use mlua::{Function, MultiValue, Table, Value};
use std::collections::BTreeMap;

/// As much as a main thread has; pages that were never touched cost nothing.
const STACK_BYTES: usize = 8 << 20;

type Running = Coroutine<Answer, Ask, Outcome, DefaultStack>;

/// How a script ended.
pub enum Outcome {
    Returned(Value),
    Failed(Failure),
}

/// An error that nobody in the script caught.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Begins with its code.
    pub text: String,
    /// Chunk and line, as `@user_script:1`.
    pub place: Option<String>,
}

/// What a script does next.
pub enum Step {
    Asks(Ask),
    Ends(Outcome),
}

pub struct Machine {
    world: World,
    stack: Option<DefaultStack>,
    running: Option<Running>,
    /// Scripts of EVAL by their digest.
    pub programs: BTreeMap<Box<str>, super::eval::Program>,
}

// SAFETY: the engine's lock lets one thread at a time reach a machine. Nothing in it belongs to a
// thread: Lua keeps no thread-local state, `mlua` is built without locks and keeps none either, and a
// stack that is left in the middle of a script holds frames of Lua, of `mlua` and of this folder only,
// none of which looks at its thread.
unsafe impl Send for Machine {}

impl Machine {
    pub fn new(world: World) -> std::io::Result<Self> {
        Ok(Machine {
            world,
            stack: Some(DefaultStack::new(STACK_BYTES)?),
            running: None,
            programs: BTreeMap::new(),
        })
    }

    pub fn world(&self) -> &World {
        &self.world
    }

    /// Text to a function; the error is the parser's. Bytecode is text of a bad kind.
    pub fn compile(&self, name: &str, text: &[u8]) -> Result<Function, String> {
        let lua = &self.world.lua;
        // The parser of Lua 5.1 does not hold the chunk's name against the collector (CVE-2025-49844).
        lua.gc_stop();
        let function = lua.load(text).set_name(name).set_mode(mlua::chunk::ChunkMode::Text).into_function();
        lua.gc_restart();
        function.map_err(|error| match error {
            mlua::Error::SyntaxError { message, .. } => message,
            other => super::native::text_of(&other),
        })
    }

    /// A table of strings, as KEYS and ARGV are.
    pub fn list(&self, words: &[&[u8]]) -> mlua::Result<Table> {
        let lua = &self.world.lua;
        let table = lua.create_table_with_capacity(words.len(), 0)?;
        for (index, word) in words.iter().enumerate() {
            table.raw_set(index + 1, lua.create_string(word)?)?;
        }
        Ok(table)
    }

    pub fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// Begins a script, and runs it up to its first question.
    pub fn start(&mut self, function: Function, args: MultiValue) -> Result<Step, String> {
        debug_assert!(self.running.is_none());
        super::native::reset_hook(&self.world.lua).map_err(|error| super::native::text_of(&error))?;
        let stack = match self.stack.take() {
            Some(stack) => stack,
            None => DefaultStack::new(STACK_BYTES)
                .map_err(|error| format!("ERR no memory for the stack of a script: {error}"))?,
        };
        let function = if args.is_empty() {
            function
        } else {
            function.bind(args).map_err(|error| super::native::text_of(&error))?
        };
        let (xpcall, handler) = (self.world.xpcall.clone(), self.world.handler.clone());
        let link = self.world.link.clone();
        let running = Coroutine::with_stack(stack, move |voice: &super::link::Voice, _: Answer| {
            outcome(link.during(voice, || xpcall.call::<MultiValue>((function, handler))))
        });
        self.running = Some(running);
        Ok(self.resume(Answer::Yes))
    }

    /// Goes on with the answer to the last question.
    pub fn resume(&mut self, answer: Answer) -> Step {
        let Some(mut running) = self.running.take() else {
            return Step::Ends(Outcome::Failed(Failure {
                text: "ERR no script runs".to_owned(),
                place: None,
            }));
        };
        match running.resume(answer) {
            CoroutineResult::Yield(ask) => {
                self.running = Some(running);
                Step::Asks(ask)
            }
            CoroutineResult::Return(outcome) => {
                self.stack = Some(running.into_stack());
                Step::Ends(outcome)
            }
        }
    }

    /// A script that filled the memory must not leave its garbage to the next: Lua 5.1 does not
    /// collect when memory runs out.
    pub fn tidy(&self) {
        if self.used_bytes() > super::sandbox::MEMORY_BYTES_MAX / 4 {
            // Twice: what has a finalizer goes in the second round. An error of a finalizer is no concern here.
            let _ = self.world.lua.gc_collect();
            let _ = self.world.lua.gc_collect();
        }
    }

    pub fn used_bytes(&self) -> usize {
        self.world.lua.used_memory()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // The frames of a script in the middle cannot be unwound, and the process ends.
        std::mem::forget(self.running.take());
    }
}

fn outcome(result: mlua::Result<MultiValue>) -> Outcome {
    let mut values = match result {
        Ok(values) => values,
        Err(error) => {
            let text = format!("ERR {}", super::native::text_of(&error));
            return Outcome::Failed(Failure { text, place: None });
        }
    };
    let fine = matches!(values.pop_front(), Some(Value::Boolean(true)));
    let value = values.pop_front().unwrap_or(Value::Nil);
    if fine {
        return Outcome::Returned(value);
    }
    Outcome::Failed(match value {
        Value::Table(table) => {
            let text = match table.raw_get("err") {
                Ok(Value::String(text)) => text.to_string_lossy(),
                _ => "ERR unknown error".to_owned(),
            };
            let source = table.raw_get::<Option<mlua::LuaString>>("source").ok().flatten();
            let line = table.raw_get::<Option<i64>>("line").ok().flatten();
            let place = source.zip(line).map(|(source, line)| format!("{}:{line}", source.to_string_lossy()));
            Failure { text, place }
        }
        // Out of memory: the handler is not asked.
        Value::String(text) => Failure { text: format!("ERR {}", text.to_string_lossy()), place: None },
        _ => Failure { text: "ERR unknown error".to_owned(), place: None },
    })
}
