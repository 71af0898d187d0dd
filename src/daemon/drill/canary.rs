//! The canary: one client that writes unique numbers, each followed by WAIT, wherever the sentinels say
//! the master is. Beside it one that stays with the old master, to hear whether that falls silent.
//!
//! A number is written once: one without an answer is never sent again, so what is found later was
//! written by that one attempt.

use super::discovery::{Discovery, Known};
use super::{CALL_DEADLINE, CONNECT_DEADLINE, Field};
use crate::daemon::clock;
use crate::drill::Attempt;
use crate::model::Address;
use crate::net::client::{Client, Trouble};
use crate::resp::Reply;
use crate::stdx::time::Instant;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// Attempts remembered; at the usual pace ten minutes. The canary stops when it has made them.
const ATTEMPTS_MAX: usize = 200_000;
const AFTER_FAILURE: Duration = Duration::from_millis(5);
/// How long WAIT may look for its replicas.
const WAIT_MS: &str = "200";

/// What the canary has met so far.
#[derive(Debug, Default)]
pub(super) struct Diary {
    pub(super) attempts: Vec<Attempt>,
    pub(super) servers: Vec<Address>,
    pub(super) promised: u64,
}

impl Diary {
    fn server(&mut self, address: &Address) -> usize {
        match self.servers.iter().position(|known| known == address) {
            Some(index) => index,
            None => {
                self.servers.push(address.clone());
                self.servers.len() - 1
            }
        }
    }
}

#[derive(Clone)]
pub(super) struct Canary {
    pub(super) key: String,
    pub(super) quorum: usize,
    pub(super) pause: Duration,
    /// Moments are counted from here.
    pub(super) zero: Instant,
    pub(super) diary: Arc<Mutex<Diary>>,
}

/// The diary of a thread that died writing it is as good as it was.
pub(super) fn open(diary: &Mutex<Diary>) -> MutexGuard<'_, Diary> {
    diary.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Canary {
    fn now_us(&self) -> u64 {
        clock::mono().as_micros().saturating_sub(self.zero.as_micros())
    }

    /// Writes until `stop` is true.
    pub(super) async fn sing(self, field: Field, discovery: Arc<Discovery>, stop: watch::Receiver<bool>) {
        let mut news = discovery.subscribe();
        let mut connection: Option<(Address, Client)> = None;
        let mut number = 0;
        while !*stop.borrow() && open(&self.diary).attempts.len() < ATTEMPTS_MAX {
            let (address, client) = match &mut connection {
                Some((address, client)) => (address, client),
                None => match self.connect(&field, &discovery, &mut news).await {
                    Some(made) => {
                        let made = connection.insert(made);
                        (&mut made.0, &mut made.1)
                    }
                    None => {
                        tokio::time::sleep(AFTER_FAILURE).await;
                        continue;
                    }
                },
            };
            number += 1;
            let mut attempt = self.attempt(number, address);
            let went_well = tokio::select! {
                biased;
                result = self.write(client, &mut attempt) => result.is_ok(),
                // A client that is told of a new master waits for the old one no longer.
                () = moved(&mut news, address) => {
                    attempt.error.get_or_insert_with(|| "given up at +switch-master".to_owned());
                    false
                }
            };
            if attempt.acknowledged_us.is_some() {
                attempt.error = None;
            }
            self.keep(attempt);
            if went_well {
                tokio::time::sleep(self.pause).await;
            } else {
                let here = connection.take().map(|(address, _)| address);
                // Told of another one, it goes there at once; else it does not hammer.
                if news.borrow().master == here {
                    tokio::time::sleep(AFTER_FAILURE).await;
                }
            }
        }
    }

    fn attempt(&self, number: u64, address: &Address) -> Attempt {
        Attempt {
            number,
            sent_us: self.now_us(),
            acknowledged_us: None,
            server: open(&self.diary).server(address),
            replicas: None,
            error: None,
        }
    }

    fn keep(&self, attempt: Attempt) {
        let mut diary = open(&self.diary);
        let promised = attempt.replicas.is_some_and(|(count, _)| count >= self.quorum.max(1));
        diary.promised += u64::from(promised && attempt.acknowledged_us.is_some());
        diary.attempts.push(attempt);
    }

    /// To the master that was heard of last; failing that, to the one that a sentinel names.
    async fn connect(
        &self,
        field: &Field,
        discovery: &Discovery,
        news: &mut watch::Receiver<Known>,
    ) -> Option<(Address, Client)> {
        let heard = news.borrow().master.clone();
        let address = match heard {
            Some(address) => address,
            None => discovery.ask().await?,
        };
        let dialled = tokio::select! {
            biased;
            dialled = field.to_server(&address, CONNECT_DEADLINE) => dialled,
            () = moved(news, &address) => return None,
        };
        match dialled {
            Ok(client) => Some((address, client)),
            Err(trouble) => {
                let mut attempt = self.attempt(0, &address);
                attempt.error = Some(trouble.to_string());
                // It was never sent, so it is nobody's number.
                open(&self.diary).attempts.push(attempt);
                discovery.ask().await;
                None
            }
        }
    }

    async fn write(&self, client: &mut Client, attempt: &mut Attempt) -> Result<(), ()> {
        let written = async {
            client.send(&["SADD", &self.key, &attempt.number.to_string()]).await?;
            client.send(&["WAIT", &self.quorum.max(1).to_string(), WAIT_MS]).await?;
            client.read(CALL_DEADLINE).await
        }
        .await;
        match written {
            Ok(Reply::Integer(_)) => attempt.acknowledged_us = Some(self.now_us()),
            other => {
                attempt.error = Some(why(other));
                return Err(());
            }
        }
        match client.read(CALL_DEADLINE).await {
            Ok(Reply::Integer(count)) => {
                attempt.replicas = Some((usize::try_from(count).unwrap_or(0), self.now_us()));
                Ok(())
            }
            _ => Err(()),
        }
    }
}

