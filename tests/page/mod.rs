//! The status page as a person meets it: a real fleet in a real browser (headless Chromium). The
//! script drives the page; what happens to the fleet meanwhile happens here.

use crate::processes::fleet::{Fleet, Plan};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Ends with the test, however that ends.
struct Script(Child);

impl Drop for Script {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The `http` address in a sentinel's configuration.
fn page_of(fleet: &Fleet, sentinel: usize) -> String {
    let config = fleet.dir.path().join(format!("sentinel-{}.yaml", sentinel + 1));
    let text = std::fs::read_to_string(config).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("http: ")).unwrap();
    format!("http://{line}/")
}

#[test]
fn a_person_sees_a_failover_and_makes_one() {
    let secrets = tempfile::tempdir().unwrap();
    let secret = secrets.path().join("ops.secret");
    std::fs::write(&secret, "a long enough secret\n").unwrap();
    std::fs::set_permissions(&secret, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let extra = format!("http-users:\n  - name: ops\n    secret-file: {}\n    may: act\n", secret.display());
    let mut fleet = Fleet::start(&Plan { extra, ..Plan::default() });
    let first = fleet.master().unwrap();
    // A page of a follower shows the same, and passes actions on.
    let follower = (fleet.leader() + 1) % 3;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/page/person.py");
    let child = Command::new("python3")
        .arg(script)
        .args([page_of(&fleet, follower), first.to_string(), "ops".into(), "a long enough secret".into()])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .expect("python3 (the Debian package is 'python3')");
    let mut script = Script(child);
    let lines = BufReader::new(script.0.stdout.take().unwrap()).lines();
    let mut said = Vec::new();
    for line in lines {
        let line = line.unwrap();
        if line == "kill the master" {
            let index = fleet.index_of(first);
            fleet.data[index].kill();
        }
        said.push(line);
    }
    let status = script.0.wait().unwrap();
    assert!(status.success(), "{}\n{}", said.join("\n"), fleet.logs());
    assert_eq!(said.last().map(String::as_str), Some("done"), "{said:?}");
    let moved: u16 = said.iter().find_map(|line| line.strip_prefix("moved to ")).unwrap().parse().unwrap();
    fleet.wait("every sentinel names what the page shows", Duration::from_secs(20), || {
        fleet.sentinels.iter().all(|sentinel| fleet.named_by(sentinel) == Some(moved))
    });
}
