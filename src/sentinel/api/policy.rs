//! The SENTINEL subcommands about maintenance, holds and what would happen. Mistakes are answered
//! here; the leader carries out the rest.

use super::Outcome;
use super::family::Call;
use crate::sentinel::command::Command;
use crate::sentinel::policy::PolicyCommand;

/// PAUSE, RESUME, ACKNOWLEDGE.
pub(super) fn command(call: &mut Call<'_, '_>) -> Outcome {
    let fleet = call.argv[1].eq_ignore_ascii_case(b"ACKNOWLEDGE") && call.argv[2] == b"*";
    if !fleet && call.known_group().is_none() {
        return Outcome::Replied;
    }
    let words: Result<Vec<&str>, _> = call.argv[1..].iter().map(|word| std::str::from_utf8(word)).collect();
    let Ok(words) = words else { return call.error("ERR The words are not text") };
    match PolicyCommand::from_client(&words) {
        Ok(command) => Outcome::Submit { command: Command::Policy(command), count: None },
        Err(error) => call.error(&error),
    }
}

/// Answered from this sentinel's own view, which says of itself whether it is the fleet's.
pub(super) fn explain(call: &mut Call<'_, '_>) -> Outcome {
    match call.known_group() {
        Some(index) => Outcome::Explain { group: call.facts.groups[index].name.clone() },
        None => Outcome::Replied,
    }
}
