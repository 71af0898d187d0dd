//! Files and nothing but files.

pub mod aof;
pub mod atomic_file;
pub mod divergent;
pub mod raft_log;
pub mod snapshot;
pub mod state_file;
