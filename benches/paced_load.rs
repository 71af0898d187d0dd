//! So many requests a second, half GET and half SET of random keys, sent when they are due whatever the
//! server does: how long each took since it was due. `benches/big_dataset` runs it beside snapshots and
//! full syncs. Usage: `paced_load PORT REQUESTS_PER_SECOND KEYS VALUE_BYTES`; ends when its input does and
//! prints one line of JSON, in microseconds.

#![expect(clippy::expect_used, clippy::panic, reason = "a measurement that cannot set up may fail loudly")]

use rustix::event::epoll;
use rustix::io::Errno;
use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const CONNECTIONS: usize = 50;
/// Between two looks at what is due: a fifth of the shortest latency that matters here.
const TICK: rustix::event::Timespec = rustix::event::Timespec { tv_sec: 0, tv_nsec: 100_000 };

struct Connection {
    stream: TcpStream,
    /// When those without an answer were due.
    due: VecDeque<Instant>,
    unparsed: Vec<u8>,
}

/// The length of the first answer: a line, or a bulk string of a GET.
fn answer(bytes: &[u8]) -> Option<usize> {
    let line = bytes.iter().position(|&byte| byte == b'\n')? + 1;
    assert_ne!(bytes[0], b'-', "the server refused: {}", bytes[..line].escape_ascii());
    if bytes[0] != b'$' || bytes[1] == b'-' {
        return Some(line);
    }
    let digits = bytes[1..line - 2].iter();
    let length = digits.fold(0, |number, digit| number * 10 + usize::from(digit - b'0'));
    (bytes.len() >= line + length + 2).then_some(line + length + 2)
}

fn request(random: &mut fastrand::Rng, keys: u64, value: &[u8]) -> Vec<u8> {
    let key = format!("key:{}", random.u64(..keys));
    if random.bool() {
        return format!("*2\r\n$3\r\nGET\r\n${}\r\n{key}\r\n", key.len()).into_bytes();
    }
    let mut bytes =
        format!("*3\r\n$3\r\nSET\r\n${}\r\n{key}\r\n${}\r\n", key.len(), value.len()).into_bytes();
    bytes.extend_from_slice(value);
    bytes.extend_from_slice(b"\r\n");
    bytes
}

fn main() {
    let mut words = std::env::args().skip(1);
    let mut number =
        || words.next().and_then(|word| word.parse::<u64>().ok()).expect("PORT RATE KEYS VALUE_BYTES");
    let (port, rate, keys, value_bytes) = (number(), number(), number(), number());
    let mut random = fastrand::Rng::with_seed(7);
    let value: Vec<u8> = (0..value_bytes).map(|_| random.u8(..)).collect();
    let ended = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&ended);
    std::thread::spawn(move || {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        told.store(true, Ordering::Relaxed);
    });

    let poll = epoll::create(epoll::CreateFlags::CLOEXEC).expect("epoll");
    let mut connections: Vec<Connection> = Vec::new();
    for index in 0..CONNECTIONS {
        let stream = TcpStream::connect(("127.0.0.1", port as u16)).expect("the server listens");
        stream.set_nodelay(true).expect("nodelay");
        let data = epoll::EventData::new_u64(index as u64);
        epoll::add(&poll, &stream, data, epoll::EventFlags::IN).expect("a descriptor is watched");
        connections.push(Connection { stream, due: VecDeque::new(), unparsed: Vec::new() });
    }
    let (begin, mut sent, mut took) = (Instant::now(), 0u64, Vec::<u32>::new());
    let (mut buffer, mut events) = (vec![0; 65536], Vec::with_capacity(CONNECTIONS));
    let due_at = |index: u64| begin + Duration::from_nanos(index * 1_000_000_000 / rate);
    while !ended.load(Ordering::Relaxed) || connections.iter().any(|connection| !connection.due.is_empty()) {
        while !ended.load(Ordering::Relaxed) && due_at(sent) <= Instant::now() {
            let connection = &mut connections[sent as usize % CONNECTIONS];
            connection.due.push_back(due_at(sent));
            connection.stream.write_all(&request(&mut random, keys, &value)).expect("the server takes it");
            sent += 1;
        }
        events.clear();
        match epoll::wait(&poll, rustix::buffer::spare_capacity(&mut events), Some(&TICK)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => panic!("epoll: {error}"),
        }
        for event in &events {
            let connection = &mut connections[event.data.u64() as usize];
            match connection.stream.read(&mut buffer) {
                Ok(0) => panic!("the server hung up"),
                Ok(count) => connection.unparsed.extend_from_slice(&buffer[..count]),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => panic!("{error}"),
            }
            let (now, mut used) = (Instant::now(), 0);
            while let Some(length) = answer(&connection.unparsed[used..]) {
                used += length;
                let due = connection.due.pop_front().expect("one answer for each request");
                took.push(u32::try_from((now - due).as_micros()).unwrap_or(u32::MAX));
            }
            connection.unparsed.drain(..used);
        }
    }
    took.sort_unstable();
    assert!(!took.is_empty(), "nothing was asked");
    let share = |of: f64| took[((took.len() - 1) as f64 * of) as usize];
    println!(
        "{{\"requests\": {}, \"seconds\": {:.1}, \"p50\": {}, \"p99\": {}, \"p999\": {}, \"max\": {}}}",
        took.len(),
        begin.elapsed().as_secs_f64(),
        share(0.5),
        share(0.99),
        share(0.999),
        share(1.0)
    );
}
