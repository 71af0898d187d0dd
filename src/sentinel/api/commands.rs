//! COMMAND: every command that lives on this port, the session layer's and our own, with the shapes of
//! Redis. Derived from the tables, so a new row is listed without another word here.

use super::facts::Facts;
use super::{Outcome, family, general, quoted};
use crate::resp::Writer;
use crate::resp::spec::{ADMIN, Arity, CommandSpec, FAST, FLAG_NAMES, Flags};
use crate::session;

/// One command or subcommand as COMMAND shows it.
struct Shown {
    /// `sentinel|masters` for a subcommand.
    name: String,
    arity: i64,
    flags: Flags,
    category: &'static str,
    summary: &'static str,
    subcommands: Vec<Shown>,
}

const HELP: &[&str] = &[
    "COMMAND <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "(no subcommand)",
    "    Return details about all commands.",
    "COUNT",
    "    Return the total number of commands in this server.",
    "LIST",
    "    Return a list of all commands in this server.",
    "INFO [<command-name> ...]",
    "    Return details about multiple commands; about all when none is named.",
    "DOCS [<command-name> ...]",
    "    Return documentation details about multiple commands; about all when none is named.",
    "GETKEYS <full-command>",
    "    Return the keys from a full command: none here, a sentinel holds no data.",
    "HELP",
    "    Prints this help.",
];

/// Session commands that hold only where there is data, or that this port has its own row for.
const NOT_HERE: &[&str] = &["pubsub"];

const CLIENT: &[(&str, Arity, &str)] = &[
    ("getname", Arity::Exactly(2), "Returns the name of the connection."),
    ("getredir", Arity::Exactly(2), "Returns where invalidations go."),
    ("help", Arity::Exactly(2), "Prints help."),
    ("id", Arity::Exactly(2), "Returns the id of the connection."),
    ("info", Arity::Exactly(2), "Describes the connection."),
    ("kill", Arity::AtLeast(3), "Closes connections."),
    ("list", Arity::AtLeast(2), "Describes all connections."),
    ("no-evict", Arity::Exactly(3), "Keeps the connection from eviction."),
    ("no-touch", Arity::Exactly(3), "Leaves the age of keys alone."),
    ("reply", Arity::Exactly(3), "Turns replies on or off."),
    ("setinfo", Arity::Exactly(4), "Names the client's library."),
    ("setname", Arity::Exactly(3), "Names the connection."),
];

const COMMAND: &[(&str, Arity, &str)] = &[
    ("count", Arity::Exactly(2), "Returns the number of commands."),
    ("docs", Arity::AtLeast(2), "Returns what commands are for."),
    ("getkeys", Arity::AtLeast(4), "Returns the keys of a command."),
    ("help", Arity::Exactly(2), "Prints help."),
    ("info", Arity::AtLeast(2), "Returns what is known of commands."),
    ("list", Arity::AtLeast(2), "Returns the names of commands."),
];

fn from_spec(spec: &CommandSpec) -> Shown {
    let of = |rows: &[(&'static str, Arity, &'static str)], flags: Flags| {
        rows.iter()
            .map(|(name, arity, summary)| Shown {
                name: format!("{}|{name}", spec.name),
                arity: arity.as_redis(),
                flags,
                category: spec.category,
                summary,
                subcommands: Vec::new(),
            })
            .collect()
    };
    let subcommands = match spec.name {
        "client" => of(CLIENT, spec.flags & !ADMIN),
        "command" => of(COMMAND, spec.flags),
        "sentinel" => family::rows()
            .map(|(name, arity, summary)| Shown {
                name: format!("sentinel|{}", name.to_ascii_lowercase()),
                arity: arity.as_redis(),
                flags: spec.flags,
                category: spec.category,
                summary,
                subcommands: Vec::new(),
            })
            .collect(),
        _ => Vec::new(),
    };
    Shown {
        name: spec.name.to_owned(),
        arity: spec.arity.as_redis(),
        flags: spec.flags,
        category: spec.category,
        summary: spec.summary,
        subcommands,
    }
}

/// In the order of their names.
fn all() -> Vec<Shown> {
    let ours: Vec<&CommandSpec> = general::specs().collect();
    let theirs = session::COMMANDS
        .iter()
        .copied()
        .flatten()
        .map(|row| &row.spec)
        .filter(|spec| !NOT_HERE.contains(&spec.name) && !ours.iter().any(|own| own.name == spec.name));
    let mut all: Vec<Shown> = theirs.chain(ours.iter().copied()).map(from_spec).collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}

