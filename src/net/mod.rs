//! Sockets and nothing but sockets: bytes in, bytes out, typed errors. Decides nothing.

pub mod client;
pub mod connection;
pub mod dial;
pub mod http;
pub mod link;
pub mod listener;
pub mod names;
pub mod peer_link;
pub(crate) mod ready;
pub mod replica_link;
pub mod served;
pub mod service;
pub mod stream;
pub mod tls;
pub mod unix;
