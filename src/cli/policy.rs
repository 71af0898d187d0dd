//! `vedette pause`, `resume`, `acknowledge`: maintenance and holds, agreed by the fleet.

use super::client::Client;
use super::{Failure, SentinelOptions, events, print};
use crate::model::Address;
use crate::model::status::GroupStatus;

#[derive(clap::Args, Clone, Debug)]
pub(super) struct PauseOptions {
    /// The group, as `mymaster`
    name: String,
    #[command(flatten)]
    to: SentinelOptions,
    /// Only this replica: never chosen as successor, and no alert when it is silent
    #[arg(long, value_name = "HOST:PORT")]
    instance: Option<Address>,
    /// End by itself after this long, as 90, 90s, 30m, 2h or 1d; without it: until resumed
    #[arg(long = "for", value_name = "TIME", value_parser = seconds)]
    length: Option<u64>,
    /// Who is responsible
    #[arg(long, env = "USER", value_name = "WHO")]
    owner: Option<String>,
    /// Why, for whoever sees it
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

#[derive(clap::Args, Clone, Debug)]
pub(super) struct ResumeOptions {
    /// The group, as `mymaster`
    name: String,
    #[command(flatten)]
    to: SentinelOptions,
    /// Only this replica
    #[arg(long, value_name = "HOST:PORT")]
    instance: Option<Address>,
}

#[derive(clap::Args, Clone, Debug)]
pub(super) struct AcknowledgeOptions {
    /// The group whose failovers are known; they count no more
    #[arg(required_unless_present = "fleet", conflicts_with = "fleet")]
    name: Option<String>,
    #[command(flatten)]
    to: SentinelOptions,
    /// The hold over the whole fleet, when too many groups lost their master together
    #[arg(long)]
    fleet: bool,
}

pub(super) fn pause(options: &PauseOptions) -> Result<(), Failure> {
    let mut words = vec!["SENTINEL".to_owned(), "PAUSE".to_owned(), options.name.clone()];
    let instance = options.instance.as_ref().map(Address::to_string);
    let length = options.length.map(|seconds| seconds.to_string());
    let said = [
        ("INSTANCE", instance.as_ref()),
        ("FOR", length.as_ref()),
        ("OWNER", options.owner.as_ref()),
        ("REASON", options.reason.as_ref()),
    ];
    for (word, value) in said {
        if let Some(value) = value {
            words.extend([word.to_owned(), value.clone()]);
        }
    }
    call(&options.to, &words)?;
    let about = instance.as_ref().map_or(options.name.clone(), |i| format!("{i} of {}", options.name));
    let end = match (&length, &instance) {
        (Some(seconds), _) => format!("for {seconds} s"),
        (None, None) => format!("until: vedette resume {}", options.name),
        (None, Some(instance)) => format!("until: vedette resume {} --instance {instance}", options.name),
    };
    print(format!("{about} is in maintenance {end}\n"))
}

pub(super) fn resume(options: &ResumeOptions) -> Result<(), Failure> {
    let mut words = vec!["SENTINEL".to_owned(), "RESUME".to_owned(), options.name.clone()];
    if let Some(instance) = &options.instance {
        words.extend(["INSTANCE".to_owned(), instance.to_string()]);
    }
    call(&options.to, &words)?;
    let about =
        options.instance.as_ref().map_or(options.name.clone(), |i| format!("{i} of {}", options.name));
    print(format!("{about} is not in maintenance\n"))
}

pub(super) fn acknowledge(options: &AcknowledgeOptions) -> Result<(), Failure> {
    let name = options.name.clone().filter(|_| !options.fleet).unwrap_or_else(|| "*".to_owned());
    call(&options.to, &["SENTINEL".to_owned(), "ACKNOWLEDGE".to_owned(), name])?;
    print("acknowledged: automatic failovers are done again\n")
}

fn call(to: &SentinelOptions, words: &[String]) -> Result<(), Failure> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    Client::connect(to)?.call(&words).map(|_| ())
}

/// What a person must know of a group's maintenance and holds.
pub(super) fn lines(group: &GroupStatus) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(pause) = &group.policy.paused {
        let end =
            pause.until_ms.map_or("until resumed".to_owned(), |at| format!("until {}", events::clock(at)));
        lines.push(format!("In maintenance since {}, {end}.", events::clock(pause.since_ms)));
    }
    if group.policy.flapping {
        lines.push(format!(
            "Flapping: one automatic failover per {} s from now on. Known? vedette acknowledge {}",
            group.policy.failovers_window_ms / 1000,
            group.name
        ));
    }
    if let Some(to) = &group.policy.handover_to {
        lines.push(format!("Will be handed over to {to}, which is preferred, once it caught up."));
    }
    lines
}

/// `90`, `90s`, `30m`, `2h`, `1d` as seconds.
fn seconds(text: &str) -> Result<u64, String> {
    let (number, unit) = match text.char_indices().last() {
        Some((at, last)) if last.is_ascii_alphabetic() => (&text[..at], last),
        _ => (text, 's'),
    };
    let factor = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => return Err("write a number with s, m, h or d behind it, as 30m".to_owned()),
    };
    let number: u64 =
        number.parse().map_err(|_| "write a number with s, m, h or d behind it, as 30m".to_owned())?;
    number.checked_mul(factor).filter(|s| *s > 0).ok_or_else(|| "that is no length of time".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_read_as_people_write_them() {
        for (text, wanted) in [("90", 90), ("90s", 90), ("30m", 1800), ("2h", 7200), ("1d", 86_400)] {
            assert_eq!(seconds(text), Ok(wanted), "{text}");
        }
        for text in ["", "m", "0", "-1", "5w", "99999999999999999999d"] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_group_in_maintenance_says_so() {
        let mut group = crate::cli::render::tests::healthy().groups.remove(0);
        assert!(lines(&group).is_empty());
        group.policy.paused = Some(crate::model::policy::PauseStatus {
            since_ms: 1000,
            until_ms: Some(61_000),
            ..Default::default()
        });
        group.policy.flapping = true;
        let text = lines(&group).join("\n");
        assert!(
            text.contains("until 00:01:01.000") && text.contains("vedette acknowledge mymaster"),
            "{text}"
        );
    }
}
