//! `pidfile`: the process id in a file, for as long as the process runs.

use std::path::PathBuf;

/// Removed with this.
pub struct PidFile(PathBuf);

impl PidFile {
    pub fn write(path: PathBuf) -> Result<PidFile, String> {
        let text = format!("{}\n", std::process::id());
        std::fs::write(&path, text).map_err(|error| {
            format!(
                "pidfile '{}' cannot be written ({error}); create its directory, give this user access, or leave the directive out",
                path.display()
            )
        })?;
        Ok(PidFile(path))
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        // Somebody else's by now: left alone.
        let own = std::process::id().to_string();
        if std::fs::read_to_string(&self.0).is_ok_and(|text| text.trim() == own) {
            let _ = std::fs::remove_file(&self.0);
        }
    }
}
