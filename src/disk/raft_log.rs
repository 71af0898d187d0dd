//! The durable raft log: one redb database, `raft.redb`, in the sentinel's directory.
//!
//! Promises: one [`Persist`] is one atomic, synced commit, so entries, term, vote and snapshot can
//! never be of different age. The database belongs to one node id, carries a uuid drawn when it was
//! made, and belongs to one cluster as soon as its name is known. A damaged file is an error with a
//! remedy and never an older state: commits are two-phase, so redb does not fall back to the one
//! before, and every page is checked at open.

use crate::consensus::{HardState, Persist, Stored, codec};
use crate::model::NodeId;
use crate::stdx::cursor::{Malformed, Reader};
use redb::backends::FileBackend;
use redb::{Database, DatabaseError, ReadableDatabase, ReadableTable, TableDefinition};
use rustix::fs::{FlockOperation, flock};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

const FILE: &str = "raft.redb";
const UNFINISHED: &str = "raft.redb.new";
const FORMAT: u64 = 1;
/// The log between two snapshots is small; redb's default would be a gigabyte.
const CACHE_BYTES: usize = 1024 * 1024;

const META: TableDefinition<&str, &[u8]> = TableDefinition::new("meta");
const ENTRIES: TableDefinition<u64, &[u8]> = TableDefinition::new("entries");

/// Whose log this is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeIdentity {
    pub id: NodeId,
    /// Thirty-two hex digits, drawn when the database was made: another directory under the same id
    /// has another.
    pub uuid: String,
    /// The cluster it belongs to, as soon as it knows.
    pub cluster: Option<String>,
    /// Made just now: this node never voted.
    pub fresh: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("cannot {what} {}: {source}", path.display())]
    Io { what: &'static str, path: PathBuf, source: io::Error },
    #[error(
        "{} is in use by another process: a sentinel with this directory runs already; stop it, or give \
         this one a directory of its own", path.display()
    )]
    InUse { path: PathBuf },
    #[error(
        "{} belongs to node {found}, but this node is configured as {asked}: set `id: {found}`, or give \
         node {asked} a directory of its own", path.display()
    )]
    OtherNode { path: PathBuf, found: NodeId, asked: NodeId },
    #[error(
        "{} was written in format {found}, which this version does not know: start the version that \
         wrote it", path.display()
    )]
    OtherFormat { path: PathBuf, found: u64 },
    #[error(
        "{} is damaged: {detail}. What this node voted is no longer certain, so it must not vote again \
         from this file", path.display()
    )]
    Damaged { path: PathBuf, detail: String },
}

/// A commit failed; the process must end, because what is on disk is not known any more.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    #[error("cannot write {}: {detail}. Check the disk's space and health, then start again", path.display())]
    Failed { path: PathBuf, detail: String },
    #[error(
        "{} belongs to cluster {found} and cannot join cluster {asked}: give this node an empty directory",
        path.display()
    )]
    OtherCluster { path: PathBuf, found: String, asked: String },
}

/// Any failure of a read or write inside the database.
type Detail = Box<dyn std::error::Error + Send + Sync>;

pub struct RaftLog {
    database: Database,
    path: PathBuf,
    /// The directory, locked as long as this lives.
    _lock: File,
}

/// Opens the log in `dir`, or makes an empty one for node `id`.
pub fn open(dir: &Path, id: NodeId) -> Result<(RaftLog, Stored, NodeIdentity), OpenError> {
    let path = dir.join(FILE);
    let io_error = |what| {
        let path = path.clone();
        move |source| OpenError::Io { what, path, source }
    };
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(|source| OpenError::Io {
        what: "make the directory",
        path: dir.to_owned(),
        source,
    })?;
    let lock = File::open(dir).map_err(io_error("open the directory of"))?;
    match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => return Err(OpenError::InUse { path }),
        Err(error) => return Err(io_error("lock the directory of")(error.into())),
    }
    let fresh = !path.try_exists().map_err(io_error("look for"))?;
    if fresh {
        // Under its final name a database is complete: a crash in here leaves no half of one.
        let unfinished = dir.join(UNFINISHED);
        found(&unfinished, id).map_err(|error| io_error("make")(io::Error::other(error)))?;
        std::fs::rename(&unfinished, &path).map_err(io_error("rename"))?;
        lock.sync_all().map_err(io_error("sync the directory of"))?;
    }
    // redb checks what it reads, yet its own checks may panic on a damaged file; nothing of this
    // database lives on when they do.
    catch_unwind(AssertUnwindSafe(|| open_existing(lock, &path, id, fresh))).unwrap_or_else(|_| {
        Err(OpenError::Damaged { path: path.clone(), detail: "its pages contradict each other".to_owned() })
    })
}

