//! The append-only file at the start: read if there is one, begun if there is none. A damaged one is
//! never started over.
//!
//! With `appendonly yes` and no log, but a snapshot, the snapshot becomes the base of the log: whoever
//! turns the log on must not find an empty server.

use super::clock;
use super::loading::Counted;
use super::server_loop::ServerError;
use crate::config::server::ServerConfig;
use crate::disk::aof::manifest::Manifest;
use crate::disk::aof::{BaseKind, Folder, Log};
use crate::rdb::{ImageWriter, Loaded, Manner, Position};
use crate::server::Server;
use crate::server::aof::replay::{End, Replay};
use crate::server::loading::Progress;
use parking_lot::{Mutex, MutexGuard};
use slog::{Logger, info, warn};
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;

/// Read back at a time, under the lock: about a millisecond.
const PIECE_BYTES: usize = 64 << 10;

/// The files of the log, as configured.
pub fn folder(config: &ServerConfig) -> Folder {
    Folder::new(config.dir.join(&config.aof.directory), &config.aof.filename)
}

/// What there is to write to, and what was read.
pub struct Opened {
    pub log: Log,
    pub position: Option<Position>,
}

/// A server without a log, which may be told to begin one.
pub fn closed(config: &ServerConfig, logger: &Logger) -> Log {
    let folder = folder(config);
    match folder.manifest() {
        Ok(Some(manifest)) => {
            warn!(logger, "there is an append-only file, but appendonly is no: it is neither read nor written";
                "directory" => %folder.dir().display());
            Log::closed(folder, manifest)
        }
        Ok(None) => Log::closed(folder, Manifest::default()),
        Err(why) => Log::refused(folder, why),
    }
}

/// Reads the data set that the log holds and opens it for more. `snapshot`: of `dbfilename`.
pub fn open(
    server: &Mutex<Server>,
    config: &ServerConfig,
    snapshot: &Path,
    progress: &Progress,
    logger: &Logger,
) -> Result<Opened, ServerError> {
    let folder = folder(config);
    let unusable = |error: std::io::Error| {
        ServerError(format!(
            "the append-only file in {} cannot be written ({error}); free space, give this user access, or start with appendonly no",
            folder.dir().display()
        ))
    };
    let old = config.dir.join(&config.aof.filename);
    let mut manifest = match folder.manifest().map_err(|what| {
        ServerError(format!(
            "{what}; restore a good copy, or move {} away to start without it",
            folder.dir().display()
        ))
    })? {
        Some(manifest) => {
            // A move from an older version that was interrupted.
            if let Some(base) = &manifest.base
                && base.name == config.aof.filename
                && !folder.path(&base.name).exists()
                && old.exists()
            {
                folder.take_over(&old, &base.name.clone()).map_err(unusable)?;
            }
            manifest
        }
        None if folder.has_files() => {
            return Err(ServerError(format!(
                "{} holds files of a log, but {} is missing; restore it, or move the directory away to start without them",
                folder.dir().display(),
                folder.manifest_path().display()
            )));
        }
        None if old.is_file() => {
            info!(logger, "the append-only file of an older version becomes the base of a new one"; "file" => %old.display());
            folder.take_over(&old, &config.aof.filename).map_err(unusable)?
        }
        None => return begin(server, config, folder, snapshot, progress, logger),
    };
    folder.clean(&mut manifest, config.aof.keep_history).map_err(unusable)?;
    let position = read(server, &folder, &manifest, config.aof.load_truncated, progress, logger)?;
    let log = Log::open(folder.clone(), manifest).map_err(unusable)?;
    Ok(Opened { log, position })
}

/// No log yet.
fn begin(
    server: &Mutex<Server>,
    config: &ServerConfig,
    folder: Folder,
    snapshot: &Path,
    progress: &Progress,
    logger: &Logger,
) -> Result<Opened, ServerError> {
    let unusable = |error: std::io::Error| {
        ServerError(format!(
            "{} cannot be begun ({error}); free space, give this user access, or start with appendonly no",
            folder.dir().display()
        ))
    };
    let now = clock::now();
    let mut position = None;
    let manifest = if let Ok(file) = snapshot.metadata() {
        progress.expect(file.len());
        // Nothing is left out for its age: what comes after it was written to keys that were there.
        let loaded = load_base(server, snapshot, progress)?.0;
        info!(logger, "there is no append-only file yet: it begins with the snapshot";
            "keys" => loaded.keyspace.total_len(), "file" => %snapshot.display());
        position = loaded.position.clone();
        server.lock().load(now, loaded);
        folder.begin(BaseKind::Snapshot, |path| {
            // A snapshot is replaced, never changed, so one more name for it is enough.
            std::fs::hard_link(snapshot, path).or_else(|_| std::fs::copy(snapshot, path).map(drop))
        })
    } else if !config.aof.rdb_preamble {
        folder.begin(BaseKind::Commands, |path| std::fs::write(path, b""))
    } else {
        let empty = ImageWriter::base(Manner::default(), None, now.wall.as_millis() / 1000).finish();
        folder.begin(BaseKind::Snapshot, |path| std::fs::write(path, empty))
    };
    let manifest = manifest.map_err(unusable)?;
    Ok(Opened { log: Log::open(folder.clone(), manifest).map_err(unusable)?, position })
}

