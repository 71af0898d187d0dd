//! FUNCTION, FCALL and FCALL_RO.

use super::load::Patience;
use super::{Functions, help, register};
use crate::commands::CommandError;
use crate::rdb;
use crate::resp::Writer;
use crate::resp::spec::{Arity, MAY_REPLICATE, READONLY, STALE};
use crate::server::script::{Call, Kind, row};
use crate::server::{Server, ServerCommand};
use crate::session::Session;
use crate::session::client::unknown_subcommand;
use crate::stdx::number::parse_i64;
use crate::stdx::time::Now;
use mlua::MultiValue;

type Done = Result<(), CommandError>;

fn error(why: String) -> CommandError {
    CommandError::Text(format!("ERR {why}"))
}

impl Server {
    /// Whether what a session says was allowed where it came from: by a master, or before it came to
    /// the log.
    fn obeys(&self, session: &Session) -> bool {
        self.loading || session.id == 0
    }

    /// Why libraries cannot be changed here and now.
    fn refuse_library_change(&self, session: &Session, now: Now, grows: bool) -> Done {
        if self.obeys(session) {
            return Ok(());
        }
        let refusal = self.refuses_by_disk().or_else(|| self.replication.refuse_write(now));
        match refusal {
            Some(refusal) => Err(refusal),
            None if grows && self.is_out_of_memory() => {
                Err("OOM command not allowed when used memory > 'maxmemory'.".into())
            }
            None => Ok(()),
        }
    }

    fn patience(&self, session: &Session) -> Patience {
        if self.obeys(session) { Patience::unlimited() } else { Patience::limited(self.scripting.clock()) }
    }

    /// Libraries changed: the change counts and goes to replicas and the log.
    fn library_changed(&mut self, session: &Session, argv: &[&[u8]]) {
        self.propagation.writes += 1;
        self.stats.dirty += 1;
        self.feed(session.db, argv);
    }

    fn function_load(&mut self, session: &Session, argv: &[&[u8]], out: &mut Writer<'_>) -> Done {
        let Some((text, options)) = argv.get(2..).and_then(<[_]>::split_last) else {
            return Err(CommandError::Arity("function|load".into()));
        };
        let mut replace = false;
        for option in options {
            if !option.eq_ignore_ascii_case(b"replace") {
                return Err(error(format!("Unknown option given: {}", String::from_utf8_lossy(option))));
            }
            replace = true;
        }
        let patience = self.patience(session);
        let mut said = Vec::new();
        let result = self.functions.load(text, replace, patience, &mut said);
        self.tell_said(said);
        let name = result.map_err(error)?;
        self.library_changed(session, argv);
        out.bulk(name.as_bytes());
        Ok(())
    }

    fn function_restore(&mut self, session: &Session, argv: &[&[u8]], out: &mut Writer<'_>) -> Done {
        let policy = argv.get(3).copied().unwrap_or(b"append");
        let (replace, flush) = match policy.to_ascii_lowercase().as_slice() {
            b"append" => (false, false),
            b"replace" => (true, false),
            b"flush" => (false, true),
            _ => {
                return Err(error(
                    "Wrong restore policy given, value should be either FLUSH, APPEND or REPLACE.".to_owned(),
                ));
            }
        };
        let payload = argv.get(2).copied().unwrap_or_default();
        let texts = rdb::restore_functions(payload).map_err(|why| error(why.to_owned()))?;
        let mut said = Vec::new();
        let patience = || match self.loading || session.id == 0 {
            true => Patience::unlimited(),
            false => Patience::limited(self.scripting.clock()),
        };
        let result = {
            let mut functions = std::mem::take(&mut self.functions);
            let result = functions.join(&texts, replace, flush, patience, &mut said);
            self.functions = functions;
            result
        };
        self.tell_said(said);
        result.map_err(error)?;
        self.library_changed(session, argv);
        out.ok();
        Ok(())
    }

