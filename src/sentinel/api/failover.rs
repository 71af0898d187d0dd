//! SENTINEL FAILOVER: now, at a time, cancelled, or only asked about. Checked here so that a mistake
//! is answered at once; carried out by the leader.

use super::Outcome;
use super::change::{known_name, submit};
use super::family::Call;
use crate::sentinel::command::Command;
use crate::sentinel::wish::Wish;
use crate::stdx::calendar::rfc3339;
use crate::stdx::time::Wall;

pub(super) const HELP: &[&str] = &[
    "FAILOVER <master-name> [COORDINATED] [TO <host>:<port>] [TIMEOUT <ms>] [AT <time>] [FORCE]",
    "    Move the master without losing a write; with AT later, with FORCE whatever may be lost.",
    "FAILOVER <master-name> SCHEDULED | CANCEL",
    "    Show or cancel the switchover that is to happen at a time.",
];

pub(super) fn failover(call: &mut Call<'_, '_>) -> Outcome {
    let wish = match Wish::parse(&call.argv[3..]) {
        Ok(wish) => wish,
        Err(error) => return call.error(&error),
    };
    let Some(index) = call.known_group() else { return Outcome::Replied };
    if wish != Wish::Scheduled {
        return match known_name(call) {
            Some(name) => submit(Command::Failover { name, wish }),
            None => Outcome::Replied,
        };
    }
    let scheduled = call.facts.groups[index].scheduled.as_ref();
    let mut words = Vec::new();
    if let Some(scheduled) = scheduled {
        words.extend(["at".to_owned(), rfc3339(Wall(scheduled.at_ms))]);
        if let Some(to) = &scheduled.target {
            words.extend(["to".to_owned(), to.to_string()]);
        }
        if scheduled.timeout_ms != 0 {
            words.extend(["timeout".to_owned(), scheduled.timeout_ms.to_string()]);
        }
    }
    call.reply.array(words.len());
    for word in &words {
        call.reply.bulk(word.as_bytes());
    }
    Outcome::Replied
}
