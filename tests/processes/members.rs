//! The fleet of sentinels changes while it works: real processes, a running writer, failovers between.

use super::fleet::{Fleet, Plan, Process, field, free_ports, peers, vedette};
use super::wire::Wire;
use super::writer::{Writer, lost};
use std::fs;
use std::process::Command;
use std::time::Duration;
use vedette::resp::Reply;

const LONG: Duration = Duration::from_secs(60);

/// What `SENTINEL PEERS` of this port says of each sentinel: its id and its state.
fn members(port: u16) -> Vec<(u64, String)> {
    peers(port).into_iter().map(|(id, _, state)| (id, state)).collect()
}

/// A sentinel that waits to be added: its file names the fleet and no peers.
fn newcomer(fleet: &Fleet, id: u64) -> Process {
    let port = free_ports(1)[0];
    let name = format!("sentinel-{id}");
    let text = format!(
        "id: {id}\nport: {port}\ndir: {}\njoin: [\"127.0.0.1:{}\"]\n",
        fleet.dir.path().join(&name).display(),
        fleet.sentinels[0].port
    );
    let config = fleet.dir.path().join(format!("{name}.yaml"));
    fs::write(&config, text).unwrap();
    let args = vec!["sentinel".into(), "--config".into(), config.display().to_string()];
    let mut process =
        Process::new(name.clone(), port, vedette(), args, fleet.dir.path().join(format!("{name}.log")));
    process.start();
    process
}

/// Asks until it is taken: an election may be under way.
fn ask(fleet: &Fleet, port: u16, words: &[&str]) {
    let mut said = String::new();
    fleet.wait(&format!("{words:?} is taken in hand"), LONG, || {
        let reply = Wire::once(port, words);
        said = format!("{reply:?}");
        reply.is_some_and(|reply| reply.is_ok())
    });
}

fn await_members(fleet: &Fleet, expected: &[u64]) {
    let expected: Vec<(u64, String)> = expected.iter().map(|id| (*id, "voter".to_owned())).collect();
    fleet.wait(&format!("all say that the fleet is {expected:?}"), LONG, || {
        fleet.sentinels.iter().filter(|s| s.is_running()).all(|s| members(s.port) == expected)
    });
}

#[test]
fn three_grow_to_five_under_a_writer_with_a_failover_between() {
    let mut fleet = Fleet::start(&Plan::default());
    let writer = Writer::start(fleet.sentinels.iter().map(|sentinel| sentinel.port).collect());
    for id in [4, 5] {
        let process = newcomer(&fleet, id);
        let answer = Wire::once(process.port, &["SENTINEL", "GET-MASTER-ADDR-BY-NAME", super::fleet::GROUP]);
        assert!(matches!(answer, None | Some(Reply::Null)), "nobody told it anything yet: {answer:?}");
        let at = format!("127.0.0.1:{}", process.port);
        fleet.sentinels.push(process);
        ask(&fleet, fleet.sentinels[1].port, &["SENTINEL", "PEER", "ADD", &id.to_string(), &at]);
        if id == 4 {
            continue_after(&fleet, &[1, 2, 3, 4]);
            fleet.fail_over(LONG);
        }
    }
    await_members(&fleet, &[1, 2, 3, 4, 5]);
    fleet.await_ready(2);
    // Five bear the loss of two, and one of those that founded the fleet may be among them.
    fleet.sentinels[0].kill();
    fleet.sentinels[1].kill();
    let master = fleet.sentinels[2..].iter().find_map(|s| fleet.named_by(s));
    fleet.wait("three of five name a master", LONG, || {
        fleet.sentinels[2..].iter().all(|sentinel| fleet.named_by(sentinel).is_some())
    });
    let acknowledged = writer.finish();
    let port = fleet.sentinels[2..].iter().find_map(|s| fleet.named_by(s)).or(master).unwrap();
    let missing = lost(port, &acknowledged);
    assert!(missing.is_empty(), "promised writes are gone: {missing:?}\n{}", fleet.logs());
}

