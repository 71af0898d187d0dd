//! The one test binary: a list of mods. Unit tests and golden scripts of a module live beside it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests may fail loudly"
)]

mod aof;
mod chaos;
mod command_line;
mod consensus;
mod differential;
mod drill;
mod functions;
mod fuzz;
mod layers;
mod local_fleet;
mod locks;
mod page;
mod processes;
mod programs;
mod replication;
mod security;
mod sentinel;
mod sentinel_api;
mod sentinel_fleet;
mod server;
mod simulation;
mod support;
mod systemd;
mod telling;
