//! The supervisor as a state machine: what it hears, what it asks for. Read this file first.
//!
//! Two halves: one watches and judges, one acts, and only what the Raft log has agreed makes the
//! second half move. Has never heard of a socket, a file, a clock or a random number it was not
//! handed.
//!
//! | file | one line |
//! |---|---|
//! | `node` | [`Sentinel`]: routes inputs, keeps office, proposes, applies |
//! | `request`, `peer` | what it says to data servers and to other sentinels |
//! | `decision`, `ledger` | what is agreed, and the state that agreeing has made |
//! | `credentials`, `vault` | how it logs in at data servers; passwords sealed before they are agreed on |
//! | `settings`, `fleet_settings`, `command`, `wish` | what an operator may change, and ask for |
//! | `own_settings` | what an operator may change of one sentinel |
//! | `policy`, `guard`, `maintenance` | what holds back: agreed, judged, ended |
//! | `schedule`, `registry`, `facts`, `probe` | watching: deadlines, what was seen, INFO understood |
//! | `founding` | how a fleet comes to be from sentinels that see each other |
//! | `members` | the fleet itself: sentinels added, replaced, removed |
//! | `last_words` | what one that cannot write its log leaves behind |
//! | `beat` | touch with the majority |
//! | `discovery` | replicas that the master lists |
//! | `changes` | restarts and roles of instances, told |
//! | `simulated` | crashing on demand |
//! | `scripts`, `errands` | which programs and hooks belong to an event, and the queue of them |
//! | `veto` | the pre-failover hook |
//! | `subjective`, `objective`, `situation` | judging: alone, together, by name |
//! | `lead` | what a leader does about one group: the order of judging and acting |
//! | `rebooting` | a master that may take its time to load |
//! | `diagnosis` | the name of what is the matter |
//! | `preference` | whom the operator would rather see as master |
//! | `prospect`, `loss`, `explain` | what a failover would find, lose, and say |
//! | `fruitless` | attempts that would find nobody again |
//! | `failover`, `switchover`, `successor`, `lease`, `sync_set`, `reconcile` | acting |
//! | `tail` | what a replica alone has that may not be master |
//! | `relay` | a lease by way of another sentinel |
//! | `foreign` | whose data it is that answers at an address |
//! | `identity` | who the servers are, as the log is to know them |
//! | `min_replicas` | the bound on what a stock master acknowledges when it is cut off |
//! | `scheduled` | switchovers that are to happen at a time |
//! | `testimony` | what a leader saw, for the incident records |
//! | `commits` | how long agreement takes |
//! | `webhooks` | how far deliveries are, and whose business they are |
//! | `drill` | practising all that on purpose: one lease, safe or not at all |
//! | `status` | the snapshot for people |

pub mod api;
mod beat;
mod bugs;
mod changes;
pub mod command;
mod commits;
mod credentials;
pub mod decision;
mod diagnosis;
mod discovery;
pub mod drill;
pub mod errands;
mod explain;
mod facts;
mod failover;
pub mod fleet_settings;
mod foreign;
mod forgetting;
pub mod founding;
mod fruitless;
mod guard;
mod identity;
mod last_words;
mod lead;
mod lease;
pub mod ledger;
mod loss;
mod maintenance;
pub mod members;
pub mod min_replicas;
mod node;
mod objective;
mod office;
pub mod own_settings;
pub mod peer;
pub mod peer_codec;
pub mod policy;
mod preference;
mod probe;
mod prospect;
mod rebooting;
mod reconcile;
pub mod registry;
mod relay;
pub mod request;
mod resetting;
mod schedule;
mod scheduled;
mod script_kill;
pub mod scripts;
pub mod settings;
mod simulated;
mod situation;
mod status;
mod subjective;
mod successor;
mod switchover;
mod sync_set;
mod tail;
mod testimony;
mod vault;
mod veto;
mod webhooks;
pub mod wish;

use crate::config::Secret;
use crate::config::hooks::HookConfig;
use crate::consensus;
use crate::model::drill::Scorecard;
use crate::model::event::{Event, EventKind};
use crate::model::{Address, Epoch, NodeId, TlsFault};
use crate::resp::Reply;
pub use bugs::Bugs;
pub use command::Command;
pub use node::{Identity, Sentinel, StartError};
pub use peer::PeerMessage;
pub use request::{Request, RequestId};
use std::collections::BTreeMap;
pub use veto::Verdict;
pub use wish::{Switchover, Wish};

/// An inbound client connection, numbered by the shell.
pub type SessionId = u64;