/// An error by its code, so that equal ones are counted together.
fn why(outcome: Result<Reply, Trouble>) -> String {
    match outcome {
        Ok(Reply::Error(text)) => text.chars().take(80).collect(),
        Ok(_) => "an answer of another kind".to_owned(),
        Err(trouble) => trouble.to_string(),
    }
}

/// Returns when the master is known to be another one.
async fn moved(news: &mut watch::Receiver<Known>, from: &Address) {
    let elsewhere = |known: &Known| known.master.as_ref().is_some_and(|master| master != from);
    if news.wait_for(elsewhere).await.is_err() {
        std::future::pending().await
    }
}

/// What the client that stays behind found out.
#[derive(Debug, Default)]
pub(super) struct Late {
    /// Writes that were acknowledged although they must not be.
    pub(super) acknowledged: u64,
    /// Since when acknowledging is forbidden whatever it answers to: the fault was undone then, long
    /// after the successor was published.
    pub(super) silent_from: Option<Instant>,
}

/// Keeps writing to one server until `stop`; counts what it acknowledges of writes that were sent
/// after a switch was published, or at all once it is back.
pub(super) async fn stay_behind(
    field: Field,
    server: Address,
    key: String,
    news: watch::Receiver<Known>,
    late: Arc<Mutex<Late>>,
    stop: watch::Receiver<bool>,
) {
    let mut connection = None;
    let mut number = 0u64;
    while !*stop.borrow() {
        let client = match &mut connection {
            Some(client) => client,
            None => match field.to_server(&server, CONNECT_DEADLINE).await {
                Ok(client) => connection.insert(client),
                Err(_) => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    continue;
                }
            },
        };
        number += 1;
        let sent_after_switch = news.borrow().switched_at.is_some();
        // It waits long: what lay in a stopped server's socket must not be acknowledged later either.
        let reply = client.call(&["SADD", &key, &number.to_string()], Duration::from_secs(60)).await;
        match reply {
            Ok(Reply::Integer(_)) => {
                let mut late = late.lock().unwrap_or_else(PoisonError::into_inner);
                let back = late.silent_from.is_some_and(|from| clock::mono() > from);
                late.acknowledged += u64::from(sent_after_switch || back);
            }
            Ok(_) => {}
            Err(_) => connection = None,
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
