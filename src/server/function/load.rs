//! A library from its text: compiled, run so that it registers its functions, and joined with what is
//! there, whole or not at all.

use super::library::Library;
use super::register::{self, Collector, Names};
use super::{Functions, metadata};
use crate::server::script::link::{Answer, Ask};
use crate::server::script::machine::{Outcome, Step};
use crate::server::script::{Machine, build};
use crate::stdx::time::{Duration, Instant};
use mlua::MultiValue;

/// A library that takes longer to register its functions is given up.
const LOAD_TIME_MAX: Duration = Duration::from_millis(500);

/// How long loading may take.
pub struct Patience {
    clock: Option<fn() -> Instant>,
    end: Option<Instant>,
    breaths_left: u32,
}

impl Patience {
    /// Without a clock a breath counts as a millisecond.
    pub fn limited(clock: Option<fn() -> Instant>) -> Self {
        let end = clock.map(|clock| clock() + LOAD_TIME_MAX);
        Patience { clock, end, breaths_left: LOAD_TIME_MAX.as_millis() as u32 }
    }

    /// What a master, a file or a log holds is loaded however long it takes.
    pub fn unlimited() -> Self {
        Patience { clock: None, end: None, breaths_left: u32::MAX }
    }

    fn is_over(&mut self) -> bool {
        match (self.clock, self.end) {
            (Some(clock), Some(end)) => clock() > end,
            _ => {
                self.breaths_left = self.breaths_left.saturating_sub(1);
                self.breaths_left == 0
            }
        }
    }
}

/// What a library said while it was loaded, by level.
pub type Said = Vec<(u8, Vec<u8>)>;

impl Functions {
    /// The machine; built if there is none. While a function holds it, libraries that come (a replica's
    /// master may send some) get another one, and those that are here move there.
    fn machine(&mut self) -> Result<&mut Machine, String> {
        if self.machine.is_none() {
            let world =
                build(|_, _| Ok(())).map_err(|error| format!("functions cannot run here: {error}"))?;
            register::prepare(&world.lua).map_err(|error| format!("functions cannot run here: {error}"))?;
            let machine = Machine::new(world)
                .map_err(|error| format!("no memory for the stack of functions: {error}"))?;
            self.machine = Some(Box::new(machine));
            for (name, library) in std::mem::take(&mut self.libraries) {
                let moved = self.read(&library.text, Patience::unlimited(), &mut Vec::new())?;
                self.libraries.insert(name, moved);
            }
        }
        self.machine.as_deref_mut().ok_or_else(|| "functions cannot run here".to_owned())
    }

    /// Loads one library and joins it; its name.
    pub fn load(
        &mut self,
        text: &[u8],
        replace: bool,
        patience: Patience,
        said: &mut Said,
    ) -> Result<String, String> {
        let (name, _) = metadata::parse(text)?;
        if self.libraries.contains_key(&name) && !replace {
            return Err(format!("Library '{name}' already exists"));
        }
        let library = self.read(text, patience, said)?;
        if let Err(why) = self.fits(&library, &name) {
            self.drop_callbacks(&library);
            return Err(why);
        }
        if let Some(old) = self.libraries.insert(name.clone(), library) {
            self.drop_callbacks(&old);
        }
        Ok(name)
    }

    /// Loads many, or none.
    pub fn join(
        &mut self,
        texts: &[Vec<u8>],
        replace: bool,
        flush: bool,
        patience: impl Fn() -> Patience,
        said: &mut Said,
    ) -> Result<(), String> {
        let mut others = Functions::default();
        // Their callbacks stand on the same machine, because they stay if all goes well.
        std::mem::swap(&mut others.machine, &mut self.machine);
        let loaded = texts.iter().try_for_each(|text| others.load(text, false, patience(), said).map(drop));
        std::mem::swap(&mut others.machine, &mut self.machine);
        let fits = loaded.and_then(|()| if flush { Ok(()) } else { self.all_fit(&others, replace) });
        if let Err(why) = fits {
            for library in others.libraries.values() {
                self.drop_callbacks(library);
            }
            return Err(why);
        }
        if flush {
            for library in std::mem::take(&mut self.libraries).values() {
                self.drop_callbacks(library);
            }
        }
        for (name, library) in others.libraries {
            if let Some(old) = self.libraries.insert(name, library) {
                self.drop_callbacks(&old);
            }
        }
        Ok(())
    }