fn continue_after(fleet: &Fleet, expected: &[u64]) {
    await_members(fleet, expected);
    fleet.await_ready(2);
}

/// The leader itself goes: it gives its place away first, says that it was removed, and names nobody.
#[test]
fn a_removed_leader_falls_silent_and_the_others_go_on() {
    let fleet = Fleet::start(&Plan::default());
    let leader = fleet.leader();
    let id = (leader + 1).to_string();
    ask(&fleet, fleet.sentinels[leader].port, &["SENTINEL", "PEER", "REMOVE", &id]);
    let left: Vec<(u64, String)> =
        (1..=3).filter(|n| *n != leader as u64 + 1).map(|n| (n, "voter".to_owned())).collect();
    let others: Vec<&Process> =
        fleet.sentinels.iter().enumerate().filter(|(at, _)| *at != leader).map(|(_, s)| s).collect();
    fleet.wait("two are left", LONG, || others.iter().all(|s| members(s.port) == left));
    let gone = &fleet.sentinels[leader];
    fleet.wait("the removed one says so", LONG, || gone.log().contains("was removed from the fleet"));
    fleet.wait("and names nobody", LONG, || fleet.named_by(gone).is_none());
    let refused = Wire::once(gone.port, &["SENTINEL", "SET", super::fleet::GROUP, "quorum", "1"]);
    assert!(refused.is_some_and(|reply| reply.error().is_some_and(|text| text.contains("removed"))));
    fleet.wait("the others name the master", LONG, || others.iter().all(|s| fleet.named_by(s).is_some()));
    // The two that are left are both needed: one more would be one too many.
    let last = (others[0].name.rsplit('-').next().unwrap()).to_owned();
    let refused = Wire::once(others[1].port, &["SENTINEL", "PEER", "REMOVE", &last]).unwrap();
    assert!(refused.error().is_some_and(|text| text.contains("quorum")), "{refused:?}");
}

/// A sentinel that lost its directory comes back by exactly the line that its error prints.
#[test]
fn a_lost_directory_rejoins_by_the_printed_command() {
    let mut fleet = Fleet::start(&Plan::default());
    fleet.sentinels[2].kill();
    fs::remove_dir_all(fleet.dir.path().join("sentinel-3")).unwrap();
    fleet.sentinels[2].start();
    fleet.wait("it ends with a remedy", LONG, || fleet.sentinels[2].log().contains("--no-wait && "));
    let log = fleet.sentinels[2].log();
    let line = log.lines().rev().find(|line| line.contains("--no-wait && ")).unwrap();
    let command = &line[line.find("vedette peer replace").expect("the command")..];
    let end = command.find("--join ").unwrap();
    let address: String =
        command[end + 7..].chars().take_while(|c| c.is_ascii_digit() || matches!(c, '.' | ':')).collect();
    let command = format!("{}--join {address}", &command[..end]);
    let (ask, start) = command.split_once(" && ").unwrap();
    let words = |text: &str| text.split_whitespace().skip(1).map(str::to_owned).collect::<Vec<_>>();
    let asked = Command::new(vedette()).args(words(ask)).output().unwrap();
    assert!(asked.status.success(), "{ask}: {}", String::from_utf8_lossy(&asked.stderr));
    let port = fleet.sentinels[2].port;
    let log = fleet.dir.path().join("again.log");
    fleet.sentinels[2] = Process::new("sentinel-4".into(), port, vedette(), words(start), log);
    fleet.sentinels[2].start();
    await_members(&fleet, &[1, 2, 4]);
    fleet.await_ready(2);
    assert!(fleet.dir.path().join("sentinel-3/raft.redb.of-3").exists(), "the old log is kept");
}