/// An RDB, and how many of the file's bytes it took.
fn load_base(server: &Mutex<Server>, path: &Path, progress: &Progress) -> Result<(Loaded, u64), ServerError> {
    let damaged = |what: String| {
        ServerError(format!(
            "{} is damaged or of an unknown kind: {what}; restore a good copy, or move it away to start without it",
            path.display()
        ))
    };
    let file = File::open(path).map_err(|error| damaged(error.to_string()))?;
    let file = BufReader::with_capacity(1 << 20, Counted { file, progress });
    let seed = server.lock().hash_seed();
    crate::rdb::load_front(file, seed, None).map_err(|error| damaged(error.to_string()))
}

fn read(
    server: &Mutex<Server>,
    folder: &Folder,
    manifest: &Manifest,
    load_truncated: bool,
    progress: &Progress,
    logger: &Logger,
) -> Result<Option<Position>, ServerError> {
    let now = clock::now();
    let started = std::time::Instant::now();
    let mut replay = Replay::new(now);
    server.lock().replay_begins();
    progress.expect(folder.bytes_of(manifest));
    let parts: Vec<_> = manifest.base.iter().chain(&manifest.increments).collect();
    for (index, part) in parts.iter().enumerate() {
        let path = folder.path(&part.name);
        let is_last = index + 1 == parts.len();
        let is_base = manifest.base.as_ref() == Some(*part);
        let end = read_part(server, &mut replay, &path, is_base, progress)?;
        if !end.is_torn {
            continue;
        }
        let bytes = end.valid_bytes;
        if !is_last {
            return Err(ServerError(format!(
                "{} ends in the middle of a command after byte {bytes}, and it is not the last file of the log; restore a good copy, or look with redis-check-aof what would be lost",
                path.display()
            )));
        }
        if !load_truncated {
            return Err(ServerError(format!(
                "{} ends in the middle of a command after byte {bytes}; start with aof-load-truncated yes to cut it off there, or restore a good copy",
                path.display()
            )));
        }
        let file = File::options().write(true).open(&path);
        file.and_then(|file| file.set_len(bytes).and_then(|()| file.sync_all())).map_err(|error| {
            ServerError(format!("{} cannot be cut at byte {bytes} ({error})", path.display()))
        })?;
        warn!(logger, "the append-only file ended in the middle of a command: cut off there";
            "file" => %path.display(), "at_byte" => bytes);
    }
    server.lock().replay_ends(now);
    info!(logger, "append-only file loaded"; "keys" => server.lock().key_count(),
        "commands" => replay.commands, "ms" => started.elapsed().as_millis() as u64);
    Ok(replay.position())
}

fn read_part(
    server: &Mutex<Server>,
    replay: &mut Replay,
    path: &Path,
    is_base: bool,
    progress: &Progress,
) -> Result<End, ServerError> {
    let now = clock::now();
    let fault = |error: &dyn std::fmt::Display| ServerError(format!("{}: {error}", path.display()));
    let unreadable = |error: std::io::Error| {
        ServerError(format!(
            "{} cannot be read ({error}); restore it, or move the whole directory away to start without the log",
            path.display()
        ))
    };
    let mut file = File::open(path).map_err(unreadable)?;
    let mut magic = [0; 5];
    let mut skipped = 0;
    let count = file.read(&mut magic).map_err(unreadable)?;
    if is_base && count == magic.len() && &magic == b"REDIS" {
        let (loaded, bytes) = load_base(server, path, progress)?;
        replay.base(loaded.position.as_ref());
        server.lock().load(now, loaded);
        skipped = bytes;
    }
    file.seek(SeekFrom::Start(skipped)).map_err(unreadable)?;
    replay.begin_file(skipped);
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        match file.read(&mut piece) {
            Ok(0) => return Ok(replay.end_file()),
            Ok(count) => {
                let mut server = server.lock();
                let result = server.replay(replay, now, &piece[..count]);
                // Who wants to know how far it is gets a word in.
                MutexGuard::unlock_fair(server);
                progress.advance(count as u64);
                result.map_err(|error| {
                    fault(&format_args!(
                        "{error}; restore a good copy, or look with redis-check-aof what would be lost"
                    ))
                })?;
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(unreadable(error)),
        }
    }
}
