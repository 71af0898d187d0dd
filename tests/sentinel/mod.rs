//! Stories of a fleet, told by scripts and held word for word. A line `> words` is what happens;
//! what follows is all that was told and done because of it. `VEDETTE_BLESS=1` writes down what is
//! told now, for a person to read before it is committed.

mod illness;
mod incidents;
mod node;
mod storm;
mod world;

use std::path::Path;
use vedette::model::Address;
use vedette::sentinel::{Command, Verdict, Wish};
use world::World;

fn step(world: &mut Option<World>, line: &str) -> Vec<String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    if let ["world", options @ ..] = words.as_slice() {
        let option = |name: &str, default: &str| {
            let value = options.iter().find_map(|o| o.strip_prefix(name).and_then(|o| o.strip_prefix('=')));
            value.unwrap_or(default).to_owned()
        };
        *world = Some(World::new(
            option("sentinels", "3").parse().unwrap(),
            option("replicas", "2").parse().unwrap(),
            !options.contains(&"stock"),
            &match option("hook", "").as_str() {
                "" => option("mode", "safe"),
                on_error => format!(
                    "{}\n    hooks: {{ pre-failover: {{ program: /ask, deadline-milliseconds: 300, on-error: {on_error} }} }}",
                    option("mode", "safe")
                ),
            },
            option("groups", "1").parse().unwrap(),
            option("blast", "0").parse().unwrap(),
        ));
        return Vec::new();
    }
    let world = world.as_mut().expect("a script begins with a world");
    if words[0] != "run" {
        world.mark();
    }
    let address = |port: &str| Address::new("127.0.0.1", port.parse().unwrap());
    match words.as_slice() {
        ["run", ms] => world.run(ms.parse().unwrap()),
        ["kill", port] => world.kill(&address(port)),
        ["pause", port] => world.nodes.get_mut(&address(port)).unwrap().paused = true,
        ["resume", port] => world.nodes.get_mut(&address(port)).unwrap().paused = false,
        ["hide", port] => world.nodes.get_mut(&address(port)).unwrap().hidden = true,
        ["show", port] => world.nodes.get_mut(&address(port)).unwrap().hidden = false,
        ["restart", port] => world.nodes.get_mut(&address(port)).unwrap().restart(false),
        ["restart", port, "empty"] => world.nodes.get_mut(&address(port)).unwrap().restart(true),
        ["restart", port, "alone", how] => {
            world.nodes.get_mut(&address(port)).unwrap().restart_alone(*how == "append-only");
        }
        // The host is gone without a word: what was connected stays so, and nothing comes any more.
        ["vanish", port] => world.vanish(&address(port)),
        ["clock", step] => world.step_clock(step.parse().unwrap()),
        ["behind", port, bytes] => {
            let node = world.nodes.get_mut(&address(port)).unwrap();
            node.offset -= bytes.parse::<u64>().unwrap();
        }
        // Somebody else's commands and somebody else's data.
        ["follow", port, master] => {
            let master = address(master);
            world.nodes.get_mut(&address(port)).unwrap().follow(master);
        }
        ["promote", port] => world.nodes.get_mut(&address(port)).unwrap().become_master(),
        ["write", port, bytes] => {
            world.nodes.get_mut(&address(port)).unwrap().offset += bytes.parse::<u64>().unwrap();
        }
        // FLUSHALL, by somebody who knows what he does.
        ["flush", port] => {
            let node = world.nodes.get_mut(&address(port)).unwrap();
            (node.keys, node.offset, node.synced) = (0, 0, false);
        }
        ["foreign", port] => world.nodes.get_mut(&address(port)).unwrap().take_foreign_data(),
        ["hook", "silent"] => world.hook = None,
        ["hook", "allow", ms] => world.hook = Some((ms.parse().unwrap(), Verdict::Allow)),
        ["hook", "deny", reason @ ..] => world.hook = Some((5, Verdict::Deny(reason.join(" ")))),
        ["simulate", flags] => {
            let leader = world.leader();
            world.sentinels.get_mut(&leader).unwrap().simulate_failure(flags.parse().unwrap());
        }
        // It lives, and says what ails it; `none` heals.
        ["rename", old, new] => {
            for node in world.nodes.values_mut() {
                node.renamed.push(((*old).to_owned(), (*new).to_owned()));
            }
        }
        ["ail", port, illness] => {
            world.nodes.get_mut(&address(port)).unwrap().illness = illness::Illness::named(illness);
        }
        ["config", port, count, lag] => {
            let node = world.nodes.get_mut(&address(port)).unwrap();
            node.min_replicas = ((*count).to_owned(), (*lag).to_owned());
        }
        ["counts", port, said] => {
            world.nodes.get_mut(&address(port)).unwrap().slow_to_count = *said == "no";
        }
        ["set", name, value @ ..] => world.command(&Command::Set {
            name: "m".into(),
            options: vec![((*name).to_owned(), value.join(" "))],
        }),
        // SENTINEL CONFIG SET, as it reaches the leader.
        ["fleet", name, value] => {
            world.command(&Command::Configure { options: vec![((*name).to_owned(), (*value).to_owned())] })
        }
        ["blind", "leader", port] => world.blind_leader(&address(port), true),
        ["see"] => world.blind_leader(&address("1"), false),
        ["disk", "of", "leader", "fails"] => world.fail_disk_of_leader(),
        ["stop", "leader"] => world.stop_leader(),
        ["isolate", "leader"] => world.isolate(world.leader()),
        ["asleep", ms] => world.sleep(ms.parse().unwrap()),
        ["failover", options @ ..] => {
            // A port alone stands for its address, `AT` counts from now.
            let mut words: Vec<String> = Vec::new();
            for option in options {
                words.push(match (words.last().map(String::as_str), option.parse::<u64>()) {
                    (Some("TO"), Ok(port)) => format!("127.0.0.1:{port}"),
                    (Some("AT"), Ok(ms)) => world.wall_in(ms),
                    _ => (*option).to_owned(),
                });
            }
            let words: Vec<&[u8]> = words.iter().map(String::as_bytes).collect();
            match Wish::parse(&words) {
                Ok(wish) => world.command(&Command::Failover { name: "m".into(), wish }),
                Err(error) => world.transcript.push(error),
            }
        }
        ["incidents"] => {
            let lines = world.incidents();
            world.transcript.extend(lines);
        }
        ["sentinel", rest @ ..] => {
            let argv: Vec<&[u8]> =
                std::iter::once("SENTINEL").chain(rest.iter().copied()).map(str::as_bytes).collect();
            world.command(&Command::from_client(&argv).expect("a command that is understood"));
        }
        ["explain"] => {
            let lines = world.explain();
            world.transcript.extend(lines);
        }
        ["priority", port, value] => {
            world.nodes.get_mut(&address(port)).unwrap().priority = value.parse().unwrap();
        }
        ["situation"] => {
            let lines = world.situation();
            world.transcript.extend(lines);
        }
        ["look"] => {
            let lines = world.describe();
            world.transcript.extend(lines);
        }
        other => panic!("unknown step {other:?}"),
    }
    world.check();
    std::mem::take(&mut world.transcript)
}

fn play(script: &str) -> String {
    let mut world = None;
    let mut out = String::new();
    for line in script.lines().filter(|line| line.starts_with(['>', '#'])) {
        out.push_str(line);
        out.push('\n');
        if let Some(words) = line.strip_prefix('>') {
            for told in step(&mut world, words) {
                out.push_str(&told);
                out.push('\n');
            }
        }
    }
    out
}

#[test]
fn stories_end_as_they_are_told() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts/sentinel");
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(!paths.is_empty());
    let mut different = Vec::new();
    for path in paths {
        let script = std::fs::read_to_string(&path).unwrap();
        let played = play(&script);
        if std::env::var_os("VEDETTE_BLESS").is_some() {
            std::fs::write(&path, &played).unwrap();
        } else if played != script {
            different.push(format!("{}:\n{played}", path.display()));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}
