//! What clients are told while there is no fleet: that the process lives, and that it knows no master.

use crate::net::stream::Stream;
use crate::resp::decode::{Limits, Parser};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Clients at a time; more are closed at once.
const CLIENTS_MAX: usize = 256;
/// One that says nothing for this long is cut off, so that nobody keeps the places.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) struct Door {
    /// Cut off when there is a fleet: whoever was here has to ask again then.
    clients: JoinSet<()>,
    refusal: Arc<str>,
}

impl Door {
    pub(super) fn new(expect: usize) -> Self {
        let refusal = format!(
            "-ERR this sentinel knows no master yet: its fleet is founded when {expect} sentinels see each other \
             (bootstrap-expect); its log says who is missing\r\n"
        );
        Door { clients: JoinSet::new(), refusal: refusal.into() }
    }

    pub(super) fn take(&mut self, stream: Stream) {
        while self.clients.try_join_next().is_some() {}
        if self.clients.len() >= CLIENTS_MAX {
            return;
        }
        let refusal = self.refusal.clone();
        self.clients.spawn(async move {
            // However it ends, it ends.
            let _ = serve(stream, &refusal).await;
        });
    }
}

async fn serve(mut stream: Stream, refusal: &str) -> std::io::Result<()> {
    let mut buffer = Vec::new();
    let mut parser = Parser::default();
    loop {
        let mut out = Vec::new();
        let mut ends = false;
        loop {
            let used = match parser.cut(&buffer, &Limits::BEFORE_AUTH) {
                Ok(None) => break,
                Ok(Some(used)) => used,
                Err(error) => {
                    out.extend_from_slice(format!("-ERR {error}\r\n").as_bytes());
                    ends = true;
                    break;
                }
            };
            let (answer, last) = {
                let mut words = smallvec::SmallVec::new();
                parser.words(&buffer, &mut words);
                answer(&words, refusal)
            };
            out.extend_from_slice(answer.as_bytes());
            buffer.drain(..used);
            ends = last;
            if ends {
                break;
            }
        }
        if !out.is_empty() {
            stream.write_all(&out).await?;
            stream.flush().await?;
        }
        if ends {
            return stream.shutdown().await;
        }
        if !matches!(timeout(PATIENCE, stream.read_buf(&mut buffer)).await, Ok(Ok(1..))) {
            return Ok(());
        }
    }
}

/// And whether the client goes.
fn answer<'a>(words: &[&[u8]], refusal: &'a str) -> (&'a str, bool) {
    let is =
        |at: usize, name: &str| words.get(at).is_some_and(|word| word.eq_ignore_ascii_case(name.as_bytes()));
    if words.is_empty() {
        ("", false)
    } else if is(0, "PING") && words.len() == 1 {
        ("+PONG\r\n", false)
    } else if is(0, "QUIT") {
        ("+OK\r\n", true)
    } else if is(0, "SENTINEL") && (is(1, "GET-MASTER-ADDR-BY-NAME") || is(1, "GET-PRIMARY-ADDR-BY-NAME")) {
        // Clients go on to the next sentinel.
        ("*-1\r\n", false)
    } else {
        (refusal, false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_lives_knows_no_master_and_says_why() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut client = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let mut door = Door::new(3);
        door.take(listener.accept().await.unwrap().0.into());
        let asked =
            b"PING\r\n*3\r\n$8\r\nsentinel\r\n$23\r\nget-master-addr-by-name\r\n$1\r\nm\r\nINFO\r\nQUIT\r\n";
        client.write_all(asked).await.unwrap();
        let mut said = String::new();
        client.read_to_string(&mut said).await.unwrap();
        assert!(said.starts_with("+PONG\r\n*-1\r\n-ERR this sentinel knows no master yet"), "{said}");
        assert!(said.ends_with("+OK\r\n"), "{said}");
    }
}
