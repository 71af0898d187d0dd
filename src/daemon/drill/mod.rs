//! Running a failover drill: a canary that writes like any client, somebody's hand that does the harm,
//! and everything that happened written down for `drill::judge`.
//!
//! | file | one line |
//! |---|---|
//! | `discovery` | who the master is, as a client learns it |
//! | `canary` | numbered writes with WAIT, and one client that stays with the old master |
//! | `witness` | what the sentinels and the servers say before and after |
//! | `conduct` | the order of it all |
//! | `live` | the hand on a fleet that serves |

mod canary;
mod conduct;
mod discovery;
mod live;
mod witness;

pub use conduct::{Hand, Order, Progress, conduct};
pub use live::run as run_live;

use crate::model::Address;
use crate::net::client::{Client, Trouble};
use crate::net::dial::Ways;
use crate::net::link::Route;
use crate::sentinel::Auth;
use std::time::Duration;

/// Where a drill takes place, and how to get in.
#[derive(Clone, Debug)]
pub struct Field {
    pub group: String,
    pub sentinels: Vec<Address>,
    pub sentinel_auth: Option<Auth>,
    pub data_auth: Option<Auth>,
    /// How they are reached.
    pub sentinel_route: Route,
    pub data_route: Route,
}

/// Reserved for drills: everything they write stands under it and is removed at their end.
pub const PREFIX: &str = "vedette:drill:";

const CONNECT_DEADLINE: Duration = Duration::from_millis(500);
const CALL_DEADLINE: Duration = Duration::from_secs(1);

/// Everything that is not as it should be with a fleet and these data servers of it.
pub async fn whole(field: &Field, servers: &[Address]) -> Vec<String> {
    witness::doubts(field, servers).await
}

/// Who leads, as this sentinel knows it.
pub async fn leader_of(sentinel: &Address, sentinels: &[Address]) -> Option<Address> {
    let field = Field::open("", sentinels);
    let status = witness::status(&field, sentinel).await?;
    let leader = status.raft_leader?;
    if leader == status.node {
        return Some(sentinel.clone());
    }
    status.peers.into_iter().find(|peer| peer.id == leader).map(|peer| peer.address)
}

/// Asks sentinels without a password for a planned switchover.
pub async fn switchover_of(group: &str, sentinels: &[Address]) -> Result<(), String> {
    live::switchover(&Field::open(group, sentinels), None).await
}

impl Field {
    /// Where nobody asks for a password.
    pub fn open(group: &str, sentinels: &[Address]) -> Self {
        let route = Route { ways: Ways::plain(), tls: None };
        Field {
            group: group.to_owned(),
            sentinels: sentinels.to_vec(),
            sentinel_auth: None,
            data_auth: None,
            sentinel_route: route.clone(),
            data_route: route,
        }
    }

    /// A connection to a sentinel, logged in.
    async fn to_sentinel(&self, at: &Address, deadline: Duration) -> Result<Client, Trouble> {
        Client::connect(at, self.sentinel_auth.as_ref(), &self.sentinel_route, deadline).await
    }

    /// A connection to a data server, logged in.
    async fn to_server(&self, at: &Address, deadline: Duration) -> Result<Client, Trouble> {
        Client::connect(at, self.data_auth.as_ref(), &self.data_route, deadline).await
    }
}

/// The keys of one drill.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    /// A set of the canary's numbers.
    pub(crate) canary: String,
    /// Written before the fault: whoever lacks it was wiped.
    pub(crate) baseline: String,
    /// What the client that stays behind writes.
    pub(crate) late: String,
}

impl Keys {
    pub(crate) fn of(id: u64) -> Self {
        // One hash tag, so that they would stay together in a cluster too.
        let key = |what: &str| format!("{PREFIX}{{{id}}}:{what}");
        Keys { canary: key("canary"), baseline: key("baseline"), late: key("late") }
    }

    pub(crate) fn all(&self) -> [&str; 3] {
        [&self.canary, &self.baseline, &self.late]
    }
}
