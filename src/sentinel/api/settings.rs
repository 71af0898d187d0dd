//! SENTINEL CONFIG: what Redis keeps there, with the values that hold here. What the fleet shares is
//! agreed in the log, and so is what concerns one sentinel; the level of its log is changed here.

use super::facts::Facts;
use super::family::Call;
use super::{Outcome, quoted};
use crate::sentinel::command::Command;
use crate::sentinel::fleet_settings::{BLAST_RADIUS, percent, yes_no};
use crate::sentinel::own_settings;
use crate::stdx::glob;

struct Setting {
    name: &'static str,
    value: fn(&Facts) -> String,
    change: Change,
}

enum Change {
    /// Agreed among the sentinels.
    Fleet(fn(&str) -> bool),
    /// Of this process, until it ends.
    Process(fn(&str) -> bool),
    /// Of this sentinel alone, agreed too: it outlives the process, and the others learn of it.
    Own,
}

/// Stands for a password.
const HIDDEN: &str = "******";

fn is_level(value: &str) -> bool {
    LEVELS.iter().any(|level| level.eq_ignore_ascii_case(value))
}

const LEVELS: &[&str] = &["debug", "verbose", "notice", "warning", "nothing"];

const SETTINGS: &[Setting] = &[
    Setting {
        name: "resolve-hostnames",
        value: |facts| yes_or_no(facts.resolve_hostnames),
        change: Change::Fleet(|value| yes_no(value).is_some()),
    },
    Setting {
        name: "announce-hostnames",
        value: |facts| yes_or_no(!facts.hides_hostnames),
        change: Change::Own,
    },
    Setting {
        name: "announce-ip",
        value: |facts| facts.announce.as_ref().map(|own| own.host.clone()).unwrap_or_default(),
        change: Change::Own,
    },
    Setting {
        name: "announce-port",
        value: |facts| facts.announce.as_ref().map_or_else(String::new, |own| own.port.to_string()),
        change: Change::Own,
    },
    Setting { name: "sentinel-user", value: |facts| facts.sentinel_login.0.clone(), change: Change::Own },
    Setting {
        name: "sentinel-pass",
        // Redis shows it; we show that there is one.
        value: |facts| if facts.sentinel_login.1 { HIDDEN } else { "" }.to_owned(),
        change: Change::Own,
    },
    Setting {
        name: "loglevel",
        value: |facts| facts.process.log_level.to_owned(),
        change: Change::Process(is_level),
    },
    Setting {
        name: BLAST_RADIUS,
        value: |facts| facts.blast_radius_percent.to_string(),
        change: Change::Fleet(|value| percent(value).is_some()),
    },
];

fn yes_or_no(value: bool) -> String {
    if value { "yes" } else { "no" }.to_owned()
}

pub(super) fn config(call: &mut Call<'_, '_>) -> Outcome {
    let count = call.argv.len();
    if call.argv[2].eq_ignore_ascii_case(b"GET") && count >= 4 {
        get(call)
    } else if call.argv[2].eq_ignore_ascii_case(b"SET") && count >= 5 {
        set(call)
    } else {
        call.error(
            "ERR Only SENTINEL CONFIG GET <param> [<param> <param> ...] / SET <param> <value> [<param> <value> ...] are supported.",
        )
    }
}

fn get(call: &mut Call<'_, '_>) -> Outcome {
    let patterns = &call.argv[3..];
    let matches = |setting: &&Setting| {
        patterns.iter().any(|pattern| glob::matches(&pattern.to_ascii_lowercase(), setting.name.as_bytes()))
    };
    let found: Vec<&Setting> = SETTINGS.iter().filter(matches).collect();
    call.reply.map(found.len());
    for setting in found {
        call.reply.bulk(setting.name.as_bytes());
        call.reply.bulk((setting.value)(call.facts).as_bytes());
    }
    Outcome::Replied
}

/// All or nothing: the first mistake is answered before anything changes.
fn set(call: &mut Call<'_, '_>) -> Outcome {
    let (mut options, mut own, mut log_level) = (Vec::new(), Vec::new(), None);
    for pair in call.argv[3..].chunks(2) {
        let name = quoted(pair[0]);
        let known = SETTINGS.iter().find(|setting| setting.name.eq_ignore_ascii_case(&name));
        let (Some(setting), Some(value)) = (known, pair.get(1)) else {
            return call.error(&format!("ERR Invalid argument '{name}' to SENTINEL CONFIG SET"));
        };
        let secret = setting.name == "sentinel-pass";
        let shown = if secret { HIDDEN.to_owned() } else { quoted(value) };
        let text = std::str::from_utf8(value).ok();
        let fits = text.is_some_and(|value| match setting.change {
            Change::Fleet(fits) | Change::Process(fits) => fits(value),
            Change::Own => own_settings::fits(setting.name, value),
        });
        let (true, Some(value)) = (fits, text) else {
            return call.error(&format!("ERR Invalid value '{shown}' to SENTINEL CONFIG SET '{name}'"));
        };
        match setting.change {
            Change::Fleet(_) => options.push((setting.name.to_owned(), value.to_owned())),
            Change::Process(_) => log_level = Some(value.to_ascii_lowercase()),
            // What it is already, by file or before, is nothing to agree on.
            Change::Own if !secret && (setting.value)(call.facts).eq_ignore_ascii_case(value) => {}
            Change::Own => own.push((setting.name.to_owned(), value.to_owned())),
        }
    }
    let node = call.facts.node;
    match (options.is_empty(), own.is_empty(), log_level) {
        (true, true, None) => {
            call.reply.ok();
            Outcome::Replied
        }
        (true, true, Some(level)) => {
            call.reply.ok();
            Outcome::LogLevel(level)
        }
        (false, true, None) => Outcome::Submit { command: Command::Configure { options }, count: None },
        (true, false, None) => {
            Outcome::Submit { command: Command::Own { node, options: own, address: None }, count: None }
        }
        _ => call.error(
            "ERR settings of the fleet, of this sentinel and of this process (loglevel) are set by themselves",
        ),
    }
}
