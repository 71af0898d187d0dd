//! Real children and a real listener on loopback.

use super::*;
use crate::config::hooks::{Forced, OnError};
use std::os::unix::fs::PermissionsExt;

fn script(dir: &Path, name: &str, text: &str) -> std::path::PathBuf {
    let path = dir.join(name);
    std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
    path
}

fn hook(program: Option<std::path::PathBuf>, url: Option<String>, deadline_milliseconds: u64) -> HookConfig {
    let (on_error, forced) = (OnError::Allow, Forced::Ask);
    HookConfig { program, url, deadline_milliseconds, on_error, forced, allow_private: false }
}

async fn run(path: &Path, words: &[&str], limit_ms: u64) -> Run {
    let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
    // A file that another thread of this process has open for writing while it forks is busy: once more.
    for _ in 0..50 {
        match run_program(path, &words, &[], Duration::from_millis(limit_ms), |_| {}).await {
            Ok(run) => return run,
            Err(why) => assert!(why.contains("busy"), "{why}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{} stays busy", path.display());
}

#[tokio::test]
async fn a_program_says_how_it_ended() {
    let dir = tempfile::tempdir().unwrap();
    let path =
        script(dir.path(), "ends", "echo \"$1 and $2\"; [ \"$3\" = signal ] && kill -TERM $$; exit \"$3\"");
    let ran = run(&path, &["one word", "+sdown", "3"], 20_000).await;
    assert_eq!((ran.ending, ran.said.trim()), (Ending::Exit(3), "one word and +sdown"));
    assert_eq!(run(&path, &["a", "b", "0"], 20_000).await.ending, Ending::Exit(0));
    assert_eq!(run(&path, &["a", "b", "signal"], 20_000).await.ending, Ending::Signal(15));
    let missing = run_program(Path::new("/nowhere/at-all"), &[], &[], Duration::from_secs(1), |_| {}).await;
    assert!(missing.is_err_and(|why| why.contains("cannot run /nowhere/at-all")));
}

#[tokio::test]
async fn one_that_runs_too_long_is_killed_with_its_children_and_reaped() {
    let dir = tempfile::tempdir().unwrap();
    let path = script(dir.path(), "sleeps", "sleep 600 & echo $! > \"$1\"; wait");
    let note = dir.path().join("child");
    let ran = run(&path, &[note.to_str().unwrap()], 1000).await;
    assert_eq!(ran.ending, Ending::TimedOut);
    let child = std::fs::read_to_string(&note).unwrap();
    let stat = format!("/proc/{}/stat", child.trim());
    // Gone, or dead and waiting for its new parent to notice.
    let gone = || {
        let text = std::fs::read_to_string(&stat).unwrap_or_default();
        text.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with('Z'))
    };
    for _ in 0..1000 {
        if gone() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{stat} still lives");
}

async fn verdict_of(hook: HookConfig) -> Verdict {
    let (runner, mut news) = ErrandRunner::new(Logger::root(slog::Discard, slog::o!()));
    runner.ask("m".to_owned(), 7, hook, b"{\"group\":\"m\"}".to_vec());
    match news.recv().await {
        Some(News::Answered { group, epoch: 7, verdict }) if group == "m" => verdict,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_program_may_refuse_and_gives_its_reason() {
    let dir = tempfile::tempdir().unwrap();
    let text = "read -r body; case $body in *'\"group\":\"m\"'*) echo 'not at noon'; exit 1;; esac";
    let path = script(dir.path(), "asks", text);
    run(&path, &[], 20_000).await;
    assert_eq!(verdict_of(hook(Some(path), None, 20_000)).await, Verdict::Deny("not at noon".to_owned()));
    let slow = script(dir.path(), "slow", "sleep 600");
    assert_eq!(run(&slow, &[], 10).await.ending, Ending::TimedOut);
    assert!(matches!(verdict_of(hook(Some(slow), None, 50)).await, Verdict::Failed(_)));
}

#[tokio::test]
async fn a_request_may_refuse_and_only_where_it_may_go() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        for answer in [
            "200 OK\r\ncontent-length: 0",
            "409 Conflict\r\ncontent-length: 11",
            "503 No\r\ncontent-length: 0",
        ] {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut seen = Vec::new();
            while !seen.ends_with(b"{\"group\":\"m\"}") {
                stream.read_buf(&mut seen).await.unwrap();
            }
            assert!(seen.starts_with(b"POST /may-it HTTP/1.1\r\n"));
            let body = if answer.starts_with("409") { "frozen zone" } else { "" };
            let text = format!("HTTP/1.1 {answer}\r\nconnection: close\r\n\r\n{body}");
            stream.write_all(text.as_bytes()).await.unwrap();
        }
    });
    let url = format!("http://127.0.0.1:{port}/may-it");
    assert_eq!(verdict_of(hook(None, Some(url.clone()), 20_000)).await, Verdict::Allow);
    assert_eq!(
        verdict_of(hook(None, Some(url.clone()), 20_000)).await,
        Verdict::Deny("frozen zone".to_owned())
    );
    assert_eq!(
        verdict_of(hook(None, Some(url), 20_000)).await,
        Verdict::Failed("HTTP status 503".to_owned())
    );
    let inside = hook(None, Some("http://169.254.169.254/".to_owned()), 20_000);
    assert!(matches!(verdict_of(inside).await, Verdict::Failed(_)));
}
