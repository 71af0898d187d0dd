//! Golden scripts of the consensus core, and a dice cup over the same fleet.
//!
//! A script is blocks of commands, `---`, and what they caused. `UPDATE=1 cargo test` rewrites the
//! second half of each; read the difference before you keep it.
//!
//! | command | what it does |
//! |---|---|
//! | `fleet SIZE [SEED]` | new empty voters 1..SIZE |
//! | `run MS` | time passes, messages arrive after 1 ms |
//! | `elect` | time passes until somebody leads and is current |
//! | `propose ID VALUE` | ask a node to have a value agreed |
//! | `cut ID`, `heal ID` | no message from or to it from now on; undone |
//! | `stop ID`, `start ID`, `wipe ID` | end it, start it from its disk, end it and lose its disk |
//! | `age ID COUNT` | drop the newest COUNT entries of a stopped node's disk: an old backup |
//! | `pause ID MS` | the node sleeps through MS while others run, then gets what was sent to it |
//! | `compact ID` | its owner takes a snapshot |
//! | `hand-over ID` | a leader gives its place away |
//! | `join ID` | a new node that knows nobody |
//! | `learner BY ID`, `promote BY ID`, `remove BY ID`, `replace BY NEW OLD` | ask BY to change the members |
//! | `members` | who takes part, as each node knows it |
//! | `trace on`, `trace off` | also tell of every commit and message |
//! | `state` | one line for each node |

mod chaos;
pub mod fleet;

use fleet::Fleet;
use std::fmt::Write;
use std::path::Path;
use vedette::consensus::{Change, Consensus};

#[test]
fn golden_scripts() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts/consensus");
    let mut scripts: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|e| e.unwrap().path()).collect();
    scripts.sort();
    assert!(!scripts.is_empty());
    let mut wrong = Vec::new();
    for path in scripts {
        let script = std::fs::read_to_string(&path).unwrap();
        let played = play(&script);
        if played == script {
            continue;
        }
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&path, played).unwrap();
        } else {
            wrong.push(format!("{}:\n{}", path.display(), first_difference(&script, &played)));
        }
    }
    assert!(wrong.is_empty(), "{}\nUPDATE=1 rewrites what was expected", wrong.join("\n"));
}

fn first_difference(expected: &str, played: &str) -> String {
    let mut lines = expected.lines().zip(played.lines()).enumerate();
    match lines.find(|(_, (a, b))| a != b) {
        Some((at, (a, b))) => format!("  line {}\n  expected {a}\n  played   {b}", at + 1),
        None => "  one is longer than the other".to_owned(),
    }
}

fn play(script: &str) -> String {
    let mut fleet = Fleet::new(1, 1, 1000);
    let mut played = String::new();
    for block in script.split("\n\n").map(str::trim_end).filter(|block| !block.is_empty()) {
        let commands = block.split("\n---").next().unwrap_or("");
        if !played.is_empty() {
            played.push('\n');
        }
        played.push_str(commands);
        played.push('\n');
        let mut silent = true;
        for command in commands.lines().filter(|line| !line.starts_with('#')) {
            silent = false;
            if let Some(note) = execute(&mut fleet, command) {
                fleet.story.push(note);
            }
        }
        if !silent {
            played.push_str("---\n");
        }
        for line in fleet.story.drain(..) {
            let _ = writeln!(played, "{line}");
        }
    }
    played
}

fn execute(fleet: &mut Fleet, command: &str) -> Option<String> {
    let words: Vec<&str> = command.split_whitespace().collect();
    let number = |at: usize| words.get(at).and_then(|word| word.parse::<u64>().ok());
    let id = number(1).unwrap_or(0);
    match words[0] {
        "fleet" => *fleet = Fleet::new(id, number(2).unwrap_or(1), 1000),
        "run" => fleet.run(id),
        "elect" => {
            let deadline = fleet.now_ms + 10_000;
            while fleet.leader().is_none() && fleet.now_ms < deadline {
                fleet.step();
            }
            fleet.leader().is_none().then(|| fleet.story.push("nobody leads".to_owned()));
        }
        "propose" => match fleet.propose(id, words[2]) {
            Ok(index) => return Some(format!("index {index}")),
            Err(error) => return Some(format!("refused: {error}")),
        },
        "cut" => drop(fleet.cut.insert(id)),
        "heal" => drop(fleet.cut.remove(&id)),
        "stop" => fleet.stop(id),
        "start" => fleet.start(id),
        "wipe" => fleet.wipe(id),
        "age" => {
            let disk = &mut fleet.members.get_mut(&id)?.disk;
            let keep = disk.entries.len() - number(2)? as usize;
            disk.entries.truncate(keep);
            let last = disk.entries.last().map_or(0, |entry| entry.index);
            disk.hard_state.commit = disk.hard_state.commit.min(last);
        }
        "pause" => {
            let sleeper = fleet.members.get_mut(&id)?.consensus.take();
            fleet.run(number(2)?);
            fleet.members.get_mut(&id)?.consensus = sleeper;
        }
        "compact" => fleet.compact(id),
        "hand-over" => fleet.hand_over(id),
        "join" => fleet.join(id),
        "learner" | "promote" | "remove" | "replace" => {
            let change = match words[0] {
                "learner" => Change::AddLearner(number(2)?),
                "promote" => Change::Promote(number(2)?),
                "remove" => Change::Remove(number(2)?),
                _ => Change::Replace { joins: number(2)?, leaves: number(3)? },
            };
            return Some(match fleet.change(id, change) {
                Ok(index) => format!("index {index}"),
                Err(error) => format!("refused: {error}"),
            });
        }
        "members" => {
            for (id, member) in &fleet.members {
                let members = member.consensus.as_ref().map(Consensus::members);
                let line = members.map_or("stopped".to_owned(), |members| {
                    format!(
                        "voters {:?} and {:?} learners {:?}",
                        members.voters, members.outgoing, members.learners
                    )
                });
                fleet.story.push(format!("n{id} {line}"));
            }
        }
        "trace" => fleet.trace = words[1] == "on",
        "state" => {
            for (id, member) in &fleet.members {
                let line = member.consensus.as_ref().map_or("stopped".to_owned(), state);
                fleet.story.push(format!("n{id} {line} values={}", member.values.join(",")));
            }
        }
        other => panic!("no such command: {other}"),
    }
    None
}

fn state(node: &Consensus) -> String {
    let leader = node.leader().map_or("-".to_owned(), |id| format!("n{id}"));
    format!(
        "{} term={} leader={leader} last={} commit={} applied={} snapshot={}",
        node.role().name(),
        node.term(),
        node.last_index(),
        node.commit_index(),
        node.applied(),
        node.snapshot().index
    )
}
