//! Debian's redis-server on a free port, in a directory of its own, ended with the test.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use vedette::resp::Protocol;
use vedette::resp::reply::parse;

pub struct Stock {
    child: Option<(Child, tempfile::TempDir)>,
    stream: TcpStream,
    buffer: Vec<u8>,
    start: usize,
}

impl Stock {
    pub fn start() -> Stock {
        let dir = tempfile::tempdir().expect("a directory for redis-server");
        for _ in 0..5 {
            // The port is free for a moment only; another may take it first.
            let port =
                TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port").port();
            let mut child = Command::new("redis-server")
                // Its SORT asks the locale.
                .env("LC_ALL", "C")
                .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
                .arg("--dir")
                .arg(dir.path())
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .spawn()
                .expect("redis-server must be installed for this test: run it with tests/run, or apt-get install redis-server");
            let deadline = Instant::now() + Duration::from_secs(10);
            while Instant::now() < deadline && child.try_wait().is_ok_and(|status| status.is_none()) {
                if let Ok(stream) = TcpStream::connect(("127.0.0.1", port)) {
                    stream.set_nodelay(true).expect("a socket option");
                    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a socket option");
                    return Stock { child: Some((child, dir)), stream, buffer: Vec::new(), start: 0 };
                }
                std::thread::sleep(Duration::from_millis(10));
            }
            let _ = child.kill();
            let _ = child.wait();
        }
        panic!("redis-server does not answer on any port it was given");
    }

    /// A connection to a server that is somebody else's to end.
    pub fn of(port: u16) -> Stock {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("the server listens");
        stream.set_nodelay(true).expect("a socket option");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a socket option");
        Stock { child: None, stream, buffer: Vec::new(), start: 0 }
    }

    /// Empty, and speaking `protocol`.
    pub fn reset(&mut self, protocol: Protocol) {
        let version = if protocol == Protocol::Resp3 { "3" } else { "2" };
        self.send(format!("FLUSHALL\r\nHELLO {version}\r\n").as_bytes());
        assert_eq!(self.receive(), b"+OK\r\n");
        self.receive();
    }

    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("redis-server takes commands");
    }

    /// The bytes of one reply.
    pub fn receive(&mut self) -> Vec<u8> {
        loop {
            let rest = &self.buffer[self.start..];
            if let Some((_, used)) = parse(rest, 1 << 26).expect("a reply") {
                let reply = rest[..used].to_vec();
                self.start += used;
                if self.start == self.buffer.len() {
                    self.buffer.clear();
                    self.start = 0;
                }
                return reply;
            }
            let mut chunk = [0; 65536];
            let count = match self.stream.read(&mut chunk) {
                // A child of another test ended.
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                read => read.expect("the server answers in time"),
            };
            assert!(count > 0, "redis-server closed the connection");
            self.buffer.extend_from_slice(&chunk[..count]);
        }
    }
}

impl Drop for Stock {
    fn drop(&mut self) {
        if let Some((child, _)) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
