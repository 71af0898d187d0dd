//! The data commands word for word: scripts of requests and the bytes that answer them.
//!
//! A script line `> words` is asked in RESP2, `3> words` in RESP3; what follows is the reply with
//! its CRLFs as line ends. Each script begins with empty databases. The same scripts are asked of
//! stock Redis, so what they say is what Redis says: `VEDETTE_BLESS=1` writes them from its replies.
//! A line `! why` before a request marks an intended difference: Redis is not asked there.

use super::executor::Executor;
use super::stock::Stock;
use std::path::PathBuf;
use vedette::resp::Protocol;
use vedette::resp::decode::split_words;

struct Step {
    /// Comments and marks before the request, as they stand.
    head: String,
    request: String,
    reply: String,
    ours_alone: bool,
}

fn scripts() -> Vec<PathBuf> {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/scripts/commands");
    let mut found: Vec<PathBuf> =
        std::fs::read_dir(dir).expect("scripts").map(|entry| entry.expect("a script").path()).collect();
    found.sort();
    assert!(found.len() >= 6, "one script a family");
    found
}

fn steps(text: &str) -> Vec<Step> {
    let (mut steps, mut head): (Vec<Step>, String) = (Vec::new(), String::new());
    for line in text.lines() {
        if line.starts_with("> ") || line.starts_with("3> ") {
            let ours_alone = head.lines().any(|line| line.starts_with('!'));
            let head = std::mem::take(&mut head);
            steps.push(Step { head, request: line.to_owned(), reply: String::new(), ours_alone });
        } else if line.starts_with('#') || line.starts_with('!') || line.is_empty() {
            head += line;
            head += "\n";
        } else if let Some(step) = steps.last_mut() {
            step.reply += line;
            step.reply += "\n";
        }
    }
    steps
}

fn request(step: &Step) -> (Protocol, Vec<Vec<u8>>) {
    let (protocol, words) = match step.request.strip_prefix("3> ") {
        Some(words) => (Protocol::Resp3, words),
        None => (Protocol::Resp2, &step.request[2..]),
    };
    (protocol, split_words(words.as_bytes()).expect("balanced quotes"))
}

/// A reply as the scripts hold it. Empty lines would be taken for space between steps.
fn shown(reply: &[u8]) -> String {
    let text = String::from_utf8_lossy(reply).replace("\r\n", "\n");
    text.lines().map(|line| if line.is_empty() { "''\n".to_owned() } else { format!("{line}\n") }).collect()
}

#[test]
fn scripts_say_what_we_answer() {
    for path in scripts() {
        let mut executor = Executor::new(1);
        for step in steps(&std::fs::read_to_string(&path).expect("a script")) {
            let (protocol, argv) = request(&step);
            let reply = shown(&executor.execute(&argv, protocol));
            assert_eq!(reply, step.reply, "{}: {}", path.display(), step.request);
        }
    }
}

#[test]
fn scripts_say_what_stock_redis_answers() {
    let bless = std::env::var_os("VEDETTE_BLESS").is_some();
    let mut stock = Stock::start();
    for path in scripts() {
        stock.reset(Protocol::Resp2);
        let mut spoken = Protocol::Resp2;
        let mut blessed = String::new();
        for step in steps(&std::fs::read_to_string(&path).expect("a script")) {
            let (protocol, argv) = request(&step);
            let mut reply = step.reply.clone();
            if !step.ours_alone {
                if protocol != spoken {
                    stock.send(if protocol == Protocol::Resp3 { b"HELLO 3\r\n" } else { b"HELLO 2\r\n" });
                    stock.receive();
                    spoken = protocol;
                }
                let mut bytes = Vec::new();
                vedette::resp::encode::command(&mut bytes, &argv);
                stock.send(&bytes);
                reply = shown(&stock.receive());
            }
            if bless {
                blessed += &format!("{}{}\n{}", step.head, step.request, reply);
            } else {
                assert_eq!(reply, step.reply, "{}: {}", path.display(), step.request);
            }
        }
        if bless {
            std::fs::write(&path, blessed).expect("the script is written");
        }
    }
}
