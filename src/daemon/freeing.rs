//! The thread that frees what the engine took out of sight, so that no client waits for it.

use super::memory_meter;
use crate::store::garbage::Garbage;
use std::sync::mpsc::{Sender, channel};

/// Starts the thread; it ends with the sender. `freed` is called when nothing more waits.
pub fn start(freed: impl Fn() + Send + 'static) -> std::io::Result<Sender<Vec<Garbage>>> {
    let (sender, inbox) = channel::<Vec<Garbage>>();
    std::thread::Builder::new().name("freeing".into()).spawn(move || {
        while let Ok(garbage) = inbox.recv() {
            drop(garbage);
            inbox.try_iter().for_each(drop);
            memory_meter::purge();
            memory_meter::flush();
            freed();
        }
    })?;
    Ok(sender)
}
