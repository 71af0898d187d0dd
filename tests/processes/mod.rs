//! Real processes, real sockets, real signals: what the README promises, watched from outside.

mod clients;
mod dropin;
mod failover;
pub mod fleet;
mod languages;
mod members;
mod mistakes;
mod scripts;
mod stock;
mod switchover;
pub mod wire;
mod writer;
