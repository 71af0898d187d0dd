//! What people and broken disks do wrong: each gets a sentence that names the place and the remedy, an
//! exit status of 1, and no panic; nothing on disk is changed.

use super::fleet::{Fleet, Plan, Process, free_ports, vedette};
use super::wire::Wire;
use std::fs;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Runs to its end, which must come within ten seconds.
fn run(args: &[&str]) -> Output {
    let child = Command::new(vedette())
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let pid = rustix::process::Pid::from_child(&child);
    let (sender, ended) = std::sync::mpsc::channel();
    let waiter = std::thread::spawn(move || sender.send(child.wait_with_output().unwrap()).unwrap());
    let output = ended.recv_timeout(Duration::from_secs(10)).unwrap_or_else(|_| {
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        panic!("{args:?} should have ended with an error")
    });
    waiter.join().unwrap();
    output
}

/// It failed, said all of `words`, and did not panic.
fn refused(args: &[&str], words: &[&str]) {
    let output = run(args);
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(matches!(output.status.code(), Some(1 | 2)), "{args:?} ended with {:?}: {text}", output.status);
    for word in words {
        assert!(text.contains(word), "{args:?} should mention '{word}': {text}");
    }
    assert!(!text.contains("panicked"), "{text}");
}

fn yaml(dir: &std::path::Path, port: u16, extra: &str) -> String {
    format!(
        "id: 1\nport: {port}\ndir: {}\npeers:\n  - {{ id: 1, address: \"127.0.0.1:{port}\" }}\n{extra}",
        dir.join("home").display()
    )
}

#[test]
fn a_wrong_configuration_is_placed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("sentinel.yaml");
    let file = path.to_str().unwrap();
    let port = free_ports(1)[0];
    let cases: [(&str, &[&str]); 7] = [
        ("quorom: 2\n", &["quorom", "line"]),
        ("masters:\n  - { name: m, address: \"127.0.0.1:1\", down-after: 5 }\n", &["down-after", "line"]),
        ("masters:\n  - { name: \"a b\", address: \"127.0.0.1:1\" }\n", &["a b"]),
        ("masters:\n  - { name: m, address: \"nowhere\" }\n", &["host:port", "line"]),
        ("protected-mode: perhaps\n", &["perhaps"]),
        (
            "webhooks:\n  - { name: w, url: \"http://127.0.0.1/x\", format: carrier-pigeon }\n",
            &["carrier-pigeon"],
        ),
        ("  broken: [\n", &["line"]),
    ];
    for (extra, words) in cases {
        fs::write(&path, yaml(dir.path(), port, extra)).unwrap();
        refused(&["sentinel", "--config", file], words);
        refused(&["check", file], words);
    }
    fs::write(&path, yaml(dir.path(), port, "").replace("id: 1\nport", "id: 7\nport")).unwrap();
    refused(&["sentinel", "--config", file], &["7", "peers"]);
    refused(&["sentinel", "--config", "/nonexistent/sentinel.yaml"], &["/nonexistent/sentinel.yaml"]);
}

#[test]
fn a_taken_port_and_a_bad_directory_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let text = port.to_string();
    let home = dir.path().to_str().unwrap();
    refused(&["server", "--port", &text, "--dir", home], &[&text]);
    let path = dir.path().join("sentinel.yaml");
    fs::write(&path, yaml(dir.path(), port, "")).unwrap();
    refused(&["sentinel", "--config", path.to_str().unwrap()], &[&text]);
    let free = free_ports(1)[0].to_string();
    refused(&["server", "--port", &free, "--dir", "/proc/no/such"], &["/proc/no/such"]);
    let file = dir.path().join("a-file");
    fs::write(&file, "x").unwrap();
    refused(&["server", "--port", &free, "--dir", file.to_str().unwrap()], &["a-file"]);
    refused(&["server", "--port", &free, "--dir", home, "--colour", "red"], &["colour"]);
    refused(&["server", "--port", "99999", "--dir", home], &["port", "65535"]);
}

#[test]
fn a_peer_off_loopback_needs_the_cluster_secret() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("sentinel.yaml");
    let port = free_ports(1)[0];
    let text =
        yaml(dir.path(), port, "").replace("masters", "") + "  - { id: 2, address: \"192.0.2.1:26379\" }\n";
    fs::write(&path, text).unwrap();
    refused(&["sentinel", "--config", path.to_str().unwrap()], &["cluster-secret-file"]);
}

/// One sentinel of a running fleet loses its log: it must not vote again under its id, and says what to do.
#[test]
fn a_sentinel_that_lost_its_log_stays_out() {
    let mut fleet = Fleet::start(&Plan::default());
    fleet.sentinels[2].kill();
    let home = fleet.dir.path().join(&fleet.sentinels[2].name);
    fs::remove_dir_all(&home).unwrap();
    fleet.sentinels[2].start();
    let status = ended(&mut fleet.sentinels[2]);
    let log = fleet.sentinels[2].log();
    assert!(!status.success(), "it should have refused to go on:\n{log}");
    assert!(log.contains("sentinel-3"), "the directory is named:\n{log}");
    assert!(!log.contains("panicked"), "{log}");
    // The others do not mind.
    let master = fleet.master().unwrap();
    let index = fleet.index_of(master);
    fleet.data[index].kill();
    fleet.sentinels.truncate(2);
    fleet.await_switch(master, Duration::from_secs(15));
}

