//! The files of the append-only file: a base, what was written since, and the manifest that names
//! them.
//!
//! Promises: at any moment, also after the machine lost power, the manifest names files that are there
//! and belong together; a write that failed leaves nothing behind it and can be tried again; a file is
//! deleted only when no manifest on the disk names it. Has never heard of what the bytes mean.

pub mod manifest;

use super::atomic_file;
use manifest::{Manifest, Part};
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How a snapshot begins.
const MAGIC: &[u8] = b"REDIS";

/// What a base is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BaseKind {
    Snapshot,
    Commands,
}

impl BaseKind {
    fn suffix(self) -> &'static str {
        match self {
            BaseKind::Snapshot => "rdb",
            BaseKind::Commands => "aof",
        }
    }

    /// By its first bytes.
    fn of(path: &Path) -> io::Result<BaseKind> {
        let mut magic = Vec::new();
        File::open(path)?.take(MAGIC.len() as u64).read_to_end(&mut magic)?;
        Ok(if magic == MAGIC { BaseKind::Snapshot } else { BaseKind::Commands })
    }
}

/// Where the files are and how their names begin.
#[derive(Clone, Debug)]
pub struct Folder {
    dir: PathBuf,
    stem: String,
}

impl Folder {
    pub fn new(dir: PathBuf, stem: &str) -> Self {
        Folder { dir, stem: stem.to_owned() }
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    pub fn manifest_path(&self) -> PathBuf {
        self.path(&format!("{}.manifest", self.stem))
    }

    /// Where a base stands until it is taken.
    pub fn new_base_path(&self) -> PathBuf {
        self.path(&format!("temp-{}.base.rdb", self.stem))
    }

    fn new_increment_path(&self) -> PathBuf {
        self.path(&format!("temp-{}.incr.aof", self.stem))
    }

    /// Named as Redis names it, after what is in it.
    fn base_name(&self, seq: u64, kind: BaseKind) -> String {
        format!("{}.{seq}.base.{}", self.stem, kind.suffix())
    }

    fn increment_name(&self, seq: u64) -> String {
        format!("{}.{seq}.incr.aof", self.stem)
    }

    pub fn create(&self) -> io::Result<()> {
        fs::create_dir_all(&self.dir)?;
        sync_dir(self.dir.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")))
    }

    /// `None`: there is no log.
    pub fn manifest(&self) -> Result<Option<Manifest>, String> {
        let path = self.manifest_path();
        let bytes = atomic_file::read(&path, manifest::BYTES_MAX)
            .map_err(|error| format!("{} cannot be read ({error})", path.display()))?;
        let Some(bytes) = bytes else { return Ok(None) };
        let text = String::from_utf8_lossy(&bytes);
        Manifest::parse(&text).map(Some).map_err(|what| format!("{} is damaged: {what}", path.display()))
    }

    /// Files of a log that lies there, whether or not a manifest names them.
    pub fn has_files(&self) -> bool {
        let Ok(entries) = fs::read_dir(&self.dir) else { return false };
        entries.flatten().any(|entry| {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            name.starts_with(&format!("{}.", self.stem)) && (name.ends_with(".aof") || name.ends_with(".rdb"))
        })
    }

    pub fn keep(&self, manifest: &Manifest) -> io::Result<()> {
        atomic_file::replace(&self.manifest_path(), manifest.text().as_bytes())
    }

    /// A first log: `base` puts the base under the path it is given.
    pub fn begin(&self, kind: BaseKind, base: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<Manifest> {
        self.create()?;
        let part = Part { name: self.base_name(1, kind), seq: 1 };
        let path = self.path(&part.name);
        // One without a manifest is of an attempt that did not come to its end.
        remove(&path)?;
        base(&path)?;
        File::open(&path)?.sync_all()?;
        let first = Part { name: self.increment_name(1), seq: 1 };
        create(&self.path(&first.name))?;
        sync_dir(&self.dir)?;
        let manifest = Manifest { base: Some(part), increments: vec![first], history: Vec::new() };
        self.keep(&manifest)?;
        Ok(manifest)
    }

    /// The one file of a Redis before 7 becomes the base of a log.
    pub fn take_over(&self, old: &Path, name: &str) -> io::Result<Manifest> {
        self.create()?;
        let base = Part { name: name.to_owned(), seq: 1 };
        let manifest = Manifest { base: Some(base), ..Manifest::default() };
        // The manifest first: with the file still outside it is found there and moved again.
        self.keep(&manifest)?;
        fs::rename(old, self.path(name))?;
        sync_dir(&self.dir)?;
        Ok(manifest)
    }

    /// What a rewrite left that did not come to its end, and history that was not deleted.
    pub fn clean(&self, manifest: &mut Manifest, keeps_history: bool) -> io::Result<()> {
        remove(&self.new_base_path())?;
        remove(&self.new_increment_path())?;
        if !keeps_history && !manifest.history.is_empty() {
            self.forget_history(manifest)?;
        }
        Ok(())
    }

    fn forget_history(&self, manifest: &mut Manifest) -> io::Result<()> {
        for part in &manifest.history {
            remove(&self.path(&part.name))?;
        }
        let next = Manifest { history: Vec::new(), ..manifest.clone() };
        self.keep(&next)?;
        *manifest = next;
        Ok(())
    }

    /// The bytes of all files that the manifest names.
    pub fn bytes_of(&self, manifest: &Manifest) -> u64 {
        let parts = manifest.base.iter().chain(&manifest.increments);
        parts.map(|part| fs::metadata(self.path(&part.name)).map_or(0, |data| data.len())).sum()
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn create(path: &Path) -> io::Result<File> {
    File::options().write(true).create(true).truncate(true).mode(0o600).open(path)
}

fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// The file that is written, good up to `bytes`.
struct Current {
    file: Arc<File>,
    bytes: u64,
}

pub struct Log {
    folder: Folder,
    manifest: Manifest,
    current: Option<Current>,
    /// The current file is not in the manifest: it waits for its base.
    is_fresh: bool,
    /// The first increment that a base begun last does not stand for.
    kept: Option<u64>,
    /// Of the other files.
    others_bytes: u64,
    /// What a base took the place of is not deleted.
    keeps_history: bool,
    /// Why no file may be begun: what lies there would be written over.
    refused: Option<String>,
}

impl Log {
    /// Goes on behind what `manifest` names.
    pub fn open(folder: Folder, manifest: Manifest) -> io::Result<Log> {
        let mut log = Log::closed(folder, manifest);
        if log.manifest.increments.is_empty() {
            log.rotate(false)?;
            return Ok(log);
        }
        if let Some(last) = log.manifest.increments.last() {
            let file = File::options().write(true).open(log.folder.path(&last.name))?;
            let bytes = file.metadata()?.len();
            log.current = Some(Current { file: Arc::new(file), bytes });
        }
        log.count();
        Ok(log)
    }

    /// One that waits for a fresh rotation.
    pub fn closed(folder: Folder, manifest: Manifest) -> Log {
        Log {
            folder,
            manifest,
            current: None,
            is_fresh: false,
            kept: None,
            others_bytes: 0,
            keeps_history: false,
            refused: None,
        }
    }

    /// One that never begins, and says why.
    pub fn refused(folder: Folder, why: String) -> Log {
        Log { refused: Some(why), ..Log::closed(folder, Manifest::default()) }
    }

    fn count(&mut self) {
        let listed = self.folder.bytes_of(&self.manifest);
        let own = self.current.as_ref().map_or(0, |current| current.bytes);
        self.others_bytes = if self.is_fresh { listed } else { listed.saturating_sub(own) };
    }

    pub fn is_open(&self) -> bool {
        self.current.is_some()
    }

    /// Of all files.
    pub fn bytes(&self) -> u64 {
        self.others_bytes + self.current.as_ref().map_or(0, |current| current.bytes)
    }

    /// All of it or, as far as the disk allows, nothing.
    pub fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(current) = &mut self.current else { return Ok(()) };
        match current.file.write_all_at(bytes, current.bytes) {
            Ok(()) => {
                current.bytes += bytes.len() as u64;
                Ok(())
            }
            Err(error) => {
                // Half a command at the end looks like a crash; the next attempt writes over it anyway.
                let _ = current.file.set_len(current.bytes);
                Err(error)
            }
        }
    }

    /// The file that is written, to be synced while more is.
    pub fn file(&self) -> Option<Arc<File>> {
        self.current.as_ref().map(|current| current.file.clone())
    }

    pub fn sync(&self) -> io::Result<()> {
        self.current.as_ref().map_or(Ok(()), |current| current.file.sync_data())
    }

    /// What follows goes into a new file. A fresh one is no part of the log until its base is taken.
    pub fn rotate(&mut self, fresh: bool) -> io::Result<()> {
        if let Some(why) = &self.refused {
            return Err(io::Error::other(why.clone()));
        }
        self.folder.create()?;
        if fresh {
            self.current = None;
            let file = create(&self.folder.new_increment_path())?;
            self.current = Some(Current { file: Arc::new(file), bytes: 0 });
            self.is_fresh = true;
            self.kept = Some(u64::MAX);
        } else {
            // Only the last file of a log may have a torn end.
            self.sync()?;
            let part = Part {
                name: self.folder.increment_name(self.manifest.next_increment()),
                seq: self.manifest.next_increment(),
            };
            let path = self.folder.path(&part.name);
            let file = create(&path)?;
            sync_dir(&self.folder.dir)?;
            let mut next = self.manifest.clone();
            let seq = part.seq;
            next.increments.push(part);
            if let Err(error) = self.folder.keep(&next) {
                let _ = remove(&path);
                return Err(error);
            }
            self.manifest = next;
            self.current = Some(Current { file: Arc::new(file), bytes: 0 });
            self.is_fresh = false;
            self.kept = Some(seq);
        }
        self.count();
        Ok(())
    }

    /// The base under `new_base_path` takes the place of all that was before the last rotation.
    pub fn take_base(&mut self) -> io::Result<()> {
        let Some(kept) = self.kept.filter(|_| self.current.is_some()) else {
            return Err(io::Error::other("no file was begun with it"));
        };
        let folder = &self.folder;
        let (seq, kind) = (self.manifest.next_base(), BaseKind::of(&folder.new_base_path())?);
        let base = Part { name: folder.base_name(seq, kind), seq };
        let mut next = self.manifest.with_base(base.clone(), kept);
        if self.is_fresh {
            self.sync()?;
            let seq = self.manifest.next_increment();
            let part = Part { name: folder.increment_name(seq), seq };
            fs::rename(folder.new_increment_path(), folder.path(&part.name))?;
            next.increments.push(part);
        }
        fs::rename(folder.new_base_path(), folder.path(&base.name))?;
        sync_dir(&folder.dir)?;
        folder.keep(&next)?;
        self.kept = None;
        self.is_fresh = false;
        // From here on it counts; what cannot be deleted now is deleted at the next start.
        if !self.keeps_history {
            let _ = folder.forget_history(&mut next);
        }
        self.manifest = next;
        self.count();
        Ok(())
    }

    /// Whether files that a base took the place of stay; once they need not, they go.
    pub fn set_keeps_history(&mut self, keeps_history: bool) {
        self.keeps_history = keeps_history;
        // Whatever it was before: it may have changed before anybody asked.
        if !keeps_history && !self.manifest.history.is_empty() {
            let _ = self.folder.forget_history(&mut self.manifest);
        }
    }

    pub fn close(&mut self) {
        self.current = None;
        self.kept = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn folder(dir: &Path) -> Folder {
        Folder::new(dir.join("appendonlydir"), "appendonly.aof")
    }

    #[test]
    fn a_base_takes_the_place_of_what_was_before_its_rotation() {
        let dir = tempfile::tempdir().unwrap();
        let folder = folder(dir.path());
        let manifest = folder.begin(BaseKind::Snapshot, |path| fs::write(path, "base1")).unwrap();
        let mut log = Log::open(folder.clone(), manifest).unwrap();
        log.append(b"one").unwrap();
        log.rotate(false).unwrap();
        log.append(b"two").unwrap();
        assert_eq!(log.bytes(), 11);
        let listed = folder.manifest().unwrap().unwrap();
        assert_eq!(listed.increments.len(), 2, "until the base is there both count");
        fs::write(folder.new_base_path(), "REDIS!").unwrap();
        log.take_base().unwrap();
        assert_eq!(
            names(folder.dir()),
            ["appendonly.aof.2.base.rdb", "appendonly.aof.2.incr.aof", "appendonly.aof.manifest"]
        );
        assert_eq!(log.bytes(), 9);
        log.append(b"three").unwrap();
        assert_eq!(fs::read(folder.path("appendonly.aof.2.incr.aof")).unwrap(), b"twothree");
        let mut log = Log::open(folder.clone(), folder.manifest().unwrap().unwrap()).unwrap();
        log.append(b"!").unwrap();
        assert_eq!(fs::read(folder.path("appendonly.aof.2.incr.aof")).unwrap(), b"twothree!");
    }

    #[test]
    fn a_fresh_file_is_no_part_of_the_log_until_its_base_is_taken() {
        let dir = tempfile::tempdir().unwrap();
        let folder = folder(dir.path());
        let manifest = folder.begin(BaseKind::Snapshot, |path| fs::write(path, "old")).unwrap();
        let before = folder.manifest().unwrap();
        let mut log = Log::open(folder.clone(), manifest).unwrap();
        log.append(b"old").unwrap();
        log.rotate(true).unwrap();
        log.append(b"first attempt").unwrap();
        log.rotate(true).unwrap();
        log.append(b"new").unwrap();
        assert_eq!(folder.manifest().unwrap(), before);
        fs::write(folder.new_base_path(), "REDIS").unwrap();
        log.take_base().unwrap();
        log.append(b"er").unwrap();
        let listed = folder.manifest().unwrap().unwrap();
        assert_eq!(listed.increments.len(), 1);
        assert_eq!(fs::read(folder.path(&listed.increments[0].name)).unwrap(), b"newer");
        assert_eq!(names(folder.dir()).len(), 3);
        assert!(log.take_base().is_err(), "one base, one rotation");
    }

    #[test]
    fn what_a_crash_left_behind_is_cleaned_away_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let folder = folder(dir.path());
        let mut manifest = folder.begin(BaseKind::Snapshot, |path| fs::write(path, "base")).unwrap();
        manifest.history.push(Part { name: "appendonly.aof.0.incr.aof".into(), seq: 9 });
        fs::write(folder.path("appendonly.aof.0.incr.aof"), "x").unwrap();
        fs::write(folder.new_base_path(), "x").unwrap();
        fs::write(folder.path("mine"), "x").unwrap();
        folder.clean(&mut manifest, false).unwrap();
        assert_eq!(
            names(folder.dir()),
            ["appendonly.aof.1.base.rdb", "appendonly.aof.1.incr.aof", "appendonly.aof.manifest", "mine"]
        );
        assert!(folder.has_files() && manifest.history.is_empty());
    }

    /// Found on a busy machine: the directive was set after the start and before the log's first turn, and
    /// the files stayed until the next start.
    #[test]
    fn history_goes_though_nobody_knew_that_it_was_kept() {
        let dir = tempfile::tempdir().unwrap();
        let folder = folder(dir.path());
        let mut manifest = folder.begin(BaseKind::Snapshot, |path| fs::write(path, "base")).unwrap();
        manifest.history.push(Part { name: "appendonly.aof.0.incr.aof".into(), seq: 9 });
        fs::write(folder.path("appendonly.aof.0.incr.aof"), "x").unwrap();
        folder.clean(&mut manifest, true).unwrap();
        let mut log = Log::open(folder.clone(), manifest).unwrap();
        assert_eq!(names(folder.dir()).len(), 4);
        log.set_keeps_history(false);
        assert_eq!(names(folder.dir()).len(), 3);
    }
}
