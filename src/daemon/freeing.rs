//! The thread that frees what the engine took out of sight, so that no client waits for it.

use super::memory_meter;
use crate::store::garbage::Garbage;
use std::sync::mpsc::{Sender, channel};

/// Less than this is not worth a look at all that the threads hold.
const PURGE_BYTES_MIN: u64 = 4 << 20;

/// Starts the thread; it ends with the sender. `freed` is called when nothing more waits, `everywhere`
/// with what those threads are to do that made most of the garbage: memory goes back to the machine
/// through the thread that took it, and a thread that is idle would never look.
pub fn start(
    freed: impl Fn() + Send + 'static,
    everywhere: impl Fn(fn()) + Send + 'static,
) -> std::io::Result<Sender<Vec<Garbage>>> {
    let (sender, inbox) = channel::<Vec<Garbage>>();
    std::thread::Builder::new().name("freeing".into()).spawn(move || {
        let mut freed_bytes = 0;
        while let Ok(garbage) = inbox.recv() {
            let before = memory_meter::allocated_bytes();
            drop(garbage);
            inbox.try_iter().for_each(drop);
            memory_meter::purge();
            memory_meter::flush();
            let left = memory_meter::allocated_bytes();
            freed_bytes += before.saturating_sub(left);
            // A look costs as much as there is left, so it must be earned.
            if freed_bytes >= PURGE_BYTES_MIN.max(left / 8) {
                freed_bytes = 0;
                everywhere(memory_meter::purge);
            }
            freed();
        }
    })?;
    Ok(sender)
}