#[test]
fn a_corrupted_log_and_a_foreign_cluster_are_refused() {
    let mut fleet = Fleet::start(&Plan::default());
    fleet.sentinels[2].kill();
    let home = fleet.dir.path().join(&fleet.sentinels[2].name);
    let log_file = home.join("raft.redb");
    let good = fs::read(&log_file).unwrap();
    let mut bad = good.clone();
    // Everything behind the first page: where the entries are is the database's business.
    for byte in bad.iter_mut().skip(512) {
        *byte ^= 0x5a;
    }
    fs::write(&log_file, &bad).unwrap();
    fleet.sentinels[2].start();
    let status = ended(&mut fleet.sentinels[2]);
    let text = fleet.sentinels[2].log();
    assert!(!status.success(), "{text}");
    assert!(text.contains("raft.redb"), "the file is named:\n{text}");
    assert!(!text.contains("panicked"), "{text}");
    assert_eq!(
        fs::read(&log_file).unwrap(),
        bad,
        "a corrupted log is left as it is, for whoever looks into it"
    );
    // The log of another fleet's sentinel.
    let other = Fleet::start(&Plan::default());
    let foreign = other.dir.path().join(&other.sentinels[2].name).join("raft.redb");
    fs::write(&log_file, fs::read(foreign).unwrap()).unwrap();
    drop(other);
    fleet.sentinels[2].start();
    fleet.wait("it is told that its log is of another cluster", Duration::from_secs(10), || {
        fleet.sentinels[2].log().contains("belongs to another cluster")
    });
    assert_eq!(fleet.named_by(&fleet.sentinels[2]), None, "it belongs to nobody here and must name nobody");
    assert!(
        fleet.named_by(&fleet.sentinels[0]).is_some(),
        "{:?} {}",
        Wire::once(fleet.sentinels[0].port, &["INFO"]),
        fleet.logs()
    );
    fleet.sentinels[2].kill();
    // Its own log again: it is welcome.
    fs::write(&log_file, &good).unwrap();
    fleet.sentinels[2].start();
    fleet.await_ready(2);
}

pub(super) fn ended(process: &mut Process) -> std::process::ExitStatus {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        if let Some(status) = process.ended() {
            return status;
        }
        assert!(Instant::now() < deadline, "{} should have ended:\n{}", process.name, process.log());
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// PING is answered within two seconds of the start, leader or not.
#[test]
fn a_lonely_sentinel_answers_ping_and_names_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let ports = free_ports(4);
    let path = dir.path().join("sentinel.yaml");
    let text = format!(
        "id: 1\nport: {}\ndir: {}\npeers:\n  - {{ id: 1, address: \"127.0.0.1:{}\" }}\n  - {{ id: 2, address: \"127.0.0.1:{}\" }}\n  - {{ id: 3, address: \"127.0.0.1:{}\" }}\nmasters:\n  - {{ name: m, address: \"127.0.0.1:{}\" }}\n",
        ports[0],
        dir.path().join("home").display(),
        ports[0],
        ports[1],
        ports[2],
        ports[3]
    );
    fs::write(&path, text).unwrap();
    let args = vec!["sentinel".into(), "--config".into(), path.display().to_string()];
    let mut sentinel = Process::new("s".into(), ports[0], vedette(), args, dir.path().join("s.log"));
    let started = Instant::now();
    sentinel.start();
    while Wire::once(ports[0], &["PING"]).is_none() {
        assert!(
            started.elapsed() < Duration::from_secs(2),
            "no PONG within two seconds:\n{}",
            sentinel.log()
        );
        std::thread::sleep(Duration::from_millis(10));
    }
    let answer = Wire::once(ports[0], &["SENTINEL", "GET-MASTER-ADDR-BY-NAME", "m"]);
    assert_eq!(answer, Some(vedette::resp::Reply::Null), "it cannot confirm, so it must not name anybody");
    assert!(sentinel.ended().is_none());
}

/// Bytes that are no request: an error or a closed connection, and the others are served on.
#[test]
fn malformed_bytes_hurt_nobody() {
    let fleet = Fleet::start(&Plan::default());
    let hostile: [&[u8]; 8] = [
        b"*1\r\n$9223372036854775807\r\n",
        b"*-5\r\n*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$-1\r\n",
        b"*1\r\n:1\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"\0VEDETTE-PEER/9\n garbage garbage garbage",
        b"*1048577\r\n",
        b"$5\r\nhello\r\n\xff\xff\xff\xff\r\n",
    ];
    for port in [fleet.data[0].port, fleet.sentinels[0].port] {
        for bytes in hostile {
            let mut wire = Wire::connect(port, Duration::from_millis(200)).unwrap();
            wire.send_raw(bytes);
            let (answer, _) = wire.drain(Duration::from_millis(300));
            let text = String::from_utf8_lossy(&answer);
            assert!(
                !text.contains("+OK") && !text.contains("+PONG"),
                "{:?} got {text}",
                String::from_utf8_lossy(bytes)
            );
        }
        assert!(Wire::once(port, &["PING"]).is_some(), "{}", fleet.logs());
    }
    assert!(fleet.master().is_some());
}
