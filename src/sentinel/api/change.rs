//! The SENTINEL subcommands that change something: checked here so that a mistake is answered at
//! once and word for word as Redis answers it; carried out by the leader, who checks again.

use super::family::Call;
use super::{Outcome, quoted};
use crate::config::validate::is_group_name;
use crate::model::Address;

pub(super) fn monitor(call: &mut Call<'_, '_>) -> Outcome {
    let [_, _, name, host, port, quorum] = *call.argv else { return Outcome::Replied };
    let (Some(quorum), port) = (number(quorum), number(port)) else {
        return call.error("ERR Invalid quorum");
    };
    let Some(port) = port else { return call.error("ERR Invalid port") };
    if quorum <= 0 {
        return call.error("ERR Quorum must be 1 or greater.");
    }
    if quorum > call.facts.voters() as i64 {
        let voters = call.facts.voters();
        return call.error(&format!("ERR Quorum can never be reached with {voters} sentinels."));
    }
    if address(host, 1).is_none() {
        return call.error("ERR Invalid IP address or hostname specified");
    }
    if address(host, port).is_none() {
        return call.error("ERR Invalid port number.");
    }
    if !std::str::from_utf8(name).is_ok_and(is_group_name) {
        return call.error("ERR Invalid master name: use letters, digits, '.', '-' and '_'");
    }
    Outcome::Submit
}

pub(super) fn remove(call: &mut Call<'_, '_>) -> Outcome {
    submit_if_known(call)
}

pub(super) fn reset(_: &mut Call<'_, '_>) -> Outcome {
    Outcome::Submit
}

/// `FAILOVER name [TO host port] [FORCE]`; `COORDINATED` is accepted, for that is what ours are.
pub(super) fn failover(call: &mut Call<'_, '_>) -> Outcome {
    let mut rest = &call.argv[3..];
    while let Some((&option, after)) = rest.split_first() {
        rest = if option.eq_ignore_ascii_case(b"TO") {
            let [host, port, ..] = *after else {
                return call.error("ERR TO needs a host and a port");
            };
            if number(port).and_then(|port| address(host, port)).is_none() {
                return call.error("ERR Invalid host or port after TO");
            }
            &after[2..]
        } else if [&b"FORCE"[..], b"COORDINATED"].iter().any(|known| option.eq_ignore_ascii_case(known)) {
            after
        } else {
            return call.error("ERR Unknown failover option specified");
        };
    }
    submit_if_known(call)
}

/// The options and what their value must be; those that Redis has and we have not are refused by name.
pub(super) fn set(call: &mut Call<'_, '_>) -> Outcome {
    if call.known_group().is_none() {
        return Outcome::Replied;
    }
    let mut rest = &call.argv[3..];
    while let Some((&option, after)) = rest.split_first() {
        let Some((&value, after)) = after.split_first() else {
            let option = quoted(option);
            return call
                .error(&format!("ERR Unknown option or number of arguments for SENTINEL SET '{option}'"));
        };
        let name = String::from_utf8_lossy(option).to_ascii_lowercase();
        let positive = number(value).is_some_and(|value| value > 0);
        let accepted = match name.as_str() {
            "down-after-milliseconds" | "failover-timeout" | "parallel-syncs" | "quorum" => positive,
            "crash-grace-milliseconds" => number(value).is_some_and(|value| value >= 0),
            "mode" => value.eq_ignore_ascii_case(b"safe") || value.eq_ignore_ascii_case(b"available"),
            "auth-pass" | "auth-user" => {
                return call.error(&format!(
                    "ERR {name} is not kept in the agreed log; set auth-pass-file in sentinel.yaml on each sentinel"
                ));
            }
            "notification-script" | "client-reconfig-script" => {
                return call
                    .error("ERR Scripts are not run; webhooks in sentinel.yaml are told of every event");
            }
            _ => {
                let option = quoted(option);
                return call.error(&format!(
                    "ERR Unknown option or number of arguments for SENTINEL SET '{option}'"
                ));
            }
        };
        if !accepted {
            let (value, option) = (quoted(value), quoted(option));
            return call.error(&format!("ERR Invalid argument '{value}' for SENTINEL SET '{option}'"));
        }
        rest = after;
    }
    Outcome::Submit
}

fn submit_if_known(call: &mut Call<'_, '_>) -> Outcome {
    match call.known_group() {
        Some(_) => Outcome::Submit,
        None => Outcome::Replied,
    }
}

fn number(word: &[u8]) -> Option<i64> {
    std::str::from_utf8(word).ok()?.parse().ok()
}

fn address(host: &[u8], port: i64) -> Option<Address> {
    let host = std::str::from_utf8(host).ok()?;
    let port = u16::try_from(port).ok()?;
    // Written and read again, so one place decides what an address is.
    Address::new(host, port).to_string().parse().ok()
}
