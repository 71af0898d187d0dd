//! When files are to be read again: SIGHUP, or one of them changed. Reads none itself.

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

/// How often files are looked at. A change counts when two looks in a row see the same, so that a
/// file is not read while it is being written.
const LOOK_EVERY: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    Signal,
    Changed,
}

/// Length, moment and place of each file; `None` for one that is not there.
type Look = Vec<Option<(u64, i64, i64, u64)>>;

/// Told each time, from now on. Needs a runtime; ends when the receiver is dropped.
pub fn watch(paths: Vec<PathBuf>) -> std::io::Result<mpsc::Receiver<Why>> {
    let mut hangup = signal(SignalKind::hangup())?;
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        let mut known = look(&paths).await;
        let mut unsettled: Option<Look> = None;
        loop {
            let why = tokio::select! {
                _ = hangup.recv() => {
                    known = look(&paths).await;
                    unsettled = None;
                    Some(Why::Signal)
                }
                () = tokio::time::sleep(LOOK_EVERY) => {
                    let now = look(&paths).await;
                    if now == known {
                        unsettled = None;
                        None
                    } else if unsettled.as_ref() == Some(&now) {
                        known = now;
                        unsettled = None;
                        Some(Why::Changed)
                    } else {
                        unsettled = Some(now);
                        None
                    }
                }
                () = sender.closed() => return,
            };
            if let Some(why) = why
                && sender.send(why).await.is_err()
            {
                return;
            }
        }
    });
    Ok(receiver)
}

/// On a thread of its own: a directory that hangs must not hold the loop.
async fn look(paths: &[PathBuf]) -> Look {
    let paths = paths.to_vec();
    let look = move || {
        let one = |path: &PathBuf| {
            let meta = std::fs::metadata(path).ok()?;
            Some((meta.size(), meta.mtime(), meta.mtime_nsec(), meta.ino()))
        };
        paths.iter().map(one).collect()
    };
    tokio::task::spawn_blocking(look).await.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_change_is_told_once_it_has_settled() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        std::fs::write(&path, "one").unwrap();
        let mut told = watch(vec![path.clone(), dir.path().join("absent")]).unwrap();
        // Time for the first look; what is written before it would be no change.
        tokio::time::sleep(Duration::from_millis(300)).await;
        std::fs::write(&path, "two and more").unwrap();
        let why = tokio::time::timeout(Duration::from_secs(20), told.recv()).await.unwrap();
        assert_eq!(why, Some(Why::Changed));
    }
}
