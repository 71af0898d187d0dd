//! Job queues and a session store: BullMQ (scripts and streams), RQ, Celery, express-session with connect-redis; and redis-py's cache.

use super::{on_both, path, run};
use std::process::Command;

/// Runs a program of tests/clients on both servers.
#[track_caller]
fn works_alike(interpreter: &str, script: &str) {
    let (ours, theirs) = on_both(&[], |server| {
        run(Command::new(interpreter).arg(path("tests/clients").join(script)).arg(server.port.to_string()))
    });
    assert!(theirs.ends_with("\nok\n"), "on redis-server it says:\n{theirs}");
    assert_eq!(ours, theirs);
}

#[test]
fn bullmq_runs_its_jobs() {
    works_alike("node", "bullmq.js");
}

#[test]
fn rq_runs_its_jobs() {
    let python = path("target/venv/bin/python");
    assert!(python.exists(), "{} is missing; tests/run makes it", python.display());
    works_alike(python.to_str().expect("a path in UTF-8"), "rq_jobs.py");
}

#[test]
fn celery_runs_its_jobs() {
    let python = path("target/venv/bin/python");
    assert!(python.exists(), "{} is missing; tests/run makes it", python.display());
    works_alike(python.to_str().expect("a path in UTF-8"), "celery_jobs.py");
}

#[test]
fn redis_py_caches_what_it_reads() {
    let python = path("target/venv/bin/python");
    assert!(python.exists(), "{} is missing; tests/run makes it", python.display());
    works_alike(python.to_str().expect("a path in UTF-8"), "redis_py_cache.py");
}

#[test]
fn express_keeps_its_sessions() {
    works_alike("node", "sessions.mjs");
}
