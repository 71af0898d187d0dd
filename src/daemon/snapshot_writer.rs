//! A thread that writes snapshots, so that neither the engine nor its loop ever waits for the disk.
//! What it has to say goes to the loop as inputs of the engine.

use crate::disk::snapshot::SnapshotFile;
use crate::server::Input;
use bytes::Bytes;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Sender, channel};

pub enum Order {
    Begin,
    Part(Bytes),
    End,
}

/// Starts the thread for snapshots under `path`; it ends with the sender.
pub fn start(path: PathBuf, tell: impl Fn(Input) + Send + 'static) -> std::io::Result<Sender<Order>> {
    let (orders, inbox) = channel();
    std::thread::Builder::new().name("snapshot".into()).spawn(move || {
        let mut file: Option<SnapshotFile> = None;
        for order in inbox {
            let result = match order {
                Order::Begin => SnapshotFile::create(&path).map(|new| file = Some(new)),
                Order::Part(bytes) => {
                    let result = file.as_mut().map_or(Ok(()), |file| file.append(&bytes));
                    tell(Input::SnapshotPartWritten);
                    result
                }
                Order::End => match file.take() {
                    // It failed before; that was told then.
                    None => Ok(()),
                    Some(file) => file.publish().map(|()| tell(Input::SnapshotEnded { result: Ok(()) })),
                },
            };
            if let Err(error) = result {
                if let Some(file) = file.take() {
                    file.abandon();
                }
                tell(Input::SnapshotEnded { result: Err(complaint(&path, &error)) });
            }
        }
    })?;
    Ok(orders)
}

fn complaint(path: &Path, error: &std::io::Error) -> String {
    format!("{} cannot be written ({error}); free space or give this user access", path.display())
}
