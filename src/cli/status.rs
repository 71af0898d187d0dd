//! `vedette status`: the fleet once, for a person or (`--json`) for a machine.

use super::client::Client;
use super::{Failure, SentinelOptions, print, render};

pub(super) fn run(options: &SentinelOptions, json: bool) -> Result<(), Failure> {
    let status = Client::connect(options)?.status()?;
    if json {
        let mut text =
            serde_json::to_string_pretty(&status).map_err(|error| Failure::new(error.to_string()))?;
        text.push('\n');
        print(text)?;
    } else {
        print(render::status(&status))?;
    }
    if render::is_well(&status) { Ok(()) } else { Err(Failure::said(1)) }
}
