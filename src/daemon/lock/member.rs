//! One server of a lock: a connection that is made again when it broke, and one request after the other.
//!
//! Promise: a request that was not sent in its time is never sent later, and a token that was never sent
//! is not deleted either; so a server that stands still leaves no queue behind.

use super::{Access, Place};
use crate::daemon::clock;
use crate::model::Address;
use crate::net::client::{Client, Trouble};
use crate::redlock::wire::{Exchange, Keys, Step, Way};
use crate::redlock::{Answer, Input, Request};
use crate::stdx::time::Instant;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

pub(super) struct Ask {
    pub(super) id: u64,
    pub(super) token: String,
    pub(super) request: Request,
    pub(super) asked_at: Instant,
}

pub(super) struct Member {
    server: usize,
    access: Arc<Access>,
    keys: Arc<Keys>,
    patience: Duration,
    client: Option<Client>,
    way: Way,
    /// The token that may stand there.
    sent: Option<String>,
    /// Where the sentinels are asked first: the one that answered last.
    sentinel: usize,
}

impl Member {
    pub(super) fn new(server: usize, access: Arc<Access>, keys: Arc<Keys>, patience: Duration) -> Member {
        Member { server, access, keys, patience, client: None, way: Way::Script, sent: None, sentinel: 0 }
    }

    pub(super) async fn serve(
        mut self,
        mut asks: mpsc::UnboundedReceiver<Ask>,
        answers: mpsc::UnboundedSender<Input>,
    ) {
        while let Some(ask) = asks.recv().await {
            let answer = self.answer(&ask).await;
            let input = Input::Answered { server: self.server, id: ask.id, answer };
            if answers.send(input).is_err() {
                return;
            }
        }
    }

    async fn answer(&mut self, ask: &Ask) -> Answer {
        let deadline = match ask.request {
            Request::Release if self.sent.as_ref() != Some(&ask.token) => return Answer::NotOurs,
            // However late: it is better deleted than left to its ttl.
            Request::Release => self.patience,
            _ => self.patience.saturating_sub(clock::mono().since(ask.asked_at)),
        };
        if deadline.is_zero() {
            return Answer::Failed("it did not answer in time before".to_owned());
        }
        let answer = match tokio::time::timeout(deadline, self.exchange(ask, deadline)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(trouble)) => Answer::Failed(trouble.to_string()),
            Err(_) => Answer::Failed("no answer in time".to_owned()),
        };
        match &answer {
            // What is still on its way must not be taken for the next answer; and a group's master may
            // have moved.
            Answer::Failed(_) => self.client = None,
            Answer::Released | Answer::Taken { .. } => self.sent = None,
            _ => {}
        }
        answer
    }

    async fn exchange(&mut self, ask: &Ask, deadline: Duration) -> Result<Answer, Trouble> {
        let mut client = match self.client.take() {
            Some(client) => client,
            None => self.connect(deadline).await?,
        };
        if matches!(ask.request, Request::Acquire { .. }) {
            self.sent = Some(ask.token.clone());
        }
        let keys = self.keys.clone();
        let copies = (self.access.replicas, self.patience);
        let mut exchange = Exchange::new(&keys, &ask.token, &ask.request, self.way, copies);
        let mut step = exchange.next(&[]);
        let answer = loop {
            match step {
                Step::Done(answer) => break answer,
                Step::Send(commands) => {
                    for command in &commands {
                        client.send(command).await?;
                    }
                    let mut replies = Vec::with_capacity(commands.len());
                    for _ in &commands {
                        replies.push(client.read(deadline).await?);
                    }
                    step = exchange.next(&replies);
                }
            }
        };
        self.way = exchange.way;
        self.client = Some(client);
        Ok(answer)
    }

    async fn connect(&mut self, deadline: Duration) -> Result<Client, Trouble> {
        let access = self.access.clone();
        let place = &access.places[self.server];
        let address = match place {
            Place::Server(address) => address.clone(),
            Place::Group { name, sentinels } => self.find(&access, name, sentinels, deadline).await?,
        };
        let auth = access.data_auth.as_ref();
        let mut client = Client::connect(&address, auth, &access.data_route, deadline).await?;
        let role = client.call(&["ROLE"], deadline).await?;
        match role.as_array().and_then(|role| role.first()?.as_str()) {
            // An ACL may forbid the question; a replica refuses the writes anyway.
            Some("master") | None => Ok(client),
            Some(other) => Err(Trouble::Broken(format!("{address} is no master but a {other}"))),
        }
    }

    /// The master of the group, from the first sentinel that knows.
    async fn find(
        &mut self,
        access: &Access,
        name: &str,
        sentinels: &[Address],
        deadline: Duration,
    ) -> Result<Address, Trouble> {
        let mut last = Trouble::Broken("no sentinel is named".to_owned());
        for step in 0..sentinels.len() {
            let index = (self.sentinel + step) % sentinels.len();
            // One that stands still leaves time for another.
            let share = deadline / 3;
            match ask_master(access, &sentinels[index], name, share).await {
                Ok(address) => {
                    self.sentinel = index;
                    return Ok(address);
                }
                Err(trouble) => last = trouble,
            }
        }
        self.sentinel = self.sentinel.wrapping_add(1);
        Err(last)
    }
}

async fn ask_master(
    access: &Access,
    at: &Address,
    name: &str,
    deadline: Duration,
) -> Result<Address, Trouble> {
    let broken = |what: String| Trouble::Broken(format!("sentinel {at}: {what}"));
    let dial = Client::connect(at, access.sentinel_auth.as_ref(), &access.sentinel_route, deadline);
    let mut client = dial.await.map_err(|trouble| broken(trouble.to_string()))?;
    let reply = client.call(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", name], deadline).await;
    let reply = reply.map_err(|trouble| broken(trouble.to_string()))?;
    if let Some(error) = reply.error() {
        return Err(broken(error.to_owned()));
    }
    let unknown = || broken(format!("it knows no group named '{name}'"));
    let Some([host, port]) = reply.as_array() else { return Err(unknown()) };
    let host = host.as_str().ok_or_else(unknown)?;
    let port = port.as_integer().and_then(|port| u16::try_from(port).ok()).ok_or_else(unknown)?;
    Ok(Address::new(host, port))
}
