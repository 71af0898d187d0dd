//! Text to typed configuration, with every default and unit named. Knows no file and no socket.

pub mod acl_users;
pub mod addresses;
pub mod agent;
pub mod agent_tls;
pub mod bootstrap;
pub mod drills;
pub mod error;
pub mod hooks;
pub mod http_users;
pub mod policy;
pub mod renames;
pub mod secret;
pub mod sentinel;
pub mod sentinel_conf;
pub mod server;
pub mod tls;
pub mod validate;
pub mod webhook;
pub mod yes_no;

pub use error::ConfigError;
pub use secret::Secret;
