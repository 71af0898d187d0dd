//! `vedette server`: one engine, its listeners and I/O threads, its files.

use crate::config::server::ServerConfig;

/// Why the server could not start or go on; the text names place and remedy.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ServerError(pub String);

/// Runs until SIGTERM, SIGINT or SHUTDOWN.
pub fn run(_config: ServerConfig, _logger: slog::Logger) -> Result<(), ServerError> {
    Err(ServerError("the listener of this build is not there yet".into()))
}
