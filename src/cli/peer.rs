//! `vedette peer`: the sentinels of the fleet, listed and changed. A change is asked for once, then
//! followed until the fleet has carried it out.

use super::client::Client;
use super::{Failure, SentinelOptions, print};
use crate::model::{Address, NodeId};
use crate::resp::Reply;
use clap::Subcommand;
use std::time::{Duration, Instant};

/// One that is being started now needs no advice.
const HINT_AFTER: Duration = Duration::from_secs(3);
const POLL: Duration = Duration::from_millis(200);
/// An election takes less.
const ELECTION: Duration = Duration::from_secs(20);

#[derive(Subcommand)]
pub(super) enum PeerAction {
    /// Show every sentinel of the fleet, as agreed
    List {
        #[command(flatten)]
        to: SentinelOptions,
    },
    /// Add a sentinel that waits with `--join` (its id must never have been used)
    Add {
        id: NodeId,
        #[arg(value_name = "HOST:PORT")]
        address: Address,
        #[command(flatten)]
        how: How,
    },
    /// Remove a sentinel for good
    Remove {
        id: NodeId,
        #[command(flatten)]
        how: How,
    },
    /// Let a new sentinel take the place of another, which may be dead
    Replace {
        #[arg(value_name = "OLD-ID")]
        old: NodeId,
        #[arg(value_name = "NEW-ID")]
        new: NodeId,
        #[arg(value_name = "HOST:PORT")]
        address: Address,
        #[command(flatten)]
        how: How,
    },
}

#[derive(clap::Args)]
pub(super) struct How {
    #[command(flatten)]
    to: SentinelOptions,
    /// Return as soon as the fleet has taken it in hand
    #[arg(long)]
    no_wait: bool,
    /// Stop following after this long (the change itself goes on)
    #[arg(long, default_value_t = 120, value_name = "SECONDS")]
    timeout: u64,
}

/// One line of SENTINEL PEERS.
struct Peer {
    id: NodeId,
    address: String,
    state: String,
    leader: bool,
    connected: bool,
}

pub(super) fn run(action: &PeerAction) -> Result<(), Failure> {
    let (words, how, wanted): (Vec<String>, &How, Vec<(NodeId, bool)>) = match action {
        PeerAction::List { to } => return list(to),
        PeerAction::Add { id, address, how } => {
            (vec!["ADD".into(), id.to_string(), address.to_string()], how, vec![(*id, true)])
        }
        PeerAction::Remove { id, how } => (vec!["REMOVE".into(), id.to_string()], how, vec![(*id, false)]),
        PeerAction::Replace { old, new, address, how } => (
            vec!["REPLACE".into(), old.to_string(), new.to_string(), address.to_string()],
            how,
            vec![(*old, false), (*new, true)],
        ),
    };
    let mut client = Client::connect(&how.to)?;
    let mut request = vec!["SENTINEL", "PEER"];
    request.extend(words.iter().map(String::as_str));
    ask(&mut client, how, &request)?;
    if how.no_wait {
        return print("taken in hand; follow it with: vedette peer list\n");
    }
    follow(client, how, &wanted)
}

/// An election may be under way, all the more where a sentinel just died: then it is asked again. The
/// same request twice changes nothing.
fn ask(client: &mut Client, how: &How, request: &[&str]) -> Result<(), Failure> {
    let started = Instant::now();
    loop {
        let failure = match client.call(request) {
            Ok(_) => return Ok(()),
            Err(failure) => failure,
        };
        let passes =
            ["no sentinel leads", "leadership changed"].iter().any(|why| failure.message.contains(why));
        if !passes || started.elapsed() > ELECTION {
            return Err(failure);
        }
        std::thread::sleep(POLL);
        if let Ok(again) = Client::connect(&how.to) {
            *client = again;
        }
    }
}

/// Until each of them is a voter, or gone.
fn follow(mut client: Client, how: &How, wanted: &[(NodeId, bool)]) -> Result<(), Failure> {
    let started = Instant::now();
    let mut shown = String::new();
    let mut hinted = false;
    loop {
        // A sentinel that stumbles meanwhile, or is the one that goes, is asked again.
        if let Ok(peers) = peers(&mut client) {
            let state = |id: NodeId| peers.iter().find(|peer| peer.id == id).map(|peer| peer.state.as_str());
            let done = |(id, stays): &(NodeId, bool)| match stays {
                true => state(*id) == Some("voter"),
                false => state(*id).is_none(),
            };
            if wanted.iter().all(done) {
                return print(table(&peers));
            }
            let words = |(id, _): &(NodeId, bool)| format!("{id}: {}", state(*id).unwrap_or("not there"));
            let line = wanted.iter().map(words).collect::<Vec<_>>().join(", ");
            if line != shown {
                eprintln!("sentinel {line}");
                shown = line;
            }
            let silent = |(id, stays): &(NodeId, bool)| {
                peers.iter().find(|peer| *stays && peer.id == *id && !peer.connected && !peer.leader)
            };
            if let Some(peer) = wanted.iter().find_map(silent).filter(|_| started.elapsed() > HINT_AFTER)
                && !hinted
            {
                hinted = true;
                eprintln!(
                    "sentinel {} has no link yet: start it at {} with --join and the address of a sentinel of this fleet; \
                     Ctrl-C ends only this command, and vedette peer remove {} undoes the addition",
                    peer.id, peer.address, peer.id
                );
            }
        } else if let Ok(again) = Client::connect(&how.to) {
            client = again;
        }
        if started.elapsed() > Duration::from_secs(how.timeout) {
            return Err(Failure::new(format!(
                "not finished after {} s ({shown}); it goes on: is the new sentinel started with --join, and is its \
                 address right? Undo an addition with: vedette peer remove ID",
                how.timeout
            )));
        }
        std::thread::sleep(POLL);
    }
}

fn list(to: &SentinelOptions) -> Result<(), Failure> {
    let peers = peers(&mut Client::connect(to)?)?;
    print(table(&peers))
}

fn table(peers: &[Peer]) -> String {
    let mut text = format!("{:<6} {:<24} {:<9} {}\n", "id", "address", "state", "link");
    for peer in peers {
        let state = if peer.leader { "leader" } else { peer.state.as_str() };
        let link = if peer.connected { "up" } else { "down" };
        text.push_str(&format!("{:<6} {:<24} {state:<9} {link}\n", peer.id, peer.address));
    }
    text
}

fn peers(client: &mut Client) -> Result<Vec<Peer>, Failure> {
    let reply = client.call(&["SENTINEL", "PEERS"])?;
    let maps = reply.as_array().unwrap_or_default();
    Ok(maps.iter().filter_map(peer).collect())
}

fn peer(map: &Reply) -> Option<Peer> {
    let items = map.as_array()?;
    let field = |name: &str| {
        let at = items.iter().step_by(2).position(|key| key.as_str() == Some(name))?;
        items.get(at * 2 + 1)?.as_str()
    };
    Some(Peer {
        id: field("id")?.parse().ok()?,
        address: field("address")?.to_owned(),
        state: field("state")?.to_owned(),
        leader: field("leader") == Some("yes"),
        connected: field("connected") == Some("yes"),
    })
}
