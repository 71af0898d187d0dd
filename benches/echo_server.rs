//! The floor of a request: one thread, one epoll, `+OK` for every request that arrives, and nothing else.
//! What it costs is the kernel's share, which no server gets below. `benches/throughput` runs it beside
//! the servers. Usage: `echo_server PORT`.

#![expect(clippy::expect_used, clippy::panic, reason = "a measurement that cannot set up may fail loudly")]

use rustix::event::epoll;
use rustix::io::Errno;
use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd;

const LISTENER: u64 = 0;

/// Requests in what was read: a `*` at the start of a line. Redis-benchmark's values have none.
fn requests(bytes: &[u8]) -> usize {
    let starts = |at: usize| bytes[at] == b'*' && (at == 0 || bytes[at - 1] == b'\n');
    (0..bytes.len()).filter(|&at| starts(at)).count()
}

fn main() {
    let port = std::env::args().nth(1).and_then(|port| port.parse().ok()).expect("usage: echo_server PORT");
    let listener = TcpListener::bind(("127.0.0.1", port)).expect("the port is free");
    let poll = epoll::create(epoll::CreateFlags::CLOEXEC).expect("epoll");
    let watch = |fd: &dyn AsFd, number| {
        epoll::add(&poll, fd.as_fd(), epoll::EventData::new_u64(number), epoll::EventFlags::IN)
            .expect("a descriptor is watched");
    };
    watch(&listener, LISTENER);
    let mut clients: HashMap<u64, TcpStream> = HashMap::new();
    let (mut next, mut buffer, mut events) = (LISTENER + 1, vec![0; 65536], Vec::with_capacity(256));
    loop {
        events.clear();
        match epoll::wait(&poll, rustix::buffer::spare_capacity(&mut events), None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => panic!("epoll: {error}"),
        }
        for event in &events {
            let number = event.data.u64();
            if number == LISTENER {
                let (stream, _) = listener.accept().expect("a client");
                stream.set_nodelay(true).expect("nodelay");
                watch(&stream, next);
                clients.insert(next, stream);
                next += 1;
                continue;
            }
            let Some(stream) = clients.get_mut(&number) else { continue };
            let count = stream.read(&mut buffer).unwrap_or(0);
            let answer = b"+OK\r\n".repeat(requests(&buffer[..count]));
            if count == 0 || stream.write_all(&answer).is_err() {
                clients.remove(&number);
            }
        }
    }
}
