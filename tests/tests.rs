//! The one test binary: a list of mods. Unit tests and golden scripts of a module live beside it.

mod command_line;
mod consensus;
mod layers;
mod sentinel_api;
mod server;
mod support;
mod systemd;
