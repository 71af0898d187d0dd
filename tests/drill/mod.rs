//! Failover drills from outside: every scenario on real processes, and fleets with something wrong that
//! must not pass.

use crate::processes::fleet::{Fleet, Plan, vedette};
use crate::processes::wire::Wire;
use crate::support::eventually;
use serde_json::Value;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(180);

fn drill(words: &[&str]) -> Command {
    let mut command = Command::new(vedette());
    command.arg("drill").args(words).stdin(Stdio::null());
    command
}

fn cards(output: &Output) -> Vec<Value> {
    let text = String::from_utf8_lossy(&output.stdout);
    let told = String::from_utf8_lossy(&output.stderr);
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}:\n{text}\n{told}"))
}

fn broken(card: &Value) -> Vec<&str> {
    let checks = card["checks"].as_array().unwrap();
    checks
        .iter()
        .filter(|check| check["passed"] == false)
        .map(|check| check["name"].as_str().unwrap())
        .collect()
}

/// Whether a process has this directory on its command line.
fn anybody_names(dir: &std::path::Path) -> bool {
    let name = dir.to_string_lossy().into_owned();
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    processes.into_iter().any(|process| {
        let words = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&words).contains(&name)
    })
}

/// All scenarios pass on a healthy build, each is reported in every form, and nothing is left behind.
#[test]
fn every_scenario_passes_and_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let (html, junit, scratch) =
        (dir.path().join("report.html"), dir.path().join("report.xml"), dir.path().join("scratch"));
    std::fs::create_dir(&scratch).unwrap();
    let output = drill(&["--all", "--down-after", "1000", "--json", "--html"])
        .arg(&html)
        .arg("--junit")
        .arg(&junit)
        .env("TMPDIR", &scratch)
        .output()
        .unwrap();
    let cards = cards(&output);
    let names: Vec<&str> = cards.iter().map(|card| card["scenario"].as_str().unwrap()).collect();
    assert_eq!(names, ["kill", "hang", "isolate", "planned", "leader-and-master", "restart-empty", "flap"]);
    for card in &cards {
        assert_eq!(card["verdict"], "passed", "{}: {}", card["scenario"], card["summary"]);
        assert_eq!(card["writes"]["lost"], 0);
        assert!(card["gap_us"].as_u64().is_some() && card["writes"]["promised"].as_u64() > Some(20));
    }
    assert_eq!(output.status.code(), Some(0));
    let page = std::fs::read_to_string(&html).unwrap();
    assert!(page.contains("All 7 drills passed") && page.matches("<svg").count() == 7);
    let xml = std::fs::read_to_string(&junit).unwrap();
    assert_eq!((xml.matches("<testsuite ").count(), xml.matches("<failure").count()), (7, 0));
    let left: Vec<_> = std::fs::read_dir(&scratch).unwrap().flatten().map(|entry| entry.path()).collect();
    assert!(left.is_empty(), "{left:?}");
    eventually("no process of a fleet is left", || !anybody_names(&scratch));
}

