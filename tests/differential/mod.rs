//! The data commands against stock Redis: the same seeded commands to both, the same replies from
//! both, byte for byte wherever Redis itself is deterministic. And a second keyspace, fed only with
//! what the first one propagates, must end up holding the same.

mod compare;
mod exchange;
mod executor;
mod generator;
mod golden;
mod served;
mod stock;
mod streams;
mod templates;

use compare::Mode;
use executor::Executor;
use generator::Generator;
use stock::Stock;
use vedette::resp::Protocol;

const COMMANDS_PER_SEED: usize = 12_000;
/// `VEDETTE_DIFFERENTIAL_BATCH=1` shows what both hold at a difference; otherwise Redis is some commands ahead.
const BATCH: usize = 200;

fn setting(name: &str, usual: u64) -> u64 {
    std::env::var(name).ok().and_then(|n| n.parse().ok()).unwrap_or(usual)
}

/// Keys that only one side has and what was done with them, and what we hold at those that a request names.
fn state(executor: &Executor, stock: &mut Stock, argv: &[Vec<u8>], before: &[Vec<Vec<u8>>]) -> String {
    let held = executor.dump();
    stock.send(b"KEYS *\r\n");
    let reply =
        vedette::resp::reply::parse(&stock.receive(), 1 << 26).expect("a reply").expect("a whole one");
    let theirs: std::collections::BTreeSet<Vec<u8>> = reply
        .0
        .as_array()
        .unwrap_or_default()
        .iter()
        .filter_map(|key| Some(key.as_bytes()?.to_vec()))
        .collect();
    let mut lines: Vec<String> = Vec::new();
    let ours = held.keys().filter(|key| !theirs.contains(*key)).map(|key| ("ours", key));
    let history = |key: &Vec<u8>| {
        let named = before.iter().rev().filter(|argv| argv.contains(key)).take(8);
        named.map(|argv| show(argv)).collect::<Vec<_>>().join("; ")
    };
    let alone = ours.chain(theirs.iter().filter(|key| !held.contains_key(*key)).map(|key| ("theirs", key)));
    for (whose, key) in alone {
        lines.push(format!("only {whose}: {}; last named by {}", key.escape_ascii(), history(key)));
    }
    for (key, value) in argv.iter().filter_map(|word| held.get_key_value(word)) {
        let text: String = format!("{value:?}").chars().take(4000).collect();
        lines.push(format!("{} is {text}; last named by {}", key.escape_ascii(), history(key)));
    }
    lines.join("\n    ")
}

fn show(argv: &[Vec<u8>]) -> String {
    let words = argv.iter().map(|word| {
        let text = word.escape_ascii().to_string();
        if text.len() > 60 { format!("{}...({} bytes)", &text[..40], word.len()) } else { text }
    });
    let shown = words.take(14).collect::<Vec<_>>().join(" ");
    if argv.len() > 14 { format!("{shown} ... {} words", argv.len()) } else { shown }
}

/// SORT of Redis 7.0 takes an `errno` that an earlier command left for a number out of range. This leaves none,
/// and no key.
const FORGETS_ERRNO: &[&str] = &["ZADD", "no key", "XX", "1", "member"];

fn is_sort(argv: &[Vec<u8>]) -> bool {
    argv[0].eq_ignore_ascii_case(b"sort") || argv[0].eq_ignore_ascii_case(b"sort_ro")
}

struct Sent {
    argv: Vec<Vec<u8>>,
    reply: Vec<u8>,
    mode: Mode,
    /// How many commands stock Redis got for it: more than one when it got what we propagated.
    replies: usize,
    /// It got another one before.
    prepared: bool,
}

