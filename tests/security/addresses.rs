//! Addresses that are not where they say: NAT, names, and a resolver that never answers.

use super::one::{sentinel, sentinel_by};
use crate::processes::fleet::{free_ports, vedette};
use crate::support::{Process, eventually_telling};
use std::fs;
use std::net::UdpSocket;
use std::time::Duration;

#[test]
fn what_is_announced_behind_nat_is_dialled_where_the_map_says() {
    let dir = tempfile::tempdir().unwrap();
    let master = Process::redis(&[]);
    let (host, port) = ("10.99.99.1", "7001");
    let of = master.port.to_string();
    let replica = Process::redis(&[
        "--replicaof",
        "127.0.0.1",
        &of,
        "--replica-announce-ip",
        host,
        "--replica-announce-port",
        port,
    ]);
    let text = format!(
        "announce-ip: 203.0.113.5\nannounce-port: 5000\nnat-map:\n  - {{ announced: \"{host}:{port}\", dial: \"{}\" }}\nmasters:\n  - {{ name: m, address: \"localhost:{}\", quorum: 1 }}\n",
        replica.address(),
        master.port
    );
    let one = sentinel(dir.path(), 1, &free_ports(1), &text);
    one.await_status(&format!("{host}:{port}"));
    eventually_telling(
        "the replica is reached",
        || one.process.log(),
        || {
            let reply = one.ask(&["SENTINEL", "REPLICAS", "m"]);
            let words = reply.as_ref().map(super::flat).unwrap_or_default();
            words.contains(&format!("ip {host} port {port} ")) && words.contains("flags slave ")
        },
    );
    let config = one.ask(&["SENTINEL", "CONFIG", "GET", "announce-*"]).map(|reply| super::flat(&reply));
    let config = config.unwrap_or_default();
    assert!(config.contains("announce-ip 203.0.113.5") && config.contains("announce-port 5000"), "{config}");
    // A name is told as it was written.
    let named = one.ask(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", "m"]).map(|reply| super::flat(&reply));
    assert_eq!(named.as_deref().map(str::trim), Some(&*format!("localhost {}", master.port)));
}

#[test]
fn a_resolver_that_never_answers_delays_nobody_else() {
    let dir = tempfile::tempdir().unwrap();
    // Questions are taken and never answered. Port 53 needs root, as the mount does; tests/run says so.
    let mute =
        UdpSocket::bind("127.0.0.77:53").expect("port 53 of a loopback address can be bound (as root)");
    mute.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let resolv = dir.path().join("resolv.conf");
    fs::write(&resolv, "nameserver 127.0.0.77\noptions timeout:20 attempts:5\n").unwrap();
    let mut master = Process::redis(&[]);
    let text = format!(
        "masters:\n  - {{ name: near, address: \"{}\", quorum: 1, down-after-milliseconds: 500 }}\n  - {{ name: lost, address: \"nowhere.test:6379\", quorum: 1 }}\n",
        master.address()
    );
    let script = format!("mount --bind {} /etc/resolv.conf && exec \"$0\" \"$@\"", resolv.display());
    let args = ["--mount", "sh", "-c", &script, &vedette().display().to_string()].map(str::to_owned).to_vec();
    let one = sentinel_by(dir.path(), 1, &free_ports(1), &text, "unshare".into(), args);
    let mut question = [0; 512];
    mute.recv_from(&mut question).expect("the resolver is asked");
    // It hangs now, and for a minute and more; the other group is watched and judged meanwhile.
    one.await_status("no-replicas");
    for _ in 0..50 {
        assert!(one.ask(&["PING"]).is_some());
    }
    master.kill();
    one.await_log("+sdown master near");
    let status = one.status();
    assert!(status.contains("nowhere.test"), "{status}");
    drop(mute);
}
