//! The host agent as a process: links to its server and to the sentinels around the core.

use crate::agent::{Action, Agent, Input, Plan, Whom};
use crate::config::Secret;
use crate::config::agent::AgentConfig;
use crate::config::renames::Renames;
use crate::config::tls::ClientFiles;
use crate::daemon::clock;
use crate::daemon::reload;
use crate::daemon::shutdown::Shutdown;
use crate::daemon::systemd::Notifier;
use crate::daemon::tls_files::{self, Dialling};
use crate::net::dial::Ways;
use crate::net::link::{LinkEvent, Links, Route};
use crate::net::tls::Versions;
use crate::sentinel::Auth;
use crate::stdx::time::Duration;
use slog::{Logger, info, warn};
use std::path::Path;

/// Why the process ends with status 1, with the remedy.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Fatal(String);

/// Runs until it is asked to stop. A server that is fenced then stays so for as long as the fence
/// lasts: whoever stops the agent does not vouch.
pub fn run(config: AgentConfig, logger: Logger) -> Result<(), Fatal> {
    let renames = Renames::from_file(&config.rename_commands);
    let server_auth = password(config.auth_pass_file.as_deref())?.map(|password| Auth {
        user: config.auth_user.clone(),
        password,
        command: Some(renames.of("AUTH").to_owned()),
    });
    let sentinel_auth = password(config.sentinel_pass_file.as_deref())?.map(|password| Auth {
        user: config.sentinel_user.clone(),
        password,
        command: None,
    });
    let dialling = |files: Option<ClientFiles>| {
        files.map(|files| Dialling::start(files, Versions::All, &logger)).transpose().map_err(Fatal)
    };
    let to_server = dialling(config.tls_to_server())?;
    let to_sentinels = dialling(config.tls_to_sentinels())?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Fatal(format!("cannot start: {error}")))?;
    runtime.block_on(async {
        let mut shutdown = Shutdown::on_signals().map_err(|error| Fatal(format!("cannot start: {error}")))?;
        let mut notifier = Notifier::from_environment();
        let mut lines = Links::new("agent");
        let ways = Ways::plain();
        let route = |dialling: &Option<Dialling>| Route {
            ways: ways.clone(),
            tls: dialling.as_ref().map(|dialling| dialling.connector.clone()),
        };
        lines.add(Whom::Server, config.server.clone(), server_auth.clone(), route(&to_server));
        for (index, address) in config.sentinels.iter().enumerate() {
            let whom = Whom::Sentinel(index);
            lines.add(whom, address.clone(), sentinel_auth.clone(), route(&to_sentinels));
        }
        renew(to_server.into_iter().chain(to_sentinels).collect(), &logger)?;
        let plan = Plan {
            group: config.group.clone(),
            announced: config.announced.clone().unwrap_or_else(|| config.server.clone()),
            sentinels: config.sentinels.len(),
            lease: Duration::from_millis(config.lease_milliseconds),
        };
        let mut agent = Agent::new(plan, clock::mono());
        info!(logger, "stands beside {}", config.server; "group" => &config.group);
        notifier.ready("asking the sentinels");
        let mut input = Input::Tick;
        loop {
            let now = clock::mono();
            notifier.beat(now);
            let mut actions = Vec::new();
            agent.handle(now, input, &mut actions);
            for action in actions {
                match action {
                    Action::Dial { whom, timeout } => lines.dial(&whom, timeout),
                    Action::Hangup(whom) => lines.hangup(&whom),
                    Action::Send { whom, id, mut argv } => {
                        if whom == Whom::Server {
                            renames.apply(&mut argv);
                        }
                        lines.send(&whom, id, &argv);
                    }
                    Action::Tell { warning: true, text } => warn!(logger, "{}", text),
                    Action::Tell { warning: false, text } => info!(logger, "{}", text),
                }
            }
            lines.flush();
            notifier.status(match (agent.is_fenced(), agent.is_vouched(now)) {
                (true, _) => "fenced: nobody vouches for the server, its writes wait",
                (false, true) => "the server is vouched for",
                (false, false) => "the server is a replica",
            });
            let wait = agent.next_wakeup().since(clock::mono());
            let wait = notifier.beat_every().map_or(wait, |every| wait.min(every));
            input = tokio::select! {
                event = lines.next() => match event {
                    LinkEvent::Up { whom } => Input::Up(whom),
                    LinkEvent::Down { whom, .. } => Input::Down(whom),
                    LinkEvent::Replied { whom, request, reply } => Input::Replied { whom, id: request, reply },
                },
                name = shutdown.requested() => {
                    info!(logger, "stopping"; "reason" => name);
                    notifier.stopping();
                    return Ok(());
                }
                () = tokio::time::sleep(wait) => Input::Tick,
            };
        }
    })
}

/// Certificates that change count for connections from then on.
fn renew(mut sides: Vec<Dialling>, logger: &Logger) -> Result<(), Fatal> {
    if sides.is_empty() {
        return Ok(());
    }
    let paths = sides.iter().flat_map(Dialling::paths).collect();
    let mut due =
        reload::watch(paths).map_err(|error| Fatal(format!("cannot listen to signals: {error}")))?;
    let logger = logger.clone();
    tokio::spawn(async move {
        while due.recv().await.is_some() {
            let log = logger.clone();
            let read = move || {
                tls_files::tell_of_reload(sides.iter_mut().map(Dialling::reload).collect(), &log);
                sides
            };
            match tokio::task::spawn_blocking(read).await {
                Ok(read) => sides = read,
                Err(_) => return,
            }
        }
    });
    Ok(())
}

fn password(file: Option<&Path>) -> Result<Option<String>, Fatal> {
    let Some(path) = file else { return Ok(None) };
    let text = std::fs::read_to_string(path)
        .map_err(|error| Fatal(format!("cannot read {}: {error}", path.display())))?;
    let secret = Secret::from_file_text(&text)
        .ok_or_else(|| Fatal(format!("{} is empty; it must hold a password", path.display())))?;
    Ok(Some(secret.expose().to_owned()))
}
