//! COMMAND: what the table knows of every command, in Redis' shape where Redis has it too.

use super::super::Server;
use super::interface::{self, KeySpec};
use super::keys;
use crate::commands::CommandError;
use crate::resp::Writer;
use crate::resp::spec::{CommandSpec, FLAG_NAMES};
use crate::session::Session;
use crate::session::client::{help, unknown_subcommand};
use crate::stdx::glob;
use crate::stdx::time::Now;

type Done = Result<(), CommandError>;

pub(super) fn command(
    server: &mut Server,
    _: &mut Session,
    _: Now,
    argv: &[&[u8]],
    out: &mut Writer<'_>,
) -> Done {
    let Some(subcommand) = argv.get(1) else {
        all_rows(server, out);
        return Ok(());
    };
    let arity = |fits: bool, name: &str| {
        if fits { Ok(()) } else { Err(CommandError::Arity(format!("command|{name}"))) }
    };
    match subcommand.to_ascii_lowercase().as_slice() {
        b"count" => {
            arity(argv.len() == 2, "count")?;
            out.integer(server.table.len() as i64);
        }
        b"info" if argv.len() > 2 => {
            out.array(argv.len() - 2);
            for name in &argv[2..] {
                let name = String::from_utf8_lossy(name).to_lowercase();
                match (server.table.spec_of(name.as_bytes()), is_known(server, &name)) {
                    (Some(spec), _) => row(spec, out),
                    (None, true) => match interface::find(&name) {
                        Some(line) => line.info(out),
                        None => out.null(),
                    },
                    (None, false) => out.null(),
                }
            }
        }
        b"info" => all_rows(server, out),
        b"list" => list(server, &argv[2..], out)?,
        b"docs" => docs(server, &argv[2..], out),
        b"getkeys" => {
            arity(argv.len() > 3, "getkeys")?;
            let (.., positions) = keys_of(server, &argv[2..])?;
            out.array(positions.len());
            positions.into_iter().for_each(|position| out.bulk(argv[2 + position]));
        }
        b"getkeysandflags" => {
            arity(argv.len() > 3, "getkeysandflags")?;
            keys_and_flags(server, &argv[2..], out)?;
        }
        b"help" => help(
            out,
            &[
                "COMMAND <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
                "(no subcommand)",
                "    Return details about all Redis commands.",
                "COUNT",
                "    Return the total number of commands in this Redis server.",
                "LIST",
                "    Return a list of all commands in this Redis server.",
                "INFO [<command-name> ...]",
                "    Return details about multiple Redis commands.",
                "    If no command names are given, documentation details for all",
                "    commands are returned.",
                "DOCS [<command-name> ...]",
                "    Return documentation details about multiple Redis commands.",
                "    If no command names are given, documentation details for all",
                "    commands are returned.",
                "GETKEYS <full-command>",
                "    Return the keys from a full Redis command.",
                "GETKEYSANDFLAGS <full-command>",
                "    Return the keys and the access flags from a full Redis command.",
                "HELP",
                "    Prints this help.",
            ],
        ),
        _ => return Err(unknown_subcommand("command", argv).into()),
    }
    Ok(())
}

/// A subcommand is known where its container is.
fn is_known(server: &Server, name: &str) -> bool {
    let container = name.split_once('|').map_or(name, |(container, _)| container);
    server.table.spec_of(container.as_bytes()).is_some()
}

fn all_rows(server: &Server, out: &mut Writer<'_>) {
    out.array(server.table.len());
    server.table.iter().for_each(|entry| row(&entry.spec, out));
}

fn row(spec: &CommandSpec, out: &mut Writer<'_>) {
    if let Some(line) = interface::find(spec.name) {
        line.info(out);
        return;
    }
    out.array(10);
    out.bulk(spec.name.as_bytes());
    out.integer(spec.arity.as_redis());
    let flags: Vec<_> = FLAG_NAMES.iter().filter(|(flag, _)| spec.has(*flag)).collect();
    out.set(flags.len());
    flags.iter().for_each(|(_, name)| out.simple(name));
    out.integer(spec.keys.first as i64);
    out.integer(spec.keys.last as i64);
    out.integer(if spec.keys.first == 0 { 0 } else { spec.keys.step as i64 });
    out.set(1);
    out.simple(spec.category);
    // Tips, key specifications, subcommands.
    (0..3).for_each(|_| out.set(0));
}

