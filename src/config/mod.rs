//! Text to typed configuration, with every default and unit named. Knows no file and no socket.

pub mod error;
pub mod hooks;
pub mod http_users;
pub mod secret;
pub mod sentinel;
pub mod server;
pub mod validate;

pub use error::ConfigError;
pub use secret::Secret;
