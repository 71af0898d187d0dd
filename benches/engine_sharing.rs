//! One engine, several I/O threads: a lock taken per batch against a queue to an engine thread.
//! Strings only. Prints requests per second; run with `cargo bench --bench engine_sharing`.

#![expect(
    clippy::expect_used,
    reason = "a measurement that cannot set up has nothing to say and may fail loudly"
)]

use parking_lot::Mutex;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};
use vedette::config::server::ServerConfig;
use vedette::resp::{Batch, Limits, Parser, encode};
use vedette::server::Server;
use vedette::session::{Outbox, SessionId};
use vedette::stdx::time::Now;

const RUN: Duration = Duration::from_millis(1500);
/// Connections of one thread that are ready together: what a queue may overlap.
const READY: usize = 16;

/// A connection's buffers, as an I/O thread holds them.
struct Connection {
    id: SessionId,
    input: Vec<u8>,
    batch: Batch,
    out: Vec<u8>,
}

impl Connection {
    fn open(server: &mut Server, pipeline: usize, number: usize) -> Self {
        let address: SocketAddr = "127.0.0.1:1".parse().expect("an address");
        let outbox = Arc::new(Outbox::default());
        let (id, _) = server.open(now(), address, address, outbox).expect("room for a session");
        let mut input = Vec::new();
        for request in 0..pipeline {
            let key = format!("key:{:012}", number * 131 + request);
            encode::command(&mut input, &["SET", &key, "xxx"]);
        }
        Connection { id, input, batch: Batch::default(), out: Vec::new() }
    }

    fn cut(&mut self) {
        self.out.clear();
        let mut parser = Parser::default();
        self.batch.fill(&mut parser, &self.input, &Limits::AFTER_AUTH, 1024).expect("well-formed");
    }

    fn execute(&mut self, server: &mut Server) {
        let stopwatch = || now().mono;
        server.execute_batch(now(), self.id, &self.batch, &self.input, &stopwatch, &mut self.out);
    }
}

fn now() -> Now {
    vedette::daemon::clock::now()
}

fn connections(server: &Mutex<Server>, threads: usize, pipeline: usize) -> Vec<Vec<Connection>> {
    let mut server = server.lock();
    let mut of = |thread: usize| {
        (0..READY).map(|n| Connection::open(&mut server, pipeline, thread * READY + n)).collect()
    };
    (0..threads).map(&mut of).collect()
}

fn with_lock(server: Server, threads: usize, pipeline: usize) -> f64 {
    let server = Arc::new(Mutex::new(server));
    let workers = connections(&server, threads, pipeline).into_iter().map(|mut mine| {
        let server = server.clone();
        std::thread::spawn(move || {
            let (start, mut done) = (Instant::now(), 0);
            while start.elapsed() < RUN {
                for connection in &mut mine {
                    connection.cut();
                    connection.execute(&mut server.lock());
                    done += pipeline;
                }
            }
            done as f64 / start.elapsed().as_secs_f64()
        })
    });
    let workers: Vec<_> = workers.collect();
    workers.into_iter().map(|worker| worker.join().expect("a worker ends")).sum()
}

fn with_queue(server: Server, threads: usize, pipeline: usize) -> f64 {
    let server = Mutex::new(server);
    let all = connections(&server, threads, pipeline);
    let mut server = server.into_inner();
    type Job = (Connection, Sender<Connection>);
    let (queue, jobs): (Sender<Job>, Receiver<Job>) = channel();
    let engine = std::thread::spawn(move || {
        for (mut connection, back) in jobs {
            connection.execute(&mut server);
            // The worker may have ended.
            let _ = back.send(connection);
        }
    });
    let workers = all.into_iter().map(|mine| {
        let queue = queue.clone();
        std::thread::spawn(move || {
            let (back, done_jobs) = channel();
            let (start, mut done) = (Instant::now(), 0);
            let send = |mut connection: Connection| {
                connection.cut();
                queue.send((connection, back.clone())).expect("the engine lives");
            };
            mine.into_iter().for_each(send);
            while start.elapsed() < RUN {
                let connection = done_jobs.recv().expect("the engine answers");
                done += pipeline;
                send(connection);
            }
            done as f64 / start.elapsed().as_secs_f64()
        })
    });
    let workers: Vec<_> = workers.collect();
    drop(queue);
    let total = workers.into_iter().map(|worker| worker.join().expect("a worker ends")).sum();
    engine.join().expect("the engine ends");
    total
}

fn main() {
    let server = || Server::new(ServerConfig::default(), 1, now());
    println!("{:>10} {:>9} {:>14} {:>14}", "io-threads", "pipeline", "lock req/s", "queue req/s");
    for threads in [1, 2] {
        for pipeline in [1, 16] {
            let lock = with_lock(server(), threads, pipeline);
            let queue = with_queue(server(), threads, pipeline);
            println!("{threads:>10} {pipeline:>9} {lock:>14.0} {queue:>14.0}");
        }
    }
}