/// What can happen to it.
#[derive(Debug)]
pub enum Input {
    /// The moment named by `next_wakeup` has come.
    Tick,
    /// A peer link that passed its handshake is up. `uuid` names the peer's data directory, `run_id`
    /// its life.
    PeerUp {
        id: NodeId,
        uuid: String,
        run_id: String,
        /// Where it says that it is reached; `None`: where it was said to be.
        address: Option<Address>,
    },
    /// Another living process was turned away that claims this id.
    PeerDuplicate {
        id: NodeId,
    },
    /// A proven member says that this sentinel was removed from the fleet.
    Removed,
    PeerDown {
        id: NodeId,
    },
    Peer {
        from: NodeId,
        message: PeerMessage,
    },
    /// The command link to an instance is connected (and authenticated).
    LinkUp {
        instance: Address,
    },
    /// It failed to connect, or broke. Requests without a reply are lost with it.
    LinkDown {
        instance: Address,
        why: LinkError,
    },
    /// The answer to a request. Answers of one link come in the order of its requests.
    Replied {
        instance: Address,
        request: RequestId,
        reply: Reply,
    },
    /// Credentials for data servers as the files hold them now, by group.
    Credentials {
        by_group: BTreeMap<String, Auth>,
        cluster: Option<Secret>,
    },
    /// Every script and hook up to this event has been run.
    ErrandsProgress {
        up_to: u64,
    },
    /// What is to be told of one that failed.
    ErrandTold {
        kind: EventKind,
        payload: String,
    },
    /// What the pre-failover hook says of the failover of this epoch.
    HookAnswered {
        group: String,
        epoch: Epoch,
        verdict: Verdict,
    },
    /// How far the deliveries of this node are.
    Webhook(crate::model::webhook::Progress),
    /// The drill that this node conducts is over, in whatever way.
    DrillEnded {
        card: Box<Scorecard>,
    },
}

/// Why a link is down: the typed evidence that judgement rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkError {
    /// The host answered that nothing listens there.
    Refused,
    /// An established connection was closed or reset by the other side.
    Reset,
    /// No answer to the connection attempt within its deadline.
    Timeout,
    /// No route, name not known, or another error of this side.
    Unreachable,
    /// The server wants a password that we do not have, or refused ours.
    AuthRefused,
    /// It is there, and there is no TLS session with it.
    Tls(TlsFault),
    /// Bytes that are no RESP.
    Malformed,
}

/// What it asks for. Carried out in the order pushed.
#[derive(Debug)]
pub enum Action {
    /// One atomic, synced commit; if it fails the daemon must end.
    Persist(consensus::Persist),
    /// Best effort: a message to a peer whose link is down is dropped.
    SendPeer { to: NodeId, message: PeerMessage },
    /// Keep a command link to this instance from now on. Idempotent.
    Watch { instance: Address, auth: Option<Auth> },
    /// Close the link to it.
    Unwatch { instance: Address },
    /// Dial now if the link is down (the core sets the pace; the shell bounds the attempt to
    /// `timeout_ms`).
    Dial { instance: Address, timeout_ms: u64 },
    /// Close the command link, so that it comes back as `LinkDown` and can be dialled again.
    Hangup { instance: Address },
    /// Write these words to the instance's command link; lost if the link is down.
    Send { instance: Address, request: RequestId, argv: Vec<Vec<u8>> },
    /// An agreed event: publish it on its channel, log it, hand it to metrics and webhooks. Comes once
    /// per start and event; `replayed` marks those that were agreed before this process started.
    Emit { event: Event, replayed: bool },
    /// The late answer to a client's command, already encoded for its protocol.
    Respond { session: SessionId, bytes: Vec<u8> },
    /// This webhook's deliveries are the business of this node (`None`: of another node). Comes again
    /// when an operator changed something.
    Webhook { name: String, office: Option<crate::model::webhook::Office> },
    /// Scripts and hooks are the business of this node from this event on (`None`: of another node).
    Errands { from: Option<u64> },
    /// Ask this hook, within its deadline, whether the failover of this epoch may go on; the body is JSON.
    AskHook { group: String, epoch: Epoch, hook: HookConfig, body: Vec<u8> },
    /// The process is to end at this moment with this status, as was asked of it (SIMULATE-FAILURE).
    Exit { status: i32, why: &'static str },
    /// This node conducts the drill: run it, and answer with [`Input::DrillEnded`].
    Drill(Box<drill::Drill>),
    /// An operator wants that drill to stop where it is.
    DrillAbort { id: u64, reason: String },
    /// The process cannot go on; the text says why and what to do. `rejoin`: its id is lost for voting,
    /// and what is left is to come back as a new member.
    Fatal { message: String, rejoin: bool },
}

#[derive(Clone, PartialEq, Eq)]
pub struct Auth {
    pub user: Option<String>,
    pub password: String,
    /// The command to log in with, where it is not called AUTH.
    pub command: Option<String>,
}

impl std::fmt::Debug for Auth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Auth(redacted)")
    }
}
