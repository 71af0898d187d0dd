//! A client of a Redis-protocol port, for tasks: one connection, every call with a deadline.
//!
//! Promises: a reply is never taken for the answer to another request: after an error or a missed
//! deadline the connection is not used again. Has never heard of masters or sentinels.

use crate::model::Address;
use crate::net::dial::DialError;
use crate::net::link::Route;
use crate::net::stream::Stream;
use crate::resp::{Reply, encode, reply};
use crate::sentinel::Auth;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

/// Enough for a set of a million numbers.
const REPLY_BYTES_MAX: usize = 64 << 20;

pub struct Client {
    stream: Stream,
    waiting: Vec<u8>,
}

/// Why there is no answer. Short texts: they are counted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    #[error("no answer in time")]
    Late,
    #[error("connection closed")]
    Closed,
    #[error("{0}")]
    Broken(String),
}

impl From<std::io::Error> for Trouble {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::ConnectionRefused => Trouble::Broken("connection refused".to_owned()),
            std::io::ErrorKind::ConnectionReset | std::io::ErrorKind::BrokenPipe => Trouble::Closed,
            kind => Trouble::Broken(kind.to_string()),
        }
    }
}

impl From<DialError> for Trouble {
    fn from(error: DialError) -> Self {
        match error {
            DialError::Io(error) => error.into(),
            other => Trouble::Broken(other.to_string()),
        }
    }
}

impl Client {
    /// Connects, and logs in when there is a password.
    pub async fn connect(
        address: &Address,
        auth: Option<&Auth>,
        route: &Route,
        deadline: Duration,
    ) -> Result<Self, Trouble> {
        let dial = route.ways.dial(address, route.tls.as_deref());
        let stream = timeout(deadline, dial).await.map_err(|_| Trouble::Late)??;
        Self::over(stream, auth, deadline).await
    }

    /// On a connection that stands, whatever dresses it.
    pub async fn over(stream: Stream, auth: Option<&Auth>, deadline: Duration) -> Result<Self, Trouble> {
        let mut client = Client { stream, waiting: Vec::new() };
        if let Some(auth) = auth {
            let command = auth.command.as_deref().unwrap_or("AUTH");
            let words: Vec<&str> =
                [command].into_iter().chain(auth.user.as_deref()).chain([auth.password.as_str()]).collect();
            match client.call(&words, deadline).await? {
                Reply::Error(_) => return Err(Trouble::Broken("the password was refused".to_owned())),
                _ => return Ok(client),
            }
        }
        Ok(client)
    }

    pub async fn call(&mut self, words: &[impl AsRef<[u8]>], deadline: Duration) -> Result<Reply, Trouble> {
        self.send(words).await?;
        self.read(deadline).await
    }

    pub async fn send(&mut self, words: &[impl AsRef<[u8]>]) -> Result<(), Trouble> {
        let mut bytes = Vec::new();
        encode::command(&mut bytes, words);
        self.stream.write_all(&bytes).await?;
        // TLS may hold back what was written.
        Ok(self.stream.flush().await?)
    }

    /// The next reply. Given up between two of its bytes it goes on at the next call.
    pub async fn read(&mut self, deadline: Duration) -> Result<Reply, Trouble> {
        timeout(deadline, self.next()).await.map_err(|_| Trouble::Late)?
    }

    async fn next(&mut self) -> Result<Reply, Trouble> {
        loop {
            match reply::parse(&self.waiting, REPLY_BYTES_MAX) {
                Err(bad) => return Err(Trouble::Broken(bad.to_string())),
                Ok(Some((reply, taken))) => {
                    self.waiting.drain(..taken);
                    return Ok(reply);
                }
                Ok(None) => {}
            }
            if self.stream.read_buf(&mut self.waiting).await? == 0 {
                return Err(Trouble::Closed);
            }
        }
    }
}
