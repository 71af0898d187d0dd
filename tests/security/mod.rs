//! Identity, secrecy and addresses, watched from outside: real processes, Debian's redis-server and
//! redis-cli on the other end, certificates made for each test.

mod acl;
mod addresses;
mod certificates;
mod one;
mod own_settings;
mod secrets;
mod server_secrets;
mod slow_handshake;
mod tls_agent;
mod tls_fleet;
mod tls_server;
mod tls_tools;

use std::process::Command;
use vedette::resp::Reply;

/// What redis-cli prints for one command, errors included.
pub fn redis_cli(port: u16, flags: &[String], words: &[&str]) -> String {
    let output = Command::new("redis-cli")
        .args(["-h", "127.0.0.1", "-p", &port.to_string()])
        .args(flags)
        .args(words)
        .output()
        .unwrap_or_else(|error| panic!("redis-cli cannot be run: {error}; install the package redis-tools"));
    let text = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&text).trim_end().to_owned()
}

/// All words of a reply, a space behind each.
pub fn flat(reply: &Reply) -> String {
    match reply {
        Reply::Array(items) => items.iter().map(|item| flat(item) + " ").collect(),
        Reply::Error(text) => text.clone(),
        Reply::Integer(number) => number.to_string(),
        reply => reply.as_str().unwrap_or_default().to_owned(),
    }
}
