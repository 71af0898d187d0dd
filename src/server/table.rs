//! Every command by name: rows of the data, session and server families in one table.

use super::{Handler, ServerCommand, admin, blocking, function, replication, script, transaction};
use crate::commands::{self, DataCommand};
use crate::resp::spec::CommandSpec;
use crate::session;
use foldhash::fast::FixedState;
use hashbrown::HashMap;

/// Names are looked up in a buffer of this size; nothing longer is a command.
const NAME_BYTES_MAX: usize = 32;

#[derive(Clone, Copy)]
pub enum Run {
    Data(commands::Handler),
    Session(session::Handler),
    Server(Handler),
}

#[derive(Clone, Copy)]
pub struct Entry {
    pub spec: CommandSpec,
    pub run: Run,
}

/// Stands for one command; stable for the life of the table.
pub type CommandId = usize;

pub struct Table {
    entries: Vec<Entry>,
    by_name: HashMap<&'static [u8], CommandId, FixedState>,
}

impl Table {
    pub fn new() -> Self {
        let mut table = Table { entries: Vec::new(), by_name: HashMap::with_hasher(FixedState::default()) };
        let data = commands::families().iter().copied().flatten();
        for DataCommand { spec, handler } in data {
            table.add(*spec, Run::Data(*handler));
        }
        for row in session::COMMANDS.iter().copied().flatten().chain(session::DATA_COMMANDS) {
            table.add(row.spec, Run::Session(row.handler));
        }
        let own =
            [transaction::COMMANDS, blocking::COMMANDS, script::COMMANDS, function::COMMANDS].into_iter();
        let own = own.chain([super::migrate::COMMANDS]).chain(super::aof::COMMANDS.iter().copied());
        let own = own.chain(admin::COMMANDS.iter().copied()).chain(replication::COMMANDS.iter().copied());
        for ServerCommand { spec, handler } in own.flatten() {
            table.add(*spec, Run::Server(*handler));
        }
        for &(name, handler) in blocking::INSTEAD {
            if let Some(id) = table.find(name.as_bytes()) {
                table.entries[id].run = Run::Server(handler);
            }
        }
        table
    }

    fn add(&mut self, mut spec: CommandSpec, run: Run) {
        spec.flags |= script::manners::flags_of(spec.name);
        debug_assert!(spec.name.len() <= NAME_BYTES_MAX);
        let earlier = self.by_name.insert(spec.name.as_bytes(), self.entries.len());
        debug_assert!(earlier.is_none(), "two commands are called {}", spec.name);
        self.entries.push(Entry { spec, run });
    }

    /// Case does not matter.
    pub fn find(&self, name: &[u8]) -> Option<CommandId> {
        let mut lower = [0; NAME_BYTES_MAX];
        let lower = lower.get_mut(..name.len())?;
        for (to, from) in lower.iter_mut().zip(name) {
            *to = from.to_ascii_lowercase();
        }
        self.by_name.get(&*lower).copied()
    }

    pub fn entry(&self, id: CommandId) -> &Entry {
        &self.entries[id]
    }

    pub fn spec_of(&self, name: &[u8]) -> Option<&CommandSpec> {
        self.find(name).map(|id| &self.entries[id].spec)
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }
}

impl Default for Table {
    fn default() -> Self {
        Table::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_by_any_case_and_no_name_twice() {
        let table = Table::new();
        assert!(table.find(b"PiNg").is_some());
        assert!(table.find(b"nothing").is_none());
        assert!(table.find(&[b'x'; 100]).is_none());
        let mut names: Vec<_> = table.iter().map(|entry| entry.spec.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), table.len());
    }
}