/// Runs one seed; how many commands were compared, or the first difference.
fn run_seed(
    seed: u64,
    mut generator: Generator,
    protocol: Protocol,
    stock: &mut Stock,
) -> Result<usize, String> {
    let mut executor = Executor::new(seed);
    let mut replica = Executor::new(seed + 1_000_000);
    replica.keep_expired = true;
    stock.reset(protocol);
    let mut done = 0;
    let mut earlier: Vec<Vec<Vec<u8>>> = Vec::new();
    let batch = setting("VEDETTE_DIFFERENTIAL_BATCH", BATCH as u64);
    while done < COMMANDS_PER_SEED {
        let (mut sent, mut out) = (Vec::new(), Vec::new());
        for _ in 0..batch {
            let argv = generator.next();
            let mode = compare::mode_of(&argv);
            if batch == 1 {
                earlier.push(argv.clone());
            }
            let reply = executor.execute(&argv, protocol);
            let propagated = executor.take_propagated();
            for command in &propagated {
                replica.execute(command, Protocol::Resp2);
            }
            let replies = if mode == Mode::Chance {
                propagated.iter().for_each(|command| vedette::resp::encode::command(&mut out, command));
                propagated.len()
            } else {
                if is_sort(&argv) {
                    vedette::resp::encode::command(&mut out, FORGETS_ERRNO);
                }
                vedette::resp::encode::command(&mut out, &argv);
                1
            };
            sent.push(Sent { prepared: is_sort(&argv), argv, reply, mode, replies });
        }
        stock.send(&out);
        for (at, sent_one) in sent.iter().enumerate() {
            if sent_one.prepared {
                stock.receive();
            }
            let replies: Vec<Vec<u8>> = (0..sent_one.replies).map(|_| stock.receive()).collect();
            if sent_one.mode == Mode::Chance {
                continue;
            }
            if let Err(why) = compare::compare(sent_one.mode, &sent_one.reply, &replies[0]) {
                let keys: Vec<&Vec<u8>> = sent_one.argv.iter().skip(1).take(4).collect();
                let before = sent[..at].iter().rev().filter(|s| s.argv.iter().any(|w| keys.contains(&w)));
                let history: Vec<String> = before.take(12).map(|s| show(&s.argv)).collect();
                let held = match batch {
                    1 => state(&executor, stock, &sent_one.argv, &earlier),
                    _ => String::new(),
                };
                return Err(format!(
                    "seed {seed} {protocol:?}, command {}: {}\n  ours:  {}\n  redis: {}\n  {why}\n    {held}\n  before it, newest first:\n    {}",
                    done + at,
                    show(&sent_one.argv),
                    sent_one.reply.escape_ascii(),
                    replies[0].escape_ascii(),
                    history.join("\n    "),
                ));
            }
        }
        done += sent.len();
        if done.is_multiple_of(4000) {
            for (key, held) in executor.dump() {
                let there = replica.dump().remove(&key);
                if there.as_ref() != Some(&held) {
                    let key = key.escape_ascii();
                    return Err(format!("seed {seed}: {key} is {held:?}, on a replica {there:?}"));
                }
            }
            if executor.dump().len() != replica.dump().len() {
                return Err(format!("seed {seed}: a replica holds more keys"));
            }
        }
    }
    Ok(done)
}

#[test]
fn replies_are_those_of_stock_redis() {
    compare_seeds(6, Generator::new);
}

#[test]
fn streams_are_those_of_stock_redis() {
    compare_seeds(4, Generator::streams);
}

#[test]
fn data_commands_and_streams_mixed_are_those_of_stock_redis() {
    compare_seeds(2, Generator::mixed);
}

fn compare_seeds(usual: u64, generator: fn(u64) -> Generator) {
    let mut stock = Stock::start();
    let (mut compared, mut differences) = (0, Vec::new());
    let seeds = setting("VEDETTE_DIFFERENTIAL_SEEDS", usual);
    let first = setting("VEDETTE_DIFFERENTIAL_FIRST", 1);
    for seed in first..first + seeds {
        let protocol = if seed % 2 == 0 { Protocol::Resp3 } else { Protocol::Resp2 };
        match run_seed(seed, generator(seed), protocol, &mut stock) {
            Ok(count) => compared += count,
            Err(difference) => {
                differences.push(difference);
                stock = Stock::start();
            }
        }
    }
    assert!(differences.is_empty(), "{} seeds differ\n{}", differences.len(), differences.join("\n\n"));
    println!("{compared} commands without a difference");
    assert!(compared as u64 >= seeds * COMMANDS_PER_SEED as u64, "only {compared} commands were compared");
}
