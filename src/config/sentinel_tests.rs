//! `sentinel.yaml` as people get it right and wrong.

use super::*;
use crate::config::validate::warnings;

const MINIMAL: &str = "
id: 1
dir: /var/lib/vedette/sentinel-1
peers:
  - { id: 1, address: \"127.0.0.1:26379\" }
  - { id: 2, address: \"127.0.0.1:26479\" }
  - { id: 3, address: \"127.0.0.1:26579\" }
masters:
  - name: mymaster
    address: 127.0.0.1:6379
";

/// The annotated file as shipped, and with its commented-out examples switched on.
fn annotated() -> (String, String) {
    let shipped = include_str!("../../sentinel.yaml").to_owned();
    let all_on = shipped
        .lines()
        .filter(|line| !line.ends_with(": []"))
        .map(|line| match line.trim_start().strip_prefix('#') {
            Some(setting) if setting.starts_with(|c: char| c.is_ascii_lowercase() || c == ' ') => {
                let indent = &line[..line.len() - line.trim_start().len()];
                // Prose is "# Text"; inside the webhooks block "#  - name" is a setting.
                if setting.starts_with(' ') && !setting.starts_with("  ") {
                    line.to_owned()
                } else {
                    format!("{indent}{setting}")
                }
            }
            _ => line.to_owned(),
        })
        .collect::<Vec<_>>()
        .join("\n");
    (shipped, all_on)
}

#[test]
fn the_annotated_file_shows_the_defaults() {
    let (shipped, _) = annotated();
    assert_eq!(parse(&shipped).unwrap(), parse(MINIMAL).unwrap());
    assert_eq!(warnings(&parse(&shipped).unwrap()), Vec::<String>::new());
}

#[test]
fn the_annotated_file_names_every_key() {
    let (_, all_on) = annotated();
    let config = parse(&all_on).unwrap();
    assert!(config.http.is_some() && config.requirepass_file.is_some());
    assert!(config.cluster_secret_file.is_some());
    assert!(config.masters[0].auth_user.is_some() && config.masters[0].auth_pass_file.is_some());
    // Whatever key the types have, the file has: a new setting without its line fails here.
    let keys = |value: &serde_yaml::Value| -> Vec<String> {
        let map = value.as_mapping().unwrap();
        map.keys().map(|key| key.as_str().unwrap().to_owned()).collect()
    };
    let types = serde_yaml::to_value(&config).unwrap();
    let file: serde_yaml::Value = serde_yaml::from_str(&all_on).unwrap();
    for path in ["", "raft", "masters", "webhooks", "peers"] {
        let at = |root: &serde_yaml::Value| match root.get(path) {
            None => root.clone(),
            Some(value) => value.as_sequence().map_or(value.clone(), |items| items[0].clone()),
        };
        let missing: Vec<String> =
            keys(&at(&types)).into_iter().filter(|key| !keys(&at(&file)).contains(key)).collect();
        assert!(missing.is_empty(), "{path}: {missing:?} are missing from sentinel.yaml");
    }
}

#[test]
fn unreadable_text_is_refused_with_its_place() {
    for (text, at, part) in [
        ("id: 1\nprot: 3\n", (2, 1), "unknown field `prot`"),
        ("id: 1\ndir: /x\npeers: []\nmasters:\n  - nam: x\n", (5, 5), "unknown field `nam`"),
        ("id: 1\ndir: /x\npeers:\n  - { id: 1, address: here }\n", (4, 5), "expected host:port"),
        ("id: 1\ndir: /x\npeers: []\nprotected-mode: perhaps\n", (4, 1), "yes or no"),
        ("id: one\ndir: /x\n", (1, 5), "invalid type"),
        ("id: 1\ndir: 'x\n", (3, 1), "unexpected end of stream"),
    ] {
        let errors = parse(text).unwrap_err();
        assert_eq!(errors.len(), 1);
        assert!(errors[0].message.contains(part), "{text}: {}", errors[0]);
        assert_eq!(errors[0].at, Some(at), "{text}: {}", errors[0]);
        assert_eq!(errors[0].to_string().matches(" column ").count(), 1, "{}", errors[0]);
    }
    assert!(parse("dir: /x\n").unwrap_err()[0].message.contains("missing field `id`"));
    assert!(parse("").is_err());
    assert!(parse(&" ".repeat(TEXT_BYTES_MAX + 1)).unwrap_err()[0].message.contains("larger than 1 MB"));
}

#[test]
fn each_rule_names_its_key_and_remedy() {
    // One change to a good file, the key it breaks, and a word of the remedy.
    let webhook = "webhooks:\n  - { name: ops, url: \"https://ops.example/hook\" }\n";
    let good = format!("{MINIMAL}{webhook}");
    assert!(parse(&good).is_ok());
    let cases: &[(&str, &str, &str, &str)] = &[
        ("id: 1\ndir", "id: 0\ndir", "id", "from 1 on"),
        ("id: 1\ndir", "id: 9\ndir", "peers", "add it"),
        ("id: 2,", "id: 1,", "peers[1].id", "its own"),
        ("id: 2,", "id: 0,", "peers[1].id", "from 1"),
        ("127.0.0.1:26479", "127.0.0.1:26379", "peers[1].address", "its own"),
        ("127.0.0.1:26479", "10.0.0.2:26479", "cluster-secret-file", "secret"),
        ("dir:", "port: 0\ndir:", "port", "26379"),
        ("dir:", "bind: \"\"\ndir:", "bind", "listen"),
        ("dir:", "http: 127.0.0.1:26379\ndir:", "http", "26380"),
        ("dir: /var/lib/vedette/sentinel-1", "dir: \"\"", "dir", "directory"),
        ("name: mymaster", "name: \"my master\"", "masters[0].name", "letters"),
        ("address: 127.0.0.1:6379", "address: 127.0.0.1:6379\n    quorum: 0", "masters[0].quorum", "1 or"),
        ("address: 127.0.0.1:6379", "address: 127.0.0.1:6379\n    quorum: 4", "masters[0].quorum", "lower"),
        (
            "address: 127.0.0.1:6379",
            "address: 127.0.0.1:6379\n    down-after-milliseconds: 1",
            "masters[0].down-after-milliseconds",
            "from 10",
        ),
        (
            "address: 127.0.0.1:6379",
            "address: 127.0.0.1:6379\n    failover-timeout: 1",
            "masters[0].failover-timeout",
            "from 100",
        ),
        (
            "address: 127.0.0.1:6379",
            "address: 127.0.0.1:6379\n    parallel-syncs: 0",
            "masters[0].parallel-syncs",
            "1 or more",
        ),
        (
            "address: 127.0.0.1:6379",
            "address: 127.0.0.1:6379\n    auth-user: me",
            "masters[0].auth-user",
            "auth-pass-file",
        ),
        ("webhooks:", "  - { name: mymaster, address: \"h:1\" }\nwebhooks:", "masters[1].name", "rename"),
        (
            "webhooks:",
            "  - { name: other, address: \"127.0.0.1:6379\" }\nwebhooks:",
            "masters[1].address",
            "one group",
        ),
        ("webhooks:", "webhooks:\n  - { name: ops, url: \"http://a/b\" }", "webhooks[1].name", "rename"),
        ("https://ops.example", "ftp://ops.example", "webhooks[0].url", "https://"),
        ("https://ops.example", "https://:80", "webhooks[0].url", "https://"),
        ("https://ops.example", "https://ops.example:port", "webhooks[0].url", "https://"),
        ("name: ops,", "name: ops, format: fax,", "webhooks[0].format", "generic"),
        ("name: ops,", "name: ops, events: [\"+nothing\"],", "webhooks[0].events[0]", "+switch-master"),
        ("dir:", "lease-milliseconds: 5\ndir:", "lease-milliseconds", "from 100"),
        (
            "dir:",
            "raft: { heartbeat-milliseconds: 200 }\ndir:",
            "raft.election-milliseconds-min",
            "three heartbeats",
        ),
        (
            "dir:",
            "raft: { election-milliseconds-max: 300 }\ndir:",
            "raft.election-milliseconds-max",
            "twice the minimum",
        ),
    ];
    for (from, to, key, remedy) in cases {
        assert!(good.contains(from), "{from}");
        let text = good.replacen(from, to, 1);
        let errors = parse(&text).expect_err(to);
        assert_eq!(errors.len(), 1, "{to}: {errors:?}");
        assert_eq!((errors[0].at, errors[0].key.as_str()), (None, *key), "{to}: {}", errors[0]);
        assert!(errors[0].message.contains(remedy), "{to}: {}", errors[0]);
    }
}

#[test]
fn doubtful_fleets_are_warned_about() {
    let text = MINIMAL.replace("  - { id: 3, address: \"127.0.0.1:26579\" }\n", "");
    assert!(warnings(&parse(&text).unwrap())[0].contains("odd number"));
    let text = MINIMAL.replace("dir:", "port: 7000\ndir:");
    assert!(warnings(&parse(&text).unwrap())[0].contains("port mapping"));
}

#[test]
fn yes_and_true_are_both_understood() {
    for (word, value) in [("yes", true), ("true", true), ("no", false), ("false", false)] {
        let text = format!("{MINIMAL}protected-mode: {word}\n");
        assert_eq!(parse(&text).unwrap().protected_mode, value);
    }
}
