//! Files and nothing but files.

pub mod raft_log;
