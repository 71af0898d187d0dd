//! The SENTINEL family word for word: scripts of requests and the bytes that answer them.
//!
//! A script line `> words` is asked in RESP2, `3> words` in RESP3, `= name` chooses the facts; what
//! follows is the reply with its CRLFs as line ends. `VEDETTE_BLESS=1` writes the replies as they are
//! now, for a person to read before they are committed.

use std::path::Path;
use vedette::config::sentinel::Mode;
use vedette::model::Address;
use vedette::resp::decode::split_words;
use vedette::resp::{Protocol, Writer};
use vedette::sentinel::api::{
    self, Facts, GroupFacts, InstanceFacts, Outcome, PeerFacts, ProcessFacts, ReplicaFacts, ScriptFacts,
};

const MY_ID: &str = "0123456789abcdef0123456789abcdef01234567";

fn instance(port: u16, master: bool) -> InstanceFacts {
    InstanceFacts {
        address: Address::new("127.0.0.1", port),
        run_id: format!("{port:040}"),
        connected: true,
        pending: 0,
        ping_sent_ms: None,
        last_ok_ms: 120,
        last_reply_ms: 120,
        s_down_ms: None,
        o_down_ms: None,
        info_age_ms: Some(800),
        info: Some("role:x\r\n".into()),
        reports_master: master,
        role_reported_ms: 9000,
        bundled: true,
        offset: Some(4711),
    }
}

fn replica(port: u16) -> ReplicaFacts {
    ReplicaFacts {
        instance: instance(port, false),
        link_up: true,
        link_down_ms: 0,
        follows: Some(Address::new("127.0.0.1", 6379)),
        priority: 100,
        in_sync: true,
        promoted: false,
        reconf: None,
    }
}

fn healthy() -> Facts {
    let peer = |id: u64| PeerFacts {
        learner: false,
        id,
        run_id: format!("{id:040}"),
        address: Address::new("127.0.0.1", 26379 + id as u16),
        connected: true,
        heard_ms: Some(30),
    };
    Facts {
        members: Vec::new(),
        left: false,
        my_id: MY_ID.to_owned(),
        node: 1,
        announce: Some(Address::new("127.0.0.1", 26379)),
        fresh: true,
        raft_role: "leader",
        raft_term: 3,
        raft_leader: Some(1),
        raft_applied: 17,
        groups: vec![GroupFacts {
            name: "mymaster".to_owned(),
            epoch: 2,
            mode: Mode::Safe,
            quorum: 2,
            down_after_ms: 5000,
            failover_timeout_ms: 60_000,
            parallel_syncs: 1,
            notification_script: None,
            client_reconfig_script: None,
            master: instance(6379, true),
            replicas: vec![replica(6380), replica(6381)],
            in_sync: vec![Address::new("127.0.0.1", 6380), Address::new("127.0.0.1", 6381)],
            sync_quorum: 1,
            lease_ms: Some(480),
            situation: "ok".to_owned(),
            failover_state: None,
            scheduled: None,
            failover_forced: false,
        }],
        peers: vec![peer(2), peer(3)],
        timers: vec![("INFO-PERIOD", 1000), ("TILT-PERIOD", 0), ("LEASE", 500)],
        webhooks: vec!["ops".into()],
        process: ProcessFacts {
            pid: 42,
            port: 26379,
            uptime_s: 90_000,
            clients: 2,
            connections_total: 5,
            commands_total: 9,
            cpu_user_ms: 1234,
            cpu_system_ms: 1500,
            os: "Linux".to_owned(),
            log_level: "notice",
            ..ProcessFacts::default()
        },
        resolve_hostnames: true,
        blast_radius_percent: 0,
        hides_hostnames: false,
        sentinel_login: (String::new(), false),
        deny_scripts_reconfig: true,
        removed: vec!["gone".to_owned()],
        simulated_failures: 0,
        scripts: Vec::new(),
    }
}

