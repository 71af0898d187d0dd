//! What a sentinel says to a data server: typed, and turned to words in one place.
//!
//! Bundled servers understand the `VEDETTE` family (docs/protocol.md); stock Redis and Valkey are
//! moved with REPLICAOF and believed by what INFO says afterwards.

use crate::model::{Address, Epoch, NodeId, Offset, ReplId};

/// Numbers a request within one life of one sentinel.
pub type RequestId = u64;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    Ping,
    Info,
    /// Publishes our line on `__sentinel__:hello`.
    Hello {
        payload: String,
    },
    Lease {
        group: String,
        epoch: Epoch,
        ttl_ms: u64,
        echo: u64,
        quorum: usize,
        version: u64,
        members: Vec<Address>,
    },
    /// The leader's LEASE, passed on word for word.
    RelayedLease {
        to: NodeId,
        argv: Vec<Vec<u8>>,
    },
    Fence {
        group: String,
        epoch: Epoch,
    },
    Promote {
        group: String,
        epoch: Epoch,
    },
    Follow {
        group: String,
        epoch: Epoch,
        master: Address,
        stock_master: bool,
        /// Where the server's own history was continued by another: what it has behind that is to be
        /// kept before it is resynced.
        fork: Option<(ReplId, Offset)>,
    },
    /// Stock: stop following, keep replication id and offset (a port on which nothing listens).
    Freeze,
    /// Stock: hold writes back for a while, for a planned handover.
    PauseWrites {
        ms: u64,
    },
    ResumeWrites,
    /// Ends a script that runs beyond its time and has written nothing.
    KillScript,
    /// Stock: become master.
    ReplicaOfNoOne,
    /// Stock: follow this master; clients are disconnected so that they ask again.
    ReplicaOf {
        master: Address,
    },
    /// Stock: both settings below; each is set by a command of its own, for servers before Redis 7.
    ReadMinReplicas,
    SetMinReplicas {
        count: usize,
    },
    SetMinReplicasLag {
        lag_s: u64,
    },
}

impl Request {
    /// Whom a frozen stock replica follows. Port 1 (tcpmux) is closed on any host that runs a data
    /// server; the replica's own loopback answers at once with a reset.
    pub fn frozen_master() -> Address {
        Address::new("127.0.0.1", 1)
    }

    /// The commands to send, in order; each gets one reply.
    pub fn words(&self) -> Vec<Vec<u8>> {
        let words: Vec<String> = match self {
            Request::RelayedLease { argv, .. } => return argv.clone(),
            Request::Ping => vec!["PING".into()],
            Request::Info => vec!["INFO".into()],
            Request::Hello { payload } => {
                vec!["PUBLISH".into(), "__sentinel__:hello".into(), payload.clone()]
            }
            Request::Lease { group, epoch, ttl_ms, echo, quorum, version, members } => {
                let members: Vec<String> = members.iter().map(Address::to_string).collect();
                vec![
                    "VEDETTE".into(),
                    "LEASE".into(),
                    group.clone(),
                    epoch.to_string(),
                    ttl_ms.to_string(),
                    echo.to_string(),
                    quorum.to_string(),
                    version.to_string(),
                    members.join(","),
                ]
            }
            Request::Fence { group, epoch } => {
                vec!["VEDETTE".into(), "FENCE".into(), group.clone(), epoch.to_string()]
            }
            Request::Promote { group, epoch } => {
                vec!["VEDETTE".into(), "PROMOTE".into(), group.clone(), epoch.to_string()]
            }
            Request::Follow { group, epoch, master, stock_master, fork } => {
                let mut words = vec![
                    "VEDETTE".into(),
                    "FOLLOW".into(),
                    group.clone(),
                    epoch.to_string(),
                    master.host.clone(),
                    master.port.to_string(),
                ];
                if *stock_master {
                    words.push("STOCK".into());
                }
                if let Some((history, offset)) = fork {
                    words.extend(["FORK".into(), history.to_string(), offset.to_string()]);
                }
                words
            }
            Request::Freeze => {
                let Address { host, port } = Request::frozen_master();
                vec!["REPLICAOF".into(), host, port.to_string()]
            }
            Request::PauseWrites { ms } => {
                vec!["CLIENT".into(), "PAUSE".into(), ms.to_string(), "WRITE".into()]
            }
            Request::ResumeWrites => vec!["CLIENT".into(), "UNPAUSE".into()],
            Request::KillScript => vec!["SCRIPT".into(), "KILL".into()],
            Request::ReplicaOfNoOne => vec!["REPLICAOF".into(), "NO".into(), "ONE".into()],
            Request::ReplicaOf { master } => {
                vec!["REPLICAOF".into(), master.host.clone(), master.port.to_string()]
            }
            Request::ReadMinReplicas => vec!["CONFIG".into(), "GET".into(), "min-replicas-*".into()],
            Request::SetMinReplicas { count } => {
                vec!["CONFIG".into(), "SET".into(), "min-replicas-to-write".into(), count.to_string()]
            }
            Request::SetMinReplicasLag { lag_s } => {
                vec!["CONFIG".into(), "SET".into(), "min-replicas-max-lag".into(), lag_s.to_string()]
            }
        };
        words.into_iter().map(String::into_bytes).collect()
    }
}
