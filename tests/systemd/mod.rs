//! The units in `systemd/`: hardened as promised, and at work under a real systemd.
//!
//! The second part boots systemd in throw-away namespaces (`tests/systemd/sandbox`), so it needs root
//! and the packages that `tests/run` installs. Where that is missing it fails and says so.

use std::path::{Path, PathBuf};
use std::process::Command;

const UNITS: [&str; 2] = ["vedette-sentinel@.service", "vedette-server@.service"];
/// Of 10; `systemd-analyze` calls anything below 2 "OK" or better.
const EXPOSURE_MAX: f64 = 2.0;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn units_are_hardened() {
    for unit in UNITS {
        let path = root().join("systemd").join(unit);
        let output = Command::new("systemd-analyze")
            .args(["security", "--offline=true", "--no-pager"])
            .arg(&path)
            .output()
            .expect("systemd-analyze runs; tests/run installs the package systemd");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let verdict =
            text.lines().find(|line| line.contains("Overall exposure level")).unwrap_or_else(|| {
                panic!("no verdict on {unit}: {text}{}", String::from_utf8_lossy(&output.stderr))
            });
        let level: f64 = verdict
            .rsplit(": ")
            .next()
            .and_then(|rest| rest.split(' ').next())
            .and_then(|number| number.parse().ok())
            .unwrap_or_else(|| panic!("no number in: {verdict}"));
        assert!(level < EXPOSURE_MAX, "{unit} is exposed {level}:\n{text}");
    }
}

#[test]
fn units_run_a_fleet_and_replace_what_dies_or_hangs() {
    let scratch = tempfile::Builder::new().prefix("vedette-units-").tempdir_in("/var/tmp").unwrap();
    // The dynamic users of the units must reach the binary; in the sandbox it lies where a package
    // would not put it, so only that path differs from the shipped units.
    let units = scratch.path().join("units");
    std::fs::create_dir(&units).unwrap();
    for unit in UNITS {
        let text = std::fs::read_to_string(root().join("systemd").join(unit)).unwrap();
        let changed = text.replace("ExecStart=/usr/bin/vedette ", "ExecStart=/run/vedette-test/vedette ");
        assert_ne!(text, changed, "{unit} does not start /usr/bin/vedette");
        std::fs::write(units.join(unit), changed).unwrap();
    }
    let binary = PathBuf::from(env!("CARGO_BIN_EXE_vedette"));
    let script = format!(
        "mkdir -m 755 /run/vedette-test && cp {} /run/vedette-test/vedette && exec {} /run/vedette-test/vedette",
        binary.display(),
        root().join("tests/systemd/fleet").display()
    );
    let output = Command::new(root().join("tests/systemd/sandbox"))
        .arg(&units)
        .args(["60", "bash", "-c", &script])
        .output()
        .expect("tests/systemd/sandbox runs");
    let said = String::from_utf8_lossy(&output.stdout);
    let trouble = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}\n{said}\n{trouble}", output.status);
    assert!(said.contains("ok: every unit stopped cleanly"), "{said}");
}
