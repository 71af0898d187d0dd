//! Situations that only real processes can show: a full disk under a sentinel's log, a sentinel that was
//! copied, a stock server of somebody else at an address of the group. `docs/situations.md` lists them all.

use super::fleet::{Data, Fleet, GROUP, Plan, Process, free_ports, vedette};
use super::mistakes::ended;
use super::wire::Wire;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);

/// Whether this sentinel's newest events hold these words.
fn told(port: u16, words: &str) -> bool {
    let status = Wire::once(port, &["SENTINEL", "STATUS"]);
    status.as_ref().and_then(|reply| reply.as_str()).is_some_and(|text| text.contains(words))
}

fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").args([from, to]).status().unwrap();
    assert!(copied.success());
}

/// The disk under its log is full: it ends with a reason, votes no more, and the others are told; they fail over
/// without it. With space again it goes on from what it had written.
#[test]
fn a_sentinel_with_a_full_disk_says_so_and_ends() {
    let mut fleet = Fleet::start(&Plan::default());
    let name = fleet.sentinels[2].name.clone();
    let home = fleet.dir.path().join(&name);
    let config = fleet.dir.path().join(format!("{name}.yaml"));
    fleet.sentinels[2].kill();
    // The same sentinel, its directory on a small disk of its own that nobody else sees.
    let script = r#"cp -a "$1" "$1.kept" && mount -t tmpfs -o size=16m tmpfs "$1" && cp -a "$1.kept/." "$1/" &&
        shift && exec "$@""#;
    let mut args: Vec<String> = Vec::new();
    if !rustix::process::geteuid().is_root() {
        args.push("--map-root-user".into());
    }
    args.extend(["--mount", "sh", "-c", script, "sh"].map(str::to_owned));
    args.extend([home.display().to_string(), vedette().display().to_string()]);
    args.extend(["sentinel".into(), "--config".into(), config.display().to_string()]);
    let log = fleet.dir.path().join("sentinel-3-full.log");
    let mut full =
        Process::new("sentinel-3-full".into(), fleet.sentinels[2].port, "unshare".into(), args, log);
    full.start();
    let master = fleet.master().unwrap();
    fleet.wait("it is back, on its small disk", PATIENCE, || {
        assert!(full.ended().is_none(), "it ended (unshare is of the package util-linux):\n{}", full.log());
        fleet.named_by(&full) == Some(master)
    });
    let pid = full.pid().as_raw_nonzero();
    let inside = format!("/proc/{pid}/root{}", home.display());
    // Keeps the disk when the process is gone.
    let disk = fs::File::open(&inside).unwrap();
    let mut ballast = fs::File::create(format!("{inside}/ballast")).unwrap();
    while ballast.write(&[1; 4096]).is_ok_and(|written| written > 0) {}
    // Whatever is agreed now has to be written by it too.
    let mut value = 1000;
    fleet.wait("it ends", PATIENCE, || {
        value = 2001 - value;
        let words = ["SENTINEL", "SET", GROUP, "down-after-milliseconds", &value.to_string()];
        Wire::once(fleet.sentinels[0].port, &words);
        full.ended().is_some()
    });
    let text = full.log();
    assert_eq!(full.ended().and_then(|status| status.code()), Some(1), "{text}");
    for words in ["cannot write", "raft.redb", "space"] {
        assert!(text.contains(words), "it should say '{words}':\n{text}");
    }
    assert!(!text.contains("panicked"), "{text}");
    fleet.wait("the others know why it is gone", PATIENCE, || {
        fleet.sentinels[..2].iter().all(|sentinel| told(sentinel.port, "+sentinel-disk-failed"))
    });
    let index = fleet.index_of(master);
    fleet.data[index].kill();
    let stopped = fleet.sentinels.pop().unwrap();
    let (new, _) = fleet.await_switch(master, PATIENCE);
    // Somebody made room: it has every vote that it ever gave.
    fs::remove_dir_all(&home).unwrap();
    let kept = format!("/proc/{}/fd/{}/.", std::process::id(), std::os::fd::AsRawFd::as_raw_fd(&disk));
    copy(Path::new(&kept), &home);
    fs::remove_file(home.join("ballast")).unwrap();
    fleet.sentinels.push(stopped);
    fleet.sentinels[2].start();
    fleet.wait("it is one of them again", PATIENCE, || fleet.named_by(&fleet.sentinels[2]) == Some(new));
}

/// A machine was cloned: the copy of a sentinel is turned away while the original lives, which is told; a second
/// process on the same directory does not even start.
#[test]
fn a_copied_sentinel_is_turned_away_and_told_of() {
    let mut fleet = Fleet::start(&Plan::default());
    let name = fleet.sentinels[2].name.clone();
    let config = fleet.dir.path().join(format!("{name}.yaml"));
    let process = |name: &str, port: u16, config: &Path| {
        let args = vec!["sentinel".into(), "--config".into(), config.display().to_string()];
        let log = fleet.dir.path().join(format!("{name}.log"));
        Process::new(name.to_owned(), port, vedette(), args, log)
    };
    let mut second = process("second", fleet.sentinels[2].port, &config);
    let ports = free_ports(2);
    let copied_config = fleet.dir.path().join("copy.yaml");
    let mut clone = process("copy", ports[0], &copied_config);

    second.start();
    let status = ended(&mut second);
    assert!(!status.success() && second.log().contains("in use by another process"), "{}", second.log());

    fleet.sentinels[2].kill();
    let home = fleet.dir.path().join(&name);
    copy(&home, &fleet.dir.path().join("copy"));
    fleet.sentinels[2].start();
    fleet.await_ready(2);
    let text = fs::read_to_string(&config).unwrap();
    let http = text.lines().find_map(|line| line.strip_prefix("http: 127.0.0.1:")).unwrap().to_owned();
    let text = text
        .replace(&home.display().to_string(), &fleet.dir.path().join("copy").display().to_string())
        .replace(&http, &ports[1].to_string())
        .replace(&fleet.sentinels[2].port.to_string(), &ports[0].to_string());
    fs::write(&copied_config, text).unwrap();
    clone.start();
    fleet.wait("the fleet is told", PATIENCE, || {
        fleet.sentinels.iter().all(|sentinel| told(sentinel.port, "+sentinel-duplicate-id"))
    });
    assert_eq!(fleet.named_by(&clone), None, "the copy must name nobody");
    let master = fleet.master().unwrap();
    let index = fleet.index_of(master);
    fleet.data[index].kill();
    fleet.await_switch(master, PATIENCE);
    assert_eq!(fleet.named_by(&clone), None, "the copy must name nobody");
    assert!(!clone.log().contains("panicked"), "{}", clone.log());
}

