//! EVAL, EVALSHA, their read-only sisters, and SCRIPT.

use super::machine::Machine;
use super::run::{Call, Kind};
use super::{Scripting, native, shebang};
use crate::commands::CommandError;
use crate::resp::Writer;
use crate::resp::spec::{Arity, CommandSpec, Flags as CommandFlags, MAY_REPLICATE, NO_KEYS, READONLY, STALE};
use crate::server::admin::help::SCRIPT;
use crate::server::{Handler, Server, ServerCommand};
use crate::session::Session;
use crate::session::client::{help, unknown_subcommand};
use crate::stdx::number::parse_i64;
use crate::stdx::sha1;
use crate::stdx::time::Now;
use mlua::{Function, MultiValue};

type Done = Result<(), CommandError>;

/// A script of the cache, compiled.
#[derive(Clone)]
pub struct Program {
    pub function: Function,
    pub flags: shebang::Flags,
    pub text_bytes: usize,
}

const NO_SCRIPT_TEXT: &str = "NOSCRIPT No matching script. Please use EVAL.";

impl Machine {
    /// The cached script of this digest, or the text compiled and cached.
    fn program(&mut self, digest: &str, text: Option<&[u8]>) -> Result<Program, CommandError> {
        if let Some(program) = self.programs.get(digest) {
            return Ok(program.clone());
        }
        let text = text.ok_or(NO_SCRIPT_TEXT)?;
        let (flags, code) = shebang::parse(text).map_err(CommandError::Text)?;
        let function = self
            .compile("@user_script", code)
            .map_err(|why| CommandError::Text(format!("ERR Error compiling script (new function): {why}")))?;
        let program = Program { function, flags, text_bytes: text.len() };
        self.programs.insert(digest.into(), program.clone());
        Ok(program)
    }
}

impl Server {
    fn eval_program(
        &mut self,
        session: &mut Session,
        now: Now,
        argv: &[&[u8]],
        (digest, text): (String, Option<&[u8]>),
        read_only: bool,
        out: &mut Writer<'_>,
    ) -> Done {
        let (keys, args) = split_keys(argv)?;
        let machine = self.scripting.machine()?;
        let program = machine.program(&digest, text)?;
        let set = |name: &str, words: &[&[u8]]| {
            let list = machine.list(words)?;
            machine.world().globals.raw_set(name, list)
        };
        set("KEYS", keys)
            .and_then(|()| set("ARGV", args))
            .map_err(|error| CommandError::Text(format!("ERR {}", native::text_of(&error))))?;
        let call = Call {
            kind: Kind::Eval,
            name: digest,
            function: program.function,
            args: MultiValue::new(),
            flags: program.flags,
            read_only,
        };
        let machine = self.scripting.machine.take().ok_or("ERR a script runs already")?;
        self.run_script(session, now, machine, call, out)
    }
}

