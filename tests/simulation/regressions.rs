//! Schedules that once failed, each as small as it could be made, in `regressions`. What found something
//! once is run for ever.

use super::schedule::{read, write};
use super::{report, run};
use std::path::PathBuf;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/simulation/regressions")
}

#[test]
fn what_failed_once_is_mended_for_ever() {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder())
        .expect("tests/simulation/regressions is there")
        .map(|entry| entry.expect("it can be read").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "schedule"))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "no schedule is kept in {}", folder().display());
    for file in files {
        let text = std::fs::read_to_string(&file).expect("it can be read");
        let (plan, faults) = read(&text).unwrap_or_else(|why| panic!("{}: {why}", file.display()));
        let outcome = run(plan.clone(), faults.clone());
        if outcome.failure.is_some() {
            panic!("{}\n{}", file.display(), report(&plan, &outcome));
        }
        assert!(write(&plan, &faults).lines().count() == faults.len() + 1);
    }
}
