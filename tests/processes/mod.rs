//! Real processes, real sockets, real signals: what the README promises, watched from outside.

mod bootstrap;
mod clients;
mod dropin;
mod failover;
pub mod fleet;
mod languages;
mod members;
mod mistakes;
mod patience;
mod replace;
mod scripts;
mod situations;
mod stock;
mod switchover;
pub mod wire;
mod writer;
