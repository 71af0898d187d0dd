//! VEDETTE DRILL: the harm that a failover drill does to a master, from inside.
//!
//! `VEDETTE DRILL group epoch CRASH` ends the process as SIGKILL does; `... HANG milliseconds` stops the
//! engine as a stuck one stands. Taken only by a master of that group in that epoch, and only as far
//! as `enable-drill-command` allows (by default from this machine).

use crate::commands::CommandError;
use crate::model::Epoch;
use crate::server::replication::Role;
use crate::server::{Action, Level, Server};
use crate::session::Session;
use crate::stdx::time::Duration;

/// Longer than any down-after worth practising; a master must not be lost to a slip of the finger.
const HANG_MAX_MS: u64 = 120_000;

pub(super) fn drill(
    server: &mut Server,
    session: &Session,
    group: &str,
    epoch: Epoch,
    words: &[&str],
) -> Result<(), CommandError> {
    let allowed = match server.config.enable_drill_command.as_str() {
        "yes" => true,
        "local" => session.is_loopback(),
        _ => false,
    };
    if !allowed {
        return Err("ERR drills are not allowed on this server from there; set enable-drill-command to yes (from anywhere) or local (from this machine) and restart it".into());
    }
    let supervision = &server.replication.supervision;
    let reigns = matches!(server.replication.role, Role::Master)
        && supervision.epoch == epoch
        && supervision.group == group;
    if !reigns {
        return Err(CommandError::Text(format!("ERR not the master of '{group}' at epoch {epoch}")));
    }
    let action = match words {
        [verb] if verb.eq_ignore_ascii_case("CRASH") => Action::Crash,
        [verb, ms] if verb.eq_ignore_ascii_case("HANG") => {
            let ms = ms.parse().ok().filter(|ms| (1..=HANG_MAX_MS).contains(ms));
            let ms = ms.ok_or_else(|| {
                CommandError::Text(format!("ERR expected milliseconds from 1 to {HANG_MAX_MS}"))
            })?;
            Action::Stall { duration: Duration::from_millis(ms) }
        }
        _ => return Err("ERR expected CRASH or HANG <milliseconds>".into()),
    };
    server.log(Level::Warning, format!("a failover drill begins here: {}", words.join(" ")));
    server.actions.push(action);
    Ok(())
}
