//! SENTINEL DEBUG and SIMULATE-FAILURE: the timers, and crashing on demand.

use super::family::Call;
use super::{Outcome, quoted};
use crate::sentinel::command::Command;
use crate::sentinel::fleet_settings::{self, FleetSettings};

/// What a sentinel is to crash after, as bits of `sentinel_simulate_failure_flags`.
pub const CRASH_AFTER_ELECTION: u8 = 1;
pub const CRASH_AFTER_PROMOTION: u8 = 2;

const FAILURES: &[(&str, u8)] =
    &[("crash-after-election", CRASH_AFTER_ELECTION), ("crash-after-promotion", CRASH_AFTER_PROMOTION)];

/// Every timer of Redis Sentinel in its order. Those without a setter follow from sentinel.yaml or do not
/// exist here: there is no tilt, for time is read from a clock that cannot jump.
pub(super) fn debug(call: &mut Call<'_, '_>) -> Outcome {
    if call.argv.len() == 2 {
        call.reply.map(call.facts.timers.len());
        for (name, value) in &call.facts.timers {
            call.reply.bulk(name.as_bytes());
            call.reply.bulk_integer(*value as i64);
        }
        return Outcome::Replied;
    }
    let mut trial = FleetSettings::default();
    let mut options = Vec::new();
    for pair in call.argv[2..].chunks(2) {
        let name = quoted(pair[0]);
        let shown = call.facts.timers.iter().any(|(timer, _)| timer.eq_ignore_ascii_case(&name));
        let (true, Some(value)) = (shown, pair.get(1)) else {
            return call
                .error(&format!("ERR Unknown option or number of arguments for SENTINEL DEBUG '{name}'"));
        };
        if fleet_settings::timer(&name).is_none() {
            return call.error(&format!(
                "ERR '{name}' is not changed at run time: 'raft' and 'lease-milliseconds' in sentinel.yaml set the fleet's pace, and there is no tilt"
            ));
        }
        let value = quoted(value);
        if trial.set(&name, &value).is_none() {
            return call.error(&format!("ERR Invalid argument '{value}' for SENTINEL DEBUG '{name}'"));
        }
        options.push((name.to_ascii_lowercase(), value));
    }
    Outcome::Submit { command: Command::Configure { options }, count: None }
}

pub(super) fn simulate_failure(call: &mut Call<'_, '_>) -> Outcome {
    let words = &call.argv[2..];
    if words.iter().any(|word| word.eq_ignore_ascii_case(b"help")) {
        call.reply.array(FAILURES.len());
        for (name, _) in FAILURES {
            call.reply.bulk(name.as_bytes());
        }
        return Outcome::Replied;
    }
    let mut flags = 0;
    for word in words {
        match FAILURES.iter().find(|(name, _)| word.eq_ignore_ascii_case(name.as_bytes())) {
            Some((_, flag)) => flags |= flag,
            None => return call.error("ERR Unknown failure simulation specified"),
        }
    }
    call.reply.ok();
    Outcome::Simulate { flags }
}
