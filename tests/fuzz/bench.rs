//! A bundled server without a socket, and one client of it.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use vedette::config::server::ServerConfig;
use vedette::resp::{Batch, Limits, Parser, encode};
use vedette::server::{Action, Input, Server};
use vedette::session::{Outbox, SessionId, Stop};
use vedette::stdx::time::{Duration, Now};

pub fn now() -> Now {
    Now::at_millis(1_700_000_000_000)
}

pub struct Bench {
    pub server: Server,
    pub now: Now,
    client: SessionId,
    outbox: Arc<Outbox>,
    parser: Parser,
    buffer: Vec<u8>,
    pub closed: bool,
}

impl Bench {
    pub fn new() -> Self {
        let mut config = ServerConfig::default();
        config.apply_text("busy-reply-threshold 2\nrepl-backlog-size 16kb\n", "test").unwrap();
        let now = now();
        let mut server = Server::new(config, 7, now);
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 5));
        let outbox = Arc::new(Outbox::default());
        let client = server.open(now, address, address, outbox.clone()).unwrap().0;
        let (parser, buffer) = (Parser::default(), Vec::new());
        Bench { server, now, client, outbox, parser, buffer, closed: false }
    }

    /// What comes back for bytes; nothing once the client is blocked or its connection closed.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        self.buffer.extend_from_slice(bytes);
        let mut batch = Batch::default();
        while !self.closed {
            let cut = batch.fill(&mut self.parser, &self.buffer, &Limits::AFTER_AUTH, 1024);
            let now = self.now;
            let turn =
                self.server.execute_batch(now, self.client, &batch, &self.buffer, &|| now.mono, &mut out);
            let done = turn.executed == batch.len();
            self.closed = matches!(turn.stop, Stop::Close | Stop::Blocked);
            // Behind QUIT nobody reads.
            if done
                && !self.closed
                && let Err(error) = cut
            {
                out.extend_from_slice(format!("-ERR Protocol error: {error}\r\n").as_bytes());
                self.closed = true;
            }
            self.buffer.drain(..batch.bytes_of(turn.executed));
            if !done {
                self.parser = Parser::default();
            } else if batch.is_empty() {
                break;
            }
        }
        out
    }

    pub fn ask(&mut self, words: &[&[u8]]) -> Vec<u8> {
        let mut request = Vec::new();
        encode::command(&mut request, words);
        self.feed(&request)
    }

    /// A while passes.
    pub fn tick(&mut self) -> Vec<Action> {
        self.now.mono = self.now.mono + Duration::from_millis(100);
        let mut actions = self.server.take_actions();
        self.server.handle(self.now, Input::Tick, &mut actions);
        self.outbox.drain(&mut Vec::new());
        actions
    }
}
