//! A webhook receiver that answers as it is told, can be away, and remembers what it got.

use serde_json::Value;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

#[derive(Clone)]
pub(super) struct Got {
    /// `webhook-id`.
    pub id: String,
    pub event: Value,
}

pub(super) struct Receiver {
    pub port: u16,
    got: Arc<Mutex<Vec<Got>>>,
    code: Arc<AtomicU16>,
    open: Option<(Arc<AtomicBool>, JoinHandle<()>)>,
}

impl Receiver {
    pub(super) fn start() -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (got, code) = (Arc::default(), Arc::new(AtomicU16::new(200)));
        let mut receiver = Receiver { port, got, code, open: None };
        receiver.serve(listener);
        receiver
    }

    fn serve(&mut self, listener: TcpListener) {
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, got, code) = (stop.clone(), self.got.clone(), self.code.clone());
        listener.set_nonblocking(true).unwrap();
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::SeqCst) {
                match listener.accept() {
                    Ok((stream, _)) => drop(answer(stream, &got, code.load(Ordering::SeqCst))),
                    Err(_) => std::thread::sleep(Duration::from_millis(5)),
                }
            }
        });
        self.open = Some((stop, thread));
    }

    /// From now on every request gets this status.
    pub(super) fn say(&self, code: u16) {
        self.code.store(code, Ordering::SeqCst);
    }

    /// Nobody listens any more: connections are refused.
    pub(super) fn go_away(&mut self) {
        if let Some((stop, thread)) = self.open.take() {
            stop.store(true, Ordering::SeqCst);
            thread.join().unwrap();
        }
    }

    pub(super) fn come_back(&mut self) {
        let listener = (0..200).find_map(|_| {
            let bound = TcpListener::bind(("127.0.0.1", self.port)).ok();
            if bound.is_none() {
                std::thread::sleep(Duration::from_millis(100));
            }
            bound
        });
        self.serve(listener.expect("its own port is free again"));
    }

    pub(super) fn got(&self) -> Vec<Got> {
        self.got.lock().unwrap().clone()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.go_away();
    }
}

fn answer(mut stream: TcpStream, got: &Mutex<Vec<Got>>, code: u16) -> std::io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    let (head, body) = loop {
        let count = stream.read(&mut chunk)?;
        if count == 0 {
            return Ok(());
        }
        bytes.extend_from_slice(&chunk[..count]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = header(head, "content-length").and_then(|value| value.parse().ok()).unwrap_or(0);
        if body.len() >= length {
            break (head.to_owned(), body.to_owned());
        }
    };
    let id = header(&head, "webhook-id").unwrap_or_default();
    got.lock().unwrap().push(Got { id, event: serde_json::from_str(&body).unwrap_or(Value::Null) });
    stream
        .write_all(format!("HTTP/1.1 {code} so\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").as_bytes())
}

fn header(head: &str, name: &str) -> Option<String> {
    head.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
    })
}
