//! Sockets and nothing but sockets: bytes in, bytes out, typed errors. Decides nothing.

pub mod link;
