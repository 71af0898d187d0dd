//! Every command by name: rows of the data, session and server families in one table.

use super::admin::interface;
use super::{Handler, ServerCommand, admin, blocking, function, replication, script, transaction};
use crate::commands::{self, DataCommand};
use crate::resp::spec::{Arity, CommandSpec};
use crate::session;
use crate::session::acl::catalogue;
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

pub struct Entry {
    pub spec: CommandSpec,
    pub run: Run,
    /// Counted apart, from this place on.
    subcommands: Box<[Subcommand]>,
    first_subcommand: CommandId,
}

struct Subcommand {
    /// Written `config|get`.
    name: &'static str,
    arity: Arity,
}

/// Why the words of a request are none of its command's.
#[derive(Debug, PartialEq, Eq)]
pub enum Misfit {
    /// Too few or too many, for what is counted there and written so.
    Arity(CommandId, &'static str),
    UnknownSubcommand,
}

impl Entry {
    fn slot_of(&self, argv: &[&[u8]]) -> Option<CommandId> {
        let word = argv.get(1)?;
        let is_it = |subcommand: &Subcommand| {
            let name = subcommand.name.split_once('|').map_or("", |(_, name)| name);
            name.as_bytes().eq_ignore_ascii_case(word)
        };
        self.subcommands.iter().position(is_it).map(|at| self.first_subcommand + at)
    }
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
        // Behind all commands, for a command keeps its number there.
        let mut next = table.entries.len();
        for entry in &mut table.entries {
            entry.first_subcommand = next;
            next += entry.subcommands.len();
        }
        table
    }

    fn add(&mut self, mut spec: CommandSpec, run: Run) {
        spec.flags |= script::manners::flags_of(spec.name);
        debug_assert!(spec.name.len() <= NAME_BYTES_MAX);
        let earlier = self.by_name.insert(spec.name.as_bytes(), self.entries.len());
        debug_assert!(earlier.is_none(), "two commands are called {}", spec.name);
        let names = catalogue::find(spec.name).into_iter().flat_map(catalogue::subcommands);
        let subcommands = names.map(|at| {
            let name = catalogue::entries()[at].name;
            // What is newer than Redis 7.0 counts its words itself.
            Subcommand { name, arity: interface::find(name).map_or(Arity::AtLeast(2), |line| line.arity()) }
        });
        self.entries.push(Entry { spec, run, first_subcommand: 0, subcommands: subcommands.collect() });
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

    /// Whether a command takes these words; a container's subcommand says how many it takes.
    #[inline]
    pub fn takes(&self, id: CommandId, argv: &[&[u8]]) -> Result<(), Misfit> {
        let entry = &self.entries[id];
        if !entry.spec.arity.accepts(argv.len()) {
            return Err(Misfit::Arity(id, entry.spec.name));
        }
        if entry.subcommands.is_empty() || argv.len() < 2 {
            return Ok(());
        }
        let slot = entry.slot_of(argv).ok_or(Misfit::UnknownSubcommand)?;
        let Subcommand { name, arity } = entry.subcommands[slot - entry.first_subcommand];
        if arity.accepts(argv.len()) { Ok(()) } else { Err(Misfit::Arity(slot, name)) }
    }

    /// Where a request is counted: at its subcommand, if it has one that is known.
    #[inline]
    pub fn slot(&self, id: CommandId, argv: &[&[u8]]) -> CommandId {
        let entry = &self.entries[id];
        if entry.subcommands.is_empty() { id } else { entry.slot_of(argv).unwrap_or(id) }
    }

    /// Places where requests are counted.
    pub fn slots(&self) -> usize {
        self.entries.iter().map(|entry| 1 + entry.subcommands.len()).sum()
    }

    /// As statistics name it.
    pub fn name_of(&self, slot: CommandId) -> &'static str {
        match self.entries.get(slot) {
            Some(entry) => entry.spec.name,
            None => {
                let last = self.entries.partition_point(|entry| entry.first_subcommand <= slot);
                // Those without subcommands begin where the next one does.
                let entry = last.checked_sub(1).map(|at| &self.entries[at]);
                entry
                    .and_then(|entry| entry.subcommands.get(slot - entry.first_subcommand))
                    .map_or("", |subcommand| subcommand.name)
            }
        }
    }

    /// The places of a command, or of a subcommand written `config|get`: a container's are those of all its
    /// subcommands.
    pub fn slots_named(&self, name: &str) -> Vec<CommandId> {
        let name = name.to_ascii_lowercase();
        let container = name.split('|').next().unwrap_or_default();
        let Some(id) = self.find(container.as_bytes()) else { return Vec::new() };
        let entry = &self.entries[id];
        let own = (container == name).then_some(id);
        let within = entry.subcommands.iter().enumerate();
        let within = within.filter(|(_, subcommand)| container == name || subcommand.name == name);
        own.into_iter().chain(within.map(|(at, _)| entry.first_subcommand + at)).collect()
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
        let takes = |line: &str| {
            let argv: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
            table.takes(table.find(argv[0]).unwrap(), &argv)
        };
        assert_eq!(takes("CONFIG GET maxmemory"), Ok(()));
        assert!(matches!(takes("config Get"), Err(Misfit::Arity(_, "config|get"))));
        assert!(matches!(takes("CONFIG"), Err(Misfit::Arity(_, "config"))));
        assert_eq!(takes("CONFIG nothing"), Err(Misfit::UnknownSubcommand));
        assert_eq!(takes("COMMAND"), Ok(()));
        let mut names: Vec<_> = table.iter().map(|entry| entry.spec.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), table.len());
    }
}
