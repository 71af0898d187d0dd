//! A thread that packs and writes snapshots, so that neither the engine nor its loop ever waits for the disk
//! or for a compressor.
//! What it has to say goes to the loop as inputs of the engine.

use crate::disk::snapshot::SnapshotFile;
use crate::rdb::{Packing, Part};
use crate::server::Input;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Sender, channel};

pub enum Order {
    Begin,
    /// The base of the append-only file.
    BeginBase,
    Part(Part),
    End,
}

/// Starts the thread for snapshots under `path` and bases under `base`; it ends with the sender.
pub fn start(
    path: PathBuf,
    base: PathBuf,
    tell: impl Fn(Input) + Send + 'static,
) -> std::io::Result<Sender<Order>> {
    let (orders, inbox) = channel();
    std::thread::Builder::new().name("snapshot".into()).spawn(move || {
        let mut file: Option<SnapshotFile> = None;
        let mut current = &path;
        let mut packing = Packing::default();
        for order in inbox {
            if matches!(order, Order::Begin | Order::BeginBase) {
                packing = Packing::default();
            }
            let result = match order {
                Order::Begin => {
                    current = &path;
                    SnapshotFile::create(current).map(|new| file = Some(new))
                }
                Order::BeginBase => {
                    current = &base;
                    create_base(current).map(|new| file = Some(new))
                }
                Order::Part(part) => {
                    let result = file.as_mut().map_or(Ok(()), |file| file.append(&packing.pack(part)));
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
                tell(Input::SnapshotEnded { result: Err(complaint(current, &error)) });
            }
        }
    })?;
    Ok(orders)
}

/// Its directory may not be there yet: the log was turned on while running.
fn create_base(path: &Path) -> std::io::Result<SnapshotFile> {
    path.parent().map_or(Ok(()), std::fs::create_dir_all)?;
    SnapshotFile::create(path)
}

fn complaint(path: &Path, error: &std::io::Error) -> String {
    format!("{} cannot be written ({error}); free space or give this user access", path.display())
}
