//! `SENTINEL WEBHOOKS TEST|ENABLE|REPLAY name [FROM id]`: what an operator may want of a webhook.
//! How they are is in the snapshot (`SENTINEL STATUS`).

use super::family::Call;
use super::{Outcome, quoted};
use crate::sentinel::command::{self, Command};

const USAGE: &str = "ERR expected SENTINEL WEBHOOKS TEST name, ENABLE name, or REPLAY name [FROM event-id]";

pub(super) fn wish(call: &mut Call<'_, '_>) -> Outcome {
    let words: Option<Vec<&str>> = call.argv[2..].iter().map(|word| std::str::from_utf8(word).ok()).collect();
    let Some(Command::Webhook { name, wish }) = words.and_then(|words| command::webhook(&words)) else {
        return call.error(USAGE);
    };
    if !call.facts.webhooks.contains(&name) {
        let known =
            if call.facts.webhooks.is_empty() { "none".to_owned() } else { call.facts.webhooks.join(", ") };
        let name = quoted(name.as_bytes());
        return call
            .error(&format!("ERR No webhook '{name}' in this sentinel's configuration; there are: {known}"));
    }
    Outcome::Submit { command: Command::Webhook { name, wish }, count: None }
}
