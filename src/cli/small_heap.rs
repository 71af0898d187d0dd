//! A sentinel is one of many processes on its host and should be small. The allocator reads how it
//! behaves from the environment, before `main`, so the process puts it there and becomes itself
//! again: same pid, same arguments, same files.
//!
//! Promise: with the variables set already, by us or by the operator, it does nothing; an `exec` that
//! fails leaves a larger sentinel and no error.

use std::os::unix::process::CommandExt;

/// Give freed pages back at once; ask for no huge pages, of which a few megabytes would fill ten.
const OPTIONS: [(&str, &str); 2] = [("MIMALLOC_PURGE_DELAY", "0"), ("MIMALLOC_ALLOW_THP", "0")];

pub(super) fn ensure() {
    if OPTIONS.iter().any(|(name, _)| std::env::var_os(name).is_some()) {
        return;
    }
    let Ok(program) = std::env::current_exe() else { return };
    let mut words = std::env::args_os();
    let Some(name) = words.next() else { return };
    // Returns only when it failed.
    let _ = std::process::Command::new(program).arg0(name).args(words).envs(OPTIONS).exec();
}
