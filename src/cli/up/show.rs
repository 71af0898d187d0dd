//! What the user of `vedette up` sees: a summary once, then the live view, or plain lines when
//! nobody looks at a terminal.

use super::child::{News, NewsKind};
use super::plan::{GROUP, Node, Plan};
use crate::cli::events::{self, Teller};
use crate::cli::render;
use crate::cli::screen::{self, ProcessLine, Screen, View};
use crate::model::status::Status;
use std::io::{self, IsTerminal};
use std::path::Path;
use std::time::Duration;

const NOTES_KEPT: usize = 50;

pub(super) struct Show {
    view: View,
    screen: Option<Screen>,
    teller: Teller,
    last_master: Option<String>,
}

impl Show {
    pub(super) fn new(nodes: &[Node]) -> Self {
        let processes = nodes.iter().map(|node| ProcessLine {
            name: node.name.clone(),
            address: format!("127.0.0.1:{}", node.port),
            pid: None,
            restarts: 0,
            doing: "starting".to_owned(),
        });
        let view = View { processes: processes.collect(), ..View::default() };
        Show { view, screen: None, teller: Teller::default(), last_master: None }
    }

    /// The live view from now on, when a person looks at a terminal.
    pub(super) fn open(&mut self) -> io::Result<()> {
        if io::stdout().is_terminal() && io::stdin().is_terminal() {
            self.screen = Some(Screen::open()?);
        }
        Ok(())
    }

    pub(super) fn close(&mut self) {
        self.screen = None;
    }

    pub(super) fn hear(&mut self, news: News) {
        let Some(process) = self.view.processes.get_mut(news.index) else { return };
        let again = |pause: Duration| format!("starts again in {} s", pause.as_secs());
        let note = match news.kind {
            NewsKind::Started { pid } => {
                let first = process.doing == "starting";
                process.pid = Some(pid);
                process.doing = "running".to_owned();
                if first {
                    return;
                }
                process.restarts += 1;
                format!("{} runs again, pid {pid}", process.name)
            }
            NewsKind::Ended { how, again: pause } => {
                process.pid = None;
                process.doing = again(pause);
                format!("{} {how}; {}", process.name, process.doing)
            }
            NewsKind::CannotStart { why, again: pause } => {
                process.doing = again(pause);
                format!("{} cannot be started: {why}; {}", process.name, process.doing)
            }
        };
        if self.screen.is_none() {
            println!("{note}");
        }
        let at = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        self.view.notes.push((u64::try_from(at.as_millis()).unwrap_or(u64::MAX), note));
        if self.view.notes.len() > NOTES_KEPT {
            self.view.notes.remove(0);
        }
    }

    pub(super) fn status(&mut self, status: Option<Status>) {
        let Some(status) = status else {
            self.view.trouble = Some("no sentinel answers".to_owned());
            return;
        };
        self.view.trouble = None;
        let master = status.groups.iter().find(|group| group.name == GROUP);
        let master = master.map(|group| group.master.address.to_string());
        if self.screen.is_none() {
            for event in self.teller.news(&status) {
                println!("{}", events::line(event));
            }
            if let (Some(before), Some(now)) = (&self.last_master, &master)
                && before != now
            {
                println!("the master is now {now} (was {before})");
            }
        }
        self.last_master = master.or(self.last_master.take());
        self.view.status = Some(status);
    }

    /// Draws, and says whether the user wants to stop.
    pub(super) fn refresh(&mut self) -> io::Result<bool> {
        match &mut self.screen {
            None => Ok(false),
            Some(open) => {
                self.view.hint = hint(&self.view, self.last_master.as_deref());
                open.draw(&self.view)?;
                screen::asked_to_quit(Duration::ZERO)
            }
        }
    }

    pub(super) fn all_running(&self) -> bool {
        self.view.processes.iter().all(|process| process.pid.is_some())
    }

    /// One sentence: what is not yet as it should be.
    pub(super) fn doubts(&self) -> String {
        let down: Vec<&str> =
            self.view.processes.iter().filter(|p| p.pid.is_none()).map(|p| p.name.as_str()).collect();
        match (&self.view.status, down.as_slice()) {
            (_, [_, ..]) => format!("not running: {}", down.join(", ")),
            (None, _) => "no sentinel answers".to_owned(),
            (Some(status), _) => format!("the sentinels say:\n{}", render::status(status)),
        }
    }

    /// Addresses, pids and roles, and what to try next.
    pub(super) fn summary(&mut self, plan: &Plan, dir: &Path) -> String {
        let master = self.last_master.clone().unwrap_or_default();
        let page =
            plan.sentinels.first().map_or(String::new(), |ports| format!("http://127.0.0.1:{}/", ports.http));
        self.view.title = format!("fleet in {}  {page}", dir.display());
        let mut text = String::from("\nThe fleet is up:\n\n");
        let mut master_pid = 0;
        for process in &self.view.processes {
            let role = match (process.address == master, process.name.starts_with("server")) {
                (true, _) => "master",
                (false, true) => "replica",
                (false, false) => "sentinel",
            };
            let pid = process.pid.unwrap_or(0);
            if role == "master" {
                master_pid = pid;
            }
            text.push_str(&format!("  {role:<9} {:<18} pid {pid:<8} {}\n", process.address, process.name));
        }
        let sentinel = plan.sentinels.first().map_or(0, |ports| ports.port);
        let (program, to) = (program(), to_sentinel(sentinel));
        text.push_str(&format!(
            "\n  status page  {page}\n  directory    {}\n\nTry this in another terminal:\n\n\
             \x20 redis-cli -p {} set greeting hello\n\
             \x20 redis-cli -p {sentinel} sentinel get-master-addr-by-name {GROUP}\n\
             \x20 {program} status{to}\n\
             \x20 kill -9 {master_pid}          # the master: a replica takes over\n\
             \x20 {program} failover {GROUP}{to}\n\nCtrl-C stops everything.\n\n",
            dir.display(),
            port_of(&master),
        ));
        text
    }
}

/// The foot of the live view: two lines that fit 80 columns.
fn hint(view: &View, master: Option<&str>) -> String {
    let known = view.processes.iter().find(|process| Some(process.address.as_str()) == master);
    let try_first = match (master.map(port_of), known.and_then(|process| process.pid)) {
        (Some(port), Some(pid)) => {
            format!("try  redis-cli -p {port} set greeting hello   kill -9 {pid} (the master)\n")
        }
        _ => String::new(),
    };
    let sentinel = view.processes.iter().find(|process| process.name == "sentinel-1");
    let to = sentinel
        .and_then(|process| port_of(&process.address).parse().ok())
        .map_or(String::new(), to_sentinel);
    format!("{try_first}     {} failover {GROUP}{to}   q or Ctrl-C stops all", program())
}

fn port_of(address: &str) -> &str {
    address.rsplit(':').next().unwrap_or("")
}

/// What an operator's command needs beside its words; nothing for the default port.
fn to_sentinel(port: u16) -> String {
    if port == 26379 { String::new() } else { format!(" -s 127.0.0.1:{port}") }
}

/// This program as the user called it: not everybody has installed it yet.
fn program() -> String {
    std::env::args().next().unwrap_or_else(|| "vedette".to_owned())
}
