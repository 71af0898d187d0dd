//! Commands whose subject is not here, answered as Redis answers them without it: CLUSTER and its kin with
//! cluster mode off, MODULE without a module, and LOLWUT.

use super::super::{REDIS_VERSION, Server};
use crate::commands::CommandError;
use crate::resp::Writer;
use crate::session::Session;
use crate::session::acl::catalogue;
use crate::session::client::{help, unknown_subcommand};
use crate::stdx::time::Now;

type Done = Result<(), CommandError>;

const NO_CLUSTER: &str = "ERR This instance has cluster support disabled";

pub(super) fn cluster(_: &mut Server, _: &mut Session, _: Now, argv: &[&[u8]], _: &mut Writer<'_>) -> Done {
    let name = String::from_utf8_lossy(argv[1]).to_lowercase();
    let known = name.len() < 64 && catalogue::find(&format!("cluster|{name}")).is_some();
    if !known {
        return Err(unknown_subcommand("cluster", argv).into());
    }
    // Those with a fixed number of words say so first.
    let words = match name.as_str() {
        "bumpepoch" | "flushslots" | "help" | "info" | "links" | "myid" | "nodes" | "saveconfig"
        | "shards" | "slots" => Some(2),
        "keyslot"
        | "countkeysinslot"
        | "forget"
        | "replicas"
        | "replicate"
        | "set-config-epoch"
        | "slaves"
        | "count-failure-reports" => Some(3),
        "getkeysinslot" => Some(4),
        _ => None,
    };
    if words.is_some_and(|words| words != argv.len()) {
        return Err(CommandError::Arity(format!("cluster|{name}")));
    }
    Err(NO_CLUSTER.into())
}

/// READONLY, READWRITE and ASKING.
pub(super) fn without_cluster(
    _: &mut Server,
    _: &mut Session,
    _: Now,
    _: &[&[u8]],
    _: &mut Writer<'_>,
) -> Done {
    Err(NO_CLUSTER.into())
}

pub(super) fn module(_: &mut Server, _: &mut Session, _: Now, argv: &[&[u8]], out: &mut Writer<'_>) -> Done {
    match argv[1].to_ascii_lowercase().as_slice() {
        b"list" if argv.len() == 2 => out.array(0),
        b"list" => return Err(CommandError::Arity("module|list".into())),
        b"load" | b"loadex" | b"unload" => {
            return Err("ERR MODULE is not supported: no foreign code is loaded into this server".into());
        }
        b"help" => help(out, super::help::MODULE),
        _ => return Err(unknown_subcommand("module", argv).into()),
    }
    Ok(())
}

pub(super) fn lolwut(_: &mut Server, _: &mut Session, _: Now, _: &[&[u8]], out: &mut Writer<'_>) -> Done {
    // A watchtower; clients look for the words below it.
    let tower = "    |>\n    |\n   _|_\n  |o o|\n  |___|\n  |   |\n__|___|__\n";
    out.verbatim("txt", &format!("{tower}Redis ver. {REDIS_VERSION}\n"));
    Ok(())
}