/// Some of the words of a request.
pub type Words<'a> = &'a [&'a [u8]];

/// `numkeys key ... arg ...` from the third word on.
pub fn split_keys<'a>(argv: &'a [&'a [u8]]) -> Result<(Words<'a>, Words<'a>), CommandError> {
    let count = parse_i64(argv[2]).ok_or(CommandError::NotInteger)?;
    if count > argv.len() as i64 - 3 {
        return Err("ERR Number of keys can't be greater than number of args".into());
    }
    let count = usize::try_from(count).map_err(|_| "ERR Number of keys can't be negative")?;
    Ok(argv[3..].split_at(count))
}

fn eval_text(
    s: &mut Server,
    c: &mut Session,
    now: Now,
    argv: &[&[u8]],
    read_only: bool,
    out: &mut Writer<'_>,
) -> Done {
    split_keys(argv)?;
    s.eval_program(c, now, argv, (sha1::hex(argv[1]), Some(argv[1])), read_only, out)
}

fn eval_digest(
    s: &mut Server,
    c: &mut Session,
    now: Now,
    argv: &[&[u8]],
    read_only: bool,
    out: &mut Writer<'_>,
) -> Done {
    if argv[1].len() != 40 {
        return Err(NO_SCRIPT_TEXT.into());
    }
    let digest = String::from_utf8_lossy(argv[1]).to_ascii_lowercase();
    s.eval_program(c, now, argv, (digest, None), read_only, out)
}

fn eval(s: &mut Server, c: &mut Session, now: Now, argv: &[&[u8]], out: &mut Writer<'_>) -> Done {
    eval_text(s, c, now, argv, false, out)
}

fn eval_ro(s: &mut Server, c: &mut Session, now: Now, argv: &[&[u8]], out: &mut Writer<'_>) -> Done {
    eval_text(s, c, now, argv, true, out)
}

fn evalsha(s: &mut Server, c: &mut Session, now: Now, argv: &[&[u8]], out: &mut Writer<'_>) -> Done {
    eval_digest(s, c, now, argv, false, out)
}

fn evalsha_ro(s: &mut Server, c: &mut Session, now: Now, argv: &[&[u8]], out: &mut Writer<'_>) -> Done {
    eval_digest(s, c, now, argv, true, out)
}

fn script(s: &mut Server, _: &mut Session, _: Now, argv: &[&[u8]], out: &mut Writer<'_>) -> Done {
    let arity = |name: &str| Err(CommandError::Arity(format!("script|{name}")));
    match argv[1].to_ascii_lowercase().as_slice() {
        b"load" if argv.len() != 3 => return arity("load"),
        b"load" => {
            let digest = sha1::hex(argv[2]);
            s.scripting.machine()?.program(&digest, Some(argv[2]))?;
            out.bulk(digest.as_bytes());
        }
        b"exists" if argv.len() < 3 => return arity("exists"),
        b"exists" => {
            out.array(argv.len() - 2);
            for digest in &argv[2..] {
                let digest = String::from_utf8_lossy(digest).to_ascii_lowercase();
                out.integer(i64::from(s.scripting.has(&digest)));
            }
        }
        b"flush" => {
            // Either way it is done at once: what is dropped is small beside a data set.
            let how = argv
                .get(2)
                .is_none_or(|how| how.eq_ignore_ascii_case(b"sync") || how.eq_ignore_ascii_case(b"async"));
            if argv.len() > 3 || !how {
                return Err("ERR SCRIPT FLUSH only support SYNC|ASYNC option".into());
            }
            s.scripting.forget_machine();
            out.ok();
        }
        b"kill" if argv.len() != 2 => return arity("kill"),
        b"kill" => s.kill_script(Kind::Eval, out)?,
        b"debug" if argv.len() != 3 => return arity("debug"),
        b"debug" => {
            return Err("ERR SCRIPT DEBUG is not supported; scripts can be debugged on a redis-server of one's own, with redis-cli --ldb".into());
        }
        b"help" if argv.len() == 2 => help(out, SCRIPT),
        _ => return Err(unknown_subcommand("script", argv).into()),
    }
    Ok(())
}

impl Scripting {
    fn has(&self, digest: &str) -> bool {
        self.machine.as_ref().is_some_and(|machine| machine.programs.contains_key(digest))
    }

    /// Cached scripts, what their texts take, and what Lua takes.
    pub fn sizes(&self) -> (usize, usize, usize) {
        self.machine.as_ref().map_or((0, 0, 0), |machine| {
            let texts = machine.programs.values().map(|program| program.text_bytes).sum();
            (machine.programs.len(), texts, machine.used_bytes())
        })
    }
}

/// What all commands of scripts and functions share.
pub(in crate::server) const fn row(
    name: &'static str,
    arity: Arity,
    flags: CommandFlags,
    handler: Handler,
    summary: &'static str,
) -> ServerCommand {
    ServerCommand {
        spec: CommandSpec { name, arity, flags, keys: NO_KEYS, category: "@scripting", summary },
        handler,
    }
}

use Arity::AtLeast;
pub const COMMANDS: &[ServerCommand] = &[
    row("eval", AtLeast(3), STALE | MAY_REPLICATE, eval, "Runs a script."),
    row("evalsha", AtLeast(3), STALE | MAY_REPLICATE, evalsha, "Runs a cached script."),
    row("eval_ro", AtLeast(3), STALE | READONLY, eval_ro, "Runs a script that may not write."),
    row("evalsha_ro", AtLeast(3), STALE | READONLY, evalsha_ro, "Runs a cached script that may not write."),
    row("script", AtLeast(2), 0, script, "The cache of scripts, and the end of one that runs."),
];