/// The same for a node that joins as a new member: a log of another id, or one that is damaged, is set
/// aside under a name that says whose it was, and never read again.
pub fn open_to_join(dir: &Path, id: NodeId) -> Result<(RaftLog, Stored, NodeIdentity), OpenError> {
    let aside = match open(dir, id) {
        Err(OpenError::OtherNode { found, .. }) => format!("{FILE}.of-{found}"),
        Err(OpenError::Damaged { .. }) => format!("{FILE}.damaged"),
        opened => return opened,
    };
    let (path, kept) = (dir.join(FILE), free_name(dir, &aside));
    std::fs::rename(&path, &kept).map_err(|source| OpenError::Io { what: "set aside", path, source })?;
    open(dir, id)
}

/// The first of `name`, `name.2`, `name.3`, ... that is not taken.
fn free_name(dir: &Path, name: &str) -> PathBuf {
    let numbered = (2..).map(|number| dir.join(format!("{name}.{number}")));
    let mut names = std::iter::once(dir.join(name)).chain(numbered);
    names.find(|path| !path.exists()).unwrap_or_else(|| dir.join(name))
}

fn open_existing(
    lock: File,
    path: &Path,
    id: NodeId,
    fresh: bool,
) -> Result<(RaftLog, Stored, NodeIdentity), OpenError> {
    let damaged = |detail: String| OpenError::Damaged { path: path.to_owned(), detail };
    let io_error = |source| OpenError::Io { what: "open", path: path.to_owned(), source };
    let refused = |error: DatabaseError| match error {
        DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => {
            OpenError::InUse { path: path.to_owned() }
        }
        DatabaseError::Storage(redb::StorageError::Io(source))
            if !matches!(source.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof) =>
        {
            io_error(source)
        }
        other => damaged(other.to_string()),
    };
    let file = OpenOptions::new().read(true).write(true).open(path).map_err(io_error)?;
    if file.metadata().map_err(io_error)?.len() == 0 {
        return Err(damaged("it is empty".to_owned()));
    }
    let database = database(file).map_err(refused)?;
    let (stored, identity, format) = read(&database, fresh).map_err(|error| damaged(error.to_string()))?;
    if format != FORMAT {
        return Err(OpenError::OtherFormat { path: path.to_owned(), found: format });
    }
    if identity.id != id {
        return Err(OpenError::OtherNode { path: path.to_owned(), found: identity.id, asked: id });
    }
    Ok((RaftLog { database, path: path.to_owned(), _lock: lock }, stored, identity))
}

fn database(file: File) -> Result<Database, DatabaseError> {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE_BYTES).set_check_integrity_on_open(true);
    builder.create_with_backend(FileBackend::new(file)?)
}

/// Makes a new database that holds nothing but its identity.
fn found(path: &Path, id: NodeId) -> Result<(), Detail> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(true).mode(0o600);
    let database = database(options.open(path)?)?;
    let mut uuid = [0u8; 16];
    getrandom::fill(&mut uuid).map_err(|error| error.to_string())?;
    let uuid: String = uuid.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut write = database.begin_write()?;
    write.set_two_phase_commit(true);
    {
        let mut meta = write.open_table(META)?;
        meta.insert("format", FORMAT.to_le_bytes().as_slice())?;
        meta.insert("node", id.to_le_bytes().as_slice())?;
        meta.insert("uuid", uuid.as_bytes())?;
        write.open_table(ENTRIES)?;
    }
    write.commit()?;
    Ok(())
}

