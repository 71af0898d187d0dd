//! Vedette: high availability for Redis-protocol data.
//!
//! The code map, in reading order. One idea carries the house: **a core is only
//! `(state, now, input) -> actions`; a shell owns every socket, file, clock and die.** Imports go
//! down this list only from bottom to top (`tests/layers.rs` holds the table): a module uses what
//! stands above it here, never what stands below.
//!
//! | folder | kind | promise |
//! |---|---|---|
//! | [`stdx`] | pure | what std could have had: time, chance, tally, glob, numbers; knows no domain word |
//! | [`model`] | pure | the nouns both products say: ids, addresses, INFO text, events, status |
//! | [`drill`] | pure | a failover drill judged: what happened to a scorecard, and its reports |
//! | [`config`] | pure | text to typed configuration, every default and unit named |
//! | [`resp`] | pure | the wire: requests cut from bytes, replies written to bytes, command specs |
//! | [`store`] | pure | keyspace and values; knows no command and no reply |
//! | [`rdb`] | pure | keyspace to and from RDB bytes |
//! | [`commands`] | pure | data commands, one file a family, its table at the foot |
//! | [`session`] | pure | one inbound connection's protocol life, shared by server and sentinel |
//! | [`server`] | pure | the data server: dispatch, admit, execute, propagate, replicate |
//! | [`consensus`] | pure | the raft crate as a state machine: durable actions in order, own codec |
//! | [`sentinel`] | pure | the supervisor: judge, agree, fail over, reconcile |
//! | [`agent`] | pure | the lease of a stock server, held beside it |
//! | [`redlock`] | pure | a lock over N masters, and a fence that needs no clock |
//! | [`alerts`] | pure | an event dressed for one vendor, and what is still to be delivered |
//! | [`observe`] | pure | status snapshot to metrics, JSON, page, health answers |
//! | [`net`] | shell | sockets and nothing but sockets |
//! | [`disk`] | shell | files and nothing but files |
//! | [`daemon`] | shell | the only place where a core meets a shell; the only reader of clock and entropy |
//! | [`cli`] | shell | what a person types |

pub mod agent;
pub mod alerts;
pub mod cli;
pub mod commands;
pub mod config;
pub mod consensus;
pub mod daemon;
pub mod disk;
pub mod drill;
pub mod model;
pub mod net;
pub mod observe;
pub mod rdb;
pub mod redlock;
pub mod resp;
pub mod sentinel;
pub mod server;
pub mod session;
pub mod stdx;
pub mod store;
