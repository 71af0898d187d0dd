//! Programs of others on ports of their own, ended by their handle; and the blunt HTTP that talks to
//! them.

use crate::processes::fleet::{Fleet, Process};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

/// Loaded machines are slow; a condition that holds ends the wait at once.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

pub(super) fn eventually(what: &str, report: &dyn Fn() -> String, mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < PATIENCE, "never happened: {what}\n{}", report());
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A long-running program that logs into `dir`.
pub(super) fn start(name: &str, port: u16, program: &str, args: Vec<String>, dir: &Path) -> Process {
    let log = dir.join(format!("{name}.log"));
    let mut process = Process::new(name.to_owned(), port, program.into(), args, log);
    process.start();
    process
}

/// One that ends; its output is told when it fails.
pub(super) fn run(program: &str, package: &str, args: &[&str], input: &str) -> Output {
    use std::process::Stdio;
    let mut child = Command::new(program)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| {
            panic!("{program} cannot be started: {error}; it is in Debian's package {package}")
        });
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

#[track_caller]
pub(super) fn succeeded(output: &Output) -> String {
    let text =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}: {text}", output.status);
    text
}

/// Status and body, or nothing when nobody answers. HTTP/1.0, so that no answer comes in chunks.
pub(super) fn get(port: u16, path: &str) -> Option<(u16, String)> {
    let mut stream =
        TcpStream::connect_timeout(&([127, 0, 0, 1], port).into(), Duration::from_secs(2)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n").as_bytes()).ok()?;
    let mut text = Vec::new();
    stream.read_to_end(&mut text).ok()?;
    let text = String::from_utf8_lossy(&text);
    let (head, body) = text.split_once("\r\n\r\n")?;
    let code = head.split(' ').nth(1)?.parse().ok()?;
    Some((code, body.to_owned()))
}

pub(super) fn get_json(port: u16, path: &str) -> Option<Value> {
    let (code, body) = get(port, path)?;
    (code == 200).then(|| serde_json::from_str(&body).ok()).flatten()
}

/// For a query string.
pub(super) fn escape(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, b| {
        if b.is_ascii_alphanumeric() {
            out.push(char::from(b));
        } else {
            out.push_str(&format!("%{b:02X}"));
        }
        out
    })
}

/// Where a sentinel of the fleet shows its page and metrics.
pub(super) fn http_port(fleet: &Fleet, index: usize) -> u16 {
    let name = &fleet.sentinels[index].name;
    let text = std::fs::read_to_string(fleet.dir.path().join(format!("{name}.yaml"))).unwrap();
    let line = text.lines().find(|line| line.starts_with("http:")).unwrap();
    line.rsplit(':').next().unwrap().trim().parse().unwrap()
}

pub(super) fn repository(path: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}