    fn call_function(
        &mut self,
        session: &mut Session,
        now: Now,
        argv: &[&[u8]],
        read_only: bool,
        out: &mut Writer<'_>,
    ) -> Done {
        const NOT_FOUND: &str = "ERR Function not found";
        let (name, count) = (argv[1], argv[2]);
        let (_, function) = self.functions.find(name).ok_or(NOT_FOUND)?;
        let (function, flags) = (function.clone(), function.flags);
        let count = parse_i64(count).ok_or("ERR Bad number of keys provided")?;
        let rest = &argv[3..];
        if count > rest.len() as i64 {
            return Err("ERR Number of keys can't be greater than number of args".into());
        }
        let count = usize::try_from(count).map_err(|_| "ERR Number of keys can't be negative")?;
        let (keys, args) = rest.split_at_checked(count).unwrap_or((rest, &[]));
        let machine = self.functions.machine.take().ok_or("ERR a script runs already")?;
        let call = (|| {
            let lua = &machine.world().lua;
            Ok::<_, mlua::Error>(Call {
                kind: Kind::Function,
                name: function.name.clone(),
                function: register::callback(lua, function.callback)?,
                args: MultiValue::from_vec(vec![
                    mlua::Value::Table(machine.list(keys)?),
                    mlua::Value::Table(machine.list(args)?),
                ]),
                flags,
                read_only,
            })
        })();
        let call = match call {
            Ok(call) => call,
            Err(why) => {
                self.functions.machine = Some(machine);
                return Err(error(why.to_string()));
            }
        };
        self.functions.request = argv.iter().map(|&word| word.into()).collect();
        self.run_script(session, now, machine, call, out)
    }
}

fn function(s: &mut Server, c: &mut Session, now: Now, argv: &[&[u8]], out: &mut Writer<'_>) -> Done {
    let word = argv[1].to_ascii_lowercase();
    let arity = |least: usize, most: usize| {
        let name = String::from_utf8_lossy(&word).into_owned();
        match argv.len() {
            count if (least..=most).contains(&count) => Ok(()),
            _ => Err(CommandError::Arity(format!("function|{name}"))),
        }
    };
    // What Redis says where a word follows that it does not expect.
    let surplus = || {
        let word = String::from_utf8_lossy(argv[1]);
        CommandError::Text(format!(
            "ERR unknown subcommand or wrong number of arguments for '{word}'. Try FUNCTION HELP."
        ))
    };
    match word.as_slice() {
        b"load" => {
            arity(3, usize::MAX)?;
            s.refuse_library_change(c, now, true)?;
            s.function_load(c, argv, out)
        }
        b"delete" => {
            arity(3, 3)?;
            s.refuse_library_change(c, now, false)?;
            let known = std::str::from_utf8(argv[2]).is_ok_and(|name| s.functions.delete(name));
            if !known {
                return Err("ERR Library not found".into());
            }
            s.library_changed(c, argv);
            out.ok();
            Ok(())
        }
        b"flush" => {
            s.refuse_library_change(c, now, false)?;
            if argv.len() > 3 {
                return Err(surplus());
            }
            // Either way it is done at once: what is dropped is small beside a data set.
            let known = argv
                .get(2)
                .is_none_or(|how| how.eq_ignore_ascii_case(b"sync") || how.eq_ignore_ascii_case(b"async"));
            if !known {
                return Err("ERR FUNCTION FLUSH only supports SYNC|ASYNC option".into());
            }
            s.functions = Functions::default();
            s.library_changed(c, argv);
            out.ok();
            Ok(())
        }
        b"restore" => {
            arity(3, usize::MAX)?;
            s.refuse_library_change(c, now, true)?;
            if argv.len() > 4 {
                return Err(surplus());
            }
            s.function_restore(c, argv, out)
        }
        b"dump" => {
            arity(2, 2)?;
            out.bulk(&rdb::dump_functions(s.functions.texts()));
            Ok(())
        }
        b"list" => s.list_functions(argv, out),
        b"stats" => {
            arity(2, 2)?;
            s.function_stats(out)
        }
        b"kill" => {
            arity(2, 2)?;
            s.kill_script(Kind::Function, out)
        }
        b"help" => {
            arity(2, 2)?;
            crate::session::client::help(out, help::LINES);
            Ok(())
        }
        _ => Err(unknown_subcommand("function", argv).into()),
    }
}

fn fcall(s: &mut Server, c: &mut Session, now: Now, argv: &[&[u8]], out: &mut Writer<'_>) -> Done {
    s.call_function(c, now, argv, false, out)
}

fn fcall_ro(s: &mut Server, c: &mut Session, now: Now, argv: &[&[u8]], out: &mut Writer<'_>) -> Done {
    s.call_function(c, now, argv, true, out)
}

use Arity::AtLeast;
pub const COMMANDS: &[ServerCommand] = &[
    // What of it writes is refused by itself where writes are refused: LIST is answered by replicas.
    row("function", AtLeast(2), MAY_REPLICATE, function, "Libraries of functions: LOAD, DELETE, LIST, ..."),
    row("fcall", AtLeast(3), STALE | MAY_REPLICATE, fcall, "Calls a function."),
    row("fcall_ro", AtLeast(3), STALE | READONLY, fcall_ro, "Calls a function that may not write."),
];
