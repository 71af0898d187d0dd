//! `vedette check FILE`: every complaint about a sentinel.yaml at once, without starting anything.

use super::{Failure, print};
use crate::config::sentinel_conf::{self, Fleet};
use crate::config::{sentinel, validate};
use crate::model::Address;
use std::path::Path;

pub(super) fn run(file: &Path) -> Result<(), Failure> {
    let shown = file.display();
    let text = std::fs::read_to_string(file)
        .map_err(|error| Failure::usage(format!("cannot read {shown}: {error}")))?;
    let read = if super::daemons::is_conf(file) {
        // Who the sentinels are is said where it is started; everything else can be judged here.
        let fleet = Fleet { id: Some(1), join: vec![Address::new("127.0.0.1", 26379)], ..Fleet::default() };
        sentinel_conf::read(&text, &fleet, None).map(|(config, left_out)| {
            left_out.iter().for_each(|line| eprintln!("{shown}: left out: {line}"));
            config
        })
    } else {
        sentinel::parse(&text)
    };
    match read {
        Ok(config) => {
            webhooks(&config, &shown.to_string())?;
            let mut said: String = validate::warnings(&config)
                .iter()
                .map(|warning| format!("{shown}: note: {warning}\n"))
                .collect();
            said.push_str(&format!(
                "{shown}: good: sentinel {} of {}, {}\n",
                if config.founds() { "without an id yet".to_owned() } else { config.id.to_string() },
                config.bootstrap_expect.unwrap_or(config.peers.len()),
                match config.masters.as_slice() {
                    [] => "no groups yet (add them with SENTINEL MONITOR)".to_owned(),
                    [one] => format!("watching {}", one.name),
                    many => format!("watching {} groups", many.len()),
                }
            ));
            print(said)
        }
        Err(errors) => {
            for error in &errors {
                eprintln!("{shown}: {error}");
            }
            Err(Failure::said(2))
        }
    }
}

/// Templates and files of webhooks are read as a start would read them; a file that only the
/// daemon's user may read is its own affair.
fn webhooks(config: &sentinel::SentinelConfig, shown: &str) -> Result<(), Failure> {
    let mut wrong = false;
    for webhook in &config.webhooks {
        if let Err(error) = crate::daemon::alert_sender::check(webhook) {
            eprintln!("{shown}: {error}");
            wrong = true;
        }
    }
    if wrong { Err(Failure::said(2)) } else { Ok(()) }
}
