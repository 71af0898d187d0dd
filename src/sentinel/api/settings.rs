//! SENTINEL CONFIG: what Redis keeps there, with the values that hold here. What the fleet shares is
//! agreed in the log, what concerns this process alone is changed here; the rest has its place in
//! sentinel.yaml, and SET names it unless the value is so already.

use super::facts::Facts;
use super::family::Call;
use super::{Outcome, quoted};
use crate::sentinel::command::Command;
use crate::sentinel::fleet_settings::{BLAST_RADIUS, percent, yes_no};
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
    /// In a file; the text says where.
    File { place: &'static str, fits: fn(&str) -> bool },
}

const ADDRESS: &str = "the address of this sentinel in 'peers' of every sentinel.yaml";
const SECRET: &str = "nowhere: sentinels prove themselves with cluster-secret-file";

fn is_port(value: &str) -> bool {
    value.parse::<u16>().is_ok()
}

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
        change: Change::File {
            place: "`announce-hostnames` of this sentinel.yaml",
            fits: |value| yes_no(value).is_some(),
        },
    },
    Setting {
        name: "announce-ip",
        value: |facts| facts.announce.as_ref().map(|own| own.host.clone()).unwrap_or_default(),
        change: Change::File { place: ADDRESS, fits: |_| true },
    },
    Setting {
        name: "announce-port",
        value: |facts| facts.announce.as_ref().map_or_else(String::new, |own| own.port.to_string()),
        change: Change::File { place: ADDRESS, fits: is_port },
    },
    Setting {
        name: "sentinel-user",
        value: |_| String::new(),
        change: Change::File { place: SECRET, fits: |_| true },
    },
    Setting {
        name: "sentinel-pass",
        value: |_| String::new(),
        change: Change::File { place: SECRET, fits: |_| true },
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
    let (mut options, mut log_level) = (Vec::new(), None);
    for pair in call.argv[3..].chunks(2) {
        let name = quoted(pair[0]);
        let known = SETTINGS.iter().find(|setting| setting.name.eq_ignore_ascii_case(&name));
        let (Some(setting), Some(value)) = (known, pair.get(1)) else {
            return call.error(&format!("ERR Invalid argument '{name}' to SENTINEL CONFIG SET"));
        };
        let value = quoted(value);
        let (Change::Fleet(fits) | Change::Process(fits) | Change::File { fits, .. }) = setting.change;
        if !fits(&value) {
            return call.error(&format!("ERR Invalid value '{value}' to SENTINEL CONFIG SET '{name}'"));
        }
        match setting.change {
            Change::Fleet(_) => options.push((setting.name.to_owned(), value)),
            Change::Process(_) => log_level = Some(value.to_ascii_lowercase()),
            Change::File { place, .. } if (setting.value)(call.facts) != value => {
                let name = setting.name;
                return call
                    .error(&format!("ERR '{name}' is not changed at run time; it is set in: {place}"));
            }
            Change::File { .. } => {}
        }
    }
    match (options.is_empty(), log_level) {
        (true, None) => {
            call.reply.ok();
            Outcome::Replied
        }
        (true, Some(level)) => {
            call.reply.ok();
            Outcome::LogLevel(level)
        }
        (false, None) => Outcome::Submit { command: Command::Configure { options }, count: None },
        (false, Some(_)) => call.error("ERR loglevel concerns this sentinel alone; set it by itself"),
    }
}
