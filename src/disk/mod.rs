//! Files and nothing but files.

pub mod raft_log;
pub mod snapshot;
