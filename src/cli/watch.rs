//! `vedette watch`: the fleet live on a terminal; without one, a line per event until it is stopped.

use super::client::Client;
use super::events::{self, Teller};
use super::screen::{self, Screen, View};
use super::{Failure, SentinelOptions, print};
use std::io::IsTerminal;
use std::time::Duration;

const POLL: Duration = Duration::from_millis(500);

pub(super) fn run(options: &SentinelOptions) -> Result<(), Failure> {
    let client = Client::connect(options)?;
    if std::io::stdout().is_terminal() { on_screen(options, client) } else { as_lines(options, client) }
}

fn on_screen(options: &SentinelOptions, client: Client) -> Result<(), Failure> {
    let mut screen = Screen::open()?;
    let mut client = Some(client);
    let mut view = View { title: format!("sentinel {}", options.sentinel), ..View::default() };
    loop {
        view.trouble = None;
        match fetch(options, &mut client) {
            Ok(status) => view.status = Some(status),
            Err(failure) => view.trouble = Some(failure.message),
        }
        screen.draw(&view)?;
        if screen::asked_to_quit(POLL)? {
            return Ok(());
        }
    }
}

fn as_lines(options: &SentinelOptions, client: Client) -> Result<(), Failure> {
    let mut client = Some(client);
    let mut teller = Teller::default();
    let mut in_touch = true;
    loop {
        match fetch(options, &mut client) {
            Ok(status) => {
                in_touch = true;
                for event in teller.news(&status) {
                    print(events::line(event) + "\n")?;
                }
            }
            Err(failure) if in_touch => {
                in_touch = false;
                eprintln!("vedette: {}; trying on", failure.message);
            }
            Err(_) => {}
        }
        std::thread::sleep(POLL);
    }
}

/// Asks the connection at hand, or a new one when it broke.
fn fetch(
    options: &SentinelOptions,
    client: &mut Option<Client>,
) -> Result<crate::model::status::Status, Failure> {
    let mut asked = match client.take() {
        Some(open) => open,
        None => Client::connect(options)?,
    };
    let status = asked.status()?;
    *client = Some(asked);
    Ok(status)
}
