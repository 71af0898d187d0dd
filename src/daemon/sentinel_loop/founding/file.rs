//! `founding.json`: what a founder must not forget, in the sentinel's directory, which is locked while
//! the fleet is not founded yet.

use crate::disk::atomic_file;
use crate::sentinel::founding::{FILE, Kept};
use rustix::fs::{FlockOperation, flock};
use std::fs::{DirBuilder, File};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

const BYTES_MAX: u64 = 1 << 16;
const LOG: &str = "raft.redb";

pub(super) struct Directory {
    path: PathBuf,
    /// Locked as long as this lives.
    _lock: File,
}

impl Directory {
    pub(super) fn open(dir: &Path) -> Result<Self, String> {
        let failed = |what: &str, error: std::io::Error| format!("cannot {what} {}: {error}", dir.display());
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(|e| failed("make", e))?;
        let lock = File::open(dir).map_err(|e| failed("open", e))?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive).map_err(|error| match error {
            rustix::io::Errno::WOULDBLOCK => format!(
                "{} is in use by another process: a sentinel with this directory runs already; stop it, or give \
                 this one a directory of its own",
                dir.display()
            ),
            error => failed("lock", error.into()),
        })?;
        Ok(Directory { path: dir.to_owned(), _lock: lock })
    }

    /// A log is there, so this sentinel is one of some fleet already.
    pub(super) fn holds_a_log(&self) -> bool {
        self.path.join(LOG).exists()
    }

    pub(super) fn keep(&self, kept: &Kept) -> Result<(), String> {
        let path = self.path.join(FILE);
        let text = serde_json::to_vec_pretty(kept).unwrap_or_default();
        atomic_file::replace(&path, &text)
            .map_err(|error| format!("{} cannot be written: {error}; check the disk's space", path.display()))
    }
}

/// `None` if this sentinel never was to found a fleet.
pub(in super::super) fn read(dir: &Path) -> Result<Option<Kept>, String> {
    let path = dir.join(FILE);
    let bytes = atomic_file::read(&path, BYTES_MAX)
        .map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
    let Some(bytes) = bytes else { return Ok(None) };
    serde_json::from_slice(&bytes).map(Some).map_err(|error| {
        format!(
            "{} is damaged ({error}). It says with whom this sentinel founds its fleet. If the fleet stands already, move \
             the directory away and let this sentinel join it with --join; if not, copy the list of `promised` from another founder",
            path.display()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Address;
    use crate::sentinel::founding::Founder;

    #[test]
    fn what_was_promised_is_read_back_and_damage_is_no_fresh_start() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read(dir.path()), Ok(None));
        let directory = Directory::open(dir.path()).unwrap();
        assert!(Directory::open(dir.path()).err().unwrap().contains("in use by another process"));
        let promised = vec![Founder { run_id: "a".into(), address: Address::new("h", 1) }];
        let kept = Kept { run_id: "a".into(), promised, founded: true };
        directory.keep(&kept).unwrap();
        assert_eq!(read(dir.path()), Ok(Some(kept)));
        std::fs::write(dir.path().join(FILE), "{").unwrap();
        assert!(read(dir.path()).unwrap_err().contains("damaged"));
    }
}