/// Nobody switches within a millisecond: the promises are kept, the objective is not.
#[test]
fn an_objective_that_cannot_be_met_is_missed() {
    let output = drill(&["planned", "--slo-gap-ms", "1", "--json"]).output().unwrap();
    let cards = cards(&output);
    assert_eq!(cards[0]["verdict"], "slo-missed", "{}", cards[0]["summary"]);
    assert_eq!(broken(&cards[0]), ["slo-gap"]);
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn a_mistake_on_the_command_line_is_status_2_and_names_what_there_is() {
    let output = drill(&["dance"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("leader-and-master"));
    let output = drill(&["isolate", "--live", "--yes", "-s", "127.0.0.1:1"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}

/// A drill on a running fleet, followed to its scorecard.
struct Live {
    child: Child,
}

impl Live {
    fn start(fleet: &Fleet, words: &[&str]) -> Self {
        let sentinel = format!("127.0.0.1:{}", fleet.sentinels[0].port);
        let child = drill(words)
            .args(["--live", "--yes", "--json", "--sentinel", &sentinel])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Live { child }
    }

    /// Calls `meanwhile` until it has ended.
    fn follow(mut self, mut meanwhile: impl FnMut()) -> Output {
        let began = Instant::now();
        while self.child.try_wait().unwrap().is_none() {
            assert!(began.elapsed() < PATIENCE, "the drill does not end");
            meanwhile();
            std::thread::sleep(Duration::from_millis(5));
        }
        self.child.wait_with_output().unwrap()
    }
}

fn status(fleet: &Fleet) -> Value {
    let reply = Wire::once(fleet.sentinels[0].port, &["SENTINEL", "STATUS"]);
    reply.and_then(|reply| serde_json::from_str(reply.as_str()?).ok()).unwrap_or(Value::Null)
}

fn keys_left(fleet: &Fleet) -> usize {
    let master = fleet.master().unwrap();
    let keys = Wire::once(master, &["KEYS", "vedette:drill:*"]).unwrap();
    keys.as_array().unwrap().len()
}

/// On a fleet that serves: the master ends by itself, gets its place back, nothing of the drill is
/// left, and the next one is refused until the cool-down is over.
#[test]
fn a_live_kill_passes_and_gives_the_place_back() {
    let mut fleet = Fleet::start(&Plan::default());
    let master = fleet.master().unwrap();
    let index = fleet.index_of(master);
    let live = Live::start(&fleet, &["kill", "--cool-down", "0"]);
    let mut ended = 0;
    let output = live.follow(|| {
        // What systemd does with `Restart=on-failure`.
        if let Some(status) = fleet.data[index].ended() {
            assert!(!status.success(), "{status}");
            ended += 1;
            fleet.data[index].start();
        }
    });
    let cards = cards(&output);
    assert_eq!(cards[0]["verdict"], "passed", "{}\n{}", cards[0]["summary"], fleet.logs());
    assert_eq!((output.status.code(), ended), (Some(0), 1));
    assert_eq!(fleet.master(), Some(master), "the old master has its place back");
    assert_eq!(keys_left(&fleet), 0);
    let status = status(&fleet);
    assert_eq!(status["drills"]["results"][0]["verdict"], "passed", "{}", status["drills"]);
    assert!(status["drills"]["running"].is_null());

    let output = Live::start(&fleet, &["planned"]).follow(|| {});
    assert_eq!(output.status.code(), Some(2));
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("cool-down"), "{told}");
}

/// Somebody removes what WAIT promised, while the drill runs: it must fail, and say so to all.
#[test]
fn a_lost_write_fails_a_live_drill() {
    let fleet = Fleet::start(&Plan::default());
    let live = Live::start(&fleet, &["planned", "--cool-down", "0", "--stay"]);
    let mut removed = 0;
    let output = live.follow(|| {
        if removed > 0 {
            return;
        }
        let Some(master) = fleet.master() else { return };
        let keys = Wire::once(master, &["KEYS", "vedette:drill:*canary"]);
        let key = keys.and_then(|reply| Some(reply.as_array()?.first()?.as_str()?.to_owned()));
        let Some(key) = key else { return };
        for number in 1..=20 {
            let reply = Wire::once(master, &["SREM", &key, &number.to_string()]);
            removed += reply.and_then(|reply| reply.as_integer()).unwrap_or(0);
        }
    });
    assert!(removed > 0, "nothing was removed in time");
    let cards = cards(&output);
    assert_eq!(cards[0]["verdict"], "failed", "{}", cards[0]["summary"]);
    assert!(broken(&cards[0]).contains(&"no-loss"), "{}", cards[0]["summary"]);
    assert_eq!(output.status.code(), Some(1));
    eventually("the fleet tells of it", || {
        let status = status(&fleet);
        let events = status["events"].as_array().cloned().unwrap_or_default();
        events.iter().any(|event| event["kind"] == "+drill-failed")
    });
}

/// From sentinel.yaml: the leader runs it by itself, and a missed objective is an event.
#[test]
fn a_scheduled_drill_runs_by_itself_and_tells_of_a_missed_objective() {
    let extra = "drills:\n  - name: often\n    group: mymaster\n    scenario: planned\n    schedule: \"*/5 * * * * *\"\n    cool-down-seconds: 0\n    slo-gap-ms: 1\n    return-master: no\n";
    let fleet = Fleet::start(&Plan { extra: extra.to_owned(), ..Plan::default() });
    let began = Instant::now();
    let result = loop {
        let drills = status(&fleet)["drills"]["results"].clone();
        if let Some(result) = drills.as_array().and_then(|all| all.iter().find(|r| r["verdict"] != "aborted"))
        {
            break result.clone();
        }
        assert!(
            began.elapsed() < PATIENCE,
            "no scheduled drill ran: {}\n{}",
            status(&fleet)["drills"],
            fleet.logs()
        );
        std::thread::sleep(Duration::from_millis(100));
    };
    assert_eq!((&result["name"], &result["verdict"]), (&"often".into(), &"slo-missed".into()), "{result}");
    let status = status(&fleet);
    let told = status["events"].as_array().unwrap().iter().any(|event| event["kind"] == "+drill-slo-missed");
    assert!(told, "{}", status["events"]);
    assert_eq!(status["drills"]["scheduled"][0]["name"], "often");
}
