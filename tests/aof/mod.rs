//! The append-only file with real processes: what survives a crash, what Redis makes of it, what a
//! full disk does.

mod crash;
mod disk_full;
mod exchange;
mod plain_base;
mod replica;
mod switch;
mod sync_fails;

use crate::support::{Process, Wire, eventually};
use std::path::Path;

/// A field of INFO persistence.
fn info(wire: &mut Wire, field: &str) -> String {
    let reply = wire.line("INFO persistence");
    let text = reply.as_str().unwrap_or_default();
    let found = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    found.unwrap_or_default().trim().to_owned()
}

fn rewrites(wire: &mut Wire) -> u64 {
    info(wire, "aof_rewrites").parse().unwrap_or(0)
}

fn rewrite(wire: &mut Wire) {
    let before = rewrites(wire);
    let reply = wire.line("BGREWRITEAOF");
    assert!(reply.as_str().unwrap_or_default().contains("rewriting"), "{reply:?}");
    // Redis counts it when it begins.
    eventually("the new base counts", || {
        rewrites(wire) > before && info(wire, "aof_rewrite_in_progress") == "0"
    });
}

/// Everything is with the kernel: a crash of the process takes none of it.
fn all_written(wire: &mut Wire) {
    eventually("nothing waits to be written", || info(wire, "aof_buffer_length") == "0");
}

/// Names in the directory of the log.
fn files(server: &Process) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(server.path("appendonlydir"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn last_increment(server: &Process) -> std::path::PathBuf {
    let manifest = std::fs::read_to_string(server.path("appendonlydir/appendonly.aof.manifest")).unwrap();
    let line = manifest.lines().rfind(|line| line.ends_with("type i")).expect("an increment");
    server.path("appendonlydir").join(line.split(' ').nth(1).unwrap())
}

fn check_aof(manifest: &Path) {
    let output = std::process::Command::new("redis-check-aof")
        .arg(manifest)
        .output()
        .expect("redis-check-aof must be installed for this test: apt-get install redis-tools");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && text.contains("All AOF files and manifest are valid"), "{text}");
}
