//! `vedette failover NAME`: asks for a switchover and tells every agreed event until it is over.

use super::client::Client;
use super::events::{self, Teller};
use super::{Failure, SentinelOptions, print};
use crate::model::Address;
use crate::model::event::EventKind;
use crate::model::status::{GroupStatus, Status};
use std::time::{Duration, Instant};

const POLL: Duration = Duration::from_millis(100);

pub(super) struct Wish<'a> {
    pub(super) name: &'a str,
    pub(super) successor: Option<&'a Address>,
    pub(super) force: bool,
}

pub(super) fn run(options: &SentinelOptions, wish: Wish<'_>, timeout: Duration) -> Result<(), Failure> {
    let Wish { name, successor, force } = wish;
    let mut client = Client::connect(options)?;
    let before = client.status()?;
    let group = find(&before, name)?;
    let old_master = group.master.address.clone();
    if successor == Some(&old_master) {
        return Err(Failure::usage(format!("{old_master} is the master of {name} already")));
    }
    if let Some(wanted) = successor
        && !group.replicas.iter().any(|replica| replica.address == *wanted)
    {
        let known: Vec<String> = group.replicas.iter().map(|replica| replica.address.to_string()).collect();
        return Err(Failure::usage(format!(
            "{wanted} is no replica of {name}; choose one of: {}",
            known.join(", ")
        )));
    }
    let mut teller = Teller::from_now(&before);
    let host_port = successor.map(|address| (address.host.clone(), address.port.to_string()));
    let mut words = vec!["SENTINEL", "FAILOVER", name];
    if let Some((host, port)) = &host_port {
        words.extend(["TO", host, port]);
    }
    if force {
        words.push("FORCE");
    }
    client.call(&words)?;

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
                    | EventKind::AbortMasterBack => {
                        return Err(Failure::new(format!(
                            "the failover was given up: {}; {old_master} is still the master",
                            event.kind.row().summary
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
        } else if let Ok(again) = Client::connect(options) {
            client = again;
        }
        if started.elapsed() > timeout {
            return Err(Failure::new(format!(
                "{name}: not finished after {} s; it goes on, follow it with: vedette watch --sentinel {}",
                timeout.as_secs(),
                options.sentinel
            )));
        }
        std::thread::sleep(POLL);
    }
}

fn find<'a>(status: &'a Status, name: &str) -> Result<&'a GroupStatus, Failure> {
    status.groups.iter().find(|group| group.name == name).ok_or_else(|| {
        let known: Vec<&str> = status.groups.iter().map(|group| group.name.as_str()).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        Failure::usage(format!("the sentinel watches no group named '{name}' (it watches: {known})"))
    })
}
