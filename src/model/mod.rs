//! The nouns both products say. Knows no wire, no decision and no clock.

pub mod address;
pub mod drill;
pub mod event;
pub mod explain;
pub mod ids;
pub mod incident;
pub mod info;
pub mod policy;
pub mod problem;
pub mod status;
pub mod tls_fault;
pub mod vouching;
pub mod webhook;

pub use address::Address;
pub use ids::{Epoch, NodeId, Offset, ReplId, RunId};
pub use tls_fault::TlsFault;
