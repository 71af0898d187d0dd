//! A lock over N independent masters (RedLock), as a state machine: `(state, now, input) -> actions`.
//!
//! Promises: it says [`Action::Acquired`] only after a majority of the servers took its token within the
//! time that token is valid there, drift accounted; what it holds it says until when; what it did not
//! get, or no longer wants, it deletes everywhere, also where nobody answered. Every holder has a fencing
//! token that no other holder has, greater than that of every holder before it, **whatever the clocks
//! do**, as long as a majority of the servers keep their data. Has never heard of a socket, a clock it
//! was not handed, or a child process.
//!
//! ```
//! use std::time::Duration;
//! use vedette::redlock::{Action, Answer, Input, Lock, Plan, Request};
//! use vedette::stdx::time::Instant;
//!
//! // One server, to keep the example short; a lock worth its name has three or five.
//! let plan = Plan::new(1, Duration::from_secs(30)).unwrap();
//! let now = Instant::from_millis(1000);
//! let (mut lock, actions) = Lock::acquire(plan, "0f3b", 1, now);
//! let Action::Ask { server: 0, id, request: Request::Acquire { .. }, .. } = &actions[0] else { panic!() };
//!
//! // The shell sends what is asked for (`redlock::wire` has the commands) and hands in the answers.
//! let granted = Answer::Granted { uptime: Duration::from_secs(3600) };
//! let actions = lock.handle(now, Input::Answered { server: 0, id: *id, answer: granted });
//! let Action::Ask { id, request: Request::ReadFence, .. } = &actions[0] else { panic!() };
//! let actions = lock.handle(now, Input::Answered { server: 0, id: *id, answer: Answer::Fence(41) });
//! let Action::Ask { id, request: Request::Renew { fence: 42, .. }, .. } = &actions[0] else { panic!() };
//! let actions = lock.handle(now, Input::Answered { server: 0, id: *id, answer: Answer::Renewed });
//! let Action::Acquired(grant) = &actions[0] else { panic!() };
//! assert_eq!((grant.fence, grant.valid_until), (42, now + Duration::from_millis(30_000 - 302)));
//! ```

mod lock;
mod plan;
mod round;
#[cfg(test)]
mod tests;
pub mod validity;
pub mod wire;

pub use lock::Lock;
pub use plan::{BadPlan, Plan, Wait};

use crate::stdx::time::Instant;
use std::time::Duration;

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Time passed; due at [`Lock::next_wake`] at the latest.
    Tick,
    /// A server said something, or will not: every `Ask` gets exactly one answer, or none.
    Answered { server: usize, id: u64, answer: Answer },
    /// No longer wanted, whether it is held or still waited for.
    GiveBack,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// In this order for each server; the token is [`Lock::token`] at that moment.
    Ask { server: usize, id: u64, token: String, request: Request },
    /// It is ours until then.
    Acquired(Grant),
    /// It is ours for longer.
    Renewed(Grant),
    /// It could not be renewed so far: stop what it protects, it ends in [`Plan::stop_margin`].
    Expiring,
    /// It is no longer ours. Whatever it protects must have stopped.
    Lost(Loss),
    /// It is given up; nothing is left behind where somebody answered.
    Refused(Refusal),
    /// Given back.
    Released,
}

/// What is asked of one server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Take the key if nobody has it, for so long; and say how long the server is up.
    Acquire { ttl: Duration },
    /// If the key is ours, read the fence.
    ReadFence,
    /// If the key is ours, let it live so long from now, and raise the fence to this if it is lower.
    Renew { ttl: Duration, fence: u64 },
    /// If the key is ours, delete it.
    Release,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Granted {
        uptime: Duration,
    },
    /// Somebody else has it; their token, where it could be read.
    Taken {
        holder: Vec<u8>,
    },
    Fence(u64),
    Renewed,
    /// The key is not there, or not ours.
    NotOurs,
    Released,
    /// No answer, an error, a bad one: why, for a person.
    Failed(String),
}

/// What a holder has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// What stands in the key: unguessable, and of this holder alone.
    pub token: String,
    /// Greater than that of every holder before. Hand it to what the lock protects.
    pub fence: u64,
    /// On the clock that was handed in.
    pub valid_until: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// A majority could not be asked in time.
    Expired,
    /// A majority says that the key is not ours: deleted, or its server forgot it.
    Taken,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A majority answered, and somebody else has it.
    Conflict,
    /// No majority gave an answer that counts.
    Unreachable,
    /// Not wanted any more before it was held.
    GivenBack,
}

impl std::fmt::Display for Loss {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Loss::Expired => "it could not be renewed on a majority of the servers in time",
            Loss::Taken => "a majority of the servers says that it is not ours any more",
        })
    }
}
