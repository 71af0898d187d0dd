//! Who the master is, as a client learns it: asked from the sentinels, and heard on +switch-master.

use super::{CALL_DEADLINE, CONNECT_DEADLINE, Field};
use crate::daemon::clock;
use crate::model::Address;
use crate::resp::Reply;
use crate::stdx::time::Instant;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;

const REDIAL: Duration = Duration::from_millis(100);
/// A subscription with nothing to say stands as long as this before it is checked.
const QUIET: Duration = Duration::from_secs(3600);

/// The newest that was learned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) master: Option<Address>,
    /// When a switch was first heard of.
    pub(super) switched_at: Option<Instant>,
}

/// Listens at every sentinel until it is dropped.
pub(super) struct Discovery {
    field: Field,
    known: watch::Sender<Known>,
    _listeners: JoinSet<()>,
}

impl Discovery {
    pub(super) fn start(field: &Field) -> Self {
        let (known, _) = watch::channel(Known::default());
        let mut listeners = JoinSet::new();
        for sentinel in &field.sentinels {
            listeners.spawn(listen(field.clone(), sentinel.clone(), known.clone()));
        }
        Discovery { field: field.clone(), known, _listeners: listeners }
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<Known> {
        self.known.subscribe()
    }

    pub(super) fn known(&self) -> Known {
        self.known.borrow().clone()
    }

    /// Asks one sentinel after the other, as a client without a connection does.
    pub(super) async fn ask(&self) -> Option<Address> {
        let found = ask(&self.field).await;
        if let Some(found) = &found {
            self.known.send_if_modified(|known| {
                let news = known.master.as_ref() != Some(found);
                if news {
                    known.master = Some(found.clone());
                }
                news
            });
        }
        found
    }
}

pub(super) async fn ask(field: &Field) -> Option<Address> {
    for sentinel in &field.sentinels {
        if let Some(address) = ask_one(field, sentinel).await {
            return Some(address);
        }
    }
    None
}

/// Whom this sentinel names.
pub(super) async fn ask_one(field: &Field, sentinel: &Address) -> Option<Address> {
    let mut client = field.to_sentinel(sentinel, CONNECT_DEADLINE).await.ok()?;
    let words = ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", &field.group];
    let reply = client.call(&words, CALL_DEADLINE).await.ok()?;
    let [host, port] = reply.as_array()? else { return None };
    Some(Address::new(host.as_str()?, u16::try_from(port.as_integer()?).ok()?))
}

async fn listen(field: Field, sentinel: Address, known: watch::Sender<Known>) {
    loop {
        if let Ok(mut client) = field.to_sentinel(&sentinel, CONNECT_DEADLINE).await
            && client.call(&["SUBSCRIBE", "+switch-master"], CALL_DEADLINE).await.is_ok()
        {
            while let Ok(reply) = client.read(QUIET).await {
                if let Some((from, to)) = switch(&reply, &field.group) {
                    let now = clock::mono();
                    known.send_if_modified(|known| {
                        // Sentinels tell of one switch one after the other; only what leads on from
                        // where we are is news.
                        let news = known.master.as_ref().is_none_or(|master| *master == from);
                        if news {
                            known.master = Some(to);
                        }
                        known.switched_at.get_or_insert(now);
                        news
                    });
                }
            }
        }
        tokio::time::sleep(REDIAL).await;
    }
}

/// `group old-host old-port new-host new-port` as a message of the channel.
fn switch(reply: &Reply, group: &str) -> Option<(Address, Address)> {
    let [kind, _, payload] = reply.as_array()? else { return None };
    if kind.as_str() != Some("message") {
        return None;
    }
    let words: Vec<&str> = payload.as_str()?.split(' ').collect();
    let [name, old_host, old_port, host, port] = words[..] else { return None };
    let address = |host: &str, port: &str| Some(Address::new(host, port.parse().ok()?));
    if name != group {
        return None;
    }
    Some((address(old_host, old_port)?, address(host, port)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_switches_of_the_group_are_heard() {
        let message = |payload: &str| {
            Reply::Array(
                ["message", "+switch-master", payload].map(|w| Reply::Bulk(w.as_bytes().to_vec())).to_vec(),
            )
        };
        let heard = switch(&message("m 10.0.0.1 1 10.0.0.2 2"), "m");
        assert_eq!(heard, Some((Address::new("10.0.0.1", 1), Address::new("10.0.0.2", 2))));
        assert_eq!(switch(&message("other 10.0.0.1 1 10.0.0.2 2"), "m"), None);
        assert_eq!(switch(&message("m 10.0.0.1"), "m"), None);
    }
}
