//! `vedette failover NAME`: asks for a switchover and tells every agreed event until it is over.

use super::client::Client;
use super::events::{self, Teller};
use super::{Failure, SentinelOptions, print};
use crate::model::Address;
use crate::model::event::EventKind;
use crate::model::status::{GroupStatus, Status};
use crate::stdx::calendar::rfc3339;
use crate::stdx::time::Wall;
use std::time::{Duration, Instant};

const POLL: Duration = Duration::from_millis(100);

#[derive(clap::Args, Clone, Debug)]
pub(super) struct FailoverOptions {
    /// The group, as `mymaster`
    name: String,
    #[command(flatten)]
    sentinel: SentinelOptions,
    /// The replica to promote; without it the most suitable one is chosen
    #[arg(long = "to", value_name = "HOST:PORT")]
    successor: Option<Address>,
    /// Undo it when writes had to wait this long [default: 2000]
    #[arg(long, value_name = "MILLISECONDS")]
    timeout: Option<u64>,
    /// Not now: at this time, in Unix seconds or as 2026-11-22T03:00:00Z
    #[arg(long, value_name = "TIME", conflicts_with = "force")]
    at: Option<String>,
    /// Cancel the one that is to happen at a time
    #[arg(long, conflicts_with_all = ["at", "force", "successor", "timeout"])]
    cancel: bool,
    /// Show the one that is to happen at a time
    #[arg(long, conflicts_with_all = ["at", "force", "successor", "timeout", "cancel"])]
    scheduled: bool,
    /// Even when a write that was acknowledged may be lost
    #[arg(long)]
    force: bool,
    /// Give up following after this long (the failover itself goes on)
    #[arg(long, default_value_t = 180, value_name = "SECONDS")]
    follow: u64,
}

pub(super) fn run(options: &FailoverOptions) -> Result<(), Failure> {
    let name = options.name.as_str();
    let mut client = Client::connect(&options.sentinel)?;
    let before = client.status()?;
    let group = find(&before, name)?;
    if options.scheduled {
        return print(format!("{}\n", scheduled(group)));
    }
    if options.cancel {
        client.call(&["SENTINEL", "FAILOVER", name, "CANCEL"])?;
        return print(format!("{name}: cancelled; it was: {}\n", scheduled(group)));
    }
    let old_master = group.master.address.clone();
    check_successor(options, group)?;
    let mut teller = Teller::from_now(&before);
    let mut words = vec!["SENTINEL".to_owned(), "FAILOVER".to_owned(), name.to_owned()];
    if let Some(successor) = &options.successor {
        words.extend(["TO".to_owned(), successor.to_string()]);
    }
    if let Some(timeout) = options.timeout {
        words.extend(["TIMEOUT".to_owned(), timeout.to_string()]);
    }
    if let Some(at) = &options.at {
        words.extend(["AT".to_owned(), at.clone()]);
    }
    if options.force {
        words.push("FORCE".to_owned());
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    client.call(&words)?;
    if options.at.is_some() {
        return print(format!("{name}: agreed; cancel it with: vedette failover {name} --cancel\n"));
    }
    let timeout = Duration::from_secs(options.follow);

    let started = Instant::now();
    let mut switched = false;
    loop {
        // A sentinel that stumbles meanwhile is asked again: the failover is in the log, not in it.
        if let Ok(status) = client.status() {
            for event in teller.news(&status).into_iter().filter(|event| event.group == name) {
                print(events::line(event) + "\n")?;
                switched |= event.kind == EventKind::SwitchMaster;
                match event.kind {
                    EventKind::AbortNoGoodReplica
                    | EventKind::AbortReplicaTimeout
                    | EventKind::AbortMasterBack
                    | EventKind::RolledBack => {
                        let reason = event.details.iter().find(|(name, _)| name == "reason");
                        let reason = reason.map_or(event.kind.row().summary, |(_, reason)| reason.as_str());
                        return Err(Failure::new(format!(
                            "the failover was given up: {reason}; {old_master} is still the master"
                        )));
                    }
                    _ => {}
                }
            }
            let group = find(&status, name)?;
            if switched && group.failover.is_none() {
                return print(format!(
                    "{name}: {old_master} -> {} (epoch {})\n",
                    group.master.address, group.epoch
                ));
            }
        } else if let Ok(again) = Client::connect(&options.sentinel) {
            client = again;
        }
        if started.elapsed() > timeout {
            return Err(Failure::new(format!(
                "{name}: not finished after {} s; it goes on, follow it with: vedette watch --sentinel {}",
                timeout.as_secs(),
                options.sentinel.sentinel
            )));
        }
        std::thread::sleep(POLL);
    }
}

fn check_successor(options: &FailoverOptions, group: &GroupStatus) -> Result<(), Failure> {
    let (name, old_master) = (&group.name, &group.master.address);
    let Some(wanted) = &options.successor else { return Ok(()) };
    if wanted == old_master {
        return Err(Failure::usage(format!("{old_master} is the master of {name} already")));
    }
    if group.replicas.iter().any(|replica| replica.address == *wanted) {
        return Ok(());
    }
    let known: Vec<String> = group.replicas.iter().map(|replica| replica.address.to_string()).collect();
    Err(Failure::usage(format!("{wanted} is no replica of {name}; choose one of: {}", known.join(", "))))
}

fn scheduled(group: &GroupStatus) -> String {
    match group.scheduled_ms {
        Some(at_ms) => format!("a switchover at {}", rfc3339(Wall(at_ms))),
        None => "no switchover is scheduled".to_owned(),
    }
}

fn find<'a>(status: &'a Status, name: &str) -> Result<&'a GroupStatus, Failure> {
    status.groups.iter().find(|group| group.name == name).ok_or_else(|| {
        let known: Vec<&str> = status.groups.iter().map(|group| group.name.as_str()).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        Failure::usage(format!("the sentinel watches no group named '{name}' (it watches: {known})"))
    })
}
