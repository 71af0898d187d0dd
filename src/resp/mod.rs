//! The wire language: RESP2, RESP3 and inline commands. Knows no command and no socket.

pub mod batch;
pub mod decode;
pub mod encode;
pub mod reply;
pub mod spec;

pub use batch::{Argv, Batch};
pub use decode::{Limits, Parser, ProtocolError};
pub use encode::{Protocol, Writer};
pub use reply::Reply;
