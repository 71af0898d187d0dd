//! Connections that begin a TLS handshake and never finish it: closed after a deadline, and so many at
//! once as the port allows, on the data port and on the sentinel's.

use super::certificates::Authority;
use super::redis_cli;
use super::tls_fleet::start;
use super::tls_server::server;
use crate::processes::fleet::free_ports;
use crate::support::eventually;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// The head of a TLS record that announces 512 bytes, and a few of them.
const BEGUN: &[u8] = &[0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00];

fn begin(port: u16) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let _ = stream.write_all(BEGUN);
    stream.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    stream
}

fn is_closed(stream: &mut TcpStream) -> bool {
    let mut bytes = [0; 64];
    loop {
        match stream.read(&mut bytes) {
            Ok(0) => return true,
            // An alert, and the end behind it.
            Ok(_) => {}
            Err(error) => return !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
        }
    }
}

#[test]
fn a_handshake_that_never_ends_is_ended_on_both_ports() {
    let dir = tempfile::tempdir().unwrap();
    let ca = Authority::new(dir.path(), "ours");
    let fleet = start(dir.path(), &ca, "vedette");
    fleet.await_ready();
    for port in [fleet.data[0].port, fleet.sentinels[0].port] {
        // One that says half of it, and one that says nothing.
        let mut slow = [begin(port), TcpStream::connect(("127.0.0.1", port)).unwrap()];
        slow[1].set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        assert_eq!(redis_cli(port, &fleet.flags, &["PING"]), "PONG", "others are served meanwhile");
        eventually(&format!("both are closed\n{}", fleet.logs()), || slow.iter_mut().all(is_closed));
    }
}

#[test]
fn handshakes_count_against_a_quarter_of_maxclients() {
    let dir = tempfile::tempdir().unwrap();
    let ca = Authority::new(dir.path(), "ours");
    let (port, member) = (free_ports(1)[0], ca.cli(Some(&ca.issue("client"))));
    let directives = ca.directives(&ca.issue("server"), port);
    let process = server("vedette", dir.path(), "data", &directives, &["--maxclients", "8"]);
    eventually("it answers", || redis_cli(port, &member, &["PING"]) == "PONG");
    eventually(&format!("two have places, the third none\n{}", process.log()), || {
        let (mut first, mut second) = (begin(port), begin(port));
        let mut third = begin(port);
        let refused = (0..50).any(|_| is_closed(&mut third));
        // On a machine that stood still the first two may have ended too: then it is tried again.
        refused && !is_closed(&mut first) && !is_closed(&mut second)
    });
    eventually("their places are free again", || redis_cli(port, &member, &["PING"]) == "PONG");
}