    fn all_fit(&self, others: &Functions, replace: bool) -> Result<(), String> {
        if !replace
            && let Some(name) = others.libraries.keys().find(|name| self.libraries.contains_key(*name))
        {
            return Err(format!("Library {name} already exists"));
        }
        let stays = |library: &&Library| !others.libraries.contains_key(&library.name);
        for function in others.libraries.values().flat_map(|library| &library.functions) {
            let taken = self.libraries.values().filter(stays).any(|library| library.has(&function.name));
            if taken {
                return Err(format!("Function {} already exists", function.name));
            }
        }
        Ok(())
    }

    /// Whether the functions of `library` are not there yet, outside of what it replaces.
    fn fits(&self, library: &Library, replaced: &str) -> Result<(), String> {
        let others = || self.libraries.values().filter(|other| other.name != replaced);
        match library.functions.iter().find(|function| others().any(|other| other.has(&function.name))) {
            Some(function) => Err(format!("Function {} already exists", function.name)),
            None => Ok(()),
        }
    }

    fn drop_callbacks(&mut self, library: &Library) {
        if let Some(machine) = &self.machine {
            for function in &library.functions {
                register::forget(&machine.world().lua, function.callback);
            }
        }
    }

    /// Deletes a library; whether there was one.
    pub fn delete(&mut self, name: &str) -> bool {
        let Some(library) = self.libraries.remove(name) else { return false };
        self.drop_callbacks(&library);
        true
    }

    /// Runs a library's text. What it registers is in the machine; nothing is joined yet.
    fn read(&mut self, text: &[u8], mut patience: Patience, said: &mut Said) -> Result<Library, String> {
        let (name, code) = metadata::parse(text)?;
        let machine = self.machine()?;
        let program = machine
            .compile("@user_function", code)
            .map_err(|why| format!("Error compiling function: {why}"))?;
        let failed = |error: mlua::Error| format!("Error registering functions: ERR {error}");
        let lua = machine.world().lua.clone();
        let names = Names::new(&lua).map_err(failed)?;
        program.set_environment(names.table.clone()).map_err(failed)?;
        if let Some(mut collector) = lua.app_data_mut::<Collector>() {
            collector.is_open = true;
            collector.functions.clear();
        }
        let mut step = machine.start(program, MultiValue::new());
        let mut given_up = false;
        let outcome = loop {
            let asks = match step {
                Ok(Step::Ends(outcome)) => break Ok(outcome),
                Ok(Step::Asks(ask)) => ask,
                Err(why) => break Err(why),
            };
            given_up |= matches!(asks, Ask::Breath) && patience.is_over();
            step = Ok(machine.resume(if given_up { Answer::Die } else { Answer::Yes }));
        };
        let mut functions = Vec::new();
        if let Some(mut collector) = lua.app_data_mut::<Collector>() {
            collector.is_open = false;
            functions = std::mem::take(&mut collector.functions);
            said.append(&mut collector.said);
        }
        let opened = names.open(&machine.world().globals).map_err(failed);
        let library = Library { name, text: text.to_vec(), functions };
        let problem = match outcome {
            Err(why) => Some(why),
            _ if given_up => Some("Error registering functions: ERR FUNCTION LOAD timeout".to_owned()),
            Ok(Outcome::Failed(failure)) => Some(format!("Error registering functions: {}", failure.text)),
            Ok(Outcome::Returned(_)) if library.functions.is_empty() => {
                Some("No functions registered".to_owned())
            }
            Ok(Outcome::Returned(_)) => opened.err(),
        };
        match problem {
            None => Ok(library),
            Some(why) => {
                self.drop_callbacks(&library);
                Err(why)
            }
        }
    }
}

impl Library {
    fn has(&self, name: &str) -> bool {
        self.functions.iter().any(|function| function.name.eq_ignore_ascii_case(name))
    }
}
