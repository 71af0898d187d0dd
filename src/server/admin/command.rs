//! COMMAND: what the table knows of every command.

use super::super::Server;
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
        out.array(server.table.len());
        server.table.iter().for_each(|entry| row(&entry.spec, out));
        return Ok(());
    };
    match subcommand.to_ascii_lowercase().as_slice() {
        b"count" => out.integer(server.table.len() as i64),
        b"info" if argv.len() > 2 => {
            out.array(argv.len() - 2);
            for name in &argv[2..] {
                match server.table.spec_of(name) {
                    Some(spec) => row(spec, out),
                    None => out.null_array(),
                }
            }
        }
        b"info" => {
            out.array(server.table.len());
            server.table.iter().for_each(|entry| row(&entry.spec, out));
        }
        b"list" => list(server, &argv[2..], out)?,
        b"docs" => docs(server, &argv[2..], out),
        b"getkeys" if argv.len() > 2 => {
            let spec = server.table.spec_of(argv[2]).ok_or("ERR Invalid command specified")?;
            if !spec.arity.accepts(argv.len() - 2) {
                return Err("ERR Invalid number of arguments specified for command".into());
            }
            let positions = keys::positions(spec, &argv[2..]);
            if positions.is_empty() {
                return Err("ERR The command has no key arguments".into());
            }
            out.array(positions.len());
            positions.into_iter().for_each(|position| out.bulk(argv[2 + position]));
        }
        b"help" => help(out, &["COMMAND [COUNT|INFO|LIST|DOCS|GETKEYS] [<arg> ...]"]),
        _ => return Err(unknown_subcommand("command", argv).into()),
    }
    Ok(())
}

fn row(spec: &CommandSpec, out: &mut Writer<'_>) {
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
    (0..3).for_each(|_| out.array(0));
}

fn list(server: &Server, filter: &[&[u8]], out: &mut Writer<'_>) -> Done {
    let names = server.table.iter().map(|entry| (entry.spec.name, entry.spec.category));
    let names: Vec<&str> = match filter {
        [] => names.map(|(name, _)| name).collect(),
        [by, kind, value] if by.eq_ignore_ascii_case(b"filterby") => {
            match kind.to_ascii_lowercase().as_slice() {
                b"pattern" => names
                    .filter(|(name, _)| glob::matches(value, name.as_bytes()))
                    .map(|(name, _)| name)
                    .collect(),
                b"aclcat" => names
                    .filter(|(_, category)| {
                        category.trim_start_matches('@').as_bytes().eq_ignore_ascii_case(value)
                    })
                    .map(|(name, _)| name)
                    .collect(),
                b"module" => Vec::new(),
                _ => return Err(CommandError::Syntax),
            }
        }
        _ => return Err(CommandError::Syntax),
    };
    out.array(names.len());
    names.iter().for_each(|name| out.bulk(name.as_bytes()));
    Ok(())
}

fn docs(server: &Server, names: &[&[u8]], out: &mut Writer<'_>) {
    let specs: Vec<&CommandSpec> = if names.is_empty() {
        server.table.iter().map(|entry| &entry.spec).collect()
    } else {
        names.iter().filter_map(|name| server.table.spec_of(name)).collect()
    };
    out.map(specs.len());
    for spec in specs {
        out.bulk(spec.name.as_bytes());
        out.map(2);
        out.bulk(b"summary");
        out.bulk(spec.summary.as_bytes());
        out.bulk(b"group");
        out.bulk(spec.category.trim_start_matches('@').as_bytes());
    }
}
