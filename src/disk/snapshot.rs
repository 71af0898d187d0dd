//! The snapshot file: written beside its name, synced, then renamed over it; whoever reads the name
//! finds a whole file, the old one or the new one.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Synced this often on the way: the sync at the end then stalls nobody who shares the disk.
const SYNC_BYTES: usize = 32 << 20;

pub struct SnapshotFile {
    file: File,
    unsynced: usize,
    temporary: PathBuf,
    path: PathBuf,
}

impl SnapshotFile {
    /// Begins a new image for `path`. One of these at a time per directory.
    pub fn create(path: &Path) -> io::Result<Self> {
        let mut temporary = path.as_os_str().to_owned();
        temporary.push(".part");
        let temporary = PathBuf::from(temporary);
        let mut options = File::options();
        options.write(true).create(true).truncate(true);
        // Data is for its owner.
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        Ok(SnapshotFile { file: options.open(&temporary)?, unsynced: 0, temporary, path: path.to_owned() })
    }

    pub fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.unsynced += bytes.len();
        if self.unsynced >= SYNC_BYTES {
            self.unsynced = 0;
            self.file.sync_data()?;
        }
        Ok(())
    }

    /// Puts it under its name for good.
    pub fn publish(self) -> io::Result<()> {
        self.file.sync_all()?;
        fs::rename(&self.temporary, &self.path)?;
        let directory = self.path.parent().filter(|parent| !parent.as_os_str().is_empty());
        File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
    }

    pub fn abandon(self) {
        let _ = fs::remove_file(&self.temporary);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_always_holds_a_whole_image() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("dump.rdb");
        fs::write(&path, "old").unwrap();
        let mut file = SnapshotFile::create(&path).unwrap();
        file.append(b"ne").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"old");
        file.append(b"w").unwrap();
        file.publish().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        SnapshotFile::create(&path).unwrap().abandon();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
