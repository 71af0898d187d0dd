//! How code inside a script asks the server for something: it leaves the script's stack with a
//! question and comes back with the answer. Lua, what its functions hold and the hook know no more of
//! the server than this.

use corosensei::Yielder;
use std::cell::Cell;

/// What a running script asks for.
#[derive(Debug)]
pub enum Ask {
    /// `redis.call`: run this; answered by `Reply` or `Refused`.
    Call { argv: Vec<Vec<u8>> },
    /// `redis.acl_check_cmd`; answered by `Yes`, `No` or `Refused`.
    Permitted { argv: Vec<Vec<u8>> },
    /// `redis.log`, with a level of `redis.LOG_*`.
    Log { level: u8, message: Vec<u8> },
    /// `redis.setresp`.
    Protocol { version: u8 },
    /// `redis.set_repl`, with bits of `redis.REPL_*`.
    Replicate { targets: u8 },
    /// It has run for a while and would go on.
    Breath,
}

/// The answer.
#[derive(Debug)]
pub enum Answer {
    /// The command's reply, as the protocol of the script shapes it.
    Reply(Vec<u8>),
    /// The text of an error, with its code.
    Refused(String),
    Yes,
    No,
    /// It ends here, whatever it wants.
    Die,
}

pub type Voice = Yielder<Answer, Ask>;

/// Shared by everything that stands inside one Lua state.
#[derive(Debug, Default)]
pub struct Link {
    voice: Cell<Option<*const Voice>>,
    /// It was told to die: every further instruction fails, so that no `pcall` survives it.
    dying: Cell<bool>,
}

impl Link {
    /// For as long as `run` lasts, questions go out through `voice`.
    pub fn during<T>(&self, voice: &Voice, run: impl FnOnce() -> T) -> T {
        self.dying.set(false);
        self.voice.set(Some(std::ptr::from_ref(voice)));
        let result = run();
        self.voice.set(None);
        result
    }

    /// Leaves the stack with `ask` until the answer is there; `None` where no script runs (a library
    /// is being loaded).
    pub fn ask(&self, ask: Ask) -> Option<Answer> {
        let voice = self.voice.get()?;
        // SAFETY: set only by `during`, which holds the reference and takes the pointer back before it
        // returns; Lua's errors do not jump past it, for `run` is a protected call.
        let answer = unsafe { &*voice }.suspend(ask);
        if matches!(answer, Answer::Die) {
            self.dying.set(true);
        }
        Some(answer)
    }

    pub fn is_dying(&self) -> bool {
        self.dying.get()
    }
}
