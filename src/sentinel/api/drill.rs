//! SENTINEL DRILL: asking for a drill, and what is known of them. Checked here, decided by the leader.

use super::family::Call;
use super::{DrillQuery, Outcome};
use crate::sentinel::command::Command;
use crate::sentinel::drill::DrillCommand;

pub(super) const HELP: &[&str] = &[
    "DRILL START <master-name> <scenario> [SLO-GAP-MS <ms>] [COOL-DOWN-SECONDS <s>] [STAY] [DRYRUN]",
    "    Run a failover drill (planned, hang or kill) on this fleet, if every interlock holds.",
    "DRILL ABORT | STATUS | LIST | REPORT <id>",
    "    End the one that runs; tell about it, about all, or show a whole scorecard (JSON).",
];

pub(super) fn drill(call: &mut Call<'_, '_>) -> Outcome {
    let words: Option<Vec<&str>> = call.argv[2..].iter().map(|word| std::str::from_utf8(word).ok()).collect();
    let Some(words) = words else { return call.error("ERR the words are not text") };
    let is = |verb: &str| words[0].eq_ignore_ascii_case(verb);
    match words.as_slice() {
        [_] if is("STATUS") => Outcome::Drill(DrillQuery::Status),
        [_] if is("LIST") => Outcome::Drill(DrillQuery::List),
        [_, id] if is("REPORT") => match id.parse() {
            Ok(id) => Outcome::Drill(DrillQuery::Report { id }),
            Err(_) => call.error("ERR the id of a drill is a number; see SENTINEL DRILL LIST"),
        },
        words => match DrillCommand::from_client(words) {
            Ok(command) => Outcome::Submit { command: Command::Drill(command), count: None },
            Err(mistake) => call.error(&mistake),
        },
    }
}
