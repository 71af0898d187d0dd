//! What a person sees who types something wrong, or asks a fleet that is not there.

use std::process::{Command, Output};

fn vedette(words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_vedette")).args(words).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_wrong_command_line_ends_with_status_2() {
    for words in
        [&["frobnicate"][..], &["status", "--sentinel", "nonsense"], &["up", "--sentinels", "0"], &[]]
    {
        let output = vedette(words);
        assert_eq!(output.status.code(), Some(2), "{words:?}: {}", said(&output));
    }
}

#[test]
fn an_unknown_directive_is_named() {
    let output = vedette(&["server", "--prot", "1"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("prot"), "{}", said(&output));
}

#[test]
fn nobody_listening_is_a_sentence_with_a_remedy() {
    // Bound but not listening: the port is refused, and nobody else can take it meanwhile.
    let holder = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    holder.bind(&std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    let free = holder.local_addr().unwrap().as_socket().unwrap().to_string();
    let output = vedette(&["status", "--sentinel", &free]);
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains(&free) && said(&output).contains("--sentinel"), "{}", said(&output));
    assert!(output.stdout.is_empty());
}

#[test]
fn check_says_everything_that_is_wrong_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("sentinel.yaml");
    let text = "id: 7\ndir: x\npeers:\n  - { id: 1, address: \"127.0.0.1:26379\" }\nmasters:\n  \
                - { name: \"a b\", address: \"127.0.0.1:6379\", quorum: 5 }\n";
    std::fs::write(&file, text).unwrap();
    let output = vedette(&["check", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2));
    for part in ["id 7", "a b", "quorum"] {
        assert!(said(&output).contains(part), "{part} is missing: {}", said(&output));
    }
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/sentinel.yaml");
    let output = vedette(&["check", shipped]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
}

#[test]
fn completions_and_manual_are_printed() {
    let completions = vedette(&["completions", "bash"]);
    assert!(String::from_utf8_lossy(&completions.stdout).contains("_vedette"));
    let manual = vedette(&["man"]);
    assert!(String::from_utf8_lossy(&manual.stdout).contains(".TH vedette"));
}

#[test]
fn a_child_does_not_outlive_the_parent_it_names() {
    let output = vedette(&["--parent", "1", "status"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("parent process 1 is gone"), "{}", said(&output));
}