/// What is told of a request's command, and where its keys are. A container is its subcommand here.
fn keys_of(
    server: &Server,
    argv: &[&[u8]],
) -> Result<(CommandSpec, Vec<KeySpec<'static>>, Vec<usize>), CommandError> {
    let unknown = || CommandError::from("ERR Invalid command specified");
    let spec = *server.table.spec_of(argv[0]).ok_or_else(unknown)?;
    let is_container = interface::subcommands(spec.name).next().is_some();
    let line = match argv.get(1) {
        Some(word) if is_container => {
            let name = format!("{}|{}", spec.name, String::from_utf8_lossy(word).to_lowercase());
            Some(interface::find(&name).ok_or_else(unknown)?)
        }
        _ => interface::find(spec.name),
    };
    let specs = line.map(|line| line.key_specs()).unwrap_or_default();
    if specs.is_empty() && (is_container || spec.keys.first == 0) {
        return Err("ERR The command has no key arguments".into());
    }
    if !line.map_or(spec.arity.accepts(argv.len()), |line| line.arity().accepts(argv.len())) {
        return Err("ERR Invalid number of arguments specified for command".into());
    }
    let miscounted =
        |one: &KeySpec<'_>| one.is_counted() && one.positions(argv).is_none_or(|keys| keys.is_empty());
    let positions = match specs.iter().any(miscounted) {
        // No key is announced, or more than there are.
        true => Vec::new(),
        false => keys::positions(&spec, argv),
    };
    if positions.is_empty() && line.is_none_or(|line| !line.has_flag("no_mandatory_keys")) {
        return Err("ERR Invalid arguments specified for command".into());
    }
    Ok((spec, specs, positions))
}

fn keys_and_flags(server: &Server, argv: &[&[u8]], out: &mut Writer<'_>) -> Done {
    let (spec, specs, positions) = keys_of(server, argv)?;
    let flags_of = |position: usize| -> Vec<&str> {
        let reads = |words: &[&str]| {
            argv[1..].iter().any(|word| words.iter().any(|name| word.eq_ignore_ascii_case(name.as_bytes())))
        };
        match spec.name {
            _ if specs.iter().any(|one| one.is_counted_loosely(argv)) => Vec::new(),
            // These say only in their words whether they read.
            "set"
                if argv.get(3..).is_some_and(|rest| rest.iter().any(|w| w.eq_ignore_ascii_case(b"get"))) =>
            {
                vec!["RW", "access", "update"]
            }
            "set" => vec!["OW", "update"],
            "bitfield" if !reads(&["set", "incrby"]) => vec!["RO", "access"],
            "bitfield" => vec!["RW", "access", "update"],
            _ => {
                let holds =
                    |one: &&KeySpec<'_>| one.positions(argv).is_some_and(|found| found.contains(&position));
                // Where no specification says, it is the destination of a STORE.
                let found = specs.iter().find(holds).map(|one| one.flags.clone());
                found.unwrap_or_else(|| vec!["OW", "update"])
            }
        }
    };
    out.array(positions.len());
    for position in positions {
        let flags: Vec<&str> = flags_of(position).into_iter().filter(|flag| *flag != "incomplete").collect();
        out.array(2);
        out.bulk(argv[position]);
        out.set(flags.len());
        flags.iter().for_each(|flag| out.simple(flag));
    }
    Ok(())
}

fn list(server: &Server, filter: &[&[u8]], out: &mut Writer<'_>) -> Done {
    let mut names: Vec<(&str, Vec<&str>)> = Vec::new();
    for entry in server.table.iter() {
        let line = interface::find(entry.spec.name);
        let own = || vec![entry.spec.category.trim_start_matches('@')];
        names.push((entry.spec.name, line.map_or_else(own, |line| line.categories())));
        names.extend(interface::subcommands(entry.spec.name).map(|line| (line.name(), line.categories())));
    }
    match filter {
        [] => {}
        [by, kind, value] if by.eq_ignore_ascii_case(b"filterby") => {
            match kind.to_ascii_lowercase().as_slice() {
                b"pattern" => names.retain(|(name, _)| glob::matches(value, name.as_bytes())),
                b"aclcat" => names.retain(|(_, categories)| {
                    categories.iter().any(|category| value.eq_ignore_ascii_case(category.as_bytes()))
                }),
                b"module" => names.clear(),
                _ => return Err(CommandError::Syntax),
            }
        }
        _ => return Err(CommandError::Syntax),
    }
    out.array(names.len());
    names.iter().for_each(|(name, _)| out.bulk(name.as_bytes()));
    Ok(())
}

fn docs(server: &Server, names: &[&[u8]], out: &mut Writer<'_>) {
    let names: Vec<String> = if names.is_empty() {
        server.table.iter().map(|entry| entry.spec.name.to_owned()).collect()
    } else {
        let names = names.iter().map(|name| String::from_utf8_lossy(name).to_lowercase());
        let has = |name: &String| {
            server.table.spec_of(name.as_bytes()).is_some()
                || name.contains('|') && is_known(server, name) && interface::find(name).is_some()
        };
        names.filter(has).collect()
    };
    out.map(names.len());
    for name in names {
        out.bulk(name.as_bytes());
        let spec = server.table.spec_of(name.as_bytes());
        let summary = spec.map_or("A form of its command.", |spec| spec.summary);
        match (interface::find(&name), spec) {
            (Some(line), _) => line.docs(summary, out),
            (None, spec) => {
                out.map(2);
                out.bulk(b"summary");
                out.bulk(summary.as_bytes());
                out.bulk(b"group");
                out.bulk(spec.map_or("generic", |spec| spec.category.trim_start_matches('@')).as_bytes());
            }
        }
    }
}
