//! Scripts: EVAL and its family, and the engine that functions stand on too.
//!
//! A script is a value that is resumed (`machine`): it asks for commands one at a time (`calls`), and
//! breathes now and then; one that takes longer than `busy-reply-threshold` is left standing between two
//! breaths so that others are told BUSY (`busy`). What it did goes to replicas and the log as its
//! effects, in one piece, when it ends.
//!
//! To run one: [`Server::run_script`] with a [`Call`].

mod api;
mod busy;
mod calls;
mod chance;
mod convert;
mod eval;
pub mod libraries;
pub mod link;
pub mod machine;
pub mod manners;
pub mod native;
mod run;
mod sandbox;
pub mod shebang;
#[cfg(test)]
mod tests;

pub use api::TO_REPLICAS;
pub use calls::{Capture, Captured};
pub use eval::COMMANDS;
pub(in crate::server) use eval::row;
pub use machine::Machine;
pub use run::{Call, Kind, Run};
pub use sandbox::{World, build};
pub use shebang::Flags;

use super::Server;
use super::transaction::Rest;
use crate::commands::CommandError;
use crate::session::{Outbox, Session};
use crate::stdx::time::{Duration, Instant};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

/// All that the server keeps of scripts.
pub struct Scripting {
    /// Built when it is first needed.
    machine: Option<Box<Machine>>,
    /// The script that has begun and not ended, while it is not in the engine's hands.
    standing: Option<Box<Run>>,
    /// Speaks for the script to the commands that it calls; a client that nobody is.
    speaker: Option<Box<Session>>,
    /// Real time; without it a breath counts as a millisecond.
    clock: Option<fn() -> Instant>,
    /// The last script called a command that reads.
    pub has_read: bool,
    /// Where `math.random` stood when the cache was flushed.
    chance: u64,
}

impl Default for Scripting {
    fn default() -> Self {
        let mut speaker = nobody();
        speaker.in_script = true;
        Scripting {
            machine: None,
            standing: None,
            speaker: Some(speaker),
            clock: None,
            has_read: false,
            chance: chance::START,
        }
    }
}

/// A session without a connection.
fn nobody() -> Box<Session> {
    let nowhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let mut session = Session::new(0, nowhere, nowhere, Arc::new(Outbox::default()), Instant::ZERO);
    session.authenticated = true;
    Box::new(session)
}

impl Scripting {
    /// A script stands in the middle, and everybody else is told BUSY.
    pub fn is_busy(&self) -> bool {
        self.standing.is_some()
    }

    pub fn clock(&self) -> Option<fn() -> Instant> {
        self.clock
    }

    /// Of the script that stands in the middle: whose it is, its name, and since when it runs.
    pub fn standing(&self) -> Option<(Kind, &str, Duration)> {
        let run = self.standing.as_deref()?;
        let breaths = Duration::from_millis(u64::from(run.breaths));
        Some((run.kind, &run.name, self.clock.map_or(breaths, |clock| clock().since(run.began))))
    }

    /// The transaction goes on when the script ends.
    pub fn leave_rest(&mut self, rest: Rest) {
        if let Some(run) = &mut self.standing {
            run.rest = Some(rest);
        }
    }

    /// Drops all cached scripts. The sequence of `math.random` goes on, as in Redis.
    fn forget_machine(&mut self) {
        if let Some(machine) = self.machine.take() {
            self.chance = machine.world().chance.get();
        }
    }

    /// The machine of EVAL.
    fn machine(&mut self) -> Result<&mut Machine, CommandError> {
        if self.machine.is_none() {
            let world = sandbox::build(|_, _| Ok(())).map_err(|error| {
                CommandError::Text(format!("ERR scripts cannot run here: {}", native::text_of(&error)))
            })?;
            world.chance.set(self.chance);
            let machine = Machine::new(world).map_err(|error| {
                CommandError::Text(format!("ERR no memory for the stack of scripts: {error}"))
            })?;
            self.machine = Some(Box::new(machine));
        }
        self.machine.as_deref_mut().ok_or_else(|| "ERR scripts cannot run here".into())
    }
}

impl Server {
    /// Where scripts learn how long they have run.
    pub fn set_script_clock(&mut self, clock: fn() -> Instant) {
        self.scripting.clock = Some(clock);
    }
}
