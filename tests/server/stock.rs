//! A server started from the configuration file of a stock Redis.

use crate::support::{Process, eventually, free_port};
use std::process::{Command, Stdio};

/// What of Redis' own settings this server is asked to do differently, or cannot be compared.
const OTHER: &[&str] = &["bind", "port", "dir", "daemonize", "save", "logfile", "unixsocket"];
/// Where Redis' default is not what is done here; each is refused by name.
const REFUSED: &[&str] = &["io-threads-do-reads", "sanitize-dump-payload"];

fn started(arguments: &[&str]) -> std::process::Child {
    Command::new(env!("CARGO_BIN_EXE_vedette"))
        .arg("server")
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn every_directive_of_redis_is_known_and_its_default_taken_or_refused_by_name() {
    let redis = Process::redis(&[]);
    let all = redis.connect().line("CONFIG GET *");
    let words: Vec<&str> = all.as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
    let home = tempfile::tempdir().unwrap();
    let pid_path = home.path().join("server.pid");
    let mut text = String::from("include more.conf\n");
    let mut refused = String::new();
    for pair in words.chunks_exact(2).filter(|pair| !OTHER.contains(&pair[0])) {
        let value = match pair {
            ["pidfile", _] => pid_path.to_str().unwrap(),
            // Several words where it is set, one where it is shown.
            [name, value] if value.contains(' ') && !name.starts_with("proc-title") => {
                text.push_str(&format!("{name} {value}\n"));
                continue;
            }
            [_, value] => value,
            _ => unreachable!(),
        };
        let lines = if REFUSED.contains(&pair[0]) { &mut refused } else { &mut text };
        lines.push_str(&format!("{} \"{value}\"\n", pair[0]));
    }
    assert!(text.lines().count() > 150, "{text}");
    let conf = home.path().join("redis.conf");
    let more = home.path().join("more.conf");
    let text = text.replace("more.conf", more.to_str().unwrap());
    std::fs::write(&more, "# what is said later counts\nmaxclients 77\nhz 20\n").unwrap();
    let (conf, home) = (conf.display().to_string(), home.path().display().to_string());
    let flags = |port: &str| -> Vec<String> {
        [&conf, "--port", port, "--bind", "127.0.0.1", "--dir", &home].map(str::to_owned).to_vec()
    };
    for line in refused.lines() {
        std::fs::write(&conf, line).unwrap();
        let output = started(&[&conf]).wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let name = line.split(' ').next().unwrap();
        assert!(!output.status.success() && said.contains(&format!("line 1: '{name}'")), "{said}");
    }
    std::fs::write(&conf, &text).unwrap();
    let port = free_port().to_string();
    let flags = flags(&port);
    let mut child = started(&flags.iter().map(String::as_str).collect::<Vec<_>>());
    let ask = |line: &str| {
        let mut wire = crate::support::Wire::try_connect(port.parse().unwrap())?;
        wire.try_ask(&line.split(' ').collect::<Vec<_>>())
    };
    eventually("it answers", || {
        if child.try_wait().unwrap().is_some() {
            let mut said = String::new();
            std::io::Read::read_to_string(child.stderr.as_mut().unwrap(), &mut said).unwrap();
            panic!("it ended: {said}");
        }
        ask("PING").is_some_and(|reply| reply.as_str() == Some("PONG"))
    });
    // The file goes on behind what it includes.
    let hz = ask("CONFIG GET hz").unwrap();
    assert_eq!(hz.as_array().unwrap()[1].as_str(), Some("10"));
    assert_eq!(std::fs::read_to_string(&pid_path).unwrap().trim(), child.id().to_string());
    let names = ask("CONFIG GET *").unwrap();
    let known: Vec<&str> =
        names.as_array().unwrap().iter().step_by(2).filter_map(|name| name.as_str()).collect();
    let missing: Vec<&&str> = words.iter().step_by(2).filter(|name| !known.contains(name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    ask("SHUTDOWN NOSAVE");
    assert!(child.wait().unwrap().success());
    assert!(!pid_path.exists(), "it goes with the process");
}

#[test]
fn what_is_not_done_here_is_refused_with_the_place_and_the_reason() {
    let home = tempfile::tempdir().unwrap();
    let conf = home.path().join("redis.conf");
    let path = conf.display().to_string();
    for (text, what) in [
        ("hz 10\ncluster-enabled yes", "line 2: 'cluster-enabled': there is no cluster mode"),
        ("daemonize yes", "stays in the foreground"),
        ("rename-command CONFIG \"\"", "take 'CONFIG' from users with ACL rules"),
        ("loadmodule /lib/x.so", "/lib/x.so"),
        ("activedefrag yes", "'activedefrag'"),
        ("list-compress-depth 1", "'list-compress-depth'"),
        ("include /nonexistent.conf", "line 1: 'include': /nonexistent.conf cannot be read"),
    ] {
        std::fs::write(&conf, text).unwrap();
        let output = started(&[&path]).wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(what), "{text}: {said}");
    }
    std::fs::write(&conf, format!("include {path}")).unwrap();
    let output = started(&[&path]).wait_with_output().unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("circle"));
}

#[test]
fn huge_pages_are_given_up_unless_they_are_wanted() {
    for (flags, enabled) in [(&[][..], "0"), (&["--disable-thp", "no"][..], "1")] {
        let server = Process::vedette(flags);
        let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("THP_enabled:"));
        // An older kernel does not tell.
        assert!(line.is_none_or(|line| line.trim() == enabled), "{flags:?}: {line:?}");
    }
}
