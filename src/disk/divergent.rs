//! The file in which a former master keeps what only it has: written whole and synced, or not there.

use super::atomic_file;
use std::fs::{self, File};
use std::io;
use std::path::Path;

/// Commands under `name` in `dir`.
pub fn write(dir: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    atomic_file::replace(&dir.join(name), bytes)
}

/// The snapshot as it is now under a second name: when it is replaced, this one keeps the old bytes.
pub fn link(dir: &Path, snapshot: &str, name: &str) -> io::Result<()> {
    match fs::hard_link(dir.join(snapshot), dir.join(name)) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_linked_snapshot_outlives_the_next_one() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "dump.rdb", b"old").unwrap();
        link(dir.path(), "dump.rdb", "divergent-a-1-2.rdb").unwrap();
        link(dir.path(), "dump.rdb", "divergent-a-1-2.rdb").unwrap();
        write(dir.path(), "dump.rdb", b"new").unwrap();
        assert_eq!(fs::read(dir.path().join("divergent-a-1-2.rdb")).unwrap(), b"old");
        assert!(link(dir.path(), "nothing.rdb", "x").is_err());
    }
}
