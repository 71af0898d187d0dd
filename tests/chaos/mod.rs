//! The chaos run in small, so that it cannot rot: two faults on a fleet of bundled servers, judged by what
//! its clients recorded. In full it is `tests/chaos/run`.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

fn here(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/chaos").join(name)
}

#[test]
fn the_judges_find_what_was_planted() {
    let output = Command::new("python3")
        .arg(here("test_checks.py"))
        .stdin(Stdio::null())
        .output()
        .expect("python3 (the Debian package is 'python3')");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_killed_and_a_cut_off_master_lose_nothing_that_was_promised() {
    let dir = tempfile::tempdir().unwrap();
    let found = dir.path().join("found.json");
    let output = Command::new("python3")
        .arg(here("run"))
        .args([
            "--only",
            "vedette",
            "--scenario",
            "kill-master",
            "--scenario",
            "minority",
            "--calm",
            "2",
            "--json",
        ])
        .arg(&found)
        .env("VEDETTE", env!("CARGO_BIN_EXE_vedette"))
        .env("TMPDIR", dir.path())
        .env_remove("KEEP")
        .stdin(Stdio::null())
        .output()
        .expect("python3 (the Debian package is 'python3')");
    let told =
        format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let text = std::fs::read_to_string(&found).unwrap_or_else(|error| panic!("{error}:\n{told}"));
    let rows: Vec<(String, String, Value)> = serde_json::from_str(&text).unwrap();
    // Without root there are no cables to cut, and one of the two is left out.
    assert!(!rows.is_empty(), "{told}");
    for (scenario, _, figures) in rows {
        assert!(figures["acked"].as_u64() > Some(100), "{scenario}: hardly anything was done\n{told}");
        assert!(figures["failovers"].as_u64() >= Some(1), "{scenario}\n{told}");
        assert!(figures["converged_s"].is_number(), "{scenario}\n{told}");
        // How many failovers a starved machine sees is its own affair; these hold on any.
        for nothing in
            ["lost_waited", "old_acks", "wiped", "epochs_shared", "locks_overlap", "lists", "told_twice"]
        {
            assert_eq!(figures[nothing].as_u64(), Some(0), "{scenario}: {nothing}\n{told}");
        }
    }
}
