//! `vedette webhooks`: how deliveries are, and what an operator can do about them.

use super::client::Client;
use super::{Failure, SentinelOptions, print, render};
use crate::model::event::EventKind;
use crate::model::status::{Status, WebhookStatus};
use crate::stdx::calendar::rfc3339;
use crate::stdx::time::Wall;
use std::time::{Duration, Instant};

const POLL: Duration = Duration::from_millis(100);

#[derive(clap::Subcommand, Clone, Debug)]
pub(super) enum Wish {
    /// Every webhook: what waits, what failed, what was given up
    List,
    /// Send one test event, and wait until the receiver has taken it
    Test {
        /// The webhook
        name: String,
        /// Give up waiting after this long
        #[arg(long, default_value_t = 30, value_name = "SECONDS")]
        timeout: u64,
    },
    /// Events that were given up and are kept, each with the reason
    Dead {
        /// Only of this webhook
        name: Option<String>,
    },
    /// Send again what was given up, under the same ids
    Replay {
        /// The webhook
        name: String,
        /// From this event on, also what was delivered (as far as the fleet remembers it)
        #[arg(long, value_name = "EVENT-ID")]
        from: Option<u64>,
    },
    /// Send again to a receiver that had answered 410 Gone
    Enable {
        /// The webhook
        name: String,
    },
}

pub(super) fn run(options: &SentinelOptions, wish: &Wish) -> Result<(), Failure> {
    let mut client = Client::connect(options)?;
    match wish {
        Wish::List => list(&client.status()?),
        Wish::Dead { name } => dead(&client.status()?, name.as_deref()),
        Wish::Test { name, timeout } => test(&mut client, name, Duration::from_secs(*timeout)),
        Wish::Enable { name } => {
            client.call(&["SENTINEL", "WEBHOOKS", "ENABLE", name])?;
            print(format!("{name}: enabled; it goes on with the oldest event that still waits\n"))
        }
        Wish::Replay { name, from } => {
            let before = find(&client.status()?, name)?.pending;
            let from = from.map(|id| id.to_string());
            let mut words = vec!["SENTINEL", "WEBHOOKS", "REPLAY", name];
            if let Some(id) = &from {
                words.extend(["FROM", id]);
            }
            client.call(&words)?;
            let after = find(&client.status()?, name)?.pending;
            print(format!("{name}: {} more to deliver, {after} in all\n", after.saturating_sub(before)))
        }
    }
}

fn find<'a>(status: &'a Status, name: &str) -> Result<&'a WebhookStatus, Failure> {
    status.webhooks.iter().find(|webhook| webhook.name == name).ok_or_else(|| {
        let known: Vec<&str> = status.webhooks.iter().map(|webhook| webhook.name.as_str()).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        Failure::usage(format!("the sentinel knows no webhook '{name}' (it knows: {known})"))
    })
}

fn list(status: &Status) -> Result<(), Failure> {
    if status.webhooks.is_empty() {
        return print("no webhooks; add some to sentinel.yaml\n");
    }
    let mut table = render::table(&["NAME", "FORMAT", "STATE", "WAITING", "DEAD", "UP TO"]);
    for webhook in &status.webhooks {
        table.add_row([
            webhook.name.clone(),
            webhook.format.clone(),
            state(webhook),
            webhook.pending.to_string(),
            webhook.dead.len().to_string(),
            webhook.delivered_up_to.to_string(),
        ]);
    }
    let mut text = table.to_string();
    text.push('\n');
    let leader = status.raft_leader.filter(|leader| *leader != status.node);
    if let Some(leader) = leader {
        text.push_str(&format!("errors are known to sentinel {leader}, which leads: ask it for them\n"));
    }
    print(text)
}

fn state(webhook: &WebhookStatus) -> String {
    match (&webhook.disabled, &webhook.last_error) {
        (Some(why), _) => format!("disabled: {why}"),
        (None, Some(error)) => format!("failing: {error}"),
        (None, None) => "ok".to_owned(),
    }
}

fn dead(status: &Status, name: Option<&str>) -> Result<(), Failure> {
    if let Some(name) = name {
        find(status, name)?;
    }
    let mut text = String::new();
    for webhook in status.webhooks.iter().filter(|webhook| name.is_none_or(|name| webhook.name == name)) {
        for letter in &webhook.dead {
            let at = rfc3339(Wall(letter.at_ms));
            let (id, kind, group, why) = (letter.id, letter.kind.name(), &letter.group, &letter.why);
            text.push_str(&format!("{} {id} {at} {kind} {group}: {why}\n", webhook.name));
        }
    }
    print(if text.is_empty() { "nothing was given up\n".to_owned() } else { text })
}

/// The test is an event like any other, so it also shows that the log, the owner and the order work.
fn test(client: &mut Client, name: &str, timeout: Duration) -> Result<(), Failure> {
    let before = client.status()?;
    find(&before, name)?;
    let known = before.events.last().map_or(0, |event| event.id);
    client.call(&["SENTINEL", "WEBHOOKS", "TEST", name])?;
    let started = Instant::now();
    loop {
        let status = client.status()?;
        let webhook = find(&status, name)?;
        let ours = |id: u64| id > known;
        let tests = status
            .events
            .iter()
            .filter(|event| event.kind == EventKind::WebhookTest && event.payload == name && ours(event.id));
        if let Some(test) = tests.min_by_key(|event| event.id) {
            if let Some(letter) = webhook.dead.iter().find(|letter| letter.id == test.id) {
                return Err(Failure::new(format!("{name}: the test event was given up: {}", letter.why)));
            }
            if webhook.delivered_up_to >= test.id {
                return print(format!("{name}: delivered (event {})\n", test.id));
            }
        }
        if webhook.disabled.is_some() || started.elapsed() > timeout {
            return Err(Failure::new(format!(
                "{name}: not delivered after {} s ({}; {} waiting); it stays in the queue",
                started.elapsed().as_secs(),
                state(webhook),
                webhook.pending,
            )));
        }
        std::thread::sleep(POLL);
    }
}
