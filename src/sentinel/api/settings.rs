//! SENTINEL CONFIG: what Redis keeps there, with the values that hold here. Nothing of it changes at
//! run time, so SET accepts only what is already so, and otherwise names the place to set it.

use super::facts::Facts;
use super::family::Call;
use super::{Outcome, quoted};
use crate::stdx::glob;

struct Setting {
    name: &'static str,
    value: fn(&Facts) -> String,
    place: &'static str,
}

const SETTINGS: &[Setting] = &[
    Setting {
        name: "announce-ip",
        value: |facts| facts.announce.as_ref().map(|own| own.host.clone()).unwrap_or_default(),
        place: "the address of this sentinel in 'peers' of every sentinel.yaml",
    },
    Setting {
        name: "announce-port",
        value: |facts| facts.announce.as_ref().map_or_else(String::new, |own| own.port.to_string()),
        place: "the address of this sentinel in 'peers' of every sentinel.yaml",
    },
    Setting {
        name: "resolve-hostnames",
        value: |_| "yes".to_owned(),
        place: "nowhere: host names are always allowed",
    },
    Setting {
        name: "announce-hostnames",
        value: |_| "yes".to_owned(),
        place: "nowhere: an address is given to clients as it was written",
    },
    Setting {
        name: "sentinel-user",
        value: |_| String::new(),
        place: "nowhere: sentinels prove themselves with cluster-secret-file",
    },
    Setting {
        name: "sentinel-pass",
        value: |_| String::new(),
        place: "nowhere: sentinels prove themselves with cluster-secret-file",
    },
];

pub(super) fn config(call: &mut Call<'_, '_>) -> Outcome {
    if call.argv[2].eq_ignore_ascii_case(b"GET") {
        get(call)
    } else if call.argv[2].eq_ignore_ascii_case(b"SET") && call.argv.len() >= 5 {
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

fn set(call: &mut Call<'_, '_>) -> Outcome {
    for pair in call.argv[3..].chunks(2) {
        let name = quoted(pair[0]);
        let known = SETTINGS.iter().find(|setting| setting.name.eq_ignore_ascii_case(&name));
        let (Some(setting), Some(value)) = (known, pair.get(1)) else {
            return call.error(&format!("ERR Invalid argument '{name}' to SENTINEL CONFIG SET"));
        };
        if (setting.value)(call.facts).as_bytes() != *value {
            return call.error(&format!(
                "ERR '{}' is not changed at run time; it is set in: {}",
                setting.name, setting.place
            ));
        }
    }
    call.reply.ok();
    Outcome::Replied
}
