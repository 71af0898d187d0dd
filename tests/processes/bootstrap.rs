//! `--bootstrap-expect`: fleets founded by sentinels that were told nothing but their masters.

use super::fleet::{Fleet, Plan, Process, free_ports, peers, vedette};
use super::wire::Wire;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;
use vedette::resp::Reply;

const LONG: Duration = Duration::from_secs(60);

/// A sentinel on a file as Debian's package installs it, and that file with what stood in it.
fn sentinel(fleet: &Fleet, master: u16, number: usize) -> (Process, PathBuf, String) {
    let port = free_ports(1)[0];
    let name = format!("redis-sentinel-{number}");
    let home = fleet.dir.path().join(&name);
    fs::create_dir_all(&home).unwrap();
    let text = format!(
        "bind 127.0.0.1\nport {port}\ndaemonize yes\ndir \"{}\"\nsentinel monitor mymaster 127.0.0.1 {master} 2\n\
         sentinel down-after-milliseconds mymaster 1000\nsentinel failover-timeout mymaster 20000\n",
        home.display()
    );
    let file = home.join("sentinel.conf");
    fs::write(&file, &text).unwrap();
    let args = ["sentinel", file.to_str().unwrap(), "--bootstrap-expect", "3"].map(str::to_owned);
    let mut process = Process::new(name, port, vedette(), args.to_vec(), home.join("log"));
    process.start();
    (process, file, text)
}

/// Id and address of every voter, as the sentinel at this port has it.
fn voters(port: u16) -> Vec<(u64, String)> {
    peers(port).into_iter().filter(|peer| peer.2 == "voter").map(|(id, address, _)| (id, address)).collect()
}

fn says(fleet: &Fleet, at: usize, words: &str) {
    fleet.wait(&format!("sentinel {} says: {words}", at + 1), LONG, || {
        fleet.sentinels[at].log().contains(words)
    });
}

#[test]
fn three_unmodified_files_found_one_fleet_and_a_fourth_is_told_how_to_join() {
    let mut fleet = Fleet::data_only(&Plan::default());
    let master = fleet.data[0].port;
    let mut files = Vec::new();
    for number in 1..=2 {
        let (process, file, text) = sentinel(&fleet, master, number);
        fleet.sentinels.push(process);
        files.push((file, text));
    }
    // Two of three: they live, they name nobody, they say what is missing.
    says(&fleet, 0, "2 of 3 sentinels are here");
    says(&fleet, 1, "2 of 3 sentinels are here");
    for sentinel in &fleet.sentinels {
        assert_eq!(Wire::once(sentinel.port, &["PING"]).as_ref().and_then(Reply::as_str), Some("PONG"));
        assert_eq!(fleet.named_by(sentinel), None);
        let said = Wire::once(sentinel.port, &["SENTINEL", "MASTERS"]).unwrap();
        assert!(
            said.error().is_some_and(|text| text.contains("when 3 sentinels see each other")),
            "{said:?}"
        );
    }
    // One of them comes back in another life and is the same founder.
    fleet.sentinels[0].kill();
    fleet.sentinels[0].start();
    let (process, file, text) = sentinel(&fleet, master, 3);
    fleet.sentinels.push(process);
    files.push((file, text));
    fleet.await_ready(2);
    let mut agreed = Vec::new();
    fleet.wait("all know the same three voters", LONG, || {
        agreed = voters(fleet.sentinels[0].port);
        agreed.len() == 3 && fleet.sentinels.iter().all(|sentinel| voters(sentinel.port) == agreed)
    });
    for sentinel in &fleet.sentinels {
        let at = format!("127.0.0.1:{}", sentinel.port);
        assert!(agreed.iter().any(|(_, address)| *address == at), "{agreed:?}");
    }

    // One too many, and later than all: it joins nothing and prints the way in.
    let (fourth, ..) = sentinel(&fleet, master, 4);
    fleet.sentinels.push(fourth);
    says(&fleet, 3, &format!("vedette peer add 4 127.0.0.1:{} --sentinel", fleet.sentinels[3].port));
    assert_eq!(fleet.named_by(&fleet.sentinels[3]), None);
    drop(fleet.sentinels.pop());

    // It is a fleet like any other: it fails over, and comes back from its disks without founding anything.
    let index = fleet.index_of(master);
    fleet.data[index].kill();
    let (successor, _) = fleet.await_switch(master, LONG);
    fleet.sentinels.iter_mut().for_each(Process::kill);
    fleet.sentinels.iter_mut().for_each(Process::start);
    fleet.wait("the same voters name the same master", LONG, || {
        fleet
            .sentinels
            .iter()
            .all(|sentinel| voters(sentinel.port) == agreed && fleet.named_by(sentinel) == Some(successor))
    });
    for (file, text) in &files {
        assert_eq!(&fs::read_to_string(file).unwrap(), text, "the file is never rewritten");
    }
    for sentinel in &fleet.sentinels {
        assert_eq!(sentinel.log().matches("the fleet is founded, ").count(), 1, "{}", sentinel.log());
    }
}