/// One after the other is restarted, and what was set while they ran is still so: settings, members.
#[test]
fn a_rolling_restart_keeps_what_was_agreed() {
    let mut fleet = Fleet::start(&Plan::default());
    let port = fleet.sentinels[0].port;
    ask(&fleet, port, &["SENTINEL", "SET", super::fleet::GROUP, "parallel-syncs", "7"]);
    let master = fleet.master().unwrap();
    for index in 0..3 {
        fleet.sentinels[index].kill();
        fleet.sentinels[index].start();
        fleet.await_ready(2);
    }
    for sentinel in &fleet.sentinels {
        let reply = Wire::once(sentinel.port, &["SENTINEL", "MASTER", super::fleet::GROUP]).unwrap();
        assert_eq!(field(&reply, "parallel-syncs").as_deref(), Some("7"), "{}", fleet.logs());
    }
    await_members(&fleet, &[1, 2, 3]);
    assert_eq!(fleet.master(), Some(master), "no failover was needed");
}

/// A file as Debian's package installs it, for three sentinels on this machine: started as it stands,
/// watched through a failover, and not one byte of it changed.
#[test]
fn an_unmodified_sentinel_conf_starts_a_fleet() {
    let mut fleet = Fleet::start(&Plan::default());
    let master = fleet.master().unwrap();
    let ports = free_ports(3);
    let peers: Vec<String> =
        ports.iter().enumerate().map(|(at, port)| format!("{}=127.0.0.1:{port}", at + 1)).collect();
    let peers = peers.join(",");
    let mut files = Vec::new();
    for old in &mut fleet.sentinels {
        old.kill();
    }
    fleet.sentinels.clear();
    for (at, port) in ports.iter().enumerate() {
        let name = format!("redis-sentinel-{}", at + 1);
        let home = fleet.dir.path().join(&name);
        fs::create_dir_all(&home).unwrap();
        let text = format!(
            "# Example sentinel.conf\nbind 127.0.0.1\nprotected-mode no\nport {port}\ndaemonize yes\n\
             pidfile \"/run/sentinel/redis-sentinel.pid\"\nlogfile \"\"\ndir \"{}\"\n\
             sentinel monitor mymaster 127.0.0.1 {master} 2\nsentinel down-after-milliseconds mymaster 1000\n\
             acllog-max-len 128\nsentinel parallel-syncs mymaster 1\nsentinel failover-timeout mymaster 20000\n\
             sentinel deny-scripts-reconfig yes\nSENTINEL resolve-hostnames no\nSENTINEL announce-hostnames no\n",
            home.display()
        );
        let file = home.join("sentinel.conf");
        fs::write(&file, &text).unwrap();
        let words =
            [file.to_str().unwrap(), "--peers", &peers, "--id", &(at + 1).to_string()].map(str::to_owned);
        let args = std::iter::once("sentinel".to_owned()).chain(words).collect();
        let mut process = Process::new(name.clone(), *port, vedette(), args, home.join("log"));
        process.start();
        fleet.sentinels.push(process);
        files.push((file, text));
    }
    fleet.await_ready(2);
    let index = fleet.index_of(master);
    fleet.data[index].kill();
    fleet.await_switch(master, LONG);
    for (file, text) in &files {
        assert_eq!(&fs::read_to_string(file).unwrap(), text, "the file is never rewritten");
        let checked = Command::new(vedette()).arg("check").arg(file).output().unwrap();
        assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
    }
    let log = fleet.sentinels[0].log();
    assert!(log.contains("left out: line 5: daemonize"), "{log}");
    let yaml = fleet.dir.path().join("imported.yaml");
    let imported = Command::new(vedette())
        .args([
            "import",
            files[0].0.to_str().unwrap(),
            "--peers",
            &peers,
            "--id",
            "1",
            "-o",
            yaml.to_str().unwrap(),
        ])
        .output()
        .unwrap();
    assert!(imported.status.success(), "{}", String::from_utf8_lossy(&imported.stderr));
    let checked = Command::new(vedette()).arg("check").arg(&yaml).output().unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
}