fn named(all: &[Shown], name: &[u8]) -> Option<usize> {
    all.iter().position(|shown| name.eq_ignore_ascii_case(shown.name.as_bytes()))
}

pub(super) fn command(_: &Facts, argv: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let says = |text: &str| argv.get(1).is_some_and(|word| word.eq_ignore_ascii_case(text.as_bytes()));
    let all = all();
    if argv.len() == 1 || (says("INFO") && argv.len() == 2) {
        reply.array(all.len());
        all.iter().for_each(|shown| info(shown, reply));
    } else if says("COUNT") && argv.len() == 2 {
        reply.integer(all.len() as i64);
    } else if says("LIST") && argv.len() == 2 {
        let names = || all.iter().flat_map(|shown| std::iter::once(shown).chain(&shown.subcommands));
        reply.array(names().count());
        names().for_each(|shown| reply.bulk(shown.name.as_bytes()));
    } else if says("INFO") {
        reply.array(argv.len() - 2);
        for name in &argv[2..] {
            let flat = all.iter().flat_map(|shown| std::iter::once(shown).chain(&shown.subcommands));
            match flat.into_iter().find(|shown| name.eq_ignore_ascii_case(shown.name.as_bytes())) {
                Some(shown) => info(shown, reply),
                None => reply.null_array(),
            }
        }
    } else if says("DOCS") {
        let wanted: Vec<&Shown> = if argv.len() == 2 {
            all.iter().collect()
        } else {
            argv[2..].iter().filter_map(|name| named(&all, name).map(|at| &all[at])).collect()
        };
        reply.map(wanted.len());
        wanted.iter().for_each(|shown| docs(shown, reply));
    } else if says("GETKEYS") && argv.len() >= 4 {
        reply.error(match named(&all, argv[2]) {
            Some(_) => "ERR The command has no key arguments",
            None => "ERR Invalid command specified",
        });
    } else if says("HELP") && argv.len() == 2 {
        reply.array(HELP.len());
        HELP.iter().for_each(|line| reply.simple(line));
    } else {
        let name = quoted(argv[1]);
        if COMMAND.iter().any(|(known, ..)| name.eq_ignore_ascii_case(known)) {
            let name = name.to_ascii_lowercase();
            reply.error(&format!("ERR wrong number of arguments for 'command|{name}' command"));
        } else {
            reply.error(&format!("ERR unknown subcommand '{name}'. Try COMMAND HELP."));
        }
    }
    Outcome::Replied
}

fn info(shown: &Shown, reply: &mut Writer<'_>) {
    let flags: Vec<&str> =
        FLAG_NAMES.iter().filter(|(flag, _)| shown.flags & flag != 0).map(|(_, name)| *name).collect();
    reply.array(10);
    reply.bulk(shown.name.as_bytes());
    reply.integer(shown.arity);
    reply.set(flags.len());
    flags.iter().for_each(|flag| reply.simple(flag));
    (0..3).for_each(|_| reply.integer(0));
    let mut categories = vec![shown.category];
    if shown.flags & ADMIN != 0 {
        categories.extend(["@admin", "@dangerous"].into_iter().filter(|name| *name != shown.category));
    }
    categories.push(if shown.flags & FAST != 0 { "@fast" } else { "@slow" });
    reply.set(categories.len());
    categories.iter().for_each(|name| reply.simple(name));
    // Tips and key specifications: none.
    reply.set(0);
    reply.set(0);
    if shown.subcommands.is_empty() {
        reply.set(0);
    } else {
        reply.array(shown.subcommands.len());
        shown.subcommands.iter().for_each(|sub| info(sub, reply));
    }
}

fn docs(shown: &Shown, reply: &mut Writer<'_>) {
    reply.bulk(shown.name.as_bytes());
    let group = match shown.name.split('|').next().unwrap_or_default() {
        "sentinel" => "sentinel",
        _ if shown.category == "@pubsub" => "pubsub",
        _ if shown.category == "@connection" => "connection",
        _ => "server",
    };
    reply.map(if shown.subcommands.is_empty() { 2 } else { 3 });
    for (name, value) in [("summary", shown.summary), ("group", group)] {
        reply.bulk(name.as_bytes());
        reply.bulk(value.as_bytes());
    }
    if !shown.subcommands.is_empty() {
        reply.bulk(b"subcommands");
        reply.map(shown.subcommands.len());
        shown.subcommands.iter().for_each(|sub| docs(sub, reply));
    }
}
