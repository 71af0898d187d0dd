//! The house keeps its own rules: who may import whom, what pure folders may not touch, how long a
//! file may grow, and that each says what it is. Reads `src/` as text.

use std::fs;
use std::path::{Path, PathBuf};

/// A folder and what it may import, lowest first. What is not named is forbidden.
const LAYERS: &[(&str, &str)] = &[
    ("stdx", ""),
    ("model", "stdx"),
    ("drill", "stdx model"),
    ("resp", "stdx model"),
    ("config", "stdx model resp"),
    ("store", "stdx model"),
    ("rdb", "stdx model store"),
    ("commands", "stdx model config resp store rdb"),
    ("session", "stdx model config resp"),
    ("server", "stdx model config resp store rdb commands session"),
    ("consensus", "stdx model"),
    ("sentinel", "stdx model config resp session consensus"),
    ("agent", "stdx model resp"),
    ("redlock", "stdx resp"),
    ("alerts", "stdx model config"),
    ("observe", "stdx model config"),
    ("net", "stdx model config resp rdb session server consensus sentinel alerts observe"),
    ("disk", "stdx model config resp store rdb server consensus"),
    (
        "daemon",
        "stdx model config resp store rdb commands session server consensus sentinel agent redlock alerts observe net disk drill",
    ),
    ("cli", "stdx model config resp redlock alerts observe net disk daemon drill"),
];

const SHELLS: &[&str] = &["net", "disk", "daemon", "cli"];

/// What only a shell may say: clocks, dice, sockets, files, threads.
const IMPURE: &[&str] = &[
    "SystemTime::now",
    "Instant::now",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "UnixStream",
    "ToSocketAddrs",
    "std::fs",
    "std::env",
    "std::process",
    "thread::sleep",
    "thread::spawn",
    "tokio::",
    "getrandom::",
    "rand::rng",
    "rand::thread_rng",
    "rand::random",
    "Rng::new()",
    "clock_gettime",
];

const LINES_MAX: usize = 600;

#[test]
fn imports_go_down_only() {
    let mut broken = Vec::new();
    for (path, text) in sources("src") {
        let Some(folder) = folder(&path) else { continue };
        let Some((_, allowed)) = LAYERS.iter().find(|(name, _)| *name == folder) else {
            broken.push(format!("src/{folder} has no row in the table of tests/layers.rs"));
            continue;
        };
        for (number, used) in crate_paths(&code(&text)) {
            let known = LAYERS.iter().any(|(name, _)| *name == used);
            if known && used != folder && !allowed.split(' ').any(|name| name == used) {
                broken.push(format!("{}:{number}: {folder} may not import {used}", path.display()));
            }
        }
    }
    assert!(broken.is_empty(), "imports that go up or sideways:\n{}", broken.join("\n"));
}

#[test]
fn the_table_itself_goes_down_only() {
    for (index, (name, allowed)) in LAYERS.iter().enumerate() {
        for used in allowed.split(' ').filter(|used| !used.is_empty()) {
            let below = LAYERS[..index].iter().any(|(lower, _)| *lower == used);
            assert!(below, "{name} imports {used}, which does not stand above its row");
        }
    }
    let allowed = |name: &str| LAYERS.iter().find(|row| row.0 == name).unwrap().1.to_owned();
    assert!(!allowed("sentinel").split(' ').any(|used| used == "server"));
    assert!(!allowed("server").split(' ').any(|used| used == "sentinel"));
}

#[test]
fn cores_touch_no_clock_die_socket_file_or_thread() {
    let mut broken = Vec::new();
    for (path, text) in sources("src") {
        if folder(&path).is_none_or(|folder| SHELLS.contains(&folder.as_str())) {
            continue;
        }
        for (index, line) in code(without_tests(&text)).lines().enumerate() {
            for word in IMPURE.iter().filter(|word| line.contains(**word)) {
                broken.push(format!("{}:{}: {word}", path.display(), index + 1));
            }
        }
    }
    assert!(broken.is_empty(), "a core may not say:\n{}", broken.join("\n"));
}

#[test]
fn files_are_short_and_say_what_they_are() {
    let mut broken = Vec::new();
    for (path, text) in sources("src").into_iter().chain(sources("tests")) {
        let lines = text.lines().count();
        if lines > LINES_MAX {
            broken.push(format!("{}: {lines} lines; split it by meaning", path.display()));
        }
        if !text.starts_with("//!") {
            broken.push(format!("{}: no `//!` head", path.display()));
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn every_spelling_of_an_import_is_seen() {
    let text = "use crate::store;\nuse crate::{model::Address, resp};\nlet x = crate::net::dial();\n\
                use crate::{\n    config::{a, b},\n    disk,\n};\n// use crate::cli;\n";
    let used: Vec<String> = crate_paths(&code(text)).into_iter().map(|(_, name)| name).collect();
    assert_eq!(used, ["store", "model", "resp", "net", "config", "disk"]);
}

fn sources(under: &str) -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut waiting = vec![root.join(under)];
    let mut found = Vec::new();
    while let Some(folder) = waiting.pop() {
        for entry in fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())) {
            let path = entry.unwrap().path();
            if path.is_dir() {
                waiting.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                found.push((path.strip_prefix(root).unwrap().to_owned(), text));
            }
        }
    }
    assert!(!found.is_empty());
    found.sort();
    found
}

/// `src/store/list.rs` and `src/store.rs` are of `store`; `main.rs` and `lib.rs` are of nobody.
fn folder(path: &Path) -> Option<String> {
    let below = path.strip_prefix("src").ok()?;
    let first = below.components().next()?.as_os_str().to_str()?;
    (first != "main.rs" && first != "lib.rs").then(|| first.trim_end_matches(".rs").to_owned())
}

/// Comment lines blanked, so that line numbers stay.
fn code(text: &str) -> String {
    let lines = text.lines().map(|line| if line.trim_start().starts_with("//") { "" } else { line });
    lines.collect::<Vec<_>>().join("\n")
}

fn without_tests(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod ").next().unwrap_or(text)
}

/// The first word after every `crate::`, with its line; groups in braces are opened.
fn crate_paths(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices("crate::") {
        let number = text[..at].lines().count().max(1);
        let rest = &text[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            None => found.push((number, word(rest))),
            Some(group) => {
                let mut depth = 0;
                let mut expects_name = true;
                for (index, letter) in group.char_indices() {
                    match letter {
                        '{' => depth += 1,
                        '}' if depth == 0 => break,
                        '}' => depth -= 1,
                        ',' if depth == 0 => expects_name = true,
                        _ if expects_name && depth == 0 && !letter.is_whitespace() => {
                            found.push((number, word(&group[index..])));
                            expects_name = false;
                        }
                        _ => {}
                    }
                }
            }
        }
    }
    found
}

fn word(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}