fn facts(name: &str) -> Facts {
    let mut facts = healthy();
    match name {
        "healthy" => {}
        "master-down" => {
            let group = &mut facts.groups[0];
            group.master.s_down_ms = Some(700);
            group.master.o_down_ms = Some(300);
            group.master.connected = false;
            group.master.ping_sent_ms = Some(5700);
            group.situation = "down".to_owned();
            for replica in &mut group.replicas {
                replica.link_up = false;
                replica.link_down_ms = 5000;
            }
            group.failover_state = Some("select_slave".to_owned());
        }
        "scripts" => {
            facts.deny_scripts_reconfig = false;
            facts.simulated_failures = 3;
            facts.groups[0].notification_script = Some("/usr/local/bin/told".to_owned());
            facts.groups[0].client_reconfig_script = Some("/usr/local/bin/moved".to_owned());
            let script = |words: &[&str], pid, time_ms, retries| ScriptFacts {
                argv: words.iter().map(|&word| word.to_owned()).collect(),
                pid,
                time_ms,
                retries,
            };
            facts.scripts = vec![
                script(&["/usr/local/bin/told", "+sdown", "master mymaster 127.0.0.1 6379"], Some(77), 12, 0),
                script(&["/usr/local/bin/moved", "mymaster", "leader", "start"], None, 30_000, 2),
            ];
        }
        "moving" => {
            facts.groups[0].failover_state = Some("wait_promotion".to_owned());
            facts.groups[0].failover_forced = true;
            facts.groups[0].replicas[0].promoted = true;
            facts.groups[0].replicas[1].reconf = Some("reconf_inprog");
        }
        "cut-off" => {
            facts.fresh = false;
            facts.raft_role = "follower";
            facts.raft_leader = None;
            for peer in &mut facts.peers {
                peer.connected = false;
                peer.heard_ms = Some(6000);
            }
        }
        "cut-off-available" => {
            facts = self::facts("cut-off");
            facts.groups[0].mode = Mode::Available;
        }
        other => panic!("unknown facts '{other}'"),
    }
    facts
}

fn answer(facts: &Facts, protocol: Protocol, line: &str) -> String {
    let words = split_words(line.as_bytes()).expect("balanced quotes");
    let argv: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
    let mut out = Vec::new();
    let outcome = api::execute(facts, &argv, &mut Writer::new(&mut out, protocol));
    if outcome != Outcome::Replied {
        out.extend_from_slice(format!("({outcome:?})\r\n").as_bytes());
    }
    String::from_utf8(out).unwrap().replace("\r\n", "\n")
}

#[test]
fn scripts_hold() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts/sentinel_api");
    let bless = std::env::var_os("VEDETTE_BLESS").is_some();
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let mut state = facts("healthy");
        let mut actual = String::new();
        let mut skip = false;
        for line in text.lines() {
            let asked = match line.split_once("> ") {
                Some(("", words)) => Some((Protocol::Resp2, words)),
                Some(("3", words)) => Some((Protocol::Resp3, words)),
                _ => None,
            };
            if let Some((protocol, words)) = asked {
                actual.push_str(&format!("{line}\n{}", answer(&state, protocol, words)));
                skip = true;
                count += 1;
            } else if let Some(name) = line.strip_prefix("= ") {
                state = facts(name);
                actual.push_str(&format!("{line}\n"));
                skip = false;
            } else if !skip {
                actual.push_str(&format!("{line}\n"));
            }
        }
        if bless && actual != text {
            std::fs::write(&path, &actual).unwrap();
            continue;
        }
        assert_eq!(actual, text, "{}", path.display());
    }
    assert!(count > 60, "only {count} requests were found");
}

#[test]
fn no_request_can_panic_it() {
    let facts = healthy();
    let words: [&[u8]; 9] =
        [b"", b"\xff\xfe", b"-1", b"99999999999999999999", b"mymaster", b"*", b"TO", b"SET", b"%s%n"];
    let mut rng = fastrand::Rng::with_seed(7);
    for row in [
        "CKQUORUM",
        "CONFIG",
        "DEBUG",
        "FAILOVER",
        "INFO-CACHE",
        "MONITOR",
        "RESET",
        "SET",
        "MASTER",
        "PAUSE",
        "RESUME",
        "EXPLAIN",
        "X",
    ] {
        for length in 0..7 {
            for _ in 0..50 {
                let mut argv: Vec<&[u8]> = vec![b"SENTINEL", row.as_bytes()];
                argv.extend((0..length).map(|_| words[rng.usize(..words.len())]));
                let mut out = Vec::new();
                let outcome = api::execute(&facts, &argv, &mut Writer::new(&mut out, Protocol::Resp2));
                let silent = matches!(
                    outcome,
                    Outcome::Submit { .. }
                        | Outcome::Status
                        | Outcome::Explain { .. }
                        | Outcome::Incidents { .. }
                        | Outcome::Incident { .. }
                );
                assert_eq!(out.is_empty(), silent, "{argv:?}: {outcome:?}");
            }
        }
    }
}
