//! Reads the data set in a thread of its own, while connections are heard already; then gives the log
//! its writer and lets requests in. A damaged data set is never started over.

use super::aof_start;
use super::aof_writer::AofWriter;
use super::clock;
use super::server_loop::{Engine, ServerError};
use crate::config::server::ServerConfig;
use crate::rdb::Position;
use crate::server::aof::queue::Queue;
use crate::server::loading::Progress;
use crate::stdx::time::Duration;
use slog::{Logger, info};
use std::fs::File;
use std::io::{BufReader, ErrorKind, Read};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::oneshot::{self, Receiver};

/// How much more time systemd is asked for while it lasts.
pub(super) const EXTENSION: Duration = Duration::from_secs(20);

pub(super) struct Loader {
    pub engine: Arc<Engine>,
    pub config: ServerConfig,
    /// Where `dbfilename` is.
    pub snapshot: PathBuf,
    pub queue: Arc<Queue>,
    pub progress: Arc<Progress>,
}

/// A load under way, as the loop sees it.
pub(super) struct Loading(Option<Receiver<Result<(), ServerError>>>);

impl Loading {
    pub(super) fn begin(loader: Loader) -> Result<Loading, ServerError> {
        let (sender, receiver) = oneshot::channel();
        std::thread::Builder::new()
            .name("load".into())
            // The receiver is gone when the process ends meanwhile.
            .spawn(move || drop(sender.send(loader.load())))
            .map_err(|error| ServerError(format!("cannot start the thread that loads: {error}")))?;
        Ok(Loading(Some(receiver)))
    }

    pub(super) fn is_over(&self) -> bool {
        self.0.is_none()
    }

    /// Waits for its end. Nothing is lost when the future is dropped.
    pub(super) async fn ended(&mut self) -> Result<(), ServerError> {
        let Some(receiver) = &mut self.0 else { return Ok(()) };
        let result = receiver.await;
        self.0 = None;
        result.unwrap_or_else(|_| Err(ServerError("the thread that loads ended without a word".into())))
    }
}

impl Loader {
    /// The data set of the log, or without one of the last snapshot, if there is one.
    fn load(self) -> Result<(), ServerError> {
        let Loader { engine, config, snapshot, progress, .. } = &self;
        let (log, position) = if config.aof.enabled {
            let opened = aof_start::open(&engine.server, config, snapshot, progress, &engine.logger)?;
            (opened.log, opened.position)
        } else {
            let position = self.load_snapshot(&engine.logger)?;
            (aof_start::closed(config, &engine.logger), position)
        };
        let log_bytes = log.bytes();
        let tell = engine.clone();
        let writer =
            AofWriter::start(log, self.queue.clone(), engine.gate.clone(), move |input| tell.tell(input))
                .map_err(|error| ServerError(format!("cannot start the log's thread: {error}")))?;
        // It is the first and only one.
        let _ = engine.log.set(writer);
        let mut server = engine.server.lock();
        let now = clock::now();
        if config.aof.enabled {
            server.log_opened(log_bytes);
        }
        server.take_up_role(now, position);
        server.loading_ends(now);
        drop(server);
        engine.stirred.notify_one();
        Ok(())
    }

    fn load_snapshot(&self, logger: &Logger) -> Result<Option<Position>, ServerError> {
        let Loader { engine, snapshot: path, progress, .. } = self;
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                let what = format!("{} cannot be read ({error}); give this user access", path.display());
                return Err(ServerError(what));
            }
        };
        progress.expect(file.metadata().map_or(0, |metadata| metadata.len()));
        let file = BufReader::with_capacity(1 << 20, Counted { file, progress });
        let now = clock::now();
        let (seed, drops_expired) = {
            let mut server = engine.server.lock();
            (server.hash_seed(), server.drops_expired_at_load())
        };
        let expire_before_ms = drops_expired.then_some(now.wall.as_millis());
        let loaded = crate::rdb::load(file, seed, expire_before_ms).map_err(|error| {
            ServerError(format!(
                "{} is damaged or of an unknown kind: {error}; restore a good copy, or move it away to start empty",
                path.display()
            ))
        })?;
        info!(logger, "data set loaded"; "keys" => loaded.keyspace.total_len(), "file" => %path.display());
        let position = loaded.position.clone();
        engine.server.lock().load(clock::now(), loaded);
        Ok(position)
    }
}

/// Tells how much of a file was read.
pub(super) struct Counted<'a> {
    pub file: File,
    pub progress: &'a Progress,
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.progress.advance(count as u64);
        Ok(count)
    }
}
