//! `vedette.state`: what a supervised server must not forget (promise P4).

use super::atomic_file;
use crate::server::supervised::Record;
use std::path::Path;

const NAME: &str = "vedette.state";
const BYTES_MAX: u64 = 4096;

/// On the disk when this returns.
pub fn keep(dir: &Path, record: &Record) -> Result<(), String> {
    let path = dir.join(NAME);
    atomic_file::replace(&path, record.encode().as_bytes())
        .map_err(|error| format!("{} cannot be written: {error}", path.display()))
}

/// What was kept, `None` if nothing ever was. A file that cannot be understood is an error: to start
/// without it would be to forget an epoch.
pub fn read(dir: &Path) -> Result<Option<Record>, String> {
    let path = dir.join(NAME);
    let bytes = atomic_file::read(&path, BYTES_MAX)
        .map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
    let Some(bytes) = bytes else { return Ok(None) };
    let record = std::str::from_utf8(&bytes).ok().and_then(Record::decode);
    record.map(Some).ok_or_else(|| {
        format!(
            "{} is damaged. It says which reign this server has seen. If its sentinels know another master, move the whole directory away and start again: the server then takes its data from the master",
            path.display()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::supervised::Told;

    #[test]
    fn a_damaged_state_file_is_not_an_empty_one() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read(dir.path()), Ok(None));
        let record = Record { node: "n".into(), group: "g".into(), epoch: 3, told: Told::Master };
        keep(dir.path(), &record).unwrap();
        assert_eq!(read(dir.path()), Ok(Some(record)));
        std::fs::write(dir.path().join(NAME), "vedette-state 1\nnode n\n").unwrap();
        assert!(read(dir.path()).unwrap_err().contains("damaged"));
    }
}
