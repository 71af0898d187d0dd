//! One secret from one file. A file that others may read is taken, and warned about.
//!
//! Promise: what is wrong is told with the key and the path, and without a word of what the file holds.

use crate::config::Secret;
use slog::{Logger, warn};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

const FILE_BYTES_MAX: u64 = 4096;

/// `key` is the setting that names the file.
pub(super) fn read(key: &str, path: &Path, logger: &Logger) -> Result<Secret, String> {
    let shown = path.display();
    let failed = |error: std::io::Error| format!("{key}: cannot read {shown}: {error}");
    let file = std::fs::File::open(path).map_err(failed)?;
    let mode = file.metadata().map_err(failed)?.permissions().mode();
    if mode & 0o077 != 0 {
        warn!(logger, "{key}: {shown} can be read by others (mode {:o}); make it 0600", mode & 0o777);
    }
    let mut text = String::new();
    file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(failed)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(format!("{key}: {shown} is longer than {FILE_BYTES_MAX} bytes; is it the right file?"));
    }
    Secret::from_file_text(&text).ok_or_else(|| format!("{key}: {shown} is empty; write the secret into it"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_a_secret_is_named() {
        let logger = Logger::root(slog::Discard, slog::o!());
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        assert!(read("k", &path, &logger).unwrap_err().contains("k: cannot read"));
        std::fs::write(&path, "\n").unwrap();
        assert!(read("k", &path, &logger).unwrap_err().contains("is empty"));
        std::fs::write(&path, "x".repeat(5000)).unwrap();
        assert!(read("k", &path, &logger).unwrap_err().contains("longer than"));
        std::fs::write(&path, "hunter2\n").unwrap();
        assert_eq!(read("k", &path, &logger).unwrap().expose(), "hunter2");
    }
}