fn integer(port: u16, words: &[&str]) -> Option<i64> {
    Wire::once(port, words)?.as_integer()
}

fn role(port: u16) -> Option<String> {
    Wire::once(port, &["ROLE"])?.as_array()?.first()?.as_str().map(str::to_owned)
}

/// A stock server that was started with nothing but a directory.
fn stock(name: &str, port: u16, dir: &Path, more: &[&str]) -> Process {
    let port_text = port.to_string();
    let home = dir.display().to_string();
    let args = ["--port", &port_text, "--bind", "127.0.0.1", "--dir", &home, "--save", ""];
    let args = args.iter().chain(more).map(|word| (*word).to_owned()).collect();
    Process::new(name.to_owned(), port, "redis-server".into(), args, dir.join("server.log"))
}

fn fill(fleet: &Fleet, port: u16, keys: usize, prefix: &str) {
    for key in 0..keys {
        let key = format!("{prefix}{key}");
        fleet.wait("a write is taken", PATIENCE, || {
            Wire::once(port, &["SET", &key, "v"]).is_some_and(|reply| reply.is_ok())
        });
    }
}

/// Somebody else's server got the address of a replica: it is left alone with its data. A server of the group that
/// comes back by itself, from its snapshot or its append-only file, is taken back.
#[test]
fn a_foreign_stock_server_is_left_alone_and_a_restarted_one_is_not() {
    let mut fleet = Fleet::start(&Plan { data: Data::Stock, ..Plan::default() });
    let master = fleet.master().unwrap();
    let index = fleet.data.iter().position(|process| process.port != master).unwrap();
    let port = fleet.data[index].port;
    fill(&fleet, master, 20, "ours:");
    fleet.wait("the replica has it all", PATIENCE, || integer(port, &["DBSIZE"]) == Some(20));

    let elsewhere = fleet.dir.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let first_port = free_ports(1)[0];
    let mut foreign = stock("foreign", first_port, &elsewhere, &[]);
    foreign.start();
    fill(&fleet, first_port, 50, "theirs:");
    assert!(Wire::once(first_port, &["SAVE"]).unwrap().is_ok());
    foreign.kill();
    fleet.data[index].kill();
    let mut foreign = stock("foreign", port, &elsewhere, &[]);
    foreign.start();
    fleet.wait("the fleet says whose data it is not", PATIENCE, || {
        fleet.sentinels.iter().all(|sentinel| told(sentinel.port, "+foreign-data"))
    });
    assert_eq!(role(port).as_deref(), Some("master"));
    assert_eq!(integer(port, &["DBSIZE"]), Some(50), "nobody may touch it");
    foreign.kill();

    fleet.data[index].start();
    fleet.await_replicas(master);
    fleet.wait("that is over", PATIENCE, || told(fleet.sentinels[0].port, "-foreign-data"));
    let home = fleet.dir.path().join(&fleet.data[index].name);
    let taken_back = |fleet: &Fleet| {
        fleet.await_replicas(master);
        fleet.wait("it has the group's data", PATIENCE, || integer(port, &["DBSIZE"]) == Some(20));
    };
    assert!(Wire::once(port, &["SAVE"]).unwrap().is_ok());
    // The sentinels count keys with INFO; what decides below is what they saw before.
    assert!(Wire::once(port, &["CONFIG", "SET", "appendonly", "yes"]).unwrap().is_ok());
    fleet.wait("the append-only file is whole", PATIENCE, || {
        let reply = Wire::once(port, &["INFO", "persistence"]);
        reply.as_ref().and_then(|reply| reply.as_str()).is_some_and(|text| {
            text.contains("aof_enabled:1")
                && text.contains("aof_rewrite_in_progress:0")
                && text.contains("aof_rewrite_scheduled:0")
        })
    });
    for more in [&["--appendonly", "no"], &["--appendonly", "yes"]] {
        fleet.data[index].kill();
        let mut alone = stock("alone", port, &home, more);
        alone.start();
        taken_back(&fleet);
        alone.kill();
        fleet.data[index].start();
        taken_back(&fleet);
    }
    let told_again = Wire::once(fleet.sentinels[0].port, &["SENTINEL", "STATUS"]);
    let text = told_again.as_ref().and_then(|reply| reply.as_str()).unwrap_or("").to_owned();
    assert_eq!(text.matches("\"+foreign-data\"").count(), 1, "only once was anything foreign: {text}");
}
