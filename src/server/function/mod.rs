//! Functions: scripts that are loaded as libraries, live with the data (in the file on disk, the log,
//! a full sync) and are called by name.
//!
//! The libraries of a server stand on one machine of their own (`script::Machine`); their texts are
//! the truth, the machine can be built from them anew. `metadata` reads a library's first line,
//! `load` runs its text so that it registers what it has, `commands` is FUNCTION and FCALL. Nothing
//! here knows a socket, a file or a clock.

mod commands;
mod help;
mod library;
mod list;
mod load;
mod metadata;
mod persist;
mod register;

pub use commands::COMMANDS;

use super::script::Machine;
use library::Library;
use std::collections::BTreeMap;

/// All that the server keeps of functions.
#[derive(Default)]
pub struct Functions {
    /// Built when the first library comes; away while a function runs.
    machine: Option<Box<Machine>>,
    /// By name.
    libraries: BTreeMap<String, Library>,
    /// The request that a running function answers: FUNCTION STATS tells it.
    request: Vec<Box<[u8]>>,
}

impl Functions {
    pub fn library_count(&self) -> usize {
        self.libraries.len()
    }

    pub fn function_count(&self) -> usize {
        self.libraries.values().map(|library| library.functions.len()).sum()
    }

    /// What the texts take, and what Lua takes.
    pub fn sizes(&self) -> (usize, usize) {
        let texts = self.libraries.values().map(|library| library.text.len()).sum();
        (texts, self.machine.as_ref().map_or(0, |machine| machine.used_bytes()))
    }

    /// A script on the machine of functions ended.
    pub(in crate::server) fn put_machine_back(&mut self, machine: Box<Machine>) {
        self.request.clear();
        // Libraries that came meanwhile stand on a machine of their own.
        if self.machine.is_none() {
            self.machine = Some(machine);
        }
    }

    /// Without regard to case, as Redis looks functions up.
    fn find(&self, name: &[u8]) -> Option<(&Library, &library::Function)> {
        self.libraries.values().find_map(|library| {
            let found =
                library.functions.iter().find(|function| function.name.as_bytes().eq_ignore_ascii_case(name));
            Some((library, found?))
        })
    }
}