fn read(database: &Database, fresh: bool) -> Result<(Stored, NodeIdentity, u64), Detail> {
    let read = database.begin_read()?;
    let meta = read.open_table(META)?;
    let field = |name: &str| -> Result<Vec<u8>, Detail> {
        let value = meta.get(name)?.ok_or_else(|| format!("it has no field {name}"))?;
        Ok(value.value().to_vec())
    };
    let format = whole(&field("format")?, Reader::u64)?;
    let identity = NodeIdentity {
        id: whole(&field("node")?, Reader::u64)?,
        uuid: String::from_utf8(field("uuid")?)?,
        cluster: match meta.get("cluster")? {
            Some(name) => Some(String::from_utf8(name.value().to_vec())?),
            None => None,
        },
        fresh,
    };
    let mut stored = Stored::default();
    if let Some(bytes) = meta.get("hard_state")? {
        stored.hard_state = whole(bytes.value(), codec::read_hard_state)?;
    }
    if let Some(bytes) = meta.get("snapshot")? {
        stored.snapshot = Some(whole(bytes.value(), codec::read_snapshot)?);
    }
    for row in read.open_table(ENTRIES)?.iter()? {
        let (key, value) = row?;
        let entry = whole(value.value(), codec::read_entry)?;
        if entry.index != key.value() {
            return Err(format!("entry {} stands in the place of {}", entry.index, key.value()).into());
        }
        stored.entries.push(entry);
    }
    Ok((stored, identity, format))
}

fn whole<'a, T>(
    bytes: &'a [u8],
    read: impl FnOnce(&mut Reader<'a>) -> Result<T, Malformed>,
) -> Result<T, Malformed> {
    let mut reader = Reader::new(bytes);
    let value = read(&mut reader)?;
    reader.end()?;
    Ok(value)
}

impl RaftLog {
    /// One atomic change, on disk when this returns. After an error the process must end.
    pub fn append(&mut self, persist: &Persist) -> Result<(), AppendError> {
        self.try_append(persist).map_err(|error| self.failed(&error))
    }

    fn try_append(&self, persist: &Persist) -> Result<(), Detail> {
        let mut write = self.database.begin_write()?;
        write.set_two_phase_commit(true);
        {
            let mut meta = write.open_table(META)?;
            let mut entries = write.open_table(ENTRIES)?;
            let mut bytes = Vec::new();
            if let Some(snapshot) = &persist.snapshot {
                entries.retain_in(..=snapshot.index, |_, _| false)?;
                codec::put_snapshot(&mut bytes, snapshot);
                meta.insert("snapshot", bytes.as_slice())?;
            }
            if let Some(from) = persist.truncate_from {
                entries.retain_in(from.., |_, _| false)?;
            }
            for entry in &persist.entries {
                bytes.clear();
                codec::put_entry(&mut bytes, entry);
                entries.insert(entry.index, bytes.as_slice())?;
            }
            if let Some(HardState { term, vote, commit }) = persist.hard_state {
                bytes.clear();
                codec::put_hard_state(&mut bytes, HardState { term, vote, commit });
                meta.insert("hard_state", bytes.as_slice())?;
            }
        }
        write.commit()?;
        Ok(())
    }

    /// Binds this log to the cluster for good; again with the same name is fine.
    pub fn bind_cluster(&mut self, cluster: &str) -> Result<(), AppendError> {
        match self.try_bind(cluster) {
            Ok(None) => Ok(()),
            Ok(Some(found)) => {
                let (path, asked) = (self.path.clone(), cluster.to_owned());
                Err(AppendError::OtherCluster { path, found, asked })
            }
            Err(error) => Err(self.failed(&error)),
        }
    }

    /// The other cluster's name, when it is bound to another.
    fn try_bind(&self, cluster: &str) -> Result<Option<String>, Detail> {
        let mut write = self.database.begin_write()?;
        write.set_two_phase_commit(true);
        {
            let mut meta = write.open_table(META)?;
            let known = meta.get("cluster")?.map(|name| String::from_utf8_lossy(name.value()).into_owned());
            match known {
                Some(known) if known != cluster => return Ok(Some(known)),
                Some(_) => return Ok(None),
                None => drop(meta.insert("cluster", cluster.as_bytes())?),
            }
        }
        write.commit()?;
        Ok(None)
    }

    fn failed(&self, error: &Detail) -> AppendError {
        AppendError::Failed { path: self.path.clone(), detail: error.to_string() }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
#[path = "raft_log_tests.rs"]
mod tests;
